import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeIpseckey,
  encodeIpseckey,
  encodePublicKey,
  ipseckeyRecordText,
  ipseckeyText,
  publicKeyOf,
  type Ipseckey,
} from '../../src/dns/ipseckey.ts';
import { nameOf, rootName, type NameKey } from '../../src/dns/name.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import type { PublicKey } from '../../src/net/public-key.ts';
import { concatOctets, fromBase64, fromHex } from '../../src/wire/octets.ts';
import { anyName } from './generated.ts';

/** The key of RFC 4025 §3.2: RSA with exponent 3 and 255 bits. */
const exampleKey = fromBase64('AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==');

test.each<[string, Ipseckey['gateway'], string]>([
  ['10 1 2 192.0.2.38', { kind: 'address', address: address('192.0.2.38') }, '0a0102c0000226'],
  ['10 0 2 .', { kind: 'none' }, '0a0002'],
  ['10 1 2 192.0.2.3', { kind: 'address', address: address('192.0.2.3') }, '0a0102c0000203'],
  [
    '10 3 2 mygateway.example.com.',
    { kind: 'name', name: name('mygateway.example.com') },
    '0a0302096d7967617465776179076578616d706c6503636f6d00',
  ],
  [
    '10 2 2 2001:db8:0:8002::2000:1',
    { kind: 'address', address: address('2001:db8:0:8002::2000:1') },
    '0a020220010db80000800200000000' + '20000001',
  ],
])('the example of RFC 4025 §3.2: %s', (text, gateway, head) => {
  const rdata = concatOctets(fromHex(head), exampleKey);
  const record: Ipseckey = { precedence: 10, gateway, algorithm: 2, key: exampleKey };
  expect(decodeIpseckey(rdata)).toEqual({ ok: true, value: record });
  expect(encodeIpseckey(record)).toEqual(rdata);
  expect(ipseckeyText(record)).toBe(`${text} AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==`);
});

test('what is written is read back the same', () => {
  const gateway: fc.Arbitrary<Ipseckey['gateway']> = fc.oneof(
    fc.constant({ kind: 'none' } as const),
    anyName.map((n) => ({ kind: 'name', name: n }) as const),
    fc
      .constantFrom('192.0.2.1', '2001:db8::1')
      .map((text) => ({ kind: 'address', address: address(text) }) as const),
  );
  const octet = fc.integer({ min: 0, max: 255 });
  const record = fc
    .record({ precedence: octet, gateway, algorithm: octet, key: fc.uint8Array({ maxLength: 40 }) })
    .filter((r) => r.algorithm !== 0 || r.key.length === 0);
  fc.assert(
    fc.property(record, (r) => {
      expect(decodeIpseckey(encodeIpseckey(r))).toEqual({ ok: true, value: r });
    }),
  );
});

test('any octets give a record or a WireError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (rdata) => {
      const record = decodeIpseckey(rdata);
      if (record.ok) publicKeyOf(record.value);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['nothing', ''],
  ['half a head', '0a00'],
  ['an IPv4 gateway cut short', '0a0102c00002'],
  ['an IPv6 gateway cut short', `0a0202${'20'.repeat(15)}`],
  ['a gateway type of 4', '0a040201035153'],
  ['a gateway type of 255', '0aff0201035153'],
  ['a compressed gateway name (RFC 4025 §2.5)', '0a0302c00001035153'],
  ['a gateway name whose second label is a pointer', '0a03020161c00001035153'],
  ['a gateway name without end', '0a03020161'],
  ['a gateway name of more than 255 octets', `0a0302${`3f${'61'.repeat(63)}`.repeat(4)}0001`],
  ['a key of no algorithm', '0a000001'],
])('THREATS A.10: %s is a WireError', (_, rdata) => {
  expect(decodeIpseckey(fromHex(rdata)).ok).toBe(false);
});

const keys: readonly [string, PublicKey][] = [
  ['RSA 2048', { kind: 'rsa', modulus: modulus(2_048), exponent: fromHex('010001') }],
  ['RSA 3072 with exponent 3', { kind: 'rsa', modulus: modulus(3_072), exponent: fromHex('03') }],
  ['RSA 8192', { kind: 'rsa', modulus: modulus(8_192), exponent: fromHex('010001') }],
  ['ECDSA P-256', { kind: 'ecdsa', curve: 'P-256', point: new Uint8Array(64).fill(4) }],
  ['ECDSA P-384', { kind: 'ecdsa', curve: 'P-384', point: new Uint8Array(96).fill(4) }],
  ['ECDSA P-521', { kind: 'ecdsa', curve: 'P-521', point: new Uint8Array(132).fill(1) }],
  ['Ed25519', { kind: 'eddsa', curve: 'Ed25519', point: new Uint8Array(32).fill(7) }],
  ['Ed448', { kind: 'eddsa', curve: 'Ed448', point: new Uint8Array(57).fill(7) }],
];

