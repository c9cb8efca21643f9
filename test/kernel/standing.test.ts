import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Priority } from '../../src/kernel/bands.ts';
import { covers, policyKey, within, type Flow } from '../../src/kernel/policies.ts';
import type { Policy } from '../../src/kernel/port.ts';
import { standingGroup, standingPolicies, type StandingRule } from '../../src/kernel/standing.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { hostPrefix, parsePrefix } from '../../src/net/prefix.ts';

test('with no rules neighbour discovery passes, and that is all there is', () => {
  const policies = standingPolicies([]);
  expect(policies.map((p) => p.icmpType)).toEqual([133, 133, 134, 134, 135, 135, 136, 136, 137, 137]);
});

test('the first rule of a list decides, whichever is wider', () => {
  const narrow = [rule('10.1.0.0/16', 'clear'), rule('10.0.0.0/8', 'private')];
  expect(fate(narrow, '10.1.2.3')).toBe('clear');
  expect(fate(narrow, '10.2.2.3')).toBe('drop');
  expect(fate([...narrow].reverse(), '10.1.2.3')).toBe('drop');
  const wide = [rule('10.1.0.0/16', 'private'), rule('10.0.0.0/8', 'clear'), rule('0.0.0.0/0', 'block')];
  expect(fate(wide, '10.1.2.3')).toBe('drop');
  expect(fate(wide, '10.2.2.3')).toBe('clear');
  expect(fate(wide, '11.2.2.3')).toBe('drop');
});

test('a prefix that is open inside a private one passes, below the policies of SAs', () => {
  const rules = [rule('10.1.0.0/16', 'open'), rule('10.0.0.0/8', 'private')];
  expect(fate(rules, '10.1.2.3')).toBe('clear');
  const open = standingPolicies(rules).find((p) => p.direction === 'out' && p.destination.length === 16);
  expect(open?.priority).toBeGreaterThan(Priority.protect);
});

test('clear stands above the policies of SAs', () => {
  const [clear] = standingPolicies([rule('10.1.0.0/16', 'clear')]).filter((p) => p.destination.length === 16);
  expect(clear?.priority).toBeLessThan(Priority.protect);
});

test('where everything is blocked, loopback, the local link, multicast and DHCP still pass', () => {
  const rules = [rule('0.0.0.0/0', 'private'), rule('::/0', 'private')];
  for (const text of [
    '127.0.0.1',
    '169.254.1.1',
    '224.0.0.251',
    '255.255.255.255',
    '::1',
    'fe80::1',
    'ff02::1',
  ]) {
    expect(fate(rules, text)).toBe('clear');
  }
  expect(fate(rules, '192.168.1.1', { protocol: 17, sourcePort: 68, destinationPort: 67 })).toBe('clear');
  expect(fate(rules, '192.168.1.1', { protocol: 17, sourcePort: 68, destinationPort: 53 })).toBe('drop');
  expect(fate(rules, '2001:db8::1', { protocol: 58, icmpType: 135 })).toBe('clear');
  expect(fate(rules, '2001:db8::1', { protocol: 58, icmpType: 128 })).toBe('drop');
});

test('no range is opened that nothing blocks', () => {
  expect(standingPolicies([rule('10.0.0.0/8', 'private')]).some((p) => p.source.length === 4)).toBe(false);
});

test('inside what an earlier rule covers, a rule adds nothing', () => {
  const wide = standingPolicies([rule('10.0.0.0/8', 'private')]);
  expect(standingPolicies([rule('10.0.0.0/8', 'private'), rule('10.1.0.0/16', 'clear')])).toEqual(wide);
});

test('thousands of private hosts share one priority, so that one more changes no other', () => {
  const hosts = Array.from({ length: 5000 }, (_, i) => rule(`10.1.${i >> 8}.${i & 255}`, 'private'));
  const policies = standingPolicies(hosts).filter((p) => p.action === 'block');
  expect(policies).toHaveLength(15_000);
  expect(new Set(policies.map((p) => p.priority))).toEqual(new Set([Priority.block]));
});

test('in any list, the policies do with any address what its first rule says', () => {
  const rules = fc.array(
    fc.record({
      octets: fc.tuple(fc.constantFrom(10, 11), fc.nat(1), fc.nat(1), fc.nat(3)),
      length: fc.constantFrom(0, 7, 8, 16, 24, 31, 32),
      group: fc.constantFrom('clear', 'open', 'private', 'block'),
    }),
    { maxLength: 8 },
  );
  const packets = fc.tuple(fc.constantFrom(10, 11), fc.nat(1), fc.nat(1), fc.nat(3));
  fc.assert(
    fc.property(rules, packets, (list, packet) => {
      const all = list.map(({ octets, length, group }) => rule(`${masked(octets, length)}/${length}`, group));
      const group = standingGroup(all, address(packet.join('.')));
      const expected = group === 'private' || group === 'block' ? 'drop' : 'clear';
      expect(fate(all, packet.join('.'))).toBe(expected);
      const keys = standingPolicies(all).map(policyKey);
      expect(new Set(keys).size).toBe(keys.length);
    }),
    { numRuns: 500 },
  );
});

