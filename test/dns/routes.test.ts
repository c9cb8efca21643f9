import { expect, test } from 'vitest';
import type { ResolverOptions } from '../../src/dns/resolver.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { Network, server, type Answers } from './network.ts';
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
    zones: [{ name: key('unsigned.org'), kind: 'forward', servers: [server('192.0.2.1')] }],
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
  net.ask('www.unsigned.org');
  const inside = kept();
  net.restart({}, { keep: true });
  net.handle({ kind: 'restored', octets: inside });
  net.questions();
  net.ask('www.unsigned.org');
  expect(net.questions()).toContain('A www.unsigned.org');
  const outside = kept();
  net.restart({}, { keep: true }, options);
  net.handle({ kind: 'restored', octets: outside });
  net.questions();
  net.ask('www.unsigned.org');
  expect(net.questions()).toContain('A www.unsigned.org');
});
