import { expect, test } from 'vitest';
import { serverAt } from '../../src/dns/recurse/delegations.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { parseAddress } from '../../src/net/address.ts';
import {
  a,
  addressesOf,
  answer,
  denial,
  hintsOf,
  Internet,
  Iteration,
  ns,
  outcomeOf,
  referral,
} from './internet.ts';
import { address, key, SignedWorld, wire } from './zone.ts';

const [root, org, example, deep] = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'];

function world(): SignedWorld {
  return new SignedWorld([
    { name: '.', signed: true, servers: [root] },
    { name: 'org', signed: true, servers: [org] },
    { name: 'example.org', signed: true, servers: [example] },
    { name: 'deep.a.b.example.org', servers: [deep] },
  ])
    .add('www.example.org', Type.A, address('198.51.100.1'))
    .add('x.deep.a.b.example.org', Type.A, address('198.51.100.2'))
    .add('_25._tcp.mail.example.org', Type.TLSA, new Uint8Array([3, 1, 1, 0]))
    .add('1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.example.org', Type.A, address('198.51.100.3'))
    .add('alias.example.org', Type.CNAME, wire('www.example.org'))
    .add('out.example.org', Type.CNAME, wire('www.example.net'))
    .add('dname.example.org', Type.DNAME, wire('example.org'));
}

function iterate(): Iteration {
  const it = new Iteration(new Internet(world()));
  it.find('.', Type.NS);
  it.internet.questions();
  return it;
}

test('a name is found from the root downwards, and each server sees one label more', () => {
  const it = new Iteration(new Internet(world()));
  const found = it.find('www.example.org');
  expect(addressesOf(found)).toEqual(['198.51.100.1']);
  expect(it.internet.questions(root)).toEqual(['NS .', 'A org']);
  expect(it.internet.questions(org)).toEqual(['A example.org']);
  expect(it.internet.questions(example)).toEqual(['A www.example.org']);
});

test('an exchange tells its story', () => {
  expect(iterate().find('www.example.org').trace).toEqual([
    'asked ns (192.0.2.1) of . for A of org: referral to org (ns.org)',
    'asked ns.org (192.0.2.2) of org for A of example.org: referral to example.org (ns.example.org)',
    'asked ns.example.org (192.0.2.3) of example.org for A of www.example.org: www.example.org A',
  ]);
});

test('authoritative servers are asked with DO, without RD and without CD', () => {
  const it = iterate();
  it.find('www.example.org');
  for (const { query } of it.internet.seen) {
    expect(query).toMatchObject({ recursionDesired: false, checkingDisabled: false });
    expect(query.edns?.dnssecOk).toBe(true);
  }
});

test('signatures come along with their sets, and the sections hold nothing else', () => {
  const { reply } = iterate().find('www.example.org');
  if (reply?.kind !== 'message') throw new Error('no message');
  expect(reply.answer.map((s) => s.signatures.length)).toEqual([1]);
  expect(reply.message.answer.map((r) => r.type)).toEqual([Type.A, Type.RRSIG]);
  expect(reply.message.authority).toEqual([]);
});

test('what is known of zone cuts is not asked again', () => {
  const it = iterate();
  it.find('www.example.org');
  it.internet.questions();
  it.find('other.example.org');
  expect(it.internet.questions()).toEqual(['A other.example.org']);
});

test('names without a zone cut are passed by, and remembered as such (RFC 9156 §2.3)', () => {
  const it = iterate();
  expect(outcomeOf(it.find('x.deep.a.b.example.org'))).toBe('A x.deep.a.b.example.org');
  expect(it.internet.questions()).toEqual([
    'A org',
    'A example.org',
    'A b.example.org',
    'A a.b.example.org',
    'A deep.a.b.example.org',
    'A x.deep.a.b.example.org',
  ]);
  it.find('y.a.b.example.org');
  expect(it.internet.questions()).toEqual(['A y.a.b.example.org']);
});

test('a type other than A is asked for at the whole name alone (RFC 9156 §2.1)', () => {
  const it = iterate();
  it.find('www.example.org', Type.AAAA);
  expect(it.internet.questions()).toEqual(['A org', 'A example.org', 'AAAA www.example.org']);
});

