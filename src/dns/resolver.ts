import type { HealthNote } from '../health.ts';
import { earliest, type Deadline, type Instant, type WallSeconds } from '../time.ts';
import type { TrustAnchor } from './anchors.ts';
import { Trust, type Doubt, type TrustEffect, type TrustOptions } from './anchors/trust.ts';
import { Cache, cacheDefaults, maybeStale, zoneShare, type CacheOptions } from './cache/cache.ts';
import { Keeper } from './cache/keeper.ts';
import { SavedReplies } from './cache/saved.ts';
import { Paused, Turn } from './dnssec/budget.ts';
import { Chain, type Reply } from './dnssec/chain.ts';
import { judge, worst, type Link } from './dnssec/validate.ts';
import { Zones, ZonesWithout, type Bogus, type Indeterminate, type ZoneEntry } from './dnssec/zones.ts';
import type { Exchange, FinderEffect, Origin } from './finder.ts';
import { Finders, type FindersOptions, type Routes } from './finders.ts';
import { isWithoutSignatures } from './forward.ts';
import { keyOf, newJob, patienceMs, setsOf, tellArrived, type Job } from './job.ts';
import { limitDefaults, type Limits } from './limits.ts';
import { stepsOf, type Steps } from './links.ts';
import type { Question } from './message.ts';
import { ancestorOf, isBelow, labelCount, nameText, parentOf, rootName, type NameKey } from './name.ts';
import type { Own } from './own.ts';
import { Refreshes } from './refreshes.ts';
import {
  isOutage,
  staleResolution,
  ends,
  failure,
  isMeta,
  refusal,
  resolutionOf,
  type AskedFor,
  type Resolution,
} from './resolution.ts';
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
  | { readonly kind: 'reply'; readonly ask: number; readonly octets: Uint8Array }
  | { readonly kind: 'failed'; readonly ask: number; readonly why: string }
  /** The network names other resolvers; what is under way goes on. */
  | { readonly kind: 'upstreams'; readonly routes: Routes }
  /** This host has other addresses than before; `own`: where we listen now, if that is known. */
  | { readonly kind: 'moved'; readonly own?: Own }
  /** The answer to `fetchAnchors`: anchors whose signature was checked. */
  | { readonly kind: 'anchorsFetched'; readonly anchors: readonly TrustAnchor[] }
  | { readonly kind: 'anchorsNotFetched'; readonly why: string }
  /** Forgets what the cache knows of a name, or all of it; `flushed` follows. */
  | { readonly kind: 'flush'; readonly request: number; readonly what: Flush }
  /** What `keepCache` gave in an earlier run, to spare asking again; it is validated again. */
  | { readonly kind: 'restored'; readonly octets: Uint8Array }
  /** There will be no other chance to keep the cache: `keepCache` follows at once, unless it is not wanted. */
  | { readonly kind: 'keep' }
  | { readonly kind: 'tick' };

/** What of the cache is to be forgotten. */
export interface Flush {
  /** Undefined: everything. */
  readonly name: NameKey | undefined;
  /** Undefined: of every type. */
  readonly type?: number | undefined;
  /** All names below `name` as well. */
  readonly tree?: boolean;
}

export type ResolverEffect =
  | FinderEffect
  /** The answer to the lookup is here, *not validated*; comes at most once, before `resolved`. */
  | { readonly kind: 'arrived'; readonly id: number; readonly answer: readonly RRset[] }
  | { readonly kind: 'resolved'; readonly id: number; readonly resolution: Resolution }
  | { readonly kind: 'flushed'; readonly request: number; readonly entries: number }
  /** What is to be there at the next start, to come back as `restored`: it takes the place of what was kept before. */
  | { readonly kind: 'keepCache'; readonly octets: Uint8Array }
  | TrustEffect;

export interface ResolverOptions extends FindersOptions {
  /** Anchors that stay as they are. */
  readonly anchors: readonly TrustAnchor[];
  /** What else is taken on trust, or is not. */
  readonly trust?: Omit<TrustOptions, 'fixed'>;
  readonly cache?: Partial<Omit<CacheOptions, 'mayDeny'>> & {
    /** Whether `keepCache` is wanted. */
    readonly keep?: boolean;
  };
}

/** How many may wait for each of the lookups that may be open, on average. */
const waitersEach = 4;
/** The deepest zone cut that is guessed before anything is known: `example.co.uk`. */
const guessedLabels = 3;
/** What of the cache's memory the file may take. */
const keptShare = 1 / 8;

