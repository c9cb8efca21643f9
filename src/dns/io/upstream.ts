import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket as TcpSocket } from 'node:net';
import { messageOf } from '../../errors.ts';
import { formatAddress, formatEndpoint, type Endpoint } from '../../net/address.ts';
import { FrameReader, framed } from '../frames.ts';
import type { ResolverEffect } from '../resolver.ts';

/** The resolver's effect of sending a query. */
export type Ask = Extract<ResolverEffect, { readonly kind: 'ask' }>;

/** What becomes of an ask; both may be called more than once, never within {@link Upstreams.ask} itself. */
export interface UpstreamEvents {
  /** Octets that came from the upstream; whether they answer the question is not looked at. */
  readonly reply: (ask: number, octets: Uint8Array) => void;
  /** Nothing will come any more; `why` is a clause. */
  readonly failed: (ask: number, why: string) => void;
}

/** How long a TCP connection without an open ask is kept for the next one, ms (RFC 7766 §6.2.3). */
const idleMs = 5_000;

/**
 * Sends queries to upstream resolvers. Each UDP query has a socket of its own, connected, so that the kernel chooses
 * an unpredictable source port (RFC 5452 §9.2), drops what comes from elsewhere, and reports ICMP errors.
 * Over TCP, asks to one upstream share a connection (RFC 7766 §6.2.1). Timeouts are the resolver's: an ask lives until
 * it is released.
 */
export class Upstreams {
  readonly #events: UpstreamEvents;
  readonly #udp = new Map<number, ConnectedSocket>();
  readonly #spares = new Spares();
  readonly #tcp = new Map<number, TcpLink>();
  /** By the upstream as text; the link to which the next ask goes. */
  readonly #links = new Map<string, TcpLink>();

  constructor(events: UpstreamEvents) {
    this.#events = events;
  }

  ask(ask: Ask): void {
    if (ask.server.transport === 'udp') this.#askUdp(ask);
    else this.#askTcp(ask, true);
  }

  /** Ends the ask: nothing more is reported for it. */
  release(ask: number): void {
    this.#closeUdp(ask);
    this.#tcp.get(ask)?.release(ask);
    this.#tcp.delete(ask);
  }

  /** The host's addresses are others now: sockets that were connected before would send from the old ones. */
  renew(): void {
    this.#spares.close();
  }

