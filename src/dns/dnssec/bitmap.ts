import type { Reader } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';

/**
 * Reads the type bitmaps of NSEC and NSEC3 (RFC 4034 §4.1.2) to the end of `r`: windows in rising order, each of 1 to
 * 32 octets. Trailing zero octets, which a sender must not write, are accepted: they change nothing.
 */
export function readTypeBitmap(r: Reader): ReadonlySet<number> {
  const types = new Set<number>();
  for (let last = -1; r.remaining > 0;) {
    const window = r.u8();
    if (window <= last) r.fail(`window ${window} of a type bitmap after window ${last}`);
    last = window;
    const length = r.u8();
    if (length < 1 || length > 32) r.fail(`a window of ${length} octets in a type bitmap`);
    for (const [at, octet] of r.octets(length).entries()) {
      for (let bit = 0; bit < 8; bit++) {
        if ((octet & (0x80 >> bit)) !== 0) types.add(window * 256 + at * 8 + bit);
      }
    }
  }
  return types;
}

/** Writes the bitmaps; the inverse of {@link readTypeBitmap}. */
export function writeTypeBitmap(w: Writer, types: Iterable<number>): void {
  const windows = new Map<number, Uint8Array>();
  for (const type of [...types].sort((a, b) => a - b)) {
    const window = type >> 8;
    const bits = windows.get(window) ?? new Uint8Array(32);
    bits[(type & 0xff) >> 3] = (bits[(type & 0xff) >> 3] ?? 0) | (0x80 >> (type & 7));
    windows.set(window, bits);
  }
  for (const [window, bits] of windows) {
    const length = bits.findLastIndex((octet) => octet !== 0) + 1;
    w.u8(window);
    w.u8(length);
    w.octets(bits.subarray(0, length));
  }
}
