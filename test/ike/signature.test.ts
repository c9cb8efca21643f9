import { ed25519 } from '@noble/curves/ed25519.js';
import { ed448 } from '@noble/curves/ed448.js';
import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  privateEncrypt,
  sign,
  type KeyObject,
} from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { PublicKey } from '../../src/net/public-key.ts';
import { concatOctets, fromHex, toHex, toUtf8 } from '../../src/wire/octets.ts';
import { decodeAlgorithm, encodeAlgorithm } from '../../src/ike/crypto/algorithm-identifier.ts';
import {
  announcedHashes,
  decodeHashes,
  encodeHashes,
  importPublicKey,
  signAuth,
  verifyAuth,
  type AuthValue,
  type VerifiableKey,
} from '../../src/ike/crypto/signature.ts';
import { publicKeyOf } from './recordings.ts';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const rsaOther = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
const edwards25519 = generateKeyPairSync('ed25519').privateKey;
const edwards448 = generateKeyPairSync('ed448').privateKey;

const signed = toUtf8('message, nonce and ID of one side');

describe.each([
  ['RSA', rsa, announcedHashes, 14, 'RSASSA-PSS with SHA2-512'],
  ['RSA', rsa, [2], 14, 'RSASSA-PSS with SHA2-256'],
  ['RSA', rsa, [2, 3], 14, 'RSASSA-PSS with SHA2-384'],
  ['RSA', rsa, undefined, 1, 'RSASSA-PKCS1-v1_5 with SHA1 (method 1)'],
  ['RSA', rsa, [1], 1, 'RSASSA-PKCS1-v1_5 with SHA1 (method 1)'],
  ['P-256', p256, announcedHashes, 14, 'ECDSA with SHA2-256'],
  ['P-256', p256, [4], 14, 'ECDSA with SHA2-512'],
  ['P-256', p256, undefined, 9, 'ECDSA with SHA2-256 (method 9)'],
  ['P-384', p384, announcedHashes, 14, 'ECDSA with SHA2-384'],
  ['P-384', p384, undefined, 10, 'ECDSA with SHA2-384 (method 10)'],
  ['P-521', p521, announcedHashes, 14, 'ECDSA with SHA2-512'],
  ['P-521', p521, undefined, 11, 'ECDSA with SHA2-512 (method 11)'],
  ['Ed25519', edwards25519, announcedHashes, 14, 'Ed25519'],
  ['Ed448', edwards448, announcedHashes, 14, 'Ed448'],
] as const)('%s, the peer announcing %#', (_, key, hashes, method, scheme) => {
  test(`signs with method ${method}, ${scheme}; another message or a changed bit does not verify`, () => {
    const auth = signAuth(key, { hashes }, signed);
    if (!auth) throw new Error('not signed');
    expect(auth.method).toBe(method);
    const verifiable = keyOf(key);
    expect(verifyAuth(verifiable, auth, signed)).toEqual({ ok: true, scheme, weak: method === 1 });
    expect(verifyAuth(verifiable, auth, concatOctets(signed, Uint8Array.of(0)))).toMatchObject({ ok: false });
    const last = auth.data.length - 1;
    const altered = { method, data: auth.data.with(last, (auth.data[last] ?? 0) ^ 1) };
    expect(verifyAuth(verifiable, altered, signed)).toMatchObject({ ok: false });
    const cut = { method, data: auth.data.subarray(0, last) };
    expect(verifyAuth(verifiable, cut, signed)).toMatchObject({ ok: false });
  });

  test('another key does not verify it, of the same kind or not', () => {
    const auth = signAuth(key, { hashes }, signed);
    if (!auth) throw new Error('not signed');
    for (const other of [rsa, rsaOther, p256, p384, p521, edwards25519, edwards448]) {
      if (other !== key) expect(verifyAuth(keyOf(other), auth, signed)).toMatchObject({ ok: false });
    }
  });
});

