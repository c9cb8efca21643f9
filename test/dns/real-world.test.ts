/** Shapes that are met outside of textbooks: a verdict of bogus on any of these takes an honest name off the net. */
import { expect, test } from 'vitest';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { before, changing, covers, exampleWorld, servfail } from './scenes.ts';
import { address, key, wire, type SignedWorld } from './zone.ts';

/** IANA "dns-parameters": the type that stands in the bitmap of a name that does not exist (RFC 9824 §2). */
const nxname = 128;

test('compact denial says of a name that is not there that it has no records, and is understood (RFC 9824)', () => {
  const world = exampleWorld();
  const proof = world.signedNsec('nothing.example.org', '\\000.nothing.example.org', [
    Type.RRSIG,
    Type.NSEC,
    nxname,
  ]);
  for (const type of [Type.A, Type.IPSECKEY, Type.DS])
    world.tamper(
      changing('nothing.example.org', type, (m) => ({
        ...m,
        rcode: Rcode.NOERROR,
        authority: [...soaOf(world), ...proof],
      })),
    );
  for (const type of [Type.A, Type.IPSECKEY])
    expect(before(world).ask('nothing.example.org', type)).toMatchObject({
      rcode: Rcode.NXDOMAIN,
      answer: [],
      verdict: { status: 'secure' },
    });
});

test('an empty non-terminal above unsigned delegations that opt-out hides is there, insecurely (RFC 5155 §7.1)', () => {
  const world = exampleWorld({}, { denial: 'NSEC3', optOut: true }, { name: 'shop.between.org' }).add(
    'www.shop.between.org',
    Type.A,
    address('192.0.2.91'),
  );
  expect(before(world).ask('between.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    answer: [],
    verdict: { status: 'insecure', from: 'org' },
  });
  expect(before(world).ask('www.shop.between.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure' },
  });
});

test('NXDOMAIN in an opt-out span still wants the denial of the wildcard', () => {
  const world = exampleWorld({}, { denial: 'NSEC3', optOut: true });
  for (let i = 0; i < 20; i++) world.add(`host${i}.org`, Type.A, address('192.0.2.93'));
  const wildcard = world.denialAt('*.org', 'org')[0]?.owner;
  const others = ['org', 'nothing.org'].map((name) => world.denialAt(name, 'org')[0]?.owner);
  expect(others).not.toContain(wildcard);
  expect(before(world).ask('nothing.org')).toMatchObject({ rcode: Rcode.NXDOMAIN });
  world.tamper(
    changing('nothing.org', Type.A, (m) => ({
      ...m,
      authority: m.authority.filter((r) => r.owner !== wildcard),
    })),
  );
  expect(before(world).ask('nothing.org')).toMatchObject(servfail);
});

test('a DS of a name that is not there is NXDOMAIN also where opt-out leaves open what there is', () => {
  const world = exampleWorld({}, { denial: 'NSEC3', optOut: true });
  expect(before(world).ask('nothing.org', Type.DS)).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'insecure' },
  });
});

test('servers that say NXDOMAIN to types they do not know do not take the address away (RFC 4074 §4.2)', () => {
  const world = exampleWorld().add('www.unsigned.org', Type.AAAA, address('2001:db8::90'));
  world.tamper(changing('www.unsigned.org', Type.IPSECKEY, (m) => ({ ...m, rcode: Rcode.NXDOMAIN })));
  const net = before(world);
  expect(net.ask('www.unsigned.org', Type.IPSECKEY)).toMatchObject({ rcode: Rcode.NXDOMAIN });
  expect(net.ask('www.unsigned.org', Type.AAAA)).toMatchObject({
    rcode: Rcode.NOERROR,
    answer: [{ type: Type.AAAA }],
  });
});

test('an alias into another signed zone, to a name without the type, wants the proofs of both', () => {
  const world = exampleWorld({}, {}, { name: 'cdn.org', signed: true, denial: 'NSEC3' })
    .add('edge.cdn.org', Type.A, address('192.0.2.92'))
    .add('*.site.example.org', Type.CNAME, wire('edge.cdn.org'));
  const net = before(world);
  expect(net.ask('a.site.example.org')).toMatchObject({ verdict: { status: 'secure' } });
  expect(net.ask('a.site.example.org', Type.IPSECKEY)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'secure' },
  });
});

test('two keys that both sign, as while one takes over from the other, are one valid zone', () => {
  const world = exampleWorld();
  const { dnskey } = world.keysOf('example.org');
  const other = world.keysOf('org').dnskey;
  // The new key is published beside the old one before anything is signed with it.
  world.replace('example.org', Type.DNSKEY, [dnskey, other]);
  expect(before(world).ask('www.example.org')).toMatchObject({ verdict: { status: 'secure' } });
});

test('a zone that moved to another key while we kept the old one is asked for its keys again, once a minute', () => {
  // The same names under another key, as the next operator of the zone has it.
  const [old, moved] = [exampleWorld(), exampleWorld({ algorithm: 13 })];
  let world = old;
  const net = new Forwarding(old.anchors(), (octets, how) => world.answer(octets, how));
  net.ask('www.example.org');
  world = moved;
  net.wait(10);
  expect(net.ask('www.example.org', Type.IPSECKEY)).toMatchObject({
    ...servfail,
    verdict: { status: 'bogus', ede: Ede.DNSKEY_MISSING },
  });
  net.wait(60);
  expect(net.ask('www.example.org', Type.IPSECKEY)).toMatchObject({ verdict: { status: 'secure' } });
  world = old;
  net.wait(70);
  expect(net.ask('nothing.example.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'secure' },
  });
});

function soaOf(world: SignedWorld): readonly ResourceRecord[] {
  return world
    .resolve({ name: key('example.org'), type: Type.SOA, class: 1 })
    .answer.filter((r) => r.type === Type.SOA || covers(r, Type.SOA));
}
