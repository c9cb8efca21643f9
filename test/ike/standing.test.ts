import { describe, expect, test } from 'vitest';
import { Exchange, NotifyType, Protocol } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload, type TrafficSelector, type TsPayload } from '../../src/ike/payloads.ts';
import { classic, identity, isInit, mismatches, nameOf, pair, World } from './pair.ts';

describe('who the peer is', () => {
  test('a responder with another key fails the attempt, and is told', () => {
    const { world, a, b } = pair('Ed25519');
    const attempt = a.initiate(b, [identity('Ed25519', 7).publicKey]);
    world.settle();
    expect(a.failed).toMatchObject([{ attempt, code: 'authentication-failed' }]);
    expect(a.established).toEqual([]);
    expect(a.effects.some((e) => e.kind === 'install')).toBe(false);
    expect(b.kernel.size).toBe(0);
    world.pass(60_000);
    expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions]).toEqual([0, 0]);
  });

  test('an anonymous responder is not enough where DNS publishes a key', () => {
    const { world, a, b } = pair();
    a.initiate(b, [identity('rsa').publicKey]);
    world.settle();
    expect(a.failed).toMatchObject([{ code: 'authentication-failed' }]);
    expect(b.kernel.size).toBe(0);
  });

  test('a responder that does not accept our key is asked once more, anonymously', () => {
    const id = identity('P-256', 3);
    const { world, a, b, key } = pair('Ed25519', { ...classic, identity: id }, classic);
    b.keysOf = () => [];
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.established).toMatchObject([{ attempt, peerAuth: { key } }]);
    expect(b.established).toMatchObject([{ peerAuth: { kind: 'anonymous' } }]);
    expect(world.sent).toHaveLength(8);
  });

  test('a responder that keeps silent about our identity is asked anonymously beside', () => {
    const id = identity('P-256', 3);
    const { world, a, b, key } = pair('Ed25519', { identity: id });
    b.holds = ['peerKeys'];
    a.initiate(b, [key]);
    world.pass(5_000);
    expect(a.established).toHaveLength(1);
    expect(a.children).toHaveLength(1);
    world.pass(120_000);
    expect(a.children).toHaveLength(1);
    expect(a.failed).toEqual([]);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });

  test('the answer to whom an initiator may be is waited for, but not for ever', () => {
    const id = identity('P-256', 3);
    const { world, a, b, key } = pair('Ed25519', { identity: id, limits: { transmissionsIdentified: 99 } });
    b.holds = ['peerKeys'];
    a.initiate(b, [key]);
    world.pass(20_000);
    expect(b.story.some((s) => s.includes('was not found in time'))).toBe(true);
    expect(a.established).toHaveLength(1);
  });

  test('an initiator that proves another key than DNS has is refused', () => {
    const id = identity('P-256', 3);
    const { world, a, b, key } = pair('Ed25519', { identity: id });
    b.keysOf = () => [identity('P-256', 4).publicKey];
    a.initiate(b, [key]);
    world.settle();
    // Only the anonymous try is left.
    expect(b.established).toMatchObject([{ peerAuth: { kind: 'anonymous' } }]);
  });

  test.each([Exchange.CREATE_CHILD_SA, Exchange.INFORMATIONAL])(
    'THREATS A.18: exchange %i in an IKE SA that is not authenticated does nothing (CVE-2014-2338)',
    (exchange) => {
      const { world, a, b } = pair(undefined, { ...classic, keyLog: true }, classic);
      world.meddle(
        a,
        (payloads) => payloads,
        () => exchange,
      );
      a.initiate(b, [], 'any');
      world.pass(10_000);
      expect(world.sent.filter((d) => d.from.address === b.address)).toHaveLength(1);
      expect(b.effects.filter((e) => e.kind === 'allocateSpi' || e.kind === 'install')).toEqual([]);
    },
  );
});

