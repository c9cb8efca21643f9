import { expect, test } from 'vitest';
import {
  classic,
  identity,
  isInit,
  messageOf,
  mismatches,
  nameOf,
  pair,
  World,
  type Flying,
  type Node,
} from './pair.ts';

/** What a peer may make us keep: kernel states, IKE SAs, fragments. */

test('THREATS A.16: a peer that rekeys its child and never deletes the old ones runs into a cap', () => {
  const { world, a, b, key } = pair('Ed25519', { keyLog: true });
  a.initiate(b, [key]);
  world.settle();
  world.meddle(a, (payloads) => payloads.filter((p) => p.kind !== 'Delete'));
  for (let i = 0; i < 40; i++) {
    const [newest] = a.children;
    if (newest) a.input({ kind: 'expired', spi: newest.inbound.spi, hard: false });
    world.pass(10_000);
  }
  expect(b.kernel.size).toBeLessThanOrEqual(8);
});

test('THREATS A.16: a peer that rekeys its IKE SA and never deletes the old ones runs into a cap', () => {
  const { world, a, b, key } = pair('Ed25519', { keyLog: true, limits: { ikeLifetimeMs: 1_000 } });
  a.initiate(b, [key]);
  world.settle();
  world.meddle(a, (payloads) => payloads.filter((p) => p.kind !== 'Delete'));
  world.pass(50_000);
  expect(b.endpoint.counts.sessions).toBeGreaterThan(3);
  expect(b.endpoint.counts.sessions).toBeLessThan(10);
});

test('THREATS A.16: strangers of one network get a share of the half-open IKE SAs, and others come through', () => {
  const world = new World();
  const b = world.node('b', '2001:2::b', { limits: { halfOpenPerNetwork: 5 } });
  world.network = (d) => (isInit(d) ? [0] : []);
  for (let i = 1; i <= 9; i++) {
    world.node(`a${i}`, `2001:2:0:1::${i}`).initiate(b, [], 'any');
    world.settle();
  }
  expect(b.endpoint.counts.halfOpen).toBe(5);
  world.network = () => [0];
  const honest = world.node('honest', '2001:2:0:2::1');
  honest.initiate(b, [], 'any');
  world.settle();
  expect(honest.established).toHaveLength(1);
  world.pass(100_000);
  // The share is given back.
  expect(b.endpoint.counts.halfOpen).toBe(0);
  const late = world.node('late', '2001:2:0:1::77');
  late.initiate(b, [], 'any');
  world.settle();
  expect(late.established).toHaveLength(1);
});

test('THREATS A.16: completed anonymous IKE SAs of one network do not take all there are', () => {
  const world = new World();
  const limits = { sessionsPerNetwork: 4, sessionsOfOthers: 6 };
  const b = world.node('b', '2001:2::b', { limits });
  const from = (network: number, host: number): Node => {
    const node = world.node(`${network} ${host}`, `2001:2:0:${network}::${host}`);
    node.initiate(b, [], 'any');
    world.settle();
    return node;
  };
  expect([1, 2, 3, 4, 5, 6].map((i) => from(1, i).established.length)).toEqual([1, 1, 1, 1, 0, 0]);
  expect([1, 2, 3].map((i) => from(1 + i, 1).established.length)).toEqual([1, 1, 0]);
  // What is left is for those whom we want to talk to ourselves.
  const id = identity('Ed25519');
  const wanted = world.node('wanted', '2001:2:0:9::1', { identity: id });
  b.initiate(wanted, [id.publicKey]);
  world.settle();
  expect(b.established.at(-1)?.peerAuth).toEqual({ kind: 'key', key: id.publicKey });
});

test('THREATS A.21: strangers that begin fragmented messages and never end them do not keep others from theirs', () => {
  const world = new World();
  const id = identity('rsa');
  const server = world.node('server', '198.18.0.2', { identity: id, limits: { fragmentOctets: 300 } });
  const b = world.node('b', '198.18.0.3', { limits: { reassemblies: 2 } });
  // Of everything in fragments that comes to b from these, only the first arrives.
  const isFirstOnly = (d: Flying): boolean =>
    d.from.address !== server.address && d.from.address !== b.address && isLaterFragment(d);
  world.network = (d) => (isFirstOnly(d) ? [] : [0]);
  const strangers = [5, 6, 7].map((i) =>
    world.node(`s${i}`, `198.18.0.${i}`, { ...classic, limits: { fragmentOctets: 150 } }),
  );
  for (const s of strangers) s.initiate(b, [], 'any');
  world.settle();
  expect(strangers.flatMap((s) => s.established)).toEqual([]);
  b.initiate(server, [id.publicKey]);
  world.settle();
  expect(b.established).toMatchObject([{ peerAuth: { kind: 'key' } }]);
  expect(mismatches(b, server)).toEqual([]);
  // And what strangers hold is theirs for a while only.
  world.pass(32_000);
  world.network = () => [0];
  const late = world.node('late', '198.18.0.8', { limits: { fragmentOctets: 150 } });
  late.initiate(b, [], 'any');
  world.pass(5_000);
  expect(late.established).toHaveLength(1);
});

test('THREATS A.16: peers of one network whose keys nobody answers for do not keep others from being looked up', () => {
  const world = new World();
  const id = identity('Ed25519');
  const limits = { peerKeysAtOnce: 4, peerKeysPerNetwork: 3 };
  const b = world.node('b', '2001:2::b', { limits });
  b.holds = ['peerKeys'];
  for (let i = 1; i <= 6; i++) {
    world.node(`a${i}`, `2001:2:0:1::${i}`, { identity: id }).initiate(b, [], 'any');
    world.settle();
  }
  expect(b.held).toHaveLength(3);
  b.keysOf = () => [id.publicKey];
  b.holds = [];
  const honest = world.node('honest', '2001:2:0:2::1', { identity: id });
  honest.initiate(b, [], 'any');
  world.settle();
  expect(b.established.at(-1)?.peerAuth).toEqual({ kind: 'key', key: id.publicKey });
});

function isLaterFragment(d: Flying): boolean {
  const skf = nameOf(d) === 'no IKE' ? undefined : messageOf(d).payloads.at(-1);
  return skf?.kind === 'SKF' && skf.number > 1;
}