/**
 * A validating resolver that asks other resolvers (RFC 4035 §4, §5). A lookup walks from alias to alias, from the cache
 * or upstream; each step is judged by the chain of trust, whose own questions leave together with the first one as
 * far as they can be guessed, and are remembered zone by zone. The AD bit of upstreams is never looked at.
 */
export class Resolver {
  readonly #limits: Limits;
  readonly #trust: Trust;
  readonly #finders: Finders;
  readonly #cache: Cache;
  readonly #zones: Zones;
  readonly #saved: SavedReplies;
  readonly #refreshes = new Refreshes();
  readonly #cacheOptions: Required<NonNullable<ResolverOptions['cache']>>;
  /** Undefined: the cache is not kept over a restart. */
  readonly #keeper: Keeper | undefined;
  #generation = 0;
  readonly #jobs = new Map<string, Job>();
  /** Lookups that have more to check than one step may, and since when. */
  readonly #paused = new Map<Job, Instant>();
  #turn = new Turn(0 as Instant);
  /** Which question each waiter waits for. */
  readonly #waiting = new Map<number, Job>();
  /** Exchanges that were begun because an earlier one came without signatures. */
  readonly #askedAnew = new WeakSet<Exchange>();
  readonly #shared = new Map<string, { readonly exchange: Exchange; readonly jobs: Set<Job> }>();
  readonly #counters = {
    lookups: 0,
    fromCache: 0,
    stale: 0,
    flushed: 0,
    secure: 0,
    insecure: 0,
    bogus: 0,
    indeterminate: 0,
  };

  constructor(options: ResolverOptions) {
    this.#limits = options.limits ?? limitDefaults;
    this.#trust = new Trust({ fixed: options.anchors, ...options.trust });
    const probes = this.#trust.anchors.some((a) => a.owner === rootName);
    this.#finders = new Finders({ probes, ...options });
    this.#cacheOptions = { ...cacheDefaults, keep: false, ...options.cache };
    const { limitOctets } = this.#cacheOptions;
    this.#cache = new Cache({ ...this.#cacheOptions, mayDeny: this.#mayDeny.bind(this) });
    this.#zones = new Zones((limitOctets * zoneShare) / 2);
    this.#saved = new SavedReplies((limitOctets * zoneShare) / 2);
    this.#keeper = this.#cacheOptions.keep
      ? new Keeper(this.#cache, this.#saved, limitOctets * keptShare, (name) => this.#isEverywhere(name))
      : undefined;
  }

  handle(input: ResolverInput, now: Instant, wall: WallSeconds): readonly ResolverEffect[] {
    const effects: ResolverEffect[] = [];
    if (input.kind === 'tick' || this.#turn.isPast(now)) this.#turn = new Turn(now);
    this.#doubt(this.#trust.tick(this.#asking(now, effects), now, wall, effects));
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
        this.#reroute(input.routes, now, effects);
        break;
      case 'moved':
        this.#finders.moved(now, effects, input.own);
        this.#leaveNetwork();
        break;
      case 'flush':
        effects.push({ kind: 'flushed', request: input.request, entries: this.#flush(input.what) });
        break;
      case 'restored':
        this.#saved.restore(input.octets, wall);
        for (const name of this.#finders.zoneNames) this.#saved.forget(name, undefined, name !== rootName);
        break;
      case 'keep':
        this.#keep(this.#keeper?.whole(now, wall), wall, effects);
        break;
      case 'tick':
        this.#tick(now, wall, effects);
        break;
      default:
        input satisfies never;
    }
    // Not with a lookup: whoever asks goes first.
    if (input.kind !== 'lookup') this.#refresh(now, wall, effects);
    return effects;
  }

  /** Grows when answers given before may not be given again: after a flush, other upstreams, other anchors. */
  get generation(): number {
    return this.#generation;
  }

  get deadline(): Deadline | undefined {
    let first: Instant | undefined;
    // They stand in the order in which they began, and have the same time: what is due of later ones is due later.
    for (const { giveUpAt, staleAt, waiters } of this.#jobs.values()) {
      first ??= giveUpAt;
      if (staleAt === undefined || waiters.size === 0) continue;
      if (staleAt < first) first = staleAt;
      break;
    }
    const lookups = first === undefined ? undefined : { at: first, why: 'end of a lookup' };
    const [pausedAt] = this.#paused.values();
    const paused = pausedAt === undefined ? undefined : { at: pausedAt, why: 'more signatures to check' };
    return earliest([
      paused,
      this.#finders.deadline,
      lookups,
      this.#trust.deadline,
      this.#refreshes.deadline,
      this.#keeper?.deadline,
    ]);
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
    for (let at = question.name; links.length <= this.#limits.aliases;) {
      const known = this.#cache.get(at, question.type, now, wall);
      if (!known) return undefined;
      if (known.isDue) this.#refreshes.wantAnswer({ ...question, name: at }, now);
      if (isOutage(known.link.state)) {
        const stale = this.#stale(question, 0, now, wall);
        if (stale) return stale;
      }
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

  /** How it stands with the trust anchors, the clock and the ways to the upstreams, for people. */
  notes(wall: WallSeconds, now = 0 as Instant): HealthNote[] {
    return [...this.#trust.notes(wall), ...this.#finders.notes(now)];
  }

  /** What is known of the zones from the root down to `name`, for `oe dig`. */
  zonesTo(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry[] {
    const found: ZoneEntry[] = [];
    for (let labels = 0; labels <= labelCount(name); labels++) {
      const entry = this.#zones.get(ancestorOf(name, labels), now, wall);
      if (entry && entry.state.status !== 'notCut') found.push(entry);
    }
    return found;
  }

  /** Counters for status and metrics. */
  get stats(): Readonly<Record<string, number>> {
    return {
      ...this.#counters,
      ...this.#finders.stats,
      lookupsOpen: this.#waiting.size,
      cachedSteps: this.#cache.size,
      cachedDenials: this.#cache.denials,
      cachedZones: this.#zones.size,
      cachedOctets: this.#cache.octets + this.#zones.octets + this.#saved.octets,
      refreshed: this.#refreshes.count,
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
    const { openLookups } = this.#limits;
    if (this.#waiting.size >= openLookups * waitersEach || (!job && this.#jobs.size >= openLookups)) {
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
    if (job && now - job.startedAt >= patienceMs) {
      const stale = this.#stale(question, 0, now, wall);
      if (stale) {
        effects.push({ kind: 'resolved', id, resolution: stale });
        return;
      }
    }
    if (!job) {
      job = newJob(question, now, this.#limits);
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
    if (zones.length > 0) this.#generation++;
  }

  /** What was told by another clock, or by an exception that has ended, may not be told again. */
  #doubt({ clock, exceptions }: Doubt): void {
    if (clock) {
      this.#zones.clear();
      this.#generation++;
    }
    for (const name of exceptions) this.#flush({ name, tree: true });
    if (!clock && exceptions.length === 0) return;
    // What was judged already and waits for the rest of its lookup is judged again.
    for (const job of this.#jobs.values()) if (!job.proving) this.#walkAgain(job);
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
    this.#keep(this.#keeper?.tick(now, wall), wall, effects);
    for (const job of [...this.#jobs.values()]) {
      if (job.staleAt !== undefined && now >= job.staleAt) this.#soothe(job, now, wall, effects);
      if (now < job.giveUpAt || this.#jobs.get(job.key) !== job) continue;
      const open = [...job.exchanges.values()].find((e) => !e.reply)?.question;
      const missing = open
        ? `${typeName(open.type)} of ${nameText(open.name)} did not come`
        : 'it is not finished';
      const why = `after ${this.#limits.seconds} seconds ${missing}`;
      this.#end(
        job,
        { status: 'indeterminate', ede: Ede.NO_REACHABLE_AUTHORITY, why, unanchored: false },
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
    // Nothing is here yet that could be judged.
    if (job.at !== undefined && job.items.length === 0) return;
    const chain = new Chain({
      anchors: this.#trust.anchors,
      ...(!job.isTrial && { exemption: (name) => this.#trust.exemption(name, wall) }),
      islands: this.#finders.zoneNames,
      zones: job.proving ?? this.#zones,
      reply: (question) => this.#want(job, question, now, wall, effects),
      now,
      wall,
      budget: job.budget,
    });
    if (job.proving) {
      this.#prove(job, chain, effects);
      return;
    }
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
    if (state.status === 'bogus' && (this.#doWithoutSaved(job, state) || this.#retry(job, state, now))) {
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
      if (job.passed.has(at) || job.passed.size > this.#limits.aliases) {
        const why = job.passed.has(at)
          ? `the CNAMEs of ${nameText(at)} go round in a circle`
          : 'too many CNAMEs in a row';
        this.#endWith(
          job,
          failure(at, { status: 'indeterminate', ede: Ede.OTHER, why, unanchored: false }),
          false,
        );
        return;
      }
      const isWanted = job.retried || (job.isRefresh && at === job.question.name);
      const known = isWanted ? undefined : this.#cache.get(at, type, now, wall);
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
      const asked = job.exchanges.size;
      const reply = this.#want(job, question, now, wall, effects);
      if (job.exchanges.size > asked) this.#guess(job, at, now, wall, effects);
      if (!reply) return;
      if (reply.kind === 'failure') {
        const why = `${nameText(at)} ${typeName(type)}: ${reply.why}`;
        this.#endWith(
          job,
          failure(at, { status: 'indeterminate', ede: reply.ede, why, unanchored: false }),
          false,
        );
        return;
      }
      const { steps, open } = this.#ownSteps(stepsOf(reply, at, type), at);
      for (const step of steps) {
        job.items.push({ found: { step, reply }, link: undefined, cached: false });
        if (step.kind !== 'alias') continue;
        job.passed.add(step.name);
        if (job.passed.size > this.#limits.aliases) break;
      }
      // What goes on where an earlier message stopped may lead too far as well.
      job.at = job.passed.size > this.#limits.aliases ? (open ?? steps.at(-1)?.name) : open;
    }
  }

  /**
   * The steps as far as whoever replied is the one to ask: the resolver of a network has no say in the names of others,
   * nor they in its own.
   */
  #ownSteps(all: Steps, name: NameKey): Steps {
    const zone = this.#finders.zoneOf(name);
    const end = all.steps.findIndex((step) => this.#finders.zoneOf(step.name) !== zone);
    return end < 0 ? all : { steps: all.steps.slice(0, end), open: all.steps[end]?.name };
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
      this.#want(job, { name: rootName, type: Type.DNSKEY, class: Class.IN }, now, wall, effects);
    const known = labelCount(zone?.name ?? anchor);
    if (known > 1) return;
    const count = labelCount(job.question.type === Type.DS ? (parentOf(name) ?? rootName) : name);
    const deepest = Math.min(guessedLabels, count > 2 ? count - 1 : count);
    for (let labels = known + 1; labels <= deepest; labels++) {
      const at = ancestorOf(name, labels);
      if (this.#zones.get(at, now, wall)) continue;
      // Where its DS is here already, the chain knows whether there are keys to be asked for.
      if (this.#want(job, { name: at, type: Type.DS, class: Class.IN }, now, wall, effects)) continue;
      this.#want(job, { name: at, type: Type.DNSKEY, class: Class.IN }, now, wall, effects);
    }
  }

  /** The reply to a question that a job depends on, or undefined while it is on its way. */
  #want(
    job: Job,
    question: Question,
    now: Instant,
    wall: WallSeconds,
    effects: ResolverEffect[],
  ): Reply | undefined {
    const key = keyOf(question);
    const own = job.exchanges.get(key);
    if (own && !this.#isStripped(job, own)) return own.reply;
    const saved = job.ignoresSaved || job.isRefresh ? undefined : this.#saved.reply(question, wall);
    if (saved) {
      job.exchanges.set(key, { question, reply: saved, from: undefined });
      job.usesSaved = true;
      return saved;
    }
    const { questions } = this.#limits;
    if (job.exchanges.size >= questions) {
      return { kind: 'failure', ede: Ede.OTHER, why: `it would take more than ${questions} questions` };
    }
    let shared = this.#shared.get(key);
    if (!shared || (job.avoided !== undefined && shared.exchange.from === job.avoided)) {
      shared = { exchange: this.#finders.start(question, job.avoided, now, effects, job), jobs: new Set() };
      this.#shared.set(key, shared);
      if (own) this.#askedAnew.add(shared.exchange);
    }
    shared.jobs.add(job);
    job.exchanges.set(key, shared.exchange);
    return shared.exchange.reply;
  }

  /**
   * Whoever gave bogus data once, and strips signatures, does so everywhere: what else came from there is asked anew,
   * once, also where it comes only now.
   */
  #isStripped(job: Job, exchange: Exchange): boolean {
    const isAvoided = job.avoided !== undefined && exchange.from === job.avoided;
    return isAvoided && !this.#askedAnew.has(exchange) && isWithoutSignatures(exchange.reply);
  }

  /** After bogus data the question, and whatever else is to blame, goes once to another upstream (RFC 4035 §4.7). */
  #retry(job: Job, state: Bogus, now: Instant): boolean {
    // For a refresh that nobody waits for there will be other occasions.
    if (job.retried || (job.isRefresh && job.waiters.size === 0)) return false;
    const blamed = state.culprits.map((question) => job.exchanges.get(keyOf(question)));
    const culprit = blamed.find((e) => e?.from !== undefined) ?? this.#answersOf(job)[0];
    if (!culprit?.from || !this.#finders.hasOther(culprit, now)) return false;
    job.retried = true;
    job.avoided = culprit.from;
    for (const exchange of [...blamed, ...this.#answersOf(job)]) {
      if (exchange?.reply) this.#forget(job, exchange);
    }
    this.#beginAgain(job, state);
    return true;
  }

  /** What an earlier run left, somebody may have changed, and the zone may have changed since: it is asked anew. */
  #doWithoutSaved(job: Job, state: Bogus): boolean {
    if (!job.usesSaved) return false;
    job.usesSaved = false;
    job.ignoresSaved = true;
    for (const [key, exchange] of job.exchanges) {
      if (exchange.from !== undefined) continue;
      job.exchanges.delete(key);
      this.#saved.forget(exchange.question.name, undefined, false);
      this.#zones.delete(exchange.question.name);
    }
    this.#beginAgain(job, state);
    return true;
  }

  #beginAgain(job: Job, state: Bogus): void {
    for (const { name } of state.culprits) this.#zones.delete(name);
    this.#walkAgain(job);
  }

  #walkAgain(job: Job): void {
    job.items = [];
    job.passed = new Set();
    job.at = job.question.name;
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
        item.link = { ...failure(item.found.step.name, state), sets: setsOf(item.found.step) };
    }
    if (job.at !== undefined) this.#endWith(job, failure(job.at, state), false);
    this.#finish(job, now, wall, effects);
  }

  #finish(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    if (job.isTrial) {
      const [first] = job.items;
      if (first?.link) this.#trust.tried(job.question.name, first.link.state, wall, effects);
      this.#close(job, effects);
      return;
    }
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
    if (this.#keeper && !isClockWrong) {
      this.#noteProofs(job, now, wall);
      this.#keeper.changed(now);
    }
    const state = worst(links.map((l) => l.state));
    if (!job.isRefresh) this.#counters[state.status]++;
    const stale =
      job.waiters.size > 0 && isOutage(state)
        ? this.#stale(job.question, now - job.startedAt, now, wall)
        : undefined;
    const fromCache = job.items.every((i) => i.cached);
    const asked = [...job.exchanges.values()].map(({ question, from, trace = [] }): AskedFor => ({
      question,
      from: from?.text,
      trace,
    }));
    for (const waiter of job.waiters.values()) {
      this.#waiting.delete(waiter.id);
      const how = { checkingDisabled: waiter.checkingDisabled, fromCache, tookMs: now - waiter.at };
      const resolution = stale ?? toldOf(this.#trust, job.question, links, how, wall);
      effects.push({ kind: 'resolved', id: waiter.id, resolution: { ...resolution, asked } });
    }
    this.#close(job, effects);
  }

  /** Nothing of the job is wanted any longer. */
  #close(job: Job, effects: ResolverEffect[]): void {
    this.#jobs.delete(job.key);
    if (job.isRefresh) this.#refreshes.ended();
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

  /** Begins what is to be asked again, as far as it may be under way at once. */
  #refresh(now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    for (const name of this.#zones.due) this.#refreshes.wantZone(name, now);
    this.#zones.due.clear();
    for (const name of this.#trust.trials(now, wall)) this.#refreshes.wantTrial(name, now);
    for (let next = this.#refreshes.next(now); next; next = this.#refreshes.next(now)) {
      const { key, question, kind } = next;
      if (this.#jobs.has(key) || this.#jobs.size >= this.#limits.openLookups) {
        this.#refreshes.ended();
        continue;
      }
      const proving = kind === 'zone' ? new ZonesWithout(this.#zones, question.name) : undefined;
      const job = newJob(question, now, this.#limits, {
        key,
        isRefresh: true,
        proving,
        isTrial: kind === 'trial',
      });
      this.#jobs.set(key, job);
      this.#advance(job, now, wall, effects);
    }
  }

  /** The keys of a zone, proved anew by the zones above it; a proof that stands is not given up for one that fails. */
  #prove(job: Job, chain: Chain, effects: ResolverEffect[]): void {
    const entry = chain.zone(job.question.name);
    if (!entry) return;
    if (entry.state.status !== 'bogus' && entry.state.status !== 'indeterminate') this.#zones.set(entry);
    this.#close(job, effects);
  }

  /** What was known before its time was over, for when nobody answers (RFC 8767). */
  #stale(question: Question, tookMs: number, now: Instant, wall: WallSeconds): Resolution | undefined {
    if (!maybeStale(question.type) || this.#trust.clockFault(wall) !== undefined) return undefined;
    const links: Link[] = [];
    for (let at = question.name; links.length <= this.#limits.aliases;) {
      const link = this.#cache.stale(at, question.type, now, wall);
      if (!link) return undefined;
      links.push(link);
      if (link.target === undefined) {
        this.#counters.stale++;
        return staleResolution(links, tookMs);
      }
      at = link.target;
    }
    return undefined;
  }

  /** Those who wait have waited long enough, if there is anything to give them; the job itself goes on. */
  #soothe(job: Job, now: Instant, wall: WallSeconds, effects: ResolverEffect[]): void {
    job.staleAt = undefined;
    const resolution = this.#stale(job.question, now - job.startedAt, now, wall);
    if (!resolution) return;
    for (const { id } of job.waiters.values()) {
      this.#waiting.delete(id);
      effects.push({ kind: 'resolved', id, resolution });
    }
    job.waiters.clear();
  }

  /** Nothing is denied below a negative trust anchor, nor beyond a zone cut that is known. */
  #mayDeny(zone: NameKey, name: NameKey, now: Instant, wall: WallSeconds): boolean {
    if (this.#trust.exemption(name, wall)) return false;
    // Whoever answers for the rest of the DNS does not know what is in there.
    if (this.#finders.zoneNames.some((z) => z !== rootName && isBelow(name, z))) return false;
    const closest = this.#zones.closest(name, now, wall);
    return closest === undefined || closest.name === name || isBelow(zone, closest.name);
  }

  /** What is said of `name` does not depend on the network that this host is in, as far as is known. */
  #isEverywhere(name: NameKey): boolean {
    const zone = this.#finders.zoneOf(name);
    return zone === undefined || zone === rootName;
  }

  /** Names that are asked elsewhere than before may be others there. */
  #reroute(routes: Routes, now: Instant, effects: ResolverEffect[]): void {
    const before = this.#finders.zoneNames;
    this.#finders.use(routes, now, effects);
    const after = this.#finders.zoneNames;
    this.#leaveNetwork();
    for (const zone of new Set([...before, ...after])) {
      if (before.includes(zone) && after.includes(zone)) continue;
      this.#flush({ name: zone, tree: true });
      for (let at = parentOf(zone); at !== undefined && at !== rootName; at = parentOf(at))
        this.#zones.forget(at, false);
    }
  }

  /**
   * What no signature proves is the word of somebody in the network, and may be another's in the next: addresses of
   * unsigned names, and what is made up of ipv4only.arpa to tell of a translator (RFC 7050 §3).
   */
  #leaveNetwork(): void {
    this.#generation++;
    this.#counters.flushed += this.#cache.forgetUnproved();
  }

  #flush({ name, type, tree = false }: Flush): number {
    this.#generation++;
    this.#finders.forget(name ?? rootName, tree || name === undefined);
    const isProof = type === undefined || type === Type.DS || type === Type.DNSKEY;
    const entries =
      name === undefined
        ? this.#cache.clear() + this.#zones.clear() + this.#saved.clear()
        : this.#cache.forget(name, type, tree) +
          (isProof ? this.#zones.forget(name, tree) : 0) +
          this.#saved.forget(name, type, tree);
    this.#counters.flushed += entries;
    return entries;
  }

  /** Replies that proved something about keys of zones: the next run needs them as well. */
  #noteProofs(job: Job, now: Instant, wall: WallSeconds): void {
    for (const { question, reply, from } of job.exchanges.values()) {
      if (from === undefined || reply?.kind !== 'message') continue;
      if (question.type !== Type.DS && question.type !== Type.DNSKEY) continue;
      const status = this.#zones.get(question.name, now, wall)?.state.status;
      if (status === 'secure' || status === 'insecure' || status === 'notCut')
        this.#saved.note(question, reply, wall);
    }
  }

  /** While the clock is wrong, nobody knows how old anything is. */
  #keep(octets: Uint8Array | undefined, wall: WallSeconds, effects: ResolverEffect[]): void {
    if (octets && this.#trust.clockFault(wall) === undefined) effects.push({ kind: 'keepCache', octets });
  }
}
