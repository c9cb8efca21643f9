import { expect, test } from 'vitest';
import { Type } from '../../src/dns/types.ts';
import {
  address,
  addressSet,
  bogus,
  childTo,
  indeterminate,
  insecure,
  key,
  keyRecord,
  keySet,
  name,
  policyWith,
  secure,
  Stage,
} from './stage.ts';

const host = 'www.example.org';
const there = '198.18.2.10';
const proved = { kind: 'key', key: key(1) } as const;

test('the address and the key are asked at the same moment', () => {
  const stage = new Stage();
  stage.ask(host);
  expect(stage.trace).toEqual([`ask A ${host}`, `ask IPSECKEY ${host}`]);
});

test('the answer is held until the SA stands, then released with it', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.pass(100);
  expect(stage.result(waiter)).toBeUndefined();
  stage.established(childTo(there, proved));
  expect(stage.result(waiter)).toEqual([there]);
});

test('IKE_SA_INIT leaves when a key has arrived, and IKE_AUTH gets keys only when they are proved', () => {
  const stage = new Stage();
  stage.ask(host);
  stage.arrived(host, Type.A, addressSet(host, there));
  stage.arrived(host, Type.IPSECKEY, keySet(host, [key(1)]));
  expect(stage.trace.at(-1)).toBe(`ike initiate ${there}`);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  expect(stage.ike.at(-1)).toMatchObject({ kind: 'keys', keys: [key(1)] });
});

test('a negotiation that began with an unproved key ends when the key turns out bogus', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.arrived(host, Type.A, addressSet(host, there));
  stage.arrived(host, Type.IPSECKEY, keySet(host, [key(1)]));
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, bogus('no signature fits'));
  expect(stage.ike.map((i) => i.kind)).toEqual(['initiate', 'abandon']);
  expect(stage.result(waiter)).toEqual([there]);
});

test('a name without a key is released as soon as both answers are there', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  expect(stage.result(waiter)).toBeUndefined();
  stage.answer(host, Type.IPSECKEY, secure());
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.ike).toEqual([]);
});

test('a zone that is known to be unsigned is not asked for keys', () => {
  const stage = new Stage({ knownInsecure: [host] });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, insecure('example.org', addressSet(host, there)));
  expect(stage.trace).toEqual([`ask A ${host}`, 'release answer']);
  expect(stage.result(waiter)).toEqual([there]);
});

test('a peer that does not answer holds the answer for its budget once, and not at all the next time', () => {
  const stage = new Stage({ budgetMs: 1_500 });
  const first = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.pass(1_499);
  expect(stage.result(first)).toBeUndefined();
  stage.pass(1);
  expect(stage.result(first)).toEqual([there]);
  const second = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  expect(stage.result(second)).toEqual([there]);
  expect(stage.peers.find(address(there))?.failure?.code).toBe('no-reply');
});

test('an answer in the clear for a name with a key has a short TTL, so that we are asked again', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.failed(there, 'no-proposal');
  expect(stage.outcomes.get(waiter)).toMatchObject({ kind: 'answer', ttlLimit: 30 });
});

test('an address whose way is protected is not kept by the client for longer than its key, nor than 200 s', () => {
  for (const [ttl, limit] of [
    [3_600, 200],
    [90, 90],
    [0, 30],
  ] as const) {
    const stage = new Stage();
    const waiter = stage.ask(host);
    stage.answer(host, Type.A, secure(addressSet(host, there)));
    stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)], ttl)));
    stage.established(childTo(there, proved));
    expect(stage.outcomes.get(waiter)).toMatchObject({ kind: 'answer', ttlLimit: limit });
  }
});

test('many lookups of one name are one lookup and one negotiation', () => {
  const stage = new Stage();
  const waiters = [stage.ask(host), stage.ask(host), stage.ask(host)];
  expect(stage.trace).toHaveLength(2);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.established(childTo(there, proved));
  for (const waiter of waiters) expect(stage.result(waiter)).toEqual([there]);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(1);
});

test('a name whose peer has an SA already is answered at once', () => {
  const stage = new Stage();
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.established(childTo(there, proved));
  const again = stage.ask('alias.example.org');
  stage.answer('alias.example.org', Type.A, secure(addressSet('alias.example.org', there)));
  stage.answer('alias.example.org', Type.IPSECKEY, secure(keySet('alias.example.org', [key(1)])));
  expect(stage.result(again)).toEqual([there]);
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(1);
});

test('of several addresses the protected one leads the answer', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, '198.18.2.9', there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.established(childTo(there, proved));
  stage.pass(30);
  expect(stage.result(waiter)).toEqual([there, '198.18.2.9']);
});

