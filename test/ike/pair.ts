import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { ChildSa } from '../../src/ike/child.ts';
import {
  IkeEndpoint,
  type EndpointEffect,
  type EndpointInput,
  type HostIdentity,
} from '../../src/ike/endpoint.ts';
import { Opener, Sealer } from '../../src/ike/crypto/cipher.ts';
import { openEncrypted, sealEncrypted } from '../../src/ike/encrypted.ts';
import type { Limits } from '../../src/ike/limits.ts';
import {
  decodeHeader,
  decodeMessage,
  encodeMessage,
  ikeSpiOctets,
  type IkeHeader,
  type IkeSpi,
  type Message,
} from '../../src/ike/message.ts';
import { Exchange, exchangeName } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload } from '../../src/ike/payloads.ts';
import type { PrivateGroup } from '../../src/ike/private-group.ts';
import type { Proof } from '../../src/ike/proof.ts';
import { formatAddress, parseAddress, type Endpoint, type IpAddress } from '../../src/net/address.ts';
import type { PublicKey } from '../../src/net/public-key.ts';
import { instant, later, wallSeconds, type Instant } from '../../src/time.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { seeded } from './random.ts';

/**
 * Two or more endpoints, a wire between them and a kernel in each, stepped by hand or run by the clock. Everything
 * follows from the seed.
 */
export class World {
  now: Instant = instant(1_000);
  /** Stands still: certificates are the only ones that look at it. */
  wall = wallSeconds(Date.UTC(2026, 10, 20) / 1_000);
  /** What is on its way, in the order in which it was sent. */
  wire: Flying[] = [];
  /** Every datagram that was ever sent. */
  readonly sent: Flying[] = [];
  readonly random: ReturnType<typeof seeded>;
  readonly nodes: Node[] = [];
  /** The delays after which copies of a datagram arrive, milliseconds; none: it is lost. */
  network: (datagram: Flying) => readonly number[] = () => [0];
  /** NATs and other meddlers: what arrives in the place of what was sent. */
  translate: (datagram: Flying) => Flying = (d) => d;

  constructor(seed = 1) {
    this.random = seeded(seed);
  }

  /**
   * Has `edit` change what `node` (which logs its keys) says in encrypted messages: a peer that does what our own
   * endpoint never would. The method NULL and signatures cover the first messages only, so both stay valid.
   */
  meddle(
    node: Node,
    edit: (payloads: readonly InnerPayload[], header: IkeHeader) => readonly InnerPayload[],
    exchangeOf: (header: IkeHeader) => number = (header) => header.exchange,
    messageIdOf: (header: IkeHeader) => number = (header) => header.messageId,
  ): void {
    const before = this.translate;
    this.translate = (original) => {
      const d = before(original);
      if (d.from.address !== node.address) return d;
      const message = messageOf(d);
      const { header } = message;
      const lines = node.keyLog.filter((l) => l.startsWith(toHex(ikeSpiOctets(header.spiI))));
      if (message.payloads.at(-1)?.kind !== 'SK' || lines.length === 0) return d;
      const cipher = { encr: 20, keyBits: 256, integ: undefined };
      // IKE_INTERMEDIATE has other keys than what follows.
      const opening = lines.map((line) => {
        const encryption = fromHex(line.split(',')[header.fromInitiator ? 2 : 3] ?? '');
        const keys = { encryption, integrity: new Uint8Array(0) };
        return { keys, opened: openEncrypted(message, new Opener(cipher, keys)) };
      });
      const { keys, opened } = opening.find((o) => o.opened.kind === 'opened') ?? {};
      if (!keys || opened?.kind !== 'opened') throw new Error('no key opens it');
      const edited = edit(opened.payloads, header);
      const head = { ...header, exchange: exchangeOf(header), messageId: messageIdOf(header) };
      return { ...d, octets: sealEncrypted(head, edited, new Sealer(cipher, keys, this.random)) };
    };
  }

  node(name: string, address: string, options: NodeOptions = {}): Node {
    const parsed = parseAddress(address);
    if (!parsed) throw new Error(address);
    const node = new Node(this, name, parsed, options);
    this.nodes.push(node);
    return node;
  }

  send(local: Endpoint, remote: Endpoint, octets: Uint8Array): void {
    const original: Flying = { from: local, to: remote, octets, at: this.now };
    this.sent.push(original);
    for (const delay of this.network(original)) {
      this.wire.push({ ...this.translate(original), at: later(this.now, delay) });
    }
  }

