import { expect, test } from 'vitest';
import { serverAt } from '../../src/dns/recurse/delegations.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { parseAddress } from '../../src/net/address.ts';
import { Internet, Recursing } from './internet.ts';
import { address, key, SignedWorld, wire, type ZoneSpec } from './zone.ts';

const [root, org, example, other, plain, island] = [1, 2, 3, 4, 5, 6].map((n) => `192.0.2.${n}`) as [
  string,
  string,
  string,
  string,
  string,
  string,
];

function world(orgs: Partial<ZoneSpec> = {}): SignedWorld {
  return new SignedWorld([
    { name: '.', signed: true, servers: [root] },
    { name: 'org', signed: true, servers: [org], denial: 'NSEC3', optOut: true },
    { name: 'example.org', signed: true, servers: [example], ...orgs },
    { name: 'other.org', signed: true, servers: [other], denial: 'NSEC3' },
    { name: 'plain.org', servers: [plain] },
    { name: 'island.plain.org', signed: true, servers: [island] },
  ])
    .add('www.example.org', Type.A, address('198.51.100.1'))
    .add('*.wild.example.org', Type.A, address('198.51.100.2'))
    .add('x.deep.empty.example.org', Type.A, address('198.51.100.3'))
    .add('alias.example.org', Type.CNAME, wire('www.other.org'))
    .add('mixed.example.org', Type.CNAME, wire('www.plain.org'))
    .add('www.other.org', Type.A, address('198.51.100.4'))
    .add('www.plain.org', Type.A, address('198.51.100.5'))
    .add('www.island.plain.org', Type.A, address('198.51.100.6'));
}

/** Asks as a resolver that was just started. */
function cold(w = world(), internet = new Internet(w)): Recursing {
  return new Recursing(internet, { anchors: w.anchors() });
}

test.each([
  ['www.example.org', Type.A, Rcode.NOERROR, 'secure'],
  ['www.other.org', Type.A, Rcode.NOERROR, 'secure'],
  ['a.b.wild.example.org', Type.A, Rcode.NOERROR, 'secure'],
  ['x.deep.empty.example.org', Type.A, Rcode.NOERROR, 'secure'],
  ['deep.empty.example.org', Type.A, Rcode.NOERROR, 'secure'],
  ['nope.example.org', Type.A, Rcode.NXDOMAIN, 'secure'],
  ['a.b.c.nope.other.org', Type.A, Rcode.NXDOMAIN, 'secure'],
  ['www.example.org', Type.AAAA, Rcode.NOERROR, 'secure'],
  ['example.org', Type.DNSKEY, Rcode.NOERROR, 'secure'],
  ['example.org', Type.DS, Rcode.NOERROR, 'secure'],
  ['alias.example.org', Type.A, Rcode.NOERROR, 'secure'],
  ['mixed.example.org', Type.A, Rcode.NOERROR, 'insecure'],
  ['www.plain.org', Type.A, Rcode.NOERROR, 'insecure'],
  ['nope.plain.org', Type.A, Rcode.NXDOMAIN, 'insecure'],
  ['www.island.plain.org', Type.A, Rcode.NOERROR, 'insecure'],
] as const)('%s %i is found and judged as behind a forwarder', (name, type, rcode, status) => {
  for (const qnameMinimisation of ['relaxed', 'strict', 'off'] as const) {
    const w = world();
    const it = new Recursing(new Internet(w), { anchors: w.anchors(), qnameMinimisation });
    const found = it.ask(name, type);
    expect([found.rcode, found.verdict.status, found.ede?.text]).toEqual([
      rcode,
      status,
      status === 'secure' ? undefined : found.ede?.text,
    ]);
  }
});

test('an alias below the name that was asked is secure, and the letters of the question are not in it', () => {
  const w = world().add('www.example.org', Type.MX, Uint8Array.from([0, 5, ...wire('mail.www.example.org')]));
  const it = cold(w);
  const found = it.ask('www.example.org', Type.MX);
  expect(found.verdict.status).toBe('secure');
  expect(found.answer[0]?.rdatas).toEqual([Uint8Array.from([0, 5, ...wire('mail.www.example.org')])]);
  const alias = it.ask('alias.example.org');
  expect(alias.verdict.status).toBe('secure');
  expect(alias.answer[0]?.rdatas).toEqual([wire('www.other.org')]);
});