  /** Closes every socket; nothing is reported any more. */
  close(): void {
    for (const ask of [...this.#udp.keys(), ...this.#tcp.keys()]) this.release(ask);
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#spares.close();
  }

  #askUdp({ ask, server, octets }: Ask): void {
    const upstream = server.endpoint;
    const socket = this.#spares.take(upstream);
    this.#udp.set(ask, socket);
    const fail = (error: unknown): void => {
      if (this.#udp.get(ask) !== socket) return;
      this.#closeUdp(ask);
      this.#events.failed(ask, failure(upstream, error));
    };
    socket.failed = fail;
    const send = (): void => {
      if (this.#udp.get(ask) !== socket) return;
      socket.udp.send(octets, (error) => {
        if (error) fail(error);
      });
    };
    socket.udp.on('message', (reply) => {
      if (this.#udp.get(ask) === socket) this.#events.reply(ask, plain(reply));
    });
    if (socket.isConnected) send();
    else socket.udp.once('connect', send);
  }

  #closeUdp(ask: number): void {
    const socket = this.#udp.get(ask);
    if (socket === undefined) return;
    this.#udp.delete(ask);
    socket.udp.close();
  }

  #askTcp(ask: Ask, mayReuse: boolean): void {
    const { endpoint } = ask.server;
    const key = formatEndpoint(endpoint);
    let link = mayReuse ? this.#links.get(key) : undefined;
    if (link === undefined || link.isClosed) {
      link = new TcpLink(endpoint, {
        reply: (number, octets) => {
          this.#events.reply(number, octets);
        },
        ended: (gone, lost, why) => {
          if (this.#links.get(key) === gone) this.#links.delete(key);
          for (const { ask: open, onUsedLink } of lost) {
            this.#tcp.delete(open.ask);
            // A server may close an idle connection just as we write to it (RFC 7766 §6.2.4).
            if (onUsedLink) this.#askTcp(open, false);
            else this.#events.failed(open.ask, why);
          }
        },
      });
      this.#links.set(key, link);
    }
    this.#tcp.set(ask.ask, link);
    link.ask(ask);
  }
}

/** A socket for one query, and what became of connecting it. */
interface ConnectedSocket {
  readonly udp: UdpSocket;
  isConnected: boolean;
  /** Whoever has the socket hears of its faults here. */
  failed: (error: unknown) => void;
}

/**
 * Sockets that are connected before they are wanted, so that a query leaves at once. Each still serves one query, from
 * a port that the kernel chose for it alone. A while after the last query all are closed.
 */
class Spares {
  readonly #idle = new Map<string, { readonly upstream: Endpoint; readonly sockets: Set<ConnectedSocket> }>();
  #refillTimer: NodeJS.Timeout | undefined;
  #expiryTimer: NodeJS.Timeout | undefined;

  /** A fresh socket, connected where one was ready. It is the caller's from now on. */
  take(upstream: Endpoint): ConnectedSocket {
    const key = formatEndpoint(upstream);
    const idle = this.#idle.get(key) ?? { upstream, sockets: new Set() };
    this.#idle.set(key, idle);
    this.#refillTimer ??= setTimeout(() => {
      this.#refill();
    }, refillMs).unref();
    const [ready] = idle.sockets;
    if (ready === undefined) return connected(upstream);
    idle.sockets.delete(ready);
    ready.udp.ref();
    return ready;
  }

  close(): void {
    clearTimeout(this.#refillTimer);
    clearTimeout(this.#expiryTimer);
    for (const { sockets } of this.#idle.values()) for (const { udp } of sockets) udp.close();
    this.#idle.clear();
    this.#refillTimer = undefined;
  }

  #refill(): void {
    this.#refillTimer = undefined;
    for (const { upstream, sockets } of this.#idle.values()) {
      for (let missing = sparesPerUpstream - sockets.size; missing > 0; missing--) {
        const socket = connected(upstream);
        socket.failed = () => {
          sockets.delete(socket);
          socket.udp.close();
        };
        socket.udp.unref();
        sockets.add(socket);
      }
    }
    clearTimeout(this.#expiryTimer);
    this.#expiryTimer = setTimeout(() => {
      this.close();
    }, spareMs).unref();
  }
}

/** A lookup asks two questions at the same moment, and programs ask for both address types. */
const sparesPerUpstream = 4;
/** From a query to the making of the next sockets, ms: they must not hold up its answer. */
const refillMs = 20;
/** How long after the last query sockets are kept ready, ms. */
const spareMs = 30_000;

function connected(upstream: Endpoint): ConnectedSocket {
  const udp = createSocket(upstream.address.family === 4 ? 'udp4' : 'udp6');
  const socket: ConnectedSocket = { udp, isConnected: false, failed: () => undefined };
  udp.on('error', (error) => {
    socket.failed(error);
  });
  udp.once('connect', () => {
    socket.isConnected = true;
  });
  try {
    udp.connect(upstream.port, formatAddress(upstream.address));
  } catch (error) {
    setImmediate(() => {
      socket.failed(error); // A port that cannot be: 0, for example.
    });
  }
  return socket;
}

interface OpenAsk {
  readonly ask: Ask;
  /** The connection had already served others when it was asked. */
  readonly onUsedLink: boolean;
}

interface LinkEvents {
  readonly reply: (ask: number, octets: Uint8Array) => void;
  /** The connection is gone, with the asks that have had no reply on it. */
  readonly ended: (link: TcpLink, lost: readonly OpenAsk[], why: string) => void;
}

/** One TCP connection to an upstream, with any number of asks on it; replies come in any order (RFC 7766 §7). */
class TcpLink {
  readonly #events: LinkEvents;
  readonly #socket: TcpSocket;
  readonly #frames = new FrameReader();
  readonly #open = new Map<number, OpenAsk>();
  readonly #replied = new Set<number>();
  #isUsed = false;
  #why: string | undefined;

  constructor(upstream: Endpoint, events: LinkEvents) {
    this.#events = events;
    const socket = connect({ host: formatAddress(upstream.address), port: upstream.port, noDelay: true });
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      for (const message of this.#frames.push(plain(chunk))) this.#take(message);
    });
    socket.on('error', (error) => {
      this.#why = failure(upstream, error);
    });
    socket.on('timeout', () => {
      if (this.#open.size === 0) socket.destroy();
    });
    socket.on('close', () => {
      const lost = [...this.#open.values()].filter(({ ask }) => !this.#replied.has(ask.ask));
      this.#open.clear();
      this.#events.ended(this, lost, this.#why ?? `${formatEndpoint(upstream)} closed the connection`);
    });
  }

  /** It takes no asks any more, though the end of its socket may not have been reported yet. */
  get isClosed(): boolean {
    return this.#socket.destroyed;
  }

  ask(ask: Ask): void {
    this.#open.set(ask.ask, { ask, onUsedLink: this.#isUsed });
    this.#socket.setTimeout(0);
    this.#socket.ref();
    this.#socket.write(framed(ask.octets));
  }

  release(ask: number): void {
    this.#open.delete(ask);
    this.#replied.delete(ask);
    if (this.#open.size > 0) return;
    if (this.#socket.connecting) {
      this.close();
      return;
    }
    this.#socket.setTimeout(idleMs);
    this.#socket.unref();
  }

  close(): void {
    this.#open.clear();
    this.#socket.destroy();
  }

  #take(message: Uint8Array): void {
    this.#isUsed = true;
    // Two asks may have drawn the same message id: both get the reply, and the resolver knows whose it is.
    for (const { ask } of [...this.#open.values()]) {
      if (message[0] !== ask.octets[0] || message[1] !== ask.octets[1]) continue;
      this.#replied.add(ask.ask);
      this.#events.reply(ask.ask, message);
    }
  }
}

/** `nothing listens at 192.0.2.1:53`, or the system's own words. */
function failure(upstream: Endpoint, error: unknown): string {
  const who = formatEndpoint(upstream);
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return `nothing listens at ${who}`;
    case 'ECONNRESET':
      return `${who} reset the connection`;
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return `there is no route to ${who}`;
    case 'EHOSTUNREACH':
      return `${who} cannot be reached`;
    case 'ETIMEDOUT':
      return `${who} does not answer`;
    case 'EMFILE':
    case 'ENFILE':
      return 'there are no file descriptors left';
    default:
      return `${who}: ${messageOf(error)}`;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** The same octets as a plain Uint8Array: a Buffer's slice() would share memory. */
function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
