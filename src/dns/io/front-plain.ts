import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { formatAddress, parseAddress, type Endpoint, type IpAddress } from '../../net/address.ts';
import { instant } from '../../time.ts';
import { ClientGuard } from '../clients.ts';
import { turnedAway } from '../turned-away.ts';
import { udpLimitOctets, WireCache } from '../wire-cache.ts';
import type { DatagramFront, FrontOptions, FrontSocket } from './front.ts';
import type { FrontCounter } from './front-thread.ts';

/** Datagrams one by one, through Node. Bound to no address in particular, it answers from the one that leads back. */
export class PlainFront implements DatagramFront {
  readonly stats: Record<FrontCounter, number> = { answersKept: 0, datagramsTurnedAway: 0, datagramsLost: 0 };
  readonly #options: FrontOptions;
  readonly #guard: ClientGuard;
  readonly #cache: WireCache;
  readonly #sockets = new Set<Socket>();
  readonly #out = new Uint8Array(((udpLimitOctets + 3) >> 2) * 4);
  readonly #outWords = new Int32Array(this.#out.buffer);

  constructor(options: FrontOptions) {
    this.#options = options;
    this.#guard = new ClientGuard(options.clients);
    this.#cache = new WireCache({ limitOctets: udpLimitOctets, seed: options.seed });
  }

  async bind(endpoint: Endpoint): Promise<FrontSocket> {
    const socket = newSocket(endpoint.address.family);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(error);
      });
      socket.bind(
        { address: formatAddress(endpoint.address), port: endpoint.port, exclusive: true },
        resolve,
      );
    });
    socket.removeAllListeners('error');
    this.#serve(socket);
    return {
      endpoint: { address: endpoint.address, port: socket.address().port },
      close: () => this.#close(socket),
    };
  }

  /** Serves a socket that somebody else has bound. */
  adopt(fd: number, family: 4 | 6): void {
    const socket = newSocket(family);
    socket.bind({ fd });
    this.#serve(socket);
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  setLocals(addresses: readonly IpAddress[]): void {
    this.#guard.locals = addresses;
  }

  forget(): void {
    this.#cache.clear();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sockets].map((socket) => this.#close(socket)));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('message', (octets, from) => {
      this.#take(socket, octets, from);
    });
    // Errors that belong to a single datagram (an ICMP message, a full buffer) end up here.
    socket.on('error', () => undefined);
  }

  #take(socket: Socket, octets: Uint8Array, from: RemoteInfo): void {
    // Too short for a header, or a response: two stubs would talk for ever.
    if (octets.length < headerOctets || ((octets[2] ?? 0) & 0x80) !== 0) return;
    const { port, address } = from;
    // Without a callback: a client that has gone is no concern of ours, and hearing of it takes longer than all else.
    const send = (answer: Uint8Array): void => {
      socket.send(answer, port, address);
    };
    const now = performance.now();
    if (!isLoopback(address)) {
      const client = parseAddress(address.split('%')[0] ?? '');
      const judgement = client ? this.#guard.judge(client, instant(now)) : 'drop';
      if (judgement !== 'serve') {
        this.stats.datagramsTurnedAway++;
        const answer = turnedAway(octets, judgement, udpLimitOctets);
        if (answer) send(answer);
        return;
      }
    }
    const length = this.#cache.answer(octets, 0, octets.length, this.#out, this.#outWords, 0, now);
    if (length > 0) {
      this.stats.answersKept++;
      const answer = Buffer.allocUnsafe(length); // Node may send it in a later turn.
      answer.set(this.#out.subarray(0, length));
      socket.send(answer, port, address);
      return;
    }
    // A plain Uint8Array: a Buffer's slice() would share memory.
    const query = new Uint8Array(octets);
    this.#options.onQuery(query, (answer, keep) => {
      if (answer === undefined) return;
      if (keep) this.#cache.put(query, answer, keep, performance.now());
      if (this.#sockets.has(socket)) send(answer);
    });
  }

  #close(socket: Socket): Promise<void> {
    if (!this.#sockets.delete(socket)) return Promise.resolve();
    return new Promise((resolve) => {
      socket.close(resolve);
    });
  }
}

function newSocket(family: 4 | 6): Socket {
  return createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    recvBufferSize: receiveBufferOctets,
    // The default look-up would defer every datagram to a later turn, though addresses need none.
    lookup: (host, _options, callback) => {
      callback(null, host, family);
    },
  });
}

/** As Node writes it. */
function isLoopback(address: string): boolean {
  return address === '127.0.0.1' || address === '::1';
}

const headerOctets = 12;
/** So that a burst of queries is not lost; the kernel grants less where its limit is lower. */
const receiveBufferOctets = 1 << 20;
