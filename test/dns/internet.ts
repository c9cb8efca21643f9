/**
 * A simulated internet of authoritative servers under a virtual clock: each address serves the zones that a signed
 * world gives it, unless a test puts a server of its own there. And an iteration that asks them.
 */
import { Asks, type Heard } from '../../src/dns/asks.ts';
import type { TrustEffect } from '../../src/dns/anchors/trust.ts';
import type { Exchange, FinderEffect, Origin } from '../../src/dns/finder.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type Question,
  type ResourceRecord,
} from '../../src/dns/message.ts';
import { nameText } from '../../src/dns/name.ts';
import type { Own } from '../../src/dns/own.ts';
import type { Hint } from '../../src/dns/recurse/hints.ts';
import { recursionDefaults } from '../../src/dns/recurse/limits.ts';
import { Recursion, type RecursionOptions } from '../../src/dns/recurse/recursion.ts';
import {
  Resolver,
  type Resolution,
  type ResolverInput,
  type ResolverOptions,
} from '../../src/dns/resolver.ts';
import { Class, Rcode, Type, typeName } from '../../src/dns/types.ts';
import { formatAddress, parseAddress } from '../../src/net/address.ts';
import type { Random } from '../../src/random.ts';
import { instant, wallSeconds, type Instant, type WallSeconds } from '../../src/time.ts';
import { address, key, signingDate, withCaseOf, wire, type SignedWorld } from './zone.ts';

/** What a server says; undefined: nothing at all. */
export type Said = Partial<Message> | undefined;
/** A server of a test's own. */
export type AuthoritativeServer = (question: Question, query: Message) => Said;

/** A question as a server saw it: `A example.org`. */
export interface Seen {
  readonly server: string;
  readonly text: string;
  readonly query: Message;
  readonly at: number;
}

/** Octets that follow from a seed. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0 || 1;
  return {
    octets: (count) =>
      Uint8Array.from({ length: count }, () => {
        // xorshift32: chance that is the same each time.
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        state >>>= 0;
        return state & 0xff;
      }),
  };
}

export class Internet {
  readonly seen: Seen[] = [];
  readonly #servers = new Map<string, AuthoritativeServer>();
  readonly #random = seededRandom(7);
  /** One way and back, ms, by address. */
  roundTripMs: (server: string) => number = () => 20;
  /** Share of questions that get no reply. */
  loss = 0;
  /** Addresses that there is no route to. */
  unreachable: (server: string) => boolean = () => false;

  constructor(world?: SignedWorld) {
    for (const [server, zones] of world?.servers ?? []) {
      this.#servers.set(server, (question, query) =>
        world?.serve(zones, question, query.edns?.dnssecOk ?? false),
      );
    }
  }

  /** Puts a server at an address, in place of what is there. */
  at(server: string, answers: AuthoritativeServer): this {
    this.#servers.set(server, answers);
    return this;
  }

  /** Changes what the server at an address says. */
  change(server: string, how: (said: Said, question: Question, query: Message) => Said): this {
    const before = this.#servers.get(server);
    return this.at(server, (question, query) => how(before?.(question, query), question, query));
  }

  /** Questions that a server saw since the last call, or all of them did. */
  questions(server?: string): string[] {
    const wanted = this.seen.filter((s) => server === undefined || s.server === server);
    for (const s of wanted) this.seen.splice(this.seen.indexOf(s), 1);
    return wanted.map((s) => s.text);
  }

  /** The reply of the server at an address. */
  reply(server: string, octets: Uint8Array, at: number): Uint8Array | undefined {
    const query = decodeMessage(octets);
    const question = query.ok ? query.value.questions[0] : undefined;
    if (!query.ok || !question) throw new Error('a server is asked nothing');
    this.seen.push({
      server,
      text: `${typeName(question.type)} ${nameText(question.name)}`,
      query: query.value,
      at,
    });
    if (this.loss > 0 && (this.#random.octets(1)[0] ?? 0) < this.loss * 256) return undefined;
    const said = this.#servers.get(server)?.(question, query.value);
    if (!said) return undefined;
    const edns = query.value.edns && {
      version: 0,
      udpSize: 1232,
      dnssecOk: query.value.edns.dnssecOk,
      options: [],
    };
    const reply: Message = {
      ...query.value,
      response: true,
      answer: [],
      authority: [],
      additional: [],
      rcode: Rcode.NOERROR,
      ...(edns && { edns }),
      ...said,
    };
    return withCaseOf(octets, encodeMessage(reply));
  }
}

/** Virtual time, and what is on its way. */
class Timeline {
  now: Instant = instant(1000);
  wall: WallSeconds = signingDate;
  readonly #coming: { readonly at: number; readonly come: () => void }[] = [];

  arrive(delayMs: number, come: () => void): void {
    this.#coming.push({ at: this.now + delayMs, come });
  }

  /** Lets things arrive and deadlines pass until nothing is under way, or until `until`. */
  run(until: number, deadline: () => number, tick: () => void): void {
    for (let steps = 0; steps < 50_000; steps++) {
      this.#coming.sort((a, b) => a.at - b.at);
      const next = this.#coming[0];
      const at = Math.min(next?.at ?? Infinity, deadline());
      if (at === Infinity || at > until) {
        if (until !== Infinity) this.#clock(until);
        return;
      }
      this.#clock(Math.max(at, this.now));
      if (next && next.at <= at) {
        this.#coming.shift();
        next.come();
      } else tick();
    }
    throw new Error('it does not come to an end');
  }

  #clock(at: number): void {
    this.wall = wallSeconds(this.wall + (at - this.now) / 1000);
    this.now = instant(at);
  }
}

