import { earliest, type Deadline, type Instant, type WallSeconds } from '../time.ts';
import type { TrustAnchor } from './anchors.ts';
import { Trust, type TrustEffect, type TrustOptions } from './anchors/trust.ts';
import { Cache } from './cache/cache.ts';
import { Paused, Turn } from './dnssec/budget.ts';
import { Chain, type Reply } from './dnssec/chain.ts';
import { judge, worst, type Link } from './dnssec/validate.ts';
import { Zones, type Bogus, type Indeterminate } from './dnssec/zones.ts';
import type { Exchange, FinderEffect, Origin } from './finder.ts';
import { Finders, type FindersOptions, type Routes } from './finders.ts';
import { keyOf, lookupMs, newJob, setsOf, tellArrived, type Job } from './job.ts';
import { maxAliases, stepsOf } from './links.ts';
import type { Question } from './message.ts';
import { ancestorOf, isBelow, labelCount, nameText, parentOf, rootName, type NameKey } from './name.ts';
import { ends, failure, isMeta, refusal, resolutionOf, type Resolution } from './resolution.ts';
import type { RRset } from './rrset.ts';
import { toldOf } from './told.ts';
import { Class, Ede, Type, typeName } from './types.ts';

export type { Resolution } from './resolution.ts';

export type ResolverInput =
  | {
      readonly kind: 'lookup';
      readonly id: number;
      readonly question: Question;
      readonly checkingDisabled: boolean;
    }
  /** Nobody waits for it any longer; no `resolved` follows. What is on its way still fills the cache. */
  | { readonly kind: 'cancel'; readonly id: number }
  /** What came back for `ask`, as it came. A datagram that does not fit the question is ignored. */
  | {
      readonly kind: 'reply';
      readonly ask: number;
      readonly octets: Uint8Array;
    }
  | { readonly kind: 'failed'; readonly ask: number; readonly why: string }
  /** The network names other resolvers; what is under way goes on. */
  | { readonly kind: 'upstreams'; readonly routes: Routes }
  /** This host has other addresses than before. */
  | { readonly kind: 'moved' }
  /** The answer to `fetchAnchors`: anchors whose signature was checked. */
  | {
      readonly kind: 'anchorsFetched';
      readonly anchors: readonly TrustAnchor[];
    }
  | { readonly kind: 'anchorsNotFetched'; readonly why: string }
  | { readonly kind: 'tick' };

export type ResolverEffect =
  | FinderEffect
  /** The answer to the lookup is here, *not validated*; comes at most once, before `resolved`. */
  | {
      readonly kind: 'arrived';
      readonly id: number;
      readonly answer: readonly RRset[];
    }
  | {
      readonly kind: 'resolved';
      readonly id: number;
      readonly resolution: Resolution;
    }
  | TrustEffect;

export interface ResolverOptions extends FindersOptions {
  /** Anchors that stay as they are. */
  readonly anchors: readonly TrustAnchor[];
  /** What else is taken on trust, or is not. */
  readonly trust?: Omit<TrustOptions, 'fixed'>;
}

/** Different questions on their way at once, and who waits for them. */
const [maxJobs, maxWaiters] = [1000, 4000];
/** Questions asked upstream for one lookup. */
const maxQuestions = 100;
/** The deepest zone cut that is guessed before anything is known: `example.co.uk`. */
const guessedLabels = 3;

/**
 * A validating resolver that asks other resolvers (RFC 4035 §4, §5). A lookup walks from alias to alias, from the cache
 * or upstream; each step is judged by the chain of trust, whose own questions leave together with the first one as
 * far as they can be guessed, and are remembered zone by zone. The AD bit of upstreams is never looked at.
 *
 * **Limitations:** no synthesis from cached denials (RFC 8198).
 */
