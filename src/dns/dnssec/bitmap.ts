import type { Reader } from '../../wire/reader.ts';

/** A set of types; that of a hostile record is not unfolded, which would take longer than to check its signature. */
export interface TypeSet extends Iterable<number> {
  has(type: number): boolean;
}

/**
 * Reads the type bitmaps of NSEC and NSEC3 (RFC 4034 §4.1.2) to the end of `r`: windows in rising order, each of 1 to
 * 32 octets. Trailing zero octets, which a sender must not write, are accepted: they change nothing.
 */
export function readTypeBitmap(r: Reader): TypeSet {
  const windows = new Map<number, Uint8Array>();
  for (let last = -1; r.remaining > 0;) {
    const window = r.u8();
    if (window <= last) r.fail(`window ${window} of a type bitmap after window ${last}`);
    last = window;
    const length = r.u8();
    if (length < 1 || length > 32) r.fail(`a window of ${length} octets in a type bitmap`);
    windows.set(window, r.octets(length));
  }
  const has = (type: number): boolean =>
    ((windows.get(type >> 8)?.[(type & 0xff) >> 3] ?? 0) & (0x80 >> (type & 7))) !== 0;
  return {
    has,
    *[Symbol.iterator]() {
      for (const [window, octets] of windows) {
        for (let low = 0; low < octets.length * 8; low++)
          if (has(window * 256 + low)) yield window * 256 + low;
      }
    },
  };
}