describe('what a peer may ask for', () => {
  test('an initiator that wants another host at this address is refused', () => {
    const { world, a, b, key } = pair('Ed25519', { keyLog: true });
    const data = new Uint8Array([198, 18, 9, 9]);
    world.meddle(a, (payloads) => [...payloads, { kind: 'IDr', type: 1, data }]);
    a.initiate(b, [key]);
    world.settle();
    expect(a.failed).toMatchObject([{ code: 'authentication-failed' }]);
    expect(b.kernel.size).toBe(0);
  });

  test('one address has only so many IKE SAs: the oldest gives way', () => {
    const world = new World();
    const b = world.node('b', '198.18.0.2', { limits: { sessionsPerPair: 3 } });
    for (let i = 0; i < 8; i++) {
      const a = world.node('a', '198.18.0.1');
      a.initiate(b, [], 'any');
      world.settle();
      expect(a.established).toHaveLength(1);
      world.nodes.splice(world.nodes.indexOf(a), 1);
    }
    expect(b.children).toHaveLength(3);
  });

  test('a message with the flag of the other side is dropped (RFC 7296 §3.1)', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.settle();
    const sent = world.sent.length;
    const last = world.sent[2];
    if (!last) throw new Error('no IKE_AUTH');
    // Its own IKE_AUTH sent back to the initiator: the SPIs fit, the direction does not.
    world.deliver({ ...last, from: last.to, to: last.from });
    expect(world.sent.length).toBe(sent);
    expect(a.children).toHaveLength(1);
  });
});

describe('retransmission', () => {
  test('a repeated IKE_AUTH request gets the same octets and installs nothing twice (RFC 7296 §2.1)', () => {
    const { world, a, b, key } = pair('Ed25519', classic, classic);
    a.initiate(b, [key]);
    world.step(b);
    world.step(a);
    const auth = world.wire[0];
    if (!auth) throw new Error('no IKE_AUTH');
    world.step(b);
    const first = world.wire[0]?.octets;
    world.deliver(auth);
    expect(world.wire.map((d) => d.octets)).toEqual([first, first]);
    world.settle();
    expect(b.established).toHaveLength(1);
    expect(a.established).toHaveLength(1);
  });

  test('lost answers are asked for again', () => {
    const { world, a, b, key } = pair('Ed25519');
    let count = 0;
    world.network = () => (count++ % 3 === 1 ? [] : [1]);
    a.initiate(b, [key]);
    world.pass(20_000);
    expect(a.established).toHaveLength(1);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('an old message ID is dropped', () => {
    const { world, a, b, key } = standing();
    const count = world.sent.length;
    const auth = world.sent.find((d) => nameOf(d) === 'IKE_AUTH request 1');
    // The IKE SA asks for its liveness, so that IKE_AUTH is no longer the last request.
    world.pass(31_000);
    a.initiate(b, [key]);
    world.settle();
    expect(world.sent.length).toBe(count + 2);
    if (auth) world.deliver(auth);
    expect(world.sent.length).toBe(count + 2);
  });
});

describe('children', () => {
  test('an attempt for a pair that has a child is answered at once with it', () => {
    const { world, a, b, key } = standing();
    const sent = world.sent.length;
    const attempt = a.initiate(b, [key]);
    expect(a.established.at(-1)).toMatchObject({ attempt, child: a.established[0]?.child });
    expect(world.sent.length).toBe(sent);
    const waiting = a.initiate(b, undefined);
    expect(world.sent.length).toBe(sent);
    a.input({ kind: 'keys', attempt: waiting, keys: [key] });
    expect(a.established.at(-1)).toMatchObject({ attempt: waiting });
  });

  test('two attempts at the same time share one negotiation', () => {
    const { world, a, b, key } = pair('Ed25519', classic, classic);
    a.initiate(b, undefined);
    a.initiate(b, [key]);
    a.input({ kind: 'keys', attempt: 1, keys: [key] });
    world.settle();
    expect(a.established.map((e) => e.attempt)).toEqual([1, 2]);
    expect(world.sent).toHaveLength(4);
  });

  test('the kernel of the initiator refuses: the attempt fails and the peer is told', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.refuses = () => 'no such algorithm';
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.failed).toMatchObject([{ attempt, code: 'kernel-refused', why: 'no such algorithm' }]);
    expect(b.kernel.size).toBe(0);
    world.pass(60_000);
    expect(a.endpoint.counts.sessions + b.endpoint.counts.sessions).toBe(0);
  });

  test('the kernel of the responder refuses: the IKE SA stands, the child does not, the attempt fails', () => {
    const { world, a, b, key } = pair('Ed25519');
    b.refuses = () => 'no such algorithm';
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.kernel.size).toBe(0);
    world.pass(10_000);
    expect(a.failed).toMatchObject([{ attempt, code: 'refused' }]);
    world.pass(300_000);
    expect(a.endpoint.counts.sessions + b.endpoint.counts.sessions).toBe(0);
  });

  test.each(['a', 'b'] as const)('no SPI to be had at %s', (which) => {
    const { world, a, b, key } = pair('Ed25519');
    (which === 'a' ? a : b).spiRefused = 'the kernel has none';
    a.initiate(b, [key]);
    world.pass(10_000);
    expect(a.failed).toHaveLength(1);
    expect(a.kernel.size + b.kernel.size).toBe(0);
  });

  test('a soft expiry rekeys the child, and the old one goes', () => {
    const { world, a, b } = standing();
    const old = a.children[0];
    if (!old) throw new Error('no child');
    a.input({ kind: 'expired', spi: old.inbound.spi, hard: false });
    world.settle();
    expect(a.children).toHaveLength(1);
    expect(b.children).toHaveLength(1);
    expect(a.children[0]?.inbound.spi).not.toBe(old.inbound.spi);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });

  test('the responder may rekey as well, and both at once come to an end', () => {
    const { world, a, b } = standing();
    const [ca, cb] = [a.children[0], b.children[0]];
    if (!ca || !cb) throw new Error('no child');
    a.input({ kind: 'expired', spi: ca.inbound.spi, hard: false });
    b.input({ kind: 'expired', spi: cb.inbound.spi, hard: false });
    world.pass(60_000);
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
    expect(a.children.some((c) => c.id === ca.id)).toBe(false);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });

  test('a hard expiry takes the child away on both sides', () => {
    const { world, a, b } = standing();
    a.input({ kind: 'expired', spi: a.children[0]?.outbound.spi ?? 0, hard: true });
    world.settle();
    expect(a.kernel.size + b.kernel.size).toBe(0);
  });

  test('a child that both delete at once is named by each once (RFC 7296 §1.4.1)', () => {
    const { world, a, b } = pair('Ed25519', { keyLog: true });
    a.initiate(b, [identity('Ed25519').publicKey]);
    world.settle();
    const named: boolean[] = [];
    world.meddle(a, (payloads, header) => {
      if (header.response)
        named.push(payloads.some((p) => p.kind === 'Delete' && p.protocol === Protocol.ESP));
      return payloads;
    });
    const old = { a: a.children[0]?.inbound.spi ?? 0, b: b.children[0]?.inbound.spi ?? 0 };
    a.input({ kind: 'expired', spi: old.a, hard: false });
    // CREATE_CHILD_SA { N(REKEY_SA), … } --> and its answer; a then deletes the old child, and so does b.
    world.step(b);
    world.step(a);
    b.input({ kind: 'expired', spi: old.b, hard: true });
    world.settle();
    expect(named).toEqual([false]);
    expect([a.children.length, b.children.length]).toEqual([1, 1]);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('an IKE SA that is eight hours old is rekeyed and keeps its child', () => {
    const { world, a, b } = standing();
    const child = a.children[0];
    world.pass(9 * 3_600_000);
    expect(world.sent.map(nameOf).some((n) => n.startsWith('CREATE_CHILD_SA'))).toBe(true);
    expect(a.children).toEqual([child]);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
    expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions]).toEqual([1, 1]);
    // The new one works.
    b.input({ kind: 'expired', spi: b.children[0]?.inbound.spi ?? 0, hard: false });
    world.pass(10_000);
    expect(a.children[0]?.id).not.toBe(child?.id);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });
});

