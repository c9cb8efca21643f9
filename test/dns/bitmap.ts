import type { Writer } from '../../src/wire/writer.ts';

/** Writes the type bitmaps of NSEC and NSEC3 (RFC 4034 §4.1.2), as `readTypeBitmap` reads them. */
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
