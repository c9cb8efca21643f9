import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addressOf,
  formatAddress,
  formatEndpoint,
  parseAddress,
  parseEndpoint,
  sameAddress,
} from '../../src/net/address.ts';
import { formatPrefix, hostPrefix, parsePrefix, prefixContains } from '../../src/net/prefix.ts';

const octets = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

test('every address reads back from its text', () => {
  fc.assert(
    fc.property(octets, (o) => {
      const address = addressOf(o);
      if (!address) throw new Error('4 or 16 octets are an address');
      const again = parseAddress(formatAddress(address));
      expect(again && sameAddress(again, address)).toBe(true);
    }),
  );
});

test.each([
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['FE80::ABCD', 'fe80::abcd'],
  ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
])('%s is written %s (RFC 5952 §4)', (text, canonical) => {
  const address = parseAddress(text);
  expect(address && formatAddress(address)).toBe(canonical);
});

test.each([
  '',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '256.1.1.1',
  '1::2::3',
  '1:2:3:4:5:6:7:8:9',
  '12345::',
  'fe80::1%eth0',
  '::1/128',
  '1:2:3:4:5:6:7::8:9',
  ':1',
  '1.2.3.4::',
])('%j is no address', (text) => {
  expect(parseAddress(text)).toBeUndefined();
});

test('endpoints read with and without a port', () => {
  const texts = ['192.0.2.1:53', '[2001:db8::1]:53'];
  for (const text of texts) {
    const endpoint = parseEndpoint(text, 0);
    expect(endpoint && formatEndpoint(endpoint)).toBe(text);
  }
  expect(parseEndpoint('2001:db8::1', 53)?.port).toBe(53);
  expect(parseEndpoint('192.0.2.1', 53)?.port).toBe(53);
  expect(parseEndpoint('192.0.2.1:65536', 53)).toBeUndefined();
  expect(parseEndpoint('name:53', 53)).toBeUndefined();
});

test('a prefix contains its addresses and no other', () => {
  const prefix = parsePrefix('198.18.0.0/15');
  if (!prefix) throw new Error('a prefix');
  const inside = (text: string): boolean => {
    const address = parseAddress(text);
    return address !== undefined && prefixContains(prefix, address);
  };
  expect(inside('198.19.255.255')).toBe(true);
  expect(inside('198.20.0.0')).toBe(false);
  expect(inside('198.17.255.255')).toBe(false);
  expect(inside('2001:2::1')).toBe(false);
  expect(formatPrefix(prefix)).toBe('198.18.0.0/15');
});

test('a prefix with bits beyond its length is refused', () => {
  expect(parsePrefix('198.18.0.1/15')).toBeUndefined();
  expect(parsePrefix('198.18.0.0/33')).toBeUndefined();
  expect(parsePrefix('2001:db8::/129')).toBeUndefined();
  expect(parsePrefix('0.0.0.0/0')?.length).toBe(0);
});

test('a host prefix holds one address', () => {
  fc.assert(
    fc.property(octets, octets, (a, b) => {
      const [one, other] = [addressOf(a), addressOf(b)];
      if (!one || !other) throw new Error('4 or 16 octets are an address');
      expect(prefixContains(hostPrefix(one), other)).toBe(sameAddress(one, other));
    }),
  );
});
