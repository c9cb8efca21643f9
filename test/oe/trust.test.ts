import { expect, test } from 'vitest';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { wallSeconds } from '../../src/time.ts';
import { signingDate } from '../dns/zone.ts';
import { bob, plainName } from '../sim/internet.ts';
import { withRules } from './desk.ts';
import { name } from './stage.ts';

const year = 31_556_952;
const slowClock = { clockNotBefore: wallSeconds(signingDate + 3 * year) };

test('with a clock that is wrong programs get SERVFAIL and the reason, and time services get their addresses', () => {
  const desk = withRules([], { trust: { ...slowClock, timeServers: [name(plainName)] } });
  const refused = desk.ask(bob.name);
  expect(refused.rcode).toBe(Rcode.SERVFAIL);
  expect(edeOf(refused.edns?.options)).toEqual([
    Ede.DNSSEC_INDETERMINATE,
    'the clock of this host is slow by about 3 years',
  ]);
  const answer = desk.ask(plainName);
  expect([answer.rcode, answer.answer.length, answer.authenticData]).toEqual([Rcode.NOERROR, 1, false]);
});

test('a peer’s key under a negative trust anchor does not count: who insists on it gets no address', () => {
  const negative = [{ name: name('example.org'), until: wallSeconds(signingDate + 3_600) }];
  const insisting = withRules([[bob.name, 'private']], { trust: { negative } });
  expect(insisting.ask(bob.name).rcode).toBe(Rcode.SERVFAIL);
  const open = withRules([], { trust: { negative } }).ask(bob.name);
  expect([open.rcode, open.authenticData]).toEqual([Rcode.NOERROR, false]);
  expect(open.answer.map((r) => r.type)).toEqual([Type.A]);
});

function edeOf(
  options: readonly { readonly code: number; readonly data: Uint8Array }[] | undefined,
): unknown {
  const ede = options?.find((o) => o.code === 15)?.data;
  return ede && [((ede[0] ?? 0) << 8) | (ede[1] ?? 0), new TextDecoder().decode(ede.subarray(2))];
}