test('a name of many labels takes ten questions and no more (RFC 9156 §2.3)', () => {
  const it = iterate();
  const name = '1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.example.org';
  expect(outcomeOf(it.find(name))).toBe(`A ${name}`);
  expect(it.internet.questions().map((q) => q.split('.').length)).toEqual([1, 2, 3, 4, 6, 8, 10, 12, 15, 18]);
});

test('labels that begin with an underscore are asked for together', () => {
  const it = iterate();
  it.find('_25._tcp.mail.example.org', Type.TLSA);
  expect(it.internet.questions(example)).toEqual(['A mail.example.org', 'TLSA _25._tcp.mail.example.org']);
});

test('without minimisation every server sees the whole name', () => {
  const it = new Iteration(new Internet(world()), { qnameMinimisation: 'off' });
  it.find('www.example.org', Type.AAAA);
  expect(it.internet.questions(org)).toEqual(['AAAA www.example.org']);
});

test('a server that denies an empty non-terminal: relaxed goes on with the whole name, strict believes it (RFC 8020)', () => {
  const server = (): Internet =>
    new Internet()
      .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
      .at(org, (q) =>
        q.name === key('x.empty.org')
          ? answer(a('x.empty.org', '198.51.100.7'))
          : denial('org', Rcode.NXDOMAIN),
      );
  const relaxed = new Iteration(server(), { qnameMinimisation: 'relaxed' });
  expect(outcomeOf(relaxed.find('x.empty.org'))).toBe('A x.empty.org');
  expect(relaxed.internet.questions(org)).toEqual(['A empty.org', 'A x.empty.org']);
  const deeper = new Iteration(server(), { qnameMinimisation: 'relaxed' });
  deeper.find('z.y.x.empty.org');
  expect(deeper.internet.questions(org)).toEqual(['A empty.org', 'A z.y.x.empty.org']);
  const strict = new Iteration(server(), { qnameMinimisation: 'strict' });
  const { reply } = strict.find('x.empty.org');
  expect(reply?.kind === 'message' && reply.message.rcode).toBe(Rcode.NXDOMAIN);
  expect(reply?.kind === 'message' && reply.message.questions[0]?.name).toBe(key('x.empty.org'));
  expect(strict.internet.questions(org)).toEqual(['A empty.org']);
});

test('a server that fails at shortened names: relaxed goes on with the whole name, strict gives up', () => {
  const server = (): Internet =>
    new Internet()
      .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
      .at(org, (q) =>
        q.name === key('x.empty.org') ? answer(a('x.empty.org', '198.51.100.7')) : { rcode: Rcode.SERVFAIL },
      );
  expect(outcomeOf(new Iteration(server()).find('x.empty.org'))).toBe('A x.empty.org');
  const strict = new Iteration(server(), { qnameMinimisation: 'strict' });
  expect(outcomeOf(strict.find('x.empty.org'))).toBe(
    'no name server of org is of use: ns.org (192.0.2.2) answers SERVFAIL',
  );
});

test('DS is asked of the parent, DNSKEY of the child', () => {
  const it = iterate();
  it.find('www.example.org');
  it.internet.questions();
  expect(outcomeOf(it.find('example.org', Type.DS))).toBe('DS example.org');
  expect(it.internet.questions(org)).toEqual(['DS example.org']);
  expect(outcomeOf(it.find('example.org', Type.DNSKEY))).toBe('DNSKEY example.org');
  expect(it.internet.questions(example)).toEqual(['DNSKEY example.org']);
  expect(outcomeOf(it.find('deep.a.b.example.org', Type.DS))).toBe('NODATA');
  expect(it.internet.questions(example)).toContain('DS deep.a.b.example.org');
});

test('DS is taken from the parent where one server has both sides', () => {
  const both = new SignedWorld([
    { name: '.', signed: true, servers: [root] },
    { name: 'org', signed: true, servers: [org] },
    { name: 'example.org', signed: true, servers: [org] },
  ]).add('www.example.org', Type.A, address('198.51.100.1'));
  const it = new Iteration(new Internet(both));
  expect(outcomeOf(it.find('www.example.org'))).toBe('A www.example.org');
  expect(outcomeOf(it.find('example.org', Type.DS))).toBe('DS example.org');
  expect(outcomeOf(it.find('example.org', Type.DNSKEY))).toBe('DNSKEY example.org');
});

