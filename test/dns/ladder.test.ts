import { expect, test } from 'vitest';
import type { ResolverOptions } from '../../src/dns/resolver.ts';
import { encodeSvcb, type Svcb } from '../../src/dns/svcb.ts';
import { Class, Ede, Rcode, Type } from '../../src/dns/types.ts';
import { changed, Network, server, type Answers } from './network.ts';
import { exampleWorld } from './scenes.ts';
import { upstreamsOf } from './manners.ts';
import { address, key, SignedWorld } from './zone.ts';

const udp = '192.0.2.1:53';
const tcp = 'tcp://192.0.2.1:53';
const tls = 'tls://192.0.2.1:853';
const root = '198.41.0.4:53';

const world = exampleWorld();
const {
  well: answers,
  silent,
  refused,
  strips: stripping,
  drops: dropping,
  old: withoutEdns,
  invents: inventing,
  iterates: iterating,
} = upstreamsOf(() => world);

test('where all is well nothing is probed', () => {
  const net = network({ [udp]: answers, [tcp]: answers, [tls]: answers });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  expect(net.resolver.stats['probed']).toBe(0);
  expect(net.notes()).toEqual([]);
});

test.each<[string, Answers, string]>([
  ['strips RRSIGs', stripping, 'strips DNSSEC'],
  ['answers FORMERR to EDNS', withoutEdns, 'answers FORMERR to EDNS'],
  ['says nothing', silent, 'does not answer'],
  ['lets no large datagrams through', dropping, 'lets no large replies through'],
  ['cannot be reached', refused, 'nothing listens at 192.0.2.1:53'],
  ['invents names', inventing, 'strips DNSSEC'],
])('an upstream that over UDP %s is asked over TCP, and the first lookup succeeds', (_, broken, why) => {
  const net = network({ [udp]: broken, [tcp]: answers, [tls]: refused });
  const resolution = net.ask('www.example.org');
  expect(resolution.verdict.status).toBe('secure');
  expect(resolution.tookMs).toBeLessThan(6_000);
  net.askedFor('');
  expect(net.ask('deep.empty.example.org').verdict.status).toBe('secure');
  expect(net.askedFor('A deep.empty.example.org')).toEqual([tcp]);
  net.wait(180);
  expect(net.notes()[0]).toMatch(/^Upstream .*: it is asked over TCP for 3 min\.$/);
  expect(net.notes()[0]).toContain(why);
});

test.each<[string, Answers]>([
  ['strips RRSIGs', stripping],
  ['does not listen', refused],
  ['says nothing', silent],
])('an upstream that over TCP %s as well is asked over TLS', (_, broken) => {
  const net = network({ [udp]: stripping, [tcp]: broken, [tls]: answers });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  net.askedFor('');
  net.ask('deep.empty.example.org');
  expect(net.askedFor('A deep.empty.example.org')).toEqual([tls]);
  expect(net.notes()[0]).toContain('it is asked over TLS');
});

test('truncated replies that TCP does not answer lead to TLS', () => {
  const truncating: Answers = (octets, at) => {
    const reply = changed(answers, (m) => ({ ...m, truncated: true, answer: [], authority: [] }))(octets, at);
    return reply;
  };
  const net = network({ [udp]: truncating, [tcp]: refused, [tls]: answers });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
});

test('another upstream that works is preferred to other ways', () => {
  const net = network({ [udp]: stripping, [tcp]: answers, '192.0.2.2:53': answers }, [
    '192.0.2.1',
    '192.0.2.2',
  ]);
  const resolution = net.ask('www.example.org');
  expect(resolution.verdict.status).toBe('secure');
  expect(resolution.tookMs).toBeLessThan(200);
});

test('where no way to any upstream passes DNSSEC the root servers are asked', () => {
  const net = network({ [udp]: stripping, [tcp]: stripping, [tls]: refused, [root]: iterating });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  net.askedFor('');
  expect(net.ask('deep.empty.example.org').verdict.status).toBe('secure');
  expect(net.askedFor('A deep.empty.example.org')).not.toContain(udp);
  expect(net.notes().at(-1)).toContain('oe asks the root servers itself');
});

test('where upstreams are dead the root servers are asked, and the upstream again when it is back', () => {
  const net = network({ [root]: iterating });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  for (const [at, how] of Object.entries({ [udp]: answers, [tcp]: answers })) net.servers.set(at, how);
  net.wait(60);
  net.ask('deep.empty.example.org');
  net.wait(5);
  net.askedFor('');
  expect(net.ask('x.wild.example.org').verdict.status).toBe('secure');
  expect(net.askedFor('A x.wild.example.org')).toEqual([udp]);
  expect(net.notes()).toEqual([]);
});

