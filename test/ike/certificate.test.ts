import { expect, test } from 'vitest';
import {
  bearsName,
  identityFault,
  judgePath,
  readCertificate,
  type Certificate,
} from '../../src/ike/crypto/certificate.ts';
import { IdType } from '../../src/ike/numbers.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { wallSeconds } from '../../src/time.ts';
import { toUtf8 } from '../../src/wire/octets.ts';
import { certificateOf, fleet, fleetAuthority, nameDer, readOf, today, type Wish } from './certificates.ts';
import { identity } from './pair.ts';

const hostKey = identity('Ed25519', 101).privateKey;
const middleKey = identity('P-384', 102).privateKey;
const otherKey = identity('P-256', 103).privateKey;
const middle = { subject: 'Middle CA', key: middleKey };
const host: Wish = { subject: 'host', key: hostKey, by: fleet, dns: ['host.fleet.example'] };

function verdict(end: Wish, others: readonly Wish[] = [], at = today, authorities = [fleetAuthority]) {
  const path = judgePath(readOf(end), others.map(readOf), authorities, wallSeconds(at));
  return path.ok ? 'ok' : path.why;
}

test.each(['rsa', 'P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448'] as const)(
  'a certificate with an %s key, which a key of the same kind has signed, is taken',
  (kind) => {
    const by = { subject: 'Fleet CA', key: identity(kind, 1).privateKey };
    const authority = readOf({ ...by, authority: true });
    const { publicKey, privateKey } = identity(kind, 2);
    const end = readOf({ ...host, key: privateKey, by });
    expect(judgePath(end, [], [authority], wallSeconds(today))).toEqual({ ok: true, key: publicKey });
  },
);

test('a path leads over authorities that come along, in any order, others beside them', () => {
  const low = { subject: 'Low CA', key: otherKey };
  const between: Wish[] = [
    { ...middle, by: fleet, authority: true, keyUsage: 0x04 },
    { ...low, by: middle, authority: true },
    { subject: 'stranger', key: hostKey, by: low },
  ];
  expect(verdict({ ...host, by: low }, between)).toBe('ok');
  expect(verdict({ ...host, by: low }, between.toReversed())).toBe('ok');
  expect(verdict({ ...host, by: low }, between.slice(1))).toBe('it leads to no authority of the group');
});

test.each<[string, Wish, readonly Wish[], string]>([
  ['signed by itself', { subject: 'host', key: hostKey }, [], 'it leads to no authority of the group'],
  [
    'signed by another key under the name of the authority',
    { ...host, by: { subject: 'Fleet CA', key: otherKey } },
    [],
    'a signature on the way to an authority is wrong',
  ],
  ['not valid yet', { ...host, from: today + 10 }, [], 'its certificate is not valid yet'],
  ['expired', { ...host, until: today - 10 }, [], 'its certificate has expired'],
  [
    'signed with SHA-1',
    { ...host, digest: 'sha1' },
    [],
    'a certificate on the way is signed with SHA-1 or worse',
  ],
  ['for key agreement', { ...host, keyUsage: 0x08 }, [], 'its certificate is not for signatures'],
  ['for mail', { ...host, purposes: ['2b06010505070304'] }, [], 'its certificate is not for IKE'],
  [
    'with a critical extension of which nothing is known',
    { ...host, extra: ['2a030405', true] },
    [],
    'its certificate has a critical extension that oe does not know (2a030405)',
  ],
  [
    'with a key that is too short',
    { ...host, key: identity('rsa-1024').privateKey },
    [],
    'its key is no good: the modulus has 1024 bits, fewer than 2048',
  ],
  [
    'under a host that plays the authority',
    { ...host, by: middle },
    [{ ...middle, by: fleet }],
    'its issuer is no authority',
  ],
  [
    'under an authority that may not sign certificates',
    { ...host, by: middle },
    [{ ...middle, by: fleet, authority: true, keyUsage: 0x80 }],
    'a signature on the way to an authority is wrong',
  ],
  [
    'under an authority that has expired',
    { ...host, by: middle },
    [{ ...middle, by: fleet, authority: true, until: today - 10 }],
    'the certificate of an authority has expired',
  ],
  [
    'under an authority with name constraints',
    { ...host, by: middle },
    [{ ...middle, by: fleet, authority: true, extra: ['551d1e', false] }],
    'an authority has name constraints, which oe does not check',
  ],
  [
    'under an authority with a weak key',
    { ...host, by: { subject: 'Middle CA', key: identity('rsa-1024').privateKey } },
    [{ subject: 'Middle CA', key: identity('rsa-1024').privateKey, by: fleet, authority: true }],
    'it leads to no authority of the group',
  ],
])('a certificate is refused that is %s', (_, end, others, why) => {
  expect(verdict(end, others)).toBe(why);
});

