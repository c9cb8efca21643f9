import { expect, test } from 'vitest';
import { classic, identity, mismatches, World, type Node } from './pair.ts';

/**
 * Both hosts begin at the same time. Every order in which the first datagrams can arrive is a word of a and b: whose
 * oldest datagram is delivered next. All words of six letters are tried; the rest arrives in order.
 */
const length = 6;

test('two crossing negotiations end with one IKE SA that both have, in every order of arrival', () => {
  const kept = new Set<string>();
  for (let word = 0; word < 2 ** length; word++) {
    const { world, a, b } = crossing(word);
    a.initiate(b, [keys.b.publicKey]);
    b.initiate(a, [keys.a.publicKey]);
    for (let i = 0; i < length; i++) world.step((word >> i) & 1 ? a : b);
    world.pass(2_500);
    expect(a.failed, `word ${word}`).toEqual([]);
    expect(b.failed, `word ${word}`).toEqual([]);
    expect(a.established.map((e) => e.attempt)).toContain(1);
    expect(b.established.map((e) => e.attempt)).toContain(1);
    expect(a.established.every((e) => e.peerAuth.kind === 'key')).toBe(true);
    expect([...mismatches(a, b), ...mismatches(b, a)], `word ${word}`).toEqual([]);
    // What both send goes the same way before the other one is taken away.
    expect(sending(a), `word ${word}`).toBe(receiving(b));
    expect(sending(b), `word ${word}`).toBe(receiving(a));
    world.pass(60_000);
    expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions], `word ${word}`).toEqual([1, 1]);
    expect([a.children.length, b.children.length], `word ${word}`).toEqual([1, 1]);
    expect([...mismatches(a, b), ...mismatches(b, a)], `word ${word}`).toEqual([]);
    kept.add(a.children[0]?.inbound.spi === a.established[0]?.child.inbound.spi ? 'first' : 'second');
  }
  expect(kept.size).toBe(2);
});

test('one begins while the other is anywhere in its negotiation', () => {
  for (let after = 0; after < 5; after++) {
    for (const kernel of [false, true]) {
      const { world, a, b } = crossing(100 + after);
      if (kernel) a.holds = b.holds = ['install'];
      a.initiate(b, [keys.b.publicKey]);
      for (let i = 0; i < after; i++) {
        const datagram = world.wire.shift();
        if (datagram) world.deliver(datagram);
      }
      b.initiate(a, [keys.a.publicKey]);
      world.settle();
      a.release();
      b.release();
      world.settle();
      a.release();
      b.release();
      world.pass(60_000);
      expect(a.failed).toEqual([]);
      expect(b.failed).toEqual([]);
      expect([a.children.length, b.children.length]).toEqual([1, 1]);
      expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
    }
  }
});

test('where one side cannot look up the other, both still have what they wanted', () => {
  const { world, a, b } = crossing(7);
  b.keysOf = () => [];
  a.initiate(b, [keys.b.publicKey]);
  b.initiate(a, [keys.a.publicKey]);
  world.settle();
  world.pass(120_000);
  expect([a.failed, b.failed]).toEqual([[], []]);
  expect(a.established.some((e) => e.attempt === 1)).toBe(true);
  expect(b.established.some((e) => e.attempt === 1)).toBe(true);
  expect(a.children.length).toBeGreaterThan(0);
  // A responder that knows the other only anonymously in one of them receives there without sending there.
  expect(mismatches(a, b).filter((m) => m.includes('keys'))).toEqual([]);
});

test('both anonymous: crossing ends with one IKE SA as well', () => {
  const world = new World(5);
  const a = world.node('a', '198.18.0.1');
  const b = world.node('b', '198.18.0.2');
  a.initiate(b, [], 'any');
  b.initiate(a, [], 'any');
  world.settle();
  world.pass(60_000);
  expect([a.children.length, b.children.length]).toEqual([1, 1]);
  expect(mismatches(a, b)).toEqual([]);
});

const keys = { a: identity('Ed25519', 11), b: identity('Ed25519', 12) };

function crossing(seed: number): { world: World; a: Node; b: Node } {
  const world = new World(seed);
  const a = world.node('a', '198.18.0.1', { ...classic, identity: keys.a });
  const b = world.node('b', '198.18.0.2', { ...classic, identity: keys.b });
  a.keysOf = () => [keys.b.publicKey];
  b.keysOf = () => [keys.a.publicKey];
  return { world, a, b };
}

/** The SPI that the kernel sends with: that of the newest child with an outbound half. */
function sending(node: Node): number | undefined {
  return [...node.kernel.values()].findLast((c) => c.outbound)?.child.outbound.spi;
}

function receiving(node: Node): number | undefined {
  return [...node.kernel.values()].findLast((c) => c.outbound)?.child.inbound.spi;
}
