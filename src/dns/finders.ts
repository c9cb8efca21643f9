import type { IpAddress } from '../net/address.ts';
import type { Random } from '../random.ts';
import { earliest, type Deadline, type Instant } from '../time.ts';
import { Asks, type Heard } from './asks.ts';
import type { EffectSink, Exchange, Finder, Origin, Server } from './finder.ts';
import { Forward } from './forward.ts';
import type { Question } from './message.ts';
import { isBelow, parentOf, rootName, type NameKey } from './name.ts';
import { rootHints, type Hint } from './recurse/hints.ts';
import { defaultLimits, type RecursionLimits } from './recurse/limits.ts';
import type { QnameMinimisation } from './recurse/minimise.ts';
import { Recursion } from './recurse/recursion.ts';
import { Type } from './types.ts';

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
  readonly recursionLimits?: RecursionLimits;
}

/** A question on its way, whichever finder has it now. */
interface Routed extends Exchange {
  inner: Exchange;
  finder: Finder;
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

  constructor(options: FindersOptions) {
    const { random } = options;
    this.#asks = new Asks(random);
    this.#isRecursive = options.mode === 'recurse';
    this.#stubs = (options.zones ?? []).filter((z) => z.kind === 'stub');
    this.#recursion = new Recursion(this.#asks, {
      hints: options.hints ?? rootHints,
      random,
      qnameMinimisation: options.qnameMinimisation ?? 'relaxed',
      limits: options.recursionLimits ?? defaultLimits,
      stubs: this.#stubs,
    });
    this.#upstreams = new Forward(this.#asks, options.upstreams);
    this.#routeZones(options.zones ?? []);
  }

  get stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = { ...this.#asks.stats };
    for (const { stats } of this.#finders())
      for (const [what, count] of Object.entries(stats)) all[what] = (all[what] ?? 0) + count;
    return all;
  }

  get deadline(): Deadline | undefined {
    return earliest([this.#asks.deadline, ...[...this.#finders()].map((f) => f.deadline)]);
  }

  /** Asks `question` on behalf of `payer`, of `avoided` last or not at all where there are others. */
  start(
    question: Question,
    avoided: Origin | undefined,
    now: Instant,
    effects: EffectSink,
    payer?: object,
  ): Exchange {
    const finder = this.#finderFor(question);
    const inner = finder.start(question, avoided, now, effects, payer);
    const routed: Routed = {
      question,
      reply: inner.reply,
      from: inner.from,
      inner,
      finder,
      get trace(): readonly string[] {
        return this.inner.trace ?? [];
      },
    };
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
    return [...silent, ...this.#settled(due)];
  }

  /** The network says something else than before. What is on its way survives, and goes to the new ones where it must. */
  use({ upstreams, zones = [] }: Routes, now: Instant): void {
    this.#upstreams.use(upstreams, now);
    this.#routeZones([...this.#stubs, ...zones.filter((z) => z.kind === 'forward')], now);
  }

  /** This host's addresses are others now: nothing that is sent may tell that it is the same host. */
  forgetCookies(): void {
    this.#asks.forgetCookies();
  }

  *#finders(): Iterable<Finder> {
    yield this.#upstreams;
    yield* this.#forwards.values();
    yield this.#recursion;
  }

  #finderFor({ name, type }: Question): Finder {
    const at = type === Type.DS ? (parentOf(name) ?? rootName) : name;
    const zone = this.#zones.find((z) => isBelow(at, z.name));
    return zone?.finder ?? (this.#isRecursive ? this.#recursion : this.#upstreams);
  }

  #routeZones(zones: readonly RoutedZone[], now = 0 as Instant): void {
    this.#zones = zones
      .map(({ name, kind, servers }) => {
        if (kind === 'stub') return { name, finder: this.#recursion };
        const forward = this.#forwards.get(name) ?? new Forward(this.#asks, servers);
        forward.use(servers, now);
        this.#forwards.set(name, forward);
        return { name, finder: forward };
      })
      .sort((a, b) => b.name.length - a.name.length);
    for (const [name, forward] of this.#forwards)
      if (forward.isIdle && !this.#zones.some((z) => z.finder === forward)) this.#forwards.delete(name);
  }

  #heard(heard: Heard | undefined, now: Instant, effects: EffectSink): readonly Exchange[] {
    if (!heard) return [];
    return this.#settled(heard.asked.finder.heard(heard.asked, heard.outcome, now, effects));
  }

  #settled(inners: readonly Exchange[]): Exchange[] {
    return inners.flatMap((inner) => {
      const routed = this.#routed.get(inner);
      if (!routed) return [];
      this.#routed.delete(inner);
      routed.reply = inner.reply;
      routed.from = inner.from;
      return [routed];
    });
  }
}
