import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bandFirst, bandLast, Priority } from '../../src/kernel/bands.ts';
import { FakeKernel } from '../../src/kernel/fake.ts';
import { KernelLedger, type InstallableChild, type StandingRule } from '../../src/kernel/ledger.ts';
import { KernelError, type KernelOp } from '../../src/kernel/port.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { parsePrefix } from '../../src/net/prefix.ts';
import { seeded } from './random.ts';

const local = address('198.18.1.2');
const peer = address('198.18.2.10');
const other = address('198.18.2.11');

test('a child is two states, then the policies of its pair', () => {
  const { ledger } = host();
  const ops = ledger.install(child(1), 'both');
  expect(ops.map(brief)).toEqual(['+state in 0x1001', '+state out 0x2001', '+in', '+out']);
  const reqids = ops.map((op) =>
    op.op === 'addState' ? op.state.reqid : op.op === 'addPolicy' && op.policy.template?.reqid,
  );
  expect(new Set(reqids).size).toBe(1);
});

test('a tunnel has its ends in the templates, and a policy for what it forwards', () => {
  const { ledger } = host();
  const ops = ledger.install({ ...child(1), mode: 'tunnel' }, 'both');
  expect(ops.map(brief)).toEqual(['+state in 0x1001', '+state out 0x2001', '+in', '+fwd', '+out']);
  for (const op of ops) {
    if (op.op === 'addState') expect(op.state.selector).toBeUndefined();
    if (op.op !== 'addPolicy') continue;
    const [source, destination] = op.policy.direction === 'out' ? [local, peer] : [peer, local];
    expect(op.policy.template?.ends).toEqual({ source, destination });
  }
});

test('behind a NAT the ports of each direction are the mirror of the other', () => {
  const { ledger } = host();
  const ops = ledger.install(behindNat(1, 61_000), 'both');
  expect(ops.flatMap((op) => (op.op === 'addState' ? [op.state.encapsulation] : []))).toEqual([
    { sourcePort: 61_000, destinationPort: 4500 },
    { sourcePort: 4500, destinationPort: 61_000 },
  ]);
});

test('a child whose NAT has given it another port keeps its states, which get the port', () => {
  const { kernel, ledger } = host();
  kernel.applySync(ledger.install(behindNat(1, 61_000), 'both'));
  const ops = ledger.move(behindNat(1, 62_000));
  expect(ops.map(brief)).toEqual(['~state in 0x1001', '~state out 0x2001']);
  kernel.applySync(ops);
  const fate = kernel.outbound(local, peer);
  expect(typeof fate === 'object' && fate.state.encapsulation?.destinationPort).toBe(62_000);
  expect(ledger.move(behindNat(2, 62_000))).toEqual([]);
});

test('behind a NAT of ours the kernel is to keep it open, behind one of the peer it is not', () => {
  const keepalives = (hidden: 'local' | 'peer' | 'both'): unknown[] => {
    const { ledger } = host();
    const ops = ledger.install(behindNat(1, 4500, hidden), 'both');
    return ops.flatMap((op) => (op.op === 'addState' ? [op.state.keepaliveSeconds] : []));
  };
  expect([keepalives('local'), keepalives('both')]).toEqual([
    [undefined, 20],
    [undefined, 20],
  ]);
  expect(keepalives('peer')).toEqual([undefined, undefined]);
});

