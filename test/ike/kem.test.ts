import { ml_kem1024, ml_kem512, ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { describe, expect, test } from 'vitest';
import { answerKeyExchange, beginKeyExchange, supportedMethods } from '../../src/ike/crypto/key-exchange.ts';
import { encapsulateTo, generateKem, isPostQuantum, supportedKems } from '../../src/ike/crypto/kem.ts';
import { Group, groupName } from '../../src/ike/numbers.ts';
import { seeded } from './random.ts';

/** A second implementation of FIPS 203. */
const kems = [
  [Group.ML_KEM_512, ml_kem512, 800, 768],
  [Group.ML_KEM_768, ml_kem768, 1184, 1088],
  [Group.ML_KEM_1024, ml_kem1024, 1568, 1568],
] as const;

const random = seeded(7);

describe.each(kems)('ML-KEM method %i', (method, oracle, keyOctets, ciphertextOctets) => {
  test('the same seed gives the key that another implementation derives from it (FIPS 203 §7.1)', () => {
    const seed = random.octets(64);
    const key = generateKem(method, { ...random, octets: () => seed });
    expect(key.publicValue).toEqual(oracle.keygen(seed).publicKey);
    expect(key.publicValue).toHaveLength(keyOctets);
  });

  test('what another implementation encapsulates we decapsulate, and the other way', () => {
    const key = generateKem(method, random);
    const theirs = oracle.encapsulate(key.publicValue);
    expect(theirs.cipherText).toHaveLength(ciphertextOctets);
    expect(key.sharedSecret(theirs.cipherText)).toEqual({ ok: true, secret: theirs.sharedSecret });

    const other = oracle.keygen(random.octets(64));
    const ours = encapsulateTo(method, other.publicKey);
    if (!ours.ok) throw new Error(ours.why);
    expect(oracle.decapsulate(ours.publicValue, other.secretKey)).toEqual(ours.secret);
  });

  test('a changed ciphertext gives another secret, the one that FIPS 203 §6.3 rejects with', () => {
    const seed = random.octets(64);
    const key = generateKem(method, { ...random, octets: () => seed });
    const ours = encapsulateTo(method, key.publicValue);
    if (!ours.ok) throw new Error(ours.why);
    const changed = ours.publicValue.slice();
    changed[5] = (changed[5] ?? 0) ^ 1;
    const read = key.sharedSecret(changed);
    expect(read).not.toEqual({ ok: true, secret: ours.secret });
    expect(read).toEqual({ ok: true, secret: oracle.decapsulate(changed, oracle.keygen(seed).secretKey) });
  });

  test('octets that are no key and no ciphertext are told so, and throw nothing', () => {
    const key = generateKem(method, random);
    for (const length of [0, 1, 32, ciphertextOctets - 1, ciphertextOctets + 1]) {
      expect(key.sharedSecret(new Uint8Array(length))).toMatchObject({ ok: false });
    }
    for (const length of [0, 1, 32, keyOctets - 1, keyOctets + 1]) {
      expect(encapsulateTo(method, new Uint8Array(length))).toMatchObject({ ok: false });
    }
    // Coefficients of 4095 are not below the modulus of 3329 (FIPS 203 §7.2).
    expect(encapsulateTo(method, new Uint8Array(keyOctets).fill(0xff))).toMatchObject({
      ok: false,
      why: `an ${groupName(method)} key that is out of range`,
    });
  });
});

test.each(supportedMethods)('method %i: both sides of it have the same secret', (method) => {
  const ours = beginKeyExchange(method, random);
  const theirs = answerKeyExchange(method, ours.publicValue, random);
  if (!theirs.ok) throw new Error(theirs.why);
  expect(ours.sharedSecret(theirs.publicValue)).toEqual({ ok: true, secret: theirs.secret });
  expect(isPostQuantum(method)).toBe(supportedKems.includes(method));
});
