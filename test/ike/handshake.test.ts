import { describe, expect, test } from 'vitest';
import { firstGroup } from '../../src/ike/proposals.ts';
import { encodeMessage } from '../../src/ike/message.ts';
import { NotifyType } from '../../src/ike/numbers.ts';
import type { InnerPayload } from '../../src/ike/payloads.ts';
import { classic, forged, messageOf, identity, mismatches, nameOf, pair, World } from './pair.ts';

describe('a handshake between two hosts', () => {
  test.each(['rsa', 'P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448'] as const)(
    'the responder proves an %s key, the initiator is anonymous',
    (kind) => {
      const { world, a, b, key } = pair(kind, classic, classic);
      const attempt = a.initiate(b, [key]);
      // IKE_SA_INIT { SAi1, KEi, Ni } -->
      world.step(b);
      // <-- IKE_SA_INIT { SAr1, KEr, Nr }
      world.step(a);
      // IKE_AUTH { IDi = ID_NULL, AUTH = NULL, SAi2, TSi, TSr, N(USE_TRANSPORT_MODE) } -->
      world.step(b);
      expect(b.children).toHaveLength(1);
      expect(a.children).toHaveLength(0);
      // <-- IKE_AUTH { IDr, AUTH, SAr2, TSi, TSr, N(USE_TRANSPORT_MODE) }
      world.settle();
      expect(a.established).toMatchObject([
        {
          attempt,
          peerAuth: { kind: 'key', key },
          suite: 'AES-GCM-16-256',
          child: { mode: 'transport', esn: true },
        },
      ]);
      expect(b.established).toMatchObject([{ attempt: undefined, peerAuth: { kind: 'anonymous' } }]);
      expect(a.children).toHaveLength(1);
      expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
      expect(world.sent).toHaveLength(4);
    },
  );

  test('both prove keys that the other knows', () => {
    const [ia, ib] = [identity('Ed25519', 1), identity('P-256', 2)];
    const { world, a, b } = pair(undefined, { identity: ia }, { identity: ib });
    b.keysOf = () => [ia.publicKey];
    a.initiate(b, [ib.publicKey]);
    world.settle();
    expect(a.established).toMatchObject([{ peerAuth: { kind: 'key', key: ib.publicKey } }]);
    expect(b.established).toMatchObject([{ peerAuth: { kind: 'key', key: ia.publicKey } }]);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('both anonymous, where that is enough', () => {
    const { world, a, b } = pair();
    a.initiate(b, [], 'any');
    world.settle();
    expect(a.established).toMatchObject([{ peerAuth: { kind: 'anonymous' } }]);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('over IPv6', () => {
    const world = new World();
    const id = identity('rsa');
    const a = world.node('a', '2001:2::1');
    const b = world.node('b', '2001:2::2', { identity: id });
    a.initiate(b, [id.publicKey]);
    world.settle();
    expect(a.children).toHaveLength(1);
    expect(mismatches(a, b)).toEqual([]);
  });

  test('IKE_SA_INIT goes first, and IKE_AUTH waits for the keys', () => {
    const { world, a, b, key } = pair('Ed25519', classic, classic);
    const attempt = a.initiate(b, undefined);
    world.settle();
    world.pass(3_000);
    expect(world.sent.map(nameOf)).toEqual(['IKE_SA_INIT request 0', 'IKE_SA_INIT response 0']);
    a.input({ kind: 'keys', attempt, keys: [key] });
    world.settle();
    expect(a.established).toMatchObject([{ attempt, peerAuth: { key } }]);
    expect(world.sent).toHaveLength(4);
  });

  test('an IKE_AUTH that the keys set off is repeated as every other request', () => {
    const { world, a, b, key } = pair('Ed25519');
    const attempt = a.initiate(b, undefined);
    world.settle();
    world.network = () => [];
    a.input({ kind: 'keys', attempt, keys: [key] });
    world.network = () => [0];
    world.pass(1_000);
    expect(a.established).toMatchObject([{ attempt }]);
  });

  test('keys that come late find a responder that has forgotten: it begins anew', () => {
    const { world, a, b, key } = pair('Ed25519');
    const attempt = a.initiate(b, undefined);
    world.settle();
    world.pass(60_000);
    expect(b.endpoint.counts).toEqual({ sessions: 0, halfOpen: 0 });
    a.input({ kind: 'keys', attempt, keys: [key] });
    world.settle();
    expect(a.established).toMatchObject([{ attempt }]);
  });

  test('of several keys the one that the peer has is found', () => {
    const { world, a, b, key } = pair('P-256');
    a.initiate(b, [identity('rsa').publicKey, identity('P-256', 9).publicKey, key]);
    world.settle();
    expect(a.established).toMatchObject([{ peerAuth: { key } }]);
  });

  test('the SPI is asked for before it is needed', () => {
    const { a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    expect(a.effects.filter((e) => e.kind === 'allocateSpi')).toHaveLength(1);
  });

  test('the initiator has both SAs in the kernel before it says so', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.holds = ['install'];
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toEqual([]);
    a.release();
    expect(a.established).toHaveLength(1);
  });

  test('the responder answers IKE_AUTH when its kernel has the SAs, not before', () => {
    const { world, a, b, key } = pair('Ed25519', classic, classic);
    b.holds = ['install'];
    a.initiate(b, [key]);
    world.settle();
    expect(world.sent.map(nameOf).at(-1)).toBe('IKE_AUTH request 1');
    b.release();
    expect(world.sent.map(nameOf).at(-1)).toBe('IKE_AUTH response 1');
    world.settle();
    expect(a.established).toHaveLength(1);
  });

  test('what happens is told in words', () => {
    const { world, a, b, key } = pair('rsa');
    a.initiate(b, [key]);
    world.settle();
    expect(a.story.join('\n')).toMatch(
      /→ IKE_SA_INIT.*AES-GCM-16-256[\s\S]*← IKE_SA_INIT[\s\S]*→ IKE_AUTH: anonymous[\s\S]*← IKE_AUTH.*RSA 2048.*\n.*transport mode/,
    );
  });

  test('keys are logged for Wireshark where that is wanted', () => {
    const world = new World();
    const a = world.node('a', '198.18.0.1', { keyLog: true });
    const b = world.node('b', '198.18.0.2', { keyLog: true });
    a.initiate(b, [], 'any');
    world.settle();
    expect(a.keyLog).toEqual(b.keyLog);
    expect(a.keyLog[0]).toMatch(
      /^[0-9a-f]{16},[0-9a-f]{16},[0-9a-f]{72},[0-9a-f]{72},"AES-GCM-256 with 16 octet ICV \[RFC5282\]","","","NONE \[RFC4306\]"$/,
    );
  });

  test('large messages travel in fragments (RFC 7383)', () => {
    const { world, a, b, key } = pair(
      'rsa',
      { limits: { fragmentOctets: 300 } },
      { limits: { fragmentOctets: 300 } },
    );
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toHaveLength(1);
    expect(world.sent.filter((d) => messageOf(d).payloads.at(-1)?.kind === 'SKF').length).toBeGreaterThan(2);
    expect(Math.max(...world.sent.slice(2).map((d) => d.octets.length))).toBeLessThanOrEqual(300);
  });
});

describe('the first exchange', () => {
  test('a busy responder wants a cookie, and the initiator returns it', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { limits: { halfOpenCookies: 0 } });
    a.initiate(b, [key]);
    world.step(b);
    // <-- IKE_SA_INIT { N(COOKIE) }
    expect(b.endpoint.counts.sessions).toBe(0);
    world.settle();
    expect(a.established).toHaveLength(1);
    expect(world.sent.map(nameOf).filter((n) => n.startsWith('IKE_SA_INIT'))).toHaveLength(4);
  });

  test('a cookie in answer to every cookie is followed only so often', () => {
    const { world, a, b, key } = pair('Ed25519', {}, { limits: { halfOpenCookies: 0 } });
    world.translate = (d) => d;
    const attempt = a.initiate(b, [key]);
    for (let i = 0; i < 20 && world.wire.length > 0; i++) {
      const request = world.wire.shift();
      // An attacker answers every request with one more cookie: the responder's own, for a request without one.
      if (request) {
        const bare = world.sent[0];
        if (bare) world.deliver(bare);
      }
      world.step(a);
    }
    expect(world.sent.filter((d) => d.from.address === a.address).length).toBeLessThan(6);
    world.pass(120_000);
    expect(a.established.length + a.failed.length).toBe(1);
    expect(attempt).toBe(1);
  });

  test('another group than the first is taken once it is asked for', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    const first = world.wire.shift();
    expect(first && messageOf(first).payloads.find((p) => p.kind === 'KE')).toMatchObject({
      group: firstGroup,
    });
    // <-- IKE_SA_INIT { N(INVALID_KE_PAYLOAD, 19) }
    if (first) world.deliver(forged(first, NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([0, 19])));
    const second = world.wire[0];
    expect(second && messageOf(second).payloads.find((p) => p.kind === 'KE')).toMatchObject({ group: 19 });
    // The same again leads nowhere.
    if (first) world.deliver(forged(first, NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([0, 19])));
    expect(world.wire).toHaveLength(1);
    world.settle();
    expect(a.established).toHaveLength(1);
  });

  test('THREATS A.15: a forged refusal does not end the attempt when the real answer follows', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    const first = world.wire[0];
    if (first) world.deliver(forged(first, NotifyType.NO_PROPOSAL_CHOSEN, new Uint8Array(0)));
    expect(a.failed).toEqual([]);
    world.settle();
    expect(a.established).toHaveLength(1);
    world.pass(5_000);
    expect(a.failed).toEqual([]);
  });

  test('NO_PROPOSAL_CHOSEN is believed after a grace', () => {
    const { world, a, b, key } = pair('Ed25519');
    const attempt = a.initiate(b, [key]);
    world.network = () => [];
    const first = world.wire.shift();
    if (first) world.deliver(forged(first, NotifyType.NO_PROPOSAL_CHOSEN, new Uint8Array(0)));
    world.pass(900);
    expect(a.failed).toEqual([]);
    world.pass(200);
    expect(a.failed).toMatchObject([{ attempt, code: 'no-proposal' }]);
    expect(a.endpoint.counts.sessions).toBe(0);
  });

  test('no answer: seven transmissions with growing pauses, then the attempt fails', () => {
    const { world, a, b, key } = pair('Ed25519');
    world.network = () => [];
    const attempt = a.initiate(b, [key]);
    world.pass(60_000);
    const start = world.sent[0]?.at ?? 0;
    expect(world.sent.map((d) => d.at - start)).toEqual([0, 500, 1_500, 3_500, 7_500, 15_500, 23_500]);
    expect(a.failed).toMatchObject([{ attempt, code: 'no-reply' }]);
    expect(a.endpoint.deadline).toBeUndefined();
  });

  test('a repeated IKE_SA_INIT gets the same octets and makes no second IKE SA (RFC 7296 §2.1)', () => {
    const { world, a, b, key } = pair('Ed25519');
    a.initiate(b, [key]);
    const first = world.wire[0];
    if (!first) throw new Error('nothing sent');
    world.step(b);
    world.deliver(first);
    expect(b.endpoint.counts.sessions).toBe(1);
    expect(world.sent[1]?.octets).toEqual(world.sent[2]?.octets);
    // Another message under the same SPI is not from whom the first was.
    const other = first.octets.slice();
    other[other.length - 1] = (other.at(-1) ?? 0) ^ 1;
    world.deliver({ ...first, octets: other });
    expect(world.sent).toHaveLength(3);
  });

  test('THREATS A.17: an answer larger than its request is not given before a cookie', () => {
    const { world, a, b } = pair('Ed25519', classic, classic);
    a.initiate(b, [], 'any');
    const first = world.wire.shift();
    if (!first) throw new Error('nothing sent');
    // The same wish in as few octets as possible.
    const { header, payloads } = messageOf(first);
    const needed = payloads.flatMap((p): InnerPayload[] => {
      if (p.kind === 'SA') return [{ ...p, proposals: p.proposals.slice(0, 1) }];
      return p.kind === 'KE' || p.kind === 'Nonce' ? [p] : [];
    });
    world.deliver({ ...first, octets: encodeMessage(header, needed) });
    const answer = world.wire[0];
    expect(answer && messageOf(answer).payloads.map((p) => p.kind === 'Notify' && p.type)).toEqual([
      NotifyType.COOKIE,
    ]);
    expect(b.endpoint.counts.sessions).toBe(0);
  });

  test('THREATS A.16: a flood of first messages leaves few half-open IKE SAs, and an honest host comes through', () => {
    const { world, a, b } = pair('Ed25519', {}, { limits: { halfOpen: 20, halfOpenCookies: 10 } });
    a.initiate(b, [], 'any');
    const first = world.wire.shift();
    for (let i = 0; first && i < 100; i++) {
      const octets = first.octets.slice();
      octets[0] = i;
      octets[1] = 77;
      world.deliver({ ...first, octets });
    }
    expect(b.endpoint.counts.halfOpen).toBe(10);
    world.pass(60_000);
    // The one honest host has come through meanwhile, with a cookie.
    expect(a.established).toHaveLength(1);
    expect(b.endpoint.counts).toEqual({ sessions: 1, halfOpen: 0 });
  });
});

