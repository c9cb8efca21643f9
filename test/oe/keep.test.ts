import { expect, test } from 'vitest';
import type { Resolution } from '../../src/dns/resolver.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import type { Keep } from '../../src/dns/wire-cache.ts';
import {
  addressSet,
  bogus,
  childTo,
  insecure,
  key,
  keySet,
  name,
  policyWith,
  secure,
  Stage,
  type StageOptions,
} from './stage.ts';

const host = 'www.example.org';
const there = '198.18.2.10';
const proved = { kind: 'key', key: key(1) } as const;

test('the address of a name without a key may be given again for nine tenths of the lowest TTL, a minute at the most', () => {
  const kept = (addressTtl: number, denialTtl: number): number | undefined =>
    clear({}, withTtl(secure(addressSet(host, there)), addressTtl), denied(denialTtl))?.seconds;
  expect(kept(300, 300)).toBe(60);
  expect(kept(20, 300)).toBe(18);
  // That there is no key is not believed for longer than its zone says.
  expect(kept(300, 7)).toBe(7);
  expect(kept(1, 300)).toBeUndefined();
  expect(kept(300, 0)).toBeUndefined();
});

test('TTLs go on from where they are at the latest; those that this host makes up stay', () => {
  expect(clear({}, secure(addressSet(host, there)), denied(300))?.agedMs).toBe(999);
  const stage = new Stage({ hosts: `${there} ${host}` });
  expect(stage.keeps.get(stage.ask('localhost'))).toEqual({ seconds: 60, agedMs: undefined });
  // The file may change at any moment.
  expect(stage.keeps.get(stage.ask(host))).toBeUndefined();
});

test('a zone that is not signed has no key, and its addresses may be given again', () => {
  const stage = new Stage({ knownInsecure: [host] });
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, insecure('org', addressSet(host, there)));
  expect(stage.keeps.has(waiter)).toBe(true);
});

test('nothing of a name with a key is given again without the gate, whatever came of it', () => {
  for (const outcome of ['established', 'failed'] as const) {
    const stage = new Stage();
    const waiter = stage.ask(host);
    stage.answer(host, Type.A, secure(addressSet(host, there)));
    stage.answer(host, Type.IPSECKEY, secure(keySet(host, [key(1)])));
    if (outcome === 'established') stage.established(childTo(there, proved));
    else stage.failed(there, 'no-proposal');
    expect([stage.outcomes.get(waiter)?.kind, stage.keeps.size]).toEqual(['answer', 0]);
  }
});

test('nothing is given again where it is not known whether there is a key, or where it is bogus', () => {
  expect(clear({}, secure(addressSet(host, there)), bogus('no signature fits'))).toBeUndefined();
  const stage = new Stage();
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.pass(5_000);
  expect([stage.outcomes.get(waiter)?.kind, stage.keeps.size]).toEqual(['answer', 0]);
});

test('nothing of a private or blocked name is given again, though its address may be exempt', () => {
  const exempt = (): string => 'it is here';
  const rules = { policy: policyWith([[host, 'private']]), exempt };
  expect(clear(rules, secure(addressSet(host, there)), denied(300))).toBeUndefined();
  const stage = new Stage({ policy: policyWith([[host, 'block']]) });
  stage.ask(host);
  expect(stage.keeps.size).toBe(0);
});

test('an address that another name insists on is not given again', () => {
  const stage = new Stage({ policy: policyWith([['other.example', 'private']]) });
  stage.ask('other.example');
  stage.answer('other.example', Type.A, secure(addressSet('other.example', there)));
  stage.answer('other.example', Type.IPSECKEY, secure(keySet('other.example', [key(1)])));
  stage.established(childTo(there, proved));
  const before = stage.keeps.size;
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, secure(addressSet(host, there)));
  stage.answer(host, Type.IPSECKEY, denied(300));
  expect([stage.outcomes.get(waiter)?.kind, stage.keeps.size]).toEqual(['answer', before]);
});

test('what failed, is stale or explains itself is made anew each time', () => {
  const good = denied(300);
  const odd: Resolution[] = [
    bogus('no signature fits'),
    { ...good, rcode: Rcode.SERVFAIL },
    { ...good, isStale: true },
    { ...good, ede: { code: 22, text: 'nobody answers' } },
  ];
  for (const resolution of [good, ...odd]) {
    const stage = new Stage();
    const waiter = stage.ask(host, Type.TXT);
    stage.answer(host, Type.TXT, resolution);
    expect(stage.outcomes.has(waiter)).toBe(true);
    expect(stage.keeps.has(waiter)).toBe(resolution === good);
  }
});

/** What becomes of the address of a host when its key question is answered so. */
function clear(options: StageOptions, address: Resolution, keys: Resolution): Keep | undefined {
  const stage = new Stage(options);
  const waiter = stage.ask(host);
  stage.answer(host, Type.A, address);
  if (stage.isAsked(host, Type.IPSECKEY)) stage.answer(host, Type.IPSECKEY, keys);
  if (!stage.outcomes.has(waiter)) throw new Error('the answer is held');
  return stage.keeps.get(waiter);
}

function withTtl(resolution: Resolution, ttl: number): Resolution {
  return { ...resolution, answer: resolution.answer.map((s) => ({ ...s, ttl })) };
}

function denied(ttl: number): Resolution {
  const soa = { owner: name('example.org'), type: Type.SOA, class: 1, ttl, rdatas: [], signatures: [] };
  return { ...secure(), authority: [soa] };
}
