import { expect, test } from 'vitest';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { nsecProof } from '../../src/dns/dnssec/nsec.ts';
import { nameText } from '../../src/dns/name.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { before, changing, covers, exampleWorld, servfail, without } from './scenes.ts';
import { address, key, type SignedWorld, type ZoneSpec } from './zone.ts';

const kinds: readonly (readonly ['NSEC' | 'NSEC3', Partial<ZoneSpec>])[] = [
  ['NSEC', { denial: 'NSEC' }],
  ['NSEC3', { denial: 'NSEC3', iterations: 3, salt: new Uint8Array([0xaa, 0xbb]) }],
];

/** Name, type and what a signed zone says of it. */
const negatives: readonly (readonly [string, string, number, number])[] = [
  ['a name without the type', 'www.example.org', Type.AAAA, Rcode.NOERROR],
  ['the apex without the type', 'example.org', Type.AAAA, Rcode.NOERROR],
  ['an empty non-terminal', 'empty.example.org', Type.A, Rcode.NOERROR],
  ['a wildcard without the type', 'a.wild.example.org', Type.AAAA, Rcode.NOERROR],
  ['a name that is not there', 'nothing.example.org', Type.A, Rcode.NXDOMAIN],
  ['a name far below what is there', 'a.b.c.www.example.org', Type.A, Rcode.NXDOMAIN],
  ['a name after all others', 'zzz.example.org', Type.A, Rcode.NXDOMAIN],
  ['a name below an empty non-terminal', 'other.empty.example.org', Type.A, Rcode.NXDOMAIN],
];

