import { createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { Exit, messageOf, OeError } from '../../errors.ts';
import {
  formatAddress,
  formatEndpoint,
  parseAddress,
  type Endpoint,
  type IpAddress,
} from '../../net/address.ts';
import { ClientGuard, type ClientRules } from '../clients.ts';
import { tcpIdleMs } from '../stub.ts';
import { FrameReader, framed } from '../frames.ts';
import { udpLimitOctets, type Keep } from '../wire-cache.ts';
import { newFront, type DatagramFront, type FrontKind, type FrontSocket, type Reply } from './front.ts';
import { portHolder } from './port-holder.ts';

/** A query came: octets as they are, and how many octets the transport takes back. */
export type OnQuery = (query: number, octets: Uint8Array, limitOctets: number) => void;

/** What one listener takes on before it turns clients away. */
export interface ListenLimits {
  /** TCP connections; one more closes the one that is idle longest, or is refused where all are busy. */
  readonly connections: number;
  /** Queries of one TCP connection that wait for an answer; then it is not read from. */
  readonly queriesPerConnection: number;
  /** Queries in all that wait for an answer; one more, and the oldest gets none. */
  readonly queries: number;
  /** A TCP connection that is silent, or inside one message, for longer is closed; ms (RFC 7766 §6.2.3). */
  readonly idleMs: number;
}

export const defaultListenLimits: ListenLimits = {
  connections: 200,
  queriesPerConnection: 64,
  queries: 10_000,
  idleMs: tcpIdleMs,
};

const tcpLimitOctets = 0xffff;
const headerOctets = 12;
/** Answers that a TCP client has not taken yet, octets. */
const maxUnreadOctets = 1 << 20;

/** What one listener is told beside where to listen. */
export interface ListenOptions {
  /** How datagrams are taken. */
  readonly front?: FrontKind;
  readonly clients?: ClientRules;
  /** 32 random bits, against chosen names. */
  readonly seed?: number;
  readonly limits?: Partial<ListenLimits>;
  /** Something is not as it should be and goes on all the same; a sentence. */
  readonly warn?: (why: string) => void;
}

/** Binding UDP and TCP to the same free port may find the TCP one taken; so many tries for port 0. */
const triesForPortZero = 10;

/** The servers of the stub, UDP and TCP on each endpoint. */
export class DnsListener {
  readonly #onQuery: OnQuery;
  readonly #limits: ListenLimits;
  readonly #front: DatagramFront;
  readonly #guard: ClientGuard;
  readonly #servers: Bound[] = [];
  readonly #skipped: Endpoint[] = [];
  /** How to answer, by query number, oldest first. */
  readonly #waiting = new Map<number, Reply>();
  readonly #connections = new Set<Connection>();
  #nextQuery = 1;

  private constructor(onQuery: OnQuery, options: ListenOptions) {
    const clients = options.clients ?? { allow: [], rateLimit: 0 };
    this.#onQuery = onQuery;
    this.#limits = { ...defaultListenLimits, ...options.limits };
    this.#guard = new ClientGuard(clients);
    this.#front = newFront(options.front ?? 'auto', {
      onQuery: (octets, reply) => this.#take(octets, udpLimitOctets, reply),
      clients,
      seed: options.seed ?? 0,
      warn: options.warn ?? (() => undefined),
    });
  }

  /**
   * Listens at all of `endpoints`; `onQuery` gets a number that is not used twice. Throws an {@link OeError} where one
   * cannot be had (`dns-port-busy`, `dns-port-denied`, `dns-address-missing`, `dns-listen-failed`), and then nothing
   * stays open. An IPv6 loopback address that this host does not have is passed over while others are there.
   */
  static async open(
    endpoints: readonly Endpoint[],
    onQuery: OnQuery,
    options: ListenOptions = {},
  ): Promise<DnsListener> {
    const listener = new DnsListener(onQuery, options);
    try {
      for (const endpoint of endpoints) await listener.#open(endpoint, endpoints.length > 1);
      await listener.#front.start();
    } catch (error) {
      await listener.close();
      throw error;
    }
    return listener;
  }

  /** Where it listens, with the ports that port 0 became. */
  get endpoints(): readonly Endpoint[] {
    return this.#servers.map((server) => server.endpoint);
  }

  /** Endpoints that were passed over because the host has no such address. */
  get skipped(): readonly Endpoint[] {
    return this.#skipped;
  }

  /** This host's own addresses, all of them, as they are now: they may ask. */
  setLocals(addresses: readonly IpAddress[]): void {
    this.#guard.locals = addresses;
    this.#front.setLocals(addresses);
  }

  /**
   * Sends the answer; nothing happens where the client has gone or the query was answered. With `keep` whoever asks the
   * same over UDP gets it again without a query.
   */
  answer(query: number, octets: Uint8Array, keep?: Keep): void {
    const send = this.#waiting.get(query);
    this.#waiting.delete(query);
    send?.(octets, keep);
  }

  /** No answer that was kept holds any longer. */
  forget(): void {
    this.#front.forget();
  }

  /** Counters for status. */
  get stats(): Readonly<Record<string, number>> {
    return this.#front.stats;
  }

  async close(): Promise<void> {
    this.#waiting.clear();
    for (const connection of this.#connections) connection.close();
    await Promise.all([this.#front.close(), ...this.#servers.map((server) => server.close())]);
    this.#servers.length = 0;
  }

  async #open(endpoint: Endpoint, mayBeSkipped: boolean): Promise<void> {
    for (let tries = endpoint.port === 0 ? triesForPortZero : 1; ; tries--) {
      let udp: FrontSocket;
      try {
        udp = await this.#front.bind(endpoint);
      } catch (error) {
        if (mayBeSkipped && isLoopback6(endpoint) && isAddressMissing(error)) {
          this.#skipped.push(endpoint);
          return;
        }
        throw bindError(error, endpoint, 'udp');
      }
      const bound = udp.endpoint;
      try {
        const tcp = await listenTcp(bound);
        this.#serveTcp(tcp);
        this.#servers.push({ endpoint: bound, close: () => closeTcp(tcp) });
        return;
      } catch (error) {
        await udp.close();
        if (tries <= 1) throw bindError(error, bound, 'tcp');
      }
    }
  }

  #serveTcp(server: Server): void {
    server.on('connection', (socket) => {
      const client = parseAddress(socket.remoteAddress?.split('%')[0] ?? '');
      if (!client || !this.#guard.admits(client)) {
        socket.destroy();
        return;
      }
      if (this.#connections.size >= this.#limits.connections && !this.#closeIdlest()) {
        socket.destroy();
        return;
      }
      const connection = new Connection(socket, this.#limits, {
        // A plain Uint8Array: a Buffer's slice() would share memory.
        query: (octets, reply) => this.#take(new Uint8Array(octets), tcpLimitOctets, reply),
        closed: () => this.#connections.delete(connection),
      });
      this.#connections.add(connection);
    });
    server.on('error', () => undefined);
  }

  /** Makes room for a new client; false where all connections have work to do. */
  #closeIdlest(): boolean {
    let idlest: Connection | undefined;
    for (const connection of this.#connections) {
      if (connection.isBusy) continue;
      if (idlest === undefined || connection.lastActive < idlest.lastActive) idlest = connection;
    }
    idlest?.close();
    if (idlest !== undefined) this.#connections.delete(idlest);
    return idlest !== undefined;
  }

  /** False where the octets ask for nothing: shorter than a header, or a response. */
  #take(octets: Uint8Array, limitOctets: number, reply: Reply): boolean {
    if (octets.length < headerOctets || ((octets[2] ?? 0) & 0x80) !== 0) return false;
    if (this.#waiting.size >= this.#limits.queries) {
      const [oldest] = this.#waiting;
      if (oldest !== undefined) {
        this.#waiting.delete(oldest[0]);
        oldest[1](undefined);
      }
    }
    const query = this.#nextQuery++;
    this.#waiting.set(query, reply);
    this.#onQuery(query, octets, limitOctets);
    return true;
  }
}