test('a denial of DS from below the cut is not taken, another server is asked', () => {
  const internet = new Internet()
    .at(root, () =>
      referral(
        [ns('org', 'a.org'), ns('org', 'b.org')],
        [a('a.org', '192.0.2.21'), a('b.org', '192.0.2.22')],
      ),
    )
    .at('192.0.2.21', (q) => (q.type === Type.DS ? denial('example.org') : denial('org')))
    .at('192.0.2.22', () => denial('org'));
  for (let i = 0; i < 4; i++) {
    const { reply } = new Iteration(internet).find('example.org', Type.DS);
    expect(reply?.kind === 'message' && reply.upstream).toBe('b.org (192.0.2.22)');
  }
});

test('a referral in place of DS, from servers that know no DNSSEC, is a denial', () => {
  const internet = new Internet()
    .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
    .at(org, () => referral([ns('example.org', 'ns.example.org')], [a('ns.example.org', example)]));
  expect(outcomeOf(new Iteration(internet).find('example.org', Type.DS))).toBe('NODATA');
});

test('an answer ends where its alias leaves the zone', () => {
  const it = iterate();
  it.internet.change(example, (said, q) =>
    q.name === key('out.example.org')
      ? {
          ...said,
          answer: [...(said?.answer ?? []), a('www.example.net', '203.0.113.6')],
          rcode: Rcode.NXDOMAIN,
        }
      : said,
  );
  const out = it.find('out.example.org');
  expect(outcomeOf(out)).toBe('CNAME out.example.org');
  // The denial was of a name in somebody else's zone.
  expect(out.reply?.kind === 'message' && out.reply.message.rcode).toBe(Rcode.NOERROR);
});

test('below a DNAME the whole name is asked at once (RFC 9156 §2.3 step 7b)', () => {
  const it = iterate();
  expect(outcomeOf(it.find('a.b.www.dname.example.org'))).toBe('DNAME dname.example.org');
  expect(it.internet.questions(example)).toEqual([
    'A dname.example.org',
    'A www.dname.example.org',
    'A a.b.www.dname.example.org',
  ]);
});

test('a DNAME whose target is too long keeps its YXDOMAIN', () => {
  const long = Array.from({ length: 4 }, () => 'x'.repeat(50)).join('.');
  const it = iterate();
  const owner = `${'y'.repeat(60)}.dname.example.org`;
  it.internet.change(example, (said, q) =>
    q.name === key(owner)
      ? {
          authoritative: true,
          rcode: Rcode.YXDOMAIN,
          answer: [
            { owner: key('dname.example.org'), type: Type.DNAME, class: 1, ttl: 60, rdata: wire(long) },
          ],
        }
      : said,
  );
  const { reply } = it.find(owner);
  expect(reply?.kind === 'message' && reply.message.rcode).toBe(Rcode.YXDOMAIN);
});

test('the root is asked for its servers once (RFC 8109), and these replace the hints', () => {
  const internet = new Internet()
    .at('192.0.2.9', (q) =>
      q.type === Type.NS && q.name === key('.')
        ? { ...answer(ns('.', 'new.root'), ns('.', 'ns')), additional: [a('new.root', root)] }
        : referral([ns('org', 'ns.org')], [a('ns.org', org)]),
    )
    .at(root, () => referral([ns('net', 'ns.net')], [a('ns.net', org)]))
    .at(org, (q) =>
      answer({ owner: q.name, type: Type.A, class: 1, ttl: 60, rdata: address('198.51.100.1') }),
    );
  const it = new Iteration(internet, { hints: hintsOf({ ns: ['192.0.2.9'] }) });
  it.find('www.example.org');
  expect(internet.questions('192.0.2.9')).toEqual(['NS .', 'A org']);
  it.wait(120);
  it.find('ftp.example.org');
  expect(internet.questions()).not.toContain('NS .');
  const servers = new Set<string>();
  for (let i = 0; i < 10; i++) {
    it.find(`www.tld${i}`);
    for (const s of internet.seen) servers.add(s.server);
  }
  // The name without an address in the reply keeps that of the hints.
  expect([...servers].sort()).toEqual([root, '192.0.2.9']);
});

