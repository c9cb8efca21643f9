import { expect, test } from 'vitest';
import { encodeIpseckey } from '../../src/dns/ipseckey.ts';
import { Class, Type } from '../../src/dns/types.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import type { KeyContext } from '../../src/oe/plan.ts';
import { keysFrom, keysPerName, planOf } from '../../src/oe/plan.ts';
import { address, insecure, key, keyRecord, keySet, name, policyWith, secure } from './stage.ts';

const host = 'www.example.org';
const here: KeyContext = { owners: [name(host)], addresses: [address('198.18.2.10')], evidence: new Map() };

test('keys are tried in order of precedence, ties in the order of the answer', () => {
  const records = [keyRecord(key(3), { kind: 'none' }, 20), keyRecord(key(1)), keyRecord(key(2))];
  const finding = keysFrom(name(host), secure(keySet(host, records)).verdict, here);
  expect(finding.kind === 'usable' && finding.choice.chosen.map((c) => c.key)).toEqual([
    key(1),
    key(2),
    key(3),
  ]);
});

test('THREATS A.12: of a thousand keys sixteen are used, and the same key counts once', () => {
  const many = Array.from({ length: 1_000 }, (_, i) =>
    keyRecord({
      kind: 'eddsa',
      curve: 'Ed25519',
      point: new Uint8Array(32).map((_, j) => (j < 2 ? i >> (8 * j) : 1)),
    }),
  );
  const finding = keysFrom(name(host), secure(keySet(host, many)).verdict, here);
  expect(finding.kind === 'usable' && finding.choice.chosen).toHaveLength(keysPerName);
  const same = keysFrom(
    name(host),
    secure(keySet(host, [keyRecord(key(1)), keyRecord(key(1), { kind: 'none' }, 20)])).verdict,
    here,
  );
  expect(same.kind === 'usable' && same.choice.chosen).toHaveLength(1);
  expect(same.kind === 'usable' && same.choice.passed[0]?.why).toContain('the same key');
});

test('THREATS A.10: the key of another host as gateway is passed over, with the reason', () => {
  const record = keyRecord(key(1), { kind: 'address', address: address('198.18.2.99') });
  const finding = keysFrom(name(host), secure(keySet(host, [record])).verdict, here);
  expect(finding).toMatchObject({
    kind: 'none',
    reason: { code: 'key-unusable', why: expect.stringContaining('198.18.2.99') as string },
  });
});

test('a gateway that is the host itself, by address or by name, is as good as none', () => {
  for (const gateway of [
    { kind: 'address', address: address('198.18.2.10') },
    { kind: 'name', name: name(host) },
  ] as const) {
    const finding = keysFrom(name(host), secure(keySet(host, [keyRecord(key(1), gateway)])).verdict, here);
    expect(finding.kind).toBe('usable');
  }
});

test('a gateway of the other family is looked for under the name of the host', () => {
  const record = keyRecord(key(1), { kind: 'address', address: address('2001:2::10') });
  const { verdict } = secure(keySet(host, [record]));
  expect(keysFrom(name(host), verdict, here)).toMatchObject({
    kind: 'wanting',
    wanted: [{ name: name(host), type: Type.AAAA }],
  });
  const evidence = new Map([[`${Type.AAAA}:${name(host)}`, [address('2001:2::10')]]]);
  expect(keysFrom(name(host), verdict, { ...here, evidence }).kind).toBe('usable');
});

test('malformed records are passed over one by one', () => {
  const good = encodeIpseckey(keyRecord(key(1)));
  const rdatas = [new Uint8Array(), new Uint8Array([10, 9, 4, 1]), good.slice(0, 3), good];
  const set: RRset = {
    owner: name(host),
    type: Type.IPSECKEY,
    class: Class.IN,
    ttl: 60,
    rdatas,
    signatures: [],
  };
  const finding = keysFrom(name(host), secure(set).verdict, here);
  expect(finding.kind === 'usable' && finding.choice.chosen).toHaveLength(1);
  expect(finding.kind === 'usable' && finding.choice.passed).toHaveLength(3);
});

test('an insecure key is no key, and the reason names the zone', () => {
  const finding = keysFrom(name(host), insecure('example.org', keySet(host, [key(1)])).verdict, here);
  expect(finding).toMatchObject({
    kind: 'none',
    reason: { code: 'key-insecure', why: expect.stringContaining('example.org') as string },
  });
});

test('an exempt address is clear whatever the rules say, a blocked one is refused', () => {
  const usable = keysFrom(name(host), secure(keySet(host, [key(1)])).verdict, here);
  const plan = planOf({
    name: name(host),
    policy: policyWith([
      ['198.18.3.0/24', 'block'],
      [host, 'private'],
    ]),
    addresses: [address('198.18.2.10'), address('198.18.3.1'), address('127.0.0.1')],
    finding: usable,
    exempt: (a) => (a.octets[0] === 127 ? 'this host itself' : undefined),
    unavailable: () => undefined,
  });
  expect(plan.addresses.map((a) => a.fate)).toMatchObject([
    { kind: 'protect', insist: true },
    { kind: 'refuse', reason: { code: 'rule-block' } },
    { kind: 'clear', reason: { code: 'exempt' } },
  ]);
});