interface Bound {
  readonly endpoint: Endpoint;
  readonly close: () => Promise<void>;
}

interface ConnectionEvents {
  /** False where it is no query and gets no answer. */
  readonly query: (octets: Uint8Array, reply: Reply) => boolean;
  readonly closed: () => void;
}

/** One client over TCP: any number of queries at once, answered in any order (RFC 7766 §6.2.1.1, §7). */
class Connection {
  readonly #socket: TcpSocket;
  readonly #limits: ListenLimits;
  readonly #events: ConnectionEvents;
  readonly #frames = new FrameReader();
  readonly #queue: Uint8Array[] = [];
  #open = 0;
  #isServing = false;
  #insideSince: number | undefined;
  #ended = false;
  #lastActive = performance.now();

  constructor(socket: TcpSocket, limits: ListenLimits, events: ConnectionEvents) {
    this.#socket = socket;
    this.#limits = limits;
    this.#events = events;
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs);
    socket.on('data', (chunk: Buffer) => {
      this.#read(chunk);
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#finishIfDone();
    });
    socket.on('timeout', () => {
      if (this.#open === 0) this.close();
    });
    socket.on('error', () => undefined); // 'close' follows.
    socket.on('close', () => {
      events.closed();
    });
  }

  /** Some query waits for its answer. */
  get isBusy(): boolean {
    return this.#open > 0;
  }

