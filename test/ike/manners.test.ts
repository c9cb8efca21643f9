import { describe, expect, test } from 'vitest';
import { NotifyType, Protocol } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload } from '../../src/ike/payloads.ts';
import { reaches, stage } from './collision.ts';
import { classic, headerOf, identity, isInit, messageOf, nameOf, pair, World } from './pair.ts';

describe('versions (RFC 7296 §2.5)', () => {
  test('a higher major version is told which one we speak, once, and never in answer to an answer', () => {
    const { world, a, b } = pair(undefined, classic, classic);
    a.initiate(b, [], 'any');
    const init = world.wire[0];
    if (!init) throw new Error('nothing was sent');
    const later = (flags?: number): void => {
      const octets = init.octets.slice();
      octets[17] = 0x30;
      if (flags !== undefined) octets[19] = flags;
      world.deliver({ ...init, octets });
    };
    world.wire.length = 0;
    later(0x20);
    expect(world.wire).toEqual([]);
    later();
    const [answer] = world.wire;
    if (!answer) throw new Error('no answer');
    const { header, payloads } = messageOf(answer);
    expect(header).toMatchObject({ majorVersion: 2, response: true, messageId: 0, exchange: 34 });
    expect(header.spiI).toBe(headerOf(init)?.spiI);
    expect(payloads).toMatchObject([{ kind: 'Notify', type: NotifyType.INVALID_MAJOR_VERSION }]);
    expect(answer.octets.length).toBeLessThan(init.octets.length);
    later();
    later();
    expect(world.wire).toHaveLength(1);
    expect(b.endpoint.counts.sessions).toBe(0);
  });

  test('a lower major version is dropped, a higher minor version is ignored', () => {
    const { world, a, b } = pair(undefined, classic, classic);
    a.initiate(b, [], 'any');
    const init = world.wire[0];
    if (!init) throw new Error('nothing was sent');
    world.wire.length = 0;
    for (const version of [0x10, 0x2f]) {
      const octets = init.octets.slice();
      octets[17] = version;
      world.deliver({ ...init, octets });
    }
    expect(world.wire.map(nameOf)).toEqual(['IKE_SA_INIT response 0']);
  });
});

describe('the critical bit (RFC 7296 §2.5)', () => {
  const unknown: InnerPayload = { kind: 'Unknown', type: 200, critical: true, body: new Uint8Array(4) };

  test('in a standing IKE SA: the request is refused, nothing else happens to it', () => {
    const s = stage({ keyLog: true });
    s.world.meddle(s.a, (payloads, header) =>
      header.response ? payloads : [...payloads, { ...unknown, critical: s.world.now > 0 }],
    );
    s.rekeyChild(s.a);
    s.world.settle();
    expect(s.a.story.some((t) => t.includes('UNSUPPORTED_CRITICAL_PAYLOAD'))).toBe(true);
    expect([s.a.children.length, s.b.children.length]).toEqual([1, 1]);
  });

  test('without it an unknown payload is passed over', () => {
    const s = stage({ keyLog: true });
    const old = s.a.children[0]?.id;
    s.world.meddle(s.a, (payloads) => [...payloads, { ...unknown, critical: false }]);
    s.rekeyChild(s.a);
    s.world.settle();
    expect(s.a.children[0]?.id).not.toBe(old);
    expect(s.a.children).toHaveLength(1);
  });
});

describe('key exchanges of children (RFC 7296 §1.3)', () => {
  test('a peer that wants no key exchange of their own has none', () => {
    const s = stage({ keyLog: true });
    s.world.meddle(s.a, (payloads, header) => (header.response ? payloads : payloads.flatMap(withoutPfs)));
    s.rekeyChild(s.a);
    s.world.settle();
    // The request had none, so the answer has none; our own side, which sent one, does not take that.
    const [first, second, ...more] = s.b.story.filter((t) => t.startsWith('→ child'));
    expect([first, second].every((t) => t !== undefined)).toBe(true);
    expect(more).toEqual([]);
  });

  test('INVALID_KE_PAYLOAD: once more, in the group that the peer wants', () => {
    const s = stage({}, { keyLog: true });
    let refused = 0;
    s.world.meddle(s.b, (payloads, header) =>
      header.response && header.exchange === 36 && refused++ === 0
        ? [notify(NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([0, 19]))]
        : payloads,
    );
    s.rekeyChild(s.a);
    s.world.settle();
    expect(s.a.story.some((t) => t.includes('INVALID_KE_PAYLOAD'))).toBe(true);
    expect(s.a.story.filter((t) => t.includes('rekeys the child'))).toHaveLength(2);
  });
});

describe('narrowing (RFC 7296 §2.9)', () => {
  test('SINGLE_PAIR_REQUIRED asks for what was asked for: given up at once', () => {
    const { world, a, b, key } = pair('Ed25519', classic, { ...classic, keyLog: true });
    b.refuses = () => 'not here';
    world.meddle(b, (payloads) =>
      payloads.map((p) =>
        p.kind === 'Notify' && p.type === NotifyType.TEMPORARY_FAILURE
          ? notify(NotifyType.SINGLE_PAIR_REQUIRED)
          : p,
      ),
    );
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.failed).toMatchObject([{ attempt, code: 'refused' }]);
  });
});

