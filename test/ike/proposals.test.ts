import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/wire/octets.ts';
import type { EspSuite } from '../../src/ike/child.ts';
import { CookieJar } from '../../src/ike/cookies.ts';
import { ikeSpi, ikeSpiOctets } from '../../src/ike/message.ts';
import {
  acceptEsp,
  acceptIke,
  chooseEsp,
  chooseIke,
  describeEspSuite,
  describeIkeSuite,
  espProposals,
  ikeProposals,
} from '../../src/ike/proposals.ts';
import type { Proposal, SaPayload, Transform } from '../../src/ike/sa-payload.ts';
import { parseAddress } from '../../src/net/address.ts';
import { instant } from '../../src/time.ts';
import { contextOf, recording } from './recordings.ts';
import { seeded } from './random.ts';

const gcm256: EspSuite = { encr: 20, keyBits: 256 };
const gcm128: EspSuite = { encr: 20, keyBits: 128 };
const chacha: EspSuite = { encr: 28, keyBits: 256 };
const cbc256: EspSuite = { encr: 12, keyBits: 256, integ: 12 };
const all = [gcm256, gcm128, chacha, cbc256];

describe('IKE', () => {
  test('the first proposal has one group: libreswan would else choose P-256 and cost a round trip', () => {
    const [first, second] = ikeProposals();
    expect(idsOf(first, 4)).toEqual([31]);
    expect(idsOf(second, 4)).toEqual([31, 19, 20, 21, 14, 15, 16]);
    expect(idsOf(ikeProposals({ group: 19 })[0], 4)).toEqual([19]);
    expect(idsOf(ikeProposals({ group: 19 })[1], 4)[0]).toBe(19);
  });

  test('no proposal mixes AEADs with ciphers that need a checksum (RFC 7296 §3.3)', () => {
    const [, aead, cbc] = ikeProposals();
    expect(idsOf(aead, 1)).toEqual([20, 20, 28]);
    expect(idsOf(aead, 3)).toEqual([]);
    expect(new Set(idsOf(cbc, 1))).toEqual(new Set([12]));
    expect(idsOf(cbc, 3)).toEqual([12, 14, 13]);
  });

  test('two of us agree on AES-GCM-16-256 and Curve25519, and read the same from the answer', () => {
    const offer = ikeProposals();
    const choice = chooseIke(sa(offer), { keGroup: 31 });
    expect(choice && describeIkeSuite(choice.suite)).toBe('AES-GCM-16-256, PRF-HMAC-SHA2-512, CURVE25519');
    expect(choice && acceptIke(offer, choice.answer)?.suite).toEqual(choice?.suite);
  });

  test('the group of the KE payload wins; without a common one we name ours', () => {
    expect(chooseIke(sa(ikeProposals()), { keGroup: 14 })?.suite.group).toBe(14);
    expect(chooseIke(sa(ikeProposals()), { keGroup: 18 })?.suite.group).toBe(31);
    const { initI } = contextOf(recording('rsa'));
    const offered = initI.payloads.find((p) => p.kind === 'SA');
    expect(offered && chooseIke(offered, { keGroup: 19 })?.suite.group).toBe(19);
    expect(offered && chooseIke(offered, { keGroup: 21 })?.suite.group).toBe(21);
    expect(offered && chooseIke(offered)?.suite.group).toBe(31);
  });

  test('AES-CBC of an old peer is chosen with its checksum', () => {
    const offered = sa([proposal([ENCR(12, 256), PRF(5), INTEG(2), INTEG(12), KE(14)])]);
    const choice = chooseIke(offered, { keGroup: 14 });
    expect(choice?.suite).toEqual({
      cipher: { encr: 12, keyBits: 256, integ: 12 },
      prf: 5,
      group: 14,
      additional: [],
    });
    expect(choice?.answer.proposals[0]?.transforms).toEqual([ENCR(12, 256), INTEG(12), PRF(5), KE(14)]);
  });

  test.each([
    ['ENCR_NULL', [ENCR(11), PRF(5), INTEG(12), KE(14)]],
    ['AES-CBC without a checksum', [ENCR(12, 256), PRF(5), KE(14)]],
    ['AES-CBC with the checksum NONE', [ENCR(12, 256), PRF(5), INTEG(0), KE(14)]],
    ['AES-GCM with a checksum', [ENCR(20, 256), PRF(5), INTEG(12), KE(14)]],
    ['AES-GCM without a length of the key', [ENCR(20), PRF(5), KE(14)]],
    ['no key exchange', [ENCR(20, 256), PRF(5)]],
    ['the key exchange NONE', [ENCR(20, 256), PRF(5), KE(0)]],
    ['MODP-1024', [ENCR(20, 256), PRF(5), KE(2)]],
    ['no PRF', [ENCR(20, 256), KE(14)]],
    ['PRF HMAC-SHA-1', [ENCR(20, 256), PRF(2), KE(14)]],
    ['a type of transform that nobody knows (§3.3.6)', [ENCR(20, 256), PRF(5), KE(14), { type: 77, id: 1 }]],
    [
      'an attribute that nobody knows (§3.3.6)',
      [
        { ...ENCR(20, 256), unknownAttributes: [{ type: 99, value: fromHex('0001'), short: true }] },
        PRF(5),
        KE(14),
      ],
    ],
  ])('%s is not chosen', (_, transforms) => {
    expect(chooseIke(sa([proposal(transforms)]), { keGroup: 14 })).toBeUndefined();
  });

  test('a rekey carries SPIs both ways; an initial exchange has none', () => {
    const offer = ikeProposals({ spi: ikeSpi(5n) });
    expect(chooseIke(sa(offer))).toBeUndefined();
    const choice = chooseIke(sa(offer), { spi: ikeSpi(6n) });
    expect(choice?.peerSpi).toBe(5n);
    expect(choice?.answer.proposals[0]?.spi).toEqual(ikeSpiOctets(ikeSpi(6n)));
    expect(choice && acceptIke(offer, choice.answer)?.peerSpi).toBe(6n);
    expect(chooseIke(sa(ikeProposals()), { spi: ikeSpi(6n) })).toBeUndefined();
  });

  test('an answer outside of the offer is not accepted', () => {
    const offer = ikeProposals();
    const answer = (transforms: Transform[], number = 2): SaPayload =>
      sa([{ ...proposal(transforms), number }]);
    expect(acceptIke(offer, answer([ENCR(20, 128), PRF(5), KE(19)]))).toBeDefined();
    expect(acceptIke(offer, answer([ENCR(20, 192), PRF(5), KE(19)]))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(20, 128), PRF(5), KE(19)], 1))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(20, 128), PRF(5), KE(19)], 9))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(20, 128), PRF(5)]))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(20, 128), PRF(5), KE(19), KE(14)]))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(12, 256), PRF(5), KE(19)], 3))).toBeUndefined();
    expect(acceptIke(offer, answer([ENCR(12, 256), PRF(5), INTEG(12), KE(19)], 3))).toBeDefined();
    expect(acceptIke(offer, sa([]))).toBeUndefined();
    const [first, second] = offer;
    expect(first && second && acceptIke(offer, sa([first, second]))).toBeUndefined();
  });
});

