import { expect, test } from 'vitest';
import {
  configuredKey,
  holdDownSeconds,
  openDss,
  queryInterval,
  retryInterval,
  seen,
  validKeys,
  type Sighting,
  type TrustPoint,
} from '../../src/dns/anchors/rfc5011.ts';
import { dsDigest } from '../../src/dns/dnssec/crypto.ts';
import { decodeDnskey, DnskeyFlag, type Dnskey, type Ds } from '../../src/dns/dnssec/rdata.ts';
import { rootName } from '../../src/dns/name.ts';
import { wallSeconds, type WallSeconds } from '../../src/time.ts';
import { sameOctets } from '../../src/wire/octets.ts';
import { Algorithm, Digest } from '../../src/dns/dnssec/algorithms.ts';
import { dnskeyRdata, dsRdata, signingKey } from './signing.ts';

const day = 86_400;

test('a new key is trusted after 30 days in which it was seen, and not a second before (§2.4.1)', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  expect(zone.states()).toEqual(['a Valid', 'b AddPend']);
  zone.after(holdDownSeconds - 1).see([a, b], [a]);
  expect(zone.states()).toEqual(['a Valid', 'b AddPend']);
  zone.after(1).see([a, b], [a]);
  expect(zone.states()).toEqual(['a Valid', 'b Valid']);
});

test('time alone does not make a key trusted: it has to be seen once more (§2.2)', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  zone.after(365 * day);
  expect(zone.trusted()).toEqual(['a']);
  zone.see([a, b], [a]);
  expect(zone.trusted()).toEqual(['a', 'b']);
});

test('a TTL above 30 days lengthens the hold-down (§2.4.1)', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a], 40 * day);
  zone.after(39 * day).see([a, b], [a], 40 * day);
  expect(zone.trusted()).toEqual(['a']);
  zone.after(day).see([a, b], [a], 40 * day);
  expect(zone.trusted()).toEqual(['a', 'b']);
});

test('a key that was away for one look begins its 30 days anew (§2.2)', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  zone.after(29 * day).see([a], [a]);
  expect(zone.states()).toEqual(['a Valid']);
  zone.after(day).see([a, b], [a]);
  zone.after(29 * day).see([a, b], [a]);
  expect(zone.trusted()).toEqual(['a']);
  zone.after(day).see([a, b], [a]);
  expect(zone.trusted()).toEqual(['a', 'b']);
});

test('what no trusted key has signed adds nothing and takes nothing away', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  expect(zone.after(holdDownSeconds).see([a, b, c], [b, c])).toBe(false);
  expect(zone.see([b], [])).toBe(false);
  expect(zone.states()).toEqual(['a Valid', 'b AddPend']);
});

test('a key that is pending vouches for nobody', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  expect(zone.see([a, b, c], [b])).toBe(false);
  expect(zone.states()).toEqual(['a Valid', 'b AddPend']);
});

test('keys without the SEP bit, without the zone bit or of an unknown algorithm are not taken up', () => {
  const zone = new Watched([a]);
  zone.see([a, withFlags(b, 256), withFlags(c, 1), withAlgorithm(d, 253)], [a]);
  expect(zone.states()).toEqual(['a Valid']);
});

test('a trusted key that is gone stays trusted, as missing, and may come back (§4.2)', () => {
  const zone = new Watched([a, b]);
  zone.see([a], [a]);
  expect(zone.states()).toEqual(['a Valid', 'b Missing']);
  expect(zone.trusted()).toEqual(['a', 'b']);
  expect(zone.after(400 * day).see([b], [b])).toBe(true);
  expect(zone.states()).toEqual(['a Missing', 'b Valid']);
});

test('a revocation that the key itself has signed counts at once and for ever (§2.1)', () => {
  const zone = new Watched([a, b]);
  zone.see([revoked(a), b], [revoked(a), b]);
  expect(zone.states()).toEqual(['a Revoked', 'b Valid']);
  expect(zone.trusted()).toEqual(['b']);
  zone.see([a, b], [a, b]);
  expect(zone.states()).toEqual(['a Revoked', 'b Valid']);
  expect(zone.see([a, b, c], [a])).toBe(false);
});