  /** Delivers the oldest datagram for `node`, whenever it is due; false where there is none. */
  step(node: Node): boolean {
    const index = this.wire.findIndex((d) => formatAddress(d.to.address) === node.text);
    if (index < 0) return false;
    const [datagram] = this.wire.splice(index, 1);
    if (datagram) this.deliver(datagram);
    return true;
  }

  deliver(datagram: Flying): void {
    const to = this.nodes.find((n) => n.text === formatAddress(datagram.to.address));
    to?.input({ kind: 'datagram', local: datagram.to, remote: datagram.from, octets: datagram.octets });
  }

  /** Delivers everything until nothing is on its way; time stands still. */
  settle(): void {
    for (let i = 0; this.wire.length > 0; i++) {
      if (i > 10_000) throw new Error('the wire does not become quiet');
      const datagram = this.wire.shift();
      if (datagram) this.deliver(datagram);
    }
  }

  /** Lets time pass: what is due arrives, timers go off. */
  pass(ms: number): void {
    const end = later(this.now, ms);
    for (let i = 0; i < 1_000_000; i++) {
      const next = this.#next();
      if (!next || next.at > end) {
        this.now = end;
        return;
      }
      if (next.at > this.now) this.now = next.at;
      next.happen();
    }
    throw new Error('time does not pass');
  }

  #next(): { readonly at: Instant; happen(): void } | undefined {
    let first: { readonly at: Instant; happen(): void } | undefined;
    for (const d of this.wire) {
      if (first !== undefined && d.at >= first.at) continue;
      first = {
        at: d.at,
        happen: () => {
          this.wire.splice(this.wire.indexOf(d), 1);
          this.deliver(d);
        },
      };
    }
    for (const node of this.nodes) {
      const due = node.endpoint.deadline;
      if (!due || (first !== undefined && due.at >= first.at)) continue;
      first = {
        at: due.at,
        happen: () => {
          node.input({ kind: 'tick' });
        },
      };
    }
    return first;
  }
}

export interface Flying {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
  readonly at: Instant;
}

export interface NodeOptions {
  readonly identity?: HostIdentity;
  readonly limits?: Partial<Limits>;
  readonly suites?: ConstructorParameters<typeof IkeEndpoint>[0]['suites'];
  readonly keyLog?: boolean;
  readonly groups?: readonly PrivateGroup[];
  readonly kernelKeepalives?: boolean;
  /** The ML-KEMs that it asks for; without, all. */
  readonly kems?: readonly number[];
}

/** A host that has but one key exchange, as old ones have: four messages make an SA. */
export const classic: NodeOptions = { kems: [] };

/** A host: its endpoint, and a kernel that does what it is told. */
export class Node {
  readonly name: string;
  readonly address: IpAddress;
  readonly text: string;
  readonly endpoint: IkeEndpoint;
  readonly identity: HostIdentity | undefined;
  readonly #world: World;
  /** What the kernel holds, by the id of the child. */
  readonly kernel = new Map<number, { readonly child: ChildSa; inbound: boolean; outbound: boolean }>();
  readonly established: Extract<EndpointEffect, { kind: 'established' }>[] = [];
  readonly failed: Extract<EndpointEffect, { kind: 'failed' }>[] = [];
  readonly story: string[] = [];
  readonly keyLog: string[] = [];
  readonly effects: EndpointEffect[] = [];
  /** What the kernel does not do until `release`, where `holds` names it. */
  readonly held: EndpointInput[] = [];
  holds: readonly ('spi' | 'install' | 'peerKeys')[] = [];
  /** Why the kernel refuses a child; undefined: it does not. */
  refuses: (child: ChildSa) => string | undefined = () => undefined;
  spiRefused: string | undefined;
  /** The keys that DNS has for a peer. */
  keysOf: (peer: IpAddress) => readonly Proof[] = () => [];
  /** Whether the nonces that it draws are lower than any other, or higher; undefined: as they come. */
  nonces: 'low' | 'high' | undefined;
  #nextAttempt = 1;

