import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { encoded } from '../../src/wire/writer.ts';
import { decoded } from '../../src/wire/reader.ts';
import {
  decodeHeader,
  decodeMessage,
  encodeMessage,
  formatIkeSpi,
  ikeSpi,
  ikeSpiFrom,
  ikeSpiOctets,
  type MessageHead,
} from '../../src/ike/message.ts';
import { encrName, notifyName, transformName } from '../../src/ike/numbers.ts';
import { decodePayloads, encodePayloads, notify, typeOf, type InnerPayload } from '../../src/ike/payloads.ts';
import { names, recording } from './recordings.ts';
import { seeded } from './random.ts';

const head: MessageHead = {
  spiI: ikeSpi(0x5b25c88034a1fd05n),
  spiR: ikeSpi(0n),
  exchange: 34,
  fromInitiator: true,
  response: false,
  messageId: 7,
};

test('what encodes decodes to the same value', () => {
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), fc.boolean(), fc.boolean(), (payloads, i, r) => {
      const sent = { ...head, fromInitiator: i, response: r };
      const result = decodeMessage(encodeMessage(sent, payloads));
      expect(result.ok && result.value.header).toMatchObject(sent);
      expect(result.ok && result.value.payloads).toEqual(payloads);
    }),
    { numRuns: 300 },
  );
});

test('100,000 truncations and bit flips of recorded octets give a value or a WireError', () => {
  const originals = names.flatMap((name) =>
    recording(name).messages.flatMap((m) => [
      { octets: fromHex(m.hex), first: undefined },
      ...(m.inner
        ? [{ octets: fromHex(m.plaintext ?? ''), first: m.inner[0]?.type === 'IDi' ? 35 : 36 }]
        : []),
    ]),
  );
  const random = seeded(2026);
  let good = 0;
  let bad = 0;
  for (let i = 0; i < 100_000; i++) {
    const original = originals[i % originals.length];
    if (!original || original.octets.length === 0) continue;
    const altered = original.octets.slice(
      0,
      random.below(4) === 0 ? random.below(original.octets.length) : undefined,
    );
    for (let flips = random.below(4); flips > 0 && altered.length > 0; flips--) {
      const at = random.below(altered.length);
      altered[at] = (altered[at] ?? 0) ^ (1 << random.below(8));
    }
    // A wrong length of the whole is found at once: set it right, so that the rest is read as well.
    if (original.first === undefined && altered.length >= 28) {
      new DataView(altered.buffer).setUint32(24, altered.length);
    }
    const { first } = original;
    const result =
      first === undefined ? decodeMessage(altered) : decoded(altered, (r) => decodePayloads(r, first));
    if (result.ok) good++;
    else bad++;
  }
  expect(good).toBeGreaterThan(1000);
  expect(bad).toBeGreaterThan(1000);
});

test('the header check takes whole IKE messages only', () => {
  const octets = encodeMessage(head, [notify(16430)]);
  expect(decodeHeader(octets)).toMatchObject({ ...head, majorVersion: 2, minorVersion: 0, length: 36 });
  expect(decodeHeader(octets.subarray(0, 35))).toBeUndefined();
  expect(decodeHeader(octets.subarray(0, 27))).toBeUndefined();
  expect(decodeHeader(concatOctets(octets, Uint8Array.of(0)))).toBeUndefined();
  const ikev1 = octets.with(17, 0x10);
  expect(decodeHeader(ikev1)).toMatchObject({ majorVersion: 1 });
  expect(decodeMessage(ikev1)).toMatchObject({ ok: false, error: { message: 'IKE version 1 at octet 28' } });
});

test('an unknown payload keeps its type and critical bit (RFC 7296 §2.5)', () => {
  for (const critical of [true, false]) {
    const unknown: InnerPayload = { kind: 'Unknown', type: 200, critical, body: fromHex('c0ffee') };
    const result = decodeMessage(encodeMessage(head, [unknown, notify(1)]));
    expect(result.ok && result.value.payloads[0]).toEqual(unknown);
  }
});

test.each([
  ['a payload shorter than its header', 41, '00000003', 'payload length 3'],
  ['a payload longer than the rest', 41, '0000000a0000', '6 octets wanted, 2 left'],
  ['octets after the last payload', 41, '0000000800000001ff', '1 octets left over'],
  ['a chain that ends early', 41, '2900000800000001', '1 octets wanted, 0 left'],
  ['a nonce of 15 octets', 40, '00000013' + '00'.repeat(15), 'nonce of 15 octets'],
  ['a nonce of 257 octets', 40, '00000105' + '00'.repeat(257), 'nonce of 257 octets'],
  ['an SK payload that is not the last', 46, '290000080000000000000008000040', 'SK is not the last payload'],
  ['fragment 0', 53, '0000000800000002', 'fragment 0 of 2'],
  ['fragment 3 of 2', 53, '0000000800030002', 'fragment 3 of 2'],
  ['a Delete of an IKE SA with SPIs', 42, '0000000c0104000100000001', 'Delete with SPIs of 4 octets for IKE'],
  [
    'a Delete with more SPIs than said',
    42,
    '00000010030400010000000100000002',
    'Delete of 1 SPIs with 8 octets',
  ],
  ['no traffic selector', 44, '0000000800000000', 'no traffic selector'],
  ['a selector that ends early', 44, '0000001001000000070000080000ffff', '4 octets wanted, 0 left'],
  ['a selector shorter than its header', 44, '0000000c0100000007000003', 'traffic selector length 3'],
  ['a proposal longer than its payload', 33, '0000000c0000000c01010001', '8 octets wanted, 4 left'],
  ['a transform fewer than said', 33, '0000000c0000000801010001', '1 octets wanted, 0 left'],
  ['a proposal said to be followed by another', 33, '0000000c0200000801010000', 'last-proposal flag 2'],
  ['an ESP proposal without SPI', 33, '0000000c0000000801030000', 'SPI of 0 octets for ESP'],
  ['an IKE proposal with a short SPI', 33, '000000100000000c0101040000000001', 'SPI of 4 octets for IKE'],
  ['transforms with a wrong flag', 33, '000000140000001001010001030000080100000c', 'last-transform flag 3'],
  ['two Key Lengths', 33, '0000001c0000001801010001000000100100000c800e0100800e0080', 'two Key Lengths'],
  ['proposals out of order', 33, '0000001402000008010100000000000803010000', 'proposals out of order'],
])('%s is an error', (_, first, hex, message) => {
  const result = decoded(fromHex(hex), (r) => decodePayloads(r, first));
  expect(result.ok ? 'decoded' : result.error.message.replace(/ at octet \d+$/, '')).toBe(message);
});

