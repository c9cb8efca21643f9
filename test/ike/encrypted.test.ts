import { describe, expect, test } from 'vitest';
import { toHex } from '../../src/wire/octets.ts';
import { Opener, Sealer, cipherKeyOctets, type IkeCipher } from '../../src/ike/crypto/cipher.ts';
import { Reassembly, fragmentMessage, openEncrypted, sealEncrypted } from '../../src/ike/encrypted.ts';
import { ikeSpi, type Message, type MessageHead } from '../../src/ike/message.ts';
import { notify, type InnerPayload } from '../../src/ike/payloads.ts';
import { seeded } from './random.ts';
import { contextOf, decodedMessage, octetsOf, recording } from './recordings.ts';

const head: MessageHead = {
  spiI: ikeSpi(1n),
  spiR: ikeSpi(2n),
  exchange: 35,
  fromInitiator: true,
  response: false,
  messageId: 1,
};

const gcm: IkeCipher = { encr: 20, keyBits: 256, integ: undefined };
const cbc: IkeCipher = { encr: 12, keyBits: 256, integ: 12 };

const payloads: readonly InnerPayload[] = [
  { kind: 'IDi', type: 13, data: new Uint8Array(0) },
  { kind: 'AUTH', method: 14, data: seeded(1).octets(700) },
  notify(16391),
];

describe.each([gcm, cbc])('with %o', (cipher) => {
  test('SK carries payloads, and none at all (a liveness check)', () => {
    const { sealer, opener } = pair(cipher);
    for (const list of [payloads, []]) {
      const message = decodedMessage(sealEncrypted(head, list, sealer));
      expect(openEncrypted(message, opener)).toMatchObject({ kind: 'opened', payloads: list });
    }
  });

  test('a changed bit of any octet, header included, is forged', () => {
    const { sealer, opener } = pair(cipher);
    const octets = sealEncrypted(head, [notify(16391)], sealer);
    for (let at = 0; at < octets.length; at++) {
      // Version, lengths and types decide whether it can be read as an SK message at all.
      if (at === 16 || at === 17 || (at >= 24 && at < 28) || at === 30 || at === 31) continue;
      const message = decodedMessage(octets.with(at, (octets[at] ?? 0) ^ 4));
      expect(openEncrypted(message, opener).kind).toBe('forged');
    }
  });

  test.each([200, 539, 576, 700])('fragments of at most %i octets join again, in any order', (limit) => {
    const { sealer, opener } = pair(cipher);
    const fragments = fragmentMessage(head, payloads, sealer, limit);
    expect(fragments.length).toBeGreaterThan(1);
    expect(fragments.every((f) => f.length <= limit)).toBe(true);
    const messages = fragments.map(decodedMessage);
    for (const order of [
      messages,
      [...messages].reverse(),
      [...messages.slice(1), ...messages.slice(0, 1)],
    ]) {
      const reassembly = new Reassembly();
      const results = order.map((m) => reassembly.add(m, opener));
      expect(results.at(-1)).toMatchObject({ kind: 'whole', payloads });
      expect(results.slice(0, -1).every((x) => x.kind === 'partial')).toBe(true);
    }
  });

  test('what fits goes as one SK message, just as long as the limit', () => {
    const { sealer, opener } = pair(cipher);
    const whole = sealEncrypted(head, payloads, sealer);
    expect(fragmentMessage(head, payloads, sealer, whole.length).length).toBe(1);
    expect(fragmentMessage(head, payloads, sealer, whole.length - 1).length).toBe(2);
    const [only] = fragmentMessage(head, payloads, sealer, 2000);
    expect(openEncrypted(decodedMessage(only ?? new Uint8Array(0)), opener).kind).toBe('opened');
  });
});

test('the fragments of libreswan are as long as ours for its limit of 539 octets', () => {
  const r = recording('mutual');
  const { keys, openerOf } = contextOf(r);
  const sent = r.messages.filter((m) => m.exchange === 'IKE_AUTH' && !m.response);
  const reassembly = new Reassembly();
  const messages = sent.map((m) => decodedMessage(octetsOf(m)));
  const joined = messages.map((m) => reassembly.add(m, openerOf(m))).at(-1);
  if (joined?.kind !== 'whole') throw new Error('not whole');
  const [first] = messages;
  if (!first) throw new Error('no message');
  const iv = octetsOf(sent[0] ?? { hex: '' }).slice(36, 44);
  const sealer = new Sealer(
    gcm,
    { encryption: keys.skEi, integrity: new Uint8Array(0) },
    { octets: () => iv },
  );
  // Same cut; with the same IV, the same octets. libreswan counts its IVs in another way.
  const ours = fragmentMessage(first.header, joined.payloads, sealer, 539);
  expect(toHex(ours[0] ?? new Uint8Array(0))).toBe(sent[0]?.hex);
  expect(ours.map((o) => o.length)).toEqual([539, 343]);
});

