import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  admits,
  admitsPeer,
  asksForKeys,
  begins,
  decide,
  decideFor,
  decideInbound,
  groups,
  mayProtect,
  parseMatch,
} from '../../src/oe/policy.ts';
import { address, name, policyWith } from './stage.ts';

test('the first rule that matches the name or the address decides', () => {
  const policy = policyWith([
    ['www.example.org', 'clear'],
    ['*.example.org', 'private'],
    ['198.18.2.0/24', 'block'],
  ]);
  expect(decide(policy, name('www.example.org'), undefined).group).toBe('clear');
  expect(decide(policy, name('mail.example.org'), undefined).group).toBe('private');
  expect(decide(policy, name('example.org'), undefined).group).toBe('private-or-clear');
  expect(decide(policy, name('other.example'), address('198.18.2.7')).group).toBe('block');
  expect(decide(policy, name('mail.example.org'), undefined).why).toBe('rule 2 (*.example.org) says private');
});

test('a rule by prefix that is stricter wins over one by name, in whatever order, and the other way round', () => {
  for (const flip of [false, true]) {
    const rules = [
      ['www.example.org', 'clear'],
      ['198.18.2.0/24', 'private'],
      ['bank.example.org', 'private'],
      ['198.18.3.0/24', 'clear'],
    ] as const;
    const policy = policyWith(flip ? [...rules].reverse() : rules);
    const group = (host: string, at: string): string => decide(policy, name(host), address(at)).group;
    expect(group('www.example.org', '198.18.2.1')).toBe('private');
    expect(group('www.example.org', '198.18.9.1')).toBe('clear');
    expect(group('bank.example.org', '198.18.3.1')).toBe('private');
    expect(group('other.example', '198.18.3.1')).toBe('clear');
    const { why } = decide(policy, name('www.example.org'), address('198.18.2.1'));
    expect(why).toMatch(
      /^rule \d \(198.18.2.0\/24\) says private, which is stricter than rule \d \(www.example.org\)$/,
    );
  }
});

test('where neither insists the first in the list decides, and * only where nothing before it matches', () => {
  const policy = policyWith([
    ['198.18.2.0/24', 'clear'],
    ['www.example.org', 'private-or-clear'],
    ['*', 'private'],
  ]);
  expect(decide(policy, name('www.example.org'), address('198.18.2.1')).group).toBe('clear');
  expect(decide(policy, name('other.example'), address('198.18.2.1')).group).toBe('clear');
  expect(decide(policy, name('www.example.org'), address('198.18.3.1')).group).toBe('private-or-clear');
  expect(decide(policy, name('other.example'), address('198.18.3.1')).group).toBe('private');
});

test('an alias gets around no rule of the name that it leads to, and makes nothing clear', () => {
  const policy = policyWith([
    ['bank.example', 'private'],
    ['shop.example', 'clear'],
  ]);
  const group = (asked: string, target: string): string =>
    decideFor(policy, [name(asked)], undefined, [name(target)]).group;
  expect(group('www.example.org', 'bank.example')).toBe('private');
  expect(group('shop.example', 'bank.example')).toBe('private');
  expect(group('bank.example', 'shop.example')).toBe('private');
  expect(group('www.example.org', 'shop.example')).toBe('private-or-clear');
});

test('a role says who begins, and of two rules the higher stance counts', () => {
  const base = policyWith([
    ['198.18.2.0/24', 'private'],
    ['www.example.org', 'private'],
  ]);
  const rules = base.rules.map((r, i) =>
    i === 0 ? { ...r, role: 'server' as const, require: 'post-quantum' as const } : r,
  );
  const policy = { ...base, rules };
  const inbound = decideInbound(policy, address('198.18.2.1'));
  expect([admits(inbound), begins(inbound)]).toEqual([true, false]);
  const both = decide(policy, name('www.example.org'), address('198.18.2.1'));
  expect([both.rule?.place, both.require, begins(both)]).toEqual([2, 'post-quantum', true]);
});

test('*.example.org is every name below, not example.org itself and not badexample.org', () => {
  const policy = policyWith([['*.example.org', 'private']]);
  expect(decide(policy, name('a.b.example.org'), undefined).group).toBe('private');
  expect(decide(policy, name('example.org'), undefined).group).toBe('private-or-clear');
  expect(decide(policy, name('badexample.org'), undefined).group).toBe('private-or-clear');
});

test('for a peer that begins only rules by prefix and the inbound default count', () => {
  const policy = policyWith([
    ['*.example.org', 'block'],
    ['198.18.2.0/24', 'clear'],
  ]);
  expect(decideInbound(policy, address('198.18.2.7')).group).toBe('clear');
  expect(decideInbound(policy, address('198.18.3.7')).group).toBe('clear-or-private');
});

test('what is neither a name nor an address nor a prefix matches nothing', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/24',
    'a..b',
    '2001:db8::/129',
    '*.*.org/8',
    '300.1.1.1',
  ]) {
    expect(parseMatch(text), text).toBeUndefined();
  }
});

test('a lookup asks for keys exactly when some address of it could be protected', () => {
  const group = fc.constantFrom(...groups);
  fc.assert(
    fc.property(group, group, group, (byName, byPrefix, outbound) => {
      const policy = policyWith(
        [
          ['www.example.org', byName],
          ['198.18.2.0/24', byPrefix],
        ],
        outbound,
      );
      const host = name('www.example.org');
      const decided = [undefined, address('198.18.2.1'), address('198.18.9.1')].map(
        (a) => decide(policy, host, a).group,
      );
      expect(mayProtect(policy, host)).toBe(decided.some(asksForKeys));
    }),
  );
});

test('clear and block admit no peer that begins, the others do', () => {
  expect(groups.filter(admitsPeer)).toEqual(['clear-or-private', 'private-or-clear', 'private']);
});