  constructor(world: World, name: string, address: IpAddress, options: NodeOptions) {
    this.#world = world;
    this.name = name;
    this.address = address;
    this.text = formatAddress(address);
    this.identity = options.identity;
    this.endpoint = new IkeEndpoint({
      random: { octets: (count) => this.#drawn(count) },
      identity: options.identity,
      suites: options.suites ?? defaultSuites,
      keyLog: options.keyLog ?? false,
      ...(options.groups && { groups: options.groups }),
      ports: { ike: 500, natt: 4500 },
      kernelKeepalives: options.kernelKeepalives ?? false,
      ...(options.kems && { kems: options.kems }),
      ...(options.limits && { limits: options.limits }),
    });
  }

  input(first: EndpointInput): void {
    const queue = [first];
    for (let input = queue.shift(); input !== undefined; input = queue.shift()) {
      for (const effect of this.endpoint.handle(input, this.#world.now, this.#world.wall)) {
        this.effects.push(effect);
        const answer = this.#perform(effect);
        if (answer) queue.push(answer);
      }
    }
  }

  /** The id of the attempt. */
  initiate(
    peer: Node,
    keys: readonly Proof[] | undefined,
    require: 'authenticated' | 'any' = 'authenticated',
  ): number {
    const attempt = this.#nextAttempt++;
    this.input({
      kind: 'initiate',
      attempt,
      local: this.address,
      peer: peer.address,
      require,
      ...(keys && { keys }),
    });
    return attempt;
  }

  /** Lets the kernel do what it has held back. */
  release(): void {
    this.holds = [];
    for (const input of this.held.splice(0)) this.input(input);
  }

  /** The children that are in the kernel both ways. */
  get children(): readonly ChildSa[] {
    return [...this.kernel.values()].filter((c) => c.inbound && c.outbound).map((c) => c.child);
  }

  #perform(effect: EndpointEffect): EndpointInput | undefined {
    switch (effect.kind) {
      case 'send':
        this.#world.send(effect.local, effect.remote, effect.octets);
        return undefined;
      case 'allocateSpi': {
        const { request } = effect;
        if (this.spiRefused !== undefined) return { kind: 'spiRefused', request, why: this.spiRefused };
        const spi = 0x1000 + this.#world.random.below(0x7fff_0000);
        return this.#held('spi', { kind: 'spiAllocated', request, spi });
      }
      case 'install':
        return this.#install(effect.child, effect.part);
      case 'remove':
        this.kernel.delete(effect.child.id);
        return undefined;
      case 'move': {
        const there = this.kernel.get(effect.child.id);
        if (there) this.kernel.set(effect.child.id, { ...there, child: effect.child });
        return undefined;
      }
      case 'askPeerKeys': {
        const keys = this.keysOf(effect.peer);
        return this.#held('peerKeys', { kind: 'peerKeys', query: effect.query, keys });
      }
      case 'established':
        this.established.push(effect);
        return undefined;
      case 'failed':
        this.failed.push(effect);
        return undefined;
      case 'story':
        this.story.push(effect.text);
        return undefined;
      case 'keyLog':
        this.keyLog.push(effect.line);
        return undefined;
      case 'log':
        return undefined;
      default:
        return effect satisfies never;
    }
  }

  #drawn(count: number): Uint8Array {
    const octets = this.#world.random.octets(count);
    if (count === 32 && this.nonces !== undefined) {
      octets[0] = this.nonces === 'low' ? 0 : 0x80 | (octets[0] ?? 0);
    }
    return octets;
  }

  #held(what: 'spi' | 'install' | 'peerKeys', answer: EndpointInput): EndpointInput | undefined {
    if (!this.holds.includes(what)) return answer;
    this.held.push(answer);
    return undefined;
  }

  #install(child: ChildSa, part: 'inbound' | 'outbound' | 'both'): EndpointInput | undefined {
    const why = this.refuses(child);
    if (why !== undefined) {
      this.kernel.delete(child.id);
      return { kind: 'installFailed', child, why };
    }
    const there = this.kernel.get(child.id) ?? { child, inbound: false, outbound: false };
    if (part !== 'outbound') there.inbound = true;
    if (part !== 'inbound') there.outbound = true;
    // Last in the map is newest, and carries what is sent, as in the ledger.
    this.kernel.delete(child.id);
    this.kernel.set(child.id, there);
    return this.#held('install', { kind: 'installed', child });
  }
}

const defaultSuites = [
  { encr: 20, keyBits: 256 },
  { encr: 20, keyBits: 128 },
  { encr: 28, keyBits: 256 },
  { encr: 12, keyBits: 256, integ: 12 },
];