describe('the end', () => {
  test('close deletes every IKE SA with one message each and removes the children', () => {
    const { world, a, b } = standing();
    a.input({ kind: 'close' });
    expect(a.kernel.size).toBe(0);
    expect(world.wire.map(nameOf)).toEqual(['INFORMATIONAL request 2']);
    world.settle();
    expect(b.kernel.size).toBe(0);
    expect(a.endpoint.deadline).toBeUndefined();
    expect(a.initiate(b, []) > 0 && a.failed).toMatchObject([{ code: 'closing' }]);
  });

  test('a responder that closes deletes as well', () => {
    const { world, a, b } = standing();
    b.input({ kind: 'close' });
    world.settle();
    expect(a.kernel.size + b.kernel.size).toBe(0);
  });

  test('an attempt that is abandoned before IKE_AUTH leaves nothing', () => {
    const { world, a, b } = pair('Ed25519');
    const attempt = a.initiate(b, undefined);
    world.settle();
    a.input({ kind: 'abandon', attempt });
    expect(a.endpoint.counts.sessions).toBe(0);
    expect(a.endpoint.deadline).toBeUndefined();
    world.pass(60_000);
    expect(a.failed).toEqual([]);
    expect(b.endpoint.counts.sessions).toBe(0);
  });

  test('an attempt that is abandoned after IKE_AUTH is taken back with the peer', () => {
    const { world, a, b, key } = pair('Ed25519');
    const attempt = a.initiate(b, [key]);
    world.step(b);
    world.step(a);
    a.input({ kind: 'abandon', attempt });
    world.settle();
    expect(a.kernel.size + b.kernel.size).toBe(0);
    expect(a.established).toEqual([]);
  });

  test('a peer that has vanished is noticed when the pair is wanted again', () => {
    const { world, a, b, key } = standing();
    world.pass(120_000);
    world.network = () => [];
    a.initiate(b, [key]);
    world.pass(120_000);
    expect(a.kernel.size).toBe(0);
    expect(a.endpoint.counts.sessions).toBe(0);
  });

  test('a responder whose answer never came through notices that the initiator has given up', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    world.step(b);
    world.step(a);
    world.step(b);
    world.wire.length = 0;
    world.network = () => [];
    world.pass(300_000);
    expect(a.failed).toMatchObject([{ code: 'no-reply' }]);
    expect(b.kernel.size).toBe(0);
    expect(a.endpoint.counts.sessions + b.endpoint.counts.sessions).toBe(0);
  });

  test('a peer that restarted and proves the same key takes the place of what was (INITIAL_CONTACT)', () => {
    const [ia, ib] = [identity('Ed25519', 1), identity('P-256', 2)];
    const world = new World();
    const first = world.node('a', '198.18.0.1', { identity: ia });
    const b = world.node('b', '198.18.0.2', { identity: ib });
    b.keysOf = () => [ia.publicKey];
    first.initiate(b, [ib.publicKey]);
    world.settle();
    world.pass(10_000);
    world.nodes.splice(world.nodes.indexOf(first), 1);
    const again = world.node('a', '198.18.0.1', { identity: ia });
    again.initiate(b, [ib.publicKey]);
    world.settle();
    expect(b.children).toHaveLength(1);
    expect(mismatches(again, b)).toEqual([]);
  });

  test('an anonymous peer that restarted: the old child goes when it does not answer', () => {
    const { world, a, b, key } = standing();
    world.pass(100_000);
    world.nodes.splice(world.nodes.indexOf(a), 1);
    const again = world.node('a', '198.18.0.1');
    again.initiate(b, [key]);
    world.settle();
    expect(b.children).toHaveLength(2);
    world.pass(120_000);
    expect(b.children).toHaveLength(1);
    expect(mismatches(again, b)).toEqual([]);
  });
});

