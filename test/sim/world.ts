import type { Capabilities } from '../../src/kernel/port.ts';
import { FakeKernel } from '../../src/kernel/fake.ts';
import { nameOf } from '../../src/dns/name.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { messageOf } from '../../src/errors.ts';
import {
  sameAddress,
  formatAddress,
  formatEndpoint,
  type Endpoint,
  type IpAddress,
} from '../../src/net/address.ts';
import { Agent } from '../../src/oe/agent.ts';
import type { AgentEffect, AgentInput } from '../../src/oe/agent-types.ts';
import { defaultPolicy, type Policy } from '../../src/oe/policy.ts';
import { espSuites } from '../../src/kernel/algorithms.ts';
import { instant, wallSeconds, type Instant, type WallSeconds } from '../../src/time.ts';
import { signingDate } from '../dns/zone.ts';
import { anchors, reply, resolverAt, type HostSpec } from './internet.ts';
import { SeededRandom } from './random.ts';
import { queryMessage } from '../dns/query.ts';

/** How the network between the hosts behaves. */
export interface Network {
  /** Of IKE datagrams; DNS loses a tenth of it. */
  readonly loss: number;
  readonly duplication: number;
  /** ms one way; packets overtake each other. */
  readonly delay: readonly [least: number, most: number];
}

export interface HostOptions {
  /** Whether it proves its own key where it begins, and has one to prove where it is asked. */
  readonly identified: boolean;
  readonly policy?: Policy;
  readonly budgetMs?: number;
}

/** What a program was told. */
export interface Answered {
  readonly name: string;
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly message: Message;
}

export interface WorldOptions {
  readonly seed: number;
  readonly network: Network;
  /** Called after each step of any host; throws where something is not as it must be. */
  readonly check?: (world: World, host: Host) => void;
  /** Called when a program is told something, at that moment. */
  readonly checkAnswer?: (host: Host, answered: Answered) => void;
}

/**
 * Several whole agents with kernels, a signed DNS and a network that loses, doubles and reorders, on one clock. All
 * chance comes from the seed: the same seed gives the same trace.
 */