describe('ESP', () => {
  test('offers what the kernel has in its order, AEADs apart, ESN first', () => {
    const [aead, cbc, ...rest] = espProposals(all, 0x1234_5678);
    expect(rest).toEqual([]);
    expect(aead).toMatchObject({ number: 1, protocol: 3, spi: fromHex('12345678') });
    expect(aead?.transforms).toEqual([ENCR(20, 256), ENCR(20, 128), ENCR(28), SN(1), SN(0)]);
    expect(cbc?.transforms).toEqual([ENCR(12, 256), INTEG(12), SN(1), SN(0)]);
    expect(espProposals([cbc256], 300)).toMatchObject([{ number: 1 }]);
    expect(espProposals([], 300)).toEqual([]);
  });

  test('the responder chooses in its own order, and both read the same', () => {
    const offer = espProposals(all, 1000);
    for (const [suites, expected] of [
      [all, gcm256],
      [[chacha, gcm256], chacha],
      [[cbc256], cbc256],
    ] as const) {
      const choice = chooseEsp(sa(offer), suites, 2000);
      expect(choice).toMatchObject({ suite: expected, esn: true, peerSpi: 1000, group: undefined });
      expect(choice && acceptEsp(offer, choice.answer)).toMatchObject({
        suite: expected,
        esn: true,
        peerSpi: 2000,
      });
    }
    expect(chooseEsp(sa(offer), [{ encr: 20, keyBits: 192 }], 2000)).toBeUndefined();
  });

  test('without ESN where the peer does not offer it; not at all where it says nothing of it', () => {
    const offered = (transforms: Transform[]): SaPayload =>
      sa([{ ...proposal(transforms), protocol: 3, spi }]);
    expect(chooseEsp(offered([ENCR(20, 256), SN(0)]), all, 2000)?.esn).toBe(false);
    expect(chooseEsp(offered([ENCR(20, 256)]), all, 2000)).toBeUndefined();
  });

  test('a proposal with PFS is chosen only where a key exchange goes with it', () => {
    const offer = espProposals(all, 1000, [31, 19]);
    expect(chooseEsp(sa(offer), all, 2000)).toBeUndefined();
    expect(chooseEsp(sa(offer), all, 2000, { groups: [31, 19], keGroup: 19 })?.group).toBe(19);
    expect(chooseEsp(sa(offer), all, 2000, { groups: [31, 19] })?.group).toBe(31);
    const none = sa([{ ...proposal([ENCR(20, 256), KE(31), KE(0), SN(1)]), protocol: 3, spi }]);
    expect(chooseEsp(none, all, 2000)?.group).toBeUndefined();
  });

  test.each([
    ['ENCR_NULL', [ENCR(11), INTEG(12), SN(0)]],
    ['AES-CBC without a checksum', [ENCR(12, 256), SN(0)]],
    ['AES-GCM with a checksum', [ENCR(20, 256), INTEG(12), SN(0)]],
  ])('%s is not chosen', (_, transforms) => {
    expect(chooseEsp(sa([{ ...proposal(transforms), protocol: 3, spi }]), all, 2000)).toBeUndefined();
  });

  test('an SPI below 256 names no SA (RFC 4303 §2.1)', () => {
    expect(chooseEsp(sa(espProposals(all, 255)), all, 2000)).toBeUndefined();
    const offer = espProposals(all, 1000);
    const choice = chooseEsp(sa(offer), all, 5);
    expect(choice && acceptEsp(offer, choice.answer)).toBeUndefined();
  });

  test('suites have names for people', () => {
    expect(all.map(describeEspSuite)).toEqual([
      'AES-GCM-16-256',
      'AES-GCM-16-128',
      'ChaCha20-Poly1305',
      'AES-CBC-256 with HMAC-SHA2-256-128',
    ]);
  });
});

