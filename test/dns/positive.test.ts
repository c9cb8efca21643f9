import { expect, test } from 'vitest';
import { Algorithm } from '../../src/dns/dnssec/algorithms.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { before, changing, covers, exampleWorld, servfail, without } from './scenes.ts';
import type { SignedWorld } from './zone.ts';
import { address, ipseckey, key, signingDate, wire, type Spoiled } from './zone.ts';

test.each(Object.entries(Algorithm).filter(([, a]) => a >= 8))(
  'a zone signed with %s is secure',
  (_, algorithm) => {
    const { verdict, rcode, answer, ede } = before(exampleWorld({ algorithm })).ask('www.example.org');
    expect(verdict.status).toBe('secure');
    expect({ rcode, ede }).toEqual({ rcode: Rcode.NOERROR, ede: undefined });
    expect(answer.map((s) => s.rdatas)).toEqual([[address('192.0.2.80')]]);
  },
);

test('the chain is told link by link, with key tags and algorithms', () => {
  const { chain } = before(exampleWorld()).ask('www.example.org', Type.IPSECKEY);
  expect(chain).toEqual([
    expect.stringMatching(/^\.: DNSKEY \d+ \(ED25519\) matches DS \d+, the trust anchor \(secure\)$/),
    expect.stringMatching(/^org: DNSKEY \d+ \(ED25519\) matches DS \d+, signed by \. \d+ \(secure\)$/),
    expect.stringMatching(
      /^example\.org: DNSKEY \d+ \(ED25519\) matches DS \d+, signed by org \d+ \(secure\)$/,
    ),
    expect.stringMatching(/^www\.example\.org IPSECKEY: signed by example\.org \d+ \(ED25519\) \(secure\)$/),
  ]);
});

const wrongs: [string, Spoiled, number][] = [
  ['is missing', { missing: true }, Ede.RRSIGS_MISSING],
  ['has expired', { expiration: signingDate - 1 }, Ede.SIGNATURE_EXPIRED],
  ['has not begun', { inception: signingDate + 60 }, Ede.SIGNATURE_NOT_YET_VALID],
  ['expires before it begins', { inception: signingDate, expiration: signingDate - 10 }, Ede.DNSSEC_BOGUS],
  ['is of another key', { keyOf: 'unsigned.org' }, Ede.DNSSEC_BOGUS],
  ['names another key tag', { keyTag: 1 }, Ede.DNSKEY_MISSING],
  ['names another algorithm', { algorithm: 13 }, Ede.DNSKEY_MISSING],
  ['names an unknown algorithm', { algorithm: 200 }, Ede.DNSKEY_MISSING],
  ['names a signer beside the zone', { signer: 'other.org' }, Ede.RRSIGS_MISSING],
  ['names a signer that is no zone', { signer: 'www.example.org' }, Ede.DNSSEC_BOGUS],
  ['covers another type', { typeCovered: Type.AAAA }, Ede.RRSIGS_MISSING],
  ['counts too many labels', { labels: 4 }, Ede.DNSSEC_BOGUS],
  ['counts so few labels that its wildcard is above the zone', { labels: 1 }, Ede.DNSSEC_BOGUS],
  ['has one wrong bit', { flipped: true }, Ede.DNSSEC_BOGUS],
];

test.each(wrongs)('an RRset whose signature %s is bogus', (_, how, ede) => {
  const net = before(exampleWorld().spoil('www.example.org', Type.A, how));
  const resolution = net.ask('www.example.org');
  expect(resolution).toMatchObject({ ...servfail, verdict: { status: 'bogus', ede }, ede: { code: ede } });
  expect(resolution.ede?.text).toContain('www.example.org A');
  expect(net.ask('www.example.org', Type.IPSECKEY).verdict.status).toBe('secure');
});

test.each(wrongs)('a zone whose DNSKEY signature %s is bogus', (_, how) => {
  const { verdict, rcode } = before(exampleWorld().spoil('example.org', Type.DNSKEY, how)).ask(
    'www.example.org',
  );
  expect({ rcode, status: verdict.status }).toEqual({ rcode: Rcode.SERVFAIL, status: 'bogus' });
});

test.each(wrongs)('a zone whose DS signature %s is bogus', (_, how) => {
  const { verdict, rcode } = before(exampleWorld().spoil('example.org', Type.DS, how)).ask('www.example.org');
  expect({ rcode, status: verdict.status }).toEqual({ rcode: Rcode.SERVFAIL, status: 'bogus' });
});

test('a signature that was changed to a longer original TTL is bogus', () => {
  const lengthen = changing('www.example.org', Type.A, (m) => ({
    ...m,
    answer: m.answer.map((r) => (covers(r, Type.A) ? { ...r, rdata: r.rdata.with(4, 0x7f) } : r)),
  }));
  expect(before(exampleWorld().tamper(lengthen)).ask('www.example.org').verdict.status).toBe('bogus');
});

