import { expect, test } from 'vitest';
import { Rcode, Type } from '../../src/dns/types.ts';
import { nameOf } from '../../src/dns/name.ts';
import type { Forwarding } from './forwarding.ts';
import { before, exampleWorld } from './scenes.ts';
import { address, ipseckey, wire, type SignedWorld, type ZoneSpec } from './zone.ts';

const kinds = [{ denial: 'NSEC' }, { denial: 'NSEC3' }] as const;

/** Enough questions that everything the zone can deny has been heard. */
function learned(world: SignedWorld, zone = 'example.org'): Forwarding {
  const net = before(world);
  for (const letter of 'abcdefghijklmnopqrstuvwxyz') {
    net.ask(`${letter}n.${zone}`);
    net.ask(`${letter}z0.${zone}`);
  }
  net.questions();
  return net;
}

test.each(kinds)('$denial, a name that an earlier denial spans is not asked for (RFC 8198 §5.1)', (zone) => {
  const net = learned(exampleWorld(zone));
  for (const type of [Type.A, Type.IPSECKEY, Type.HTTPS, Type.DS]) {
    const resolution = net.ask('another.example.org', type);
    expect(resolution).toMatchObject({ rcode: Rcode.NXDOMAIN, answer: [], verdict: { status: 'secure' } });
    expect(resolution.authority.map((s) => s.type)).toContain(Type.SOA);
    expect(resolution.chain.at(-1)).toContain('was here already (secure)');
  }
  expect(net.questions()).toEqual([]);
});

test.each(kinds)(
  '$denial, what a name has is known once one type of it was denied: no key costs nothing',
  (zone) => {
    const net = before(exampleWorld(zone));
    net.ask('deep.empty.example.org', Type.AAAA);
    net.questions();
    for (const type of [Type.IPSECKEY, Type.HTTPS, Type.TXT, Type.CNAME]) {
      expect(net.ask('deep.empty.example.org', type)).toMatchObject({
        rcode: Rcode.NOERROR,
        answer: [],
        verdict: { status: 'secure' },
      });
    }
    expect(net.questions()).toEqual([]);
    expect(net.ask('deep.empty.example.org', Type.A).answer).toHaveLength(1);
  },
);

test.each(kinds)('$denial, an empty non-terminal is no data, not no name', (zone) => {
  const net = learned(exampleWorld(zone));
  expect(net.ask('empty.example.org')).toMatchObject({ rcode: Rcode.NOERROR, answer: [] });
});

test.each(kinds)(
  '$denial, a wildcard is expanded again for a name that is proved not to be there (§5.3)',
  (zone) => {
    const net = before(exampleWorld(zone));
    for (let i = 0; i < 60; i++) net.ask(`w${i}.wild.example.org`);
    net.questions();
    const resolution = net.ask('again.wild.example.org');
    expect(net.questions()).toEqual([]);
    expect(resolution).toMatchObject({ rcode: Rcode.NOERROR, verdict: { status: 'secure' } });
    expect(resolution.answer[0]).toMatchObject({
      owner: nameOf('again.wild.example.org'),
      rdatas: [address('192.0.2.81')],
    });
    expect(resolution.answer[0]?.signatures).toHaveLength(1);
    // What the wildcard does not have, its own record denies.
    net.ask('w0.wild.example.org', Type.TXT);
    net.questions();
    expect(net.ask('w99.wild.example.org', Type.TXT)).toMatchObject({ rcode: Rcode.NOERROR, answer: [] });
    expect(net.questions()).toEqual([]);
  },
);

test.each(kinds)('$denial, an alias from a wildcard is followed', (zone) => {
  const net = before(exampleWorld(zone).add('*.alias.example.org', Type.CNAME, wire('www.example.org')));
  for (let i = 0; i < 60; i++) net.ask(`a${i}.alias.example.org`);
  net.questions();
  expect(net.ask('again.alias.example.org').answer.map((s) => s.type)).toEqual([Type.CNAME, Type.A]);
  expect(net.questions()).toEqual([]);
});

test('a name below an existing one, or below another wildcard, does not come from the wildcard above (RFC 4592 §2.2)', () => {
  const net = before(exampleWorld().add('host.wild.example.org', Type.TXT, new Uint8Array([1, 65])));
  for (const name of ['a.wild.example.org', 'z.wild.example.org']) net.ask(name);
  expect(net.ask('x.host.wild.example.org')).toMatchObject({ rcode: Rcode.NXDOMAIN, answer: [] });
});

test('the TTL is the lowest of the SOA, its MINIMUM and the records that deny (§5.4, RFC 9077)', () => {
  const net = before(exampleWorld({ minimum: 100 }));
  net.ask('nothing.example.org');
  net.wait(60);
  net.questions();
  const { authority } = net.ask('nothing2.example.org');
  expect(net.questions()).toEqual([]);
  expect(authority.map((s) => s.ttl)).toEqual(authority.map(() => 40));
  net.wait(41);
  net.ask('nothing3.example.org');
  expect(net.questions()).toEqual(['A nothing3.example.org']);
});

test('an opt-out span denies nothing that was not asked (RFC 5155 §6, RFC 8198 §5.2)', () => {
  const net = learned(exampleWorld({ denial: 'NSEC3', optOut: true }));
  net.ask('another.example.org');
  net.ask('another.example.org', Type.IPSECKEY);
  expect(net.questions()).toContain('A another.example.org');
  const { verdict } = net.ask('www.unsigned.org');
  expect(verdict.status).toBe('insecure');
});

