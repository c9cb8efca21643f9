import { p256, p384, p521 } from '@noble/curves/nist.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { getDiffieHellman } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { generateDh, supportedGroups } from '../../src/ike/crypto/dh.ts';
import { Group, groupName } from '../../src/ike/numbers.ts';
import { fixed, seeded } from './random.ts';

test('Curve25519 gives the keys and the secret of RFC 7748 §6.1', () => {
  const alice = generateDh(31, fixed('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'));
  const bob = generateDh(31, fixed('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'));
  expect(toHex(alice.publicValue)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  expect(toHex(bob.publicValue)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
  expect(secretOf(alice, bob.publicValue)).toBe(secret);
  expect(secretOf(bob, alice.publicValue)).toBe(secret);
});

test('ECP-256 gives the keys and the secret of RFC 5903 §8.1', () => {
  const i = generateDh(19, fixed('c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433'));
  const r = generateDh(19, fixed('c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53'));
  expect(toHex(i.publicValue)).toBe(
    'dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180' +
      '5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3',
  );
  expect(toHex(r.publicValue)).toBe(
    'd12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63' +
      '56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab',
  );
  // The secret is the x coordinate alone.
  const secret = 'd6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de';
  expect(secretOf(i, r.publicValue)).toBe(secret);
  expect(secretOf(r, i.publicValue)).toBe(secret);
});

describe.each(supportedGroups)('group %i', (group) => {
  test('two keys agree, and the same random octets give the same key', () => {
    const a = generateDh(group, seeded(group));
    const b = generateDh(group, seeded(group + 1000));
    expect(secretOf(a, b.publicValue)).toBe(secretOf(b, a.publicValue));
    expect(toHex(generateDh(group, seeded(group)).publicValue)).toBe(toHex(a.publicValue));
    expect(toHex(a.publicValue)).not.toBe(toHex(b.publicValue));
  });

  test('values of a wrong length are refused', () => {
    const key = generateDh(group, seeded(1));
    for (const value of [
      new Uint8Array(0),
      key.publicValue.subarray(1),
      new Uint8Array([...key.publicValue, 0]),
    ]) {
      expect(key.sharedSecret(value)).toMatchObject({ ok: false });
    }
  });
});

test.each([
  [Group.ECP_256, p256, 48],
  [Group.ECP_384, p384, 72],
  [Group.ECP_521, p521, 99],
] as const)('group %i agrees with another implementation', (group, curve, seedOctets) => {
  const key = generateDh(group, seeded(7));
  const other = curve.keygen(seeded(9).octets(seedOctets));
  const point = curve.Point.fromBytes(other.publicKey).toBytes(false);
  const mine = Uint8Array.from([4, ...key.publicValue]);
  const shared = curve.getSharedSecret(other.secretKey, mine, false).subarray(1);
  expect(secretOf(key, point.subarray(1))).toBe(toHex(shared.subarray(0, shared.length / 2)));
});

test('Curve25519 agrees with another implementation', () => {
  const random = seeded(3);
  for (let i = 0; i < 20; i++) {
    const key = generateDh(Group.CURVE25519, random);
    const secretKey = random.octets(32);
    const shared = x25519.getSharedSecret(secretKey, key.publicValue);
    expect(secretOf(key, x25519.getPublicKey(secretKey))).toBe(toHex(shared));
  }
});

test('Curve25519 values of small order are refused (RFC 7748 §6.1, RFC 8031 §3)', () => {
  const key = generateDh(Group.CURVE25519, seeded(1));
  const smallOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  for (const value of smallOrder) {
    expect(key.sharedSecret(fromHex(value))).toEqual({ ok: false, why: 'a Curve25519 value of small order' });
  }
});

test.each([Group.ECP_256, Group.ECP_384, Group.ECP_521])(
  'group %i: points that are not on the curve are refused (RFC 6989 §2.3)',
  (group) => {
    const key = generateDh(group, seeded(1));
    const value = generateDh(group, seeded(2)).publicValue;
    const last = value.length - 1;
    const altered = value.with(last, (value[last] ?? 0) ^ 1);
    const why = `a ${groupName(group)} value that is not on the curve`;
    expect(key.sharedSecret(altered)).toEqual({ ok: false, why });
    expect(key.sharedSecret(new Uint8Array(value.length))).toEqual({ ok: false, why });
    expect(key.sharedSecret(new Uint8Array(value.length).fill(0xff))).toEqual({ ok: false, why });
  },
);

test.each([
  [Group.MODP_2048, 'modp14'],
  [Group.MODP_3072, 'modp15'],
  [Group.MODP_4096, 'modp16'],
] as const)('group %i: 0, 1, p-1, p and more are refused (RFC 6989 §2.1), and %s agrees', (group, name) => {
  const key = generateDh(group, seeded(1));
  const openssl = getDiffieHellman(name);
  const prime = new Uint8Array(openssl.getPrime());
  const zero = new Uint8Array(prime.length);
  const last = prime.length - 1;
  const bad = [
    zero,
    zero.with(last, 1),
    prime.with(last, (prime[last] ?? 0) - 1),
    prime,
    new Uint8Array(prime.length).fill(0xff),
  ];
  for (const value of bad) {
    expect(key.sharedSecret(value)).toEqual({ ok: false, why: `a ${groupName(group)} value out of range` });
  }
  const theirs = openssl.generateKeys();
  const padded = new Uint8Array(prime.length);
  padded.set(theirs, prime.length - theirs.length);
  expect(secretOf(key, padded)).toBe(toHex(new Uint8Array(openssl.computeSecret(key.publicValue))));
});

test('a MODP secret keeps its leading zeros (RFC 7296 §2.14)', () => {
  // One public value in 256 begins with a zero octet, and so do the secrets.
  const random = seeded(5);
  let short = 0;
  for (let i = 0; i < 600; i++) {
    const key = generateDh(Group.MODP_2048, random);
    if (key.publicValue[0] === 0) short++;
    expect(key.publicValue.length).toBe(256);
  }
  expect(short).toBeGreaterThan(0);
});

test('a group that is not ours is a mistake of the caller', () => {
  expect(() => generateDh(1, seeded(1))).toThrow(RangeError);
});

function secretOf(key: ReturnType<typeof generateDh>, value: Uint8Array): string {
  const result = key.sharedSecret(value);
  if (!result.ok) throw new Error(result.why);
  return toHex(result.secret);
}
