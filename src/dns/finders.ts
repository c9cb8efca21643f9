import type { HealthNote } from '../health.ts';
import type { IpAddress } from '../net/address.ts';
import type { Random } from '../random.ts';
import { earliest, later, type Deadline, type Instant } from '../time.ts';
import { Asks, type Heard } from './asks.ts';
import type { Reply } from './dnssec/chain.ts';
import type { EffectSink, Exchange, Finder, Origin, Server } from './finder.ts';
import { Forward } from './forward.ts';
import { limitDefaults, type Limits } from './limits.ts';
import type { Question } from './message.ts';
import { isBelow, parentOf, rootName, type NameKey } from './name.ts';
import type { Own } from './own.ts';
import { rootHints, type Hint } from './recurse/hints.ts';
import type { QnameMinimisation } from './recurse/minimise.ts';
import { Recursion } from './recurse/recursion.ts';
import { Class, Type } from './types.ts';

/** A zone whose names are asked elsewhere than all others. */
export interface RoutedZone {
  readonly name: NameKey;
  /** `forward`: the servers are resolvers; `stub`: they are the zone's own. */
  readonly kind: 'forward' | 'stub';
  readonly servers: readonly Server[];
}

/** Whom the names of the DNS are asked of. */
export interface Routes {
  /** Resolvers for every name that no zone claims; not asked where the mode is `recurse`. */
  readonly upstreams: readonly Server[];
  readonly zones?: readonly RoutedZone[];
}

/** The addresses of all servers that `routes` name. */
export function serverAddresses({ upstreams, zones = [] }: Routes): IpAddress[] {
  return [...upstreams, ...zones.flatMap((z) => z.servers)].map((s) => s.endpoint.address);
}

/** What {@link Finders} are made from. */
export interface FindersOptions extends Routes {
  /** Absent: `forward`. */
  readonly mode?: 'forward' | 'recurse';
  readonly random: Random;
  /** Absent: the root's servers as they are shipped. */
  readonly hints?: readonly Hint[];
  /** Absent: `relaxed`. */
  readonly qnameMinimisation?: QnameMinimisation;
  /** Absent: as they are shipped. */
  readonly limits?: Limits;
  /** Where we listen ourselves: no zone can have us ask there. Absent: nowhere. */
  readonly own?: Own;
  /**
   * Find out how DNSSEC gets through to the upstreams, and iterate where it does not at all; the root must be signed for
   * that. Absent: no.
   */
  readonly probes?: boolean;
  /** Ask the upstreams for encrypted ways to them (RFC 9462). Absent: no. */
  readonly discovers?: boolean;
}

/** A question on its way, whichever finder has it now. */
class Routed implements Exchange {
  readonly question: Question;
  reply: Reply | undefined;
  from: Origin | undefined;
  inner: Exchange;
  finder: Finder;
  readonly payer: object | undefined;

  constructor(inner: Exchange, finder: Finder, payer: object | undefined) {
    this.question = inner.question;
    this.reply = inner.reply;
    this.from = inner.from;
    this.inner = inner;
    this.finder = finder;
    this.payer = payer;
  }

  get trace(): readonly string[] {
    return this.inner.trace ?? [];
  }
}

/**
 * The ways of finding out what the DNS says: which one serves a question depends on its name. A zone has its names and
 * all below them, the nearest zone first; DS lies on the parent's side of the cut and is asked there (RFC 4035 §4.2).
 */
export class Finders {
  readonly #asks: Asks;
  readonly #recursion: Recursion;
  readonly #isRecursive: boolean;
  readonly #upstreams: Forward;
  #zones: readonly { readonly name: NameKey; readonly finder: Finder }[] = [];
  /** By name; those that lost their zone remain until nothing of theirs is on its way. */
  readonly #forwards = new Map<NameKey, Forward>();
  readonly #routed = new Map<Exchange, Routed>();
  readonly #stubs: readonly RoutedZone[];
  readonly #random: Random;
  readonly #lastResort: LastResort;
  readonly #mayResort: boolean;
  /** Questions that no upstream answers, until it is known whether iteration does. */
  readonly #stranded = new Set<Routed>();