test('the parent knows nothing of the names of a child, nor the child of its own DS', () => {
  const world = exampleWorld();
  const net = before(world);
  // Records of org on both sides of the cuts.
  for (const name of ['a.org', 'f.org', 'z.org', 'tzz.org']) net.ask(name);
  net.ask('example.org', Type.DS);
  net.ask('unsigned.org', Type.DS);
  expect(net.ask('www.unsigned.org').answer).toHaveLength(1);
  expect(net.ask('www.example.org').answer).toHaveLength(1);
  expect(net.ask('example.org', Type.IPSECKEY)).toMatchObject({ rcode: Rcode.NOERROR, answer: [] });
  expect(net.ask('example.org', Type.DS).answer).toHaveLength(1);
});

test('what the zone says later counts: a span that overlaps a newer one is forgotten', () => {
  const world = exampleWorld();
  const net = before(world);
  net.ask('nothing.example.org');
  world.add('new.example.org', Type.A, address('192.0.2.99'));
  // Another denial of the same stretch comes by, of the zone as it is now.
  net.ask('nothing.example.org', Type.ANY);
  net.handle({ kind: 'flush', request: 1, what: { name: nameOf('nothing.example.org') } });
  net.ask('newer.example.org');
  net.questions();
  expect(net.ask('new.example.org').answer).toHaveLength(1);
});

test('a name that is there takes back the span that denied it', () => {
  const world = exampleWorld();
  const net = before(world);
  net.ask('m.example.org');
  world.add('nb.example.org', Type.A, address('192.0.2.98'));
  // Signed data of a name in the span: a question for ANY is never answered from denials.
  expect(net.ask('nb.example.org', Type.ANY).answer.length).toBeGreaterThan(0);
  expect(net.ask('nb.example.org', Type.A).answer).toHaveLength(1);
});

test('nothing is derived below a negative trust anchor (RFC 7646)', () => {
  const world = exampleWorld();
  const net = before(world);
  net.restart({
    negative: [{ name: nameOf('private.example.org') ?? never(), until: undefined }],
  });
  for (const name of ['nothing.example.org', 'r.example.org', 'zz.example.org']) net.ask(name);
  net.questions();
  net.ask('host.private.example.org');
  expect(net.questions()).toContain('A host.private.example.org');
});

test('NSEC3 with many iterations, or of a changed salt, is not used', () => {
  const costly = learned(exampleWorld({ denial: 'NSEC3', iterations: 50 }));
  costly.ask('another.example.org');
  expect(costly.questions()).toEqual(['A another.example.org']);
  // 20 are still cheap enough.
  const cheap = learned(exampleWorld({ denial: 'NSEC3', iterations: 20, salt: new Uint8Array([1, 2]) }));
  cheap.ask('another.example.org');
  expect(cheap.questions()).toEqual([]);
});

test('denials of an unsigned zone deny nothing else', () => {
  const net = before(exampleWorld());
  net.ask('nothing.unsigned.org');
  net.questions();
  net.ask('nothing2.unsigned.org');
  expect(net.questions()).toEqual(['A nothing2.unsigned.org']);
});

test('spans with a wrong signature deny nothing', () => {
  const net = before(exampleWorld().spoil('example.org', Type.NSEC, { flipped: true }));
  net.ask('aaa.example.org');
  net.questions();
  net.ask('aab.example.org');
  expect(net.questions()).toContain('A aab.example.org');
});

test('a DNAME is not overlooked: names below it are asked for (RFC 6840 §4.1)', () => {
  const world = exampleWorld().add('moved.example.org', Type.DNAME, wire('wild.example.org'));
  const net = learned(world);
  net.ask('moved.example.org', Type.TXT);
  const { answer } = net.ask('x.moved.example.org');
  expect(answer.map((s) => s.type)).toContain(Type.DNAME);
  expect(answer.map((s) => s.type)).toContain(Type.A);
});

test('a flood of random names in a signed zone costs a handful of questions', () => {
  const net = learned(exampleWorld({ denial: 'NSEC' }));
  for (let i = 0; i < 1000; i++) net.ask(`${(i * 7919).toString(36)}.example.org`);
  expect(net.questions().length).toBeLessThan(10);
});

test('denials of one zone never speak for a zone of another name (wildcards neither)', () => {
  const zones: ZoneSpec[] = [{ name: 'sub.example.org', signed: true }];
  const world = exampleWorld({}, {}, ...zones)
    .add('*.example.org', Type.A, address('192.0.2.66'))
    .add('www.sub.example.org', Type.A, address('192.0.2.67'))
    .add('www.sub.example.org', Type.IPSECKEY, ipseckey());
  const net = before(world);
  for (const name of ['r.example.org', 'sa.example.org', 'suc.example.org', 'x.example.org']) net.ask(name);
  net.ask('other.sub.example.org');
  expect(net.ask('another.sub.example.org')).toMatchObject({ rcode: Rcode.NXDOMAIN, answer: [] });
  expect(net.ask('www.sub.example.org').answer).toHaveLength(1);
});

function never(): never {
  throw new Error('no name');
}