export class World {
  readonly random: SeededRandom;
  readonly hosts = new Map<string, Host>();
  /** What happens, in order, where somebody wants to know. */
  trace: string[] | undefined;
  steps = 0;
  readonly #options: WorldOptions;
  readonly #queue: Event[] = [];
  readonly #told = new WeakMap<object, number>();
  readonly #nats: Nat[] = [];
  #now = 0;
  #order = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = new SeededRandom(options.seed);
  }

  get now(): Instant {
    return instant(this.#now);
  }

  get wall(): WallSeconds {
    return wallSeconds(signingDate + Math.floor(this.#now / 1_000));
  }

  get network(): Network {
    return this.#options.network;
  }

  add(spec: HostSpec, options: HostOptions): Host {
    const host = new Host(this, spec, options);
    this.hosts.set(formatAddress(spec.address), host);
    host.start();
    return host;
  }

  at(address: IpAddress): Host | undefined {
    return this.hosts.get(formatAddress(address));
  }

  /** Does something `delay` ms from now. */
  after(delay: number, act: () => void): void {
    const event: Event = { at: this.#now + delay, order: this.#order++, act };
    // Later events are mostly the latest: look from the end.
    let i = this.#queue.length;
    while (i > 0 && isAfter(this.#queue[i - 1], event)) i--;
    this.#queue.splice(i, 0, event);
  }

  /** Runs until nothing is to be done before `limitMs`, or for so long. */
  run(limitMs: number): void {
    const end = this.#now + limitMs;
    for (;;) {
      const event = this.#queue[0];
      if (!event || event.at > end) break;
      this.#queue.shift();
      this.#now = Math.max(this.#now, event.at);
      event.act();
    }
    this.#now = end;
    for (const host of this.hosts.values()) host.kernel.advance(this.now);
  }

  /** Puts the host behind a NAT, which others see at `outside`. */
  hide({ spec }: Host, outside: IpAddress): Nat {
    const nat = new Nat(spec.address, outside);
    this.#nats.push(nat);
    return nat;
  }

  send(inside: Endpoint, remote: Endpoint, octets: Uint8Array): void {
    const local = this.#nats.find((n) => sameAddress(n.inside, inside.address))?.outwards(inside) ?? inside;
    const { loss, duplication, delay } = this.#options.network;
    const copies = this.random.chance(duplication) ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      const isLost = this.random.chance(loss);
      this.note(
        () =>
          `${formatEndpoint(local)} > ${formatEndpoint(remote)} ${octets.length} octets${isLost ? ' LOST' : ''}`,
      );
      if (isLost) continue;
      this.after(this.random.between(...delay), () => {
        const nat = this.#nats.find((n) => sameAddress(n.outside, remote.address));
        const to = nat ? nat.inwards(remote) : remote;
        if (to) this.at(to.address)?.input({ kind: 'datagram', local: to, remote: local, octets });
      });
    }
  }

  /** Called by a host after each of its steps. */
  stepped(host: Host): void {
    this.steps++;
    if (this.trace) this.#tell(host);
    this.#options.check?.(this, host);
  }

  answered(host: Host, answered: Answered): void {
    this.#options.checkAnswer?.(host, answered);
  }

  /** The steps of each negotiation that are new. */
  #tell(host: Host): void {
    for (const peer of host.agent.view.peers.all()) {
      const told = this.#told.get(peer) ?? 0;
      for (const { text } of peer.story.slice(told))
        this.note(() => `${host.spec.name}: ${peer.text}: ${text}`);
      this.#told.set(peer, peer.story.length);
    }
  }

  note(text: () => string): void {
    this.trace?.push(`${this.#now.toFixed(1)} ${text()}`);
  }
}

/** Gives the IKE ports of one host other ports, until it forgets them. */
export class Nat {
  readonly inside: IpAddress;
  readonly outside: IpAddress;
  #base = 20_000;

  constructor(inside: IpAddress, outside: IpAddress) {
    this.inside = inside;
    this.outside = outside;
  }

  forget(): void {
    this.#base += 10_000;
  }

  outwards({ port }: Endpoint): Endpoint {
    return { address: this.outside, port: this.#base + port };
  }

  /** Undefined for a port that it does not know (any longer). */
  inwards({ port }: Endpoint): Endpoint | undefined {
    const inside = port - this.#base;
    return inside === 500 || inside === 4500 ? { address: this.inside, port: inside } : undefined;
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly act: () => void;
}

function isAfter(a: Event | undefined, b: Event): boolean {
  return a !== undefined && (a.at > b.at || (a.at === b.at && a.order > b.order));
}

const capabilities: Capabilities = {
  esp4: { available: true },
  esp6: { available: true },
  suites: espSuites,
  directions: true,
  keepalives: true,
};

/** One machine: an agent, its kernel, and the edge between them played by the world. */
export class Host {
  readonly spec: HostSpec;
  readonly options: HostOptions;
  readonly kernel: FakeKernel;
  readonly answers: Answered[] = [];
  readonly budgetMs: number;
  stopped = false;
  readonly #world: World;
  readonly #asked = new Map<number, { readonly name: string; readonly at: number }>();
  #agent: Agent;
  #generation = 0;
  #nextQuery = 1;
  #wakeAt = Number.POSITIVE_INFINITY;
  /** Kernel operations are confirmed one after the other. */
  #kernelFreeAt = 0;
  readonly #asks = new Set<number>();

  constructor(world: World, spec: HostSpec, options: HostOptions) {
    this.#world = world;
    this.spec = spec;
    this.options = options;
    this.budgetMs = options.budgetMs ?? 1_500;
    this.kernel = new FakeKernel({ random: world.random, now: world.now, epochSeconds: world.wall });
    this.kernel.events((event) => {
      const generation = this.#generation;
      this.#world.after(0, () => {
        if (generation === this.#generation) this.input({ kind: 'kernel', event });
      });
    });
    this.#agent = this.#newAgent();
  }

  get agent(): Agent {
    return this.#agent;
  }

  start(): void {
    this.input({ kind: 'start', snapshot: this.kernel.snapshotSync() });
  }

  /** Says goodbye and begins anew, as after an upgrade. */
  restart(): void {
    this.stop();
    this.#world.after(50, () => {
      this.#replace();
      this.start();
    });
  }

  stop(): void {
    this.input({ kind: 'stop' });
  }

  /** The agent dies without a word; the kernel keeps what it has. Then another begins. */
  crash(): void {
    this.#replace();
    this.start();
  }

  /** A program asks for the addresses of a name. */
  ask(name: string): void {
    const query = this.#nextQuery++;
    this.#asked.set(query, { name, at: this.#world.now });
    const key = nameOf(name);
    if (key === undefined) throw new RangeError(name);
    const octets = encodeMessage(
      queryMessage({ id: query & 0xffff, questions: [{ name: key, type: Type.A, class: Class.IN }] }),
    );
    this.#world.note(() => `${this.spec.name} asks for ${name}`);
    this.input({ kind: 'query', query, octets, limitOctets: 1_232 });
  }

  /** Questions of programs that have no answer yet. */
  get openQuestions(): number {
    return this.#asked.size;
  }

  input(input: AgentInput): void {
    this.kernel.advance(this.#world.now);
    const effects = this.#agent.handle(input, this.#world.now, this.#world.wall);
    for (const effect of effects) this.#perform(effect);
    this.#wake();
    this.#world.stepped(this);
  }

  #newAgent(): Agent {
    return new Agent({
      locals: [this.spec.address],
      upstreams: [{ endpoint: resolverAt, transport: 'udp' }],
      anchors,
      random: this.#world.random,
      identity: this.options.identified ? this.spec.identity : undefined,
      capabilities,
      keyLog: false,
      ports: { ike: 500, natt: 4500 },
      policy: this.options.policy ?? defaultPolicy,
      budgetMs: this.budgetMs,
      privateBudgetMs: 4_000,
    });
  }

  #replace(): void {
    this.#generation++;
    this.#agent = this.#newAgent();
    this.#asked.clear();
    this.#asks.clear();
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.stopped = false;
  }

  #perform(effect: AgentEffect): void {
    const world = this.#world;
    const { random } = world;
    const generation = this.#generation;
    const later = (delay: number, input: () => AgentInput): void => {
      world.after(delay, () => {
        if (generation === this.#generation) this.input(input());
      });
    };
    switch (effect.kind) {
      case 'answer':
        this.#answered(effect.query, effect.octets);
        return;
      case 'ask': {
        const { ask, octets, server } = effect;
        this.#asks.add(ask);
        if (random.chance(world.network.loss / 10)) return;
        world.after(random.between(0.5, 12), () => {
          if (generation !== this.#generation || !this.#asks.has(ask)) return;
          this.input({ kind: 'reply', ask, octets: reply(octets, server.transport) });
        });
        return;
      }
      case 'release':
        this.#asks.delete(effect.ask);
        return;
      case 'send':
        world.send(effect.local, effect.remote, effect.octets);
        return;
      case 'allocateSpi': {
        const { request, local, peer } = effect;
        this.#inKernel(later, () => ({
          kind: 'spi',
          request,
          spi: this.kernel.allocateSpiSync(local, peer),
        }));
        return;
      }
      case 'apply': {
        const { batch, ops } = effect;
        this.#inKernel(later, () => {
          try {
            this.kernel.applySync(ops);
            return { kind: 'applied', batch };
          } catch (error) {
            return { kind: 'refused', batch, why: messageOf(error) };
          }
        });
        return;
      }
      case 'count': {
        // The only packets here are those with which invariants look whether they would pass.
        const { request, states } = effect;
        this.#inKernel(later, () => ({ kind: 'counted', request, counters: states.map(() => undefined) }));
        return;
      }
      case 'takeStock': {
        const { version } = effect;
        this.#inKernel(later, () => ({ kind: 'stock', version, snapshot: this.kernel.snapshotSync() }));
        return;
      }
      case 'findSource':
        later(random.between(0, 1), () => ({ kind: 'source', peer: effect.peer, local: this.spec.address }));
        return;
      case 'stopped':
        this.stopped = true;
        return;
      case 'log':
        world.note(() => `${this.spec.name} ${effect.event.event} ${JSON.stringify(effect.event)}`);
        return;
      case 'keyLog':
      case 'looked':
      case 'dug':
      case 'policyChanged':
      case 'forget':
      case 'flushed':
      case 'keepCache':
      case 'keepAnchors':
      case 'fetchAnchors':
        return;
      default:
        effect satisfies never;
    }
  }

  #inKernel(later: (delay: number, input: () => AgentInput) => void, act: () => AgentInput): void {
    const now: number = this.#world.now;
    this.#kernelFreeAt = Math.max(this.#kernelFreeAt, now) + this.#world.random.between(0, 0.5);
    later(this.#kernelFreeAt - now, act);
  }

  #answered(query: number, octets: Uint8Array): void {
    const asked = this.#asked.get(query);
    if (!asked) throw new Error(`${this.spec.name} answers a question twice, or one that nobody asked`);
    this.#asked.delete(query);
    const message = decodeMessage(octets);
    if (!message.ok) throw message.error;
    const world = this.#world;
    const answeredAt: number = world.now;
    world.note(
      () =>
        `${this.spec.name} is told of ${asked.name}: rcode ${message.value.rcode}, ${message.value.answer.length} records`,
    );
    const answered: Answered = { name: asked.name, askedAt: asked.at, answeredAt, message: message.value };
    this.answers.push(answered);
    world.answered(this, answered);
  }

  #wake(): void {
    const at = this.#agent.deadline?.at ?? Number.POSITIVE_INFINITY;
    if (at >= this.#wakeAt) return;
    this.#wakeAt = at;
    const generation = this.#generation;
    this.#world.after(Math.max(0, at - this.#world.now), () => {
      if (generation !== this.#generation || this.#wakeAt !== at) return;
      this.#wakeAt = Number.POSITIVE_INFINITY;
      this.input({ kind: 'tick' });
    });
  }
}
