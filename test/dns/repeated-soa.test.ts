import { beforeEach, expect, test } from 'vitest';
import { Budget, validationDefaults } from '../../src/dns/dnssec/budget.ts';
import { importKey } from '../../src/dns/dnssec/crypto.ts';
import { decodeDnskey } from '../../src/dns/dnssec/rdata.ts';
import { checkSignatures, type SignatureCheck, type ZoneKey } from '../../src/dns/dnssec/signature.ts';
import { rrsetsOf } from '../../src/dns/message.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { Ede, Type } from '../../src/dns/types.ts';
import { wallSeconds } from '../../src/time.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { key, SignedWorld, signingDate, txt, wire } from './zone.ts';

/** Every negative answer of a zone has its SOA: the signature is checked once, everything else each time. */
const zone = 'example.org';
const world = new SignedWorld([
  { name: '.', signed: true },
  { name: zone, signed: true },
]);
const day = 86_400;

let zoneKey: ZoneKey;
beforeEach(() => {
  zoneKey = freshKey();
});

test('an SOA that the key has signed is not checked again', () => {
  expect(check(soa()).ok).toBe(true);
  expect(check(soa(), { signatures: 0 })).toEqual(check(soa()));
});

test('not one octet of it may be another', () => {
  expect(check(soa()).ok).toBe(true);
  const [rdata = new Uint8Array()] = soa().rdatas;
  const [rrsig = new Uint8Array()] = soa().signatures;
  // The owner's letters are in lower case when they are signed, and so are those of the names in RDATA.
  for (let i = 0; i < rdata.length; i++)
    expect(check({ ...soa(), rdatas: [rdata.with(i, (rdata[i] ?? 0) ^ 1)] }).ok).toBe(false);
  for (let i = 0; i < rrsig.length; i++)
    expect(check({ ...soa(), signatures: [rrsig.with(i, (rrsig[i] ?? 0) ^ 1)] }).ok).toBe(false);
  expect(check({ ...soa(), rdatas: [rdata, rdata.with(rdata.length - 1, 9)] }).ok).toBe(false);
  expect(check({ ...soa(), owner: key(`www.${zone}`) }).ok).toBe(false);
  expect(check(soa()).ok).toBe(true);
});

test('it is judged by the time at which it comes, and its TTL is that of this time', () => {
  expect(check(soa(), { wall: signingDate }).ok).toBe(true);
  expect(check(soa(), { wall: signingDate + 31 * day })).toMatchObject({ ede: Ede.SIGNATURE_EXPIRED });
  expect(check(soa(), { wall: signingDate - 2 * day })).toMatchObject({ ede: Ede.SIGNATURE_NOT_YET_VALID });
  expect(check(soa(), { wall: signingDate + 30 * day - 7 })).toMatchObject({ ok: true, ttl: 7 });
  expect(check({ ...soa(), ttl: 5 })).toMatchObject({ ok: true, ttl: 5 });
});

test('another key does not know what the first has signed, nor does one that took its place', () => {
  expect(check(soa()).ok).toBe(true);
  zoneKey = freshKey();
  expect(check(soa(), { signatures: 0 }).ok).toBe(false);
});

test('what turned out wrong is not remembered, neither for good nor in place of what was good', () => {
  const [rdata = new Uint8Array()] = soa().rdatas;
  const forged = { ...soa(), rdatas: [rdata.with(rdata.length - 1, 9)] };
  expect(check(forged).ok).toBe(false);
  expect(check(forged).ok).toBe(false);
  expect(check(soa()).ok).toBe(true);
  expect(check(forged).ok).toBe(false);
  expect(check(soa(), { signatures: 0 }).ok).toBe(true);
});

test('other RRsets are checked each time', () => {
  const set = signed(Type.TXT, txt('text'));
  expect(check(set).ok).toBe(true);
  expect(check(set, { signatures: 0 }).ok).toBe(false);
});

function check(set: RRset, { signatures = 1, wall = signingDate as number } = {}): SignatureCheck {
  const budget = new Budget({ ...validationDefaults, signatures });
  return checkSignatures(set, key(zone), [zoneKey], wallSeconds(wall), budget);
}

function soa(serial = 1): RRset {
  const numbers = new Uint8Array(20).with(3, serial).with(19, 60);
  return signed(Type.SOA, concatOctets(wire(`ns.${zone}`), wire(`hostmaster.${zone}`), numbers));
}

/** As it comes in a message of its own: no two have an object in common. */
function signed(type: number, rdata: Uint8Array): RRset {
  const [set] = rrsetsOf(world.signed(zone, type, [rdata]));
  if (!set) throw new Error('nothing is signed');
  return {
    ...set,
    rdatas: set.rdatas.map((r) => r.slice()),
    signatures: set.signatures.map((s) => s.slice()),
  };
}

function freshKey(): ZoneKey {
  const dnskey = decodeDnskey(world.keysOf(zone).dnskey);
  const verifyKey = dnskey.ok ? importKey(dnskey.value) : undefined;
  if (!dnskey.ok || !verifyKey) throw new Error('the zone has no key');
  return { dnskey: dnskey.value, verifyKey };
}