test('what is excepted passes beside SAs, the rest of the prefix does not pass at all', () => {
  const rules = [portion('10.0.0.0/8', 22, 'there'), rule('10.0.0.0/8', 'private')];
  expect(fate(rules, '10.1.2.3', { sourcePort: 40_000, destinationPort: 22 })).toBe('clear');
  expect(fate(rules, '10.1.2.3', { sourcePort: 22, destinationPort: 40_000 })).toBe('drop');
  expect(fate(rules, '10.1.2.3', { protocol: 17, destinationPort: 22 })).toBe('drop');
  expect(standingGroup(rules, address('10.1.2.3'))).toBe('private');
  const tcp = standingPolicies(rules).filter((p) => p.protocol === 6);
  expect(tcp.map((p) => [p.direction, p.sourcePort, p.destinationPort])).toEqual([
    ['out', undefined, 22],
    ['in', 22, undefined],
    ['fwd', 22, undefined],
  ]);
  expect(tcp.every((p) => p.priority < Priority.protect)).toBe(true);
});

test('a host that an earlier rule blocks has no part in the exceptions of a wider one', () => {
  const rules = [
    rule('10.1.2.3', 'private'),
    portion('10.0.0.0/8', 22, 'there'),
    rule('10.0.0.0/8', 'private'),
  ];
  const ssh = { sourcePort: 40_000, destinationPort: 22 };
  expect(fate(rules, '10.1.2.3', ssh)).toBe('drop');
  expect(fate(rules, '10.1.2.4', ssh)).toBe('clear');
});

test('a portion that stands behind an open prefix still comes before what is blocked within its own', () => {
  const rules = [
    rule('10.0.0.0/24', 'open'),
    portion('10.0.0.0/8', 22, 'here'),
    rule('10.1.1.0/24', 'private'),
    rule('10.1.2.3', 'private'),
  ];
  for (const to of ['10.1.1.0', '10.1.2.3']) {
    expect(fate(rules, to, { sourcePort: 22, destinationPort: 22 })).toBe('clear');
    expect(fate(rules, to, { sourcePort: 80, destinationPort: 22 })).toBe('drop');
  }
});

test('in any list with portions, the policies do with any packet what the first rule about it says', () => {
  const rules = fc.array(
    fc.record({
      octets: fc.tuple(fc.constant(10), fc.nat(1), fc.nat(1), fc.nat(1)),
      length: fc.constantFrom(8, 16, 24, 32),
      group: fc.constantFrom('clear', 'open', 'private', 'block'),
      end: fc.constantFrom(undefined, 'here', 'there'),
    }),
    { maxLength: 8 },
  );
  const packets = fc.tuple(fc.constant(10), fc.nat(1), fc.nat(1), fc.nat(1));
  const ports = fc.tuple(fc.constantFrom(22, 80), fc.constantFrom(22, 80));
  fc.assert(
    fc.property(rules, packets, ports, (list, packet, [sourcePort, destinationPort]) => {
      const all = list.map(({ octets, length, group, end }) => {
        const text = `${masked(octets, length)}/${length}`;
        return end === undefined ? rule(text, group) : portion(text, 22, end);
      });
      const ends = { here: sourcePort, there: destinationPort };
      const to = hostPrefix(address(packet.join('.')));
      const first = list.find(
        ({ end }, i) => within(to, all[i]?.prefix ?? to) && (end === undefined || ends[end] === 22),
      );
      const blocks = first?.end === undefined && (first?.group === 'private' || first?.group === 'block');
      expect(fate(all, packet.join('.'), { sourcePort, destinationPort })).toBe(blocks ? 'drop' : 'clear');
    }),
    { numRuns: 500 },
  );
});

/** What the policies do with a packet to the address; the lowest number decides. */
function fate(rules: readonly StandingRule[], to: string, more: Partial<Flow> = {}): 'clear' | 'drop' {
  const destination = address(to);
  const source = address(destination.family === 4 ? '192.0.2.1' : '2001:db8:1::1');
  const flow: Flow = { source, destination, protocol: 6, ...more };
  const matching = standingPolicies(rules).filter((p) => p.direction === 'out' && covers(p, flow));
  const decisive = matching.reduce<Policy | undefined>(
    (best, p) => (!best || p.priority < best.priority ? p : best),
    undefined,
  );
  return decisive?.action === 'block' ? 'drop' : 'clear';
}

function masked(octets: readonly number[], length: number): string {
  return octets.map((o, i) => o & (0xff << (8 - Math.min(8, Math.max(0, length - i * 8)))) & 0xff).join('.');
}

function rule(text: string, group: StandingRule['group']): StandingRule {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(text);
  return { prefix, group };
}

function portion(text: string, port: number, end: 'here' | 'there'): StandingRule {
  const only = { protocol: 6, port, here: end === 'here', there: end === 'there' };
  return { ...rule(text, 'clear'), only };
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}
