import { expect, test } from 'vitest';
import { Zones, ZonesWithout, type ZoneEntry } from '../../src/dns/dnssec/zones.ts';
import { instant, wallSeconds } from '../../src/time.ts';
import { key } from './zone.ts';

const [begin, end, validUntil] = [instant(1000), instant(61_000), 1_800_000_000];
const wall = wallSeconds(validUntil - 1000);

function entry(): ZoneEntry {
  return {
    name: key('example.org'),
    state: { status: 'secure', keys: [] },
    since: begin,
    until: end,
    validUntil,
    sentence: 'example.org',
  };
}

test('what is known of a zone ends with its time to live', () => {
  const zones = new Zones();
  zones.set(entry());
  expect(zones.get(key('example.org'), instant(60_999), wall)).toBeDefined();
  expect(zones.get(key('example.org'), end, wall)).toBeUndefined();
  expect(zones.size).toBe(0);
});

test('what is known of a zone ends after the last second of its signatures', () => {
  const zones = new Zones();
  zones.set(entry());
  expect(zones.get(key('example.org'), begin, wallSeconds(validUntil))).toBeDefined();
  expect(zones.get(key('example.org'), begin, wallSeconds(validUntil + 1))).toBeUndefined();
  expect(zones.size).toBe(0);
});

test('what is known of a zone is forgotten alone, or with all below it', () => {
  const zones = new Zones();
  const names = ['org', 'example.org', 'www.example.org', 'example.net'].map((name) => key(name));
  const known = (): boolean[] => names.map((name) => zones.get(name, begin, wall) !== undefined);
  for (const name of names) zones.set({ ...entry(), name });
  expect(zones.forget(key('org'), false)).toBe(1);
  expect(known()).toEqual([false, true, true, true]);
  expect(zones.forget(key('example.org'), true)).toBe(2);
  expect(known()).toEqual([false, false, false, true]);
  expect(zones.clear()).toBe(1);
  expect(known()).toEqual([false, false, false, false]);
});

test('a zone that is proved anew is not known beside its old proof, which stays; all others are', () => {
  const zones = new Zones();
  const [above, hidden, below] = [key('org'), key('example.org'), key('www.example.org')];
  for (const name of [above, hidden, below]) zones.set({ ...entry(), name });
  const without = new ZonesWithout(zones, hidden);
  expect(without.get(hidden, begin, wall)).toBeUndefined();
  expect(without.get(above, begin, wall)).toMatchObject({ name: above });
  expect(without.closest(hidden, begin, wall)).toMatchObject({ name: above });
  expect(without.closest(below, begin, wall)).toMatchObject({ name: below });
  without.set({ ...entry(), name: hidden, sentence: 'anew' });
  expect(without.found).toMatchObject({ sentence: 'anew' });
  expect(without.get(hidden, begin, wall)).toMatchObject({ sentence: 'anew' });
  expect(zones.get(hidden, begin, wall)).toMatchObject({ sentence: 'example.org' });
  without.set({ ...entry(), name: below, sentence: 'other' });
  expect(zones.get(below, begin, wall)).toMatchObject({ sentence: 'other' });
  without.delete(hidden);
  without.delete(below);
  expect(zones.get(hidden, begin, wall)).toBeDefined();
  expect(zones.get(below, begin, wall)).toBeUndefined();
});
