import { createCipheriv, createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { concatOctets, fromHex, toHex, toUtf8 } from '../../src/wire/octets.ts';
import { Opener, Sealer, cipherKeyOctets, type IkeCipher } from '../../src/ike/crypto/cipher.ts';
import { prf, prfPlus } from '../../src/ike/crypto/prf.ts';
import { seeded } from './random.ts';

const gcm256: IkeCipher = { encr: 20, keyBits: 256, integ: undefined };
const chacha: IkeCipher = { encr: 28, keyBits: 256, integ: undefined };

const ciphers: readonly IkeCipher[] = [
  gcm256,
  { encr: 20, keyBits: 128, integ: undefined },
  chacha,
  { encr: 12, keyBits: 256, integ: 12 },
  { encr: 12, keyBits: 128, integ: 14 },
  { encr: 12, keyBits: 192, integ: 13 },
];

test('PRF_HMAC_SHA2_* are RFC 4231 case 2', () => {
  const key = toUtf8('Jefe');
  const data = toUtf8('what do ya want for nothing?');
  expect(toHex(prf(5, key, data))).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  expect(toHex(prf(6, key, data))).toBe(
    'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
  );
  expect(toHex(prf(7, key, data))).toBe(
    '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554' +
      '9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
  );
});

test('prf+ chains T1, T2, … as RFC 7296 §2.13 says, and cuts the last', () => {
  const [key, seed] = [toUtf8('key'), toUtf8('seed')];
  const hmac = (...parts: Uint8Array[]): Uint8Array =>
    new Uint8Array(
      createHmac('sha256', key)
        .update(concatOctets(...parts))
        .digest(),
    );
  const t1 = hmac(seed, Uint8Array.of(1));
  const t2 = hmac(t1, seed, Uint8Array.of(2));
  const t3 = hmac(t2, seed, Uint8Array.of(3));
  expect(toHex(prfPlus(5, key, seed, 70))).toBe(toHex(concatOctets(t1, t2, t3).subarray(0, 70)));
  expect(() => prfPlus(5, key, seed, 255 * 32 + 1)).toThrow(RangeError);
});

test('AES-GCM opens test case 16 of the GCM specification', () => {
  const key = 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308';
  const opener = new Opener(gcm256, aead(`${key}cafebabe`));
  const aad = fromHex('feedfacedeadbeeffeedfacedeadbeefabaddad2');
  const body = fromHex(
    'facedbaddecaf888' +
      '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662' +
      '76fc6ece0f4e1768cddf8853bb2d551b',
  );
  // Its last octet, 0x39, reads as the length of the padding: 60 - 1 - 57 octets remain.
  expect(opened(opener, aad, body)).toBe('d931');
});

test('ChaCha20-Poly1305 opens the example of RFC 8439 §2.8.2', () => {
  const key = '808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f';
  const opener = new Opener(chacha, aead(`${key}07000000`));
  const body = fromHex(
    '4041424344454647' +
      'd31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b' +
      '1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc' +
      '3ff4def08e4b7a9de576d26586cec64b6116' +
      '1ae10b594f09e26a7e902ecbd0600691',
  );
  // The last octet of the text, a full stop, reads as 46 octets of padding.
  const text = opened(opener, fromHex('50515253c0c1c2c3c4c5c6c7'), body);
  expect(text).toBe(toHex(toUtf8(`Ladies and Gentlemen of the class of '99: If I could offer you only`)));
});

test('AES-CBC is encrypted first, and the HMAC covers header, IV and ciphertext (RFC 7296 §3.14)', () => {
  const cipher: IkeCipher = { encr: 12, keyBits: 256, integ: 12 };
  const random = seeded(4);
  const keys = { encryption: random.octets(32), integrity: random.octets(32) };
  const header = random.octets(32);
  const body = new Sealer(cipher, keys, seeded(1)).seal(header, toUtf8('hello'));
  const iv = body.subarray(0, 16);
  const c = createCipheriv('aes-256-cbc', keys.encryption, iv).setAutoPadding(false);
  const padded = concatOctets(toUtf8('hello'), new Uint8Array(10), Uint8Array.of(10));
  const ciphertext = new Uint8Array(c.update(padded));
  const mac = createHmac('sha256', keys.integrity).update(header).update(iv).update(ciphertext).digest();
  expect(toHex(body)).toBe(toHex(concatOctets(iv, ciphertext, new Uint8Array(mac.subarray(0, 16)))));
});

test.each(ciphers)(
  '%o: what is sealed opens, of every length, and takes the octets that were foretold',
  (cipher) => {
    const [sealer, opener] = pair(cipher);
    const header = seeded(2).octets(32);
    for (let length = 0; length < 70; length++) {
      const plaintext = seeded(length).octets(length);
      const body = sealer.seal(header, plaintext);
      expect(body.length).toBe(length + sealer.overhead(length));
      expect(opened(opener, header, body)).toBe(toHex(plaintext));
      const fit = sealer.capacity(body.length);
      expect(fit + sealer.overhead(fit)).toBeLessThanOrEqual(body.length);
      expect(fit).toBeGreaterThanOrEqual(length);
    }
  },
);

test.each(ciphers)('%o: one changed bit anywhere, or an octet less, and it does not open', (cipher) => {
  const [sealer, opener] = pair(cipher);
  const header = seeded(2).octets(32);
  const body = sealer.seal(header, toUtf8('attack at dawn'));
  for (let bit = 0; bit < body.length * 8; bit++) {
    const altered = body.with(bit >> 3, (body[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    expect(opener.open(header, altered)).toBeUndefined();
  }
  for (let length = 0; length < body.length; length++) {
    expect(opener.open(header, body.subarray(0, length))).toBeUndefined();
  }
  expect(opener.open(header.with(3, (header[3] ?? 0) ^ 1), body)).toBeUndefined();
});

test('the IV of an AEAD counts from a random start and wraps (RFC 5282 §3.1); that of CBC is random', () => {
  const nearTheEnd = { octets: (count: number): Uint8Array => new Uint8Array(count).fill(0xff) };
  const sealer = new Sealer(
    gcm256,
    { encryption: new Uint8Array(36), integrity: new Uint8Array(0) },
    nearTheEnd,
  );
  const ivs = [1, 2, 3].map(() => toHex(sealer.seal(new Uint8Array(32), new Uint8Array(4)).subarray(0, 8)));
  expect(ivs).toEqual(['ffffffffffffffff', '0000000000000000', '0000000000000001']);
  const [cbc] = pair({ encr: 12, keyBits: 128, integ: 12 });
  const first = toHex(cbc.seal(new Uint8Array(32), new Uint8Array(4)));
  expect(toHex(cbc.seal(new Uint8Array(32), new Uint8Array(4)))).not.toBe(first);
});

test('a cipher without authentication, or with two, is none of ours', () => {
  expect(cipherKeyOctets({ encr: 12, keyBits: 256 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 12, keyBits: 256, integ: 0 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 20, keyBits: 256, integ: 12 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 11, keyBits: 0 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 11, keyBits: 0, integ: 12 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 20, keyBits: 64 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 28, keyBits: 128 })).toBeUndefined();
  expect(cipherKeyOctets({ encr: 20, keyBits: 256 })).toEqual({ encryption: 36, integrity: 0 });
  expect(cipherKeyOctets({ encr: 12, keyBits: 128, integ: 14 })).toEqual({ encryption: 16, integrity: 64 });
});

function aead(hex: string): { encryption: Uint8Array; integrity: Uint8Array } {
  return { encryption: fromHex(hex), integrity: new Uint8Array(0) };
}

function pair(cipher: IkeCipher): [Sealer, Opener] {
  const octets = cipherKeyOctets(cipher);
  if (!octets) throw new Error('no such cipher');
  const random = seeded(cipher.encr + cipher.keyBits);
  const keys = { encryption: random.octets(octets.encryption), integrity: random.octets(octets.integrity) };
  return [new Sealer(cipher, keys, seeded(11)), new Opener(cipher, keys)];
}

function opened(opener: Opener, header: Uint8Array, body: Uint8Array): string {
  const plaintext = opener.open(header, body);
  if (!plaintext) throw new Error('did not open');
  return toHex(plaintext);
}
