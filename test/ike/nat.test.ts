import { describe, expect, test } from 'vitest';
import { Exchange } from '../../src/ike/numbers.ts';
import type { TsPayload } from '../../src/ike/payloads.ts';
import { formatAddress, formatEndpoint, type IpAddress } from '../../src/net/address.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import {
  classic,
  mismatches,
  nameOf,
  pair,
  type Flying,
  type Node,
  type NodeOptions,
  type World,
} from './pair.ts';

describe('the peer is behind a NAT', () => {
  test('a request from another port moves the IKE SA and its children, and the answer goes there (RFC 7296 §2.23)', () => {
    const { world, a, b, nat } = behindNat();
    nat.rebind();
    // a: is b still there?
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'children' });
    world.settle();
    expect(portsAt(b)).toEqual([nat.port(4500), nat.port(4500)].slice(0, portsAt(b).length));
    expect(
      b.effects.some((e) => e.kind === 'move' && e.child.encapsulation?.peerPort === nat.port(4500)),
    ).toBe(true);
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
    // What b begins goes to the new port too.
    const before = world.sent.length;
    b.input({ kind: 'renew', local: b.address, peer: nat.outside, what: 'children' });
    world.settle();
    expect(world.sent.slice(before).filter((d) => d.from.address === b.address).length).toBeGreaterThan(0);
    expect(lastTo(world, b)).toBe(nat.port(4500));
    expect(a.endpoint.counts.sessions).toBe(1);
  });

  test('an authenticated packet of ESP from another port moves it as well', () => {
    const { world, a, b, nat } = behindNat();
    nat.rebind();
    const [child] = b.children;
    mapped(b, nat.outside, child?.inbound.spi ?? 0, nat.port(4500));
    expect(portsAt(b)).toEqual([nat.port(4500)]);
    expect(b.story.at(-1)).toContain('has moved it from port');
    b.input({ kind: 'renew', local: b.address, peer: nat.outside, what: 'children' });
    world.settle();
    expect([...mismatches(a, b), ...mismatches(b, a)]).toEqual([]);
    // The same again is no news.
    const moves = b.effects.filter((e) => e.kind === 'move').length;
    const [next] = b.children;
    mapped(b, nat.outside, next?.inbound.spi ?? 0, nat.port(4500));
    expect(b.effects.filter((e) => e.kind === 'move')).toHaveLength(moves);
  });

  test('what is forged moves nothing, and neither does an SPI of somebody else', () => {
    const { world, a, b, nat } = behindNat();
    const before = portsAt(b);
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'children' });
    const request = world.wire.shift();
    if (!request) throw new Error('nothing was sent');
    const octets = request.octets.slice();
    octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
    world.deliver({ ...request, octets, from: { ...request.from, port: 9 } });
    mapped(b, nat.outside, 0x1234, 9);
    expect(portsAt(b)).toEqual(before);
    world.deliver(request);
    world.settle();
    expect([...new Set(portsAt(b))]).toEqual([...new Set(before)]);
  });

  test('a repeated request from another port is answered there and moves nothing: it may be a replay', () => {
    const { world, a, b, nat } = behindNat();
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'children' });
    world.settle();
    const request = world.sent.findLast((d) => d.from.address === a.address && nameOf(d).includes('request'));
    if (!request) throw new Error('nothing was sent');
    const before = portsAt(b);
    world.deliver({ ...request, from: { address: nat.outside, port: 9 } });
    expect(portsAt(b)).toEqual(before);
    expect(world.sent.at(-1)?.to).toEqual({ address: nat.outside, port: 9 });
  });

  test('an IKE SA that was rekeyed knows it still', () => {
    const { world, a, b, nat } = behindNat();
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'ike' });
    world.settle();
    nat.rebind();
    const [child] = b.children;
    mapped(b, nat.outside, child?.inbound.spi ?? 0, nat.port(4500));
    expect(portsAt(b)).toEqual([nat.port(4500)]);
  });
});