describe('hosts behind one NAT have one address:', () => {
  test('without marks the ledger says that another one is there, and none where the port is the same', () => {
    const { ledger } = host();
    ledger.install(behindNat(1, 61_000), 'both');
    expect(ledger.neighbours(behindNat(2, 62_000))).toEqual([1]);
    expect(ledger.neighbours(behindNat(3, 61_000))).toEqual([]);
    expect(ledger.neighbours(child(4))).toEqual([1]);
    expect(ledger.neighbours(behindNat(1, 63_000))).toEqual([]);
  });

  test('with marks each gets what carries its mark, and what carries none goes to the only host or nowhere', () => {
    const { kernel } = host();
    const ledger = new KernelLedger({ marks: true });
    const to = (mark = 0): unknown => {
      const fate = kernel.outbound(local, peer, 6, { mark });
      return typeof fate === 'object' ? fate.esp : fate;
    };
    const markOf = (ops: readonly KernelOp[]): number =>
      ops.flatMap((op) => (op.op === 'addState' && op.state.setMark ? [op.state.setMark.value] : []))[0] ?? 0;
    const install = (c: InstallableChild): number => {
      const ops = ledger.install(c, 'both');
      kernel.applySync(ops);
      return markOf(ops);
    };
    const first = install(behindNat(1, 61_000));
    expect([to(), to(first)]).toEqual([0x2001, 0x2001]);
    const second = install(behindNat(2, 62_000));
    expect(second).not.toBe(first);
    expect(ledger.neighbours(behindNat(3, 63_000))).toEqual([]);
    expect([to(first), to(second), to(), to(first | 1)]).toEqual([0x2001, 0x2002, 'drop', 0x2001]);
    // A rekeyed child, and one whose port has moved, are still of the same host.
    expect(install(behindNat(4, 61_000))).toBe(first);
    kernel.applySync(ledger.move(behindNat(4, 64_000)));
    expect(install(behindNat(5, 64_000))).toBe(first);
    expect([to(first), to(second)]).toEqual([0x2005, 0x2002]);
    for (const id of [1, 4, 5]) kernel.applySync(ledger.remove(behindNat(id, 64_000)));
    expect([to(), to(second), to(first)]).toEqual([0x2002, 0x2002, 0x2002]);
    kernel.applySync(ledger.remove(behindNat(2, 62_000)));
    expect(kernel.snapshotSync().states).toEqual([]);
    expect(kernel.snapshotSync().policies.some((p) => p.mark || p.template)).toBe(false);
  });

  test('a packet out of the SA of one of them meets the policy about its mark', () => {
    const { kernel } = host();
    const ledger = new KernelLedger({ marks: true });
    for (const [id, port] of [
      [1, 61_000],
      [2, 62_000],
    ] as const) {
      kernel.applySync(ledger.install(behindNat(id, port), 'both'));
    }
    expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1001 } })).toBe('accept');
    expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1002 } })).toBe('accept');
    expect(kernel.inbound(from(peer))).toBe('drop');
  });
});

test('without ESN a state ends before its sequence numbers do (RFC 4303 §3.3.3)', () => {
  const { ledger } = host();
  const lifetimes = ledger
    .install({ ...child(1), esn: false }, 'both')
    .flatMap((op) => (op.op === 'addState' ? [op.state.lifetime?.hardPackets] : []));
  expect(lifetimes).toEqual([0xffff_ffffn, 0xffff_ffffn]);
});

test('the inbound part alone sends nothing through the SA and still takes packets without it', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'inbound'));
  expect(kernel.outbound(local, peer)).toBe('clear');
  expect(kernel.inbound(from(peer))).toBe('accept');
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1001 } })).toBe('accept');
});

test('once both parts stand, packets without ESP are refused', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'inbound'));
  kernel.applySync(ledger.install(child(1), 'outbound'));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2001 });
  expect(kernel.inbound(from(peer))).toBe('drop');
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1001 } })).toBe('accept');
  expect(kernel.inbound(from(other))).toBe('accept');
});

test('packets of one pair do not pass with the SA of another', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install({ ...child(1), mode: 'tunnel' }, 'both'));
  kernel.applySync(ledger.install({ ...child(2), mode: 'tunnel', peer: other }, 'both'));
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1002 } })).toBe('drop');
  expect(kernel.inbound({ ...from(other), esp: { spi: 0x1002 } })).toBe('accept');
});

test('a rekeyed pair sends through the newer child and takes packets of both', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'both'));
  const ops = ledger.install(child(2), 'both');
  // The inbound policy stays; the outbound one is replaced at once.
  expect(ops.map(brief)).toEqual(['+state in 0x1002', '+state out 0x2002', '+out']);
  kernel.applySync(ops);
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2002 });
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1001 } })).toBe('accept');
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1002 } })).toBe('accept');
});

