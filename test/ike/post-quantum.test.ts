import { describe, expect, test } from 'vitest';
import { encodeMessage } from '../../src/ike/message.ts';
import { Exchange, Group, NotifyType } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload, type KePayload } from '../../src/ike/payloads.ts';
import type { Proposal } from '../../src/ike/sa-payload.ts';
import {
  classic,
  identity,
  ikeOctets,
  messageOf,
  mismatches,
  nameOf,
  pair,
  type Flying,
  type Pair,
} from './pair.ts';

const logging = { keyLog: true };

describe('two hosts that can do ML-KEM (RFC 9370)', () => {
  test('add it to X25519 in one IKE_INTERMEDIATE, whose request is cut into fragments', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.settle();
    expect([...new Set(world.sent.map(nameOf))]).toEqual([
      'IKE_SA_INIT request 0',
      'IKE_SA_INIT response 0',
      'IKE_INTERMEDIATE request 1',
      'IKE_INTERMEDIATE response 1',
      'IKE_AUTH request 2',
      'IKE_AUTH response 2',
    ]);
    expect(world.sent.filter((d) => nameOf(d) === 'IKE_INTERMEDIATE request 1')).toHaveLength(2);
    expect(a.established).toMatchObject([{ peerAuth: { kind: 'key', key } }]);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
    expect(a.story.join('\n')).toContain('CURVE25519 + ML-KEM-768');
  });

  test.each(['rsa', 'P-256', 'P-384', 'P-521', 'Ed448'] as const)(
    'and the responder proves an %s key',
    (kind) => {
      const { world, a, b, key } = pair(kind);
      a.initiate(b, [key]);
      world.settle();
      expect(a.established).toMatchObject([{ peerAuth: { kind: 'key', key } }]);
      expect(mismatches(a, b)).toEqual([]);
    },
  );

  test('both prove who they are, and neither does', () => {
    const [ia, ib] = [identity('Ed25519', 1), identity('P-256', 2)];
    const both = pair(undefined, { identity: ia }, { identity: ib });
    both.b.keysOf = () => [ia.publicKey];
    both.a.initiate(both.b, [ib.publicKey]);
    both.world.settle();
    expect(both.b.established).toMatchObject([{ peerAuth: { kind: 'key', key: ia.publicKey } }]);
    const neither = pair();
    neither.a.initiate(neither.b, [], 'any');
    neither.world.settle();
    expect(neither.a.established).toMatchObject([{ peerAuth: { kind: 'anonymous' } }]);
  });

  test('do so before the key is proved, and keep IKE_AUTH back', () => {
    const { world, a, b, key } = pair('Ed25519');
    const attempt = a.initiate(b, undefined);
    world.settle();
    expect(world.sent.map(nameOf).at(-1)).toBe('IKE_INTERMEDIATE response 1');
    a.input({ kind: 'keys', attempt, keys: [key] });
    world.settle();
    expect(a.established).toMatchObject([{ attempt }]);
  });

  test('whatever order, number and loss of fragments', () => {
    for (const fragmentOctets of [200, 576, 1_228, 4_000]) {
      for (let seed = 0; seed < 20; seed++) {
        const limits = { fragmentOctets };
        const { world, a, b, key } = pair('Ed25519', { limits }, { limits });
        let n = seed;
        world.network = () => {
          n = (n * 1_103_515_245 + 12_345) % 2_147_483_648;
          if (n % 100 < 15) return [];
          return n % 100 < 30 ? [n % 37, n % 53] : [n % 41];
        };
        a.initiate(b, [key]);
        world.pass(60_000);
        expect(a.established, `seed ${seed}, ${fragmentOctets} octets`).toHaveLength(1);
        expect(mismatches(a, b)).toEqual([]);
      }
    }
  });

  test('a repeated IKE_INTERMEDIATE request gets the same octets, though the keys are others by then', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { limits: whole });
    a.initiate(b, [key]);
    world.step(b);
    world.step(a);
    const request = world.wire.slice();
    world.step(b);
    world.step(b);
    const answer = world.wire.at(-1);
    for (const d of request) world.deliver(d);
    expect(world.wire.map((d) => d.octets)).toEqual([answer?.octets, answer?.octets]);
    world.settle();
    expect(a.established).toHaveLength(1);
  });
});