test('an SA that goes while the answer is held is negotiated again', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, '198.18.2.9', there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  const child = childTo(there, proved);
  stage.established(child);
  stage.peers.removed(child, stage.at);
  stage.settle();
  expect(stage.result(waiter)).toBeUndefined();
  expect(stage.ike.filter((i) => i.kind === 'initiate')).toHaveLength(3);
});

test('an IPSECKEY question that nobody answers costs one budget, and the next lookup nothing', () => {
  const stage = new Stage({ budgetMs: 1_500 });
  const first = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.pass(1_500);
  expect(stage.result(first)).toEqual([there]);
  const second = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  expect(stage.result(second)).toEqual([there]);
});

test('a zone that turns out to be unsigned is not waited on for a key that could prove nothing', () => {
  const unsigned: string[] = [];
  const stage = new Stage({ budgetMs: 1_500, knownInsecure: unsigned });
  const waiter = stage.ask(host);
  unsigned.push(host);
  stage.answer(host, Type.A, insecure('example.org', addressSet(host, there)));
  expect(stage.outcomes.has(waiter)).toBe(false);
  stage.pass(50);
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.gate.namesWith('zone-unsigned')).toEqual([name(host)]);
});

test('a gateway that is slow to resolve holds the answer for a budget, not longer', () => {
  const stage = new Stage({ budgetMs: 1_500 });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  const record = keyRecord(key(1), { kind: 'name', name: addressSet('gw.example.net', there).owner });
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [record])));
  expect(stage.isAsked('gw.example.net', Type.A)).toBe(true);
  stage.pass(1_500);
  expect(stage.result(waiter)).toEqual([there]);
});

test('what was waited for the key is no longer there to wait for the peer: the budget is one', () => {
  const stage = new Stage({ budgetMs: 1_500 });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.pass(1_400);
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [keyRecord(key(1))])));
  expect(stage.outcomes.has(waiter)).toBe(false);
  stage.pass(100);
  expect(stage.result(waiter)).toEqual([there]);
});

test('a gateway by name that resolves to the host itself makes the key usable', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  const record = keyRecord(key(1), { kind: 'name', name: addressSet('gw.example.net', there).owner });
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [record])));
  stage.answer('gw.example.net', Type.A, secure(addressSet('gw.example.net', there)));
  stage.established(childTo(there, proved));
  expect(stage.result(waiter)).toEqual([there]);
});

test('under private the block goes into the kernel before IKE begins', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  const block = stage.trace.indexOf(`block ${there}`);
  const ike = stage.trace.findIndex((t) => t.startsWith('ike initiate'));
  expect(block).toBeGreaterThan(-1);
  expect(ike).toBeGreaterThan(block);
});

test('under private a peer that does not answer ends in SERVFAIL with the reason', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]), privateBudgetMs: 4_000 });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.pass(3_999);
  expect(stage.result(waiter)).toBeUndefined();
  stage.pass(1);
  expect(stage.result(waiter)).toEqual({ rcode: 2, text: expect.stringContaining(there) as string });
});

test('under private a block that the kernel refuses ends in SERVFAIL though an SA stands', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  stage.blockAtOnce = false;
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.block(there, 'refused');
  stage.settle();
  expect(stage.result(waiter)).toMatchObject({ rcode: 2 });
});

test('an address that a rule forbids and nothing blocks reaches nobody, not even who checks signatures', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  stage.blockAtOnce = false;
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there, '198.18.2.11')));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.block(there, 'stands');
  stage.block('198.18.2.11', 'refused');
  stage.settle();
  stage.established(childTo(there, proved));
  stage.pass(4_000);
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.outcomes.get(waiter)).toMatchObject({ onlyReduced: { why: expect.any(String) as string } });
});

test('THREATS A.9: a key that is insecure, bogus or not to be had is never given to IKE', () => {
  const answers = {
    insecure: insecure('example.org', keySet(host, [key(1)])),
    bogus: bogus('no signature fits'),
    indeterminate: indeterminate('no reply'),
  };
  for (const [word, answer] of Object.entries(answers)) {
    const stage = new Stage();
    const waiter = stage.ask(host);
    stage.answer(host, Type.A, secure(addressSet(host, there)));
    stage.answer(host, Type.IPSECKEY, answer);
    expect(stage.result(waiter), word).toEqual([there]);
    expect(stage.ike, word).toEqual([]);
    const strict = new Stage({ policy: policyWith([[host, 'private']]) });
    const strictWaiter = strict.ask(host);
    strict.answer(host, Type.A, secure(addressSet(host, there)));
    strict.answer(host, Type.IPSECKEY, answer);
    expect(strict.result(strictWaiter), word).toMatchObject({ rcode: 2 });
    expect(strict.ike, word).toEqual([]);
    expect(strict.trace, word).toContain(`block ${there}`);
  }
});

