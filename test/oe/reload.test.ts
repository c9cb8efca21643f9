import { expect, test } from 'vitest';
import type { KernelOp } from '../../src/kernel/port.ts';
import { formatAddress } from '../../src/net/address.ts';
import { defaultPolicy, type Group, type Policy, type Stance } from '../../src/oe/policy.ts';
import { alice, bob, carol, plainName } from '../sim/internet.ts';
import { checkStep } from '../sim/invariants.ts';
import { World, type Host, type Network } from '../sim/world.ts';
import { withRules } from './desk.ts';
import { policyWith } from './stage.ts';

const clean: Network = { loss: 0, duplication: 0, delay: [5, 5] };
const bobAt = formatAddress(bob.address);

test('rules that stay keep their policies: only what differs goes to the kernel', () => {
  const desk = withRules([
    ['10.0.0.0/8', 'private'],
    ['192.0.2.0/24', 'block'],
  ]);
  desk.tell({ kind: 'start', snapshot: { states: [], policies: [] } });
  const before = desk.ops.length;
  reload(
    desk,
    policyWith([
      ['10.0.0.0/8', 'private'],
      ['192.0.2.0/24', 'block'],
    ]),
  );
  expect(desk.ops.slice(before)).toEqual([]);
  reload(
    desk,
    policyWith([
      ['10.0.0.0/8', 'private'],
      ['192.0.2.0/24', 'block'],
      ['198.51.100.0/24', 'block'],
    ]),
  );
  const ops = desk.ops.slice(before);
  expect(ops.map(told)).toEqual([
    'addPolicy out block 198.51.100.0',
    'addPolicy in block 198.51.100.0',
    'addPolicy fwd block 198.51.100.0',
  ]);
  const later = desk.ops.length;
  reload(
    desk,
    policyWith([
      ['10.0.0.0/8', 'private'],
      ['198.51.100.0/24', 'block'],
    ]),
  );
  expect(
    new Set(
      desk.ops
        .slice(later)
        .map(told)
        .map((t) => t.split(' ')[0]),
    ),
  ).toEqual(new Set(['removePolicy']));
});

test('a name that becomes private has the addresses blocked that were told of it before', () => {
  const desk = withRules([]);
  desk.tell({ kind: 'start', snapshot: { states: [], policies: [] } });
  expect(desk.ask(plainName).answer).toHaveLength(1);
  const before = desk.ops.length;
  reload(desk, policyWith([[plainName, 'private']]));
  const blocked = desk.ops.slice(before).filter((o) => o.op === 'addPolicy' && o.policy.action === 'block');
  expect(blocked.length).toBeGreaterThanOrEqual(2);
  expect(desk.ask(plainName).rcode).toBe(2);
  const later = desk.ops.length;
  reload(desk, policyWith([]));
  const gone = desk.ops.slice(later).filter((o) => o.op === 'removePolicy');
  expect(gone.map(told)).toEqual(
    expect.arrayContaining(blocked.map((o) => told(o).replace('add', 'remove').replace(' block', ''))),
  );
  expect(desk.ask(plainName).rcode).toBe(0);
});

test('a peer with a proof that becomes private keeps its SA, and no moment is clear', () => {
  const { world, a } = pair(clean);
  const [child] = a.agent.view.peers.find(bob.address)?.live ?? [];
  expect(child).toBeDefined();
  watched(world, a, () => {
    change(a, policyWith([[bob.name, 'private']]));
    world.run(5_000);
  });
  expect(a.agent.view.peers.find(bob.address)?.live.map((l) => l.child.id)).toEqual([child?.child.id]);
  expect(a.agent.view.peers.find(bob.address)).toMatchObject({ insist: true, block: 'stands' });
});

test('the SAs of peers about which nothing has changed stay', () => {
  const world = new World({ seed: 4, network: clean });
  const a = world.add(alice, { identified: false });
  world.add(bob, { identified: true });
  world.add(carol, { identified: true });
  a.ask(bob.name);
  a.ask(carol.name);
  world.run(3_000);
  const idOf = (): unknown => a.agent.view.peers.find(carol.address)?.live.map((l) => l.child.id);
  const before = idOf();
  change(a, policyWith([[bob.name, 'block']]));
  world.run(5_000);
  expect(idOf()).toEqual(before);
  expect(typeof a.kernel.outbound(alice.address, carol.address)).toBe('object');
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
});

test('an SA that proves nothing goes when the address becomes private, and nothing passes in the clear', () => {
  const world = new World({ seed: 7, network: clean });
  const a = world.add(alice, { identified: true });
  const b = world.add(bob, { identified: false });
  b.ask(alice.name);
  world.run(2_000);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
  watched(world, a, () => {
    change(a, policyWith([[`${bobAt}/32`, 'private']]));
    world.run(5_000);
  });
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
});

test('block by prefix ends the SA, whose policies would stand above it', () => {
  const { world, a } = pair(clean);
  watched(world, a, () => {
    change(a, policyWith([[`${bobAt}/32`, 'block']]));
    world.run(5_000);
  });
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
  expect(a.agent.view.peers.find(bob.address)?.live).toEqual([]);
});