describe('a NAT on the way', () => {
  test('IKE moves to port 4500 with the marker, and ESP is carried in UDP', () => {
    const { world, a, b, key } = pair('Ed25519');
    const outside = world.node('nat', '198.18.0.99');
    world.translate = (d) => {
      if (d.from.address === a.address) {
        return { ...d, from: { address: outside.address, port: d.from.port === 500 ? 1_024 : 1_025 } };
      }
      if (d.to.address === outside.address) {
        return { ...d, to: { address: a.address, port: d.to.port === 1_024 ? 500 : 4_500 } };
      }
      return d;
    };
    a.initiate(b, [key]);
    world.settle();
    expect(a.established).toMatchObject([
      { child: { encapsulation: { localPort: 4_500, peerPort: 4_500 }, peer: b.address } },
    ]);
    expect(b.established).toMatchObject([
      { child: { encapsulation: { localPort: 4_500, peerPort: 1_025 }, peer: outside.address } },
    ]);
    expect(world.sent.at(-1)?.octets.subarray(0, 4)).toEqual(new Uint8Array(4));
  });

  test('what comes on port 4500 without the marker is no IKE', () => {
    const { world, a, b } = pair();
    a.initiate(b, [], 'any');
    const first = world.wire.shift();
    if (first) world.deliver({ ...first, to: { ...first.to, port: 4_500 } });
    expect(b.effects).toEqual([]);
  });
});