describe('anonymous and authenticated (THREATS A.1, A.2)', () => {
  test('an anonymous peer does not displace an authenticated child of the pair', () => {
    const { world, a, b, key } = standing();
    const authenticated = a.children[0];
    // Somebody at the address of b, without its key.
    b.endpoint.handle({ kind: 'close' }, world.now);
    world.nodes.splice(world.nodes.indexOf(b), 1);
    const other = world.node('other', '198.18.0.2');
    other.initiate(a, [], 'any');
    world.settle();
    expect(a.children).toEqual([authenticated]);
    // It receives, but what we send goes where it went.
    expect([...a.kernel.values()].filter((c) => !c.outbound)).toHaveLength(1);
    expect(key).toBeDefined();
  });

  test('INITIAL_CONTACT of an anonymous peer is ignored', () => {
    const { world, a, b } = standing();
    world.pass(5_000);
    world.nodes.splice(world.nodes.indexOf(a), 1);
    const again = world.node('a', '198.18.0.1', { keyLog: true });
    world.meddle(again, (payloads) => [...payloads, notify(NotifyType.INITIAL_CONTACT)]);
    again.initiate(b, [], 'any');
    world.settle();
    expect(again.established).toHaveLength(1);
    expect(b.children).toHaveLength(2);
  });
});

