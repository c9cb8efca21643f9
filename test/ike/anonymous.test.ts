import { expect, test } from 'vitest';
import { describeId, judgeProof } from '../../src/ike/authenticate.ts';
import { sharedKeyAuth, signedOctets } from '../../src/ike/crypto/auth.ts';
import { AuthMethod, NotifyType, Prf } from '../../src/ike/numbers.ts';
import { notify, type InnerPayload } from '../../src/ike/payloads.ts';
import type { Secrets } from '../../src/ike/session.ts';
import type { IpAddress } from '../../src/net/address.ts';
import { wallSeconds } from '../../src/time.ts';
import { classic, identity, pair, World, type Node, type Pair } from './pair.ts';

/** What a peer that proves nothing must not get. */

test('THREATS A.1: an anonymous child that comes while an authenticated one is on its way to the kernel carries nothing', () => {
  for (const weBegin of [true, false]) {
    const { world, a, b } = withKeys();
    if (weBegin) {
      a.initiate(b, [keyOf.b]);
      world.step(b);
      world.step(a);
      world.step(b);
      a.holds = ['install'];
      world.step(a);
    } else {
      b.initiate(a, [keyOf.a]);
      world.step(a);
      world.step(b);
      a.holds = ['install'];
      world.step(a);
    }
    expect(a.established).toEqual([]);
    const stranger = atTheAddressOf(b, world);
    stranger.initiate(a, [], 'any');
    world.settle();
    // From the first moment on: who can hold packets back chooses the moment.
    expect(carrier(a)).toMatchObject({ peerAuth: { kind: 'key', key: keyOf.b } });
    a.release();
    world.settle();
    expect(carrier(a)).toMatchObject({ peerAuth: { kind: 'key', key: keyOf.b } });
  }
});

test('THREATS A.1: however often an anonymous peer comes, no authenticated IKE SA gives way', () => {
  const ids = [1, 2, 3].map((i) => identity('Ed25519', i));
  const world = new World();
  const b = world.node('b', '198.18.0.2', { limits: { sessionsPerPair: 3 } });
  for (const id of ids) {
    const a = world.node('a', '198.18.0.1', { identity: id });
    b.keysOf = () => [id.publicKey];
    a.initiate(b, [], 'any');
    world.settle();
    world.nodes.splice(world.nodes.indexOf(a), 1);
  }
  for (let i = 0; i < 5; i++) {
    const stranger = world.node('stranger', '198.18.0.1');
    stranger.initiate(b, [], 'any');
    world.settle();
    world.nodes.splice(world.nodes.indexOf(stranger), 1);
  }
  expect(b.children.filter((c) => c.peerAuth.kind === 'key')).toHaveLength(3);
});

test('THREATS A.2: INITIAL_CONTACT of an anonymous peer takes nothing away', () => {
  const { world, a, b } = withKeys({ meddles: true });
  a.initiate(b, [keyOf.b]);
  world.settle();
  world.pass(5_000);
  const stranger = atTheAddressOf(b, world);
  world.meddle(stranger, (payloads) => [...payloads, notify(NotifyType.INITIAL_CONTACT)]);
  stranger.initiate(a, [], 'any');
  world.settle();
  expect(stranger.established).toHaveLength(1);
  expect(carrier(a)).toMatchObject({ peerAuth: { kind: 'key' } });
});

test('THREATS A.3: data in ID_NULL names nobody and is not shown', () => {
  const id = { kind: 'IDi', type: 13, data: new TextEncoder().encode('\u001b[2Jadmin.example.org') } as const;
  const prf = Prf.PRF_HMAC_SHA2_256;
  const half = { initI: new Uint8Array(100), nonceR: new Uint8Array(32) };
  const keys = { skPi: new Uint8Array(32).fill(7) };
  const secrets = { ...half, keys, suite: { prf } } as unknown as Secrets;
  const signed = signedOctets({ ownInit: half.initI, otherNonce: half.nonceR, prf, skP: keys.skPi, id });
  const auth = { method: AuthMethod.NULL, data: sharedKeyAuth(prf, keys.skPi, signed) };
  const known = [identity('Ed25519', 1).publicKey];
  const peer: IpAddress = { family: 4, octets: new Uint8Array(4) };
  const claimed = { id, auth, payloads: [], peer, wanted: known, groups: [], wall: wallSeconds(0) };
  expect(judgeProof(secrets, 'initiator', claimed)).toMatchObject({
    ok: true,
    peerAuth: { kind: 'anonymous' },
  });
  expect(describeId(id)).toBe('nobody (ID_NULL)');
});