test('a record that was added to a signed RRset makes it bogus', () => {
  const add = changing('www.example.org', Type.A, (m) => ({
    ...m,
    answer: [
      ...m.answer,
      { owner: key('www.example.org'), type: Type.A, class: 1, ttl: 60, rdata: address('203.0.113.6') },
    ],
  }));
  expect(before(exampleWorld().tamper(add)).ask('www.example.org').verdict.status).toBe('bogus');
});

test('records of other names, and unsigned NS and glue, do not get into the answer and do not spoil it', () => {
  const stray = {
    owner: key('www.bank.org'),
    type: Type.A,
    class: 1,
    ttl: 60,
    rdata: address('203.0.113.6'),
  };
  const ns = { owner: key('example.org'), type: Type.NS, class: 1, ttl: 60, rdata: wire('ns.example.org') };
  const net = before(
    exampleWorld().tamper(
      changing('www.example.org', Type.A, (m) => ({
        ...m,
        answer: [...m.answer, stray],
        authority: [ns],
        additional: [stray],
      })),
    ),
  );
  const { verdict, answer } = net.ask('www.example.org');
  expect(verdict.status).toBe('secure');
  expect(answer.map((s) => s.owner)).toEqual([key('www.example.org')]);
  expect(
    net.resolver.cached({ name: key('www.bank.org'), type: Type.A, class: 1 }, false, net.now, net.wall),
  ).toBeUndefined();
});

test('the TTL is not longer than the original TTL and what is left of the signature (RFC 4035 §5.3.3)', () => {
  const stretch = (m: number) =>
    changing('www.example.org', Type.A, (message) => ({
      ...message,
      answer: message.answer.map((r) => ({ ...r, ttl: m })),
    }));
  expect(before(exampleWorld().tamper(stretch(100_000))).ask('www.example.org').answer[0]?.ttl).toBe(3600);
  expect(before(exampleWorld().tamper(stretch(60))).ask('www.example.org').answer[0]?.ttl).toBe(60);
  const soon = exampleWorld().spoil('www.example.org', Type.A, { expiration: signingDate + 100 });
  expect(before(soon).ask('www.example.org').answer[0]?.ttl).toBeLessThanOrEqual(100);
});

test('one good signature among bad ones is enough (RFC 6840 §5.4)', () => {
  const world = exampleWorld();
  const bad = exampleWorld().spoil('www.example.org', Type.A, { flipped: true });
  const forged = bad
    .resolve({ name: key('www.example.org'), type: Type.A, class: 1 })
    .answer.filter((r) => covers(r, Type.A));
  world.tamper(changing('www.example.org', Type.A, (m) => ({ ...m, answer: [...forged, ...m.answer] })));
  expect(before(world).ask('www.example.org').verdict.status).toBe('secure');
});

test('THREATS B: not more than 8 signatures are tried for an RRset (KeyTrap)', () => {
  const world = exampleWorld();
  const forged = Array.from({ length: 8 }, (_, i) => {
    const bad = exampleWorld().spoil('www.example.org', Type.A, { flipped: true, originalTtl: 3601 + i });
    return bad
      .resolve({ name: key('www.example.org'), type: Type.A, class: 1 })
      .answer.filter((r) => covers(r, Type.A));
  }).flat();
  world.tamper(changing('www.example.org', Type.A, (m) => ({ ...m, answer: [...forged, ...m.answer] })));
  expect(before(world).ask('www.example.org').verdict.status).toBe('bogus');
});

test('signatures are dated in serial arithmetic, which outlives 2038 and 2106 (RFC 4034 §3.1.5)', () => {
  for (const date of [2 ** 31, 2 ** 32, 2 ** 32 + 5 * 86_400]) {
    const validity = { inception: date - 3600, expiration: date + 3600 };
    const world = exampleWorld();
    for (const zone of ['.', 'org', 'example.org']) world.spoilZone(zone, validity);
    const net = before(world);
    net.wall = (date + 1) as typeof net.wall;
    expect(net.ask('www.example.org').verdict.status).toBe('secure');
    net.wall = (date + 7200) as typeof net.wall;
    expect(net.ask('www.example.org', Type.IPSECKEY).verdict.status).toBe('bogus');
  }
});

test('the AD bit of an upstream is not believed', () => {
  const world = exampleWorld().spoil('www.example.org', Type.A, { flipped: true });
  world.tamper((m) => ({ ...m, authenticData: true }));
  expect(before(world).ask('www.example.org').verdict.status).toBe('bogus');
});

test('an ANY answer is secure only if every RRset in it is', () => {
  const good = before(exampleWorld()).ask('www.example.org', Type.ANY);
  expect(good.verdict.status).toBe('secure');
  expect(good.answer.map((s) => s.type)).toEqual([Type.A, Type.IPSECKEY]);
  const half = exampleWorld().spoil('www.example.org', Type.IPSECKEY, { flipped: true });
  expect(before(half).ask('www.example.org', Type.ANY).verdict.status).toBe('bogus');
});