test('a responder that has the inbound part of a rekeyed child sends through the older one', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'both'));
  kernel.applySync(ledger.install(child(2), 'inbound'));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2001 });
  kernel.applySync(ledger.install(child(2), 'outbound'));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2002 });
});

test('when the newer of two children goes, the older one carries on', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'both'));
  kernel.applySync(ledger.install(child(2), 'both'));
  const ops = ledger.remove(child(2));
  expect(ops.map(brief)).toEqual(['+out', '-state 0x2002', '-state 0x1002']);
  kernel.applySync(ops);
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2001 });
});

test('when the last child goes, so do the policies, and before the states', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'both'));
  const ops = ledger.remove(child(1));
  expect(ops.map(brief)).toEqual(['-in', '-out', '-state 0x2001', '-state 0x1001']);
  kernel.applySync(ops);
  const { states, policies } = kernel.snapshotSync();
  expect(states).toEqual([]);
  expect(policies.filter((p) => p.template)).toEqual([]);
  expect(kernel.outbound(local, peer)).toBe('clear');
});

test('a child that the kernel refused takes nothing of another with it', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'both'));
  // The peer has chosen for its second child the SPI of its first.
  const second = { ...child(2), outbound: child(1).outbound };
  expect(() => {
    kernel.applySync(ledger.install(second, 'both'));
  }).toThrow(KernelError);
  kernel.applySync(ledger.remove(second));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2001 });
  expect(kernel.snapshotSync().states.map((s) => s.spi)).toEqual([0x1001, 0x2001]);
});

test('removing what was never installed asks for no more than its states', () => {
  const { ledger } = host();
  expect(ledger.remove(child(1)).map(brief)).toEqual(['-state 0x2001', '-state 0x1001']);
});

test('a private peer is blocked before its SA, through it protected, and blocked after it', () => {
  const { ledger, kernel } = host([rule('198.18.2.0/24', 'private')]);
  expect(kernel.outbound(local, peer)).toBe('drop');
  expect(kernel.inbound(from(peer))).toBe('drop');
  kernel.applySync(ledger.install(child(1), 'inbound'));
  expect(kernel.outbound(local, peer)).toBe('drop');
  expect(kernel.inbound(from(peer))).toBe('drop');
  expect(kernel.inbound({ ...from(peer), esp: { spi: 0x1001 } })).toBe('accept');
  kernel.applySync(ledger.install(child(1), 'outbound'));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: 0x2001 });
  kernel.applySync(ledger.remove(child(1)));
  expect(kernel.outbound(local, peer)).toBe('drop');
});

test('a rule that comes while an SA is half there closes the door at once', () => {
  const { ledger, kernel } = host();
  kernel.applySync(ledger.install(child(1), 'inbound'));
  kernel.applySync(ledger.setRules([rule('198.18.2.10', 'private')]));
  expect(kernel.inbound(from(peer))).toBe('drop');
  expect(kernel.outbound(local, peer)).toBe('drop');
});

test('from rules to rules only what differs is touched', () => {
  const { ledger } = host([rule('198.18.2.0/24', 'private'), rule('198.18.3.1', 'private')]);
  expect(ledger.setRules([rule('198.18.2.0/24', 'private'), rule('198.18.3.1', 'private')])).toEqual([]);
  const ops = ledger.setRules([rule('198.18.2.0/24', 'private'), rule('198.18.4.1', 'private')]);
  expect(ops.map(brief)).toEqual(['+out', '+in', '+fwd', '-out', '-in', '-fwd']);
});

test('a normal stop leaves nothing, blocks going last', () => {
  const { ledger, kernel } = host([rule('198.18.2.0/24', 'private'), rule('198.18.3.0/24', 'clear')]);
  kernel.applySync(ledger.install(child(1), 'both'));
  kernel.applySync(ledger.install({ ...child(2), mode: 'tunnel', peer: other }, 'both'));
  const ops = ledger.removeAll();
  const priorities = ops.flatMap((op) =>
    op.op === 'removePolicy' && 'priority' in op.policy ? [op.policy.priority] : [],
  );
  expect(priorities.at(-1)).toBe(Priority.block);
  kernel.applySync(ops);
  expect(kernel.snapshotSync()).toEqual({ states: [], policies: [] });
});