test('an island of security has its own anchor', () => {
  const w = world();
  const it = new Recursing(new Internet(w), { anchors: [...w.anchors(), ...w.anchors('island.plain.org')] });
  expect(it.ask('www.island.plain.org').verdict.status).toBe('secure');
});

test('an anchor below an unsigned root is enough', () => {
  const w = world();
  const it = new Recursing(new Internet(w), { anchors: w.anchors('example.org') });
  expect(it.ask('www.example.org').verdict.status).toBe('secure');
  expect(it.ask('www.other.org').verdict.status).toBe('indeterminate');
});

test('the first name of a zone takes one round trip for each zone on the way, its keys come meanwhile', () => {
  const it = cold();
  const start = it.now;
  expect(it.ask('www.example.org').verdict.status).toBe('secure');
  expect(it.now - start).toBeLessThanOrEqual(70);
  const next = it.now;
  expect(it.ask('nope.example.org').verdict.status).toBe('secure');
  expect(it.now - next).toBeLessThanOrEqual(30);
});

test('after bogus data of one server the other one is asked, and its answer is secure', () => {
  const spoiled = world({ servers: [example, '192.0.2.33'] });
  for (let seed = 0; seed < 6; seed++) {
    const internet = new Internet(spoiled).change(example, (said, q) =>
      q.name === key('www.example.org') && q.type === Type.A
        ? { ...said, answer: (said?.answer ?? []).filter((r) => r.type !== Type.RRSIG) }
        : said,
    );
    const it = cold(spoiled, internet);
    for (let i = 0; i < seed; i++) it.ask(`n${i}.org`);
    expect(it.ask('www.example.org').verdict.status).toBe('secure');
  }
});

test('bogus data of the only server is told as such', () => {
  const w = world().spoil('www.example.org', Type.A, { flipped: true });
  const found = cold(w).ask('www.example.org');
  expect([found.rcode, found.verdict.status]).toEqual([Rcode.SERVFAIL, 'bogus']);
});

test('a server of a signed zone that answers without EDNS alone leaves it bogus', () => {
  const w = world();
  const internet = new Internet(w).change(example, (said, _, query) =>
    query.edns ? { rcode: Rcode.FORMERR } : said,
  );
  expect(cold(w, internet).ask('www.example.org').verdict.status).toBe('bogus');
});

test('a dead zone is told with its servers', () => {
  const w = world();
  const found = cold(
    w,
    new Internet(w).at(example, () => undefined),
  ).ask('www.example.org');
  expect(found.rcode).toBe(Rcode.SERVFAIL);
  expect(found.ede?.code).toBe(Ede.NO_REACHABLE_AUTHORITY);
  expect(found.ede?.text).toContain('ns.example.org (192.0.2.3) does not reply');
});

test('a stub zone that the tree proves not to exist needs an anchor of its own, or the proof wins', () => {
  const w = new SignedWorld([
    { name: '.', signed: true, servers: [root] },
    { name: 'org', signed: true, servers: [org] },
    { name: 'corp.org', signed: true, servers: ['198.51.100.53'] },
  ]).add('host.corp.org', Type.A, address('10.0.0.1'));
  const server = parseAddress('198.51.100.53');
  if (!server) throw new Error('no address');
  const zones = [{ name: key('corp.org'), kind: 'stub' as const, servers: [serverAt(server)] }];
  const it = new Recursing(new Internet(w), { anchors: w.anchors(), zones });
  expect(it.ask('host.corp.org').verdict.status).toBe('secure');
  expect(it.internet.questions('192.0.2.2')).toContain('DS corp.org');
});

test('the servers of a zone see no name that is not theirs, and those above see no more than they need', () => {
  const it = cold();
  it.ask('www.example.org');
  it.ask('x.deep.empty.example.org');
  for (const { server, text } of it.internet.seen) {
    const [, name = ''] = text.split(' ');
    const labels = name === '.' ? 0 : name.split('.').length;
    if (server === root) expect(labels).toBeLessThanOrEqual(1);
    if (server === org) expect(labels).toBeLessThanOrEqual(2);
    if (server === example) expect(name).toMatch(/example\.org$/);
  }
});

test('flushing forgets who serves a name as well as what the name says', () => {
  const it = cold();
  it.ask('www.example.org');
  it.internet.questions();
  it.flush('example.org');
  it.ask('www.example.org');
  expect(it.internet.questions(org)).toContain('A example.org');
});