test('a revocation counts also where nobody else has signed, but proves nothing more', () => {
  const zone = new Watched([a]);
  expect(zone.see([revoked(a), b], [revoked(a), b])).toBe(false);
  expect(zone.states()).toEqual(['a Revoked']);
  expect(zone.trusted()).toEqual([]);
});

test('a REVOKE bit that the key has not signed revokes nothing; the key is missing then', () => {
  const zone = new Watched([a, b]);
  zone.see([revoked(a), b], [b]);
  expect(zone.states()).toEqual(['a Missing', 'b Valid']);
});

test('a pending key that is revoked never becomes trusted', () => {
  const zone = new Watched([a]);
  zone.see([a, b], [a]);
  zone.see([a, revoked(b)], [a, revoked(b)]);
  zone.after(holdDownSeconds).see([a, b], [a]);
  expect(zone.trusted()).toEqual(['a']);
});

test('a pending key whose only vouchers are revoked begins anew (§2.2)', () => {
  const zone = new Watched([a, b]);
  zone.see([a, b, c], [a]);
  zone.after(20 * day).see([revoked(a), b, c], [revoked(a), b]);
  expect(zone.states()).toEqual(['a Revoked', 'b Valid', 'c AddPend']);
  zone.after(10 * day).see([b, c], [b]);
  expect(zone.trusted()).toEqual(['b']);
  zone.after(20 * day).see([b, c], [b]);
  expect(zone.trusted()).toEqual(['b', 'c']);
});

test('a pending key for which another vouched as well goes on waiting', () => {
  const zone = new Watched([a, b]);
  zone.see([a, b, c], [a, b]);
  zone.after(20 * day).see([revoked(a), b, c], [revoked(a), b]);
  zone.after(10 * day).see([b, c], [b]);
  expect(zone.trusted()).toEqual(['b', 'c']);
});

test('a revoked key is done with after 30 days, and stays on record', () => {
  const zone = new Watched([a, b]);
  zone.see([revoked(a), b], [revoked(a), b]);
  zone.after(holdDownSeconds - 1).see([b], [b]);
  expect(zone.states()).toEqual(['a Revoked', 'b Valid']);
  zone.after(1).see([b], [b]);
  expect(zone.states()).toEqual(['a Removed', 'b Valid']);
  zone.after(365 * day).see([a, b], [a, b]);
  expect(zone.states()).toEqual(['a Removed', 'b Valid']);
});

test('a revocation that goes on being published does not begin anew', () => {
  const zone = new Watched([a, b]);
  for (let days = 0; days <= 30; days += 10) {
    zone.see([revoked(a), b], [revoked(a), b]);
    zone.after(10 * day);
  }
  expect(zone.states()).toEqual(['a Removed', 'b Valid']);
  zone.see([revoked(a), b], [revoked(a), b]);
  expect(zone.states()).toEqual(['a Removed', 'b Valid']);
});

test('the algorithm of a trust point rolls over like any other key', () => {
  const zone = new Watched([a]);
  zone.see([a, rsa], [a, rsa]);
  zone.after(holdDownSeconds).see([a, rsa], [a, rsa]);
  zone.see([revoked(a), rsa], [revoked(a), rsa]);
  expect(zone.trusted()).toEqual(['rsa']);
});

test('a DS stands for its key: valid when it is seen, also without the SEP bit', () => {
  const zone = new Watched([], [ds(a), ds(withFlags(b, 256))]);
  zone.see([a, withFlags(b, 256)], [a]);
  expect(zone.trusted()).toEqual(['a', 'b/256']);
  expect(zone.open()).toEqual([]);
});

test('a DS whose key was not seen yet goes on standing for it, and vouches when the key comes', () => {
  const zone = new Watched([], [ds(a), ds(b)]);
  zone.see([a], [a]);
  expect(zone.open()).toEqual([ds(b)]);
  expect(zone.after(400 * day).see([b], [b])).toBe(true);
  expect(zone.trusted()).toEqual(['a', 'b']);
});

test('a key that a DS names is revoked although its tag is another one then', () => {
  const zone = new Watched([], [ds(a), ds(b)]);
  expect(decode(revoked(a)).tag).not.toBe(decode(a).tag);
  zone.see([revoked(a), b], [revoked(a), b]);
  expect(zone.trusted()).toEqual(['b']);
  expect(zone.open()).toEqual([]);
  expect(zone.see([a, c], [a])).toBe(false);
});