describe('what they agree on', () => {
  test.each([
    ['both can do all', undefined, undefined, 'ML-KEM-768'],
    ['the responder knows ML-KEM-512 alone', undefined, [Group.ML_KEM_512], 'ML-KEM-512'],
    ['the responder knows ML-KEM-1024 alone', undefined, [Group.ML_KEM_1024], 'ML-KEM-1024'],
    ['the initiator asks for ML-KEM-1024 alone', [Group.ML_KEM_1024], undefined, 'ML-KEM-1024'],
    ['the responder likes ML-KEM-1024 best', undefined, [Group.ML_KEM_1024, Group.ML_KEM_768], 'ML-KEM-1024'],
  ] as const)('%s', (_, ours, theirs, chosen) => {
    const { world, a, b, key } = pair('Ed25519', ours ? { kems: ours } : {}, theirs ? { kems: theirs } : {});
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toHaveLength(1);
    expect(a.story.join('\n')).toContain(`CURVE25519 + ${chosen}`);
    expect(mismatches(a, b)).toEqual([]);
  });

  test.each([
    ['the responder has one key exchange', {}, classic],
    ['the initiator has one key exchange', classic, {}],
    ['they have no ML-KEM in common', { kems: [Group.ML_KEM_512] }, { kems: [Group.ML_KEM_1024] }],
  ])('%s: four messages, and no round trip more', (_, forA, forB) => {
    const { world, a, b, key } = pair('Ed25519', forA, forB);
    a.initiate(b, [key]);
    world.settle();
    expect(world.sent).toHaveLength(4);
    expect(a.established).toHaveLength(1);
    expect(a.story.join('\n')).not.toContain('IKE_INTERMEDIATE');
  });

  test('a responder that does not see Transform Type 6 answers as if it were not there: that is taken', () => {
    const { world, a, b, key } = pair('Ed25519', {}, classic);
    editInit(world, a, (p) =>
      p.kind === 'SA' ? { ...p, proposals: p.proposals.map(withoutAdditional) } : p,
    );
    a.initiate(b, [key]);
    world.step(b);
    world.step(a);
    expect(world.wire.map(nameOf)).toEqual(['IKE_AUTH request 1']);
  });
});

describe('THREATS A.14: the second key exchange is taken out on the way', () => {
  test.each([
    [
      'the proposal',
      (p: InnerPayload) => (p.kind === 'SA' ? { ...p, proposals: p.proposals.slice(1).map(renumbered) } : p),
    ],
    [
      'its transform',
      (p: InnerPayload) => (p.kind === 'SA' ? { ...p, proposals: p.proposals.map(withoutAdditional) } : p),
    ],
    [
      'the notification that IKE_INTERMEDIATE is known',
      (p: InnerPayload) =>
        p.kind === 'Notify' && p.type === NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED ? notify(50_000) : p,
    ],
  ])('%s: AUTH shows it, and there is no SA', (_, edit) => {
    const { world, a, b, key } = pair('Ed25519');
    editInit(world, a, edit);
    const attempt = a.initiate(b, [key]);
    world.pass(120_000);
    expect(a.established).toEqual([]);
    expect(b.established).toEqual([]);
    expect(a.failed).toMatchObject([{ attempt }]);
  });

  test('the responder is anonymous as well: nobody may cut it out between them', () => {
    const { world, a, b } = pair();
    editInit(world, a, (p) =>
      p.kind === 'SA' ? { ...p, proposals: p.proposals.map(withoutAdditional) } : p,
    );
    a.initiate(b, [], 'any');
    world.pass(120_000);
    expect([...a.established, ...b.established]).toEqual([]);
  });
});