describe('what the responder grants', () => {
  test('THREATS A.4: selectors wider than the host are narrowed to it', () => {
    const { world, a, b, key } = pair('Ed25519', { keyLog: true });
    world.meddle(a, (payloads) =>
      payloads.map((p) => (p.kind === 'TSi' || p.kind === 'TSr' ? everywhere(p) : p)),
    );
    a.initiate(b, [key]);
    world.settle();
    expect(b.children).toMatchObject([{ local: b.address, peer: a.address }]);
    // The answer names the two hosts alone, or our initiator would not have taken it.
    expect(a.established).toHaveLength(1);
  });

  test('THREATS A.19: selectors without the host are refused with TS_UNACCEPTABLE, and no child is left', () => {
    const { world, a, b, key } = pair('Ed25519', { keyLog: true });
    const elsewhere = new Uint8Array([198, 18, 7, 7]);
    world.meddle(a, (payloads) =>
      payloads.map((p) => (p.kind === 'TSi' ? { ...p, selectors: [range(elsewhere, elsewhere)] } : p)),
    );
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(b.kernel.size).toBe(0);
    expect(a.failed).toMatchObject([
      { attempt, code: 'refused', why: expect.stringContaining('TS_UNACCEPTABLE') as string },
    ]);
  });

  test('a tunnel between the two hosts, where the initiator wants that', () => {
    const { world, a, b, key } = pair('Ed25519', { keyLog: true });
    world.meddle(a, (payloads) => payloads.filter((p) => !isTransport(p)));
    a.initiate(b, [key]);
    world.settle();
    expect(b.children).toMatchObject([{ mode: 'tunnel' }]);
    expect(a.children).toMatchObject([{ mode: 'tunnel' }]);
  });

  test('no more children than the cap', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { limits: { childrenPerSession: 0 } });
    a.initiate(b, [key]);
    world.pass(10_000);
    expect(b.kernel.size).toBe(0);
    expect(a.failed).toMatchObject([{ why: expect.stringContaining('NO_ADDITIONAL_SAS') as string }]);
  });
});

describe('what responders of libreswan do', () => {
  test('transport mode is answered with a tunnel: it is taken (recording ct-st)', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { keyLog: true });
    world.meddle(b, (payloads) => payloads.filter((p) => !isTransport(p)));
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toMatchObject([{ child: { mode: 'tunnel' } }]);
  });

  test('transport mode is refused with NO_PROPOSAL_CHOSEN: a tunnel is asked for in the same IKE SA', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { keyLog: true });
    b.refuses = (child) => (child.mode === 'transport' ? 'this connection is a tunnel' : undefined);
    world.meddle(b, (payloads) =>
      payloads.map((p) =>
        p.kind === 'Notify' && p.type === NotifyType.TEMPORARY_FAILURE
          ? notify(NotifyType.NO_PROPOSAL_CHOSEN)
          : p,
      ),
    );
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.established).toMatchObject([{ attempt, child: { mode: 'tunnel' }, peerAuth: { key } }]);
    expect(world.sent.map(nameOf).filter((n) => n.startsWith('IKE_SA_INIT'))).toHaveLength(2);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });

  test('IKE_AUTH is answered without a child and without a reason: it is asked for once more', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { keyLog: true });
    let refusals = 0;
    b.refuses = () => (refusals++ === 0 ? 'in use by another negotiation' : undefined);
    world.meddle(b, (payloads) => payloads.filter((p) => p.kind !== 'Notify' || p.type >= 16_384));
    const attempt = a.initiate(b, [key]);
    world.settle();
    expect(a.established).toEqual([]);
    world.pass(2_000);
    expect(a.established).toMatchObject([{ attempt, child: { mode: 'transport' } }]);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  });

  test('an answer with selectors that were not offered is no child, and the peer is told', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { keyLog: true });
    world.meddle(b, (payloads) => payloads.map((p) => (p.kind === 'TSr' ? everywhere(p) : p)));
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toEqual([]);
    expect(a.failed).toHaveLength(1);
    expect(b.kernel.size).toBe(0);
  });
});

function everywhere(payload: TsPayload): TsPayload {
  return { ...payload, selectors: [range(new Uint8Array(4), new Uint8Array(4).fill(255))] };
}

function range(start: Uint8Array, end: Uint8Array): TrafficSelector {
  return { kind: 'range', protocol: 0, startPort: 0, endPort: 65_535, start, end };
}

function isTransport(payload: InnerPayload): boolean {
  return payload.kind === 'Notify' && payload.type === NotifyType.USE_TRANSPORT_MODE;
}

function standing() {
  const made = pair('Ed25519', classic, classic);
  made.a.initiate(made.b, [made.key]);
  made.world.settle();
  if (made.a.children.length !== 1) throw new Error('no child');
  return made;
}

