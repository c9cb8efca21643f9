/** The examples of the RFCs, for the mutants: what scenes cannot tell where both sides err alike. */
import { fromBase32Hex, toBase32Hex } from '../../src/dns/dnssec/base32.ts';
import { readTypeBitmap } from '../../src/dns/dnssec/bitmap.ts';
import { dsDigest, importKey, nsec3Hash } from '../../src/dns/dnssec/crypto.ts';
import { keyTag } from '../../src/dns/dnssec/keytag.ts';
import { decodeDnskey } from '../../src/dns/dnssec/rdata.ts';
import { fromBase64, fromHex, toHex } from '../../src/wire/octets.ts';
import { decoded } from '../../src/wire/reader.ts';
import { dnskeyRdata } from '../dns/signing.ts';
import {
  base32,
  bitmaps,
  check,
  digests,
  examples,
  nsec3Hashes,
  refusedBase32,
  refusedBitmaps,
  refusedKeys,
  shortest,
  usedKeys,
} from '../dns/vectors.ts';
import { key } from '../dns/zone.ts';

/** The first example that does not come out as its RFC says, or undefined. */
export function wrongVector(): string | undefined {
  for (const example of examples) {
    const { inception, expiration } = example;
    const [before, first, last, after] = [inception - 1, inception, expiration, expiration + 1].map(
      (wall) => check(example, wall).ok,
    );
    if (before || !first || !last || after) return example.rfc;
    if (check({ ...example, rdata: example.rdata.with(-1, 0xff) }, first ? inception : 0).ok)
      return example.rfc;
  }
  for (const { owner, dnskey, tag, type, digest } of digests)
    if (keyTag(dnskey) !== tag || toHex(dsDigest(type, key(owner), dnskey) ?? fromHex('')) !== digest)
      return `digest ${type} of ${owner}`;
  for (const [name, hash] of nsec3Hashes)
    if (toHex(nsec3Hash(key(name), fromHex('aabbccdd'), 12)) !== toHex(fromBase32Hex(hash) ?? fromHex('')))
      return `hash of ${name}`;
  for (const [text, digits] of base32) {
    const octets = new TextEncoder().encode(text);
    if (toBase32Hex(octets) !== digits) return `${digits} in base 32`;
    for (const written of [digits, digits.toUpperCase()])
      if (toHex(fromBase32Hex(written) ?? fromHex('ff')) !== toHex(octets)) return `${written} in base 32`;
  }
  for (const digits of refusedBase32) if (fromBase32Hex(digits)) return `${digits} in base 32`;
  for (const [types, hex] of bitmaps) {
    const read = decoded(fromHex(hex), readTypeBitmap);
    if (!read.ok || String([...read.value]) !== String(types)) return `bitmap ${hex}`;
    const some = new Set<number>(types);
    for (let type = 0; type < 0x10000; type += type < 1300 ? 1 : 997)
      if (read.value.has(type) !== some.has(type)) return `type ${type} in bitmap ${hex}`;
  }
  for (const [what, hex] of refusedBitmaps) if (decoded(fromHex(hex), readTypeBitmap).ok) return what;
  for (const [what, algorithm, publicKey] of refusedKeys) {
    const dnskey = decodeDnskey(dnskeyRdata(257, algorithm, fromBase64(publicKey)));
    if (!dnskey.ok || importKey(dnskey.value)) return what;
  }
  for (const [what, algorithm, publicKey] of usedKeys) {
    const dnskey = decodeDnskey(dnskeyRdata(257, algorithm, fromBase64(publicKey)));
    if (!dnskey.ok || !importKey(dnskey.value)) return what;
  }
  for (const { decode, refused, read } of shortest)
    if (decode(fromHex(refused)).ok || !decode(fromHex(read)).ok) return `${decode.name} of ${refused}`;
  if (dsDigest(3, key('example.com'), fromHex('00'))) return 'digest 3';
  return undefined;
}