test('where priming fails, the hints go on serving, and it is tried again later', () => {
  const it = iterate();
  const silent = new Iteration(
    new Internet(world()).change(root, (said, q) => (q.type === Type.NS ? { rcode: Rcode.SERVFAIL } : said)),
  );
  expect(outcomeOf(silent.find('www.example.org'))).toBe('A www.example.org');
  silent.find('example.net');
  silent.wait(61);
  silent.find('example.com');
  expect(silent.internet.questions(root).filter((q) => q === 'NS .')).toHaveLength(2);
  expect(it.recursion.stats['primings']).toBe(1);
});

test('a word on the root without authority changes nothing', () => {
  const it = new Iteration(
    new Internet(world()).change(root, (said, q) =>
      q.type === Type.NS
        ? { ...answer(ns('.', 'ns')), authoritative: false, additional: [a('ns', '192.0.2.66')] }
        : said,
    ),
  );
  it.find('www.example.org');
  for (let i = 0; i < 5; i++) it.find(`www.tld${i}`);
  expect(it.internet.questions('192.0.2.66')).toEqual([]);
});

test('name servers without glue are looked up, once for all who need them', () => {
  const internet = new Internet()
    .at(root, (q) =>
      q.name === key('net')
        ? referral([ns('net', 'ns.net')], [a('ns.net', '192.0.2.8')])
        : referral([ns('org', 'ns.org')], [a('ns.org', org)]),
    )
    .at(org, () => referral([ns('example.org', 'ns.host.net')]))
    .at('192.0.2.8', (q) =>
      q.name === key('ns.host.net') && q.type === Type.A ? answer(a('ns.host.net', example)) : denial('net'),
    )
    .at(example, (q) =>
      answer({ owner: q.name, type: Type.A, class: 1, ttl: 60, rdata: address('198.51.100.1') }),
    );
  const it = new Iteration(internet);
  const both = [it.start('www.example.org'), it.start('ftp.example.org')];
  it.run();
  expect(both.map(outcomeOf)).toEqual(['A www.example.org', 'A ftp.example.org']);
  const asked = internet.questions();
  expect(asked.filter((q) => q === 'A ns.host.net')).toHaveLength(1);
  expect(asked.filter((q) => q === 'A example.org')).toHaveLength(1);
  // Its address is kept for its own TTL.
  it.find('third.example.org');
  expect(internet.questions()).toEqual(['A third.example.org']);
});

test('equal questions are asked once', () => {
  const it = iterate();
  const all = Array.from({ length: 5 }, () => it.start('www.example.org'));
  it.run();
  expect(all.map(outcomeOf)).toEqual(Array(5).fill('A www.example.org'));
  expect(it.internet.questions()).toEqual(['A org', 'A example.org', 'A www.example.org']);
});

test('an exchange that is abandoned leaves the others their questions, and takes its own along', () => {
  const it = iterate();
  const [one, two] = [it.start('www.example.org'), it.start('www.example.org')];
  it.abandon(one);
  it.run();
  expect(one.reply).toBeUndefined();
  expect(outcomeOf(two)).toBe('A www.example.org');
  const three = it.start('ftp.example.org');
  it.abandon(three);
  expect(it.asks.deadline).toBeUndefined();
  expect(it.recursion.deadline).toBeUndefined();
});

test('an exchange that is abandoned takes its search for name servers along', () => {
  const internet = new Internet()
    .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
    .at(org, (q) =>
      q.name === key('example.org') ? referral([ns('example.org', 'ns.host.org')]) : denial('org'),
    );
  const it = new Iteration(internet);
  const exchange = it.start('www.example.org');
  it.run(it.now + 50);
  expect(internet.questions()).toContain('A host.org');
  it.abandon(exchange);
  expect(it.asks.deadline).toBeUndefined();
});

test('a stub zone is asked where the configuration says, its DS where the tree says', () => {
  const internet = new Internet(world()).at('198.51.100.53', () => answer(a('host.corp.org', '10.0.0.1')));
  const server = parseAddress('198.51.100.53');
  if (!server) throw new Error('no address');
  const stubs = [{ name: key('corp.org'), servers: [serverAt(server)] }];
  const it = new Iteration(internet, { stubs });
  expect(outcomeOf(it.find('host.corp.org'))).toBe('A host.corp.org');
  expect(internet.questions('198.51.100.53')).toEqual(['A host.corp.org']);
  expect(outcomeOf(it.find('corp.org', Type.DS))).toBe('NXDOMAIN');
  expect(internet.questions(org)).toEqual(['DS corp.org']);
});

