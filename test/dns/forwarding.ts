/** A resolver, its upstreams and a clock, so that a scenario of the validator is a few sentences. */
import {
  Resolver,
  type Resolution,
  type ResolverEffect,
  type ResolverInput,
  type ResolverOptions,
} from '../../src/dns/resolver.ts';
import type { TrustAnchor } from '../../src/dns/anchors.ts';
import type { TrustEffect, TrustOptions } from '../../src/dns/anchors/trust.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import { nameText } from '../../src/dns/name.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { Class, Type, typeName } from '../../src/dns/types.ts';
import { parseEndpoint, type Endpoint } from '../../src/net/address.ts';
import type { Random } from '../../src/random.ts';
import { instant, wallSeconds, type Instant, type WallSeconds } from '../../src/time.ts';
import { key, signingDate, type SignedWorld } from './zone.ts';

/** Octets of a counter: nothing here depends on their being unpredictable. */
export function countingRandom(): Random {
  let next = 1;
  return {
    octets: (count) => Uint8Array.from({ length: count }, () => (next = (next * 75 + 74) % 65_537) & 0xff),
  };
}

/** How an upstream answers: with octets, with silence, or late. */
export type Upstream = (octets: Uint8Array, transport: 'udp' | 'tcp') => Uint8Array | undefined;

/** What an upstream was asked, in the order of asking: `DS org`. */
export interface Asked {
  readonly text: string;
  readonly upstream: number;
  readonly transport: 'udp' | 'tcp';
  readonly at: number;
}

const nowAndThen = new Set(['keeping the cache', 'trial of a negative trust anchor']);

/** One-way events under a virtual clock; every upstream answers after `rttMs`. */
export class Forwarding {
  readonly asked: Asked[] = [];
  readonly arrived: { readonly id: number; readonly at: number; readonly answer: readonly RRset[] }[] = [];
  readonly resolved = new Map<number, { readonly at: number; readonly resolution: Resolution }>();
  readonly cacheEffects: Extract<ResolverEffect, { kind: 'flushed' | 'keepCache' }>[] = [];
  readonly released = new Set<number>();
  /** What the resolver said of its trust anchors and the clock. */
  readonly trustEffects: TrustEffect[] = [];
  /** Octets sent, by the number of the ask. */
  readonly sent = new Map<number, Uint8Array>();
  rttMs = 20;
  /** How long a reply takes, where not all take the same. */
  delayMs: (question: string) => number = () => this.rttMs;
  now: Instant = instant(1000);
  wall: WallSeconds = signingDate;
  readonly #endpoints: readonly Endpoint[];
  readonly #upstreams: readonly Upstream[];
  readonly #coming: { readonly at: number; readonly input: ResolverInput }[] = [];
  #nextId = 1;
  readonly #anchors: readonly TrustAnchor[];
  #resolver: Resolver;

