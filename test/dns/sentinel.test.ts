import { expect, test } from 'vitest';
import { keyTag } from '../../src/dns/dnssec/keytag.ts';
import { signalName } from '../../src/dns/anchors/sentinel.ts';
import { nameText, rootName } from '../../src/dns/name.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { exampleWorld, servfail } from './scenes.ts';
import { address, key, type SignedWorld } from './zone.ts';

const trustedTag = tagOf(exampleWorld().keysOf('.').dnskey);
const otherTag = String((Number(trustedTag) + 1) % 65_536).padStart(5, '0');

test.each([
  ['is', trustedTag, 'answered'],
  ['is', otherTag, 'refused'],
  ['not', trustedTag, 'refused'],
  ['not', otherTag, 'answered'],
])('root-key-sentinel-%s-ta-%s is %s (RFC 8509 §2.2)', (what, tag, how) => {
  const { rcode, verdict } = sentinelWorld().ask(`root-key-sentinel-${what}-ta-${tag}.example.org`);
  if (how === 'answered') expect([rcode, verdict.status]).toEqual([Rcode.NOERROR, 'secure']);
  else expect([rcode, verdict.status]).toEqual([Rcode.SERVFAIL, 'indeterminate']);
});

test('it answers the same from the cache', () => {
  const net = sentinelWorld();
  const name = `root-key-sentinel-not-ta-${trustedTag}.example.org`;
  net.ask(name);
  expect(net.ask(name)).toMatchObject({ ...servfail, fromCache: true });
});

test('what is not secure, what is asked with CD, and other types are no business of the sentinel', () => {
  const name = `root-key-sentinel-is-ta-${otherTag}`;
  const net = sentinelWorld();
  expect(net.ask(`${name}.unsigned.org`)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure' },
  });
  expect(net.ask(`${name}.example.org`, Type.A, true).rcode).toBe(Rcode.NOERROR);
  expect(net.ask(`${name}.example.org`, Type.TXT).rcode).toBe(Rcode.NOERROR);
  expect(net.ask(`${name}.example.org`, Type.AAAA).rcode).toBe(Rcode.SERVFAIL);
});

test('only a first label of exactly that form counts', () => {
  const net = sentinelWorld();
  for (const name of [
    'root-key-sentinel-is-ta-123',
    'xroot-key-sentinel-is-ta-00001',
    `www.root-key-sentinel-is-ta-${otherTag}`,
  ])
    expect(net.ask(`${name}.example.org`).rcode, name).toBe(Rcode.NOERROR);
});

test('once a day the servers of a trust point are told which of its keys are trusted (RFC 8145 §5)', () => {
  const world = exampleWorld();
  const net = new Forwarding(world.anchors(), world);
  net.restart({ signalling: true });
  look(net, 'www.example.org');
  const signal = `NULL _ta-${Number(trustedTag).toString(16).padStart(4, '0')}`;
  expect(net.questions().filter((q) => q.startsWith('NULL'))).toEqual([signal]);
  // The root's keys are asked for again when their TTL is over, which is every hour in this world.
  for (let hours = 0; hours < 48; hours++) {
    net.wait(3_600);
    look(net, `name${hours}.example.org`);
  }
  expect(net.questions().filter((q) => q.startsWith('NULL'))).toEqual([signal, signal]);
});

test('nobody is told where that is not wanted, nor where the keys did not validate', () => {
  const quiet = new Forwarding(exampleWorld().anchors(), exampleWorld());
  look(quiet, 'www.example.org');
  const broken = exampleWorld().spoil('.', Type.DNSKEY, { flipped: true });
  const net = new Forwarding(broken.anchors(), broken);
  net.restart({ signalling: true });
  look(net, 'www.example.org');
  expect([...quiet.questions(), ...net.questions()].filter((q) => q.startsWith('NULL'))).toEqual([]);
});

test('the name of a signal has the tags in order, four digits each, above the trust point', () => {
  const name = (owner: string, tags: readonly number[]) => {
    const made = signalName(key(owner), tags);
    return made === undefined ? undefined : nameText(made);
  };
  expect(name('.', [38_696, 20_326])).toBe('_ta-4f66-9728');
  expect(name('example.org', [1])).toBe('_ta-0001.example.org');
  expect(signalName(rootName, [])).toBeUndefined();
  expect(
    name(
      '.',
      Array.from({ length: 13 }, (_, i) => i),
    ),
  ).toBeUndefined();
});

function sentinelWorld(): Forwarding {
  const world: SignedWorld = exampleWorld();
  for (const what of ['is', 'not'])
    for (const tag of [trustedTag, otherTag])
      for (const zone of ['example.org', 'unsigned.org'])
        for (const [type, rdata] of [
          [Type.A, address('192.0.2.1')],
          [Type.AAAA, address('2001:db8::1')],
        ] as const)
          world.add(`root-key-sentinel-${what}-ta-${tag}.${zone}`, type, rdata);
  for (const name of [
    'root-key-sentinel-is-ta-123',
    'xroot-key-sentinel-is-ta-00001',
    `www.root-key-sentinel-is-ta-${otherTag}`,
  ])
    world.add(`${name}.example.org`, Type.A, address('192.0.2.1'));
  return new Forwarding(world.anchors(), world);
}

function look(net: Forwarding, name: string): Resolution {
  const id = net.start(name);
  net.wait(5);
  const done = net.resolved.get(id);
  if (!done) throw new Error(`no answer to ${name}`);
  return done.resolution;
}

function tagOf(rdata: Uint8Array): string {
  return String(keyTag(rdata)).padStart(5, '0');
}
