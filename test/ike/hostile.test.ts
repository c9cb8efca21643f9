import { expect, test } from 'vitest';
import { encodeMessage, ikeSpi } from '../../src/ike/message.ts';
import { NotifyType } from '../../src/ike/numbers.ts';
import type { InnerPayload } from '../../src/ike/payloads.ts';
import {
  classic,
  forged,
  identity,
  messageOf,
  mismatches,
  nameOf,
  pair,
  World,
  type Flying,
} from './pair.ts';
import { seeded } from './random.ts';

test('a changed octet anywhere in a live exchange neither throws nor leads to keys that differ', () => {
  for (let seed = 1; seed <= 400; seed++) {
    const dice = seeded(seed);
    const world = new World(seed);
    const id = identity('Ed25519', 31);
    const a = world.node('a', '198.18.0.1');
    const b = world.node('b', '198.18.0.2', { identity: id });
    // One datagram of each run is met by a meddler that changes, cuts, extends or repeats it.
    const victim = dice.below(4);
    world.translate = (d) =>
      world.sent.length - 1 === victim ? { ...d, octets: changed(d.octets, dice) } : d;
    a.initiate(b, [id.publicKey]);
    world.settle();
    world.pass(150_000);
    expect([...mismatches(a, b), ...mismatches(b, a)], `seed ${seed}`).toEqual([]);
    expect(a.established.length + a.failed.length, `seed ${seed}`).toBe(1);
    expect([...a.established.map((e) => e.peerAuth.kind)], `seed ${seed}`).not.toContain('anonymous');
  }
});

test('datagrams of chance and of pieces are dropped without a word', () => {
  const { world, a, b, key } = pair('Ed25519');
  a.initiate(b, [key]);
  world.settle();
  const dice = seeded(4711);
  const before = world.sent.length;
  const pieces = world.sent.map((d) => d.octets);
  for (let i = 0; i < 3_000; i++) {
    const base = pieces[dice.below(pieces.length)] ?? new Uint8Array(0);
    const octets = dice.below(4) === 0 ? world.random.octets(dice.below(200)) : changed(base, dice);
    const [from, to] = dice.below(2) === 0 ? [a, b] : [b, a];
    const port = dice.below(5) === 0 ? 4_500 : 500;
    to.input({
      kind: 'datagram',
      local: { address: to.address, port },
      remote: { address: from.address, port },
      octets,
    });
  }
  expect(a.children).toHaveLength(1);
  expect(b.children).toHaveLength(1);
  expect(mismatches(a, b)).toEqual([]);
  // Changed first messages may look new and get an answer, and so does another version; nothing encrypted does.
  const answers = world.sent.slice(before).filter((d) => ['SK', 'SKF'].includes(lastKind(d)));
  expect(answers.map(nameOf).filter((n) => !n.startsWith('IKE_AUTH response'))).toEqual([]);
});

test('what comes from another address than the IKE SA has is dropped', () => {
  const { world, a, b, key } = pair('Ed25519', classic, classic);
  a.initiate(b, [key]);
  world.step(b);
  world.step(a);
  const auth = world.wire.shift();
  const elsewhere = world.node('elsewhere', '198.18.0.3');
  if (auth) world.deliver({ ...auth, from: { ...auth.from, address: elsewhere.address } });
  expect(world.wire).toEqual([]);
  expect(b.kernel.size).toBe(0);
});

test('THREATS A.19: a delete of an SPI that is not the sender’s changes nothing', () => {
  const { world, a, b, key } = pair('Ed25519', { keyLog: true });
  a.initiate(b, [key]);
  world.settle();
  world.meddle(a, (payloads) => [...payloads, { kind: 'Delete', protocol: 3, spis: [0x1234_5678] }]);
  world.pass(40_000);
  a.initiate(b, [key]);
  world.settle();
  expect(b.children).toHaveLength(1);
});

