/** Servers at addresses, and a resolver before them: a network that can be broken in many ways. */
import type { TrustEffect } from '../../src/dns/anchors/trust.ts';
import type { Server } from '../../src/dns/finder.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { nameText } from '../../src/dns/name.ts';
import {
  Resolver,
  type Resolution,
  type ResolverEffect,
  type ResolverInput,
  type ResolverOptions,
} from '../../src/dns/resolver.ts';
import { formatServer, parseServer } from '../../src/dns/server-text.ts';
import { Class, Type, typeName } from '../../src/dns/types.ts';
import { instant, wallSeconds, type Instant, type WallSeconds } from '../../src/time.ts';
import { countingRandom } from './forwarding.ts';
import { key, signingDate, withCaseOf } from './zone.ts';

/** What a server does with a query: octets, silence, or nobody is there to take it. */
export type Answers = (octets: Uint8Array, server: Server) => Uint8Array | undefined | 'refused';

/** One-way events under a virtual clock; every server answers after `rttMs`. */
export class Network {
  /** By the server as text: `192.0.2.1:53`, `tls://192.0.2.1:853`. Where nobody is, nothing comes back. */
  readonly servers = new Map<string, Answers>();
  readonly asked: { readonly server: string; readonly text: string; readonly at: number }[] = [];
  readonly resolver: Resolver;
  /** What the resolver said of its trust anchors and the clock. */
  readonly trustEffects: TrustEffect[] = [];
  rttMs = 20;
  now: Instant = instant(1000);
  wall: WallSeconds = signingDate;
  readonly #resolved = new Map<number, Resolution>();
  readonly #coming: { readonly at: number; readonly ask: number; readonly input: ResolverInput }[] = [];
  #nextId = 1;

  constructor(options: Omit<ResolverOptions, 'random'>) {
    this.resolver = new Resolver({ random: countingRandom(), ...options });
  }

  /** Asks, and lets everything happen until the answer is there. */
  ask(name: string, type: number = Type.A, checkingDisabled = false): Resolution {
    const id = this.start(name, type, checkingDisabled);
    this.runUntil(() => this.#resolved.has(id));
    const resolution = this.#resolved.get(id);
    if (!resolution) throw new Error(`no answer to ${name}`);
    return resolution;
  }

  start(name: string, type: number = Type.A, checkingDisabled = false): number {
    const id = this.#nextId++;
    const question = { name: key(name), type, class: Class.IN };
    this.handle({ kind: 'lookup', id, question, checkingDisabled });
    return id;
  }

  answer(id: number): Resolution | undefined {
    return this.#resolved.get(id);
  }

  handle(input: ResolverInput): void {
    for (const effect of this.resolver.handle(input, this.now, this.wall)) this.#perform(effect);
  }

  /** Lets time pass until `condition` holds, or nothing is under way any longer. */
  runUntil(condition: () => boolean, limit = Infinity): void {
    for (let steps = 0; steps < 20_000 && !condition(); steps++) {
      this.#coming.sort((a, b) => a.at - b.at);
      const next = this.#coming[0];
      const due = this.resolver.deadline;
      const at = Math.min(next?.at ?? Infinity, due?.at ?? Infinity);
      if (at === Infinity || at > limit) break;
      this.#clock(Math.max(at, this.now));
      if (next && next.at <= at) {
        this.#coming.shift();
        this.handle(next.input);
      } else this.handle({ kind: 'tick' });
    }
    if (limit !== Infinity && !condition()) this.#clock(limit);
  }

  wait(seconds: number): void {
    this.runUntil(() => false, this.now + seconds * 1000);
  }

  /** Servers that were asked `text` since the last call, in order. */
  askedFor(text: string): string[] {
    const found = this.asked.filter((a) => a.text === text).map((a) => a.server);
    this.asked.splice(0);
    return found;
  }

  /** Questions asked since the last call. */
  questions(): string[] {
    return this.asked.splice(0).map((a) => a.text);
  }

  notes(): string[] {
    const sentences = this.resolver.notes(this.wall, this.now).map((n) => n.sentence);
    return sentences.filter((s) => /upstream/i.test(s));
  }

  #clock(at: number): void {
    this.wall = wallSeconds(this.wall + (at - this.now) / 1000);
    this.now = instant(at);
  }

  #perform(effect: ResolverEffect): void {
    switch (effect.kind) {
      case 'ask': {
        const { ask, octets, server } = effect;
        const query = decodeMessage(octets);
        const question = query.ok ? query.value.questions[0] : undefined;
        if (!question) throw new Error('the resolver asks nothing');
        const text = `${typeName(question.type)} ${nameText(question.name)}`;
        const at = formatServer(server);
        this.asked.push({ server: at, text, at: this.now });
        const reply = this.servers.get(at)?.(octets, server);
        if (reply === 'refused') {
          this.#coming.push({
            at: this.now + 1,
            ask,
            input: { kind: 'failed', ask, why: `nothing listens at ${at.replace(/^\w+:\/\//, '')}` },
          });
        } else if (reply) {
          // A connection takes a round trip of its own.
          const trips = server.transport === 'udp' ? 1 : 2;
          const input = { kind: 'reply', ask, octets: reply } as const;
          this.#coming.push({ at: this.now + trips * this.rttMs, ask, input });
        }
        return;
      }
      case 'release': {
        const i = this.#coming.findIndex((c) => c.ask === effect.ask);
        if (i >= 0) this.#coming.splice(i, 1);
        return;
      }
      case 'resolved':
        this.#resolved.set(effect.id, effect.resolution);
        return;
      case 'keepAnchors':
      case 'fetchAnchors':
      case 'log':
        this.trustEffects.push(effect);
        return;
      default:
    }
  }
}

export function server(text: string): Server {
  const parsed = parseServer(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

/** `answers` with every reply changed. */
export function changed(answers: Answers, change: (message: Message) => Message): Answers {
  return (octets, at) => {
    const reply = answers(octets, at);
    if (reply === undefined || reply === 'refused') return reply;
    const message = decodeMessage(reply);
    if (!message.ok) throw message.error;
    return withCaseOf(octets, encodeMessage(change(message.value)));
  };
}