describe('reassembly (RFC 7383 §2.6)', () => {
  const { sealer, opener } = pair(gcm);
  const cut = (limit: number): Message[] =>
    fragmentMessage(head, payloads, sealer, limit).map(decodedMessage);
  const three = cut(340);
  const five = cut(220);

  test('THREATS A.21: a fragment that comes again changes nothing', () => {
    const reassembly = new Reassembly();
    expect(add(reassembly, three[0])).toEqual({ kind: 'partial', have: 1, total: 3 });
    expect(add(reassembly, three[0])).toEqual({ kind: 'ignored', why: 'fragment 1 again' });
    expect(add(reassembly, three[1])).toEqual({ kind: 'partial', have: 2, total: 3 });
    expect(add(reassembly, three[2])).toMatchObject({ kind: 'whole' });
  });

  test('THREATS A.21: a message cut anew into more fragments replaces the first cut, never the other way', () => {
    const reassembly = new Reassembly();
    add(reassembly, three[0]);
    add(reassembly, three[1]);
    expect(add(reassembly, five[2])).toEqual({ kind: 'partial', have: 1, total: 5 });
    expect(add(reassembly, three[2])).toEqual({ kind: 'ignored', why: 'a total of 3 after 5' });
    for (const i of [0, 1, 3]) add(reassembly, five[i]);
    expect(add(reassembly, five[4])).toMatchObject({ kind: 'whole', payloads });
  });

  test('THREATS A.21: a forged fragment takes no memory and displaces nothing', () => {
    const reassembly = new Reassembly();
    add(reassembly, three[0]);
    const octets = sealEncryptedAltered(five[1]);
    expect(reassembly.add(octets, opener)).toEqual({ kind: 'ignored', why: 'the checksum is wrong' });
    expect(add(reassembly, three[1])).toEqual({ kind: 'partial', have: 2, total: 3 });
  });

  test('THREATS A.21: more fragments, or more octets, than allowed are ignored', () => {
    expect(add(new Reassembly({ fragments: 2, octets: 9999 }), three[0])).toMatchObject({ kind: 'ignored' });
    const small = new Reassembly({ fragments: 9, octets: 400 });
    expect(add(small, three[0])).toMatchObject({ kind: 'partial' });
    expect(add(small, three[1])).toEqual({ kind: 'ignored', why: 'fragments too large together' });
    expect(add(new Reassembly(), patched(three[0], 34, 0xffff))).toEqual({
      kind: 'ignored',
      why: '65535 fragments',
    });
  });

  test('THREATS A.21: only the first fragment may name the first payload', () => {
    const second = three[1];
    if (!second) throw new Error('no fragment');
    const message = decodedMessage(second.octets.with(28, 36));
    expect(new Reassembly().add(message, opener)).toEqual({
      kind: 'ignored',
      why: 'fragment 2 names a first payload',
    });
  });

  test('THREATS A.21: a whole message is no fragment, and a fragment no whole message', () => {
    const whole = decodedMessage(sealEncrypted(head, payloads, sealer));
    expect(new Reassembly().add(whole, opener)).toMatchObject({ kind: 'ignored' });
    const [first] = three;
    expect(first && openEncrypted(first, opener)).toMatchObject({ kind: 'forged' });
  });

  test('THREATS A.21: fragments that join to nonsense are malformed', () => {
    // Authentic fragments of two different messages.
    const other = fragmentMessage(head, [{ kind: 'Vendor', data: new Uint8Array(715) }], sealer, 340);
    const reassembly = new Reassembly();
    add(reassembly, three[0]);
    add(reassembly, decodedMessage(other[1] ?? new Uint8Array(0)));
    expect(add(reassembly, decodedMessage(other[2] ?? new Uint8Array(0)))).toMatchObject({
      kind: 'malformed',
    });
  });

  function add(reassembly: Reassembly, message: Message | undefined): ReturnType<Reassembly['add']> {
    if (!message) throw new Error('no such fragment');
    return reassembly.add(message, opener);
  }
});

test('an authentic message with nonsense inside is malformed, not forged', () => {
  const { sealer, opener } = pair(gcm);
  const nested: InnerPayload = { kind: 'Unknown', type: 46, critical: false, body: new Uint8Array(20) };
  const message = decodedMessage(sealEncrypted(head, [nested], sealer));
  expect(openEncrypted(message, opener)).toMatchObject({ kind: 'malformed' });
});

function pair(cipher: IkeCipher): { sealer: Sealer; opener: Opener } {
  const octets = cipherKeyOctets(cipher);
  if (!octets) throw new Error('no such cipher');
  const random = seeded(8);
  const keys = { encryption: random.octets(octets.encryption), integrity: random.octets(octets.integrity) };
  return { sealer: new Sealer(cipher, keys, seeded(9)), opener: new Opener(cipher, keys) };
}

function sealEncryptedAltered(message: Message | undefined): Message {
  if (!message) throw new Error('no message');
  const last = message.octets.length - 1;
  return decodedMessage(message.octets.with(last, (message.octets[last] ?? 0) ^ 1));
}

function patched(message: Message | undefined, at: number, value: number): Message {
  const octets = message?.octets.slice() ?? new Uint8Array(0);
  new DataView(octets.buffer).setUint16(at, value);
  return decodedMessage(octets);
}