/** Whatever two kernels hold for each other fits together: SPIs crosswise, equal keys (DESIGN §8, invariant 2). */
export function mismatches(a: Node, b: Node): string[] {
  const wrong: string[] = [];
  const at = (n: Node) => new Map(n.children.map((c) => [`${c.inbound.spi} ${c.outbound.spi}`, c]));
  const others = at(b);
  for (const mine of a.children) {
    const name = `${a.name} ${mine.inbound.spi}`;
    const theirs = others.get(`${mine.outbound.spi} ${mine.inbound.spi}`);
    if (!theirs) wrong.push(`${name} has no counterpart`);
    else if (toHex(mine.inbound.encryptionKey) !== toHex(theirs.outbound.encryptionKey))
      wrong.push(`${name}: keys`);
    else if (toHex(mine.outbound.encryptionKey) !== toHex(theirs.inbound.encryptionKey))
      wrong.push(`${name}: keys`);
    else if (mine.mode !== theirs.mode || mine.esn !== theirs.esn) wrong.push(`${name}: mode`);
  }
  return wrong;
}

/** `IKE_AUTH request 1`: what a datagram is, without opening it. */
export function nameOf(datagram: Flying): string {
  const header = headerOf(datagram);
  if (!header) return 'no IKE';
  const kind = header.response ? 'response' : 'request';
  return `${exchangeName(header.exchange)} ${kind} ${header.messageId}`;
}

export function headerOf(datagram: Flying): IkeHeader | undefined {
  return decodeHeader(ikeOctets(datagram));
}

/** Without the non-ESP marker. */
export function ikeOctets({ from, octets }: Flying): Uint8Array {
  return from.port === 4500 || (octets[0] === 0 && octets[3] === 0 && from.port !== 500)
    ? octets.subarray(4)
    : octets;
}

export function messageOf(datagram: Flying): Message {
  const decoded = decodeMessage(ikeOctets(datagram));
  if (!decoded.ok) throw decoded.error;
  return decoded.value;
}

export function isInit(datagram: Flying): boolean {
  return headerOf(datagram)?.exchange === Exchange.IKE_SA_INIT;
}

const made = new Map<string, HostIdentity>();

/** A key made once per run: tests ask about kinds of keys, not about keys. */
export function identity(
  kind: 'rsa' | 'rsa-1024' | 'P-256' | 'P-384' | 'P-521' | 'Ed25519' | 'Ed448',
  nth = 0,
): HostIdentity {
  const name = `${kind} ${nth}`;
  const known = made.get(name);
  if (known) return known;
  const { privateKey, publicKey } = pairOf(kind);
  const jwk = publicKey.export({ format: 'jwk' });
  const octets = (text: string | undefined) => Uint8Array.fromBase64(text ?? '', { alphabet: 'base64url' });
  let value: PublicKey;
  if (kind === 'rsa' || kind === 'rsa-1024')
    value = { kind: 'rsa', modulus: octets(jwk.n), exponent: octets(jwk.e) };
  else if (kind === 'Ed25519' || kind === 'Ed448')
    value = { kind: 'eddsa', curve: kind, point: octets(jwk.x) };
  else value = { kind: 'ecdsa', curve: kind, point: new Uint8Array([...octets(jwk.x), ...octets(jwk.y)]) };
  const result = { privateKey, publicKey: value };
  made.set(name, result);
  return result;
}

function pairOf(kind: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  if (kind === 'rsa-1024') return generateKeyPairSync('rsa', { modulusLength: 1024 });
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'Ed448') return generateKeyPairSync('ed448');
  return generateKeyPairSync('ec', { namedCurve: kind });
}

/** What an attacker who saw the first message answers in the responder's name. */
export function forged(first: Flying, type: number, data: Uint8Array): Flying {
  const { spiI } = messageOf(first).header;
  const octets = encodeMessage(
    {
      spiI,
      spiR: 0n as IkeSpi,
      exchange: Exchange.IKE_SA_INIT,
      fromInitiator: false,
      response: true,
      messageId: 0,
    },
    [notify(type, data)],
  );
  return { ...first, from: first.to, to: first.from, octets };
}

/** Hosts a and b; b proves `key` where it has an identity. */
export interface Pair {
  readonly world: World;
  readonly a: Node;
  readonly b: Node;
  readonly key: ReturnType<typeof identity>['publicKey'];
}

/** Nothing has happened between them yet. */
export function pair(
  kind?: Parameters<typeof identity>[0],
  forA: NodeOptions = {},
  forB: NodeOptions = {},
): Pair {
  const world = new World();
  const id = identity(kind ?? 'Ed25519');
  const a = world.node('a', '198.18.0.1', forA);
  const b = world.node('b', '198.18.0.2', { ...(kind && { identity: id }), ...forB });
  return { world, a, b, key: id.publicKey };
}
