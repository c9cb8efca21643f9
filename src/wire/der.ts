import { concatOctets } from './octets.ts';
import type { Reader } from './reader.ts';

/** The tags of ASN.1 that keys and AlgorithmIdentifiers use (X.690). */
export const Der = {
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  SEQUENCE: 0x30,
} as const;

/** A reader over the content of the next element, which must have `tag`; lengths in the shortest form only. */
export function readDer(r: Reader, tag: number): Reader {
  const found = r.u8();
  if (found !== tag) r.fail(`tag ${found} where ${tag} is wanted`);
  const first = r.u8();
  if (first < 0x80) return r.sub(first);
  if (first === 0x81) {
    const length = r.u8();
    if (length < 0x80) r.fail('a length not in its shortest form');
    return r.sub(length);
  }
  if (first !== 0x82) r.fail(`length octet ${first}`);
  const length = r.u16();
  if (length < 0x100) r.fail('a length not in its shortest form');
  return r.sub(length);
}

/** A non-negative INTEGER without leading zeros. */
export function readDerUnsigned(r: Reader): Uint8Array {
  const content = readDer(r, Der.INTEGER);
  if (content.remaining === 0) content.fail('an empty INTEGER');
  const octets = content.rest();
  if ((octets[0] ?? 0) >= 0x80) content.fail('a negative INTEGER');
  return octets[0] === 0 ? octets.subarray(1) : octets;
}

/** An element with `tag` around the parts. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatOctets(...parts);
  const { length } = content;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return concatOctets(Uint8Array.from(header), content);
}

/** An INTEGER from big-endian unsigned octets, at least one, without leading zeros. */
export function derUnsigned(octets: Uint8Array): Uint8Array {
  return (octets[0] ?? 0) >= 0x80 ? der(Der.INTEGER, Uint8Array.of(0), octets) : der(Der.INTEGER, octets);
}