test('where nothing passes at all the answer is SERVFAIL and says what was tried (RFC 8914)', () => {
  const net = network({ [udp]: stripping, [tcp]: stripping, [tls]: refused });
  const resolution = net.ask('www.example.org');
  expect(resolution).toMatchObject({ rcode: Rcode.SERVFAIL, ede: { code: Ede.RRSIGS_MISSING } });
  expect(resolution.ede?.text).toContain('192.0.2.1:53 strips DNSSEC');
  expect(resolution.ede?.text).toContain('nothing listens at 192.0.2.1:853');
  expect(resolution.ede?.text).toContain('asking the root servers');
  expect(net.notes().at(-1)).toContain('Check the network');
});

test('a better way is taken again when it works, without a restart', () => {
  const net = network({ [udp]: stripping, [tcp]: answers });
  net.ask('www.example.org');
  net.servers.set(udp, answers);
  net.wait(15);
  net.ask('deep.empty.example.org');
  net.wait(5);
  net.askedFor('');
  net.ask('x.wild.example.org');
  expect(net.askedFor('A x.wild.example.org')).toEqual([udp]);
  expect(net.notes()).toEqual([]);
});

test('a network that was away is asked again at once when it is back', () => {
  const net = network({});
  expect(net.ask('www.example.org').rcode).toBe(Rcode.SERVFAIL);
  net.servers.set(udp, answers);
  net.wait(6);
  const resolution = net.ask('www.example.org');
  expect(resolution.verdict.status).toBe('secure');
  expect(resolution.tookMs).toBeLessThan(1_000);
  expect(net.notes()).toEqual([]);
});

test('one domain that is broken costs one probing a minute, and nothing else', () => {
  const broken = exampleWorld().spoil('www.example.org', Type.A, { missing: true });
  const spoiled: Answers = (octets) => broken.answer(octets);
  const net = network({ [udp]: spoiled, [tcp]: spoiled, [tls]: refused });
  expect(net.ask('www.example.org')).toMatchObject({ rcode: Rcode.SERVFAIL, verdict: { status: 'bogus' } });
  expect(net.ask('deep.empty.example.org').verdict.status).toBe('secure');
  net.wait(20);
  net.ask('www.example.org');
  expect(net.resolver.stats['probed']).toBe(1);
  expect(net.notes()).toEqual([]);
});

test('an idle host probes nothing', () => {
  const net = network({ [udp]: stripping, [tcp]: answers });
  net.ask('www.example.org');
  net.wait(5);
  net.askedFor('');
  net.wait(3_600);
  expect(net.asked.filter((a) => a.text !== 'DNSKEY .')).toEqual([]);
});

test('what is configured to be encrypted is never asked in clear, and nobody else instead', () => {
  const strict = 'tls://192.0.2.1:853#dns.example';
  const net = network({ [udp]: answers, [tcp]: answers, [tls]: answers, [root]: iterating }, [strict]);
  expect(net.ask('www.example.org').rcode).toBe(Rcode.SERVFAIL);
  expect(new Set(net.asked.map((a) => a.server))).toEqual(new Set([strict]));
});

test('names of a zone are asked where the zone is, its DS on the side of the parent (RFC 4035 §4.2)', () => {
  const zone = { name: key('unsigned.org'), kind: 'forward', servers: [server('198.51.100.53')] } as const;
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: world.anchors(), zones: [zone] });
  net.servers.set(udp, answers).set('198.51.100.53:53', answers);
  expect(net.ask('www.unsigned.org').verdict.status).toBe('insecure');
  const asked = (text: string): string[] => net.asked.filter((a) => a.text === text).map((a) => a.server);
  expect(asked('A www.unsigned.org')).toEqual(['198.51.100.53:53']);
  expect(new Set(asked('DS unsigned.org'))).toEqual(new Set([udp]));
});

test.each(['internal', 'corp.internal'])(
  'a zone %s that the DNS has not, and the network answers for, is insecure, and gone with the network',
  (zone) => {
    const inside = new SignedWorld([{ name: '.' }, { name: zone }]).add(
      `www.${zone}`,
      Type.A,
      address('10.0.0.80'),
    );
    const net = network({ [udp]: answers, '10.0.0.53:53': (octets) => inside.answer(octets) });
    expect(net.ask(`www.${zone}`)).toMatchObject({ rcode: Rcode.NXDOMAIN, verdict: { status: 'secure' } });
    const upstreams = [server('192.0.2.1')];
    const zones = [{ name: key(zone), kind: 'forward', servers: [server('10.0.0.53')] }] as const;
    net.handle({ kind: 'upstreams', routes: { upstreams, zones } });
    expect(net.ask(`www.${zone}`)).toMatchObject({ rcode: Rcode.NOERROR, verdict: { status: 'insecure' } });
    // A name that exists is judged as ever, whoever claims it.
    expect(net.ask('www.example.org').verdict.status).toBe('secure');
    net.handle({ kind: 'upstreams', routes: { upstreams } });
    expect(net.ask(`www.${zone}`)).toMatchObject({ rcode: Rcode.NXDOMAIN, verdict: { status: 'secure' } });
  },
);