describe('we are behind a NAT', () => {
  test('a peer that speaks from another port is answered there, and nothing else follows it (RFC 7296 §2.23)', () => {
    const { world, a, b, nat } = behindNat();
    const before = portsAt(a);
    b.input({ kind: 'renew', local: b.address, peer: nat.outside, what: 'children' });
    const request = world.wire.shift();
    if (!request) throw new Error('nothing was sent');
    world.deliver({ ...request, from: { ...request.from, port: 7_777 } });
    expect(world.sent.at(-1)?.to).toEqual({ address: b.address, port: 7_777 });
    const [child] = a.children;
    mapped(a, b.address, child?.inbound.spi ?? 0, 7_777);
    expect([...new Set(portsAt(a))]).toEqual([...new Set(before)]);
    expect(a.effects.some((e) => e.kind === 'move')).toBe(false);
  });

  test('one octet is sent each 20 seconds in which nothing else was (RFC 3948 §2.3)', () => {
    const { world, a, b } = behindNat();
    const begin = world.now;
    world.pass(66_000);
    const kept = keepalives(world);
    expect(kept.map((d) => Math.round((d.at - begin) / 1000))).toEqual([
      20, 40,
      // b has asked after 45 seconds, and a has answered.
      65,
    ]);
    expect(new Set(kept.map((d) => `${formatEndpoint(d.from)} ${d.to.port}`)).size).toBe(1);
    expect(kept.every((d) => d.from.address === a.address && d.from.port === 4500)).toBe(true);
    a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'children' });
    world.pass(19_000);
    expect(keepalives(world)).toHaveLength(3);
  });

  test('where the kernel does that for its states, we do it while there are none', () => {
    const { world, a, b, key } = natted({ kernelKeepalives: true });
    a.initiate(b, [key]);
    world.settle();
    world.pass(65_000);
    expect(keepalives(world)).toHaveLength(0);
  });

  test('nothing is sent any longer once the IKE SA is over', () => {
    const { world, a, b } = behindNat();
    a.input({ kind: 'leave', local: a.address, peer: b.address, why: 'test' });
    world.pass(1_000);
    const before = keepalives(world).length;
    world.pass(120_000);
    expect(keepalives(world)).toHaveLength(before);
  });
});

test('THREATS A.5: a peer behind a NAT claims the address of a neighbour of ours, and gets an SA for its NAT alone', () => {
  const { world, a, b, key, nat } = natted({ keyLog: true });
  const neighbour = fromHex('c6120032');
  const answered: string[] = [];
  meddled(world, a, (payloads) =>
    payloads.map((p) =>
      p.kind === 'TSi'
        ? { ...p, selectors: p.selectors.map((s) => ({ ...s, start: neighbour, end: neighbour })) }
        : p,
    ),
  );
  a.initiate(b, [key]);
  world.settle();
  expect(b.children.map((c) => [formatAddress(c.peer), c.mode])).toEqual([
    [formatAddress(nat.outside), 'transport'],
  ]);
  // Whatever is installed, it is for nobody else.
  for (const effect of b.effects)
    if (effect.kind === 'install') answered.push(formatAddress(effect.child.peer));
  expect(new Set(answered)).toEqual(new Set([formatAddress(nat.outside)]));
});

test('a peer that wants to hear the address that it sees is asked once for all, and narrows that to it', () => {
  const { world, a, b, key, nat } = natted({ keyLog: true });
  const asked: string[] = [];
  meddled(world, a, (payloads, header) => {
    const ts = payloads.find((p): p is TsPayload => p.kind === 'TSi');
    const [range] = ts?.selectors ?? [];
    if (range?.kind !== 'range') return payloads;
    asked.push(`${toHex(range.start)}-${toHex(range.end)}`);
    // As libreswan would take it: the address that it does not see does not do.
    return header.exchange === Exchange.IKE_AUTH
      ? payloads.map((p) => (p === ts ? { ...ts, selectors: [{ ...range, protocol: 17 }] } : p))
      : payloads;
  });
  a.initiate(b, [key]);
  world.pass(2_000);
  expect(asked).toEqual(['c6120001-c6120001', '00000000-ffffffff']);
  expect(a.established).toMatchObject([{ child: { mode: 'transport', peer: b.address } }]);
  expect(b.established).toMatchObject([{ child: { peer: nat.outside } }]);
});