/** An iteration by itself. */
export class Iteration {
  readonly asks: Asks;
  readonly recursion: Recursion;
  readonly internet: Internet;
  readonly #time = new Timeline();
  /** What is to be done at this moment. */
  readonly #effects: FinderEffect[] = [];

  constructor(internet: Internet, options: Partial<RecursionOptions> = {}) {
    const random = seededRandom(11);
    this.internet = internet;
    this.asks = new Asks(random);
    this.recursion = new Recursion(this.asks, {
      hints: hintsOf({ ns: ['192.0.2.1'] }),
      random,
      qnameMinimisation: 'relaxed',
      limits: recursionDefaults,
      ...options,
    });
  }

  get now(): Instant {
    return this.#time.now;
  }

  /** Asks and lets everything happen until the reply is there. */
  find(name: string, type: number = Type.A, avoided?: Origin): Exchange {
    const exchange = this.start(name, type, avoided);
    this.run();
    if (!exchange.reply) throw new Error(`no reply to ${name}`);
    return exchange;
  }

  start(name: string, type: number = Type.A, avoided?: Origin, payer?: object): Exchange {
    const question = { name: key(name), type, class: Class.IN };
    const exchange = this.recursion.start(question, avoided, this.now, this.#effects, payer);
    this.#perform();
    return exchange;
  }

  abandon(exchange: Exchange): void {
    this.recursion.abandon(exchange, this.#effects);
    this.#perform();
  }

  run(until = Infinity): void {
    this.#time.run(
      until,
      () => Math.min(this.asks.deadline?.at ?? Infinity, this.recursion.deadline?.at ?? Infinity),
      () => {
        for (const heard of this.asks.tick(this.now, this.#effects)) this.#heard(heard);
        this.recursion.tick(this.now, this.#effects);
        this.#perform();
      },
    );
  }

  /** Time passes. */
  wait(seconds: number): void {
    this.run(this.now + seconds * 1000);
  }

  #heard(heard: Heard | undefined): void {
    if (heard) this.recursion.heard(heard.asked, heard.outcome, this.now, this.#effects);
    this.#perform();
  }

  #perform(): void {
    for (let effect = this.#effects.shift(); effect; effect = this.#effects.shift()) {
      if (effect.kind === 'release') continue;
      const { ask } = effect;
      send(this.internet, this.#time, effect, (octets) => {
        const heard =
          typeof octets === 'string'
            ? this.asks.failed(ask, octets, this.now, this.#effects)
            : this.asks.received(ask, octets, this.now, this.#effects);
        this.#heard(heard);
      });
    }
  }
}

/** A validating resolver that iterates. */
export class Recursing {
  readonly resolver: Resolver;
  /** What the resolver said of its trust anchors and the clock. */
  readonly trustEffects: TrustEffect[] = [];
  readonly internet: Internet;
  readonly #time = new Timeline();
  readonly #resolved = new Map<number, Resolution>();
  #nextId = 1;

  constructor(internet: Internet, options: Partial<ResolverOptions> & Pick<ResolverOptions, 'anchors'>) {
    this.internet = internet;
    this.resolver = new Resolver({
      mode: 'recurse',
      upstreams: [],
      hints: hintsOf({ ns: ['192.0.2.1'] }),
      random: seededRandom(13),
      ...options,
    });
  }

  get now(): Instant {
    return this.#time.now;
  }

  get wall(): WallSeconds {
    return this.#time.wall;
  }

  /** Somebody sets the clock of the wall. */
  set wall(seconds: WallSeconds) {
    this.#time.wall = seconds;
  }

  /** Time passes. */
  wait(seconds: number): void {
    this.run(this.now + seconds * 1000);
  }

  /** Questions that servers saw since the last call. */
  questions(): string[] {
    return this.internet.questions();
  }

  /** Asks and lets everything happen until the answer is there. */
  ask(name: string, type: number = Type.A, checkingDisabled = false): Resolution {
    const id = this.#nextId++;
    const question = { name: key(name), type, class: Class.IN };
    this.#handle({ kind: 'lookup', id, question, checkingDisabled });
    for (let at = this.now + 10; !this.#resolved.has(id) && at < this.now + 20_000; at += 10) this.run(at);
    const resolution = this.#resolved.get(id);
    if (!resolution) throw new Error(`no answer to ${name}`);
    return resolution;
  }

  run(until = Infinity): void {
    this.#time.run(
      until,
      () => this.resolver.deadline?.at ?? Infinity,
      () => {
        this.#handle({ kind: 'tick' });
      },
    );
  }

  /** This host is elsewhere. */
  moved(own: Own): void {
    this.#handle({ kind: 'moved', own });
  }

  /** Forgets a name and all below it. */
  flush(name: string): void {
    this.#handle({ kind: 'flush', request: 1, what: { name: key(name), tree: true } });
  }

  #handle(input: ResolverInput): void {
    for (const effect of this.resolver.handle(input, this.now, this.#time.wall)) {
      if (effect.kind === 'resolved') this.#resolved.set(effect.id, effect.resolution);
      if (effect.kind === 'keepAnchors' || effect.kind === 'fetchAnchors' || effect.kind === 'log')
        this.trustEffects.push(effect);
      if (effect.kind !== 'ask') continue;
      const { ask } = effect;
      send(this.internet, this.#time, effect, (octets) => {
        this.#handle(
          typeof octets === 'string' ? { kind: 'failed', ask, why: octets } : { kind: 'reply', ask, octets },
        );
      });
    }
  }
}

/** A question leaves; its reply, or why it cannot leave, comes in time. */
function send(
  internet: Internet,
  time: Timeline,
  { server, octets }: Extract<FinderEffect, { readonly kind: 'ask' }>,
  come: (reply: Uint8Array | string) => void,
): void {
  const text = formatAddress(server.endpoint.address);
  if (internet.unreachable(text)) {
    time.arrive(0, () => {
      come(`there is no route to ${text}`);
    });
    return;
  }
  const reply = internet.reply(text, octets, time.now);
  if (!reply) return;
  time.arrive(internet.roundTripMs(text), () => {
    come(reply);
  });
}

/** Hints in short. */
export function hintsOf(servers: Readonly<Record<string, readonly string[]>>): Hint[] {
  return Object.entries(servers).map(([name, addresses]) => ({
    name: key(name),
    addresses: addresses.map((text) => parseAddress(text)).filter((a) => a !== undefined),
  }));
}

/** A record of IN. */
export function record(owner: string, type: number, rdata: Uint8Array, ttl = 3600): ResourceRecord {
  return { owner: key(owner), type, class: Class.IN, ttl, rdata };
}

export function ns(zone: string, server: string, ttl = 3600): ResourceRecord {
  return record(zone, Type.NS, wire(server), ttl);
}

export function a(owner: string, text: string, ttl = 3600): ResourceRecord {
  return record(owner, text.includes(':') ? Type.AAAA : Type.A, address(text), ttl);
}

/** A referral. */
export function referral(records: readonly ResourceRecord[], glue: readonly ResourceRecord[] = []): Said {
  return { authoritative: false, authority: records, additional: glue };
}

export function answer(...records: readonly ResourceRecord[]): Said {
  return { authoritative: true, answer: records };
}

/** A denial with the SOA of `zone`. */
export function denial(zone: string, rcode: number = Rcode.NOERROR): Said {
  const numbers = new Uint8Array(20);
  numbers[19] = 60;
  const soa = record(zone, Type.SOA, Uint8Array.from([...wire('ns'), ...wire('ns'), ...numbers]), 60);
  return { authoritative: true, rcode, authority: [soa] };
}

/** The addresses in a reply. */
export function addressesOf(exchange: Exchange): string[] {
  const { reply } = exchange;
  if (reply?.kind !== 'message') return [];
  return reply.answer
    .filter((s) => s.type === Type.A || s.type === Type.AAAA)
    .flatMap((s) => s.rdatas.map((r) => r.join('.')));
}

/** What an exchange came to, in a word or a sentence. */
export function outcomeOf({ reply }: Exchange): string {
  if (!reply) return 'nothing';
  if (reply.kind === 'failure') return reply.why;
  const { rcode } = reply.message;
  if (rcode === Rcode.NXDOMAIN) return 'NXDOMAIN';
  return reply.answer.length === 0
    ? 'NODATA'
    : reply.answer.map((s) => `${typeName(s.type)} ${nameText(s.owner)}`).join(', ');
}
