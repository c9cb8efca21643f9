import { parentPort, workerData } from 'node:worker_threads';
import koffi from 'koffi';
import { addressOf, type IpAddress } from '../../net/address.ts';
import { instant } from '../../time.ts';
import { ClientGuard } from '../clients.ts';
import { turnedAway } from '../turned-away.ts';
import { udpLimitOctets, WireCache } from '../wire-cache.ts';
import { Batch, batchSize, sendOctets, wayOctets, type BatchSocket } from './batch.ts';
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

/** The thread of a batched front: takes datagrams, answers what it knows, hands the rest on, and sends what comes back. */
class FrontThread {
  readonly #sockets: readonly BatchSocket[];
  readonly #batch = new Batch();
  readonly #cache: WireCache;
  readonly #guard: ClientGuard;
  readonly #shared: Int32Array;
  readonly #toThread: SharedRing;
  readonly #fromThread: SharedRing;
  readonly #poll: Poll;
  readonly #head = new Uint8Array(headOctets);
  #now = 0;
  /** How many it has heard of. */
  #forgets = 0;

  constructor(data: ThreadData) {
    this.#sockets = data.sockets;
    this.#cache = new WireCache({ limitOctets: udpLimitOctets, seed: data.seed });
    this.#guard = new ClientGuard(data.clients);
    this.#shared = new Int32Array(data.shared);
    this.#toThread = new SharedRing(data.toThread);
    this.#fromThread = new SharedRing(data.fromThread);
    this.#poll = new Poll([...data.sockets.map((s) => s.fd), data.wakeFd]);
  }