for (const [denial, spec] of kinds) {
  test.each(negatives)(`${denial}: %s is denied securely`, (_, name, type, rcode) => {
    const { verdict, authority, ...rest } = before(exampleWorld(spec)).ask(name, type);
    expect(verdict).toEqual({ status: 'secure', data: [] });
    expect(rest).toMatchObject({ rcode, answer: [], ede: undefined });
    expect(authority[0]?.type).toBe(Type.SOA);
  });

  test.each(negatives)(
    `${denial}: %s is bogus without any one of the records that deny it`,
    (_, name, type) => {
      const proof = exampleWorld(spec).resolve({ name: key(name), type, class: 1 }).authority;
      const owners = new Set(proof.filter((r) => r.type === Type[denial]).map((r) => r.owner));
      expect(owners.size).toBeGreaterThan(0);
      for (const owner of owners) {
        const world = exampleWorld(spec).tamper(
          without(
            name,
            type,
            (r) => r.owner === owner && (r.type === Type[denial] || covers(r, Type[denial])),
          ),
        );
        expect(before(world).ask(name, type)).toMatchObject({
          ...servfail,
          verdict: { status: 'bogus', ede: Ede.NSEC_MISSING },
        });
      }
    },
  );

  test.each(negatives)(`${denial}: %s is bogus when what denies it is not signed`, (_, name, type) => {
    const world = exampleWorld(spec).tamper(without(name, type, (r) => covers(r, Type[denial])));
    expect(before(world).ask(name, type)).toMatchObject({ ...servfail, verdict: { status: 'bogus' } });
  });

  test(`${denial}: an unsigned NXDOMAIN and an unsigned NODATA in a signed zone are bogus`, () => {
    for (const rcode of [Rcode.NOERROR, Rcode.NXDOMAIN]) {
      const world = exampleWorld(spec).tamper(
        changing('www.example.org', Type.IPSECKEY, (m) => ({ ...m, rcode, answer: [], authority: [] })),
      );
      expect(before(world).ask('www.example.org', Type.IPSECKEY)).toMatchObject({
        ...servfail,
        ede: { code: Ede.NSEC_MISSING },
      });
    }
  });

  test(`${denial}: a record that has any types does not deny a question for ANY`, () => {
    const stripped = exampleWorld(spec).resolve({ name: key('www.example.org'), type: Type.AAAA, class: 1 });
    const world = exampleWorld(spec).tamper(
      changing('www.example.org', Type.ANY, (m) => ({ ...m, answer: [], authority: stripped.authority })),
    );
    expect(before(world).ask('www.example.org', Type.ANY)).toMatchObject(servfail);
    expect(before(exampleWorld(spec)).ask('empty.example.org', Type.ANY)).toMatchObject({
      rcode: Rcode.NOERROR,
      verdict: { status: 'secure' },
    });
  });

  test(`${denial}: a record that has the type does not deny it`, () => {
    const other = exampleWorld(spec).resolve({ name: key('www.example.org'), type: Type.AAAA, class: 1 });
    const world = exampleWorld(spec).tamper(
      changing('www.example.org', Type.IPSECKEY, (m) => ({ ...m, answer: [], authority: other.authority })),
    );
    expect(before(world).ask('www.example.org', Type.IPSECKEY)).toMatchObject(servfail);
  });

  test(`${denial}: a record that has a CNAME denies nothing but CNAME's own absence`, () => {
    const proof = exampleWorld(spec).denialAt('alias.example.org');
    const world = exampleWorld(spec).tamper(
      changing('alias.example.org', Type.AAAA, (m) => ({
        ...m,
        answer: [],
        authority: [...soaOf(exampleWorld(spec)), ...proof],
      })),
    );
    expect(before(world).ask('alias.example.org', Type.AAAA)).toMatchObject(servfail);
  });

  test(`${denial}: the parent's record at a zone cut denies DS alone`, () => {
    const make = (): SignedWorld =>
      exampleWorld(spec, {}, { name: 'sub.example.org' }).add(
        'www.sub.example.org',
        Type.A,
        address('192.0.2.1'),
      );
    const parent = make().resolve({ name: key('sub.example.org'), type: Type.DS, class: 1 }).authority;
    for (const name of ['sub.example.org', 'www.sub.example.org']) {
      const world = make().tamper(changing(name, Type.A, (m) => ({ ...m, answer: [], authority: parent })));
      expect(before(world).ask(name)).toMatchObject(servfail);
    }
    expect(before(make()).ask('sub.example.org', Type.DS)).toMatchObject({
      rcode: Rcode.NOERROR,
      verdict: { status: 'secure' },
    });
  });

  test(`${denial}: the child's record at its apex does not deny its DS`, () => {
    const child = exampleWorld(spec).resolve({
      name: key('example.org'),
      type: Type.AAAA,
      class: 1,
    }).authority;
    const world = exampleWorld(spec).tamper(
      changing('example.org', Type.DS, (m) => ({ ...m, answer: [], authority: child })),
    );
    expect(before(world).ask('example.org', Type.DS)).toMatchObject(servfail);
    expect(before(world).ask('www.example.org')).toMatchObject(servfail);
  });

  test(`${denial}: a denial that was made from a wildcard proves nothing (CVE-2017-15105)`, () => {
    const make = (): SignedWorld => exampleWorld(spec);
    const proof = make().denialAt('*.wild.example.org');
    const moved = proof.map((r) => ({ ...r, owner: key('victim.wild.example.org') }));
    const world = make().add('victim.wild.example.org', Type.AAAA, address('2001:db8::1'));
    world.tamper(
      changing('victim.wild.example.org', Type.AAAA, (m) => ({
        ...m,
        answer: [],
        authority: [...soaOf(make()), ...moved],
      })),
    );
    expect(before(world).ask('victim.wild.example.org', Type.AAAA)).toMatchObject(servfail);
  });

  test(`${denial}: a server that says NXDOMAIN for an empty non-terminal is corrected to NODATA`, () => {
    const world = exampleWorld(spec).tamper(
      changing('empty.example.org', Type.A, (m) => ({ ...m, rcode: Rcode.NXDOMAIN })),
    );
    expect(before(world).ask('empty.example.org')).toMatchObject({
      rcode: Rcode.NOERROR,
      verdict: { status: 'secure' },
    });
  });

  test(`${denial}: NOERROR for a name that the records deny is bogus`, () => {
    const world = exampleWorld(spec).tamper(
      changing('nothing.example.org', Type.A, (m) => ({ ...m, rcode: Rcode.NOERROR })),
    );
    expect(before(world).ask('nothing.example.org')).toMatchObject(servfail);
  });

  test(`${denial}: the TTL of a negative answer is that of the SOA's MINIMUM (RFC 2308 §5)`, () => {
    const net = before(exampleWorld({ ...spec, minimum: 120 }));
    net.ask('www.example.org', Type.AAAA);
    net.wait(119);
    expect(net.ask('www.example.org', Type.AAAA).fromCache).toBe(true);
    net.wait(2);
    expect(net.ask('www.example.org', Type.AAAA).fromCache).toBe(false);
  });
}

