/** Rules for the names that a name is an alias of. */
import { expect, test } from 'vitest';
import type { RRset } from '../../src/dns/rrset.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { address, addressSet, childTo, key, keySet, name, policyWith, secure, Stage } from './stage.ts';

const there = '198.18.2.10';
const policy = policyWith([
  ['shop.example', 'clear'],
  ['bank.example', 'private'],
]);

test('a clear name that leads to a private one is private, and its key is asked for after all', () => {
  const stage = new Stage({ policy });
  const waiter = stage.ask('shop.example');
  expect(stage.isAsked('shop.example', Type.IPSECKEY)).toBe(false);
  const chain = [alias('shop.example', 'bank.example'), addressSet('bank.example', there)];
  stage.answer('shop.example', Type.A, secure(...chain));
  expect(stage.isAsked('shop.example', Type.IPSECKEY)).toBe(true);
  expect(stage.result(waiter)).toBeUndefined();
  stage.answer('shop.example', Type.IPSECKEY, secure(chain[0] as RRset, keySet('bank.example', [key(1)])));
  expect(stage.trace).toContain(`block ${there}`);
  expect(stage.result(waiter)).toBeUndefined();
  stage.established(childTo(there, { kind: 'key', key: key(1) }));
  expect(stage.result(waiter)).toEqual([there]);
  expect(stage.peers.find(address(there))).toMatchObject({ insist: true });
});

test('without a key it is not given out, however the alias came to be', () => {
  for (const asked of ['shop.example', 'other.example']) {
    const stage = new Stage({ policy });
    const waiter = stage.ask(asked);
    stage.answer(asked, Type.A, secure(alias(asked, 'bank.example'), addressSet('bank.example', there)));
    stage.answer(asked, Type.IPSECKEY, secure(alias(asked, 'bank.example')));
    expect([asked, stage.result(waiter)]).toEqual([
      asked,
      { rcode: 2, text: expect.stringContaining('rule 2 (bank.example) says private') },
    ]);
  }
});

test('an alias of a clear name is not clear for that', () => {
  const stage = new Stage({ policy });
  stage.ask('other.example');
  expect(stage.isAsked('other.example', Type.IPSECKEY)).toBe(true);
});

function alias(from: string, to: string): RRset {
  return {
    owner: name(from),
    type: Type.CNAME,
    class: Class.IN,
    ttl: 300,
    rdatas: [Buffer.from(name(to), 'latin1')],
    signatures: [],
  };
}
