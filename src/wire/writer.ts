/** Octets of a buffer that is used again by the next writer: to get one costs more than most messages that are written. */
const commonCapacity = 1024;
let spare: Uint8Array | undefined;

/** A growing buffer of octets. Big-endian; the `le` forms are little-endian. */
export class Writer {
  #octets: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = 512) {
    if (capacity <= commonCapacity) {
      this.#octets = spare ?? new Uint8Array(commonCapacity);
      spare = undefined;
    } else this.#octets = new Uint8Array(capacity);
    this.#view = new DataView(this.#octets.buffer);
  }

  /** Octets written so far; also the offset of the next one. */
  get length(): number {
    return this.#length;
  }

  u8(value: number): void {
    const at = this.#grow(1);
    this.#view.setUint8(at, value);
  }

  u16(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value);
  }

  u32(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value);
  }

  u64(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value);
  }

  u16le(value: number): void {
    const at = this.#grow(2);
    this.#view.setUint16(at, value, true);
  }

  u32le(value: number): void {
    const at = this.#grow(4);
    this.#view.setUint32(at, value, true);
  }

  i32le(value: number): void {
    const at = this.#grow(4);
    this.#view.setInt32(at, value, true);
  }

  u64le(value: bigint): void {
    const at = this.#grow(8);
    this.#view.setBigUint64(at, value, true);
  }

  octets(octets: Uint8Array): void {
    const at = this.#grow(octets.length);
    this.#octets.set(octets, at);
  }

  zeros(count: number): void {
    const at = this.#grow(count);
    this.#octets.fill(0, at, at + count);
  }

  /** Writes a 16-bit value over octets that are already there, e.g. a length known only afterwards. */
  patchU16(at: number, value: number): void {
    this.#patchable(at, 2);
    this.#view.setUint16(at, value);
  }

  patchU32(at: number, value: number): void {
    this.#patchable(at, 4);
    this.#view.setUint32(at, value);
  }

  patchU16le(at: number, value: number): void {
    this.#patchable(at, 2);
    this.#view.setUint16(at, value, true);
  }

  patchU32le(at: number, value: number): void {
    this.#patchable(at, 4);
    this.#view.setUint32(at, value, true);
  }

  /** Writes `body`, preceded by its 16-bit length. */
  lengthPrefixed16(body: () => void): void {
    const at = this.#length;
    this.u16(0);
    body();
    this.patchU16(at, this.#length - at - 2);
  }

  /** What was written, borrowed from the buffer: valid until the next write. */
  view(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  /** What was written, as a copy of its own. Nothing can be written any more. */
  finish(): Uint8Array {
    const octets = this.#octets;
    const written = octets.slice(0, this.#length);
    if (octets.length === commonCapacity) spare = octets;
    this.#octets = nothing;
    this.#length = 0;
    return written;
  }

  #patchable(at: number, count: number): void {
    if (at < 0 || at + count > this.#length) throw new RangeError(`patch at ${at} outside what was written`);
  }

  #grow(count: number): number {
    const start = this.#length;
    const wanted = start + count;
    if (wanted > this.#octets.length) {
      const larger = new Uint8Array(Math.max(wanted, this.#octets.length * 2));
      larger.set(this.#octets.subarray(0, start));
      this.#octets = larger;
      this.#view = new DataView(larger.buffer);
    }
    this.#length = wanted;
    return start;
  }
}

const nothing = new Uint8Array();

/** The octets that `write` writes. */
export function encoded(write: (w: Writer) => void, capacity?: number): Uint8Array {
  const w = new Writer(capacity);
  write(w);
  return w.finish();
}
