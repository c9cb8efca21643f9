import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rootName } from '../../src/dns/name.ts';
import { decodeSvcb, encodeSvcb, isUsable, SvcParam, type Svcb } from '../../src/dns/svcb.ts';
import { addressOf, parseAddress, type IpAddress } from '../../src/net/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { anyName } from './generated.ts';
import { key } from './zone.ts';

const com = '03666f6f076578616d706c6503636f6d00';
const org = '03666f6f076578616d706c65036f726700';

test.each<[string, string, Partial<Svcb>]>([
  ['0 foo.example.com.', `0000${com}`, { priority: 0, target: key('foo.example.com') }],
  ['1 .', '000100', { priority: 1, target: rootName }],
  ['16 foo.example.com. port=53', `0010${com}000300020035`, { port: 53 }],
  [
    '1 foo.example.com. key667=hello',
    `0001${com}029b000568656c6c6f`,
    { others: new Map([[667, fromHex('68656c6c6f')]]) },
  ],
  [
    '1 foo.example.com. ipv6hint="2001:db8::1,2001:db8::53:1"',
    `0001${com}0006002020010db800000000000000000000000120010db8000000000000000000530001`,
    { ipv6hint: [address('2001:db8::1'), address('2001:db8::53:1')] },
  ],
  [
    '16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1',
    `0010${org}0000000400010004000100090268320568332d313900040004c0000201`,
    { mandatory: [1, 4], alpn: ['h2', 'h3-19'], ipv4hint: [address('192.0.2.1')] },
  ],
  [
    '16 foo.example.org. alpn="f\\\\oo\\,bar,h2"',
    `0010${org}0001000c08665c6f6f2c626172026832`,
    { alpn: ['f\\oo,bar', 'h2'] },
  ],
  [
    '1 dns.example.com. alpn=h2 dohpath=/dns-query{?dns}',
    `0001${com}0001000302683200070010${toHex(new TextEncoder().encode('/dns-query{?dns}'))}`,
    { alpn: ['h2'], dohpath: '/dns-query{?dns}' },
  ],
])('RFC 9460 appendix D: %s', (_, hex, wanted) => {
  const read = decodeSvcb(fromHex(hex));
  expect(read).toMatchObject({ ok: true, value: wanted });
  expect(read.ok && toHex(encodeSvcb(read.value))).toBe(hex);
});

test.each([
  ['a key twice', '007b0003616263007b0003646566'],
  ['keys in descending order', '0003000200350001000302683200'],
  ['no mandatory key', '00000000'],
  ['itself mandatory', '000000020000'],
  ['a mandatory key that is missing', '00000002007b'],
  ['a mandatory key twice', '00000004007b007b007b0003616263'],
  ['no protocol', '00010000'],
  ['an empty protocol name', '0001000100'],
  ['a protocol that ends early', '000100020568'],
  ['a value of no-default-alpn', '000100030268320002000161'],
  ['no protocol at all', '00020000'],
  ['half a port', '0003000135'],
  ['three octets of a port', '00030003003500'],
  ['no address', '00040000'],
  ['an address and a half', '00040006c0000201c000'],
  ['an IPv6 hint of 4 octets', '00060004c0000201'],
  ['a path that is not UTF-8', '00070003ff7b7d'],
  ['a path without the variable', '000700052f64617461'],
  ['a value that ends early', '029b000568'],
  ['the key that is never valid', 'ffff0000'],
])('a record with %s is malformed as a whole (RFC 9460 §2.2)', (_, params) => {
  expect(decodeSvcb(fromHex(`0001${com}${params}`)).ok).toBe(false);
});

test('a compressed target is an error (RFC 9460 §2.2)', () => {
  expect(decodeSvcb(fromHex('0001c000')).ok).toBe(false);
});

test('a record is usable only for one who knows its mandatory keys (RFC 9460 §8)', () => {
  const read = decodeSvcb(fromHex(`0001${com}00000002029b029b000161`));
  expect(read.ok && isUsable(read.value, [SvcParam.ALPN])).toBe(false);
  expect(read.ok && isUsable(read.value, [SvcParam.ALPN, 667])).toBe(true);
});

const anyAddress = (octets: 4 | 16) =>
  fc
    .uint8Array({ minLength: octets, maxLength: octets })
    .map((o) => addressOf(o))
    .filter((a): a is IpAddress => a !== undefined);
const anyLatin1 = fc
  .uint8Array({ minLength: 1, maxLength: 20 })
  .map((octets) => String.fromCharCode(...octets));

const anySvcb: fc.Arbitrary<Svcb> = fc
  .record({
    priority: fc.nat(0xffff),
    target: anyName,
    mandatory: fc.constant([] as number[]),
    alpn: fc.array(anyLatin1, { maxLength: 4 }),
    noDefaultAlpn: fc.boolean(),
    port: fc.option(fc.nat(0xffff), { nil: undefined }),
    ipv4hint: fc.array(anyAddress(4), { maxLength: 3 }),
    ipv6hint: fc.array(anyAddress(16), { maxLength: 3 }),
    ech: fc.option(fc.uint8Array({ maxLength: 40 }), { nil: undefined }),
    dohpath: fc.constantFrom(undefined, '/dns-query{?dns}', '/q{?a,dns}'),
    others: fc
      .array(fc.tuple(fc.integer({ min: 8, max: 0xfffe }), fc.uint8Array({ maxLength: 20 })))
      .map((pairs) => new Map(pairs)),
  })
  .map((r) => ({ ...r, noDefaultAlpn: r.noDefaultAlpn && r.alpn.length > 0 }))
  .map((r) => ({ ...r, mandatory: [...r.others.keys()].sort((a, b) => a - b).slice(0, 2) }));

test('what is written is read back the same', () => {
  fc.assert(
    fc.property(anySvcb, (record) => {
      expect(decodeSvcb(encodeSvcb(record))).toEqual({ ok: true, value: record });
    }),
    { seed: 20_261_125, numRuns: 300 },
  );
});

test('damaged octets give a value or a WireError', () => {
  fc.assert(
    fc.property(anySvcb, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), (record, damage) => {
      const octets = encodeSvcb(record);
      for (const [at, octet] of damage) if (at < octets.length) octets[at] = octet;
      decodeSvcb(octets);
      decodeSvcb(octets.subarray(0, damage[0]?.[0] ?? 0));
    }),
    { seed: 20_261_126, numRuns: 2_000 },
  );
});

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}
