/**
 * Messages from one thread to another, in order, through shared memory: one thread writes, one reads, nobody waits.
 * Bounded: what does not fit is not taken.
 */
export class SharedRing {
  /** To be given to the other thread. */
  readonly memory: SharedArrayBuffer;
  /** Octets written and octets read since the beginning, modulo 2^32. */
  readonly #positions: Int32Array;
  readonly #octets: Uint8Array;
  readonly #words: Int32Array;

  /** Memory of {@link SharedRing.allocate}, new or from the other thread. */
  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#positions = new Int32Array(memory, 0, 2);
    this.#octets = new Uint8Array(memory, headOctets);
    this.#words = new Int32Array(memory, headOctets);
  }

  /** `octets`: a power of two. */
  static allocate(octets: number): SharedArrayBuffer {
    if ((octets & (octets - 1)) !== 0) throw new RangeError(`a ring of ${octets} octets`);
    return new SharedArrayBuffer(headOctets + octets);
  }

  /** Appends one message, made of the parts; false where there is no room. */
  write(...parts: readonly Uint8Array[]): boolean {
    let length = 0;
    for (const part of parts) length += part.length;
    const size = this.#octets.length;
    const written = Atomics.load(this.#positions, 0);
    const read = Atomics.load(this.#positions, 1);
    const place = written & (size - 1);
    const needed = 4 + ((length + 3) & ~3);
    // A message does not go round the end.
    const skipped = place + needed > size ? size - place : 0;
    if (needed > size || ((written - read) >>> 0) + skipped + needed > size) return false;
    if (skipped > 0) this.#words[place >> 2] = skipMark;
    const at = (place + skipped) & (size - 1);
    this.#words[at >> 2] = length;
    let end = at + 4;
    for (const part of parts) {
      this.#octets.set(part, end);
      end += part.length;
    }
    Atomics.store(this.#positions, 0, (written + skipped + needed) | 0);
    return true;
  }

  get isEmpty(): boolean {
    return Atomics.load(this.#positions, 0) === Atomics.load(this.#positions, 1);
  }

  /** The next message, borrowed until {@link SharedRing.next}; undefined where there is none. */
  peek(): Uint8Array | undefined {
    for (;;) {
      const read = Atomics.load(this.#positions, 1);
      if (Atomics.load(this.#positions, 0) === read) return undefined;
      const place = read & (this.#octets.length - 1);
      const length = this.#words[place >> 2] ?? 0;
      if (length !== skipMark) return this.#octets.subarray(place + 4, place + 4 + length);
      Atomics.store(this.#positions, 1, (read + this.#octets.length - place) | 0);
    }
  }

  /** The message that was peeked at is done with. */
  next(): void {
    const read = Atomics.load(this.#positions, 1);
    const length = this.#words[(read & (this.#octets.length - 1)) >> 2] ?? 0;
    Atomics.store(this.#positions, 1, (read + 4 + ((length + 3) & ~3)) | 0);
  }
}

const headOctets = 64;
const skipMark = -1;