test('without a NAT nothing moves, whatever port an authenticated request comes from', () => {
  const { world, a, b, key } = pair('Ed25519', classic, classic);
  a.initiate(b, [key]);
  world.settle();
  a.input({ kind: 'renew', local: a.address, peer: b.address, what: 'children' });
  const request = world.wire.shift();
  if (!request) throw new Error('nothing was sent');
  world.deliver({ ...request, from: { ...request.from, port: 9 } });
  const answer = world.wire.find((d) => d.from.address === b.address);
  expect(answer?.to.port).toBe(9);
  expect(b.effects.some((e) => e.kind === 'move')).toBe(false);
  world.pass(120_000);
  expect(keepalives(world)).toEqual([]);
});

test('many hosts behind one NAT may each have an IKE SA, more than one pair of addresses may', () => {
  const { world, a, b } = natted();
  // Each of them looks like a under another port.
  for (let i = 0; i < 12; i++) {
    a.initiate(b, [], 'any');
    world.settle();
  }
  expect(b.story.some((s) => s.includes('too many IKE SAs'))).toBe(false);
});

/** a is behind a NAT and b is not; an IKE SA with a child stands. */
function behindNat(): Natted {
  const all = natted();
  all.a.initiate(all.b, [all.key]);
  all.world.settle();
  if (all.b.children.length !== 1) throw new Error('there is no child');
  return all;
}

interface Natted extends ReturnType<typeof pair> {
  readonly nat: { readonly outside: IpAddress; port(inside: number): number; rebind(): void };
}

function natted(forA: NodeOptions = {}): Natted {
  const all = pair('Ed25519', { ...classic, ...forA }, classic);
  const { world, a } = all;
  const outside = world.node('nat', '198.18.0.99').address;
  let base = 20_000;
  const port = (inside: number): number => base + (inside === 500 ? 0 : 1);
  world.translate = (d) => {
    if (d.from.address === a.address) return { ...d, from: { address: outside, port: port(d.from.port) } };
    if (d.to.address !== outside) return d;
    // What is sent to a port that is not known any longer gets lost.
    const inside = [500, 4500].find((p) => port(p) === d.to.port);
    return { ...d, to: inside === undefined ? d.to : { address: a.address, port: inside } };
  };
  const rebind = (): void => {
    base += 10;
  };
  return { ...all, nat: { outside, port, rebind } };
}

/** Has `edit` change what `node` says, before its NAT. */
function meddled(world: World, node: Node, edit: Parameters<World['meddle']>[1]): void {
  const { translate } = world;
  world.translate = (d) => d;
  world.meddle(node, edit);
  const { translate: meddle } = world;
  world.translate = (d) => {
    const edited = meddle(d);
    const marked = edited.octets !== d.octets && d.from.port === 4500;
    return translate(marked ? { ...edited, octets: concatOctets(new Uint8Array(4), edited.octets) } : edited);
  };
}

function mapped(node: Node, peer: IpAddress, spi: number, port: number): void {
  node.input({ kind: 'mapping', local: node.address, peer, spi, port });
}

function portsAt(node: Node): (number | undefined)[] {
  return node.children.map((c) => c.encapsulation?.peerPort);
}

function lastTo(world: World, from: Node): number | undefined {
  return world.sent.findLast((d) => d.from.address === from.address)?.to.port;
}

function keepalives(world: World): Flying[] {
  return world.sent.filter((d) => toHex(d.octets) === 'ff');
}
