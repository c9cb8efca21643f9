import { expect, test } from 'vitest';
import { encodeMessage, type IkeSpi, type Message } from '../../src/ike/message.ts';
import { Exchange, NotifyType, Protocol, TransformType } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload, type Payload } from '../../src/ike/payloads.ts';
import { toHex } from '../../src/wire/octets.ts';
import { classic, forged, identity, isInit, messageOf, mismatches, nameOf, pair, World } from './pair.ts';

/** What somebody on the way, or a peer that breaks the rules, gets out of it. */

test('THREATS A.6: a second wish for a pair joins the negotiation under way, and overwrites nothing', () => {
  const { world, a, b, key } = pair('Ed25519', classic, classic);
  const first = a.initiate(b, [key]);
  const second = a.initiate(b, [key]);
  expect(world.wire).toHaveLength(1);
  world.step(b);
  const third = a.initiate(b, undefined);
  world.step(a);
  const fourth = a.initiate(b, [key]);
  a.input({ kind: 'abandon', attempt: third });
  world.settle();
  expect(a.established.map((e) => e.attempt).sort()).toEqual([first, second, fourth]);
  expect(world.sent).toHaveLength(4);
  expect([a.children.length, b.children.length]).toEqual([1, 1]);
});

test('THREATS A.14: whatever is taken out of or put into IKE_SA_INIT on the way, no SA comes of it', () => {
  const without =
    (type: number): Edit =>
    (payloads) =>
      payloads.filter((p) => p.kind !== 'Notify' || p.type !== type);
  const edits: Readonly<Record<string, Edit>> = {
    'the list of hashes': without(NotifyType.SIGNATURE_HASH_ALGORITHMS),
    fragmentation: without(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    'NAT detection': without(NotifyType.NAT_DETECTION_SOURCE_IP),
    'the best ciphers': (payloads) =>
      payloads.map((p) => (p.kind === 'SA' ? { ...p, proposals: p.proposals.slice(-1) } : p)),
    'a long key': (payloads) =>
      payloads.map((p) =>
        p.kind !== 'SA'
          ? p
          : {
              ...p,
              proposals: p.proposals.map((o) => ({
                ...o,
                transforms: o.transforms.filter((t) => t.type !== TransformType.ENCR || t.keyBits !== 256),
              })),
            },
      ),
    'a vendor ID': (payloads) => [...payloads, { kind: 'Vendor', data: new Uint8Array(8) }],
  };
  for (const [what, edit] of Object.entries(edits)) {
    for (const direction of ['request', 'response']) {
      const { world, a, b, key } = pair('P-256', { identity: identity('P-256', 5) });
      b.keysOf = () => [identity('P-256', 5).publicKey];
      let isChanged = false;
      world.translate = (d) => {
        if (nameOf(d) !== `IKE_SA_INIT ${direction} 0`) return d;
        const octets = edited(messageOf(d), edit);
        isChanged ||= toHex(octets) !== toHex(d.octets);
        return { ...d, octets };
      };
      a.initiate(b, [key]);
      world.pass(200_000);
      if (!isChanged) continue;
      expect(a.established, `${direction}: ${what}`).toEqual([]);
      expect(a.failed, `${direction}: ${what}`).toHaveLength(1);
      expect(b.kernel.size, `${direction}: ${what}`).toBe(0);
    }
  }
});

test('THREATS A.15: no unprotected answer, of whatever kind and number, keeps the real one from counting', () => {
  const lies = [
    [NotifyType.NO_PROPOSAL_CHOSEN, ''],
    [NotifyType.INVALID_SYNTAX, ''],
    [NotifyType.INVALID_MAJOR_VERSION, ''],
    [NotifyType.AUTHENTICATION_FAILED, ''],
    [NotifyType.INVALID_KE_PAYLOAD, '0001'],
    [NotifyType.INVALID_KE_PAYLOAD, 'ff'],
    [NotifyType.COOKIE, ''],
    [NotifyType.COOKIE, '00'.repeat(65)],
    [NotifyType.REDIRECT, '010401020304'],
    [NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, '21'],
  ] as const;
  const { world, a, b, key } = pair('Ed25519');
  const attempt = a.initiate(b, [key]);
  const [first] = world.wire;
  for (const [type, hex] of lies) {
    if (first) world.deliver(forged(first, type, Uint8Array.fromHex(hex)));
    if (first) world.deliver(forged(first, type, Uint8Array.fromHex(hex)));
  }
  expect(a.failed).toEqual([]);
  expect(world.sent).toHaveLength(1);
  world.settle();
  expect(a.established).toMatchObject([{ attempt }]);
});

test('THREATS A.17: no answer to a first message without a cookie is longer than the message', () => {
  const { world, a, b } = pair('rsa');
  a.initiate(b, [], 'any');
  const first = world.wire.shift();
  if (!first) throw new Error('nothing sent');
  const { header, payloads } = messageOf(first);
  const needed = payloads.filter((p) => p.kind === 'SA' || p.kind === 'KE' || p.kind === 'Nonce');
  const one = needed.map((p): Payload =>
    p.kind === 'SA' ? { ...p, proposals: p.proposals.slice(0, 1) } : p,
  );
  const shapes: readonly (readonly Payload[])[] = [
    payloads,
    needed,
    one,
    one.map((p) => (p.kind === 'Nonce' ? { ...p, nonce: p.nonce.subarray(0, 16) } : p)),
    one.map((p) => (p.kind === 'KE' ? { ...p, group: 19, data: new Uint8Array(64) } : p)),
    one.map((p) => (p.kind === 'KE' ? { ...p, group: 0, data: new Uint8Array(0) } : p)),
    one.map((p) =>
      p.kind === 'SA' ? { ...p, proposals: p.proposals.map((o) => ({ ...o, transforms: [] })) } : p,
    ),
    [...one, { kind: 'Unknown', type: 99, critical: true, body: new Uint8Array(0) }],
    [...one, notify(NotifyType.COOKIE, new Uint8Array(17))],
    [...payloads, notify(NotifyType.COOKIE, new Uint8Array(17))],
    one.filter((p) => p.kind !== 'KE'),
    [],
  ];
  let answers = 0;
  shapes.forEach((shape, i) => {
    const spiI = BigInt(100 + i) as IkeSpi;
    const octets = encodeMessage({ ...header, spiI }, shape.filter(isInner));
    for (const port of [500, 4_500]) {
      const marker = new Uint8Array(port === 4_500 ? 4 : 0);
      const at = { address: b.address, port };
      world.deliver({ ...first, to: at, octets: Uint8Array.from([...marker, ...octets]) });
      for (const answer of world.wire.splice(0)) {
        answers++;
        expect(answer.octets.length, `shape ${i}`).toBeLessThanOrEqual(octets.length + marker.length);
      }
    }
  });
  expect(answers).toBeGreaterThan(12);
});

test.each([Exchange.CREATE_CHILD_SA, Exchange.INFORMATIONAL])(
  'THREATS A.18: a responder that has not proved who it is gets nothing by exchange %i',
  (exchange) => {
    const { world, a, b, key } = pair('Ed25519', {}, { keyLog: true });
    // In the place of its IKE_AUTH, and as a request of its own.
    world.meddle(
      b,
      () => [{ kind: 'Delete', protocol: Protocol.IKE, spis: [] }],
      () => exchange,
    );
    a.initiate(b, [key]);
    world.pass(3_000);
    expect(a.effects.filter((e) => e.kind === 'install' || e.kind === 'remove')).toEqual([]);
    expect(a.established).toEqual([]);
    // It still waits for the real answer.
    expect(a.failed).toEqual([]);
    expect(a.endpoint.counts.sessions).toBe(1);
  },
);

test('THREATS A.18: an IKE SA that is not authenticated is not rekeyed', () => {
  const { world, a, b } = pair(undefined, { ...classic, keyLog: true }, classic);
  world.meddle(
    a,
    () => [
      { kind: 'SA', proposals: [] },
      { kind: 'Nonce', nonce: new Uint8Array(32) },
      { kind: 'KE', group: 31, data: new Uint8Array(32).fill(9) },
    ],
    () => Exchange.CREATE_CHILD_SA,
  );
  a.initiate(b, [], 'any');
  world.pass(20_000);
  expect(b.endpoint.counts).toEqual({ sessions: 1, halfOpen: 1 });
  expect(world.sent.filter((d) => d.from.address === b.address).every((d) => isInit(d))).toBe(true);
});

test('THREATS A.20: a message that comes again is answered from memory, and does nothing a second time', () => {
  const { world, a, b, key } = pair('Ed25519', classic, classic);
  a.initiate(b, [key]);
  world.settle();
  const requests = world.sent.filter((d) => d.from.address === a.address);
  const answers = world.sent.filter((d) => d.from.address === b.address);
  const effects = b.effects.filter((e) => e.kind !== 'send').length;
  const auth = requests[1];
  for (let i = 0; auth && i < 3; i++) world.deliver(auth);
  expect(b.effects.filter((e) => e.kind !== 'send')).toHaveLength(effects);
  const repeated = world.wire.splice(0);
  const answer = toHex(answers[1]?.octets ?? new Uint8Array(0));
  expect(repeated.map((d) => toHex(d.octets))).toEqual([answer, answer, answer]);
  // Responses that come again do nothing at the initiator either.
  const before = a.effects.length;
  for (const d of answers) world.deliver(d);
  expect(a.effects).toHaveLength(before);
});

test('THREATS A.20: the message ID of before with other content, and one far ahead, are dropped', () => {
  for (const messageId of [0, 1, 3, 100, 0xffff_ffff]) {
    const { world, a, b, key } = pair('Ed25519', { ...classic, keyLog: true }, classic);
    a.initiate(b, [key]);
    world.settle();
    // Authentic, and it would delete the IKE SA if it were its turn, which is that of number 2.
    world.meddle(
      a,
      () => [{ kind: 'Delete', protocol: Protocol.IKE, spis: [] }],
      (header) => header.exchange,
      () => messageId,
    );
    world.pass(40_000);
    a.initiate(b, [key]);
    world.pass(1_000);
    expect(b.children, `message ID ${messageId}`).toHaveLength(1);
  }
});

test('THREATS A.21: fragments that come twice and in the wrong order, the first one last, are one message', () => {
  const small = { limits: { fragmentOctets: 200 } };
  const { world, a, b, key } = pair('rsa', classic, small);
  a.initiate(b, [key]);
  world.step(b);
  world.step(a);
  world.step(b);
  const fragments = world.wire.filter((d) => messageOf(d).payloads.at(-1)?.kind === 'SKF');
  expect(fragments.length).toBeGreaterThan(2);
  // The last comes first, each twice, the first last.
  world.wire = fragments.toReversed().flatMap((d) => [d, d]);
  world.settle();
  expect(a.established).toHaveLength(1);
  expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
});

test('THREATS A.21: fragments of other messages, and a whole one beside them, make no message between them', () => {
  const { world, a, b, key } = pair(
    'rsa',
    { ...classic, keyLog: true },
    { limits: { fragmentOctets: 200 }, keyLog: true },
  );
  a.initiate(b, [key]);
  world.step(b);
  world.step(a);
  world.step(b);
  const [first, second, ...rest] = world.wire.splice(0);
  if (!first || !second) throw new Error('no fragments');
  world.deliver(first);
  // The second one of the same number with a total that has grown, unsealed; then its own request, sent back.
  const octets = second.octets.slice();
  new DataView(octets.buffer).setUint16(34, rest.length + 3);
  world.deliver({ ...second, octets });
  const own = world.sent.findLast((d) => d.from.address === a.address);
  if (own) world.deliver({ ...own, from: own.to, to: own.from });
  expect(a.established).toEqual([]);
  for (const d of [second, ...rest]) world.deliver(d);
  world.settle();
  expect(a.established).toHaveLength(1);
});

test('THREATS A.21: fragments numbered 0, beyond their total, or of no total are no messages', () => {
  const { world, a, b, key } = pair('rsa', {}, { limits: { fragmentOctets: 200 } });
  a.initiate(b, [key]);
  world.step(b);
  world.step(a);
  world.step(b);
  const [fragment, ...rest] = world.wire.splice(0);
  if (!fragment) throw new Error('no fragment');
  for (const [number, total] of [
    [0, 3],
    [4, 3],
    [1, 0],
    [0, 0],
    [1, 65_535],
  ] as const) {
    const octets = fragment.octets.slice();
    const view = new DataView(octets.buffer);
    view.setUint16(32, number);
    view.setUint16(34, total);
    world.deliver({ ...fragment, octets });
  }
  expect(a.established).toEqual([]);
  for (const d of [fragment, ...rest]) world.deliver(d);
  world.settle();
  expect(a.established).toHaveLength(1);
});

test('THREATS A.24: an identity with characters that a terminal obeys never reaches the story', () => {
  const world = new World();
  const id = identity('Ed25519', 1);
  const a = world.node('a', '198.18.0.1', { identity: id, keyLog: true });
  const b = world.node('b', '198.18.0.2');
  const data = new TextEncoder().encode('x\u001b]0;owned\u0007\n\u202egro.elpmaxe');
  world.meddle(a, (payloads) =>
    payloads.map((p): InnerPayload => (p.kind === 'IDi' ? { ...p, type: 2, data } : p)),
  );
  a.initiate(b, [], 'any');
  world.settle();
  expect(b.effects.some((e) => e.kind === 'askPeerKeys')).toBe(true);
  expect(b.story.join('\n').replaceAll('\n', '')).toMatch(/^[\x20-\x7e→←]+$/);
});

type Edit = (payloads: readonly Payload[]) => readonly Payload[];

function edited({ header, payloads }: Message, edit: Edit): Uint8Array {
  return encodeMessage(header, edit(payloads).filter(isInner));
}

function isInner(payload: Payload): payload is InnerPayload {
  return payload.kind !== 'SK' && payload.kind !== 'SKF';
}
