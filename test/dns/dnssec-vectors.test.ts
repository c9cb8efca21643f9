import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toBase32Hex, fromBase32Hex } from '../../src/dns/dnssec/base32.ts';
import { readTypeBitmap } from '../../src/dns/dnssec/bitmap.ts';
import { Budget } from '../../src/dns/dnssec/budget.ts';
import { dsDigest, importKey, nsec3Hash } from '../../src/dns/dnssec/crypto.ts';
import { keyTag } from '../../src/dns/dnssec/keytag.ts';
import { decodeDnskey, decodeDs, decodeNsec, decodeNsec3, decodeRrsig } from '../../src/dns/dnssec/rdata.ts';
import type { SignatureCheck, ZoneKey } from '../../src/dns/dnssec/signature.ts';
import { concatOctets, fromBase64, fromHex, toHex } from '../../src/wire/octets.ts';
import { decoded, Reader } from '../../src/wire/reader.ts';
import { encoded } from '../../src/wire/writer.ts';
import { writeTypeBitmap } from './bitmap.ts';
import { dnskeyRdata } from './signing.ts';
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
  zoneKey,
} from './vectors.ts';
import { key, wire } from './zone.ts';

test.each(examples)('the example of $rfc verifies', (example) => {
  expect(check(example, example.inception)).toMatchObject({ ok: true, key: { tag: example.tag } });
  expect(check(example, example.expiration)).toMatchObject({ ok: true });
});

test.each(examples)('the example of $rfc fails with any single bit of its data turned round', (example) => {
  const last = example.rdata.length - 1;
  const rdata = example.rdata.map((octet, i) => (i === last - 1 ? octet ^ 1 : octet));
  expect(check({ ...example, rdata }, example.inception)).toMatchObject({ ok: false });
});

test('a signature counts from its inception to its expiration, both seconds included (RFC 4035 §5.3.1)', () => {
  const [, example] = examples;
  if (!example) throw new Error('no example');
  expect(check(example, example.inception - 1)).toMatchObject({ ok: false, ede: 8 });
  expect(check(example, example.expiration + 1)).toMatchObject({ ok: false, ede: 7 });
});

test.each(digests)(
  'the DS of $owner with digest type $type is the digest of owner and key (RFC 4034 §5.4)',
  (d) => {
    expect(keyTag(d.dnskey)).toBe(d.tag);
    expect(digest(d.type, d.owner, d.dnskey)).toBe(d.digest);
  },
);

test('a digest of a type that nobody supports is none', () => {
  expect(dsDigest(3, key('example.com'), dnskeyRdata(257, 15, new Uint8Array(32)))).toBeUndefined();
});

test.each(nsec3Hashes)('%s hashes to %s (RFC 5155 appendix A)', (name, hash) => {
  expect(toBase32Hex(nsec3Hash(key(name), fromHex('aabbccdd'), 12))).toBe(hash);
});

test('base32hex comes back as it went (RFC 4648 §7)', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
      expect(fromBase32Hex(toBase32Hex(octets).toUpperCase())).toEqual(octets);
    }),
  );
});

test.each(base32)('%j is %j in base32hex (RFC 4648 §10)', (text, digits) => {
  const octets = new TextEncoder().encode(text);
  expect(toBase32Hex(octets)).toBe(digits);
  expect(fromBase32Hex(digits)).toEqual(octets);
});

test.each(refusedBase32)('%s is no base32hex', (digits) => {
  expect(fromBase32Hex(digits)).toBeUndefined();
});

test.each(bitmaps)('the bitmap of %j is %s (RFC 4034 §4.1.2, §4.3)', (types, hex) => {
  const read = readTypeBitmap(new Reader(fromHex(hex)));
  expect([...read]).toEqual(types);
  expect(
    encoded((w) => {
      writeTypeBitmap(w, read);
    }),
  ).toEqual(fromHex(hex));
});

test('bitmaps of any types come back as they went', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 0xffff })), (types) => {
      const octets = encoded((w) => {
        writeTypeBitmap(w, types);
      });
      expect(new Set(readTypeBitmap(new Reader(octets)))).toEqual(new Set(types));
    }),
  );
});

test.each(refusedBitmaps)('a bitmap with %s is refused', (_, hex) => {
  expect(decoded(fromHex(hex), readTypeBitmap).ok).toBe(false);
});

test('RDATA of any octets is read or refused, and nothing else happens', () => {
  const decoders = [decodeDnskey, decodeDs, decodeRrsig, decodeNsec, decodeNsec3];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
      for (const decode of decoders) {
        const result = decode(octets);
        if (!result.ok) expect(result.error.name).toBe('WireError');
      }
      const dnskey = decodeDnskey(octets);
      if (dnskey.ok) importKey(dnskey.value);
    }),
  );
});

test('a signer whose name is compressed is refused (RFC 4034 §3.1.7)', () => {
  const fixed = new Uint8Array(18);
  expect(decodeRrsig(concatOctets(fixed, wire('example.org'), fromHex('00'))).ok).toBe(true);
  expect(decodeRrsig(concatOctets(fixed, fromHex('c00c'), fromHex('00'))).ok).toBe(false);
});

test.each(refusedKeys)('a key that is %s is not used', (_, algorithm, publicKey) => {
  const dnskey = decodeDnskey(dnskeyRdata(257, algorithm, fromBase64(publicKey)));
  expect(dnskey.ok && importKey(dnskey.value)).toBeUndefined();
});

test.each(usedKeys)('a key that is %s is used', (_, algorithm, publicKey) => {
  const dnskey = decodeDnskey(dnskeyRdata(257, algorithm, fromBase64(publicKey)));
  expect(dnskey.ok && importKey(dnskey.value)).toBeDefined();
});

test.each(shortest)('$refused ends too early, $read does not ($decode.name)', ({ decode, refused, read }) => {
  expect(decode(fromHex(refused)).ok).toBe(false);
  expect(decode(fromHex(read)).ok).toBe(true);
});

test('THREATS B: of keys with one tag 4 are tried, and 32 signatures that are wrong end a lookup (KeyTrap)', () => {
  const [wrong, right] = examples.filter((e) => e.algorithm === 15);
  if (!wrong || !right) throw new Error('no examples');
  const colliding = (): ZoneKey => {
    const { dnskey, verifyKey } = zoneKey(wrong);
    return { dnskey: { ...dnskey, tag: right.tag }, verifyKey };
  };
  // Other keys each time: what was checked once costs nothing again.
  const judge = (wrongs: number, budget: Budget): SignatureCheck =>
    check(right, right.inception, [...Array.from({ length: wrongs }, colliding), zoneKey(right)], budget);
  expect(judge(3, new Budget()).ok).toBe(true);
  expect(judge(4, new Budget()).ok).toBe(false);
  const budget = new Budget();
  for (let i = 0; i < 8; i++) judge(4, budget);
  expect(budget.exhausted).toBe(false);
  expect(judge(0, budget)).toMatchObject({
    ok: false,
    why: expect.stringContaining('too many signatures') as string,
  });
  expect(budget.exhausted).toBe(true);
});

function digest(type: number, owner: string, rdata: Uint8Array): string {
  return toHex(dsDigest(type, key(owner), rdata) ?? new Uint8Array());
}
