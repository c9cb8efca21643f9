/** Zones and messages made to cost us more than they cost their maker. The other limits stand beside what they limit. */
import { expect, test } from 'vitest';
import { Cache } from '../../src/dns/cache/cache.ts';
import { Zones } from '../../src/dns/dnssec/zones.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import type { NameKey } from '../../src/dns/name.ts';
import { Class, Ede, Rcode, Type } from '../../src/dns/types.ts';
import { instant, wallSeconds } from '../../src/time.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { before, exampleWorld, servfail } from './scenes.ts';
import { dnskeyRdata } from './signing.ts';
import { address, key } from './zone.ts';

test('THREATS B: of the keys of a zone 32 are looked at', () => {
  const others = (count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, i) => dnskeyRdata(256, 15, new Uint8Array(32).fill(i + 1)));
  const verdictWith = (count: number): string => {
    const world = exampleWorld();
    const { dnskey } = world.keysOf('example.org');
    world.replace('example.org', Type.DNSKEY, [...others(count), dnskey]);
    return before(world).ask('www.example.org').verdict.status;
  };
  expect(verdictWith(31)).toBe('secure');
  expect(verdictWith(32)).toBe('bogus');
});

test('THREATS B: DS records that name a key and have another digest are compared 4 times', () => {
  const verdictWith = (count: number): string => {
    const world = exampleWorld();
    const [ds] = world.keysOf('example.org').ds;
    if (!ds) throw new Error('no DS');
    const others = Array.from({ length: count }, (_, i) => ds.with(20, i).with(21, 0x55));
    world.replace('example.org', Type.DS, [...others, ds]);
    return before(world).ask('www.example.org').verdict.status;
  };
  expect(verdictWith(3)).toBe('secure');
  expect(verdictWith(4)).toBe('bogus');
});

test('THREATS B: an RRset of more than 256 records is not taken', () => {
  const worldWith = (count: number) => {
    const world = exampleWorld();
    for (let i = 0; i < count; i++)
      world.add('many.example.org', Type.A, address(`10.0.${i >> 8}.${i & 255}`));
    return world;
  };
  expect(before(worldWith(256)).ask('many.example.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'secure' },
  });
  expect(before(worldWith(257)).ask('many.example.org')).toMatchObject({
    ...servfail,
    verdict: { status: 'indeterminate', ede: Ede.OTHER },
    ede: { text: expect.stringContaining('more than 256 records of many.example.org A') as string },
  });
});

test('THREATS B: the cache stays within its memory, however large what comes is', () => {
  const limit = 200_000;
  const cache = new Cache({ limitOctets: limit });
  const [now, wall] = [instant(0), wallSeconds(0)];
  const last = 99;
  for (let i = 0; i <= last; i++) {
    const name = key(`n${i}.example`);
    const rdatas = [new Uint8Array(20_000)];
    const set = { owner: name, type: Type.TXT, class: Class.IN, ttl: 60, rdatas, signatures: [] };
    cache.set({ ...link(name), sets: [set] }, Type.TXT, 0, now);
    expect(cache.octets).toBeLessThanOrEqual(limit);
  }
  expect(cache.get(key(`n${last}.example`), Type.TXT, now, wall)).toBeDefined();
  expect(cache.get(key('n0.example'), Type.TXT, now, wall)).toBeUndefined();
  // Putting the same again counts once.
  const { octets, size } = cache;
  cache.set(link(key('n99.example')), Type.TXT, 0, now);
  expect(cache.size).toBe(size);
  expect(cache.octets).toBeLessThan(octets);
});

test('THREATS B: what is known of zones stays within its memory, and those with many keys go sooner', () => {
  const limit = 1_000_000;
  const zones = new Zones(limit);
  const [now, wall] = [instant(0), wallSeconds(0)];
  const add = (name: NameKey, keys: number): void => {
    const zoneKey = { dnskey: { rdata: new Uint8Array(68) } } as never;
    const state = { status: 'secure', keys: Array.from({ length: keys }, () => zoneKey) } as const;
    zones.set({ name, state, sentence: '', since: now, until: instant(1_000), validUntil: Infinity });
    expect(zones.octets).toBeLessThanOrEqual(limit);
  };
  for (let i = 0; i < 1_000; i++) add(key(`n${i}.example`), 1);
  const small = zones.size;
  for (let i = 0; i < 1_000; i++) add(key(`m${i}.example`), 31);
  expect(zones.size).toBeLessThan(small / 10);
  expect(zones.get(key('m999.example'), now, wall)).toBeDefined();
});

test('THREATS B: a message of more than 600 records is not read', () => {
  const read = (count: number): boolean => {
    // Each owner is a pointer to the question's name, 12 octets a record.
    const record = Uint8Array.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0);
    const header = Uint8Array.of(0, 1, 0x84, 0, 0, 1, count >> 8, count & 255, 0, 0, 0, 0);
    const question = Uint8Array.of(1, 0x61, 0, 0, 1, 0, 1);
    return decodeMessage(concatOctets(header, question, ...Array.from({ length: count }, () => record))).ok;
  };
  expect(read(599)).toBe(true);
  expect(read(600)).toBe(false);
});

function link(name: NameKey) {
  return {
    name,
    target: undefined,
    rcode: Rcode.NOERROR,
    sets: [],
    authority: [],
    state: { status: 'secure' } as const,
    ttl: 60,
    validUntil: Infinity,
    chain: [],
  };
}