  constructor(options: FindersOptions) {
    const { random } = options;
    this.#asks = new Asks(random);
    this.#isRecursive = options.mode === 'recurse';
    this.#stubs = (options.zones ?? []).filter((z) => z.kind === 'stub');
    this.#recursion = new Recursion(this.#asks, {
      hints: options.hints ?? rootHints,
      random,
      qnameMinimisation: options.qnameMinimisation ?? 'relaxed',
      limits: (options.limits ?? limitDefaults).recursion,
      stubs: this.#stubs,
      ...(options.own && { own: options.own }),
    });
    this.#random = random;
    this.#upstreams = new Forward(this.#asks, options.upstreams, options);
    this.#lastResort = new LastResort(this.#recursion);
    this.#mayResort = !this.#isRecursive && options.probes === true;
    this.#routeZones(options.zones ?? [], 0 as Instant, []);
  }

  /** The zones whose names are asked elsewhere than all others. */
  get zoneNames(): readonly NameKey[] {
    return this.#zones.map((z) => z.name);
  }

  /** The nearest of {@link zoneNames} at or above `name`; undefined: it is asked as all others are. */
  zoneOf(name: NameKey): NameKey | undefined {
    return this.#zones.find((z) => isBelow(name, z.name))?.name;
  }

  get stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = { ...this.#asks.stats };
    for (const { stats } of this.#finders())
      for (const [what, count] of Object.entries(stats)) all[what] = (all[what] ?? 0) + count;
    return all;
  }

  get deadline(): Deadline | undefined {
    const all = [
      this.#asks.deadline,
      this.#lastResort.deadline,
      this.#upstreams.deadline,
      this.#recursion.deadline,
    ];
    for (const { deadline } of this.#forwards.values()) all.push(deadline);
    return earliest(all);
  }

  /** Asks `question` on behalf of `payer`, of `avoided` last or not at all where there are others. */
  start(
    question: Question,
    avoided: Origin | undefined,
    now: Instant,
    effects: EffectSink,
    payer?: object,
  ): Exchange {
    const finder = this.#finderFor(question, now, effects);
    const inner = finder.start(question, avoided, now, effects, payer);
    const routed = new Routed(inner, finder, payer);
    if (!routed.reply) this.#routed.set(inner, routed);
    return routed;
  }

  /** Whether somebody else than the one who replied could be asked. */
  hasOther(exchange: Exchange, now: Instant): boolean {
    const { finder, inner } = exchange as Routed;
    return finder.hasOther(inner, now);
  }

  /** Gives the exchange up: no reply is wanted. */
  abandon(exchange: Exchange, effects: EffectSink): void {
    const { finder, inner } = exchange as Routed;
    this.#routed.delete(inner);
    this.#stranded.delete(exchange as Routed);
    finder.abandon(inner, effects);
  }

  /** Octets that came for an ask; the exchanges that have their reply now. */
  received(ask: number, octets: Uint8Array, now: Instant, effects: EffectSink): readonly Exchange[] {
    return this.#heard(this.#asks.received(ask, octets, now, effects), now, effects);
  }

  /** An ask cannot be performed, e.g. for want of a route; `why` is a clause that names the server. */
  failed(ask: number, why: string, now: Instant, effects: EffectSink): readonly Exchange[] {
    return this.#heard(this.#asks.failed(ask, why, now, effects), now, effects);
  }

  /** Does what is due; the exchanges that have their reply now. */
  tick(now: Instant, effects: EffectSink): readonly Exchange[] {
    const silent = this.#asks.tick(now, effects).flatMap((heard) => this.#heard(heard, now, effects));
    const due = [...this.#finders()].flatMap((f) => f.tick(now, effects));
    const done = [...silent, ...this.#settled(due, now, effects)];
    if (this.#lastResort.tick(now, effects)) done.push(...this.#resorted(now, effects));
    return done;
  }

  /** The network says something else than before. What is on its way survives, and goes to the new ones where it must. */
  use({ upstreams, zones = [] }: Routes, now: Instant, effects: EffectSink): void {
    this.#upstreams.use(upstreams, now, effects);
    this.#routeZones([...this.#stubs, ...zones.filter((z) => z.kind === 'forward')], now, effects);
  }

  /** How it stands with the ways to the upstreams, where that is not as it should be. */
  notes(now: Instant): HealthNote[] {
    if (this.#isRecursive) return [];
    const notes = this.#upstreams.notes(now);
    if (!this.#isStranded) return notes;
    const sentence =
      this.#lastResort.state === 'works'
        ? 'No upstream is of use: oe asks the root servers itself, and looks again from time to time.'
        : 'No upstream is of use, and the root servers cannot be asked either. Check the network.';
    return [...notes, { level: this.#lastResort.state === 'works' ? 'notice' : 'warning', sentence }];
  }

  /** Forgets who serves `name`, or with `tree` all below it as well. */
  forget(name: NameKey, tree: boolean): void {
    this.#recursion.forget(name, tree);
  }

  /** This host's addresses are others now: nothing may tell that it is the same host, or be true still of the network. */
  moved(now: Instant, effects: EffectSink, own?: Own): void {
    if (own) this.#recursion.moved(own);
    this.#asks.forgetCookies();
    this.#upstreams.moved(now, effects);
  }

  *#finders(): Iterable<Finder> {
    yield this.#upstreams;
    yield* this.#forwards.values();
    yield this.#recursion;
  }

  #finderFor({ name, type }: Question, now: Instant, effects: EffectSink): Finder {
    const at = type === Type.DS ? (parentOf(name) ?? rootName) : name;
    const zone = this.#zones.find((z) => isBelow(at, z.name));
    if (zone) return zone.finder;
    if (this.#isRecursive) return this.#recursion;
    if (!this.#isStranded || this.#lastResort.state !== 'works') return this.#upstreams;
    this.#upstreams.climb(now, effects);
    return this.#recursion;
  }

  #routeZones(zones: readonly RoutedZone[], now: Instant, effects: EffectSink): void {
    this.#zones = zones
      .map(({ name, kind, servers }) => {
        if (kind === 'stub') return { name, finder: this.#recursion };
        const forward =
          this.#forwards.get(name) ?? new Forward(this.#asks, servers, { random: this.#random });
        forward.use(servers, now, effects);
        this.#forwards.set(name, forward);
        return { name, finder: forward };
      })
      .sort((a, b) => b.name.length - a.name.length);
    for (const [name, forward] of this.#forwards)
      if (forward.isIdle && !this.#zones.some((z) => z.finder === forward)) this.#forwards.delete(name);
  }

  #heard(heard: Heard | undefined, now: Instant, effects: EffectSink): readonly Exchange[] {
    if (!heard) return [];
    return this.#settled(heard.asked.finder.heard(heard.asked, heard.outcome, now, effects), now, effects);
  }

  /** No upstream is of use, and it is ours to ask others. */
  get #isStranded(): boolean {
    return this.#mayResort && this.#upstreams.isPlain && this.#upstreams.state !== 'works';
  }

  #settled(inners: readonly Exchange[], now: Instant, effects: EffectSink): Exchange[] {
    const done: Exchange[] = [];
    let hasTried = false;
    for (const inner of inners) {
      hasTried ||= this.#lastResort.heard(inner, now);
      const routed = this.#routed.get(inner);
      if (!routed) continue;
      this.#routed.delete(inner);
      const isLost = inner.reply?.kind === 'failure' && routed.finder === this.#upstreams;
      if (isLost && this.#isStranded && this.#lastResort.state !== 'fails') this.#stranded.add(routed);
      else done.push(this.#done(routed));
    }
    if (!this.#mayResort) return done;
    if (!this.#isStranded) this.#lastResort.forget(effects);
    else if (this.#lastResort.isDue(now)) this.#lastResort.try(now, effects);
    if (hasTried || this.#stranded.size > 0) done.push(...this.#resorted(now, effects));
    return done;
  }

  /** Hands what no upstream answers to iteration, or gives it up, as soon as it is known whether that works. */
  #resorted(now: Instant, effects: EffectSink): Exchange[] {
    const { state, why } = this.#lastResort;
    if (state === 'trying') return [];
    const stranded = [...this.#stranded];
    this.#stranded.clear();
    if (state !== 'works') {
      return stranded.map((routed) => {
        const { reply } = routed.inner;
        const tried = why === undefined ? '' : `; asking the root servers: ${why}`;
        const told = reply?.kind === 'failure' ? { ...reply, why: `${reply.why}${tried}` } : reply;
        return this.#done(routed, told);
      });
    }
    for (const routed of [...this.#routed.values()]) {
      if (routed.finder !== this.#upstreams) continue;
      this.#routed.delete(routed.inner);
      routed.finder.abandon(routed.inner, effects);
      stranded.push(routed);
    }
    return stranded.flatMap((routed) => {
      routed.finder = this.#recursion;
      routed.inner = this.#recursion.start(routed.question, undefined, now, effects, routed.payer);
      if (routed.inner.reply) return [this.#done(routed)];
      this.#routed.set(routed.inner, routed);
      return [];
    });
  }

  #done(routed: Routed, reply = routed.inner.reply): Exchange {
    routed.reply = reply;
    routed.from = routed.inner.from;
    return routed;
  }
}

/** Whether iteration from the root works here: tried when no upstream is of use, and forgotten when one is again. */
class LastResort {
  readonly #recursion: Recursion;
  state: 'unknown' | 'trying' | 'works' | 'fails' = 'unknown';
  /** Why it fails: a clause. */
  why: string | undefined;
  #attempt: Exchange | undefined;
  #until: Instant = 0 as Instant;
  #restMs = firstRestMs;

  constructor(recursion: Recursion) {
    this.#recursion = recursion;
  }

  get deadline(): Deadline | undefined {
    return this.#attempt && { at: this.#until, why: 'end of an attempt to iterate' };
  }

  isDue(now: Instant): boolean {
    return this.state === 'unknown' || (this.state === 'fails' && now >= this.#until);
  }

  try(now: Instant, effects: EffectSink): void {
    this.state = 'trying';
    this.#until = later(now, attemptMs);
    const question = { name: rootName, type: Type.DNSKEY, class: Class.IN };
    this.#attempt = this.#recursion.start(question, undefined, now, effects);
    this.heard(this.#attempt, now);
  }

  /** Whether it is known now. */
  heard(exchange: Exchange, now: Instant): boolean {
    if (exchange !== this.#attempt || !exchange.reply) return false;
    const { reply } = exchange;
    const isSigned = reply.kind === 'message' && reply.answer.some((s) => s.signatures.length > 0);
    if (isSigned) this.#know('works', undefined, now);
    else
      this.#know('fails', reply.kind === 'failure' ? reply.why : 'the keys of the root come unsigned', now);
    return true;
  }

  /** Ends an attempt that takes too long; whether it did. */
  tick(now: Instant, effects: EffectSink): boolean {
    if (!this.#attempt || now < this.#until) return false;
    this.#recursion.abandon(this.#attempt, effects);
    this.#know('fails', 'no reply', now);
    return true;
  }

  forget(effects: EffectSink): void {
    if (this.#attempt) this.#recursion.abandon(this.#attempt, effects);
    this.#attempt = undefined;
    this.state = 'unknown';
    this.why = undefined;
    this.#restMs = firstRestMs;
  }

  #know(state: 'works' | 'fails', why: string | undefined, now: Instant): void {
    this.#attempt = undefined;
    this.state = state;
    this.why = why;
    this.#until = later(now, this.#restMs);
    this.#restMs = Math.min(longestRestMs, this.#restMs * 2);
  }
}

/** Milliseconds for an attempt to get the root's keys from the root. */
const attemptMs = 3000;
/** Milliseconds from one failed attempt to the next: at first, and at most. */
const [firstRestMs, longestRestMs] = [30_000, 600_000];
