import type { Random } from '../../random.ts';
import { later, type Deadline, type Instant } from '../../time.ts';
import type { Answered, Reply } from '../dnssec/chain.ts';
import type { AskDoor, Asked, EffectSink, Exchange, Finder, Origin, Outcome } from '../finder.ts';
import type { Message, Question } from '../message.ts';
import { nameText, parentOf, rootName, type NameKey } from '../name.ts';
import { mayLeadHome, type Own } from '../own.ts';
import { serverKey } from '../servers.ts';
import { Class, Ede, Rcode, rcodeName, Type, typeName } from '../types.ts';
import { Delegations, type Delegation, type Stub } from './delegations.ts';
import type { Hint } from './hints.ts';
import { Quota, type RecursionLimits } from './limits.ts';
import { nextName, type QnameMinimisation } from './minimise.ts';
import { responseOf, rootServersIn, ttlOf } from './response.ts';
import { Selection, type Candidate } from './selection.ts';
import { Targets } from './targets.ts';
import {
  dependsOn,
  failure,
  sentence,
  type Live,
  type Query,
  type Result,
  type Target,
  type Walk,
} from './walk.ts';

/** What a {@link Recursion} is made from. */
export interface RecursionOptions {
  readonly hints: readonly Hint[];
  readonly random: Random;
  readonly qnameMinimisation: QnameMinimisation;
  readonly limits: RecursionLimits;
  readonly stubs?: readonly Stub[];
  /** Where nobody is asked but by configuration; absent: nowhere. */
  readonly own?: Own;
}

/** Milliseconds after which a question is given up. */
const exchangeMs = 9000;
/** Questions on their way at once. */
const maxLive = 4000;
/** Times that one server is asked for one question: so often where it is the only one, less where there are more. */
const triesInAll = 6;
const notAgain = 99;
/** Milliseconds between attempts at priming. */
const primingRestMs = 60_000;
/** Sentences of one exchange that are kept. */
const maxTrace = 60;

/**
 * Finds out what the DNS says by asking authoritative servers from the root downwards (RFC 1034 §5.3.3). A question is a
 * walk from the closest zone that is known; each of its steps is a query to the servers of one zone, shared with all
 * walks that want the same at that moment; a name server without glue is a target, found by walks of its own.
 * Everything that is done for a question from above is paid from its one quota.
 */
