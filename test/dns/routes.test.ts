import { expect, test } from 'vitest';
import type { ResolverOptions } from '../../src/dns/resolver.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { changed, Network, server, type Answers } from './network.ts';
import { before, exampleWorld } from './scenes.ts';
import { address, key, SignedWorld, wire } from './zone.ts';

const world = exampleWorld();
const answers: Answers = (octets, { transport }) => world.answer(octets, transport === 'udp' ? 'udp' : 'tcp');

test('where an alias leads into a zone that is asked elsewhere, it is asked there', () => {
  const outside = exampleWorld().add('way.unsigned.org', Type.CNAME, wire('www.internal'));
  const inside = new SignedWorld([{ name: '.' }, { name: 'internal' }]).add(
    'www.internal',
    Type.A,
    address('10.0.0.80'),
  );
  const zones = [{ name: key('internal'), kind: 'forward', servers: [server('10.0.0.53')] }] as const;
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: outside.anchors(), zones });
  net.servers.set('192.0.2.1:53', (o) => outside.answer(o)).set('10.0.0.53:53', (o) => inside.answer(o));
  expect(net.ask('way.unsigned.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure' },
  });
  expect(net.ask('www.internal')).toMatchObject({ rcode: Rcode.NOERROR });
});

test('the resolver of a zone has no say in names outside of it', () => {
  const inside = new SignedWorld([{ name: '.' }, { name: 'internal' }, { name: 'unsigned.org' }])
    .add('way.internal', Type.CNAME, wire('www.unsigned.org'))
    .add('www.unsigned.org', Type.A, address('10.6.6.6'));
  const zones = [{ name: key('internal'), kind: 'forward', servers: [server('10.0.0.53')] }] as const;
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: world.anchors(), zones });
  net.servers.set('192.0.2.1:53', answers).set('10.0.0.53:53', (o) => inside.answer(o));
  net.ask('way.internal');
  expect(net.ask('www.unsigned.org').answer[0]?.rdatas).toEqual([address('192.0.2.90')]);
});

test('a question that is still on its way over TCP when its time is over ends', () => {
  const truncating: Answers = (octets, { transport }) => {
    if (transport !== 'udp') return undefined;
    const query = decodeMessage(octets);
    if (!query.ok) throw query.error;
    const reply = encodeMessage({ ...query.value, response: true, truncated: true, additional: [] });
    reply.set(octets.subarray(12, 12 + 20), 12);
    return reply;
  };
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: world.anchors() });
  net.servers.set('192.0.2.2:53', truncating);
  const id = net.start('www.example.org');
  net.wait(7.6);
  net.handle({ kind: 'upstreams', routes: { upstreams: [server('192.0.2.2')] } });
  let ticks = 0;
  net.runUntil(() => net.answer(id) !== undefined || ++ticks > 200);
  expect(net.answer(id)?.rcode).toBe(Rcode.SERVFAIL);
});

test('what a network says of its own zones is not kept over a restart, nor what others say of them', () => {
  const options: Partial<ResolverOptions> = {
    zones: [{ name: key('example.org'), kind: 'forward', servers: [server('192.0.2.1')] }],
  };
  const net = before(exampleWorld());
  const kept = (): Uint8Array => {
    net.cacheEffects.splice(0);
    net.handle({ kind: 'keep' });
    const [effect] = net.cacheEffects;
    if (effect?.kind !== 'keepCache') throw new Error('nothing is kept');
    return effect.octets;
  };
  net.restart({}, { keep: true }, options);
  net.ask('www.example.org');
  const inside = kept();
  net.restart({}, { keep: true });
  net.handle({ kind: 'restored', octets: inside });
  net.questions();
  net.ask('www.example.org');
  expect(net.questions()).toContain('A www.example.org');
  const outside = kept();
  net.restart({}, { keep: true }, options);
  net.handle({ kind: 'restored', octets: outside });
  net.questions();
  net.ask('www.example.org');
  expect(net.questions()).toContain('A www.example.org');
});

test.each<[string, (net: Network) => void]>([
  [
    'has other addresses',
    (net) => {
      net.handle({ kind: 'moved' });
    },
  ],
  [
    'learns of other resolvers',
    (net) => {
      net.handle({ kind: 'upstreams', routes: { upstreams: [server('192.0.2.2')] } });
    },
  ],
])('when the host %s, what no signature proved is forgotten, and what was proved is not', (_, leave) => {
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: world.anchors() });
  const forging = changed(answers, (m) => ({
    ...m,
    answer: m.answer.map((r) =>
      r.owner === key('www.unsigned.org') ? { ...r, rdata: address('10.6.6.6') } : r,
    ),
  }));
  net.servers.set('192.0.2.1:53', forging).set('192.0.2.2:53', answers);
  net.ask('www.example.org');
  expect(net.ask('www.unsigned.org').answer[0]?.rdatas).toEqual([address('10.6.6.6')]);
  expect(net.ask('www.unsigned.org').fromCache).toBe(true);
  net.servers.set('192.0.2.1:53', answers);
  const { generation } = net.resolver;
  leave(net);
  // Answers that were kept as octets go with it.
  expect(net.resolver.generation).toBeGreaterThan(generation);
  expect(net.ask('www.unsigned.org').answer[0]?.rdatas).toEqual([address('192.0.2.90')]);
  expect(net.ask('www.example.org').fromCache).toBe(true);
});

test.each<[string, (net: Network) => void]>([
  [
    'has other addresses',
    (net) => {
      net.handle({ kind: 'moved' });
    },
  ],
  [
    'learns of other resolvers',
    (net) => {
      net.handle({ kind: 'upstreams', routes: { upstreams: [server('192.0.2.2')] } });
    },
  ],
])('when the host %s, the network is asked for its translator again (RFC 7050 §3)', (_, leave) => {
  const arpa = exampleWorld({}, {}, { name: 'ipv4only.arpa' }).add(
    'ipv4only.arpa',
    Type.A,
    address('192.0.0.170'),
  );
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: arpa.anchors() });
  for (const at of ['192.0.2.1:53', '192.0.2.2:53']) net.servers.set(at, (o) => arpa.answer(o));
  net.ask('ipv4only.arpa', Type.AAAA);
  expect(net.ask('ipv4only.arpa', Type.AAAA).fromCache).toBe(true);
  net.askedFor('');
  leave(net);
  net.ask('ipv4only.arpa', Type.AAAA);
  expect(net.askedFor('AAAA ipv4only.arpa')).toHaveLength(1);
});

test('when the host is elsewhere a name that failed is asked at once, and an old address is not given for want of another', () => {
  const net = new Network({ upstreams: [server('192.0.2.1')], anchors: world.anchors() });
  net.servers.set('192.0.2.1:53', answers);
  net.ask('www.unsigned.org');
  net.servers.delete('192.0.2.1:53');
  expect(net.ask('alias.unsigned.org').rcode).toBe(Rcode.SERVFAIL);
  net.handle({ kind: 'moved' });
  net.wait(4_000);
  expect(net.ask('www.unsigned.org').rcode).toBe(Rcode.SERVFAIL);
  net.handle({ kind: 'moved' });
  net.servers.set('192.0.2.1:53', answers);
  expect(net.ask('alias.unsigned.org').rcode).toBe(Rcode.NOERROR);
});
