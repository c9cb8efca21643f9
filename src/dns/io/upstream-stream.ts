import { connect, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { formatAddress, formatEndpoint } from '../../net/address.ts';
import type { Server } from '../finder.ts';
import { FrameReader, framed } from '../frames.ts';
import { loadTls, serverKey, tlsFailure, type TlsTrust } from './tls-trust.ts';
import { doubtMs, failure, plain, type Ask, type Carrier, type UpstreamEvents } from './upstream-events.ts';

/** How connections are used. */
export interface StreamLimits {
  /** Connections to all servers; one more closes the one that is idle longest, or is not made. */
  readonly connections: number;
  /** Questions on one connection that have no reply; the next gets another connection. */
  readonly questions: number;
  /** From the first packet to the end of the handshake, ms. */
  readonly connectMs: number;
  /** How long a connection without a question is kept where the server does not say (RFC 7766 §6.2.3), ms. */
  readonly idleMs: number;
  /** The same where it says more (RFC 7828 §3.2.2), ms. */
  readonly maxIdleMs: number;
}

export const defaultStreamLimits: StreamLimits = {
  connections: 100,
  questions: 1_000,
  connectMs: 5_000,
  idleMs: 5_000,
  maxIdleMs: 60_000,
};

/** Messages in a row that answer no open question, after which a connection is closed. */
const maxStray = 16;
/** Connections that one question may see closed under it while others had their replies there. */
const maxTries = 8;

/**
 * Queries over TCP and TLS. There is one connection to a server, with any number of questions on it; replies come in
 * any order (RFC 7766 §6.2.1, §7; RFC 7858 §3.3). Timeouts of questions are the resolver's.
 */
export class StreamCarrier implements Carrier {
  readonly #events: UpstreamEvents;
  readonly #trust: TlsTrust;
  readonly #limits: StreamLimits;
  readonly #asked = new Map<number, Link>();
  /** Where the next question goes, by server. */
  readonly #links = new Map<string, Link>();
  readonly #open = new Set<Link>();

  constructor(events: UpstreamEvents, trust: TlsTrust, limits: Partial<StreamLimits> = {}) {
    this.#events = events;
    this.#trust = trust;
    this.#limits = { ...defaultStreamLimits, ...limits };
  }

  ask(ask: Ask): void {
    this.#ask(ask, 1);
  }

  release(ask: number, keepMs: number | undefined): boolean {
    const link = this.#asked.get(ask);
    this.#asked.delete(ask);
    link?.release(ask, keepMs);
    return link !== undefined;
  }

  renew(): void {
    this.#links.clear();
    for (const link of this.#open) link.retire();
  }

  close(): void {
    this.#asked.clear();
    this.#links.clear();
    for (const link of this.#open) link.close();
    this.#open.clear();
  }

  #ask(ask: Ask, tries: number): void {
    const key = serverKey(ask.server);
    let link = this.#links.get(key);
    if (link === undefined || !link.takesMore) {
      link?.retire();
      if (this.#open.size >= this.#limits.connections && !this.#closeIdlest()) {
        setImmediate(() => {
          this.#events.failed(ask.ask, `there are ${this.#open.size} connections to other servers already`);
        });
        return;
      }
      link = this.#connect(ask.server, key);
    }
    this.#asked.set(ask.ask, link);
    link.ask(ask, tries);
  }

  #connect(server: Server, key: string): Link {
    const link = new Link(server, this.#trust, this.#limits, {
      reply: this.#events.reply,
      ended: (lost, why) => {
        this.#open.delete(link);
        if (this.#links.get(key) === link) this.#links.delete(key);
        for (const { ask, mayGoOn, tries } of lost) {
          if (this.#asked.get(ask.ask) !== link) continue;
          this.#asked.delete(ask.ask);
          // A server may close while we write, or after some of many (RFC 7766 §6.2.4).
          if (mayGoOn && tries < maxTries) this.#ask(ask, tries + 1);
          else this.#events.failed(ask.ask, why);
        }
      },
    });
    this.#links.set(key, link);
    this.#open.add(link);
    return link;
  }

  #closeIdlest(): boolean {
    let idlest: Link | undefined;
    for (const link of this.#open)
      if (link.isIdle && (idlest === undefined || link.lastActive < idlest.lastActive)) idlest = link;
    if (idlest === undefined) return false;
    this.#open.delete(idlest);
    for (const [key, link] of this.#links) if (link === idlest) this.#links.delete(key);
    idlest.close();
    return true;
  }
}

/** A question that ended with its connection. */
interface Lost {
  readonly ask: Ask;
  /** The connection had brought a reply, so that another one may do as well. */
  readonly mayGoOn: boolean;
  readonly tries: number;
}

interface LinkEvents {
  readonly reply: (ask: number, octets: Uint8Array) => void;
  /** The connection is gone, with the questions that have had no reply on it. */
  readonly ended: (lost: readonly Lost[], why: string) => void;
}

interface Open {
  readonly ask: Ask;
  readonly tries: number;
  /** When it was asked, monotonic ms. */
  readonly at: number;
  /** No reply is wanted any more, and the id must not be used again while one may come (RFC 7766 §6.2.1). */
  isReleased: boolean;
}

/** One connection to a server. */
class Link {
  readonly #events: LinkEvents;
  readonly #limits: StreamLimits;
  readonly #socket: Socket;
  readonly #frames = new FrameReader();
  /** Questions without a reply, by the id they have on this connection. */
  readonly #open = new Map<number, Open>();
  readonly #idOf = new Map<number, number>();
  readonly #handshake: NodeJS.Timeout;
  #wanted = 0;
  #isReady = false;
  #isRetired = false;
  #hasReplied = false;
  #idleMs: number;
  #stray = 0;
  #lastMessage = performance.now();
  #why: string | undefined;

  constructor(server: Server, trust: TlsTrust, limits: StreamLimits, events: LinkEvents) {
    this.#events = events;
    this.#limits = limits;
    this.#idleMs = limits.idleMs;
    const who = formatEndpoint(server.endpoint);
    const isTls = server.transport === 'tls';
    const socket = isTls ? openTls(server, trust) : openTcp(server);
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#handshake = setTimeout(() => {
      this.#end(`${who} does not finish the ${isTls ? 'TLS handshake' : 'connection'}`);
    }, limits.connectMs).unref();
    // Nothing is written before the certificate has been looked at.
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      clearTimeout(this.#handshake);
      this.#isReady = true;
      for (const [id, open] of this.#open) this.#write(id, open.ask);
      this.#restIfIdle();
    });
    socket.on('data', (chunk: Buffer) => {
      for (const message of this.#frames.push(plain(chunk))) {
        if (socket.destroyed) return;
        this.#take(message, who);
      }
    });
    socket.on('error', (error) => {
      this.#why ??= isTls ? tlsFailure(server, error) : failure(server.endpoint, error);
    });
    socket.on('timeout', () => {
      if (this.#wanted === 0) socket.destroy();
    });
    socket.on('close', () => {
      clearTimeout(this.#handshake);
      const closed =
        this.#isReady || !isTls ? 'closed the connection' : 'closes the connection in the TLS handshake';
      const lost = [...this.#open.values()].filter((open) => !open.isReleased);
      this.#open.clear();
      events.ended(
        lost.map(({ ask, tries }) => ({ ask, tries, mayGoOn: this.#hasReplied })),
        this.#why ?? `${who} ${closed}`,
      );
    });
  }

  /** Whether the next question can go here; the end of a socket may not have been reported yet. */
  get takesMore(): boolean {
    return !this.#isRetired && !this.#socket.destroyed && this.#open.size < this.#limits.questions;
  }

  get isIdle(): boolean {
    return this.#wanted === 0;
  }

  /** Monotonic, ms. */
  get lastActive(): number {
    return this.#lastMessage;
  }

  ask(ask: Ask, tries: number): void {
    // Two questions may have drawn the same id, and on one connection that tells them apart (RFC 7766 §6.2.1).
    let id = idOf(ask.octets);
    while (this.#open.has(id)) id = (id + 1) & 0xffff;
    this.#open.set(id, { ask, tries, at: performance.now(), isReleased: false });
    this.#idOf.set(ask.ask, id);
    this.#wanted++;
    this.#socket.setTimeout(0);
    this.#socket.ref();
    if (this.#isReady) this.#write(id, ask);
  }

  /** `keepMs`: how long the server lets the connection stand idle (RFC 7828 §3.2.2). */
  release(ask: number, keepMs: number | undefined): void {
    const id = this.#idOf.get(ask);
    if (id === undefined) return;
    this.#idOf.delete(ask);
    this.#wanted--;
    if (keepMs !== undefined) this.#idleMs = Math.min(keepMs, this.#limits.maxIdleMs);
    const open = this.#open.get(id);
    if (open?.ask.ask === ask) {
      open.isReleased = true;
      if (performance.now() - Math.max(open.at, this.#lastMessage) >= doubtMs) this.#isRetired = true;
    }
    this.#restIfIdle();
  }

  /** Takes no more questions, and ends with the last that it has. */
  retire(): void {
    this.#isRetired = true;
    this.#restIfIdle();
  }

  close(): void {
    this.#open.clear();
    this.#socket.destroy();
  }

  #restIfIdle(): void {
    if (this.#wanted > 0) return;
    // 0: the server wants us gone as soon as it has answered (RFC 7828 §3.2.2).
    if (this.#isRetired || this.#idleMs === 0) {
      this.#socket.destroy();
      return;
    }
    this.#socket.unref();
    if (this.#isReady) this.#socket.setTimeout(this.#idleMs);
  }

  #write(id: number, ask: Ask): void {
    const frame = framed(ask.octets);
    frame[2] = id >> 8;
    frame[3] = id & 0xff;
    this.#socket.write(frame);
  }

  #take(message: Uint8Array, who: string): void {
    if (message.length < headerOctets) {
      this.#end(`${who} sends what is no DNS message`);
      return;
    }
    const id = idOf(message);
    const open = this.#open.get(id);
    if (open === undefined) {
      if (++this.#stray >= maxStray) this.#end(`${who} sends replies that nobody asked for`);
      return;
    }
    this.#stray = 0;
    this.#lastMessage = performance.now();
    this.#hasReplied = true;
    this.#open.delete(id);
    if (open.isReleased) return;
    const { ask } = open;
    message[0] = ask.octets[0] ?? 0;
    message[1] = ask.octets[1] ?? 0;
    this.#events.reply(ask.ask, message);
  }

  #end(why: string): void {
    this.#why ??= why;
    this.#socket.destroy();
  }
}

const headerOctets = 12;

function idOf(message: Uint8Array): number {
  return ((message[0] ?? 0) << 8) | (message[1] ?? 0);
}

function openTcp({ endpoint }: Server): Socket {
  return connect({ host: formatAddress(endpoint.address), port: endpoint.port });
}

function openTls(server: Server, trust: TlsTrust): TLSSocket {
  const socket = loadTls().connect(trust.options(server, 'dot'));
  trust.keepSession(server, socket);
  return socket;
}