test.each(keys)('%s is published and found again', (_, key) => {
  expect(publicKeyOf({ precedence: 10, gateway: { kind: 'none' }, ...encodePublicKey(key) })).toEqual(key);
});

test('the exponent’s length may take one octet or three (RFC 3110 §2), and leading zeros count for nothing', () => {
  const key: PublicKey = { kind: 'rsa', modulus: modulus(2_048), exponent: fromHex('010001') };
  expect(publicKeyOf(rsa('03010001', key.modulus))).toEqual(key);
  expect(publicKeyOf(rsa('000003010001', key.modulus))).toEqual(key);
  expect(publicKeyOf(rsa('0400010001', concatOctets(new Uint8Array(1), key.modulus)))).toEqual(key);
  const long = encodePublicKey({ ...key, exponent: new Uint8Array(300).fill(3) }).key;
  expect(long.subarray(0, 4)).toEqual(fromHex('00012c03'));
});

test.each<[string, Ipseckey, RegExp]>([
  [
    'the short key of RFC 4025',
    { ...rsa('', new Uint8Array(0)), key: exampleKey },
    /255 bits, fewer than 2048/,
  ],
  ['RSA with 512 bits', rsa('03010001', modulus(512)), /512 bits, fewer than 2048/],
  ['RSA with 2047 bits', rsa('03010001', modulus(2_047)), /2047 bits, fewer than 2048/],
  ['RSA with 16384 bits', rsa('03010001', modulus(16_384)), /16384 bits, more than 8192/],
  ['an even modulus', rsa('03010001', modulus(2_048).with(255, 2)), /modulus is even/],
  ['exponent 0', rsa('0100', modulus(2_048)), /exponent is even/],
  ['exponent 1', rsa('0101', modulus(2_048)), /exponent is 1/],
  ['exponent 1 with zeros before it', rsa('03000001', modulus(2_048)), /exponent is 1/],
  ['an even exponent', rsa('03010002', modulus(2_048)), /exponent is even/],
  ['an exponent of 9 octets', rsa('09010000000000000001', modulus(2_048)), /exponent has 9 octets/],
  ['an exponent of no octets', rsa('000000', modulus(2_048)), /exponent is even/],
  ['an exponent longer than the key', rsa('ff03', modulus(64)), /ends before the modulus/],
  ['an RSA key of two octets', rsa('0000', new Uint8Array(0)), /ends before the modulus/],
  ['an RSA key without modulus', rsa('03010001', new Uint8Array(0)), /ends before the modulus/],
  ['an RSA key of nothing', rsa('', new Uint8Array(0)), /ends before the modulus/],
  ['a point with the 04 octet', other(3, 65), /ECDSA key has 65 octets/],
  ['an EdDSA key of 33 octets', other(4, 33), /EdDSA key has 33 octets/],
  ['DSA', other(1, 100), /DSA/],
  ['no key', other(0, 0), /holds no key/],
  ['algorithm 5', other(5, 32), /algorithm 5/],
])('THREATS A.11: %s cannot be used, and it says why', (_, record, why) => {
  const key = publicKeyOf(record);
  if (!('problem' in key)) throw new Error('it was taken');
  expect(key.problem).toMatch(why);
});

test('the line for a zone file is what the record says', () => {
  const key: PublicKey = { kind: 'eddsa', curve: 'Ed25519', point: new Uint8Array(32).fill(7) };
  expect(ipseckeyRecordText(name('host.example.org'), key)).toBe(
    'host.example.org. IN IPSECKEY 10 0 4 . BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=',
  );
});

/** Of exactly so many bits, and odd. */
function modulus(bits: number): Uint8Array {
  const octets = new Uint8Array(Math.ceil(bits / 8)).fill(0xff);
  if (bits % 8 !== 0) octets[0] = (1 << (bits % 8)) - 1;
  return octets;
}

function rsa(exponent: string, mod: Uint8Array): Ipseckey {
  return {
    precedence: 10,
    gateway: { kind: 'none' },
    algorithm: 2,
    key: concatOctets(fromHex(exponent), mod),
  };
}

function other(algorithm: number, octets: number): Ipseckey {
  return { precedence: 10, gateway: { kind: 'none' }, algorithm, key: new Uint8Array(octets).fill(1) };
}

function name(text: string): NameKey {
  return nameOf(text) ?? rootName;
}

function address(text: string): IpAddress {
  const found = parseAddress(text);
  if (!found) throw new Error(`no address: ${text}`);
  return found;
}