test('an answer to a question for RRSIG is never secure (RFC 4035 §2.2)', () => {
  const world = exampleWorld().tamper(
    changing('www.example.org', Type.RRSIG, (m) => ({
      ...m,
      rcode: Rcode.NOERROR,
      answer: world
        .resolve({ name: key('www.example.org'), type: Type.A, class: 1 })
        .answer.filter((r) => r.type === Type.RRSIG),
      authority: [],
    })),
  );
  expect(before(world).ask('www.example.org', Type.RRSIG)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure' },
  });
});

test.each([
  ['protocol 2', { keyProtocol: 2 }],
  ['no zone bit', { keyFlags: 1 }],
  ['the revoke bit', { keyFlags: 0x181 }],
])('a key with %s signs nothing (RFC 4034 §2.1, RFC 5011 §2.1)', (_, spec) => {
  expect(before(exampleWorld(spec)).ask('www.example.org')).toMatchObject({
    ...servfail,
    ede: { code: Ede.NO_ZONE_KEY_BIT_SET },
  });
});

test('a parent that signs a name below a known zone cut is not heard', () => {
  const forged = exampleWorld().signed('www.example.org', Type.IPSECKEY, [ipseckey(66)], 'org');
  const net = before(
    exampleWorld().tamper(changing('www.example.org', Type.IPSECKEY, (m) => ({ ...m, answer: forged }))),
  );
  net.ask('www.example.org', Type.A);
  expect(net.ask('www.example.org', Type.IPSECKEY)).toMatchObject({
    ...servfail,
    verdict: { status: 'bogus' },
  });
});

test('an expanded wildcard is secure with the proof that the name itself is not there', () => {
  for (const denial of ['NSEC', 'NSEC3'] as const) {
    const net = before(exampleWorld({ denial }));
    const { verdict, authority, answer } = net.ask('a.wild.example.org');
    expect(verdict.status).toBe('secure');
    expect(answer[0]?.owner).toBe(key('a.wild.example.org'));
    expect(authority.map((s) => s.type)).toEqual([denial === 'NSEC' ? Type.NSEC : Type.NSEC3]);
  }
});

test('an expanded wildcard without that proof is bogus', () => {
  for (const denial of ['NSEC', 'NSEC3'] as const) {
    const world = exampleWorld({ denial }).tamper(
      without('a.wild.example.org', Type.A, (r) => r.type === Type.NSEC || r.type === Type.NSEC3),
    );
    expect(before(world).ask('a.wild.example.org')).toMatchObject({
      ...servfail,
      ede: { code: Ede.NSEC_MISSING },
    });
  }
});

test('a wildcard cannot be replayed for a name that exists, nor below a name that exists', () => {
  for (const denial of ['NSEC', 'NSEC3'] as const) {
    const world = exampleWorld({ denial }).add('here.wild.example.org', Type.AAAA, address('2001:db8::1'));
    const wild = world.resolve({ name: key('zz.wild.example.org'), type: Type.A, class: 1 });
    for (const name of ['here.wild.example.org', 'below.here.wild.example.org']) {
      const replay = changing(name, Type.A, (m) => ({
        ...m,
        rcode: Rcode.NOERROR,
        answer: wild.answer.map((r) => ({ ...r, owner: key(name) })),
        authority: [...wild.authority, ...m.authority],
      }));
      expect(
        before(
          exampleWorld({ denial })
            .add('here.wild.example.org', Type.AAAA, address('2001:db8::1'))
            .tamper(replay),
        ).ask(name).verdict.status,
      ).toBe('bogus');
    }
  }
});

test("a parent's wildcard cannot stand in for names of a delegated zone", () => {
  const world = (): SignedWorld =>
    exampleWorld({}, { denial: 'NSEC' }).add('*.org', Type.IPSECKEY, ipseckey(66));
  const wild = world().resolve({ name: key('nothing-here.org'), type: Type.IPSECKEY, class: 1 });
  const replay = changing('www.example.org', Type.IPSECKEY, (m) => ({
    ...m,
    answer: wild.answer.map((r) => ({ ...r, owner: key('www.example.org') })),
    authority: [
      ...wild.authority,
      ...world().resolve({ name: key('example.org'), type: Type.DS, class: 1 }).authority,
    ],
  }));
  const net = before(world().tamper(replay));
  expect(net.ask('www.example.org', Type.IPSECKEY).verdict.status).toBe('bogus');
  // With the cut already known it is refused for the signer alone.
  expect(net.ask('www.example.org', Type.A).verdict.status).toBe('secure');
});

test('a question for the wildcard itself is an ordinary one', () => {
  expect(before(exampleWorld()).ask('*.wild.example.org').verdict.status).toBe('secure');
});