test('THREATS A.3: a signature under ID_NULL proves nothing, whatever keys there are', () => {
  const id = identity('Ed25519', 1);
  const { world, a, b } = pair(undefined, { identity: id, keyLog: true }, {});
  b.keysOf = () => [id.publicKey];
  world.meddle(a, (payloads) =>
    payloads.map((p): InnerPayload => (p.kind === 'IDi' && p.type !== 13 ? { ...p, type: 13 } : p)),
  );
  a.initiate(b, [], 'any');
  world.settle();
  expect(b.established.filter((e) => e.peerAuth.kind === 'key')).toEqual([]);
});

test('THREATS A.4: whatever an anonymous peer asks for, it gets its own address or nothing', () => {
  const asked: readonly (readonly [first: string, last: string])[] = [
    ['0.0.0.0', '255.255.255.255'],
    ['198.18.0.0', '198.18.255.255'],
    ['198.18.0.2', '198.18.0.2'],
    ['198.18.7.7', '198.18.7.7'],
    ['127.0.0.1', '127.0.0.1'],
    ['255.255.255.255', '255.255.255.255'],
    ['198.18.0.3', '198.18.0.1'],
  ];
  for (const [first, last] of asked) {
    const { world, a, b } = pair(undefined, { keyLog: true }, {});
    world.meddle(a, (payloads) =>
      payloads.map((p): InnerPayload => (p.kind === 'TSi' ? { ...p, selectors: [range(first, last)] } : p)),
    );
    a.initiate(b, [], 'any');
    world.settle();
    for (const { child } of b.kernel.values())
      expect(child).toMatchObject({ peer: a.address, local: b.address });
    const isWide = first.endsWith('.0');
    expect(b.kernel.size, `${first}–${last}`).toBe(isWide ? 1 : 0);
  }
});

test('THREATS A.5: a peer behind a NAT that claims the address of a neighbour gets its outer address only', () => {
  const { world, a, b } = pair(undefined, {}, {});
  const outside = world.node('nat', '198.18.0.99');
  world.translate = (d) => {
    if (d.from.address === a.address) return { ...d, from: { address: outside.address, port: d.from.port } };
    if (d.to.address === outside.address) return { ...d, to: { address: a.address, port: d.to.port } };
    return d;
  };
  a.initiate(b, [], 'any');
  world.settle();
  expect(b.kernel.size).toBe(1);
  // a asks for 198.18.0.1, which b can reach directly as well.
  for (const { child } of b.kernel.values()) expect(child.peer).toEqual(outside.address);
});

const keyOf = { a: identity('Ed25519', 11).publicKey, b: identity('P-256', 12).publicKey };

/** Two hosts with keys that know each other's. */
function withKeys({ meddles = false } = {}): Pick<Pair, 'world' | 'a' | 'b'> {
  const world = new World();
  const a = world.node('a', '198.18.0.1', { ...classic, identity: identity('Ed25519', 11), keyLog: meddles });
  const b = world.node('b', '198.18.0.2', { ...classic, identity: identity('P-256', 12) });
  a.keysOf = () => [keyOf.b];
  b.keysOf = () => [keyOf.a];
  return { world, a, b };
}

/** Somebody else where `host` was. */
function atTheAddressOf(host: Node, world: World): Node {
  world.nodes.splice(world.nodes.indexOf(host), 1);
  return world.node('stranger', host.text, { keyLog: true });
}

/** The child that carries what the host sends. */
function carrier(host: Node) {
  return [...host.kernel.values()].findLast((c) => c.outbound)?.child;
}

function range(first: string, last: string) {
  const octets = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number));
  return {
    kind: 'range',
    protocol: 0,
    startPort: 0,
    endPort: 65_535,
    start: octets(first),
    end: octets(last),
  } as const;
}
