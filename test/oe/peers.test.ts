import { expect, test } from 'vitest';
import { Type } from '../../src/dns/types.ts';
import { address, addressSet, childTo, key, keySet, policyWith, secure, Stage } from './stage.ts';

const there = '198.18.2.10';
const anonymous = { kind: 'anonymous' } as const;

test('THREATS A.1: an anonymous peer does not replace the SA of a proved one', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  expect(stage.peers.refusal(childTo(there, anonymous), stage.at.now)).toContain('anonymous');
});

test('an anonymous peer is taken where nobody better is', () => {
  const stage = new Stage();
  expect(stage.peers.refusal(childTo(there, anonymous), stage.at.now)).toBeUndefined();
});

test('THREATS A.1: an anonymous SA is no protection for a name that publishes a key', () => {
  const stage = new Stage();
  stage.established(childTo(there, anonymous));
  const waiter = begin(stage, 'www.example.org', 1);
  expect(stage.result(waiter)).toBeUndefined();
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(1);
});

test('THREATS A.2: an anonymous peer that comes anew (INITIAL_CONTACT or not) takes nothing from a proved one', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  const child = childTo(there, { kind: 'key', key: key(1) });
  stage.established(child);
  const other = childTo(there, anonymous);
  expect(stage.peers.refusal(other, stage.at.now)).toBeDefined();
  stage.peers.removed(other, stage.at);
  expect(stage.peers.find(address(there))?.live.map((l) => l.child.id)).toEqual([child.id]);
});

test('a name has another key now: once the peer has proved that one, the SA of the old one goes', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  begin(stage, 'www.example.org', 2);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(2);
  expect(stage.ike.filter((i) => i.kind === 'withdrawn')).toEqual([]);
  stage.established(childTo(there, { kind: 'key', key: key(2) }));
  expect(stage.ike.filter((i) => i.kind === 'withdrawn')).toMatchObject([{ proof: key(1) }]);
});

test('THREATS A.7: a name that leads to the address of another cannot take over its traffic with a key of its own', () => {
  const stage = new Stage();
  begin(stage, 'bank.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  const thief = begin(stage, 'thief.example.net', 2);
  expect(stage.result(thief)).toEqual([there]);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(1);
  expect(stage.peers.refusal(childTo(there, { kind: 'key', key: key(2) }), stage.at.now)).toContain(
    'bank.example.org',
  );
});

test('THREATS A.8: the key of one name does not protect another name of the same address', () => {
  const stage = new Stage();
  begin(stage, 'thief.example.net', 2);
  stage.established(childTo(there, { kind: 'key', key: key(2) }));
  begin(stage, 'bank.example.org', 1);
  const record = stage.gate.recordsOf(addressSet('bank.example.org', there).owner)[0];
  expect(record?.verdict?.state).toBe('clear');
});

test('THREATS A.8: a private name never travels in an SA that proved another name only', () => {
  const stage = new Stage({ policy: policyWith([['bank.example.org', 'private']]) });
  begin(stage, 'thief.example.net', 2);
  stage.established(childTo(there, { kind: 'key', key: key(2) }));
  const bank = begin(stage, 'bank.example.org', 1);
  expect(stage.result(bank)).toBeUndefined();
  expect(stage.peers.refusal(childTo(there, { kind: 'key', key: key(2) }), stage.at.now)).toBeDefined();
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  expect(stage.result(bank)).toEqual([there]);
});

test('THREATS A.8: a name with a wrong key for an address does not keep the right name from being protected', () => {
  const stage = new Stage();
  begin(stage, 'thief.example.net', 2);
  stage.failed(there, 'authentication-failed');
  const bank = begin(stage, 'bank.example.org', 1);
  expect(stage.result(bank)).toBeUndefined();
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  expect(stage.result(bank)).toEqual([there]);
});

test('a negotiation that fails over and over backs off longer each time, and ends no lookup in a loop', () => {
  const stage = new Stage();
  const pauses: number[] = [];
  for (let i = 0; i < 4; i++) {
    begin(stage, 'www.example.org', 1);
    stage.failed(there, 'no-reply');
    const failure = stage.peers.find(address(there))?.failure;
    const pause = (failure?.until ?? 0) - stage.at.now;
    pauses.push(pause);
    stage.pass(pause);
  }
  expect(pauses).toEqual([30_000, 60_000, 120_000, 240_000]);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(4);
});

test('a failure that is forgiven is forgotten', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  stage.failed(there, 'no-reply');
  stage.peers.forgive(address(there));
  const waiter = begin(stage, 'www.example.org', 1);
  expect(stage.result(waiter)).toBeUndefined();
});

test('a failure of ours while the peer brought about an SA with the same key is no failure', () => {
  const stage = new Stage();
  const waiter = begin(stage, 'www.example.org', 1);
  stage.peers.established(
    childTo(there, { kind: 'key', key: key(1) }),
    { kind: 'key', key: key(1) },
    undefined,
    '',
    stage.at,
  );
  stage.settle();
  expect(stage.result(waiter)).toEqual([there]);
  stage.failed(there, 'no-reply');
  expect(stage.peers.find(address(there))?.failure).toBeUndefined();
});

test('a key that a name no longer publishes does not count for it', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  const waiter = begin(stage, 'www.example.org', 3);
  expect(stage.result(waiter)).toBeUndefined();
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(2);
});

/** Looks the name up and answers both questions: the shared address, and a key of its own. */
function begin(stage: Stage, host: string, keyNumber: number): number {
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(keyNumber)])));
  return waiter;
}

test('THREATS A.1: an anonymous SA that was under way when the proved one came up stays behind it', () => {
  const stage = new Stage();
  const waiter = begin(stage, 'www.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  const late = childTo(there, anonymous);
  stage.peers.established(late, anonymous, undefined, '', stage.at);
  expect(stage.result(waiter)).toEqual([there]);
  const again = begin(stage, 'www.example.org', 1);
  expect(stage.result(again)).toEqual([there]);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(1);
});

test('THREATS A.7: a peer that begins with the key of a name that nobody looked up does not displace a proved one', () => {
  const stage = new Stage();
  // It began itself and proved the key under its own name.
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  const thief = childTo(there, { kind: 'key', key: key(2) });
  expect(stage.peers.refusal(thief, stage.at.now)).toContain('another key');
  // The same peer again, and one whose key a name here leads to, are welcome.
  expect(stage.peers.refusal(childTo(there, { kind: 'key', key: key(1) }), stage.at.now)).toBeUndefined();
  begin(stage, 'www.example.org', 3);
  expect(stage.peers.refusal(childTo(there, { kind: 'key', key: key(3) }), stage.at.now)).toBeUndefined();
  expect(stage.peers.refusal(thief, stage.at.now)).toBeDefined();
});

test('THREATS A.7: no more so when what was known of the proved one has run out', () => {
  const stage = new Stage();
  begin(stage, 'www.example.org', 1);
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  stage.pass(3_600_000);
  expect(stage.peers.refusal(childTo(there, { kind: 'key', key: key(2) }), stage.at.now)).toBeDefined();
});