describe('childless (RFC 6023)', () => {
  test('an initiator that wants no child gets an IKE SA without one, and a child when it asks', () => {
    const { world, a, b, key } = pair('Ed25519', { ...classic, keyLog: true }, classic);
    world.meddle(a, (payloads, header) =>
      header.exchange === 35 && !header.response
        ? payloads.filter((p) => p.kind !== 'SA' && p.kind !== 'TSi' && p.kind !== 'TSr')
        : payloads,
    );
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(b.kernel.size).toBe(0);
    expect(b.endpoint.sessions).toMatchObject([{ phase: 'standing' }]);
    world.pass(1_000);
    // Ours takes the answer for a refusal and asks with CREATE_CHILD_SA.
    expect(a.established).toMatchObject([{ attempt }]);
    expect(reaches(a, b) && reaches(b, a)).toBe(true);
  });

  test('the responder says in IKE_SA_INIT that it can', () => {
    const { world, a, b } = pair('Ed25519', classic, classic);
    a.initiate(b, [], 'any');
    world.step(b);
    const [answer] = world.wire;
    const types = answer
      ? messageOf(answer).payloads.flatMap((p) => (p.kind === 'Notify' ? p.type : []))
      : [];
    expect(types).toContain(NotifyType.CHILDLESS_IKEV2_SUPPORTED);
  });
});

describe('INITIAL_CONTACT (RFC 7296 §2.4, RFC 7619 §2.4)', () => {
  test.each([
    ['with an identity and no IKE SA: it is said', true, true],
    ['without an identity: it is not', false, false],
  ])('%s', (_, isKnown, says) => {
    const said: boolean[] = [];
    const world = new World();
    const [ia, ib] = [identity('Ed25519', 61), identity('Ed25519', 62)];
    const a = world.node('a', '198.18.0.1', { ...classic, keyLog: true, ...(isKnown && { identity: ia }) });
    const b = world.node('b', '198.18.0.2', { ...classic, identity: ib });
    b.keysOf = () => [ia.publicKey];
    world.meddle(a, (payloads, header) => {
      if (header.exchange === 35) {
        said.push(payloads.some((p) => p.kind === 'Notify' && p.type === NotifyType.INITIAL_CONTACT));
      }
      return payloads;
    });
    a.initiate(b, [ib.publicKey]);
    world.settle();
    // A second one beside it is no first contact.
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'proofs' });
    world.settle();
    expect(said).toEqual([says, false]);
  });
});

describe('proving it anew (RFC 7296 §2.8.3, RFC 4478)', () => {
  test('a new IKE SA stands before the old one goes, and nothing is lost in between', () => {
    const s = stage();
    const { world, a, b } = s;
    const old = a.children[0]?.id;
    world.pass(20_000);
    world.network = () => [15];
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'proofs' });
    for (let i = 0; i < 200; i++) {
      world.pass(5);
      expect([reaches(a, b), reaches(b, a)], `after ${5 * i} ms`).toEqual([true, true]);
    }
    s.ends();
    expect(a.children).toHaveLength(1);
    expect(a.children[0]?.id).not.toBe(old);
  });

  test('the responder says how long a proof counts: the initiator proves itself again in time', () => {
    const s = stage({}, { limits: { authLifetimeMs: 100_000 } });
    const { world, a, b } = s;
    const first = a.children[0]?.id;
    world.pass(89_000);
    expect(a.children[0]?.id).toBe(first);
    world.pass(9_000);
    expect(a.children[0]?.id).not.toBe(first);
    world.pass(1_000_000);
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
    expect(world.sent.filter((d) => isInit(d)).length / 2).toBeGreaterThan(10);
  });

  test('a rekey of the IKE SA proves nothing anew; who does not prove itself again is parted with', () => {
    const s = stage({ keyLog: true }, { limits: { authLifetimeMs: 100_000 } });
    const { world, a, b } = s;
    s.rekeyIke(a);
    world.settle();
    // Its new negotiations do not come through.
    world.network = (d) => (isInit(d) ? [] : [1]);
    world.pass(115_000);
    expect([a.children.length, b.children.length]).toEqual([0, 0]);
  });

  test('the key in DNS is another now: its SA stands, then those of the old key go', () => {
    const s = stage();
    const { world, a, b } = s;
    const before = identity('Ed25519', 32).publicKey;
    a.input({ kind: 'withdrawn', local: a.address, peer: b.address, proof: before });
    // Alone it stays: what is to become of it is for the rules to say.
    expect(a.children).toHaveLength(1);
    world.nodes.splice(world.nodes.indexOf(b), 1);
    const fresh = identity('Ed25519', 63);
    const again = world.node('b', b.text, { ...classic, identity: fresh });
    again.keysOf = b.keysOf;
    a.initiate(again, [fresh.publicKey]);
    world.settle();
    expect(a.children).toHaveLength(2);
    a.input({ kind: 'withdrawn', local: a.address, peer: b.address, proof: before });
    world.pass(100_000);
    expect(a.children).toMatchObject([{ peerAuth: { key: fresh.publicKey } }]);
  });
});

function withoutPfs(p: InnerPayload): InnerPayload[] {
  if (p.kind === 'KE') return [];
  if (p.kind !== 'SA') return [p];
  return [
    {
      ...p,
      proposals: p.proposals.map((proposal) =>
        proposal.protocol === Protocol.ESP
          ? { ...proposal, transforms: proposal.transforms.filter((t) => t.type !== 4) }
          : proposal,
      ),
    },
  ];
}