  /** Monotonic, ms. */
  get lastActive(): number {
    return this.#lastActive;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Uint8Array): void {
    this.#lastActive = performance.now();
    this.#queue.push(...this.#frames.push(chunk));
    if (!this.#frames.isInside) this.#insideSince = undefined;
    else this.#insideSince ??= this.#lastActive;
    // Single octets now and then must not hold a connection.
    if (this.#insideSince !== undefined && this.#lastActive - this.#insideSince > this.#limits.idleMs) {
      this.close();
      return;
    }
    this.#serve();
  }

  #serve(): void {
    if (this.#isServing) return; // An answer that came at once: the loop below goes on.
    this.#isServing = true;
    this.#serveQueue();
    this.#isServing = false;
  }

  #serveQueue(): void {
    while (this.#open < this.#limits.queriesPerConnection) {
      const octets = this.#queue.shift();
      if (octets === undefined) break;
      this.#open++;
      const isQuery = this.#events.query(octets, (answer) => {
        this.#answer(answer);
      });
      if (isQuery) continue;
      this.close(); // What speaks no DNS has no business here.
      return;
    }
    if (this.#open >= this.#limits.queriesPerConnection) this.#socket.pause();
    else this.#socket.resume();
    this.#finishIfDone();
  }

  #answer(octets: Uint8Array | undefined): void {
    this.#open--;
    this.#lastActive = performance.now();
    if (this.#socket.destroyed) return;
    // A client that asks and does not read, or gets no answer, starts over.
    if (octets === undefined || this.#socket.writableLength > maxUnreadOctets) {
      this.close();
      return;
    }
    this.#socket.write(framed(octets));
    this.#serve();
  }

  /** The client has said that it asks nothing more. */
  #finishIfDone(): void {
    if (this.#ended && this.#open === 0 && this.#queue.length === 0) this.#socket.end();
  }
}

function listenTcp(endpoint: Endpoint): Promise<Server> {
  const server = createServer({ allowHalfOpen: true });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(
      {
        host: formatAddress(endpoint.address),
        port: endpoint.port,
        ipv6Only: endpoint.address.family === 6,
        exclusive: true,
      },
      () => {
        server.removeAllListeners('error');
        resolve(server);
      },
    );
  });
}

function closeTcp(tcp: Server): Promise<void> {
  return new Promise((resolve) => {
    tcp.close(() => {
      resolve();
    });
  });
}

function bindError(error: unknown, endpoint: Endpoint, transport: 'udp' | 'tcp'): OeError {
  const where = `${transport.toUpperCase()} ${formatEndpoint(endpoint)}`;
  const elsewhere = 'set another address as `listen` under `[dns]` in oe.toml';
  switch (codeOf(error)) {
    case 'EADDRINUSE': {
      const holder = portHolder(endpoint, transport);
      const who = holder ? `${holder.command} (process ${holder.pid})` : 'another process';
      const remedy = /^systemd-resolve/.test(holder?.command ?? '')
        ? `Turn its listener off with \`DNSStubListener=no\` in /etc/systemd/resolved.conf and restart systemd-resolved, or ${elsewhere}.`
        : `Stop ${holder ? 'it' : 'what listens there (`ss -lunt` shows it)'}, or ${elsewhere}.`;
      return new OeError('dns-port-busy', `${where} is taken by ${who}.`, remedy, Exit.unavailable, error);
    }
    case 'EACCES':
      return new OeError(
        'dns-port-denied',
        `This user may not listen at ${where}.`,
        `Start oe as root or give it CAP_NET_BIND_SERVICE, or ${elsewhere}.`,
        Exit.noPermission,
        error,
      );
    case 'EADDRNOTAVAIL':
    case 'EAFNOSUPPORT':
      return new OeError(
        'dns-address-missing',
        `This host has no address ${formatAddress(endpoint.address)} to listen at.`,
        `Give it that address, or ${elsewhere}.`,
        Exit.unavailable,
        error,
      );
    default:
      return new OeError(
        'dns-listen-failed',
        `Listening at ${where} failed: ${messageOf(error)}.`,
        `Look at what the system says, or ${elsewhere}.`,
        Exit.osError,
        error,
      );
  }
}

function isLoopback6({ address }: Endpoint): boolean {
  return address.family === 6 && formatAddress(address) === '::1';
}

function isAddressMissing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT';
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