  constructor(anchors: readonly TrustAnchor[], ...upstreams: (Upstream | SignedWorld)[]) {
    this.#endpoints = upstreams.map((_, i) => endpoint(`192.0.2.${i + 1}:53`));
    this.#upstreams = upstreams.map((u) =>
      typeof u === 'function' ? u : (octets, transport) => u.answer(octets, transport),
    );
    this.#anchors = anchors;
    this.#resolver = this.#started({});
  }

  get resolver(): Resolver {
    return this.#resolver;
  }

  /** Starts the resolver anew, with nothing but what it is given. */
  restart(
    trust: Omit<TrustOptions, 'fixed'>,
    cache: NonNullable<ResolverOptions['cache']> = {},
    more: Partial<ResolverOptions> = {},
  ): void {
    this.#coming.splice(0);
    this.#resolver = this.#started(trust, { cache, ...more });
  }

  #started(trust: Omit<TrustOptions, 'fixed'>, more: Partial<ResolverOptions> = {}): Resolver {
    return new Resolver({
      upstreams: this.#endpoints.map((at) => ({ endpoint: at, transport: 'udp' as const })),
      anchors: this.#anchors,
      trust,
      random: countingRandom(),
      ...more,
    });
  }

  /** Asks and lets everything happen until the answer is there. */
  ask(name: string, type: number = Type.A, checkingDisabled = false): Resolution {
    const id = this.start(name, type, checkingDisabled);
    this.run();
    const done = this.resolved.get(id);
    if (!done) throw new Error(`no answer to ${name}`);
    return done.resolution;
  }

  /** Asks; {@link run} lets it happen. */
  start(name: string, type: number = Type.A, checkingDisabled = false): number {
    const id = this.#nextId++;
    const question = { name: key(name), type, class: Class.IN };
    this.handle({ kind: 'lookup', id, question, checkingDisabled });
    return id;
  }

  handle(input: ResolverInput): readonly ResolverEffect[] {
    const effects = this.resolver.handle(input, this.now, this.wall);
    for (const effect of effects) this.#perform(effect);
    return effects;
  }

  /** Lets replies arrive and deadlines pass until nothing is under way, or until `until`. */
  run(until = Infinity): void {
    for (let steps = 0; steps < 10_000; steps++) {
      this.#coming.sort((a, b) => a.at - b.at);
      const next = this.#coming[0];
      const due = this.resolver.deadline;
      const at = Math.min(next?.at ?? Infinity, due?.at ?? Infinity);
      // Nobody waits for what is done now and then.
      const isIdle = !next && due !== undefined && nowAndThen.has(due.why) && due.at > this.now;
      if (at === Infinity || at > until || (isIdle && until === Infinity)) {
        if (until !== Infinity) this.#clock(until);
        return;
      }
      this.#clock(Math.max(at, this.now));
      if (next && next.at <= at) {
        this.#coming.shift();
        this.handle(next.input);
      } else this.handle({ kind: 'tick' });
    }
    throw new Error('it does not come to an end');
  }

  /** Time passes. */
  wait(seconds: number): void {
    this.run(this.now + seconds * 1000);
  }

  /** Questions asked since the last call. */
  questions(): string[] {
    return this.asked.splice(0).map((a) => a.text);
  }

  #clock(at: number): void {
    this.wall = wallSeconds(this.wall + (at - this.now) / 1000);
    this.now = instant(at);
  }

  #perform(effect: ResolverEffect): void {
    switch (effect.kind) {
      case 'ask': {
        this.sent.set(effect.ask, effect.octets);
        const upstream = this.#endpoints.findIndex((e) => e === effect.server.endpoint);
        const query = decodeMessage(effect.octets);
        const question = query.ok ? query.value.questions[0] : undefined;
        if (!question) throw new Error('the resolver asks nothing');
        const text = `${typeName(question.type)} ${nameText(question.name)}`;
        const transport = effect.server.transport === 'udp' ? 'udp' : 'tcp';
        this.asked.push({ text, upstream, transport, at: this.now });
        const octets = this.#upstreams[upstream]?.(effect.octets, transport);
        if (octets)
          this.#coming.push({
            at: this.now + this.delayMs(text),
            input: { kind: 'reply', ask: effect.ask, octets },
          });
        return;
      }
      case 'release':
        this.released.add(effect.ask);
        return;
      case 'arrived':
        this.arrived.push({ id: effect.id, at: this.now, answer: effect.answer });
        return;
      case 'resolved':
        this.resolved.set(effect.id, { at: this.now, resolution: effect.resolution });
        return;
      case 'flushed':
      case 'keepCache':
        this.cacheEffects.push(effect);
        return;
      case 'keepAnchors':
      case 'fetchAnchors':
      case 'log':
        this.trustEffects.push(effect);
        return;
      default:
        effect satisfies never;
    }
  }
}

function endpoint(text: string): Endpoint {
  const parsed = parseEndpoint(text, 53);
  if (!parsed) throw new Error(text);
  return parsed;
}