test.each(kinds)(
  '%s: a record at a zone cut proves nothing about names below it (RFC 6840 §4.1)',
  (_, spec) => {
    const make = (): SignedWorld =>
      exampleWorld(spec, {}, { name: 'sub.example.org' }).add(
        'www.sub.example.org',
        Type.A,
        address('192.0.2.1'),
      );
    const authority = [
      ...soaOf(make()),
      ...['sub.example.org', 'www.sub.example.org', '*.sub.example.org'].flatMap((n) =>
        make().denialAt(n, 'example.org'),
      ),
    ];
    const world = make().tamper(
      changing('www.sub.example.org', Type.A, (m) => ({
        ...m,
        rcode: Rcode.NXDOMAIN,
        answer: [],
        authority,
      })),
    );
    expect(before(world).ask('www.sub.example.org')).toMatchObject(servfail);
  },
);

test('a record with the SOA bit does not deny DS: it is of the child (RFC 4035 §5.2)', () => {
  const [owner, next] = [key('example.org'), key('zzz.org')];
  const at = (types: number[]): string =>
    nsecProof(key('org'), [{ owner, next, types: new Set(types) }]).cut(owner).kind;
  expect(at([Type.NS, Type.SOA])).toBe('unproved');
  expect(at([Type.NS])).toBe('noData');
});

test('an NSEC whose next name lies outside of its zone proves nothing', () => {
  const world = exampleWorld();
  const stray = (next: string): readonly ResourceRecord[] => [
    ...soaOf(exampleWorld()),
    ...exampleWorld().signedNsec('example.org', 'a.example.org', [Type.SOA, Type.NS]),
    ...exampleWorld().signedNsec('a.example.org', next, [Type.A]),
  ];
  const deny = (next: string) =>
    changing('www.example.org', Type.A, (m) => ({
      ...m,
      rcode: Rcode.NXDOMAIN,
      answer: [],
      authority: stray(next),
    }));
  expect(before(exampleWorld().tamper(deny('zzz.example.org'))).ask('www.example.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
  });
  world.tamper(deny('zzz.org'));
  expect(before(world).ask('www.example.org')).toMatchObject(servfail);
});

test('NSEC3 with an unknown hash or unknown flags is passed over (RFC 5155 §8.1, §8.2)', () => {
  for (const [at, value] of [
    [0, 2],
    [1, 2],
  ] as const) {
    const world = exampleWorld({ denial: 'NSEC3' });
    const [proof] = world.denialAt('www.example.org');
    if (!proof) throw new Error('no NSEC3');
    const altered = exampleWorld({ denial: 'NSEC3' }).signed(nameText(proof.owner), Type.NSEC3, [
      proof.rdata.with(at, value),
    ]);
    world.tamper(
      changing('www.example.org', Type.AAAA, (m) => ({
        ...m,
        authority: [...soaOf(exampleWorld()), ...altered],
      })),
    );
    expect(before(world).ask('www.example.org', Type.AAAA)).toMatchObject(servfail);
  }
});

test.each([
  [100, 'secure', Rcode.NXDOMAIN, undefined],
  [101, 'insecure', Rcode.NXDOMAIN, Ede.UNSUPPORTED_NSEC3_ITERATIONS],
  [501, 'bogus', Rcode.SERVFAIL, Ede.UNSUPPORTED_NSEC3_ITERATIONS],
])('THREATS B: NSEC3 with %i iterations is %s (RFC 9276 §3.2)', (iterations, status, rcode, ede) => {
  const resolution = before(exampleWorld({ denial: 'NSEC3', iterations })).ask('nothing.example.org');
  expect(resolution).toMatchObject({ rcode, verdict: { status } });
  expect(resolution.ede?.code).toBe(ede);
});

test('an opt-out span makes a denial insecure, since an unsigned delegation may hide in it (RFC 5155 §9.2)', () => {
  const world = exampleWorld({}, { denial: 'NSEC3', optOut: true });
  expect(before(world).ask('nothing.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'insecure', from: 'org' },
  });
  const all = exampleWorld({}, { denial: 'NSEC3' });
  expect(before(all).ask('nothing.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'secure' },
  });
});

test('THREATS B: a name so deep that finding its closest encloser costs too many hashes is refused', () => {
  const deep = `${'a.'.repeat(100)}example.org`;
  expect(before(exampleWorld({ denial: 'NSEC3' })).ask(deep)).toMatchObject(servfail);
  expect(before(exampleWorld({ denial: 'NSEC' })).ask(deep)).toMatchObject({ rcode: Rcode.NXDOMAIN });
});

function soaOf(world: SignedWorld): readonly ResourceRecord[] {
  return world.resolve({ name: key('example.org'), type: Type.SOA, class: 1 }).answer;
}