test('after a crash the next agent removes the SAs and keeps the blocks until it has its own rules', () => {
  const rules = [rule('198.18.2.0/24', 'private'), rule('198.18.5.0/24', 'private')];
  const { ledger: crashed, kernel } = host(rules);
  kernel.applySync(crashed.install(child(1), 'both'));
  kernel.allocateSpiSync(local, peer);
  const ledger = new KernelLedger();
  kernel.applySync(ledger.leftovers(kernel.snapshotSync()));
  expect(kernel.snapshotSync().states).toEqual([]);
  expect(kernel.outbound(local, peer)).toBe('drop');
  const ops = ledger.setRules([rule('198.18.2.0/24', 'private')]);
  expect(ops.map(brief)).toEqual(['-out', '-in', '-fwd']);
  kernel.applySync(ops);
  expect(kernel.outbound(local, peer)).toBe('drop');
  expect(kernel.outbound(local, address('198.18.5.1'))).toBe('clear');
});

test('leftovers of others are none of ours', () => {
  const { kernel } = host();
  const [policy] = new KernelLedger()
    .install(child(1), 'both')
    .flatMap((op) => (op.op === 'addPolicy' ? [op.policy] : []));
  if (!policy) throw new Error('no policy');
  kernel.addForeignPolicy({ ...policy, priority: 1000 });
  expect(new KernelLedger().leftovers(kernel.snapshotSync())).toEqual([]);
});

test('each pair has a reqid of its own, in our band and not that of reserved SPIs', () => {
  const { ledger } = host();
  const reqids = Array.from({ length: 300 }, (_, i) => {
    const [op] = ledger.install({ ...child(i), peer: address(`198.18.${i >> 8}.${i & 255}`) }, 'both');
    return op?.op === 'addState' ? op.state.reqid : 0;
  });
  expect(new Set(reqids).size).toBe(300);
  expect(Math.min(...reqids)).toBe(bandFirst + 1);
  expect(Math.max(...reqids)).toBeLessThanOrEqual(bandLast);
});