test('after bogus data another server of the zone is asked', () => {
  const two = new SignedWorld([
    { name: '.', servers: [root] },
    { name: 'example', servers: ['192.0.2.31', '192.0.2.32'] },
  ]).add('www.example', Type.A, address('198.51.100.1'));
  const it = new Iteration(new Internet(two));
  const first = it.find('www.example');
  expect(it.recursion.hasOther(first, it.now)).toBe(true);
  for (let i = 0; i < 5; i++) {
    const second = it.find('www.example', Type.A, first.from);
    expect(second.from).not.toBe(first.from);
    expect(second.from?.text).toMatch(/^ns\.example \(192\.0\.2\.3[12]\)$/);
  }
  const lonely = iterate();
  const alone = lonely.find('www.example.org');
  expect(lonely.recursion.hasOther(alone, lonely.now)).toBe(false);
  // Where there is nobody else, the same one is asked again.
  expect(lonely.find('www.example.org', Type.A, alone.from).from).toBe(alone.from);
});

test('a server that answers FORMERR to EDNS is asked without, and that is remembered (RFC 6891 §7)', () => {
  const it = iterate();
  it.internet.change(example, (said, _, query) => (query.edns ? { rcode: Rcode.FORMERR } : said));
  expect(outcomeOf(it.find('www.example.org'))).toBe('A www.example.org');
  const seen = it.internet.seen.filter((s) => s.server === example);
  expect(seen.map((s) => s.query.edns !== undefined)).toEqual([true, false]);
  it.internet.questions();
  it.find('other.example.org');
  expect(it.internet.seen.map((s) => s.query.edns !== undefined)).toEqual([false]);
});

test('a host without IPv6 loses no time over it', () => {
  const mixed = new SignedWorld([
    { name: '.', servers: [root, '2001:db8::1'] },
    { name: 'org', servers: ['2001:db8::2', '2001:db8::22', org] },
    { name: 'example.org', servers: ['2001:db8::3', '2001:db8::33', example] },
  ]).add('www.example.org', Type.A, address('198.51.100.1'));
  const internet = new Internet(mixed);
  internet.unreachable = (server) => server.includes(':');
  const it = new Iteration(internet, { hints: hintsOf({ ns: [root, '2001:db8::1'] }) });
  const start = it.now;
  expect(outcomeOf(it.find('www.example.org'))).toBe('A www.example.org');
  expect(it.now - start).toBeLessThan(100);
  const before = it.asks.stats['asked'] ?? 0;
  for (let i = 0; i < 10; i++) it.find(`n${i}.example.org`);
  expect((it.asks.stats['asked'] ?? 0) - before).toBe(10);
});

test('one dead server does not speak for all IPv4, nor do failures of both for either', () => {
  const internet = new Internet()
    .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
    .at(org, (q) =>
      q.name === key('ns.host.org')
        ? answer(a('ns.host.org', example))
        : referral(
            [ns('one.org', 'ns1.one.org'), ns('one.org', 'ns.host.org')],
            [a('ns1.one.org', '192.0.2.99')],
          ),
    )
    .at(example, (q) =>
      answer({ owner: q.name, type: Type.A, class: 1, ttl: 60, rdata: address('198.51.100.1') }),
    );
  const it = new Iteration(internet);
  expect(outcomeOf(it.find('www.one.org'))).toBe('A www.one.org');
});

test('a zone that has IPv6 servers alone is found over IPv6', () => {
  const six = new SignedWorld([
    { name: '.', servers: [root] },
    { name: 'org', servers: ['2001:db8::2'] },
  ]).add('www.org', Type.A, address('198.51.100.1'));
  expect(outcomeOf(new Iteration(new Internet(six)).find('www.org'))).toBe('A www.org');
});

