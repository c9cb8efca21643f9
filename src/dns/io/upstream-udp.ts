import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { formatAddress, formatEndpoint, type Endpoint } from '../../net/address.ts';
import { failure, plain, type Ask, type Carrier, type UpstreamEvents } from './upstream-events.ts';

/** How sockets towards servers are used. */
export interface UdpLimits {
  /** Ports that stay open towards one server before any of them is used again. */
  readonly portsPerServer: number;
  /** Queries from one port, one after the other. */
  readonly usesPerPort: number;
  /** How long a port is used, ms. */
  readonly portMs: number;
  /** Sockets without a query, towards all servers. */
  readonly idle: number;
}

export const defaultUdpLimits: UdpLimits = { portsPerServer: 8, usesPerPort: 16, portMs: 10_000, idle: 512 };

/**
 * Queries over UDP. Each goes through a connected socket that has no other query at that time: the kernel chose its
 * port at random, drops what comes from elsewhere, and reports ICMP errors (RFC 5452 §9.2). To make and connect a
 * socket takes thrice the processor time of a query and its reply, so a few remain for each server; a query takes one of
 * them by lot. Ports that one server has seen tell nothing of those towards another.
 */
export class UdpCarrier implements Carrier {
  readonly #events: UpstreamEvents;
  readonly #limits: UdpLimits;
  readonly #asked = new Map<number, QuerySocket>();
  /** Sockets without a query, by the server as text. */
  readonly #idleOf = new Map<string, QuerySocket[]>();
  /** All of them, the longest idle first. */
  readonly #idle = new Set<QuerySocket>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(events: UpstreamEvents, limits: Partial<UdpLimits> = {}) {
    this.#events = events;
    this.#limits = { ...defaultUdpLimits, ...limits };
  }

  ask({ ask, server: { endpoint }, octets }: Ask): void {
    const socket = this.#take(endpoint);
    this.#asked.set(ask, socket);
    socket.ask = ask;
    socket.uses++;
    socket.datagrams = 0;
    if (socket.isConnected) socket.udp.send(octets, socket.sent);
    else
      socket.udp.once('connect', () => {
        if (socket.ask === ask) socket.udp.send(octets, socket.sent);
      });
  }

  release(ask: number): boolean {
    const socket = this.#asked.get(ask);
    if (socket === undefined) return false;
    this.#asked.delete(ask);
    socket.ask = undefined;
    // Where nothing came a late reply still may; where more came than one somebody may have found the port.
    const isSpent =
      socket.datagrams !== 1 ||
      socket.uses >= this.#limits.usesPerPort ||
      performance.now() - socket.madeAt > this.#limits.portMs;
    if (isSpent) close(socket);
    else this.#keep(socket);
    return true;
  }

  renew(): void {
    for (const socket of [...this.#idle]) this.#drop(socket);
    for (const socket of this.#asked.values()) socket.uses = Infinity;
  }

  close(): void {
    for (const ask of [...this.#asked.keys()]) this.release(ask);
    for (const socket of [...this.#idle]) this.#drop(socket);
    clearInterval(this.#sweep);
  }

  /** One of the server's sockets by lot, or a new one while they are few. */
  #take(endpoint: Endpoint): QuerySocket {
    const key = formatEndpoint(endpoint);
    const idle = this.#idleOf.get(key);
    if (idle === undefined || idle.length < this.#limits.portsPerServer) return this.#open(key, endpoint);
    const at = randomInt(idle.length);
    const socket = idle[at];
    const last = idle.pop();
    if (socket === undefined || last === undefined) return this.#open(key, endpoint);
    if (socket !== last) idle[at] = last;
    this.#idle.delete(socket);
    return socket;
  }

  #open(key: string, endpoint: Endpoint): QuerySocket {
    const udp = createSocket({ type: endpoint.address.family === 4 ? 'udp4' : 'udp6', lookup: itself });
    const socket: QuerySocket = {
      udp,
      key,
      madeAt: performance.now(),
      isConnected: false,
      ask: undefined,
      uses: 0,
      datagrams: 0,
      sent: (error) => {
        if (error) failed(error);
      },
    };
    const failed = (error: unknown): void => {
      const { ask } = socket;
      if (ask !== undefined) {
        this.#asked.delete(ask);
        socket.ask = undefined;
        this.#events.failed(ask, failure(endpoint, error));
      }
      this.#drop(socket);
    };
    udp.on('message', (octets) => {
      socket.datagrams++;
      if (socket.ask !== undefined) this.#events.reply(socket.ask, plain(octets));
      else this.#drop(socket); // Nobody asked.
    });
    udp.on('error', failed);
    udp.once('connect', () => {
      socket.isConnected = true;
    });
    try {
      udp.connect(endpoint.port, formatAddress(endpoint.address));
    } catch (error) {
      setImmediate(failed, error); // A port that cannot be: 0, for example.
    }
    return socket;
  }

  #keep(socket: QuerySocket): void {
    if (this.#idle.size >= this.#limits.idle) {
      const [oldest] = this.#idle;
      if (oldest !== undefined) this.#drop(oldest);
    }
    this.#idle.add(socket);
    const idle = this.#idleOf.get(socket.key);
    if (idle === undefined) this.#idleOf.set(socket.key, [socket]);
    else idle.push(socket);
    this.#sweep ??= setInterval(() => {
      this.#closeOld();
    }, this.#limits.portMs / 2).unref();
  }

  #drop(socket: QuerySocket): void {
    if (this.#idle.delete(socket)) {
      const others = this.#idleOf.get(socket.key)?.filter((s) => s !== socket) ?? [];
      if (others.length === 0) this.#idleOf.delete(socket.key);
      else this.#idleOf.set(socket.key, others);
    }
    close(socket);
  }

  #closeOld(): void {
    const before = performance.now() - this.#limits.portMs;
    for (const socket of [...this.#idle]) if (socket.madeAt < before) this.#drop(socket);
    for (const [key, idle] of this.#idleOf) if (idle.length === 0) this.#idleOf.delete(key);
    if (this.#idle.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

/** A socket that is connected to one server, with at most one query on its way. */
interface QuerySocket {
  readonly udp: Socket;
  /** The server as text. */
  readonly key: string;
  /** Monotonic, ms. */
  readonly madeAt: number;
  /** What becomes of sending. */
  readonly sent: (error: Error | null) => void;
  isConnected: boolean;
  ask: number | undefined;
  uses: number;
  /** That came for the query at hand. */
  datagrams: number;
}

function close(socket: QuerySocket): void {
  socket.udp.removeAllListeners();
  socket.udp.on('error', () => undefined);
  try {
    socket.udp.close();
  } catch {
    // It is closed already.
  }
}

/** Addresses only: nothing is looked up. */
function itself(
  address: string,
  _: unknown,
  found: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  found(null, address, address.includes(':') ? 6 : 4);
}
