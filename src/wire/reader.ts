import { WireError, type Decoded } from './error.ts';

/**
 * A cursor over octets that checks every bound and throws {@link WireError}. Reads are big-endian; the `le`
 * forms are little-endian (netlink uses the host's order, which is little-endian on all we support).
 */
export class Reader {
  readonly octetsAll: Uint8Array;
  readonly #view: DataView;
  #at: number;
  readonly #end: number;

  constructor(octets: Uint8Array, start = 0, end = octets.length) {
    this.octetsAll = octets;
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
    this.#at = start;
    this.#end = end;
  }

  /** Offset of the next octet in the outermost message. */
  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  u16le(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32le(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  i32le(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  u64le(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  /** The next `count` octets, borrowed: copy before keeping them past the datagram. */
  octets(count: number): Uint8Array {
    const start = this.#take(count);
    return this.octetsAll.subarray(start, start + count);
  }

  /** All that is left, borrowed. */
  rest(): Uint8Array {
    return this.octets(this.remaining);
  }

  skip(count: number): void {
    this.#take(count);
  }

  /** A reader over the next `count` octets, so that a nested length cannot reach outside its parent. */
  sub(count: number): Reader {
    const start = this.#take(count);
    return new Reader(this.octetsAll, start, start + count);
  }

  /** A reader over the same outermost message at `offset`, for DNS compression pointers. */
  at(offset: number): Reader {
    if (offset < 0 || offset > this.octetsAll.length) this.fail(`offset ${offset} outside the message`);
    return new Reader(this.octetsAll, offset, this.octetsAll.length);
  }

  /** Ends the reading: anything left over is an error. */
  done(): void {
    if (this.remaining !== 0) this.fail(`${this.remaining} octets left over`);
  }

  fail(message: string): never {
    throw new WireError(message, this.#at);
  }

  #take(count: number): number {
    const start = this.#at;
    if (count < 0 || count > this.#end - start) {
      throw new WireError(`${count} octets wanted, ${this.#end - start} left`, start);
    }
    this.#at = start + count;
    return start;
  }
}

/** The one place where a WireError becomes a value. Any other exception is our bug and passes. */
export function decoded<T>(octets: Uint8Array, read: (r: Reader) => T): Decoded<T> {
  try {
    const r = new Reader(octets);
    const value = read(r);
    r.done();
    return { ok: true, value };
  } catch (error) {
    if (error instanceof WireError) return { ok: false, error };
    throw error;
  }
}