test('THREATS A.14: under private a stripped IPSECKEY record is SERVFAIL, not clear', () => {
  const stage = new Stage({ policy: policyWith([['*.example.org', 'private']]) });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure());
  expect(stage.result(waiter)).toMatchObject({ rcode: 2, text: expect.stringContaining('no key') as string });
});

test('THREATS A.14: dropping the IKE packets alone shows as clear because nobody replied', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  stage.pass(1_500);
  expect(stage.result(waiter)).toEqual([there]);
  const record = stage.gate.recordsOf(addressSet(host, there).owner)[0];
  expect(record?.verdict).toMatchObject({ state: 'clear', reason: { code: 'no-reply' } });
});

test('THREATS A.12: a thousand gateways make us look up four', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  const records = Array.from({ length: 1_000 }, (_, i) =>
    keyRecord(key(1), { kind: 'name', name: addressSet(`gw${i}.example.net`, there).owner }),
  );
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, records)));
  expect(stage.trace.filter((t) => t.includes('gw'))).toHaveLength(4);
  for (let i = 0; i < 4; i++) stage.answer(`gw${i}.example.net`, Type.A, secure());
  expect(stage.result(waiter)).toEqual([there]);
});

test('THREATS A.13: a key with TTL 0 serves the negotiation for which it was asked', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)], 0)));
  stage.pass(2_000);
  const child = childTo(there, proved);
  expect(stage.peers.refusal(child, stage.at.now)).toBeUndefined();
  stage.established(child);
  expect(stage.result(waiter)).toEqual([there]);
});

test('THREATS A.13: a key that has run out admits nobody any longer', () => {
  const stage = new Stage({ policy: policyWith([[host, 'private']]) });
  stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)], 0)));
  stage.failed(there, 'no-reply');
  stage.pass(31_000);
  expect(stage.peers.refusal(childTo(there, proved), stage.at.now)).toContain('prove the key');
});

test('a rule that blocks a name answers NXDOMAIN without asking anybody', () => {
  const stage = new Stage({ policy: policyWith([[host, 'block']]) });
  const waiter = stage.ask(host);
  expect(stage.trace).toEqual(['release refuse']);
  expect(stage.result(waiter)).toMatchObject({ rcode: 3 });
});

test('a rule that says clear asks for no key', () => {
  const stage = new Stage({ policy: policyWith([[host, 'clear']]) });
  const waiter = stage.ask(host);
  expect(stage.trace).toEqual([`ask A ${host}`]);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  expect(stage.result(waiter)).toEqual([there]);
});

test('without ESP the answer goes out in the clear and says so; under private it is SERVFAIL', () => {
  const unavailable = (): string => 'the kernel has no ESP for IPv4';
  const open = new Stage({ unavailable });
  const waiter = open.ask(host);
  open.answer(host, Type.A, secure(addressSet(host, there)));
  open.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  expect(open.result(waiter)).toEqual([there]);
  expect(open.ike).toEqual([]);
  const strict = new Stage({ unavailable, policy: policyWith([[host, 'private']]) });
  const strictWaiter = strict.ask(host);
  strict.answer(host, Type.A, secure(addressSet(host, there)));
  strict.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
  expect(strict.result(strictWaiter)).toMatchObject({
    rcode: 2,
    text: expect.stringContaining('ESP') as string,
  });
});

test('types without addresses pass as they are', () => {
  const stage = new Stage();
  const waiter = stage.ask(host, Type.MX);
  expect(stage.trace).toEqual([`ask MX ${host}`]);
  stage.answer(host, Type.MX, secure());
  expect(stage.result(waiter)).toEqual([]);
});

test('a bogus address is given to nobody, and no negotiation outlives it', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.arrived(host, Type.A, addressSet(host, there));
  stage.arrived(host, Type.IPSECKEY, keySet(host, [key(1)]));
  stage.answer(host, Type.A, bogus('no signature fits'));
  expect(stage.result(waiter)).toEqual([]);
  expect(stage.ike.map((i) => i.kind)).toEqual(['initiate', 'abandon']);
});

test('an address whose time is over is given in the clear where that may be, and never under private (RFC 8767)', () => {
  const stale = {
    ...indeterminate('nobody answers'),
    answer: [addressSet(host, there)],
    isStale: true,
  } as const;
  const open = new Stage();
  const first = open.ask(host);
  open.answer(host, Type.A, { ...stale, rcode: 0 });
  open.answer(host, Type.IPSECKEY, indeterminate('nobody answers'));
  expect(open.result(first)).toEqual([there]);
  for (const keys of [indeterminate('nobody answers'), secure(keySet(host, [key(1)]))]) {
    const strict = new Stage({ policy: policyWith([[host, 'private']]) });
    const second = strict.ask(host);
    strict.answer(host, Type.A, { ...stale, rcode: 0 });
    strict.answer(host, Type.IPSECKEY, keys);
    expect(strict.result(second)).toMatchObject({ rcode: 2 });
  }
});