test('the quick servers of a zone get most of the questions, the others some', () => {
  const many = new SignedWorld([
    { name: '.', servers: [root] },
    { name: 'org', servers: ['192.0.2.41', '192.0.2.42', '192.0.2.43', '192.0.2.44'] },
  ]);
  const internet = new Internet(many);
  internet.roundTripMs = (server) => (server === '192.0.2.43' ? 10 : 150);
  const it = new Iteration(internet);
  for (let i = 0; i < 200; i++) it.find(`n${i}.org`);
  const asked = internet.seen.filter((s) => s.server.startsWith('192.0.2.4')).map((s) => s.server);
  const quick = asked.filter((s) => s === '192.0.2.43').length / asked.length;
  expect(quick).toBeGreaterThan(0.85);
  expect(quick).toBeLessThan(1);
  expect(new Set(asked).size).toBe(4);
});

test('a delegation is asked for anew when its TTL is over', () => {
  const it = iterate();
  it.find('www.example.org');
  it.wait(3601);
  it.internet.questions();
  it.find('ftp.example.org');
  expect(it.internet.questions()).toContain('A example.org');
});

test('a server that refuses a zone is asked last for a quarter of an hour, one that failed for half a minute', () => {
  for (const [rcode, restSeconds] of [
    [Rcode.REFUSED, 900],
    [Rcode.SERVFAIL, 30],
  ] as const) {
    const two = new SignedWorld([
      { name: '.', servers: [root] },
      { name: 'org', servers: ['192.0.2.51', '192.0.2.52'], ttl: 86_400 },
    ]);
    const it = new Iteration(new Internet(two).change('192.0.2.51', () => ({ rcode })));
    for (let i = 0; i < 20; i++) it.find(`a${i}.org`);
    it.wait(restSeconds - 1);
    it.internet.questions();
    for (let i = 0; i < 20; i++) it.find(`b${i}.org`);
    expect(it.internet.questions('192.0.2.51')).toEqual([]);
    it.wait(2);
    for (let i = 0; i < 20; i++) it.find(`c${i}.org`);
    expect(it.internet.questions('192.0.2.51').length).toBeGreaterThan(0);
  }
});

test('what the zone of a name server says of its address comes before glue (RFC 2181 §5.4.1)', () => {
  // org's glue for the name is old; the name's own zone knows better, once it was asked.
  const internet = new Internet()
    .at(root, () => referral([ns('org', 'ns.org')], [a('ns.org', org)]))
    .at(org, (q) =>
      q.name === key('ns.host.org')
        ? answer(a('ns.host.org', example))
        : q.name === key('one.org') || q.name === key('www.one.org')
          ? referral([ns('one.org', 'ns.host.org')], [a('ns.host.org', '192.0.2.99')])
          : denial('org'),
    )
    .at(example, (q) =>
      answer({ owner: q.name, type: Type.A, class: 1, ttl: 60, rdata: address('198.51.100.1') }),
    );
  const it = new Iteration(internet);
  // The address in the glue is dead: the name is looked up.
  expect(outcomeOf(it.find('www.one.org'))).toBe('A www.one.org');
  internet.questions();
  expect(outcomeOf(it.find('ftp.one.org'))).toBe('A ftp.one.org');
  expect(internet.seen.map((s) => s.server)).toEqual([example]);
});

test('flushing a name forgets its zone cut, with its tree all below', () => {
  const it = iterate();
  it.find('x.deep.a.b.example.org');
  it.internet.questions();
  it.recursion.forget(key('deep.a.b.example.org'), false);
  it.find('y.deep.a.b.example.org');
  expect(it.internet.questions()).toEqual(['A deep.a.b.example.org', 'A y.deep.a.b.example.org']);
  it.recursion.forget(key('org'), true);
  it.find('z.deep.a.b.example.org');
  expect(it.internet.questions()[0]).toBe('A org');
});

test('the delegations of the root outlive what is known of its own servers', () => {
  const it = new Iteration(
    new Internet(world()).change(root, (said, q) =>
      q.type === Type.NS ? { ...answer(ns('.', 'ns', 60)), additional: [a('ns', root, 60)] } : said,
    ),
  );
  it.find('.', Type.NS);
  it.wait(30);
  it.find('www.example.org');
  it.wait(60);
  it.internet.questions();
  it.find('ftp.example.org');
  expect(it.internet.questions(org)).toEqual([]);
  expect(it.internet.questions(root).filter((q) => q !== 'NS .')).toEqual([]);
});
