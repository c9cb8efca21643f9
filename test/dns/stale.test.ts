import { expect, test } from 'vitest';
import { nameOf } from '../../src/dns/name.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { exampleWorld, servfail } from './scenes.ts';
import { address, type SignedWorld } from './zone.ts';

/** A resolver whose one upstream can be cut off. */
function breakable(world: SignedWorld = exampleWorld()): { net: Forwarding; cut: (off: boolean) => void } {
  let isCut = false;
  const net = new Forwarding(world.anchors(), (octets, transport) =>
    isCut ? undefined : world.answer(octets, transport),
  );
  return {
    net,
    cut: (off) => {
      isCut = off;
    },
  };
}

const hour = 3600;

test('where nobody answers an address is served after its time, with TTL 30 and EDE 3, never AD (RFC 8767 §4, §5)', () => {
  const { net, cut } = breakable();
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  cut(true);
  net.wait(2 * hour);
  const resolution = net.ask('www.example.org');
  expect(resolution).toMatchObject({
    rcode: Rcode.NOERROR,
    isStale: true,
    fromCache: true,
    verdict: { status: 'indeterminate', ede: Ede.STALE_ANSWER },
    ede: { code: Ede.STALE_ANSWER },
  });
  expect(resolution.answer).toMatchObject([{ type: Type.A, ttl: 30, rdatas: [address('192.0.2.80')] }]);
});

test('whoever asks waits for 1.8 seconds before that (§5), and the question goes on', () => {
  const { net, cut } = breakable();
  net.ask('www.example.org');
  cut(true);
  net.wait(2 * hour);
  const [begun, id] = [net.now, net.start('www.example.org')];
  net.run(net.now + 1800);
  expect((net.resolved.get(id)?.at ?? 0) - begun).toBe(1800);
  // Who comes later does not wait again.
  const second = net.start('www.example.org');
  expect(net.resolved.get(second)?.resolution.isStale).toBe(true);
  cut(false);
  net.run();
  const fresh = net.ask('www.example.org');
  expect(fresh.isStale).toBeUndefined();
});

test('a failure that is remembered gives what is stale at once', () => {
  const { net, cut } = breakable();
  net.ask('www.example.org');
  cut(true);
  net.wait(2 * hour);
  net.start('www.example.org');
  // The lookup itself goes on for 10 seconds at the most.
  net.run(net.now + 11_000);
  net.questions();
  const id = net.start('www.example.org');
  expect(net.resolved.get(id)?.resolution).toMatchObject({ isStale: true, tookMs: 0 });
  expect(net.questions()).toEqual([]);
});

test('an alias whose time is over leads to an address whose time is over', () => {
  const { net, cut } = breakable();
  net.ask('alias.example.org');
  cut(true);
  net.wait(2 * hour);
  expect(net.ask('alias.example.org').answer.map((s) => s.type)).toEqual([Type.CNAME, Type.A]);
});

test.each([
  ['IPSECKEY', 'www.example.org', Type.IPSECKEY],
  ['DNSKEY', 'example.org', Type.DNSKEY],
  ['DS', 'example.org', Type.DS],
  ['a denial', 'www.example.org', Type.AAAA],
  ['a name that is not there', 'nothing.example.org', Type.A],
  ['an expanded wildcard', 'x.wild.example.org', Type.A],
])('%s is never served after its time', (_, name, type) => {
  const { net, cut } = breakable();
  net.ask(name, type);
  cut(true);
  net.wait(2 * hour);
  expect(net.ask(name, type)).toMatchObject({ ...servfail, verdict: { status: 'indeterminate' } });
});

test('no wildcard is expanded for a name after its denial has lapsed', () => {
  const { net, cut } = breakable();
  for (const name of ['a', 'b', 'c']) net.ask(`${name}.wild.example.org`);
  cut(true);
  net.wait(2 * hour);
  for (const name of ['a', 'b', 'd']) expect(net.ask(`${name}.wild.example.org`)).toMatchObject(servfail);
});

test('after a day it is over', () => {
  const { net, cut } = breakable();
  net.ask('www.example.org');
  cut(true);
  net.wait(hour + 86_400);
  expect(net.ask('www.example.org')).toMatchObject(servfail);
});

test('where it was bogus meanwhile, what was true before is not served', () => {
  const world = exampleWorld();
  const { net, cut } = breakable(world);
  net.ask('www.example.org');
  net.wait(2 * hour);
  world.spoil('www.example.org', Type.A, { flipped: true });
  expect(net.ask('www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'bogus' } });
  cut(true);
  net.wait(600);
  expect(net.ask('www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'indeterminate' } });
});

test('SERVFAIL of the upstream counts as no answer; a true NXDOMAIN does not', () => {
  const world = exampleWorld();
  const { net } = breakable(world);
  net.ask('www.example.org');
  net.wait(2 * hour);
  let isBroken = true;
  world.tamper((m) => (isBroken ? { ...m, rcode: Rcode.SERVFAIL, answer: [], authority: [] } : m));
  expect(net.ask('www.example.org').isStale).toBe(true);
  isBroken = false;
  world.remove('www.example.org', Type.A).remove('www.example.org', Type.IPSECKEY);
  net.wait(600);
  expect(net.ask('www.example.org')).toMatchObject({ rcode: Rcode.NXDOMAIN, verdict: { status: 'secure' } });
});

test('it can be switched off, and what was flushed is gone', () => {
  for (const isOff of [true, false]) {
    const { net, cut } = breakable();
    if (isOff) net.restart({}, { serveStale: false });
    net.ask('www.example.org');
    if (!isOff) net.handle({ kind: 'flush', request: 1, what: { name: nameOf('www.example.org') } });
    cut(true);
    net.wait(2 * hour);
    expect(net.ask('www.example.org')).toMatchObject(servfail);
  }
});