describe('a peer that breaks the rules of IKE_INTERMEDIATE', () => {
  const key512 = (p: InnerPayload): InnerPayload => (p.kind === 'KE' ? { ...p, group: Group.ML_KEM_512 } : p);
  const short = (p: InnerPayload): InnerPayload => (p.kind === 'KE' ? { ...p, data: p.data.slice(1) } : p);
  const outOfRange = (p: InnerPayload): InnerPayload =>
    p.kind === 'KE' ? { ...p, data: new Uint8Array(p.data.length).fill(0xff) } : p;

  test.each([
    ['a key of the wrong length', short],
    ['a key out of range', outOfRange],
    ['a key of another method', key512],
    ['no key', () => notify(50_000)],
  ])('the initiator sends %s: refused, and nothing is left of the IKE SA', (_, edit) => {
    const { world, a, b, key } = pair('Ed25519', { ...logging, limits: whole }, { limits: whole });
    world.meddle(a, (payloads, h) =>
      h.exchange === Exchange.IKE_INTERMEDIATE ? payloads.map(edit) : payloads,
    );
    a.initiate(b, [key]);
    world.settle();
    expect(a.failed).toMatchObject([{ code: 'refused', why: 'it says INVALID_SYNTAX to IKE_INTERMEDIATE' }]);
    world.pass(60_000);
    expect(b.endpoint.counts).toEqual({ sessions: 0, halfOpen: 0 });
  });

  test.each([
    ['a ciphertext of the wrong length', short],
    ['a key of another method', key512],
    ['no key', () => notify(50_000)],
  ])('the responder answers %s: the attempt fails', (_, edit) => {
    const { world, a, b, key } = pair('Ed25519', {}, { ...logging, limits: whole });
    world.meddle(b, (payloads, h) =>
      h.exchange === Exchange.IKE_INTERMEDIATE ? payloads.map(edit) : payloads,
    );
    a.initiate(b, [key]);
    world.settle();
    expect(a.failed).toMatchObject([{ code: 'refused' }]);
    expect(a.established).toEqual([]);
  });

  test('a ciphertext that was changed gives other keys: IKE_AUTH is not understood', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { ...logging, limits: whole });
    world.meddle(b, (payloads, h) =>
      h.exchange === Exchange.IKE_INTERMEDIATE ? payloads.map(changed) : payloads,
    );
    a.initiate(b, [key]);
    world.pass(120_000);
    expect([...a.established, ...b.established]).toEqual([]);
  });

  test.each(['a', 'b'] as const)(
    'something is added to the IKE_INTERMEDIATE of %s that leaves the keys as they are: AUTH covers it (RFC 9242 §3.3.2)',
    (whose) => {
      const { world, a, b, key } = pair(
        'Ed25519',
        { ...logging, limits: whole },
        { ...logging, limits: whole },
      );
      world.meddle(whose === 'a' ? a : b, (payloads, h) =>
        h.exchange === Exchange.IKE_INTERMEDIATE ? [...payloads, notify(50_000)] : payloads,
      );
      a.initiate(b, [key]);
      world.pass(120_000);
      expect(a.established).toEqual([]);
      expect(a.failed).toHaveLength(1);
    },
  );

  test('IKE_AUTH comes before the key exchange that was agreed on: refused', () => {
    const { world, a, b, key } = pair('Ed25519', { ...logging, limits: whole }, { limits: whole });
    world.meddle(
      a,
      (payloads) => payloads,
      () => Exchange.IKE_AUTH,
    );
    a.initiate(b, [key]);
    world.pass(1_000);
    expect(b.story.join('\n')).toContain('of the key exchanges that were agreed on 1 have not come');
    expect(b.established).toEqual([]);
  });

  test('IKE_INTERMEDIATE comes though no key exchange is left: refused', () => {
    const { world, a, b, key } = pair('Ed25519', { ...classic, ...logging }, {});
    world.meddle(
      a,
      (payloads) => payloads,
      () => Exchange.IKE_INTERMEDIATE,
    );
    a.initiate(b, [key]);
    world.pass(1_000);
    expect(b.story.join('\n')).toContain('nothing is left to be agreed on');
    expect(b.established).toEqual([]);
  });

  test('it chooses ML-KEM and does not say that it knows IKE_INTERMEDIATE: not believed', () => {
    const { world, a, b, key } = pair('Ed25519');
    editInit(world, b, (p) =>
      p.kind === 'Notify' && p.type === NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED ? notify(50_000) : p,
    );
    a.initiate(b, [key]);
    world.settle();
    world.pass(5_000);
    expect(a.failed).toMatchObject([{ code: 'no-proposal' }]);
  });

  test('no ML-KEM is computed for who has not come back with our SPI and keys', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.step(b);
    const before = b.story.length;
    world.step(a);
    for (const d of world.wire.splice(0)) {
      const octets = d.octets.slice();
      octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
      world.deliver({ ...d, octets });
    }
    expect(b.story.slice(before)).toEqual([]);
    expect(world.wire).toEqual([]);
  });
});