test('a newcomer that is refused for the sake of an SA that its peer has lost is taken once that is known', () => {
  const { world, a, b, key } = standing();
  world.pass(60_000);
  world.nodes.splice(world.nodes.indexOf(a), 1);
  b.refuses = () => (b.kernel.size > 0 ? 'another stands' : undefined);
  const again = world.node('a', '198.18.0.1');
  const begun = again.initiate(b, [key]);
  world.pass(300_000);
  expect(again.failed).toMatchObject([{ attempt: begun }]);
  expect(b.kernel.size).toBe(0);
  again.initiate(b, [key]);
  world.settle();
  expect(again.established).toHaveLength(1);
});

test('an attempt that finds an IKE SA busy with something else gets a child in it all the same', () => {
  const { world, a, b, key } = standing();
  const [child] = a.children;
  world.network = () => [20];
  a.input({ kind: 'expired', spi: child?.inbound.spi ?? 0, hard: true });
  expect(a.kernel.size).toBe(0);
  // The delete is on its way.
  const attempt = a.initiate(b, [key]);
  world.pass(2_000);
  expect(a.established.at(-1)).toMatchObject({ attempt });
  expect(a.children).toHaveLength(1);
  expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  expect(world.sent.filter((d) => isInit(d))).toHaveLength(2);
});

test('an attempt does not go down with an IKE SA that is being deleted', () => {
  const { world, a, b, key } = standing();
  const [child] = a.children;
  a.input({ kind: 'expired', spi: child?.inbound.spi ?? 0, hard: true });
  world.settle();
  world.network = () => [20];
  // Without a child it goes after a while.
  world.pass(60_010);
  const attempt = a.initiate(b, [key]);
  world.pass(5_000);
  expect(a.failed).toEqual([]);
  expect(a.established.at(-1)).toMatchObject({ attempt });
  expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
});

test('what is to be told of a child is told though its IKE SA is being replaced meanwhile', () => {
  for (const weRekey of [true, false]) {
    const short = { limits: { ikeLifetimeMs: 20_000 } };
    const { world, a, b, key } = pair('Ed25519', weRekey ? short : {}, weRekey ? {} : short);
    a.initiate(b, [key]);
    world.settle();
    world.network = () => [20];
    const says = (): boolean => [...a.story, ...b.story].some((s) => s.endsWith('rekeys the IKE SA'));
    while (!says()) world.pass(10);
    const [child] = a.children;
    a.input({ kind: 'expired', spi: child?.inbound.spi ?? 0, hard: true });
    world.pass(5_000);
    expect([a.kernel.size, b.kernel.size]).toEqual([0, 0]);
    // And whoever asks gets a child in the new one.
    const attempt = a.initiate(b, [key]);
    world.pass(1_000);
    expect(a.established.at(-1)).toMatchObject({ attempt });
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  }
});

test('a child that the peer has deleted before its answer came is not installed', () => {
  const { world, a, b } = standing();
  const [first] = a.children;
  world.network = (d) => (nameOf(d) === 'CREATE_CHILD_SA response 2' ? [] : [20]);
  a.input({ kind: 'expired', spi: first?.inbound.spi ?? 0, hard: false });
  world.pass(100);
  const made = [...b.kernel.values()].at(-1)?.child;
  expect(made?.id).not.toBe(first?.id);
  b.input({ kind: 'expired', spi: made?.inbound.spi ?? 0, hard: true });
  world.pass(100);
  world.network = () => [20];
  // The request is repeated, and its answer comes through.
  world.pass(2_000);
  const there = new Set([...b.kernel.values()].map((c) => c.child.inbound.spi));
  expect(a.children.filter((c) => !there.has(c.outbound.spi))).toEqual([]);
  world.pass(30_000);
  expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  expect(a.children).toHaveLength(1);
});

test('a peer that rekeys a child of which we have not heard yet is asked to wait', () => {
  const { world, a, b } = standing();
  const [first] = a.children;
  world.network = (d) => (nameOf(d) === 'CREATE_CHILD_SA response 2' ? [] : [20]);
  a.input({ kind: 'expired', spi: first?.inbound.spi ?? 0, hard: false });
  world.pass(100);
  const made = [...b.kernel.values()].at(-1)?.child;
  b.input({ kind: 'expired', spi: made?.inbound.spi ?? 0, hard: false });
  world.pass(100);
  world.network = () => [20];
  world.pass(60_000);
  expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
  expect([a.children.length, b.children.length]).toEqual([1, 1]);
});