export class Resolver {
  readonly #trust: Trust;
  readonly #finders: Finders;
  readonly #cache = new Cache();
  readonly #zones = new Zones();
  readonly #jobs = new Map<string, Job>();
  /** Lookups that have more to check than one step may, and since when. */
  readonly #paused = new Map<Job, Instant>();
  #turn = new Turn();
  /** Which question each waiter waits for. */
  readonly #waiting = new Map<number, Job>();
  readonly #shared = new Map<string, { readonly exchange: Exchange; readonly jobs: Set<Job> }>();
  readonly #counters = {
    lookups: 0,
    fromCache: 0,
    secure: 0,
    insecure: 0,
    bogus: 0,
    indeterminate: 0,
  };

  constructor(options: ResolverOptions) {
    this.#trust = new Trust({ fixed: options.anchors, ...options.trust });
    this.#finders = new Finders(options);
  }

  handle(input: ResolverInput, now: Instant, wall: WallSeconds): readonly ResolverEffect[] {
    const effects: ResolverEffect[] = [];
    this.#turn = new Turn();
    this.#trust.tick(this.#asking(now, effects), now, wall, effects);
    switch (input.kind) {
      case 'lookup':
        this.#lookup(input, now, wall, effects);
        break;
      case 'cancel':
        this.#waiting.get(input.id)?.waiters.delete(input.id);
        this.#waiting.delete(input.id);
        break;
      case 'reply':
        for (const exchange of this.#finders.received(input.ask, input.octets, now, effects))
          this.#replied(exchange, now, wall, effects);
        break;
      case 'failed':
        for (const exchange of this.#finders.failed(input.ask, input.why, now, effects))
          this.#replied(exchange, now, wall, effects);
        break;
      case 'anchorsFetched':
        this.#distrust(this.#trust.fetched(input.anchors, wall, effects));
        break;
      case 'anchorsNotFetched':
        this.#trust.fetchFailed(input.why, wall, effects);
        break;
      case 'upstreams':
        this.#finders.use(input.routes, now);
        break;
      case 'moved':
        this.#finders.forgetCookies();
        break;
      case 'tick':
        this.#tick(now, wall, effects);
        break;
      default:
        input satisfies never;
    }
    return effects;
  }

  get deadline(): Deadline | undefined {
    let first: Instant | undefined;
    for (const { giveUpAt } of this.#jobs.values())
      if (first === undefined || giveUpAt < first) first = giveUpAt;
    const lookups = first === undefined ? undefined : { at: first, why: 'end of a lookup' };
    const [pausedAt] = this.#paused.values();
    const paused = pausedAt === undefined ? undefined : { at: pausedAt, why: 'more signatures to check' };
    return earliest([paused, this.#finders.deadline, lookups, this.#trust.deadline]);
  }

  /** The answer from the cache, at no cost, or undefined. It counts as a lookup. */
  cached(
    question: Question,
    checkingDisabled: boolean,
    now: Instant,
    wall: WallSeconds,
  ): Resolution | undefined {
    const known = this.#known(question, checkingDisabled, now, wall);
    if (!known) return undefined;
    this.#counters.lookups++;
    this.#counters.fromCache++;
    return known;
  }

  #known(
    question: Question,
    checkingDisabled: boolean,
    now: Instant,
    wall: WallSeconds,
  ): Resolution | undefined {
    if (question.class !== Class.IN) return undefined;
    const links: Link[] = [];
    let tookMs = 0;
    for (let at = question.name; links.length <= maxAliases;) {
      const known = this.#cache.get(at, question.type, now, wall);
      if (!known) return undefined;
      links.push(known.link);
      tookMs = Math.max(tookMs, known.tookMs);
      if (ends(known.link, question.type))
        return toldOf(this.#trust, question, links, { checkingDisabled, fromCache: true, tookMs }, wall);
      at = known.link.target ?? at;
    }
    return undefined;
  }

  /** The name lies in a zone that is known (from the cache) not to be signed. */
  knownInsecure(name: NameKey, now: Instant, wall: WallSeconds): boolean {
    if (this.#trust.exemption(name, wall)) return true;
    const zone = this.#zones.closest(name, now, wall);
    if (zone?.state.status !== 'insecure') return false;
    return !this.#trust.anchors.some(
      (a) => a.owner !== zone.name && isBelow(a.owner, zone.name) && isBelow(name, a.owner),
    );
  }

  /** Counters for status and metrics. */
  get stats(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      ...this.#finders.stats,
      lookupsOpen: this.#waiting.size,
      cachedSteps: this.#cache.size,
      cachedZones: this.#zones.size,
    };
  }

  #lookup(
    input: Extract<ResolverInput, { readonly kind: 'lookup' }>,
    now: Instant,
    wall: WallSeconds,
    effects: ResolverEffect[],
  ): void {
    const { id, question, checkingDisabled } = input;
    if (question.class !== Class.IN || isMeta(question.type)) {
      this.#counters.lookups++;
      effects.push({ kind: 'resolved', id, resolution: refusal(question) });
      return;
    }
    const known = this.cached(question, checkingDisabled, now, wall);
    if (known) {
      effects.push({ kind: 'resolved', id, resolution: known });
      return;
    }
    this.#counters.lookups++;
    const key = keyOf(question);
    let job = this.#jobs.get(key);
    if (this.#waiting.size >= maxWaiters || (!job && this.#jobs.size >= maxJobs)) {
      const state: Indeterminate = {
        status: 'indeterminate',
        ede: Ede.OTHER,
        why: 'too many lookups at the same time',
        unanchored: false,
      };
      effects.push({
        kind: 'resolved',
        id,
        resolution: resolutionOf([failure(question.name, state)], false, false, 0),
      });
      return;
    }
    if (!job) {
      job = newJob(question, now);
      this.#jobs.set(key, job);
    }
    job.waiters.set(id, { id, checkingDisabled, at: now, arrived: false });
    this.#waiting.set(id, job);
    this.#advance(job, now, wall, effects);
  }

  #replied(exchange: Exchange, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    this.#distrust(this.#trust.heard(exchange, this.#asking(now, effects), now, wall, effects));
    const shared = this.#shared.get(keyOf(exchange.question));
    if (shared?.exchange !== exchange) return;
    for (const job of [...shared.jobs])
      if (this.#jobs.get(job.key) === job) this.#advance(job, now, wall, effects);
  }

  /** Questions that nobody waits for but {@link Trust}. */
  #asking(now: Instant, effects: ResolverEffect[]) {
    return (question: Question, avoided: Origin | undefined): Exchange =>
      this.#finders.start(question, avoided, now, effects);
  }

  /** The anchors of these zones are others now: what they proved has to be proved again. */
  #distrust(zones: readonly NameKey[]): void {
    for (const zone of zones) this.#zones.delete(zone);
  }

  /** Lookups whose turn was over go on, the one that has waited longest first. */
  #continue(now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    for (const job of [...this.#paused.keys()]) {
      if (this.#turn.isOver) return;
      this.#paused.delete(job);
      if (this.#jobs.get(job.key) === job) this.#advance(job, now, wall, effects);
    }
  }

  #tick(now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    this.#continue(now, wall, effects);
    for (const exchange of this.#finders.tick(now, effects)) this.#replied(exchange, now, wall, effects);
    for (const job of [...this.#jobs.values()]) {
      if (now < job.giveUpAt || this.#jobs.get(job.key) !== job) continue;
      const open = [...job.exchanges.values()].find((e) => !e.reply)?.question;
      const missing = open
        ? `${typeName(open.type)} of ${nameText(open.name)} did not come`
        : 'it is not finished';
      const why = `after ${lookupMs / 1000} seconds ${missing}`;
      this.#end(
        job,
        {
          status: 'indeterminate',
          ede: Ede.NO_REACHABLE_AUTHORITY,
          why,
          unanchored: false,
        },
        now,
        wall,
        effects,
      );
    }
  }

  /** Goes as far as the replies that are here allow, and as this turn does. */
  #advance(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    job.budget.resume(this.#turn);
    try {
      this.#goOn(job, now, wall, effects);
    } catch (error) {
      if (!(error instanceof Paused)) throw error;
      this.#paused.set(job, now);
      if (job.at === undefined) tellArrived(job, effects);
    }
  }

  #goOn(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    this.#walk(job, now, wall, effects);
    const chain = new Chain({
      anchors: this.#trust.anchors,
      exemption: (name) => this.#trust.exemption(name, wall),
      zones: this.#zones,
      reply: (question) => this.#want(job, question, now, effects),
      now,
      wall,
      budget: job.budget,
    });
    let complete = job.at === undefined;
    for (const item of job.items) {
      if (!item.link && item.found)
        item.link = judge(chain, item.found.reply, item.found.step, job.question.type);
      if (!item.link) complete = false;
    }
    if (!complete) {
      if (job.at === undefined) tellArrived(job, effects);
      return;
    }
    const state = worst(job.items.flatMap((i) => (i.link ? [i.link.state] : [])));
    if (state.status === 'bogus' && this.#retry(job, state, now)) {
      this.#advance(job, now, wall, effects);
      return;
    }
    this.#finish(job, now, wall, effects);
  }

  /** Follows the aliases, from the cache or upstream, without waiting for their verdicts. */
  #walk(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    const { type } = job.question;
    while (job.at !== undefined) {
      const { at } = job;
      if (job.passed.has(at) || job.passed.size > maxAliases) {
        const why = job.passed.has(at)
          ? `the CNAMEs of ${nameText(at)} go round in a circle`
          : 'too many CNAMEs in a row';
        this.#endWith(
          job,
          failure(at, {
            status: 'indeterminate',
            ede: Ede.OTHER,
            why,
            unanchored: false,
          }),
          false,
        );
        return;
      }
      const known = job.retried ? undefined : this.#cache.get(at, type, now, wall);
      if (known) {
        if (ends(known.link, type)) this.#endWith(job, known.link, true);
        else {
          job.items.push({ found: undefined, link: known.link, cached: true });
          job.passed.add(at);
          job.at = known.link.target;
        }
        continue;
      }
      const question = { name: at, type, class: Class.IN };
      const isNew = !job.exchanges.has(keyOf(question));
      const reply = this.#want(job, question, now, effects);
      if (isNew) this.#guess(job, at, now, wall, effects);
      if (!reply) return;
      if (reply.kind === 'failure') {
        const why = `${nameText(at)} ${typeName(type)}: ${reply.why}`;
        this.#endWith(
          job,
          failure(at, {
            status: 'indeterminate',
            ede: reply.ede,
            why,
            unanchored: false,
          }),
          false,
        );
        return;
      }
      const { steps, open } = stepsOf(reply, at, type);
      for (const step of steps) {
        job.items.push({
          found: { step, reply },
          link: undefined,
          cached: false,
        });
        if (step.kind === 'alias') job.passed.add(step.name);
      }
      // What goes on where an earlier message stopped may lead too far as well.
      job.at = job.passed.size > maxAliases ? (open ?? steps.at(-1)?.name) : open;
    }
  }

  #endWith(job: Job, link: Link, cached: boolean): void {
    job.items.push({ found: undefined, link, cached });
    job.at = undefined;
  }

  /**
   * Asks for the keys of zones that `name` is likely to lie in, together with the question, where nothing nearer than
   * a top-level zone is known. In a zone that is known the answer's signatures tell whose keys it takes.
   */
  #guess(job: Job, name: NameKey, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    const anchor = this.#trust.anchors.find((a) => isBelow(name, a.owner))?.owner;
    const zone = this.#zones.closest(name, now, wall);
    if (anchor === undefined || zone?.state.status === 'insecure') return;
    if (this.#trust.exemption(name, wall)) return;
    if (!zone && anchor === rootName)
      this.#want(job, { name: rootName, type: Type.DNSKEY, class: Class.IN }, now, effects);
    const known = labelCount(zone?.name ?? anchor);
    if (known > 1) return;
    const count = labelCount(job.question.type === Type.DS ? (parentOf(name) ?? rootName) : name);
    const deepest = Math.min(guessedLabels, count > 2 ? count - 1 : count);
    for (let labels = known + 1; labels <= deepest; labels++) {
      const at = ancestorOf(name, labels);
      if (this.#zones.get(at, now, wall)) continue;
      this.#want(job, { name: at, type: Type.DS, class: Class.IN }, now, effects);
      this.#want(job, { name: at, type: Type.DNSKEY, class: Class.IN }, now, effects);
    }
  }

  /** The reply to a question that a job depends on, or undefined while it is on its way. */
  #want(job: Job, question: Question, now: Instant, effects: ResolverEffect[]): Reply | undefined {
    const key = keyOf(question);
    const own = job.exchanges.get(key);
    if (own) return own.reply;
    if (job.exchanges.size >= maxQuestions) {
      return {
        kind: 'failure',
        ede: Ede.OTHER,
        why: `it would take more than ${maxQuestions} questions`,
      };
    }
    let shared = this.#shared.get(key);
    if (!shared || (job.avoided !== undefined && shared.exchange.from === job.avoided)) {
      shared = {
        exchange: this.#finders.start(question, job.avoided, now, effects),
        jobs: new Set(),
      };
      this.#shared.set(key, shared);
    }
    shared.jobs.add(job);
    job.exchanges.set(key, shared.exchange);
    return shared.exchange.reply;
  }

  /** After bogus data the question, and whatever else is to blame, goes once to another upstream (RFC 4035 §4.7). */
  #retry(job: Job, state: Bogus, now: Instant): boolean {
    if (job.retried) return false;
    const blamed = state.culprits.map((question) => job.exchanges.get(keyOf(question)));
    const culprit = blamed.find((e) => e?.from !== undefined) ?? this.#answersOf(job)[0];
    if (!culprit?.from || !this.#finders.hasOther(culprit, now)) return false;
    job.retried = true;
    job.avoided = culprit.from;
    for (const exchange of [...blamed, ...this.#answersOf(job)]) {
      if (exchange?.reply) this.#forget(job, exchange);
    }
    for (const { name } of state.culprits) this.#zones.delete(name);
    job.items = [];
    job.passed = new Set();
    job.at = job.question.name;
    return true;
  }

  #answersOf(job: Job): Exchange[] {
    return [...job.exchanges.values()].filter(
      (e) =>
        e.question.type === job.question.type &&
        (job.passed.has(e.question.name) || e.question.name === job.question.name),
    );
  }

  #forget(job: Job, exchange: Exchange): void {
    const key = keyOf(exchange.question);
    job.exchanges.delete(key);
    const shared = this.#shared.get(key);
    if (shared?.exchange !== exchange) return;
    shared.jobs.delete(job);
    this.#shared.delete(key);
  }

  #end(job: Job, state: Indeterminate, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    for (const item of job.items) {
      if (!item.link && item.found)
        item.link = {
          ...failure(item.found.step.name, state),
          sets: setsOf(item.found.step),
        };
    }
    if (job.at !== undefined) this.#endWith(job, failure(job.at, state), false);
    this.#finish(job, now, wall, effects);
  }

  #finish(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    this.#jobs.delete(job.key);
    const isClockWrong = this.#trust.clockFault(wall) !== undefined;
    const links: Link[] = [];
    for (const { link, cached } of job.items) {
      if (!link) continue;
      links.push(link);
      // What we did not want to pay for may well be in order: the next lookup starts from the zones that this one proved.
      const unpaid = job.budget.exhausted && link.state.status === 'bogus';
      if (!cached && !unpaid && !isClockWrong)
        this.#cache.set(link, job.question.type, now - job.startedAt, now);
    }
    this.#counters[worst(links.map((l) => l.state)).status]++;
    const fromCache = job.items.every((i) => i.cached);
    for (const waiter of job.waiters.values()) {
      this.#waiting.delete(waiter.id);
      const how = {
        checkingDisabled: waiter.checkingDisabled,
        fromCache,
        tookMs: now - waiter.at,
      };
      const resolution = toldOf(this.#trust, job.question, links, how, wall);
      effects.push({ kind: 'resolved', id: waiter.id, resolution });
    }
    for (const [key, exchange] of job.exchanges) {
      const shared = this.#shared.get(key);
      if (shared?.exchange !== exchange) {
        if (!exchange.reply) this.#finders.abandon(exchange, effects);
        continue;
      }
      shared.jobs.delete(job);
      if (shared.jobs.size > 0) continue;
      this.#shared.delete(key);
      if (!exchange.reply) this.#finders.abandon(exchange, effects);
    }
  }
}
