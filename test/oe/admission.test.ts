import { expect, test } from 'vitest';
import type { ChildSa, PeerAuth } from '../../src/ike/child.ts';
import { unproved } from '../../src/oe/admission.ts';
import type { Group, Policy, Stance } from '../../src/oe/policy.ts';
import { childTo, key, policyWith } from './stage.ts';

const anonymous: PeerAuth = { kind: 'anonymous' };
const proved: PeerAuth = { kind: 'key', key: key(1) };

test('a peer that begins must bring what the rule for its address requires', () => {
  const cases: readonly (readonly [
    Group,
    Stance | undefined,
    PeerAuth,
    postQuantum: boolean,
    taken: boolean,
  ])[] = [
    ['clear-or-private', undefined, anonymous, false, true],
    ['clear-or-private', 'anonymous', anonymous, false, true],
    ['clear-or-private', 'authenticated', anonymous, false, false],
    ['clear-or-private', 'authenticated', proved, false, true],
    ['clear-or-private', 'post-quantum', proved, false, false],
    ['clear-or-private', 'post-quantum', proved, true, true],
    ['clear-or-private', 'post-quantum', anonymous, true, false],
    ['private', undefined, anonymous, true, false],
    ['private', undefined, proved, false, true],
    ['private', 'anonymous', anonymous, false, true],
    ['private', 'post-quantum', proved, false, false],
    ['private', 'post-quantum', proved, true, true],
  ];
  for (const [group, require, peerAuth, postQuantum, taken] of cases) {
    const child: ChildSa = { ...childTo('10.0.0.7', peerAuth), keyExchange: { methods: [], postQuantum } };
    const why = unproved(policyFor(group, require), child);
    expect([group, require, peerAuth.kind, postQuantum, why === undefined]).toEqual([
      group,
      require,
      peerAuth.kind,
      postQuantum,
      taken,
    ]);
  }
});

test('an SA that does not tell how its keys were agreed on counts as one without ML-KEM', () => {
  expect(unproved(policyFor('private', 'post-quantum'), childTo('10.0.0.7', proved))).toContain('ML-KEM');
});

test('outside of the prefix nothing is required', () => {
  expect(unproved(policyFor('private', 'post-quantum'), childTo('11.0.0.7', anonymous))).toBeUndefined();
});

function policyFor(group: Group, require: Stance | undefined): Policy {
  const policy = policyWith([['10.0.0.0/8', group]]);
  return { ...policy, rules: policy.rules.map((r) => ({ ...r, ...(require !== undefined && { require }) })) };
}
