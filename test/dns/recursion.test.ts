import { expect, test } from 'vitest';
import { Type } from '../../src/dns/types.ts';
import { addressesOf, Internet, Iteration, outcomeOf } from './internet.ts';
import { address, SignedWorld, wire } from './zone.ts';

const world = (): SignedWorld =>
  new SignedWorld([
    { name: '.', signed: true, servers: ['192.0.2.1'] },
    { name: 'org', signed: true, servers: ['192.0.2.2'] },
    { name: 'example.org', signed: true, servers: ['192.0.2.3'] },
    { name: 'deep.a.b.example.org', servers: ['192.0.2.4'] },
  ])
    .add('www.example.org', Type.A, address('198.51.100.1'))
    .add('x.deep.a.b.example.org', Type.A, address('198.51.100.2'))
    .add('alias.example.org', Type.CNAME, wire('www.example.org'))
    .add('out.example.org', Type.CNAME, wire('www.example.net'));

test('a name is found from the root downwards', () => {
  const it = new Iteration(new Internet(world()));
  const found = it.find('www.example.org');
  expect(outcomeOf(found)).toBe('A www.example.org');
  expect(addressesOf(found)).toEqual(['198.51.100.1']);
  expect(it.internet.questions('192.0.2.1')).toEqual(['NS .', 'A org']);
  expect(it.internet.questions('192.0.2.2')).toEqual(['A example.org']);
  expect(it.internet.questions('192.0.2.3')).toEqual(['A www.example.org']);
});