test('a network that claims a signed name cannot forge it', () => {
  const inside = new SignedWorld([{ name: '.' }, { name: 'example.org' }]).add(
    'www.example.org',
    Type.A,
    address('10.0.0.80'),
  );
  const net = network({ [udp]: answers, '10.0.0.53:53': (octets) => inside.answer(octets) });
  const zones = [{ name: key('example.org'), kind: 'forward', servers: [server('10.0.0.53')] }] as const;
  net.handle({ kind: 'upstreams', routes: { upstreams: [server('192.0.2.1')], zones } });
  expect(net.ask('www.example.org')).toMatchObject({ rcode: Rcode.SERVFAIL, verdict: { status: 'bogus' } });
});

test('when the network names other resolvers, what is under way goes to them', () => {
  const net = network({ '192.0.2.9:53': answers });
  const id = net.start('www.example.org');
  net.wait(0.1);
  net.handle({ kind: 'upstreams', routes: { upstreams: [server('192.0.2.9')] } });
  net.runUntil(() => net.answer(id) !== undefined);
  expect(net.answer(id)?.verdict.status).toBe('secure');
  expect(net.answer(id)?.tookMs).toBeLessThan(300);
});

const offer = (params: Partial<Svcb>): Answers =>
  changed(answers, (m) => {
    if (m.questions[0]?.type !== Type.SVCB) return m;
    const [question] = m.questions;
    const rdata = encodeSvcb({
      priority: 1,
      target: key('dns.example'),
      mandatory: [],
      alpn: ['dot'],
      noDefaultAlpn: false,
      port: undefined,
      ipv4hint: [server('192.0.2.1').endpoint.address],
      ipv6hint: [],
      ech: undefined,
      dohpath: undefined,
      others: new Map(),
      ...params,
    });
    const record = { owner: question.name, type: Type.SVCB, class: Class.IN, ttl: 300, rdata };
    return { ...m, rcode: Rcode.NOERROR, answer: [record], authority: [] };
  });

test.each<[string, Partial<Svcb>, string]>([
  ['DNS over TLS', {}, 'tls://192.0.2.1:853#192.0.2.1'],
  ['another port', { port: 8853 }, 'tls://192.0.2.1:8853#192.0.2.1'],
  ['DNS over HTTPS', { alpn: ['h2', 'h3'], dohpath: '/q{?dns}' }, 'https://192.0.2.1:443/q#192.0.2.1'],
  [
    'another address',
    { ipv4hint: [server('198.51.100.9').endpoint.address] },
    'tls://198.51.100.9:853#192.0.2.1',
  ],
])(
  'an upstream that offers %s is asked so, if its certificate covers the address that is known (RFC 9462 §4.2)',
  (_, params, way) => {
    const net = network({ [udp]: offer(params), [way]: answers }, ['192.0.2.1'], { discovers: true });
    net.ask('www.example.org');
    net.ask('deep.empty.example.org');
    net.wait(1);
    net.askedFor('');
    expect(net.ask('x.wild.example.org').verdict.status).toBe('secure');
    expect(net.askedFor('A x.wild.example.org')).toEqual([way]);
    expect(net.notes()[0]).toContain('is asked in private');
  },
);

test('a resolver at a private address is encrypted to without a proof where it stands itself (RFC 9462 §4.3)', () => {
  const own = server('192.168.0.1');
  const offering = offer({ ipv4hint: [own.endpoint.address] });
  const ways = { '192.168.0.1:53': offering, 'tls://192.168.0.1:853': answers };
  const net = network(ways, ['192.168.0.1'], { discovers: true });
  net.ask('www.example.org');
  net.ask('deep.empty.example.org');
  net.wait(1);
  net.askedFor('');
  net.ask('x.wild.example.org');
  expect(net.askedFor('A x.wild.example.org')).toEqual(['tls://192.168.0.1:853']);
});