test('THREATS A.15: cookies without end, groups without end and refusals without end still end', () => {
  const lies: ((d: Flying, n: number) => Flying)[] = [
    (d, n) => forged(d, NotifyType.COOKIE, new Uint8Array([n])),
    (d, n) =>
      forged(d, NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([0, [19, 20, 21, 31, 14, 15, 16][n % 7] ?? 0])),
    (d) => forged(d, NotifyType.REDIRECT, new Uint8Array([1, 4, 1, 2, 3, 4])),
    (d) => forged(d, NotifyType.AUTHENTICATION_FAILED, new Uint8Array(0)),
  ];
  for (const lie of lies) {
    const { world, a, b, key } = pair('Ed25519');
    b.input({ kind: 'close' });
    a.initiate(b, [key]);
    for (let n = 0; n < 100; n++) {
      const latest = world.sent.findLast((d) => d.from.address === a.address);
      if (latest) world.deliver(lie(latest, n));
    }
    expect(world.sent.length).toBeLessThan(8);
    world.pass(200_000);
    expect(a.failed).toHaveLength(1);
    expect(a.endpoint.counts.sessions).toBe(0);
  }
});

test('a protected message that is malformed ends the IKE SA on both sides, and throws nowhere', () => {
  const { world, a, b, key } = pair('Ed25519', { keyLog: true });
  a.initiate(b, [key]);
  world.settle();
  world.meddle(a, () => [{ kind: 'Unknown', type: 41, critical: false, body: new Uint8Array([0]) }]);
  world.pass(40_000);
  a.initiate(b, [key]);
  world.settle();
  expect(b.kernel.size).toBe(0);
});

test('an unknown payload that is critical is refused by name, one that is not is skipped (RFC 7296 §2.5)', () => {
  for (const critical of [true, false]) {
    const { world, a, b, key } = pair('Ed25519', { keyLog: true }, { keyLog: true });
    a.initiate(b, [key]);
    world.settle();
    world.meddle(a, (payloads) => [
      ...payloads,
      { kind: 'Unknown', type: 200, critical, body: new Uint8Array(3) },
    ]);
    world.pass(40_000);
    const answered: number[] = [];
    world.meddle(b, (payloads) => {
      answered.push(...payloads.flatMap((p) => (p.kind === 'Notify' ? [p.type] : [])));
      return payloads;
    });
    a.initiate(b, [key]);
    world.settle();
    expect(answered).toEqual(critical ? [NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD] : []);
    expect(b.children).toHaveLength(1);
  }
});

test('a critical payload that is unknown is refused before authentication too (RFC 7296 §2.5)', () => {
  const unknown = { kind: 'Unknown', type: 200, critical: true, body: new Uint8Array(3) } as const;
  const { world, a, b, key } = pair('Ed25519', { keyLog: true });
  world.meddle(a, (payloads) => [...payloads, unknown]);
  a.initiate(b, [key]);
  world.pass(5_000);
  expect(a.failed).toMatchObject([
    { why: expect.stringContaining('UNSUPPORTED_CRITICAL_PAYLOAD') as string },
  ]);
  expect(b.kernel.size + b.endpoint.counts.halfOpen).toBe(0);

  const first = world.sent[0];
  if (!first) throw new Error('nothing sent');
  const { header, payloads } = messageOf(first);
  const inner = payloads.filter((p): p is InnerPayload => p.kind !== 'SK' && p.kind !== 'SKF');
  const again = { ...header, spiI: ikeSpi(77n) };
  world.deliver({ ...first, octets: encodeMessage(again, [...inner, unknown]) });
  const answer = world.wire[0];
  expect(answer && messageOf(answer).payloads).toMatchObject([
    { type: NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, data: new Uint8Array([200]) },
  ]);
});

function lastKind(d: Flying): string {
  return messageOf(d).payloads.at(-1)?.kind ?? '';
}

function changed(octets: Uint8Array, dice: ReturnType<typeof seeded>): Uint8Array {
  const copy = octets.slice();
  switch (dice.below(4)) {
    case 0:
      return copy.subarray(0, dice.below(copy.length + 1));
    case 1: {
      const longer = new Uint8Array(copy.length + 1 + dice.below(20));
      longer.set(copy);
      return longer;
    }
    default: {
      for (let i = 0; i <= dice.below(4); i++) copy[dice.below(copy.length)] = dice.below(256);
      return copy;
    }
  }
}
