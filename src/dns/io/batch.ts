import { endianness } from 'node:os';
import koffi from 'koffi';

/** Datagrams that one system call takes or sends. */
export const batchSize = 64;
/** The longest query; one that is longer is dropped. */
const receiveOctets = 2_112;
/** The longest datagram that a {@link Batch} sends. */
export const sendOctets = 1_344;
/** A *way*: where a datagram came from, and at which of our addresses it came in, as the kernel says it and takes it back. */
export const wayOctets = 80;
/** A sockaddr at its beginning; then the control message; then how long that is. */
const [controlAt, controlOctets, controlLengthAt] = [32, 40, 76];

/** struct mmsghdr (recvmmsg(2)) as 64-bit systems lay it out. */
const header = {
  octets: 64,
  name: 0,
  nameLength: 8,
  vector: 16,
  vectors: 24,
  control: 32,
  controlLength: 40,
  flags: 48,
  length: 56,
};
/** struct iovec. */
const vector = { octets: 16, base: 0, length: 8 };

const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const AF_INET = 2;
/** sockaddr_in, sockaddr_in6. */
const [nameOctets4, nameOctets6] = [16, 28];

/** Why datagrams cannot be taken in batches here, as a clause; undefined where they can. */
export function noBatches(): string | undefined {
  if (!['x64', 'arm64', 'riscv64', 'loong64'].includes(process.arch) || endianness() !== 'LE')
    return `how the system lays out its structures on ${process.arch} is not known`;
  try {
    calls();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A UDP socket that a {@link Batch} serves. */
export interface BatchSocket {
  readonly fd: number;
  readonly family: 4 | 6;
  /** Bound to no address in particular: each answer must leave from the one that was asked. */
  readonly wildcard: boolean;
}

/** Memory for recvmmsg(2) and sendmmsg(2), in one block whose address never changes. */
export class Batch {
  readonly octets: Uint8Array;
  readonly words: Int32Array;
  readonly #base: number;
  readonly #takeHeaders: number;
  readonly #sendHeaders: number;
  readonly #sendVectors: number;
  readonly #ways: number;
  readonly #taken: number;
  readonly #sent: number;
  readonly #calls = calls();
  #queued = 0;

  constructor() {
    let end = 0;
    const place = (octets: number): number => {
      const at = end;
      end += batchSize * octets;
      return at;
    };
    this.#takeHeaders = place(header.octets);
    this.#sendHeaders = place(header.octets);
    const takeVectors = place(vector.octets);
    this.#sendVectors = place(vector.octets);
    this.#ways = place(wayOctets);
    this.#taken = place(receiveOctets);
    this.#sent = place(sendOctets);
    this.octets = new Uint8Array(end);
    this.words = new Int32Array(this.octets.buffer);
    this.#base = this.#calls.memcpy(this.octets, this.octets, 0);
    for (let i = 0; i < batchSize; i++) {
      this.#describe(this.#takeHeaders, takeVectors, this.#taken, receiveOctets, i);
      this.#describe(this.#sendHeaders, this.#sendVectors, this.#sent, sendOctets, i);
    }
  }

  /** Where datagram `i` that was taken begins. */
  takenAt(i: number): number {
    return this.#taken + i * receiveOctets;
  }

  /** Where way `i` begins: of a datagram that was taken, or to be written there. */
  wayAt(i: number): number {
    return this.#ways + i * wayOctets;
  }

  /** How many datagrams wait to be sent; at {@link batchSize} they must be. */
  get queued(): number {
    return this.#queued;
  }

  /** Where the next datagram to be sent is to be written, and has {@link sendOctets} of room. */
  get sendAt(): number {
    return this.#sent + this.#queued * sendOctets;
  }

  /** Takes what is there; returns how many datagrams. */
  take({ fd, wildcard }: BatchSocket): number {
    const { words } = this;
    for (let i = 0; i < batchSize; i++) {
      const at = this.#takeHeaders + i * header.octets;
      words[(at + header.nameLength) >> 2] = nameOctets6;
      if (!wildcard) continue;
      this.#point(at + header.control, this.wayAt(i) + controlAt);
      words[(at + header.controlLength) >> 2] = controlOctets;
    }
    const count = this.#calls.recvmmsg(fd, this.#base + this.#takeHeaders, batchSize, MSG_DONTWAIT, 0);
    if (wildcard) for (let i = 0; i < count; i++) this.#freeOfInterface(i);
    return Math.max(0, count);
  }

  /** Octets of datagram `i` that was taken; 0 where it was longer than there was room. */
  lengthOf(i: number): number {
    const at = this.#takeHeaders + i * header.octets;
    if (((this.words[(at + header.flags) >> 2] ?? 0) & MSG_TRUNC) !== 0) return 0;
    return this.words[(at + header.length) >> 2] ?? 0;
  }

  /** Has the `length` octets at {@link Batch.sendAt} leave along way `way` at the next {@link Batch.send}. */
  queue({ family, wildcard }: BatchSocket, way: number, length: number): void {
    const { words } = this;
    const at = this.#sendHeaders + this.#queued * header.octets;
    const wayAt = this.wayAt(way);
    this.#point(at + header.name, wayAt);
    words[(at + header.nameLength) >> 2] = family === 4 ? nameOctets4 : nameOctets6;
    if (wildcard) this.#point(at + header.control, wayAt + controlAt);
    words[(at + header.controlLength) >> 2] = wildcard ? (words[(wayAt + controlLengthAt) >> 2] ?? 0) : 0;
    words[(this.#sendVectors + this.#queued * vector.octets + vector.length) >> 2] = length;
    this.#queued++;
  }

  /** Sends what is queued. What the kernel does not take is lost, as datagrams are. */
  send({ fd }: BatchSocket): void {
    for (let done = 0; done < this.#queued;) {
      const at = this.#base + this.#sendHeaders + done * header.octets;
      const count = this.#calls.sendmmsg(fd, at, this.#queued - done, MSG_DONTWAIT);
      done += count > 0 ? count : 1; // The first of them has failed, perhaps for its destination alone.
    }
    this.#queued = 0;
  }

  #describe(headers: number, vectors: number, data: number, octets: number, i: number): void {
    const at = headers + i * header.octets;
    const vectorAt = vectors + i * vector.octets;
    this.#point(at + header.name, this.wayAt(i));
    this.#point(at + header.vector, vectorAt);
    this.words[(at + header.vectors) >> 2] = 1;
    this.#point(vectorAt + vector.base, data + i * octets);
    this.words[(vectorAt + vector.length) >> 2] = octets;
  }

  /** A pointer, 64 bits. */
  #point(at: number, target: number): void {
    const address = this.#base + target;
    this.words[at >> 2] = address | 0;
    this.words[(at >> 2) + 1] = Math.floor(address / 0x1_0000_0000);
  }

  /**
   * The control message that came with a datagram (IP_PKTINFO, IPV6_PKTINFO) names the address that was asked, which
   * must be the source of the answer (RFC 2181 §4.1), and the interface, which need not be the one that leads back.
   */
  #freeOfInterface(i: number): void {
    const { words, octets } = this;
    const wayAt = this.wayAt(i);
    const length = words[(this.#takeHeaders + i * header.octets + header.controlLength) >> 2] ?? 0;
    words[(wayAt + controlLengthAt) >> 2] = length;
    if (length === 0) return;
    const info = wayAt + controlAt + 16;
    const family = (words[wayAt >> 2] ?? 0) & 0xffff;
    // A link-local address means nothing without its interface.
    const isLinkLocal = octets[info] === 0xfe && ((octets[info + 1] ?? 0) & 0xc0) === 0x80;
    if (family === AF_INET) words[info >> 2] = 0;
    else if (!isLinkLocal) words[(info + 16) >> 2] = 0;
  }
}

type Call = (...values: unknown[]) => number;

interface Calls {
  readonly recvmmsg: Call;
  readonly sendmmsg: Call;
  /** For its result alone: the address of an array. */
  readonly memcpy: Call;
}

let known: Calls | undefined;

function calls(): Calls {
  if (known) return known;
  const libc = koffi.load(null);
  const c = (name: string, ...types: string[]): Call => libc.func(name, 'intptr_t', types) as unknown as Call;
  // Addresses as numbers: a call with arrays takes three times as long.
  known = {
    recvmmsg: libc.func('recvmmsg', 'int', [
      'int',
      'uintptr_t',
      'uint32_t',
      'int',
      'uintptr_t',
    ]) as unknown as Call,
    sendmmsg: libc.func('sendmmsg', 'int', ['int', 'uintptr_t', 'uint32_t', 'int']) as unknown as Call,
    memcpy: c('memcpy', 'void *', 'void *', 'size_t'),
  };
  return known;
}