test('a cookie counts for its address, SPI and nonce, and for one to two minutes (RFC 7296 §2.6)', () => {
  const jar = new CookieJar(seeded(1));
  const at = (text: string): NonNullable<ReturnType<typeof parseAddress>> => {
    const address = parseAddress(text);
    if (!address) throw new Error(text);
    return address;
  };
  const subject = { address: at('192.0.2.1'), spiI: ikeSpi(9n), nonceI: seeded(2).octets(32) };
  const cookie = jar.make(subject, instant(1000));
  expect(jar.check(subject, cookie, instant(2000))).toBe(true);
  expect(jar.check(subject, cookie, instant(62_000))).toBe(true);
  expect(jar.check(subject, cookie, instant(122_000))).toBe(false);
  const fresh = jar.make(subject, instant(122_000));
  expect(jar.check({ ...subject, address: at('192.0.2.2') }, fresh, instant(122_000))).toBe(false);
  expect(jar.check({ ...subject, spiI: ikeSpi(8n) }, fresh, instant(122_000))).toBe(false);
  expect(jar.check({ ...subject, nonceI: seeded(3).octets(32) }, fresh, instant(122_000))).toBe(false);
  expect(jar.check(subject, fresh.with(5, (fresh[5] ?? 0) ^ 1), instant(122_000))).toBe(false);
  expect(jar.check(subject, fresh.subarray(0, 1), instant(122_000))).toBe(false);
  expect(jar.check(subject, new Uint8Array(0), instant(122_000))).toBe(false);
  expect(jar.check(subject, fresh, instant(10_000_000))).toBe(false);
  expect(new CookieJar(seeded(7)).check(subject, fresh, instant(122_000))).toBe(false);
});

// ---- short forms

const spi = fromHex('00001000');

function sa(proposals: readonly Proposal[]): SaPayload {
  return { kind: 'SA', proposals };
}

function proposal(transforms: readonly Transform[]): Proposal {
  return { number: 1, protocol: 1, spi: new Uint8Array(0), transforms };
}

function idsOf(p: Proposal | undefined, type: number): number[] {
  return p?.transforms.filter((t) => t.type === type).map((t) => t.id) ?? [];
}

function ENCR(id: number, keyBits?: number): Transform {
  return { type: 1, id, ...(keyBits !== undefined && { keyBits }) };
}

function PRF(id: number): Transform {
  return { type: 2, id };
}

function INTEG(id: number): Transform {
  return { type: 3, id };
}

function KE(id: number): Transform {
  return { type: 4, id };
}

function SN(id: number): Transform {
  return { type: 5, id };
}