test('a DS of the key as it is when revoked makes nothing trusted', () => {
  const zone = new Watched([], [ds(revoked(a))]);
  expect(zone.see([revoked(a), b], [revoked(a)])).toBe(false);
  expect(zone.states()).toEqual([]);
});

test('no more than 16 keys are kept on record', () => {
  const zone = new Watched([a]);
  const many = Array.from({ length: 30 }, (_, i) => signingKey(`many ${i}`, Algorithm.ED25519).rdata);
  zone.see([a, ...many], [a]);
  expect(zone.states()).toHaveLength(16);
});

test.each([
  ['the root', 172_800, 21 * day, 86_400, 17_280],
  ['never more often than once an hour', 60, 60, 3_600, 3_600],
  ['at least every 15 days, a retry every day', 100 * day, 100 * day, 15 * day, day],
  ['by the signature where that is shorter', 10 * day, 2 * day, day, 17_280],
])('looks are spaced as §2.3 says: %s', (_, originalTtl, expiresIn, query, retry) => {
  expect(queryInterval({ originalTtl, expiresIn })).toBe(query);
  expect(retryInterval({ originalTtl, expiresIn })).toBe(retry);
});

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((n) => signingKey(n, Algorithm.ED25519).rdata) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
  Uint8Array,
];
const rsa = signingKey('e', Algorithm.ECDSAP256SHA256).rdata;

/** A trust point that is looked at now and then. */
class Watched {
  #point: TrustPoint;
  #wall: WallSeconds = wallSeconds(1_700_000_000);

  constructor(keys: readonly Uint8Array[], dss: readonly Uint8Array[] = []) {
    this.#point = { dss, keys: keys.map(configuredKey) };
  }

  after(seconds: number): this {
    this.#wall = wallSeconds(this.#wall + seconds);
    return this;
  }

  /** Whether a trusted key had signed what was seen. */
  see(keys: readonly Uint8Array[], signers: readonly Uint8Array[], originalTtl = 172_800): boolean {
    const sighting: Sighting = { keys: keys.map(decode), signers, originalTtl, expiresIn: 10 * day };
    const { point, validated } = seen(this.#point, sighting, names, this.#wall);
    this.#point = point;
    return validated;
  }

  states(): string[] {
    return this.#point.keys.map((k) => `${nick(k.rdata)} ${k.state}`).sort();
  }

  trusted(): string[] {
    return validKeys(this.#point)
      .map((k) => nick(k.rdata))
      .sort();
  }

  open(): readonly Uint8Array[] {
    return openDss(this.#point, names);
  }
}

function names({ digestType, digest, keyTag }: Ds, key: Dnskey): boolean {
  const own = dsDigest(digestType, rootName, key.rdata);
  return keyTag === key.tag && own !== undefined && sameOctets(own, digest);
}

function ds(rdata: Uint8Array): Uint8Array {
  const key = decode(rdata);
  return dsRdata(key, Digest.SHA256, dsDigest(Digest.SHA256, rootName, rdata) ?? new Uint8Array());
}

function decode(rdata: Uint8Array): Dnskey {
  const key = decodeDnskey(rdata);
  if (!key.ok) throw key.error;
  return key.value;
}

function withFlags(rdata: Uint8Array, flags: number): Uint8Array {
  return dnskeyRdata(flags, rdata[3] ?? 0, rdata.subarray(4));
}

function withAlgorithm(rdata: Uint8Array, algorithm: number): Uint8Array {
  return dnskeyRdata(257, algorithm, rdata.subarray(4));
}

function revoked(rdata: Uint8Array): Uint8Array {
  return withFlags(rdata, 257 | DnskeyFlag.REVOKE);
}

/** `a`, or `b/256` with other flags than usual. */
function nick(rdata: Uint8Array): string {
  const { flags } = decode(rdata);
  const named = Object.entries({ a, b, c, d, rsa }).find(([, r]) =>
    sameOctets(r.subarray(3), rdata.subarray(3)),
  );
  return `${named?.[0] ?? '?'}${flags === 257 ? '' : `/${flags}`}`;
}
