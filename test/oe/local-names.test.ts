import { expect, test } from 'vitest';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import {
  address,
  addressSet,
  childTo,
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
const hosts = `${there} ${host}\n`;

test('a name of the hosts file is answered at once, in the clear, and nothing is asked for it', () => {
  const stage = new Stage({ hosts });
  const waiter = stage.ask(host);
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.trace).toEqual(['release answer']);
  expect(stage.gate.recordsOf(name(host))[0]?.verdict).toMatchObject({
    state: 'clear',
    reason: { code: 'hosts-file' },
  });
});

test('a client that checks by itself gets it the same way', () => {
  const stage = new Stage({ hosts });
  const waiter = stage.ask(host, Type.A, true);
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.outcomes.get(waiter)).toMatchObject({ resolution: { verdict: { status: 'indeterminate' } } });
});

test('under a private rule for the name it is SERVFAIL, and a block is in the kernel', () => {
  const stage = new Stage({ hosts, policy: policyWith([['*.example.org', 'private']]) });
  const waiter = stage.ask(host);
  expect(stage.result(waiter)).toMatchObject({ rcode: Rcode.SERVFAIL });
  expect(stage.trace).toEqual([`block ${there}`, 'release refuse']);
  expect(stage.gate.recordsOf(name(host))[0]?.verdict).toMatchObject({
    state: 'blocked',
    reason: { code: 'hosts-file' },
  });
});

test('under a private rule for the prefix, and as the default, it is SERVFAIL too', () => {
  for (const policy of [policyWith([['198.18.2.0/24', 'private']]), policyWith([], 'private')]) {
    const stage = new Stage({ hosts, policy });
    expect(stage.result(stage.ask(host))).toMatchObject({ rcode: Rcode.SERVFAIL });
    // A rule by prefix stands in the kernel by itself.
    if (policy.rules.length === 0) expect(stage.trace).toContain(`block ${there}`);
    else expect(stage.peers.find(address(there))?.block).toBe('prefix');
  }
});

test('a block rule holds for the name and for the prefix', () => {
  const byName = new Stage({ hosts, policy: policyWith([[host, 'block']]) });
  expect(byName.result(byName.ask(host))).toMatchObject({ rcode: Rcode.NXDOMAIN });
  const byPrefix = new Stage({ hosts, policy: policyWith([['198.18.0.0/15', 'block']]) });
  expect(byPrefix.result(byPrefix.ask(host))).toMatchObject({ rcode: Rcode.SERVFAIL });
});

test('an address that another name keeps private is not given out under a name of the hosts file', () => {
  const stage = new Stage({ hosts, policy: policyWith([['bank.example.org', 'private']]) });
  stage.ask('bank.example.org');
  stage.answer('bank.example.org', Type.A, secure(addressSet('bank.example.org', there)));
  stage.answer('bank.example.org', Type.IPSECKEY, secure(keySet('bank.example.org', [key(1)])));
  expect(stage.result(stage.ask(host))).toMatchObject({ rcode: Rcode.SERVFAIL });
});

test('a name of the hosts file claims no key, though an SA of another name stands at its address', () => {
  const stage = new Stage({ hosts });
  stage.ask('alias.example.org');
  stage.answer('alias.example.org', Type.A, secure(addressSet('alias.example.org', there)));
  stage.answer('alias.example.org', Type.IPSECKEY, secure(keySet('alias.example.org', [key(1)])));
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  stage.ask(host);
  expect(stage.gate.recordsOf(name(host))[0]?.verdict).toMatchObject({ state: 'clear' });
  expect(stage.peers.find(address(there))?.claims.map((c) => c.name)).toEqual([name('alias.example.org')]);
});

test('a rule that never encrypts is the reason given before the hosts file', () => {
  const stage = new Stage({ hosts, policy: policyWith([[host, 'clear']]) });
  expect(stage.result(stage.ask(host))).toEqual([there]);
  expect(stage.gate.recordsOf(name(host))[0]?.verdict).toMatchObject({ reason: { code: 'rule-clear' } });
});

test('a special name is NXDOMAIN without a question, and the record says why', () => {
  const stage = new Stage();
  const waiter = stage.ask('printer.local');
  expect(stage.trace).toEqual(['release answer']);
  expect(stage.outcomes.get(waiter)).toMatchObject({
    resolution: { rcode: Rcode.NXDOMAIN, ede: { code: Ede.SYNTHESIZED } },
  });
  expect(stage.gate.recordsOf(name('printer.local'))[0]?.verdict).toMatchObject({
    state: 'failed',
    reason: { code: 'special-name', why: expect.stringContaining('multicast') as string },
  });
});

test('a gateway with a special name is not asked for, and the key is not used', () => {
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  const gateway = { kind: 'name', name: name('printer.local') } as const;
  stage.answer(host, Type.IPSECKEY, secure(keySet(host, [keyRecord(key(1), gateway)])));
  expect(stage.isAsked('printer.local', Type.A)).toBe(false);
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.gate.recordsOf(name(host))[0]?.verdict).toMatchObject({ reason: { code: 'key-unusable' } });
});

test('the reverse name of an address in the hosts file is answered', () => {
  const stage = new Stage({ hosts });
  const waiter = stage.ask('10.2.18.198.in-addr.arpa', Type.PTR);
  expect(stage.outcomes.get(waiter)).toMatchObject({ resolution: { answer: [{ type: Type.PTR }] } });
});