test('a path is no longer than an authority allows (RFC 5280 §4.2.1.9)', () => {
  const low = { subject: 'Low CA', key: otherKey };
  const between = (pathLength: number): Wish[] => [
    { ...middle, by: fleet, authority: true, pathLength },
    { ...low, by: middle, authority: true },
  ];
  expect(verdict({ ...host, by: low }, between(1))).toBe('ok');
  expect(verdict({ ...host, by: low }, between(0))).toBe(
    'there are more authorities on the way than one of them allows',
  );
  const strict = readOf({ ...fleet, authority: true, pathLength: 0 });
  expect(verdict({ ...host, by: middle }, [{ ...middle, by: fleet, authority: true }], today, [strict])).toBe(
    'there are more authorities on the way than one of them allows',
  );
});

test('authorities that sign one another end somewhere, and cost no more than a few signatures', () => {
  const ring: Wish[] = Array.from({ length: 8 }, () => ({ ...middle, by: middle, authority: true }));
  expect(verdict({ ...host, by: middle }, ring)).not.toBe('ok');
});

test('what is no certificate is refused, and no truncation or changed octet throws', () => {
  const whole = certificateOf(host);
  expect(readCertificate(new Uint8Array(0)).ok).toBe(false);
  expect(readCertificate(new Uint8Array(20_000)).ok).toBe(false);
  for (let length = 0; length < whole.length; length += 3) {
    expect(readCertificate(whole.subarray(0, length)).ok).toBe(false);
  }
  for (let at = 0; at < whole.length; at++) {
    const read = readCertificate(whole.with(at, (whole[at] ?? 0) ^ 0x41));
    if (!read.ok) continue;
    expect(judgePath(read.certificate, [], [fleetAuthority], wallSeconds(today)).ok).toBe(false);
  }
});

test('an identity counts that stands in the certificate, and an address that is the own one (RFC 4945 §3.1)', () => {
  const own = parsed('198.18.0.1');
  const other = parsed('198.18.0.9');
  const end: Certificate = readOf({
    ...host,
    mail: ['ops@fleet.example'],
    addresses: [own.octets, other.octets],
  });
  const fault = (type: number, data: Uint8Array): string | undefined =>
    identityFault(end, { type, data }, own);
  expect(fault(IdType.ID_FQDN, toUtf8('Host.Fleet.example'))).toBeUndefined();
  expect(fault(IdType.ID_FQDN, toUtf8('other.fleet.example'))).toMatch(/not of the name/);
  expect(fault(IdType.ID_RFC822_ADDR, toUtf8('ops@fleet.example'))).toBeUndefined();
  expect(fault(IdType.ID_RFC822_ADDR, toUtf8('x@fleet.example'))).toMatch(/mailbox/);
  expect(fault(IdType.ID_DER_ASN1_DN, nameDer('host'))).toBeUndefined();
  expect(fault(IdType.ID_DER_ASN1_DN, nameDer('hosts'))).toMatch(/subject/);
  expect(fault(IdType.ID_IPV4_ADDR, own.octets)).toBeUndefined();
  expect(fault(IdType.ID_IPV4_ADDR, other.octets)).toMatch(/not its own/);
  expect(fault(IdType.ID_KEY_ID, own.octets)).toMatch(/stands in no certificate/);
  expect(identityFault(readOf(host), { type: IdType.ID_IPV4_ADDR, data: own.octets }, own)).toMatch(
    /address/,
  );
});

test('a name with an asterisk bears one label, and nothing more', () => {
  expect(bearsName(['*.fleet.example'], 'a.fleet.example')).toBe(true);
  expect(bearsName(['a.fleet.example'], 'A.Fleet.Example.')).toBe(true);
  expect(bearsName(['*.fleet.example'], 'fleet.example')).toBe(false);
  expect(bearsName(['*.fleet.example'], 'b.a.fleet.example')).toBe(false);
  expect(bearsName(['*'], 'a')).toBe(false);
  expect(bearsName([], 'a.fleet.example')).toBe(false);
});

function parsed(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address) throw new Error(text);
  return address;
}