test('whatever happens in whatever order: no half pairs, no policy without its SA, nothing private in the clear', () => {
  const peers = [peer, other, address('198.18.9.9'), address('2001:2:0:2::10')];
  const step = fc.record({
    what: fc.constantFrom('install', 'inbound', 'outbound', 'remove', 'rules', 'refuse', 'crash'),
    which: fc.nat(7),
    groups: fc.array(fc.constantFrom('private', 'clear', 'block', undefined), { minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const kernel = new FakeKernel({ random: seeded(7) });
      let ledger = new KernelLedger();
      let rules: StandingRule[] = [];
      const children = new Map<number, { child: InstallableChild; inbound: boolean; outbound: boolean }>();
      const mine = (which: number): InstallableChild => {
        const remote = peers[which & 3] ?? peer;
        const here = remote.family === 4 ? local : address('2001:2:0:1::2');
        return { ...child(which + 1), local: here, peer: remote, mode: which > 5 ? 'tunnel' : 'transport' };
      };
      kernel.applySync(ledger.setRules(rules));
      for (const { what, which, groups } of steps) {
        const it = mine(which);
        const before = children.get(which) ?? { child: it, inbound: false, outbound: false };
        switch (what) {
          case 'install':
            kernel.applySync(ledger.install(it, 'both'));
            children.set(which, { child: it, inbound: true, outbound: true });
            break;
          case 'inbound':
            kernel.applySync(ledger.install(it, 'inbound'));
            children.set(which, { ...before, inbound: true });
            break;
          case 'outbound':
            if (!before.inbound) break;
            kernel.applySync(ledger.install(it, 'outbound'));
            children.set(which, { ...before, outbound: true });
            break;
          case 'remove':
            kernel.applySync(ledger.remove(it));
            children.delete(which);
            break;
          case 'rules':
            rules = peers.flatMap((p, i) => {
              const group = groups[i];
              return group ? [{ prefix: { address: p, length: p.octets.length * 8 }, group }] : [];
            });
            kernel.applySync(ledger.setRules(rules));
            break;
          case 'refuse': {
            // An SPI that another's state has: the kernel refuses, the agent removes.
            const clash = { ...mine(which), id: 100, inbound: { ...it.inbound, spi: 0x99 } };
            expect(() => {
              kernel.applySync(ledger.install(clash, 'both'));
            }).toThrow(KernelError);
            kernel.applySync(ledger.remove(clash));
            break;
          }
          case 'crash':
            ledger = new KernelLedger();
            kernel.applySync(ledger.leftovers(kernel.snapshotSync()));
            holds(kernel, new Map(), rules);
            kernel.applySync(ledger.setRules(rules));
            children.clear();
            break;
          default:
            what satisfies never;
        }
        holds(kernel, children, rules);
      }
      kernel.applySync(ledger.removeAll());
      expect(kernel.snapshotSync()).toEqual({ states: [], policies: [] });
    }),
    { numRuns: 300, seed: 20_261_124 },
  );
});

function holds(
  kernel: FakeKernel,
  children: ReadonlyMap<number, { child: InstallableChild; inbound: boolean; outbound: boolean }>,
  rules: readonly StandingRule[],
): void {
  const { states, policies } = kernel.snapshotSync();
  const expected = [...children.values()].flatMap(({ child: c, inbound, outbound }) => [
    ...(inbound ? [c.inbound.spi] : []),
    ...(outbound ? [c.outbound.spi] : []),
  ]);
  expect(states.map((s) => s.spi).sort()).toEqual(expected.sort());
  for (const { template, direction } of policies) {
    if (template === undefined) continue;
    const served = states.filter((s) => s.reqid === template.reqid && s.mode === template.mode);
    expect(direction !== 'out' || served.some((s) => s.spi === template.spi)).toBe(true);
    expect(served.length).toBeGreaterThan(0);
  }
  for (const { prefix, group } of rules) {
    if (group === 'clear') continue;
    const here = prefix.address.family === 4 ? local : address('2001:2:0:1::2');
    expect(kernel.outbound(here, prefix.address)).not.toBe('clear');
    expect(kernel.inbound({ source: prefix.address, destination: here })).toBe('drop');
  }
}

function host(rules: readonly StandingRule[] = []): { ledger: KernelLedger; kernel: FakeKernel } {
  const ledger = new KernelLedger();
  const kernel = new FakeKernel({ random: seeded(3) });
  kernel.applySync(ledger.setRules(rules));
  return { ledger, kernel };
}

function child(id: number): InstallableChild {
  const half = (spi: number): InstallableChild['inbound'] => ({
    spi,
    encryptionKey: new Uint8Array(36).fill(spi & 0xff),
  });
  return {
    id,
    local,
    peer,
    mode: 'transport',
    suite: { encr: 20, keyBits: 256 },
    esn: true,
    inbound: half(0x1000 + id),
    outbound: half(0x2000 + id),
  };
}

describe('after events were lost:', () => {
  test('nothing is to be done where the kernel has what it should have', () => {
    const { kernel, ledger } = host();
    kernel.applySync(ledger.install(child(1), 'both'));
    kernel.applySync(ledger.install(child(2), 'inbound'));
    kernel.allocateSpiSync(local, peer);
    expect(ledger.compare(kernel.snapshotSync())).toEqual({ lost: [], ops: [] });
  });

  test('a child that has lost a state is named, policies come back, and states that nobody knows go', () => {
    const { kernel, ledger } = host();
    kernel.applySync(ledger.install(child(1), 'both'));
    kernel.applySync(ledger.install(child(2), 'both'));
    const { policies } = kernel.snapshotSync();
    kernel.applySync([
      { op: 'removeState', state: { destination: peer, spi: 0x2001 } },
      ...policies.map((policy): KernelOp => ({ op: 'removePolicy', policy })),
    ]);
    const other = new KernelLedger();
    kernel.applySync(other.install(child(9), 'inbound').filter((o) => o.op === 'addState'));
    const { lost, ops } = ledger.compare(kernel.snapshotSync());
    expect(lost.map((l) => l.spi)).toEqual([0x1001]);
    expect(ops.filter((o) => o.op === 'removeState').map(brief)).toEqual(['-state 0x1009']);
    kernel.applySync(ops);
    expect(kernel.snapshotSync().policies).toHaveLength(policies.length);
    expect(ledger.compare(kernel.snapshotSync()).ops).toEqual([]);
  });

  test('what is said to the kernel meanwhile makes a snapshot too old to be compared', () => {
    const { ledger } = host();
    const before = ledger.version;
    ledger.install(child(1), 'both');
    expect(ledger.version).not.toBe(before);
  });
});

test('the kernel asks for new keys within the hour, and before the limits end the states', () => {
  const { ledger } = host();
  for (const op of ledger.install(child(1), 'both')) {
    if (op.op !== 'addState') continue;
    const { softSeconds = 0, hardSeconds = 0, softOctets = 0n, hardOctets = 0n } = op.state.lifetime ?? {};
    expect(softSeconds > 2_800 && softSeconds < 3_600 && hardSeconds > 3_600).toBe(true);
    expect(softOctets > 0n && softOctets < hardOctets).toBe(true);
  }
});

function behindNat(
  id: number,
  peerPort: number,
  hidden: 'local' | 'peer' | 'both' = 'peer',
): InstallableChild {
  return { ...child(id), encapsulation: { localPort: 4500, peerPort, hidden } };
}

function brief(op: KernelOp): string {
  switch (op.op) {
    case 'addState':
      return `+state ${op.state.direction} 0x${op.state.spi.toString(16)}`;
    case 'changeState':
      return `~state ${op.state.direction} 0x${op.state.spi.toString(16)}`;
    case 'removeState':
      return `-state 0x${op.state.spi.toString(16)}`;
    case 'addPolicy':
      return `+${op.policy.direction}`;
    case 'removePolicy':
      return `-${op.policy.direction}`;
    default:
      return op satisfies never;
  }
}

function from(source: IpAddress): { source: IpAddress; destination: IpAddress } {
  return { source, destination: local };
}

function rule(text: string, group: StandingRule['group']): StandingRule {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(text);
  return { prefix, group };
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

test('THREATS A.19: a child with the SPI of another of the same peer takes nothing along when it goes', () => {
  const { ledger, kernel } = host();
  const second = address('198.18.1.3');
  const first = child(1);
  kernel.applySync(ledger.install(first, 'both'));
  // The peer reaches us at two addresses and says the same SPI again.
  const again = { ...child(2), local: second, outbound: { ...child(2).outbound, spi: first.outbound.spi } };
  const ops = ledger.install(again, 'both');
  expect(() => {
    kernel.applySync(ops);
  }).toThrow(KernelError);
  kernel.applySync(ledger.remove(again, true));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: first.outbound.spi });
});

test('a child that was installed while the kernel refused the one before it keeps its policies', () => {
  const { ledger, kernel } = host();
  const taken = { ...child(1), local: address('198.18.1.3') };
  kernel.applySync(ledger.install(taken, 'both'));
  const bad = { ...child(2), outbound: { ...child(2).outbound, spi: taken.outbound.spi } };
  const first = ledger.install(bad, 'both');
  const second = ledger.install(child(3), 'both');
  expect(() => {
    kernel.applySync(first);
  }).toThrow(KernelError);
  kernel.applySync(second);
  kernel.applySync(ledger.remove(bad, true));
  expect(kernel.outbound(local, peer)).toMatchObject({ esp: child(3).outbound.spi });
  expect(kernel.inbound(from(peer))).toBe('drop');
});