export class Recursion implements Finder {
  readonly #door: AskDoor;
  readonly #limits: RecursionLimits;
  readonly #minimisation: QnameMinimisation;
  readonly #delegations: Delegations;
  readonly #selection: Selection;
  #own: Own | undefined;
  readonly #live = new Set<Live>();
  readonly #queries = new Map<string, Query>();
  readonly #targets: Targets;
  readonly #asked = new Map<Asked, Query>();
  /** Queries that may be able to go on. */
  readonly #ready = new Set<Query>();
  readonly #quotas = new WeakMap<object, Quota>();
  #done: Live[] = [];
  #now: Instant = 0 as Instant;
  #primedAt: Instant | undefined;
  #isPriming = false;
  readonly #counters = {
    iterated: 0,
    referrals: 0,
    minimised: 0,
    lameReplies: 0,
    serverNamesLookedUp: 0,
    quotasUsedUp: 0,
    primings: 0,
  };

  constructor(door: AskDoor, options: RecursionOptions) {
    this.#door = door;
    this.#limits = options.limits;
    this.#minimisation = options.qnameMinimisation;
    this.#delegations = new Delegations(options.hints, options.stubs ?? []);
    this.#targets = new Targets(options.limits);
    this.#own = options.own;
    this.#selection = new Selection(door, options.random);
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#counters, asking: this.#live.size, delegations: this.#delegations.size };
  }

  get deadline(): Deadline | undefined {
    if (this.#done.length > 0) return { at: this.#now, why: 'replies to hand over' };
    // In the order in which they began, and all have the same time.
    for (const { giveUpAt } of this.#live) return { at: giveUpAt, why: 'end of an iteration' };
    return undefined;
  }

  start(
    question: Question,
    avoided: Origin | undefined,
    now: Instant,
    effects: EffectSink,
    payer?: object,
  ): Exchange {
    this.#now = now;
    const live: Live = {
      question,
      reply: undefined,
      from: undefined,
      trace: [],
      giveUpAt: later(now, exchangeMs),
      walk: undefined,
      delegation: undefined,
    };
    if (this.#live.size >= maxLive) {
      live.reply = { kind: 'failure', ede: Ede.OTHER, why: 'too many questions are on their way' };
      return live;
    }
    this.#counters.iterated++;
    this.#prime(now);
    this.#live.add(live);
    live.walk = this.#walk(question, live, this.#quota(payer), 0, avoided, now);
    this.#drain(now, effects);
    this.#done = this.#done.filter((d) => d !== live);
    return live;
  }

  heard(asked: Asked, outcome: Outcome, now: Instant, effects: EffectSink): readonly Exchange[] {
    this.#now = now;
    const query = this.#asked.get(asked);
    const open = query?.open;
    this.#asked.delete(asked);
    if (query && open?.asked === asked) {
      query.open = undefined;
      this.#outcome(query, open.candidate, open.plain, outcome, now);
      this.#drain(now, effects);
    }
    return this.#handedOver();
  }

  /** Whether the zone that replied has another server. */
  hasOther(exchange: Exchange, now: Instant): boolean {
    const delegation = (exchange as Live).delegation;
    if (!delegation) return false;
    const others = this.#candidates(delegation, now).filter(
      (c) => this.#selection.origin(c) !== exchange.from,
    );
    return (
      others.length > 0 || delegation.servers.some((s) => this.#targets.isLookable(s.name, delegation, now))
    );
  }

  abandon(exchange: Exchange, effects: EffectSink): void {
    const live = exchange as Live;
    if (!this.#live.delete(live)) return;
    if (live.walk) this.#leave(live.walk, effects);
    this.#drain(this.#now, effects);
  }

  tick(now: Instant, effects: EffectSink): readonly Exchange[] {
    this.#now = now;
    for (const live of [...this.#live]) {
      if (now < live.giveUpAt) break;
      const { walk } = live;
      const step = walk?.query;
      const missing = step
        ? `: ${typeName(step.question.type)} of ${nameText(step.question.name)} is missing`
        : '';
      if (walk) this.#leave(walk, effects);
      this.#reply(live, failure(`${exchangeMs / 1000} seconds are over${missing}`));
    }
    this.#drain(now, effects);
    return this.#handedOver();
  }

  /** We are somewhere else now. */
  moved(own: Own): void {
    this.#own = own;
  }

  /** Forgets zone cuts at `name`, and with `subtree` all below it. */
  forget(name: NameKey, subtree: boolean): void {
    this.#delegations.forget(name, subtree);
    this.#targets.forget(name, subtree);
  }

  #quota(payer: object | undefined): Quota {
    const known = payer && this.#quotas.get(payer);
    const quota = known ?? new Quota(this.#limits);
    if (payer) this.#quotas.set(payer, quota);
    return quota;
  }

  #handedOver(): readonly Exchange[] {
    const done = this.#done;
    this.#done = [];
    return done;
  }

  #reply(live: Live, reply: Reply, from?: Origin): void {
    live.reply = reply;
    live.from = from;
    live.walk = undefined;
    this.#live.delete(live);
    this.#done.push(live);
  }

  /** Asks the root's servers for their own names and addresses (RFC 8109); what is known serves meanwhile. */
  #prime(now: Instant): void {
    if (this.#isPriming || !this.#delegations.wantsPriming(now)) return;
    if (this.#primedAt !== undefined && now < later(this.#primedAt, primingRestMs)) return;
    this.#primedAt = now;
    this.#isPriming = true;
    this.#counters.primings++;
    const question = { name: rootName, type: Type.NS, class: Class.IN };
    this.#walk(question, 'priming', new Quota(this.#limits), 0, undefined, now);
  }

  /** Sets out from the closest zone that is known: of DS, above the cut (RFC 4035 §3.1.4.1, RFC 9156 §2.3 step 1a). */
  #walk(
    question: Question,
    whose: Walk['whose'],
    quota: Quota,
    depth: number,
    avoided: Origin | undefined,
    now: Instant,
  ): Walk {
    const { name, type } = question;
    const delegation = this.#delegations.closest(type === Type.DS ? (parentOf(name) ?? name) : name, now);
    const walk: Walk = {
      question,
      whose,
      quota,
      depth,
      avoided,
      trace: typeof whose === 'object' && 'trace' in whose ? whose.trace : undefined,
      delegation,
      known: delegation.zone,
      minimised: 0,
      whole: this.#minimisation === 'off',
      sent: 0,
      query: undefined,
    };
    if (typeof whose === 'object' && 'walks' in whose) whose.walks.add(walk);
    this.#advance(walk, now);
    return walk;
  }

  /** The next question of a walk (RFC 9156 §2.3 steps 4 to 7). */
  #advance(walk: Walk, now: Instant): void {
    const { question, delegation } = walk;
    let name = question.name;
    while (!walk.whole) {
      name = nextName(question.name, walk.known, walk.minimised);
      if (name === question.name || !this.#delegations.isPlain(name, delegation.zone, now)) break;
      walk.known = name;
    }
    const isShortened = name !== question.name;
    if (isShortened) {
      walk.minimised++;
      this.#counters.minimised++;
    }
    // RFC 9156 §2.1: A hides what is wanted, and is what servers are used to.
    this.#join(walk, { name, type: isShortened ? Type.A : question.type, class: Class.IN }, now);
  }

  #join(walk: Walk, question: Question, now: Instant): void {
    const { delegation, avoided, whose } = walk;
    const key = `${question.type} ${delegation.zone} ${question.name} ${avoided?.text ?? ''}`;
    let query = this.#queries.get(key);
    if (!query) {
      query = {
        key,
        delegation,
        question,
        avoided,
        walks: new Set(),
        tries: new Map(),
        waiting: new Set(),
        lookedUp: new Set(),
        open: undefined,
        doubtful: undefined,
        heard: false,
        why: undefined,
      };
      this.#queries.set(key, query);
    } else if (typeof whose === 'object' && 'walks' in whose && dependsOn(query, whose)) {
      this.#finish(walk, { kind: 'failure', why: this.#circle(delegation.zone), heard: false }, now);
      return;
    }
    query.walks.add(walk);
    walk.query = query;
    this.#ready.add(query);
  }

  #drain(now: Instant, effects: EffectSink): void {
    for (const query of this.#ready) {
      this.#ready.delete(query);
      if (this.#queries.get(query.key) === query && !query.open) this.#proceed(query, now, effects);
    }
  }

  /** Asks a server, or looks for the address of one, or gives the query up. */
  #proceed(query: Query, now: Instant, effects: EffectSink): void {
    for (;;) {
      const [payer] = query.walks;
      if (!payer) return;
      const candidate = this.#choice(query, now);
      if (candidate) {
        const used = this.#pay(payer);
        if (used === undefined) {
          this.#ask(query, candidate, now, effects);
          return;
        }
        this.#expel(query, payer, used, now);
        continue;
      }
      if (query.doubtful) {
        this.#conclude(query, query.doubtful, now);
        return;
      }
      if (query.waiting.size > 0) return;
      const looked = this.#lookUp(query, payer, now);
      if (looked === 'none') {
        this.#conclude(query, this.#exhausted(query, now), now);
        return;
      }
      if (typeof looked === 'object') this.#expel(query, payer, looked.why, now);
    }
  }

  #choice(query: Query, now: Instant): Candidate | undefined {
    const { delegation, avoided, tries } = query;
    const all = this.#candidates(delegation, now);
    const others = avoided ? all.filter((c) => this.#selection.origin(c) !== avoided) : all;
    const asked = (c: Candidate): number => tries.get(c.key) ?? 0;
    const limit = query.doubtful ? 1 : Math.max(2, Math.ceil(triesInAll / Math.max(1, all.length)));
    for (const some of others.length === all.length ? [all] : [others, all]) {
      const left = some.filter((c) => asked(c) < limit);
      if (left.length > 0) return this.#selection.choose(delegation.zone, left, asked, now);
    }
    return undefined;
  }

  /** Whom `delegation` names, without ourselves: a zone that names us would have us ask ourselves. */
  #candidates(delegation: Delegation, now: Instant): Candidate[] {
    const all = this.#named(delegation, now);
    const own = this.#own;
    if (!own || delegation.rank === 'configured' || delegation.rank === 'hint') return all;
    return all.filter((c) => !mayLeadHome(c.server.endpoint, own));
  }

  #named({ servers }: Delegation, now: Instant): Candidate[] {
    const found = servers.flatMap((server) =>
      this.#targets
        .addressesOf(server, now)
        .map((at): Candidate => ({ name: server.name, server: at, key: serverKey(at) })),
    );
    return [...new Map(found.map((c) => [c.key, c])).values()];
  }

  #pay(walk: Walk): string | undefined {
    if (walk.sent >= this.#limits.questionsPerName) {
      return `it would take more than ${this.#limits.questionsPerName} questions to servers`;
    }
    const used = walk.quota.takeQuestion();
    if (used === undefined) walk.sent++;
    return used;
  }

  /** A walk cannot pay; the others that want the query go on. */
  #expel(query: Query, walk: Walk, why: string, now: Instant): void {
    this.#counters.quotasUsedUp++;
    query.walks.delete(walk);
    walk.query = undefined;
    if (query.walks.size === 0) this.#close(query);
    this.#finish(walk, { kind: 'failure', why, heard: false }, now);
  }

  #ask(query: Query, candidate: Candidate, now: Instant, effects: EffectSink): void {
    const { key } = candidate;
    query.tries.set(key, (query.tries.get(key) ?? 0) + 1);
    const { question } = query;
    const plain = this.#selection.asksWithoutEdns(candidate, now);
    const { server } = candidate;
    const asked = this.#door.ask({ question, server, toResolver: false, plain, finder: this }, now, effects);
    query.open = { asked, candidate, plain };
    this.#asked.set(asked, query);
  }

  /** Looks up name servers whose addresses are not known (`waits`); `none` are left that could be. */
  #lookUp(query: Query, payer: Walk, now: Instant): 'waits' | 'none' | { readonly why: string } {
    const { delegation } = query;
    const atOnce = this.#limits.targetsAtOnce[payer.depth] ?? 1;
    if (payer.depth >= this.#limits.depth) return 'none';
    for (const { name } of delegation.servers) {
      if (query.waiting.size >= atOnce) break;
      if (name === undefined || query.lookedUp.has(name)) continue;
      if (!this.#targets.isLookable(name, delegation, now)) continue;
      const known = this.#targets.get(name);
      if (known && known.walks.size > 0) {
        query.lookedUp.add(name);
        if ([...known.walks].some((w) => w.query && dependsOn(w.query, query))) {
          query.why = this.#circle(delegation.zone);
          continue;
        }
        this.#await(query, known);
        continue;
      }
      const used = payer.quota.takeTarget();
      if (used !== undefined) {
        if (query.waiting.size > 0) break;
        return { why: used };
      }
      query.lookedUp.add(name);
      this.#target(name, query, payer, now);
    }
    return query.waiting.size > 0 || (query.lookedUp.size > 0 && this.#choice(query, now)) ? 'waits' : 'none';
  }

  #await(query: Query, target: Target): void {
    query.waiting.add(target);
    target.queries.add(query);
  }

  #target(name: NameKey, query: Query, payer: Walk, now: Instant): void {
    this.#counters.serverNamesLookedUp++;
    const target = this.#targets.add(name, now);
    this.#await(query, target);
    const types = [Type.A, Type.AAAA];
    for (const type of types.filter((t) => !this.#selection.isPointless(t === Type.A ? 4 : 6, now))) {
      this.#walk({ name, type, class: Class.IN }, target, payer.quota, payer.depth + 1, undefined, now);
    }
  }

  #outcome(query: Query, candidate: Candidate, plain: boolean, outcome: Outcome, now: Instant): void {
    const from = this.#selection.origin(candidate);
    this.#selection.learnFamily(candidate, outcome.kind, now);
    this.#ready.add(query);
    switch (outcome.kind) {
      case 'silent':
        this.#tell(query, from, 'no reply');
        query.why = `${from.text} does not reply`;
        return;
      case 'failed':
        this.#tell(query, from, outcome.why);
        query.why = outcome.why;
        query.tries.set(candidate.key, notAgain);
        return;
      case 'reply':
        query.heard = true;
        this.#replied(query, candidate, plain, outcome.message, now);
        return;
      default:
        outcome satisfies never;
    }
  }

  #replied(query: Query, candidate: Candidate, plain: boolean, message: Message, now: Instant): void {
    const { question, delegation } = query;
    const { zone } = delegation;
    const from = this.#selection.origin(candidate);
    const response = responseOf(message, question, zone, from.text, this.#limits, (names) =>
      this.#selection.shuffled(names),
    );
    query.tries.set(candidate.key, notAgain);
    this.#tell(query, from, sentence(response, message));
    switch (response.kind) {
      case 'withoutEdns':
        if (plain) {
          query.why = `${from.text} answers ${rcodeName(message.rcode)}`;
          this.#selection.lame(zone, candidate, false, now);
        } else {
          this.#selection.learnWithoutEdns(candidate, now);
          query.tries.delete(candidate.key);
        }
        return;
      case 'lame': {
        this.#counters.lameReplies++;
        query.why = `${from.text} ${response.why}`;
        // A server may stumble over a shortened name alone (RFC 9156 §2.3 step 7e).
        const isShortened = ![...query.walks].some((w) => w.question.name === question.name);
        if (response.refused || !isShortened) this.#selection.lame(zone, candidate, response.refused, now);
        return;
      }
      case 'referral':
        this.#conclude(query, { kind: 'response', response, from, message }, now);
        return;
      case 'answer':
      case 'negative': {
        const result: Result = { kind: 'response', response, from, message };
        if (response.doubt === undefined) {
          this.#conclude(query, result, now);
          return;
        }
        query.why = `${from.text} ${response.doubt}`;
        query.doubtful ??= result;
        this.#selection.lame(zone, candidate, false, now);
        return;
      }
      default:
        response satisfies never;
    }
  }

  #exhausted(query: Query, now: Instant): Result {
    const zone = nameText(query.delegation.zone);
    const why =
      query.why === undefined
        ? this.#named(query.delegation, now).length > 0
          ? `the name servers of ${zone} are this host itself`
          : `no name server of ${zone} has an address that is known`
        : `no name server of ${zone} is of use: ${query.why}`;
    return { kind: 'failure', why, heard: query.heard };
  }

  #circle(zone: NameKey): string {
    return `the name servers of ${nameText(zone)} can only be found by asking them`;
  }

  #conclude(query: Query, result: Result, now: Instant): void {
    const walks = [...query.walks];
    query.walks.clear();
    this.#close(query);
    let below: Delegation | undefined;
    if (result.kind === 'response' && result.response.kind === 'referral') {
      const { cut, servers, ttl } = result.response;
      this.#counters.referrals++;
      below = this.#delegations.add(cut, servers, ttl, query.delegation, 'referral', now);
    }
    for (const walk of walks) {
      walk.query = undefined;
      if (below) {
        walk.delegation = below;
        walk.known = below.zone;
        this.#advance(walk, now);
      } else this.#step(walk, query.question, result, now);
    }
  }

  /** A walk has what it asked for, or knows that it cannot be had. */
  #step(walk: Walk, asked: Question, result: Result, now: Instant): void {
    if (asked.name === walk.question.name && asked.type === walk.question.type) {
      this.#finish(walk, result, now);
      return;
    }
    if (result.kind === 'failure') {
      if (this.#minimisation === 'relaxed' && result.heard) {
        walk.whole = true;
        this.#advance(walk, now);
      } else this.#finish(walk, result, now);
      return;
    }
    const { response } = result;
    if (response.kind === 'referral') return;
    const { reply } = response;
    const isDenied = response.kind === 'negative' && reply.message.rcode === Rcode.NXDOMAIN;
    if (isDenied && this.#minimisation === 'strict') {
      // RFC 8020: below a name that does not exist there is nothing.
      const message = { ...reply.message, questions: [walk.question] };
      this.#finish(walk, { ...result, response: { ...response, reply: { ...reply, message } } }, now);
      return;
    }
    // Below a DNAME (RFC 9156 §2.3 step 7b) nothing can be a cut, nor below what does not exist.
    const isDname = reply.answer.some((s) => s.type === Type.DNAME);
    if (isDenied || isDname) walk.whole = true;
    this.#delegations.addPlain(asked.name, walk.delegation.zone, ttlOf(reply), now);
    walk.known = asked.name;
    this.#advance(walk, now);
  }

  #finish(walk: Walk, result: Result, now: Instant): void {
    const { whose } = walk;
    const reply =
      result.kind === 'failure' || result.response.kind === 'referral' ? undefined : result.response.reply;
    if (whose === 'priming') {
      this.#isPriming = false;
      if (reply && result.kind === 'response') this.#primed(reply, result.message, now);
    } else if ('walks' in whose) {
      if (this.#targets.learn(whose, walk, reply, now)) this.#settled(whose);
    } else if (this.#live.has(whose)) {
      whose.delegation = walk.delegation;
      if (reply && result.kind === 'response') this.#reply(whose, reply, result.from);
      else this.#reply(whose, failure(result.kind === 'failure' ? result.why : 'a referral leads nowhere'));
    }
  }

  /** The root's own word replaces the hints (RFC 8109 §3.3). Addresses that it leaves out stay as they are. */
  #primed(reply: Answered, message: Message, now: Instant): void {
    const found = rootServersIn(reply, message, this.#limits, (name) => this.#delegations.hinted(name));
    if (!found) return;
    const by = this.#delegations.closest(rootName, now);
    this.#delegations.add(rootName, found.servers, found.ttl, by, 'answer', now);
  }

  /** Those who wait for a target go on. */
  #settled(target: Target): void {
    for (const query of target.queries) {
      query.waiting.delete(target);
      if (target.addresses.length === 0) query.why ??= `${nameText(target.name)} has no address`;
      this.#ready.add(query);
    }
    target.queries.clear();
  }

  /** A walk is no longer wanted. */
  #leave(walk: Walk, effects: EffectSink): void {
    const { query } = walk;
    walk.query = undefined;
    if (!query) return;
    query.walks.delete(walk);
    if (query.walks.size > 0) return;
    this.#close(query, effects);
  }

  /** Ends a query, and the look-ups that nobody else waits for. */
  #close(query: Query, effects?: EffectSink): void {
    this.#queries.delete(query.key);
    this.#ready.delete(query);
    if (query.open) {
      this.#asked.delete(query.open.asked);
      if (effects) this.#door.cancel(query.open.asked, effects);
      query.open = undefined;
    }
    for (const target of query.waiting) {
      target.queries.delete(query);
      if (target.queries.size > 0 || !effects) continue;
      this.#targets.drop(target);
      for (const walk of target.walks) this.#leave(walk, effects);
    }
    query.waiting.clear();
  }

  #tell(query: Query, { text }: Origin, what: string): void {
    const { name, type } = query.question;
    const zone = nameText(query.delegation.zone);
    const line = `asked ${text} of ${zone} for ${typeName(type)} of ${nameText(name)}: ${what}`;
    for (const { trace } of query.walks) if (trace && trace.length < maxTrace) trace.push(line);
  }
}