test.each(['10.9.9.9', '192.0.2.9'])(
  'a resolver in a private network may offer %s, with a proof of its own address (RFC 9462 §4.2)',
  (elsewhere) => {
    const way = `tls://${elsewhere}:853#192.168.0.1`;
    const offering = offer({ ipv4hint: [server(elsewhere).endpoint.address] });
    const net = network({ '192.168.0.1:53': offering, [way]: answers }, ['192.168.0.1'], { discovers: true });
    net.ask('www.example.org');
    net.ask('deep.empty.example.org');
    net.wait(1);
    net.askedFor('');
    net.ask('x.wild.example.org');
    expect(net.askedFor('A x.wild.example.org')).toEqual([way]);
  },
);

test.each<[string, Partial<Svcb>]>([
  ['an alias', { priority: 0 }],
  ['HTTP/3 alone', { alpn: ['h3'], dohpath: '/q{?dns}' }],
  ['HTTPS without a path', { alpn: ['h2'] }],
  ['something that one must know', { mandatory: [700], others: new Map([[700, new Uint8Array(1)]]) }],
  ['no address', { ipv4hint: [] }],
  ...['127.0.0.1', '169.254.1.1', '10.1.2.3', '192.168.0.1', '100.64.0.1', '224.0.0.1'].map(
    (inside): [string, Partial<Svcb>] => [
      `${inside}, by a resolver of the internet,`,
      { ipv4hint: [server(inside).endpoint.address] },
    ],
  ),
])('an offer of %s is none', (_, params) => {
  const net = network({ [udp]: offer(params), [tcp]: answers }, ['192.0.2.1'], { discovers: true });
  net.ask('www.example.org');
  net.ask('deep.empty.example.org');
  net.wait(1);
  net.askedFor('');
  net.ask('x.wild.example.org');
  expect(net.askedFor('A x.wild.example.org')).toEqual([udp]);
  expect(net.resolver.stats['probed']).toBe(0);
});

test('an encrypted way that fails is left for the one in clear, and taken again', () => {
  const way = 'tls://192.0.2.1:853#192.0.2.1';
  const net = network({ [udp]: offer({}), [tcp]: answers, [way]: answers }, ['192.0.2.1'], {
    discovers: true,
  });
  net.ask('www.example.org');
  net.ask('deep.empty.example.org');
  net.wait(1);
  net.servers.delete(way);
  expect(net.ask('www.unsigned.org').rcode).toBe(Rcode.NOERROR);
  net.servers.set(way, answers);
  net.wait(60);
  net.ask('x.wild.example.org');
  net.wait(1);
  net.askedFor('');
  net.ask('alias.example.org');
  expect(net.askedFor('A alias.example.org')).toEqual([way]);
});

test.each<[string, Answers]>([
  ['is not there', silent],
  ['has another certificate', refused],
  ['strips RRSIGs', stripping],
])('an encrypted way that %s costs nothing but the probing', (_, broken) => {
  const ways = { [udp]: offer({}), [tcp]: answers, 'tls://192.0.2.1:853#192.0.2.1': broken };
  const net = network(ways, ['192.0.2.1'], { discovers: true });
  net.ask('www.example.org');
  net.ask('deep.empty.example.org');
  net.wait(5);
  net.askedFor('');
  expect(net.ask('x.wild.example.org')).toMatchObject({ verdict: { status: 'secure' }, tookMs: 20 });
  expect(net.askedFor('A x.wild.example.org')).toEqual([udp]);
  expect(net.notes()).toEqual([]);
});

test('in another network what the last one offered does not hold (RFC 9462 §4.1)', () => {
  const way = 'tls://192.0.2.1:853#192.0.2.1';
  const net = network({ [udp]: offer({}), [way]: answers }, ['192.0.2.1'], { discovers: true });
  net.ask('www.example.org');
  net.ask('deep.empty.example.org');
  net.wait(1);
  net.servers.set(udp, answers);
  net.handle({ kind: 'moved' });
  net.askedFor('');
  net.ask('x.wild.example.org');
  expect(net.askedFor('A x.wild.example.org')).toEqual([udp]);
});

/** A network with a resolver before it that knows `upstreams`. */
function network(
  servers: Record<string, Answers>,
  upstreams: readonly string[] = ['192.0.2.1'],
  more: Partial<ResolverOptions> = {},
): Network {
  const net = new Network({
    upstreams: upstreams.map(server),
    anchors: world.anchors(),
    hints: [{ name: key('a.root-servers.example'), addresses: [server('198.41.0.4').endpoint.address] }],
    ...more,
  });
  for (const [at, how] of Object.entries(servers)) net.servers.set(at, how);
  return net;
}
