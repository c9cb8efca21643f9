import { expect, test } from 'vitest';
import { play } from './handshakes.ts';
import { alice, bob, bogusName, plainName, silentName } from './internet.ts';
import { checkStep } from './invariants.ts';
import { World, type Network } from './world.ts';
import { defaultPolicy, parseMatch } from '../../src/oe/policy.ts';
import { addressOf, formatAddress } from '../../src/net/address.ts';
import { Type } from '../../src/dns/types.ts';

const clean: Network = { loss: 0, duplication: 0, delay: [5, 5] };
const dead: Network = { loss: 1, duplication: 0, delay: [5, 5] };
const privatePolicy = { ...defaultPolicy, outbound: 'private' } as const;

test('9: the same seed gives the same trace, to the octet count', () => {
  for (const seed of [1, 17, 4_242]) {
    const [first, second]: [string[], string[]] = [[], []];
    play(seed, first);
    play(seed, second);
    expect(first.length).toBeGreaterThan(10);
    expect(second).toEqual(first);
  }
});

test('one lookup on a network without losses is an encrypted path within two round trips and the DNS', () => {
  const world = new World({ seed: 1, network: clean, check: checkStep });
  const a = world.add(alice, { identified: false });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(2_000);
  const [answer] = a.answers;
  expect(addressesOf(answer)).toEqual([formatAddress(bob.address)]);
  expect((answer?.answeredAt ?? Infinity) - (answer?.askedAt ?? 0)).toBeLessThan(70);
  const fate = a.kernel.outbound(alice.address, bob.address);
  if (typeof fate === 'string') throw new Error(`packets to bob are ${fate}`);
  expect(b.kernel.inbound({ source: alice.address, destination: bob.address, esp: { spi: fate.esp } })).toBe(
    'accept',
  );
});

test('both ends that look each other up at the same moment end with one SA that works both ways', () => {
  const world = new World({ seed: 2, network: clean, check: checkStep });
  const a = world.add(alice, { identified: true });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  b.ask(alice.name);
  world.run(60_000);
  expect(a.answers.map(addressesOf)).toEqual([[formatAddress(bob.address)]]);
  expect(b.answers.map(addressesOf)).toEqual([[formatAddress(alice.address)]]);
  expect(a.agent.view.peers.find(bob.address)?.live).toHaveLength(1);
  expect(b.agent.view.peers.find(alice.address)?.live).toHaveLength(1);
});

test('a peer that never answers costs one budget under private-or-clear, and SERVFAIL under private', () => {
  for (const policy of [defaultPolicy, privatePolicy]) {
    const world = new World({ seed: 3, network: dead, check: checkStep });
    const a = world.add(alice, { identified: false, policy });
    a.ask(bob.name);
    world.run(120_000);
    const [answer] = a.answers;
    const isPrivate = policy === privatePolicy;
    expect(addressesOf(answer)).toEqual(isPrivate ? [] : [formatAddress(bob.address)]);
    expect(answer?.message.rcode).toBe(isPrivate ? 2 : 0);
    expect((answer?.answeredAt ?? 0) - (answer?.askedAt ?? 0)).toBeGreaterThan(isPrivate ? 3_900 : 1_400);
    expect(a.kernel.outbound(alice.address, bob.address)).toBe(isPrivate ? 'drop' : 'clear');
  }
});

test('THREATS A.22: an agent that is killed under private leaves packets blocked or encrypted, never clear', () => {
  for (let at = 1; at < 90; at += 3) {
    const world = new World({ seed: at, network: clean });
    const a = world.add(alice, { identified: false, policy: privatePolicy });
    world.add(bob, { identified: true });
    a.ask(bob.name);
    world.run(at);
    const isBlocked = a.agent.view.peers.find(bob.address)?.block === 'stands';
    // Dead: nobody handles anything for a while, the kernel goes on alone.
    const fate = a.kernel.outbound(alice.address, bob.address);
    if (isBlocked) expect(fate).not.toBe('clear');
    a.crash();
    world.run(200);
    if (isBlocked && a.answers.length === 0) continue;
    if (isBlocked) expect(a.kernel.outbound(alice.address, bob.address)).not.toBe('clear');
  }
});