describe('an IKE SA that is rekeyed (RFC 9370 §2.2.4)', () => {
  const eightHours = 8 * 3_600_000;

  test('adds ML-KEM again in IKE_FOLLOWUP_KE, and keeps its child', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.settle();
    const [child] = a.children;
    const before = world.sent.length;
    world.pass(eightHours);
    expect([...new Set(world.sent.slice(before).map(nameOf))]).toEqual(
      expect.arrayContaining([
        'CREATE_CHILD_SA request 3',
        'IKE_FOLLOWUP_KE request 4',
        'IKE_FOLLOWUP_KE response 4',
      ]),
    );
    for (const { story } of [a, b]) {
      expect(story.join('\n')).toMatch(/IKE SA rekeyed: .*CURVE25519 \+ ML-KEM-768/);
    }
    expect(a.children).toEqual([child]);
    expect(a.endpoint.counts.sessions).toBe(1);
    // What is made in it has the same keys on both sides.
    a.input({ kind: 'expired', spi: child?.inbound.spi ?? 0, hard: false });
    world.pass(10_000);
    expect(a.children).not.toEqual([child]);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('over a network that loses a third', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { world, a, b, key } = pair('Ed25519');
      a.initiate(b, [key]);
      world.settle();
      let n = seed;
      world.network = () => {
        n = (n * 1_103_515_245 + 12_345) % 2_147_483_648;
        return n % 100 < 33 ? [] : [n % 41];
      };
      world.pass(eightHours + 600_000);
      expect(a.children, `seed ${seed}`).toHaveLength(1);
      expect(mismatches(a, b)).toEqual([]);
    }
  });

  test('a link that the responder does not know gets STATE_NOT_FOUND, and the IKE SA stands', () => {
    const { world, a, b, key } = pair('Ed25519', { ...logging, limits: whole }, { limits: whole });
    a.initiate(b, [key]);
    world.settle();
    world.meddle(a, (payloads, h) =>
      h.exchange === Exchange.IKE_FOLLOWUP_KE
        ? payloads.map((p) => (p.kind === 'Notify' ? { ...p, data: new Uint8Array(8) } : p))
        : payloads,
    );
    world.pass(0.95 * eightHours);
    expect(a.story.join('\n')).toContain('it says STATE_NOT_FOUND');
    expect(a.children).toHaveLength(1);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('a peer that never sends what is left: it is forgotten, and nothing is made', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.settle();
    world.network = (d) => (nameOf(d).startsWith('IKE_FOLLOWUP_KE') ? [] : [0]);
    world.pass(0.9 * eightHours + 31_000);
    expect(b.story.join('\n')).not.toContain('IKE SA rekeyed');
  });
});

const whole = { fragmentOctets: 4_000 };

function changed(p: InnerPayload): InnerPayload {
  if (p.kind !== 'KE') return p;
  const data = p.data.slice();
  data[3] = (data[3] ?? 0) ^ 0x40;
  return { ...p, data } satisfies KePayload;
}

function withoutAdditional(proposal: Proposal): Proposal {
  return { ...proposal, transforms: proposal.transforms.filter((t) => t.type < 6) };
}

function renumbered(proposal: Proposal, i: number): Proposal {
  return { ...proposal, number: i + 1 };
}

/** Has somebody in the middle change what `node` says in IKE_SA_INIT. */
function editInit(
  world: Pair['world'],
  node: Pair['a'],
  edit: (payload: InnerPayload) => InnerPayload,
): void {
  const before = world.translate;
  world.translate = (original: Flying): Flying => {
    const d = before(original);
    if (d.from.address !== node.address || messageOf(d).header.exchange !== Exchange.IKE_SA_INIT) return d;
    const { header, payloads } = messageOf({ ...d, octets: ikeOctets(d) });
    const edited = payloads.flatMap((p) => (p.kind === 'SK' || p.kind === 'SKF' ? [] : [edit(p)]));
    return { ...d, octets: encodeMessage(header, edited) };
  };
}