test('SPIs are 64 bits and print in full width', () => {
  const spi = ikeSpiFrom(fromHex('00ff00ff00ff00ff'));
  expect(formatIkeSpi(spi)).toBe('0x00ff00ff00ff00ff');
  expect(toHex(ikeSpiOctets(spi))).toBe('00ff00ff00ff00ff');
  expect(() => ikeSpi(1n << 64n)).toThrow(RangeError);
  // @ts-expect-error a raw number is not an SPI
  const raw: typeof spi = 5n;
  expect(raw).toBe(5n);
});

test('numbers print by name, unknown ones by number', () => {
  expect([
    encrName(20),
    encrName(1024),
    notifyName(16390),
    transformName(4, 31),
    transformName(99, 1),
  ]).toEqual(['ENCR_AES_GCM_16', 'ENCR-1024', 'COOKIE', 'CURVE25519', 'TRANSFORM-99:1']);
});

test('a payload of more than 64 KiB is a mistake of ours', () => {
  const large: InnerPayload = { kind: 'Vendor', data: new Uint8Array(0x10000) };
  expect(() =>
    encoded((w) => {
      encodePayloads(w, [large]);
    }),
  ).toThrow(RangeError);
  expect(typeOf(undefined)).toBe(0);
});

// ---- arbitrary payloads

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const octets = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength, maxLength });

const transform = fc
  .record({ type: u8, id: u16, keyBits: fc.option(u16, { nil: undefined }) })
  .map(({ type, id, keyBits }) => ({ type, id, ...(keyBits !== undefined && { keyBits }) }));

const proposals = fc
  .array(
    fc.tuple(
      fc.constantFrom([1, 0], [1, 8], [3, 4], [2, 4]),
      fc.array(transform, { maxLength: 5 }),
      octets(8, 8),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((list) =>
    list.map(([[protocol = 0, spiOctets = 0], transforms, spi], i) => ({
      number: i + 1,
      protocol,
      spi: spi.slice(0, spiOctets),
      transforms,
    })),
  );

const selector = fc.oneof(
  fc.constantFrom(4, 16).chain((length) =>
    fc.record({
      kind: fc.constant('range' as const),
      protocol: u8,
      startPort: u16,
      endPort: u16,
      start: octets(length, length),
      end: octets(length, length),
    }),
  ),
  fc.record({
    kind: fc.constant('unknown' as const),
    type: fc.integer({ min: 9, max: 255 }),
    protocol: u8,
    body: octets(0, 20),
  }),
);

const payload: fc.Arbitrary<InnerPayload> = fc.oneof(
  fc.record({ kind: fc.constant('SA' as const), proposals }),
  fc.record({ kind: fc.constant('KE' as const), group: u16, data: octets(0, 80) }),
  fc.record({ kind: fc.constantFrom('IDi' as const, 'IDr' as const), type: u8, data: octets(0, 30) }),
  fc.record({
    kind: fc.constantFrom('CERT' as const, 'CERTREQ' as const),
    encoding: u8,
    data: octets(0, 30),
  }),
  fc.record({ kind: fc.constant('AUTH' as const), method: u8, data: octets(0, 80) }),
  fc.record({ kind: fc.constant('Nonce' as const), nonce: octets(16, 256) }),
  fc.record({
    kind: fc.constant('Notify' as const),
    protocol: u8,
    spi: octets(0, 8),
    type: u16,
    data: octets(0, 40),
  }),
  fc.record({
    kind: fc.constant('Delete' as const),
    protocol: fc.constantFrom(2, 3),
    spis: fc.array(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('Delete' as const), protocol: fc.constant(1), spis: fc.constant([]) }),
  fc.record({ kind: fc.constant('Vendor' as const), data: octets(0, 30) }),
  fc.record({
    kind: fc.constantFrom('TSi' as const, 'TSr' as const),
    selectors: fc.array(selector, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('Unknown' as const),
    type: fc.integer({ min: 54, max: 255 }),
    critical: fc.boolean(),
    body: octets(0, 30),
  }),
);