  run(): void {
    while (Atomics.load(this.#shared, Shared.stop) === 0) {
      this.#now = performance.now();
      this.#sendAnswers();
      const forgets = Atomics.load(this.#shared, Shared.forgets);
      if (forgets !== this.#forgets) {
        this.#forgets = forgets;
        this.#sendAnswers(); // Those that were written before are forgotten as well.
        this.#cache.clear();
      }
      let taken = 0;
      for (const [i, socket] of this.#sockets.entries()) taken += this.#serve(i, socket);
      if (taken > 0) continue;
      // Whoever writes after this store wakes us; whoever wrote before it is seen here.
      Atomics.store(this.#shared, Shared.asleep, 1);
      if (this.#toThread.isEmpty) this.#poll.wait();
      Atomics.store(this.#shared, Shared.asleep, 0);
    }
  }

  #serve(index: number, socket: BatchSocket): number {
    const batch = this.#batch;
    const count = batch.take(socket);
    let asked = false;
    for (let i = 0; i < count; i++) {
      const at = batch.takenAt(i);
      const length = batch.lengthOf(i);
      // Too short for a header, or a response: two stubs would talk for ever.
      if (length < headerOctets || ((batch.octets[at + 2] ?? 0) & 0x80) !== 0) continue;
      if (!this.#admits(socket, i, at, length)) continue;
      const answered = this.#cache.answer(
        batch.octets,
        at,
        length,
        batch.octets,
        batch.words,
        batch.sendAt,
        this.#now,
      );
      if (answered > 0) {
        batch.queue(socket, i, answered);
        this.#count('answersKept');
      } else {
        this.#ask(index, i, batch.octets.subarray(at, at + length));
        asked = true;
      }
    }
    if (batch.queued > 0) batch.send(socket);
    if (asked && Atomics.exchange(this.#shared, Shared.told, 1) === 0) parentPort?.postMessage(0);
    return count;
  }

  /** Whether datagram `i` is to be served; where it is not it may get a word. */
  #admits(socket: BatchSocket, i: number, at: number, length: number): boolean {
    const { octets } = this.#batch;
    const way = this.#batch.wayAt(i);
    if (socket.family === 4 && octets[way + 4] === 127) return true;
    // sockaddr_in, sockaddr_in6
    const name = socket.family === 4 ? octets.subarray(way + 4, way + 8) : octets.subarray(way + 8, way + 24);
    const client = addressOf(name);
    const judgement = client ? this.#guard.judge(client, instant(this.#now)) : 'drop';
    if (judgement === 'serve') return true;
    this.#count('datagramsTurnedAway');
    const answer = turnedAway(octets.slice(at, at + length), judgement, udpLimitOctets);
    if (answer) {
      octets.set(answer, this.#batch.sendAt);
      this.#batch.queue(socket, i, answer.length);
    }
    return false;
  }

  #ask(index: number, i: number, query: Uint8Array): void {
    const way = this.#batch.wayAt(i);
    this.#head[Head.kind] = MessageKind.query;
    this.#head[Head.socket] = index;
    this.#head.set(this.#batch.octets.subarray(way, way + wayOctets), Head.way);
    if (!this.#fromThread.write(this.#head, query)) this.#count('datagramsLost');
  }

  /** Does what the main thread wants. */
  #sendAnswers(): void {
    const batch = this.#batch;
    let last: BatchSocket | undefined;
    for (let message = this.#toThread.peek(); message; message = this.#toThread.peek()) {
      const socket = this.#sockets[message[Head.socket] ?? 0];
      switch (message[Head.kind]) {
        case MessageKind.answer: {
          if (!socket) break;
          if (last && (last !== socket || batch.queued === batchSize)) batch.send(last);
          last = socket;
          this.#takeAnswer(socket, message);
          break;
        }
        case MessageKind.locals:
          this.#guard.locals = addressesIn(message.subarray(headOctets));
          break;
        default:
      }
      this.#toThread.next();
    }
    if (last && batch.queued > 0) batch.send(last);
  }

  #takeAnswer(socket: BatchSocket, message: Uint8Array): void {
    const batch = this.#batch;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const answerAt = headOctets + view.getUint16(Head.queryLength);
    const answer = message.subarray(answerAt);
    const keepMs = view.getUint32(Head.keepMs);
    if (keepMs > 0) {
      const agedMs = view.getUint16(Head.agedMs);
      const keep = { seconds: keepMs / 1_000, agedMs: agedMs === ageless ? undefined : agedMs };
      this.#cache.put(message.subarray(headOctets, answerAt), answer, keep, this.#now);
    }
    if (answer.length > sendOctets) return;
    const way = batch.queued;
    batch.octets.set(message.subarray(Head.way, Head.way + wayOctets), batch.wayAt(way));
    batch.octets.set(answer, batch.sendAt);
    batch.queue(socket, way, answer.length);
  }

  #count(what: FrontCounter): void {
    const at = Shared.counters + frontCounters.indexOf(what);
    this.#shared[at] = (this.#shared[at] ?? 0) + 1;
  }
}

/** Waits in poll(2) until one of some descriptors is readable. The last is an eventfd, which is read empty. */
class Poll {
  /** struct pollfd: fd, then events and revents in one word. */
  readonly #fds: Int32Array;
  readonly #count: number;
  readonly #wakeFd: number;
  readonly #value = new Uint8Array(8);
  readonly #poll: Call;
  readonly #read: Call;
  readonly #address: number;

  constructor(fds: readonly number[]) {
    const libc = koffi.load(null);
    this.#poll = libc.func('poll', 'int', ['uintptr_t', 'unsigned long', 'int']) as unknown as Call;
    this.#read = libc.func('read', 'intptr_t', ['int', 'void *', 'size_t']) as unknown as Call;
    const memcpy = libc.func('memcpy', 'uintptr_t', ['void *', 'void *', 'size_t']) as unknown as Call;
    // Small arrays lie where they can move.
    this.#fds = new Int32Array(new ArrayBuffer(1_024));
    this.#fds.set(fds.flatMap((fd) => [fd, POLLIN]));
    this.#count = fds.length;
    this.#wakeFd = fds.at(-1) ?? -1;
    this.#address = memcpy(this.#fds, this.#fds, 0);
  }

  wait(): void {
    this.#poll(this.#address, this.#count, longestSleepMs);
    if ((this.#fds[2 * this.#count - 1] ?? 0) >> 16 !== 0) this.#read(this.#wakeFd, this.#value, 8);
  }
}

type Call = (...values: unknown[]) => number;

const headerOctets = 12;
const POLLIN = 1;
/** A process that ends without a word to us is not held up for longer. */
const longestSleepMs = 500;

function addressesIn(octets: Uint8Array): IpAddress[] {
  const addresses: IpAddress[] = [];
  for (let at = 0; at < octets.length; at += 1 + (octets[at] ?? 0)) {
    const address = addressOf(octets.slice(at + 1, at + 1 + (octets[at] ?? 0)));
    if (address) addresses.push(address);
  }
  return addresses;
}

const thread = new FrontThread(workerData as ThreadData);
parentPort?.postMessage(0); // It is there.
thread.run();