test('Ed25519 signs only for a peer that announces the identity hash (RFC 8420 §2)', () => {
  expect(signAuth(edwards25519, { hashes: [2, 3, 4] }, signed)).toBeUndefined();
  expect(signAuth(edwards25519, { hashes: undefined }, signed)).toBeUndefined();
});

test('Ed25519 signs as RFC 8032 §7.1 test 2', () => {
  const seed = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb';
  const key = createPrivateKey({
    key: Buffer.from(`302e020100300506032b657004220420${seed}`, 'hex'),
    format: 'der',
    type: 'pkcs8',
  });
  const auth = signAuth(key, { hashes: announcedHashes }, Uint8Array.of(0x72));
  expect(toHex(auth?.data ?? new Uint8Array(0))).toBe(
    '07300506032b6570' +
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
});

test('PKCS#1 v1.5 with SHA-2 verifies, as strongSwan sends it; with SHA-1 it does not (RFC 8247 §3.2)', () => {
  const identifier = (hash: string): Uint8Array => fromHex(`300d06092a864886f70d0101${hash}0500`);
  const auth = (digest: string, hash: string): AuthValue =>
    digital(identifier(hash), sign(digest, signed, rsa));
  expect(verifyAuth(keyOf(rsa), auth('sha256', '0b'), signed)).toMatchObject({ ok: true, weak: false });
  expect(verifyAuth(keyOf(rsa), auth('sha1', '05'), signed)).toMatchObject({ ok: false });
});

test('method 1 with SHA-256 is not weak', () => {
  const data = new Uint8Array(sign('sha256', signed, rsa));
  expect(verifyAuth(keyOf(rsa), { method: 1, data }, signed)).toMatchObject({ ok: true, weak: false });
});

test('AlgorithmIdentifiers are those of RFC 7427 appendix A and RFC 8420 appendix A', () => {
  const hex = (a: Parameters<typeof encodeAlgorithm>[0]): string => toHex(encodeAlgorithm(a));
  expect(hex({ kind: 'pkcs1', hash: 2 })).toBe('300d06092a864886f70d01010b0500');
  expect(hex({ kind: 'ecdsa', hash: 2 })).toBe('300a06082a8648ce3d040302');
  expect(hex({ kind: 'eddsa', curve: 'Ed25519' })).toBe('300506032b6570');
  expect(hex({ kind: 'eddsa', curve: 'Ed448' })).toBe('300506032b6571');
  // As libreswan sent it (test/fixtures/ike/rsa.json).
  const pss512 =
    '304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140';
  expect(hex({ kind: 'pss', hash: 4, saltOctets: 64 })).toBe(pss512);
  for (const kind of ['pkcs1', 'ecdsa'] as const) {
    for (const hash of [2, 3, 4]) {
      expect(decodeAlgorithm(encodeAlgorithm({ kind, hash }))).toEqual({ kind, hash });
    }
  }
  for (const [hash, saltOctets] of [
    [2, 32],
    [3, 48],
    [4, 64],
    [2, 20],
  ] as const) {
    expect(decodeAlgorithm(encodeAlgorithm({ kind: 'pss', hash, saltOctets }))).toEqual({
      kind: 'pss',
      hash,
      saltOctets,
    });
  }
});

test('parameters NULL or absent are alike (RFC 4055 §2.1); PSS of mixed hashes or SHA-1 is refused', () => {
  expect(decodeAlgorithm(fromHex('300b06092a864886f70d01010b'))).toEqual({ kind: 'pkcs1', hash: 2 });
  const pss = (hash: string, mask: string): Uint8Array =>
    fromHex(
      `303d06092a864886f70d01010a3030a00d300b0609608648016503040${hash}a11a301806092a864886f70d010108300b0609608648016503040${mask}a203020120`,
    );
  expect(decodeAlgorithm(pss('201', '201'))).toEqual({ kind: 'pss', hash: 2, saltOctets: 32 });
  expect(decodeAlgorithm(pss('201', '202'))).toBeUndefined();
  expect(decodeAlgorithm(fromHex('300d06092a864886f70d01010a3000'))).toBeUndefined(); // defaults: SHA-1
});

test('no truncated or altered AlgorithmIdentifier throws', () => {
  const pss = encodeAlgorithm({ kind: 'pss', hash: 4, saltOctets: 64 });
  for (let length = 0; length < pss.length; length++) {
    expect(decodeAlgorithm(pss.subarray(0, length))).toBeUndefined();
  }
  for (let bit = 0; bit < pss.length * 8; bit++) {
    const altered = pss.with(bit >> 3, (pss[bit >> 3] ?? 0) ^ (1 << (bit & 7)));
    const auth = digital(altered, new Uint8Array(256).fill(1));
    expect(verifyAuth(keyOf(rsa), auth, signed)).toMatchObject({ ok: false });
  }
});

test('an AUTH of odd shape is refused: empty, only a length, no signature, an unknown method', () => {
  for (const data of ['', '00', '05', '0f300d06092a864886f70d01010b0500', 'ff00']) {
    expect(verifyAuth(keyOf(rsa), { method: 14, data: fromHex(data) }, signed)).toMatchObject({ ok: false });
  }
  for (const method of [0, 2, 3, 12, 13, 15, 255]) {
    expect(verifyAuth(keyOf(rsa), { method, data: new Uint8Array(256) }, signed)).toMatchObject({
      ok: false,
    });
  }
  for (const method of [1, 9, 10, 11]) {
    expect(verifyAuth(keyOf(p256), { method, data: new Uint8Array(0) }, signed)).toMatchObject({ ok: false });
    expect(verifyAuth(keyOf(p256), { method, data: new Uint8Array(64) }, signed)).toMatchObject({
      ok: false,
    });
  }
});

test('the list of hashes survives the wire, unknown numbers too', () => {
  expect(toHex(encodeHashes([2, 3, 4, 5]))).toBe('0002000300040005');
  expect(decodeHashes(fromHex('0002ffff'))).toEqual([2, 0xffff]);
  expect(decodeHashes(fromHex('000203'))).toBeUndefined();
});

// RFC 4754 §8, of the message "abc".
test.each([
  [
    'P-256',
    9,
    '2442A5CC0ECD015FA3CA31DC8E2BBC70BF42D60CBCA20085E0822CB04235E970' +
      '6FC98BD7E50211A4A27102FA3549DF79EBCB4BF246B80945CDDFE7D509BBFD7D',
    'CB28E0999B9C7715FD0A80D8E47A77079716CBBF917DD72E97566EA1C066957C' +
      '86FA3BB4E26CAD5BF90B7F81899256CE7594BB1EA0C89212748BFF3B3D5B0315',
  ],
  [
    'P-384',
    10,
    '96281BF8DD5E0525CA049C048D345D3082968D10FEDF5C5ACA0C64E6465A97EA5CE10C9DFEC21797415710721F437922' +
      '447688BA94708EB6E2E4D59F6AB6D7EDFF9301D249FE49C33096655F5D502FAD3D383B91C5E7EDAA2B714CC99D5743CA',
    'FB017B914E29149432D8BAC29A514640B46F53DDAB2C69948084E2930F1C8F7E08E07C9C63F2D21A07DCB56A6AF56EB3' +
      'B263A1305E057F984D38726A1B46874109F417BCA112674C528262A40A629AF1CBB9F516CE0FA7D2FF630863A00E8B9F',
  ],
  [
    'P-521',
    11,
    '0151518F1AF0F563517EDD5485190DF95A4BF57B5CBA4CF2A9A3F6474725A35F7AFE0A6DDEB8BEDBCD6A197E592D40188901CECD650699C9B5E456AEA5ADD19052A8' +
      '006F3B142EA1BFFF7E2837AD44C9E4FF6D2D34C73184BBAD90026DD5E6E85317D9DF45CAD7803C6C20035B2F3FF63AFF4E1BA64D1C077577DA3F4286C58F0AEAE643',
    '0154FD3836AF92D0DCA57DD5341D3053988534FDE8318FC6AAAAB68E2E6F4339B19F2F281A7E0B22C269D93CF8794A9278880ED7DBB8D9362CAEACEE544320552251' +
      '017705A7030290D1CEB605A9A1BB03FF9CDD521E87A696EC926C8C10C8362DF4975367101F67D1CF9BCCBF2F3D239534FA509E70AAC851AE01AAC68D62F866472660',
  ],
] as const)(
  'the signature of RFC 4754 §8 with %s verifies as method %i, and as no other',
  (curve, method, point, rs) => {
    const imported = importPublicKey(ecKey(curve, fromHex(point)));
    if (!imported.ok) throw new Error(imported.why);
    const verdicts = [9, 10, 11].map(
      (m) => verifyAuth(imported.key, { method: m, data: fromHex(rs) }, toUtf8('abc')).ok,
    );
    expect(verdicts).toEqual([9, 10, 11].map((m) => m === method));
  },
);

test('Ed25519 and Ed448 verify as RFC 8032 §7.1 and §7.4 have them, under the identifiers of RFC 8420', () => {
  const vectors = [
    [
      'Ed25519',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
      '72',
      '300506032b6570',
    ],
    [
      'Ed448',
      '43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480',
      '26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00',
      '03',
      '300506032b6571',
    ],
  ] as const;
  for (const [curve, point, signature, message, identifier] of vectors) {
    const imported = importPublicKey(edKey(curve, fromHex(point)));
    if (!imported.ok) throw new Error(imported.why);
    const auth = digital(fromHex(identifier), fromHex(signature));
    expect(verifyAuth(imported.key, auth, fromHex(message))).toEqual({
      ok: true,
      scheme: curve,
      weak: false,
    });
  }
});

test('RSASSA-PSS verifies with any salt that its identifier tells, and with no other', () => {
  for (const saltLength of [0, 20, 32, 64, 190]) {
    const options = { key: rsa, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength };
    const signature = new Uint8Array(sign('sha256', signed, options));
    const auth = (salt: number): AuthValue =>
      digital(encodeAlgorithm({ kind: 'pss', hash: 2, saltOctets: salt }), signature);
    expect(verifyAuth(keyOf(rsa), auth(saltLength), signed)).toMatchObject({ ok: true });
    expect(verifyAuth(keyOf(rsa), auth(saltLength + 1), signed)).toMatchObject({ ok: false });
    expect(verifyAuth(keyOf(rsa), auth(127), signed)).toMatchObject({ ok: false });
  }
});

describe('THREATS A.14: what signs with less than it could', () => {
  test('SHA-1 of a peer that announces hashes itself does not count', () => {
    const auth = signAuth(rsa, { hashes: undefined }, signed);
    if (!auth) throw new Error('not signed');
    expect(verifyAuth(keyOf(rsa), auth, signed, { announces: false })).toMatchObject({
      ok: true,
      weak: true,
    });
    expect(verifyAuth(keyOf(rsa), auth, signed, { announces: true })).toMatchObject({ ok: false });
    const better = { method: 1, data: new Uint8Array(sign('sha256', signed, rsa)) };
    expect(verifyAuth(keyOf(rsa), better, signed, { announces: true })).toMatchObject({ ok: true });
  });

  test('what a peer does not announce is never signed with', () => {
    for (const hashes of [[2], [3], [4], [2, 4]]) {
      for (const key of [rsa, p256, p384, p521]) {
        const auth = signAuth(key, { hashes }, signed);
        const algorithm = auth && decodeAlgorithm(auth.data.subarray(1, 1 + (auth.data[0] ?? 0)));
        expect(algorithm && algorithm.kind !== 'eddsa' && hashes.includes(algorithm.hash)).toBe(true);
      }
    }
  });
});

describe('a forged signature does not verify', () => {
  const digestInfo = fromHex('3031300d060960864801650304020105000420');
  const hash = new Uint8Array(createHash('sha256').update(signed).digest());
  const filled = (count: number): Uint8Array => new Uint8Array(count).fill(0xff);
  const block = (...parts: Uint8Array[]): Uint8Array => {
    const rest = concatOctets(...parts);
    return concatOctets(fromHex('0001'), filled(256 - 3 - rest.length), fromHex('00'), rest);
  };
  /** Made with the private key: what would come through if anything but the one right padding did. */
  const raw = (octets: Uint8Array): Uint8Array =>
    new Uint8Array(privateEncrypt({ key: rsa, padding: constants.RSA_NO_PADDING }, octets));
  const pkcs1 = fromHex('300d06092a864886f70d01010b0500');

  test.each<[string, Uint8Array, boolean]>([
    ['the right one', block(digestInfo, hash), true],
    [
      'a hash cut short (CVE-2026-50721)',
      block(fromHex('3012300d0609608648016503040201050004 01'.replace(' ', '')), hash.subarray(0, 1)),
      false,
    ],
    ['no hash', block(fromHex('3011300d06096086480165030402010500'), fromHex('0400')), false],
    ['a hash alone', block(hash), false],
    [
      'rubbish after the hash, which is how a cube root passes with e = 3 (CVE-2026-50722)',
      concatOctets(fromHex('0001'), filled(8), fromHex('00'), digestInfo, hash, new Uint8Array(194)),
      false,
    ],
    [
      'little padding',
      concatOctets(fromHex('0001'), filled(7), fromHex('00'), block(digestInfo, hash).subarray(10)),
      false,
    ],
    [
      'rubbish in the parameters of the hash',
      block(
        fromHex('304330'),
        fromHex('1f0609608648016503040201041201020304050607080910111213141516171800'.slice(0, 64)),
        fromHex('0420'),
        hash,
      ),
      false,
    ],
    ['padding of another octet', block(digestInfo, hash).fill(0xfe, 2, 100), false],
    ['block type 2', block(digestInfo, hash).with(1, 2), false],
    [
      'SHA-1 under the name of SHA-256',
      block(fromHex('3021300906052b0e03021a05000414'), hash.subarray(0, 20)),
      false,
    ],
  ])('PKCS#1 v1.5: %s', (_, octets, ok) => {
    const signature = raw(octets);
    for (const auth of [digital(pkcs1, signature), { method: 1, data: signature }]) {
      expect(verifyAuth(keyOf(rsa), auth, signed).ok).toBe(ok);
    }
  });

  test('RSA: 0, 1, the modulus less 1, and lengths that are not those of the modulus', () => {
    const { modulus } = publicOf(rsa) as Extract<PublicKey, { kind: 'rsa' }>;
    const one = new Uint8Array(256).with(255, 1);
    const values = [
      new Uint8Array(256),
      one,
      modulus,
      modulus.with(255, (modulus[255] ?? 0) ^ 1),
      new Uint8Array(0),
      one.subarray(1),
      new Uint8Array(257),
    ];
    for (const value of values) {
      for (const identifier of [pkcs1, encodeAlgorithm({ kind: 'pss', hash: 4, saltOctets: 64 })]) {
        expect(verifyAuth(keyOf(rsa), digital(identifier, value), signed)).toMatchObject({ ok: false });
      }
      expect(verifyAuth(keyOf(rsa), { method: 1, data: value }, signed)).toMatchObject({ ok: false });
    }
  });

  test('ECDSA: no octets, r and s of 0, one of them, the order, more than the field, other forms', () => {
    const ecdsa = fromHex('300a06082a8648ce3d040302');
    const order = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';
    const good = new Uint8Array(sign('sha256', signed, { key: p256, dsaEncoding: 'der' }));
    const fixed = new Uint8Array(sign('sha256', signed, { key: p256, dsaEncoding: 'ieee-p1363' }));
    const der = [
      '',
      '3000',
      '3006020100020100',
      '3006020101020100',
      '3006020100020101',
      '3006020101020101',
      `302702 2100${order}020101`.replace(' ', ''),
      '300602017f0201ff',
    ];
    for (const text of der) {
      expect(verifyAuth(keyOf(p256), digital(ecdsa, fromHex(text)), signed)).toMatchObject({ ok: false });
    }
    const rs = [
      '',
      '00'.repeat(64),
      `${'00'.repeat(31)}01${'00'.repeat(32)}`,
      `${'00'.repeat(63)}01`,
      `${'00'.repeat(31)}01`.repeat(2),
      order.repeat(2),
      'ff'.repeat(64),
    ];
    for (const text of rs) {
      expect(verifyAuth(keyOf(p256), { method: 9, data: fromHex(text) }, signed)).toMatchObject({
        ok: false,
      });
    }
    // Each form under the method that has the other (RFC 4754 §7, RFC 7427 §3).
    expect(verifyAuth(keyOf(p256), digital(ecdsa, good), signed)).toMatchObject({ ok: true });
    expect(verifyAuth(keyOf(p256), digital(ecdsa, fixed), signed)).toMatchObject({ ok: false });
    expect(verifyAuth(keyOf(p256), { method: 9, data: fixed }, signed)).toMatchObject({ ok: true });
    expect(verifyAuth(keyOf(p256), { method: 9, data: good }, signed)).toMatchObject({ ok: false });
    expect(
      verifyAuth(keyOf(p256), { method: 9, data: concatOctets(fixed, fromHex('00')) }, signed),
    ).toMatchObject({ ok: false });
  });

  test('EdDSA: zeros, an s that is not reduced (RFC 8032 §5.1.7), a name of the other curve', () => {
    const identifier = fromHex('300506032b6570');
    const good = new Uint8Array(sign(null, signed, edwards25519));
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const s = BigInt(`0x${toHex(good.subarray(32).toReversed())}`) + order;
    const large = concatOctets(good.subarray(0, 32), fromHex(s.toString(16).padStart(64, '0')).toReversed());
    for (const signature of [new Uint8Array(64), large, good.subarray(0, 63)]) {
      expect(verifyAuth(keyOf(edwards25519), digital(identifier, signature), signed)).toMatchObject({
        ok: false,
      });
    }
    expect(verifyAuth(keyOf(edwards25519), digital(fromHex('300506032b6571'), good), signed)).toMatchObject({
      ok: false,
    });
    expect(verifyAuth(keyOf(edwards25519), digital(identifier, good), signed)).toMatchObject({ ok: true });
  });
});

describe('a public key is refused', () => {
  const { modulus, exponent } = publicOf(rsa) as Extract<PublicKey, { kind: 'rsa' }>;
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const last = modulus.length - 1;
  test.each([
    ['RSA of 1024 bits', publicOf(weak), 'the modulus has 1024 bits, fewer than 2048'],
    [
      'RSA of 512 bits',
      rsaKey(modulus.subarray(0, 64), exponent),
      'the modulus has 512 bits, fewer than 2048',
    ],
    [
      'RSA of 16384 bits',
      rsaKey(new Uint8Array(2048).fill(0xff), exponent),
      'the modulus has 16384 bits, more than 8192',
    ],
    ['RSA with an even modulus', rsaKey(modulus.with(last, 2), exponent), 'the modulus is even'],
    ['RSA with e = 1', rsaKey(modulus, Uint8Array.of(1)), 'the exponent is smaller than 65537'],
    ['RSA with e = 3', rsaKey(modulus, Uint8Array.of(3)), 'the exponent is smaller than 65537'],
    ['RSA with an even e', rsaKey(modulus, Uint8Array.of(1, 0, 0)), 'the exponent is even'],
    ['RSA with no e', rsaKey(modulus, new Uint8Array(0)), 'the exponent is smaller than 65537'],
    ['RSA with a long e', rsaKey(modulus, modulus), 'the exponent has 2048 bits, more than 64'],
    ['RSA of nothing', rsaKey(new Uint8Array(0), exponent), 'the modulus has 0 bits, fewer than 2048'],
    ['a point not on its curve', ecKey('P-256', new Uint8Array(64).fill(1)), 'the point is not on its curve'],
    ['the point 0, 0', ecKey('P-256', new Uint8Array(64)), 'the point is not on its curve'],
    [
      'a point beyond the field',
      ecKey('P-384', new Uint8Array(96).fill(0xff)),
      'the point is not on its curve',
    ],
    ['a short point', ecKey('P-521', new Uint8Array(131)), 'the point has 131 octets, not 132'],
    ['a short Ed25519 key', edKey('Ed25519', new Uint8Array(31)), 'the key has 31 octets, not 32'],
    [
      'an Ed25519 key beyond the field',
      edKey('Ed25519', new Uint8Array(32).fill(0xff)),
      'the point is not in its one encoding',
    ],
  ])('THREATS A.11: %s', (_, key, why) => {
    expect(importPublicKey(key)).toEqual({ ok: false, why });
  });

  test('THREATS A.11: all Edwards points of small order', () => {
    // Multiples of a point of full order by the order of the prime subgroup.
    for (const [curve, lib] of [
      ['Ed25519', ed25519],
      ['Ed448', ed448],
    ] as const) {
      const { Fp, Fn } = lib.Point;
      const seen = new Set<string>();
      for (let y = 2n; seen.size < (curve === 'Ed25519' ? 8 : 4) && y < 400n; y++) {
        const octets = Fp.toBytes(Fp.create(y));
        const encoded = curve === 'Ed448' ? Uint8Array.from([...octets, 0]).subarray(0, 57) : octets;
        let point;
        try {
          point = lib.Point.fromBytes(encoded);
        } catch {
          continue;
        }
        const torsion = point.multiplyUnsafe(Fn.ORDER - 1n).add(point);
        seen.add(toHex(torsion.toBytes()));
        seen.add(toHex(torsion.negate().toBytes()));
      }
      expect(seen.size).toBe(curve === 'Ed25519' ? 8 : 4);
      for (const hex of seen) {
        expect(importPublicKey(edKey(curve, fromHex(hex)))).toEqual({
          ok: false,
          why: 'the point is of small order',
        });
      }
    }
  });

  test('half of all y are on no Edwards point, as another implementation says too', () => {
    for (const [curve, lib, octets] of [
      ['Ed25519', ed25519, 32],
      ['Ed448', ed448, 57],
    ] as const) {
      for (let y = 2; y < 60; y++) {
        const encoded = new Uint8Array(octets).with(0, y);
        let onCurve = true;
        try {
          lib.Point.fromBytes(encoded);
        } catch {
          onCurve = false;
        }
        expect(importPublicKey(edKey(curve, encoded)).ok).toBe(onCurve);
      }
    }
  });
});

function digital(identifier: Uint8Array, signature: Uint8Array): AuthValue {
  const data = concatOctets(Uint8Array.of(identifier.length), identifier, signature);
  return { method: 14, data };
}

function publicOf(key: KeyObject): PublicKey {
  return publicKeyOf(createPublicKey(key).export({ type: 'spki', format: 'pem' }));
}

function keyOf(key: KeyObject): VerifiableKey {
  const imported = importPublicKey(publicOf(key));
  if (!imported.ok) throw new Error(imported.why);
  return imported.key;
}

function rsaKey(modulus: Uint8Array, exponent: Uint8Array): PublicKey {
  return { kind: 'rsa', modulus, exponent };
}

function ecKey(curve: 'P-256' | 'P-384' | 'P-521', point: Uint8Array): PublicKey {
  return { kind: 'ecdsa', curve, point };
}

function edKey(curve: 'Ed25519' | 'Ed448', point: Uint8Array): PublicKey {
  return { kind: 'eddsa', curve, point };
}