test('a peer that becomes clear loses its SA, and both ends are told', () => {
  for (const match of [bob.name, `${bobAt}/32`]) {
    const { world, a, b } = pair(clean);
    change(a, policyWith([[match, 'clear']]));
    world.run(5_000);
    expect([match, a.kernel.outbound(alice.address, bob.address)]).toEqual([match, 'clear']);
    expect(b.kernel.snapshotSync().states).toEqual([]);
  }
});

test('what was private and is so no longer is let go, with the SA as it was', () => {
  const { world, a } = pair(clean, policyWith([[bob.name, 'private']]));
  expect(a.agent.view.peers.find(bob.address)?.block).toBe('stands');
  change(a, defaultPolicy);
  world.run(1_000);
  expect(a.agent.view.peers.find(bob.address)).toMatchObject({ insist: false, block: 'none' });
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
  const blocks = a.kernel.snapshotSync().policies.filter((p) => p.action === 'block');
  expect(blocks).toEqual([]);
});

test('under post-quantum an SA without ML-KEM is not taken, and one with it stays', () => {
  const wants = (group: Group, require: Stance): Policy => {
    const policy = policyWith([[bob.name, group]]);
    return { ...policy, rules: policy.rules.map((r) => ({ ...r, require })) };
  };
  const { world, a } = pair(clean);
  const has = a.agent.view.peers.find(bob.address)?.live[0]?.child.keyExchange?.postQuantum === true;
  change(a, wants('private', 'post-quantum'));
  world.run(10_000);
  const fate = a.kernel.outbound(alice.address, bob.address);
  expect(typeof fate).toBe(has ? 'object' : 'string');
  if (!has) expect(fate).toBe('drop');
});

test('a rule that takes anonymous peers has private traffic encrypted with whoever is there', () => {
  const base = policyWith([
    [plainName, 'private'],
    [bob.name, 'private'],
  ]);
  const policy = { ...base, rules: base.rules.map((r) => ({ ...r, require: 'anonymous' as const })) };
  const world = new World({ seed: 11, network: clean, check: checkStep });
  const a = world.add(alice, { identified: true, policy });
  world.add(bob, { identified: false });
  a.ask(bob.name);
  world.run(5_000);
  expect(a.answers[0]?.message.rcode).toBe(0);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
});

test('under role = "server" this host does not begin, and takes the peer when it does', () => {
  const base = policyWith([[bob.name, 'private']]);
  const policy = { ...base, rules: base.rules.map((r) => ({ ...r, role: 'server' as const })) };
  const world = new World({ seed: 12, network: clean });
  const a = world.add(alice, { identified: true, policy });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(6_000);
  expect(a.answers[0]?.message.rcode).toBe(2);
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('drop');
  b.ask(alice.name);
  world.run(3_000);
  a.ask(bob.name);
  world.run(3_000);
  expect(a.answers[1]?.message.rcode).toBe(0);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
});

test('a private host that is asked for no longer is let go after an hour, one with an SA is not', () => {
  const desk = withRules([[plainName, 'private']]);
  desk.tell({ kind: 'start', snapshot: { states: [], policies: [] } });
  expect(desk.ask(plainName).rcode).toBe(2);
  const before = desk.ops.length;
  desk.pass(3_000_000);
  expect(desk.ops.length).toBe(before);
  desk.pass(90_000_000);
  const gone = desk.ops.slice(before).filter((o) => o.op === 'removePolicy');
  expect(gone.length).toBeGreaterThanOrEqual(2);
});

/** Alice has an SA with bob. */
function pair(
  network: Network,
  policy: Policy = defaultPolicy,
): { readonly world: World; readonly a: Host; readonly b: Host } {
  const world = new World({ seed: 21, network, check: checkStep });
  const a = world.add(alice, { identified: false, policy });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(3_000);
  expect(typeof a.kernel.outbound(alice.address, bob.address)).toBe('object');
  return { world, a, b };
}

/** While `act` runs, no operation of the kernel leaves a moment in which a packet to bob would be clear. */
function watched(world: World, host: Host, act: () => void): void {
  const apply = host.kernel.applySync.bind(host.kernel);
  const fates: string[] = [];
  host.kernel.applySync = (ops) => {
    for (const op of ops) {
      apply([op]);
      const fate = host.kernel.outbound(alice.address, bob.address);
      fates.push(typeof fate === 'string' ? fate : 'esp');
    }
  };
  act();
  host.kernel.applySync = apply;
  expect(fates).not.toContain('clear');
  expect(fates.length).toBeGreaterThan(0);
  world.run(0);
}

function change(host: Host, policy: Policy): void {
  host.input({ kind: 'policy', request: 1, rules: { policy, budgetMs: 1_500, privateBudgetMs: 4_000 } });
}

function reload(desk: { tell: (input: Parameters<Host['input']>[0]) => void }, policy: Policy): void {
  desk.tell({ kind: 'policy', request: 1, rules: { policy, budgetMs: 100, privateBudgetMs: 100 } });
}

function told(op: KernelOp): string {
  if (op.op !== 'addPolicy' && op.op !== 'removePolicy') return op.op;
  const { direction, source, destination } = op.policy;
  const peer = direction === 'out' ? destination : source;
  const action = op.op === 'addPolicy' ? ` ${op.policy.action}` : '';
  return `${op.op} ${direction}${action} ${formatAddress(peer.address)}`;
}
