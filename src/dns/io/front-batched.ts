import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import { messageOf } from '../../errors.ts';
import type { Endpoint, IpAddress } from '../../net/address.ts';
import { close, openUdpSocket, setIntOption } from '../../net/io/libc.ts';
import { concatOctets } from '../../wire/octets.ts';
import type { Keep } from '../wire-cache.ts';
import { wayOctets, type BatchSocket } from './batch.ts';
import type { DatagramFront, FrontOptions, FrontSocket } from './front.ts';
import { PlainFront } from './front-plain.ts';
import {
  ageless,
  frontCounters,
  Head,
  headOctets,
  MessageKind,
  Shared,
  type FrontCounter,
  type ThreadData,
} from './front-thread.ts';
import { SharedRing } from './shared-ring.ts';

/**
 * Datagrams in batches, by a thread of their own that also gives the kept answers: one system call takes or sends up to
 * 64 of them. This side opens the sockets, hears of the queries that need work, and says what is to be sent.
 */
export class BatchedFront implements DatagramFront {
  readonly #options: FrontOptions;
  readonly #sockets: BatchSocket[] = [];
  readonly #shared = new Int32Array(new SharedArrayBuffer(4 * Shared.words));
  readonly #toThread = new SharedRing(SharedRing.allocate(ringOctets));
  readonly #fromThread = new SharedRing(SharedRing.allocate(ringOctets));
  readonly #wakeFd = eventfd();
  readonly #head = new Uint8Array(headOctets);
  readonly #headView = new DataView(this.#head.buffer);
  #ended: Promise<void> = Promise.resolve();
  #locals: readonly IpAddress[] = [];
  #retelling: NodeJS.Timeout | undefined;
  /** Takes over where the thread has ended by a fault of ours. */
  #rescue: PlainFront | undefined;
  #closing = false;
  #waking = false;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  get stats(): Record<FrontCounter, number> {
    const count = (what: FrontCounter): number =>
      ((this.#shared[Shared.counters + frontCounters.indexOf(what)] ?? 0) >>> 0) +
      (this.#rescue?.stats[what] ?? 0);
    return {
      answersKept: count('answersKept'),
      datagramsTurnedAway: count('datagramsTurnedAway'),
      datagramsLost: count('datagramsLost'),
    };
  }

  bind(local: Endpoint): Promise<FrontSocket> {
    return new Promise((resolve) => {
      const opened = openUdpSocket({ local, bypassIpsec: false, espInUdp: false });
      const { family, octets } = local.address;
      const wildcard = octets.every((o) => o === 0);
      const socket = { fd: opened.fd, family, wildcard };
      this.#sockets.push(socket);
      setIntOption(opened.fd, SOL_SOCKET, SO_RCVBUF, receiveBufferOctets, 'SO_RCVBUF');
      if (wildcard && family === 4) setIntOption(opened.fd, IPPROTO_IP, IP_PKTINFO, 1, 'IP_PKTINFO');
      if (wildcard && family === 6) {
        setIntOption(opened.fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, 'IPV6_RECVPKTINFO');
      }
      const giveBack = (): Promise<void> => {
        this.#sockets.splice(this.#sockets.indexOf(socket), 1);
        close(opened.fd);
        return Promise.resolve();
      };
      resolve({ endpoint: { address: local.address, port: opened.local.port }, close: giveBack });
    });
  }

  async start(): Promise<void> {
    const data: ThreadData = {
      sockets: this.#sockets,
      clients: this.#options.clients,
      seed: this.#options.seed,
      shared: this.#shared.buffer,
      toThread: this.#toThread.memory,
      fromThread: this.#fromThread.memory,
      wakeFd: this.#wakeFd,
    };
    const thread = new Worker(workerFile, { workerData: data, name: 'oe-dns' });
    const started = new Promise<void>((resolve) => {
      thread.on('message', () => {
        resolve();
        this.#read();
      });
      thread.on('error', (error) => {
        resolve();
        this.#fault(error);
      });
    });
    this.#ended = new Promise((resolve) => {
      thread.once('exit', () => {
        resolve();
      });
    });
    process.once('exit', this.#stop);
    this.setLocals(this.#locals);
    await started;
  }

  setLocals(addresses: readonly IpAddress[]): void {
    this.#locals = addresses;
    this.#rescue?.setLocals(addresses);
    this.#tellLocals();
  }

  /** Tells the thread, as soon as there is room: there will be no other occasion. */
  #tellLocals(): void {
    clearTimeout(this.#retelling);
    const listed = this.#locals.map(({ octets }) => concatOctets(new Uint8Array([octets.length]), octets));
    if (this.#closing || this.#write(MessageKind.locals, undefined, ...listed)) return;
    this.#retelling = setTimeout(() => {
      this.#tellLocals();
    }, retellMs);
  }

  forget(): void {
    this.#rescue?.forget();
    Atomics.add(this.#shared, Shared.forgets, 1);
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    clearTimeout(this.#retelling);
    this.#stop();
    await this.#ended;
    process.off('exit', this.#stop);
    if (this.#rescue) await this.#rescue.close();
    else for (const { fd } of this.#sockets) close(fd);
    this.#sockets.length = 0;
    close(this.#wakeFd);
  }

  readonly #stop = (): void => {
    Atomics.store(this.#shared, Shared.stop, 1);
    this.#wake();
  };

  /** Something is wrong in the thread: nobody is to wait for answers until the next start. */
  #fault(error: unknown): void {
    if (this.#closing || this.#rescue) return;
    const why = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    this.#options.warn(`The thread for DNS datagrams ended, and they are taken one by one: ${why}`);
    this.#rescue = new PlainFront(this.#options);
    this.#rescue.setLocals(this.#locals);
    for (const { fd, family } of this.#sockets) this.#rescue.adopt(fd, family);
  }

  /** Hears what the thread has to say. */
  #read(): void {
    Atomics.store(this.#shared, Shared.told, 0);
    for (let message = this.#fromThread.peek(); message; message = this.#fromThread.peek()) {
      const socket = message[Head.socket] ?? 0;
      const way = new Uint8Array(message.subarray(Head.way, Head.way + wayOctets));
      const query = new Uint8Array(message.subarray(headOctets));
      this.#fromThread.next();
      this.#options.onQuery(query, (answer, keep) => {
        if (answer !== undefined) this.#answer(socket, way, query, answer, keep);
      });
    }
  }

  #answer(
    socket: number,
    way: Uint8Array,
    query: Uint8Array,
    answer: Uint8Array,
    keep: Keep | undefined,
  ): void {
    this.#head[Head.socket] = socket;
    this.#head.set(way, Head.way);
    const parts = keep ? [query, answer] : [answer];
    if (this.#closing || this.#write(MessageKind.answer, keep, ...parts)) return;
    Atomics.add(this.#shared, Shared.counters + frontCounters.indexOf('datagramsLost'), 1);
  }

  /** False where there is no room. */
  #write(kind: number, keep: Keep | undefined, ...parts: readonly Uint8Array[]): boolean {
    this.#head[Head.kind] = kind;
    this.#headView.setUint16(Head.queryLength, keep ? (parts[0]?.length ?? 0) : 0);
    this.#headView.setUint32(
      Head.keepMs,
      keep ? Math.min(longestKeepMs, Math.floor(1_000 * keep.seconds)) : 0,
    );
    this.#headView.setUint16(Head.agedMs, Math.min(ageless, Math.ceil(keep?.agedMs ?? ageless)));
    const isWritten = this.#toThread.write(this.#head, ...parts);
    // Once for all that is written in this turn: each waking costs the one processor two changes of threads.
    if (!this.#waking) {
      this.#waking = true;
      setImmediate(this.#wakeIfAsleep);
    }
    return isWritten;
  }

  readonly #wakeIfAsleep = (): void => {
    this.#waking = false;
    if (!this.#closing && Atomics.exchange(this.#shared, Shared.asleep, 0) === 1) this.#wake();
  };

  #wake(): void {
    write(this.#wakeFd, one, one.length);
  }
}

type Call = (...values: unknown[]) => number;

const libc = koffi.load(null);
const write = libc.func('write', 'intptr_t', ['int', 'void *', 'size_t']) as unknown as Call;
const callEventfd = libc.func('eventfd', 'int', ['unsigned int', 'int']) as unknown as Call;
/** What an eventfd(2) counts up by. */
const one = new Uint8Array(new BigUint64Array([1n]).buffer);

function eventfd(): number {
  const fd = callEventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (fd < 0) throw new Error(`eventfd: errno ${koffi.errno()}`);
  return fd;
}

/** The thread's file, as it stands in a checkout and as it is built. */
const workerFile = new URL(
  import.meta.url.endsWith('.ts') ? './front-worker.ts' : './front-worker.js',
  import.meta.url,
);

/** Queries that wait for the other thread: thousands of ordinary ones. */
const ringOctets = 1 << 21;
/** So that a burst of queries is not lost; the kernel grants less where its limit is lower. */
const receiveBufferOctets = 1 << 20;
const longestKeepMs = 86_400_000;
/** How long there was no room for what must not be lost, until it is tried again. */
const retellMs = 10;

const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const IPPROTO_IP = 0;
const IP_PKTINFO = 8;
const IPPROTO_IPV6 = 41;
const IPV6_RECVPKTINFO = 49;
const EFD_NONBLOCK = 0o4000;
const EFD_CLOEXEC = 0o2000000;