test('THREATS A.8: an SA with a peer that proved nothing goes when a rule comes up that insists on a proof', () => {
  const world = new World({ seed: 7, network: clean });
  const a = world.add(alice, { identified: true, policy: privatePolicy });
  const b = world.add(bob, { identified: false });
  b.ask(alice.name);
  world.run(2_000);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
  // Whoever is at the address of bob cannot prove the key that DNS publishes for the name.
  a.ask(bob.name);
  world.run(10_000);
  expect(addressesOf(a.answers[0])).toEqual([]);
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
  expect(a.agent.view.peers.find(bob.address)?.live).toEqual([]);
});

test('THREATS A.8: under private of an address a peer that begins and proves nothing gets no SA', () => {
  const rule = {
    match: parseMatch(formatAddress(bob.address)),
    group: 'private',
    text: 'bob',
    place: 1,
  } as const;
  if (!rule.match) throw new Error('no match');
  const policy = { ...defaultPolicy, rules: [{ ...rule, match: rule.match }] };
  const world = new World({ seed: 9, network: clean });
  const a = world.add(alice, { identified: true, policy });
  const b = world.add(bob, { identified: false });
  b.ask(alice.name);
  world.run(5_000);
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
});

test('an SA whose later part the kernel refuses counts as protection no longer', () => {
  const world = new World({ seed: 8, network: clean });
  const a = world.add(alice, { identified: true });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(2_000);
  const apply = b.kernel.applySync.bind(b.kernel);
  b.kernel.applySync = (ops) => {
    if (ops.some((o) => o.op === 'addState' && o.state.direction === 'out')) throw new Error('no memory');
    apply(ops);
  };
  const [child] = a.agent.view.peers.find(bob.address)?.live ?? [];
  if (!child) throw new Error('no SA');
  const state = { destination: alice.address, spi: child.child.inbound.spi };
  a.input({ kind: 'kernel', event: { kind: 'expire', state, reqid: 0, hard: false } });
  world.run(10_000);
  const live = b.agent.view.peers.find(alice.address)?.live ?? [];
  const there = b.kernel.snapshotSync().states.map((s) => s.spi);
  expect(live.filter((l) => !there.includes(l.child.inbound.spi))).toEqual([]);
});

test('names without a key, bogus names and hosts without IKE end as they should', () => {
  const world = new World({ seed: 5, network: clean, check: checkStep });
  const a = world.add(alice, { identified: false });
  world.add(bob, { identified: true });
  for (const name of [plainName, bogusName, silentName]) a.ask(name);
  world.run(60_000);
  const byName = new Map(a.answers.map((x) => [x.name, x]));
  expect(addressesOf(byName.get(plainName))).toEqual([formatAddress(bob.address)]);
  expect(byName.get(bogusName)?.message.rcode).toBe(2);
  expect(addressesOf(byName.get(silentName))).toHaveLength(1);
});

test('a host that stops takes its SAs along at both ends, and works again when it is back', () => {
  const world = new World({ seed: 6, network: clean, check: checkStep });
  const a = world.add(alice, { identified: false });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(1_000);
  b.restart();
  world.run(5_000);
  expect(a.agent.view.peers.find(bob.address)?.live).toEqual([]);
  a.ask(bob.name);
  world.run(1_000);
  expect(a.agent.view.peers.find(bob.address)?.live).toHaveLength(1);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
});

function addressesOf(
  answered:
    { readonly message: { readonly answer: readonly { type: number; rdata: Uint8Array }[] } } | undefined,
): string[] {
  return (answered?.message.answer ?? []).flatMap((r) => {
    const address = r.type === Type.A ? addressOf(r.rdata) : undefined;
    return address ? [formatAddress(address)] : [];
  });
}
