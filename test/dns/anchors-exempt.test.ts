import { expect, test } from 'vitest';
import type { NegativeAnchor } from '../../src/dns/anchors/negative.ts';
import type { HealthNote } from '../../src/health.ts';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { isBelow } from '../../src/dns/name.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { wallSeconds } from '../../src/time.ts';
import { Forwarding } from './forwarding.ts';
import { covers, exampleWorld, servfail, without } from './scenes.ts';
import { address, ipseckey, key, signingDate, wire, type SignedWorld } from './zone.ts';

const day = 86_400;

test('a broken zone answers under a negative trust anchor, without AD, and the reason is told (RFC 7646)', () => {
  const net = exempting(broken(), 'example.org');
  const { verdict, answer, ede, chain } = ask(net, 'www.example.org');
  expect([verdict.status, answer.length]).toEqual(['insecure', 1]);
  const why = 'example.org is exempt from validation until 2026-11-25T12:00:00Z (negative trust anchor)';
  expect(ede).toEqual({ code: Ede.OTHER, text: why });
  expect(chain.join('\n')).toContain(why);
});

test('keys under a negative trust anchor never count: IPSECKEY is insecure, though it would validate', () => {
  const net = exempting(exampleWorld(), 'example.org');
  expect(ask(net, 'www.example.org', Type.IPSECKEY).verdict.status).toBe('insecure');
});

test('names beside and above it are validated as ever, and so is its own DS', () => {
  const net = exempting(broken(), 'example.org');
  expect(ask(net, 'org', Type.SOA).verdict.status).toBe('secure');
  expect(ask(net, 'example.org', Type.DS).verdict.status).toBe('secure');
  expect(ask(net, 'xexample.org').verdict.status).toBe('secure');
});

test('a denial below it is insecure, too, whatever it lacks', () => {
  const world = exampleWorld().tamper(
    without('nothing.example.org', Type.A, (r) => r.type === Type.NSEC || covers(r, Type.NSEC)),
  );
  expect(ask(exempting(world, 'example.org'), 'nothing.example.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'insecure' },
  });
});

test('a zone below it is not validated, though it is signed and has a DS', () => {
  const world = exampleWorld({}, {}, { name: 'sub.example.org', signed: true })
    .add('www.sub.example.org', Type.A, address('192.0.2.7'))
    .spoil('www.sub.example.org', Type.A, { flipped: true });
  expect(ask(exempting(world, 'example.org'), 'www.sub.example.org').verdict.status).toBe('insecure');
});

test('a trust anchor below it wins, at the same name it does not', () => {
  const world = exampleWorld({}, {}, { name: 'sub.example.org', signed: true })
    .add('www.sub.example.org', Type.A, address('192.0.2.7'))
    .add('bad.sub.example.org', Type.A, address('192.0.2.7'))
    .spoil('bad.sub.example.org', Type.A, { flipped: true });
  const net = new Forwarding([...world.anchors(), ...world.anchors('sub.example.org')], world);
  net.restart({ negative: [negative('example.org')] });
  expect(ask(net, 'www.sub.example.org').verdict.status).toBe('secure');
  expect(ask(net, 'bad.sub.example.org').verdict.status).toBe('bogus');
  expect(ask(net, 'www.example.org').verdict.status).toBe('insecure');
  net.restart({ negative: [negative('sub.example.org')] });
  expect(ask(net, 'bad.sub.example.org').verdict.status).toBe('insecure');
});

test('of two the deeper one speaks, and an end of it is not the end of the other', () => {
  const net = new Forwarding(exampleWorld().anchors(), broken());
  net.restart({ negative: [negative('org', 5), negative('example.org', 1)] });
  expect(ask(net, 'www.example.org').ede?.text).toMatch(/^example\.org/);
  net.wait(2 * day);
  expect(ask(net, 'deep.empty.example.org').ede?.text).toMatch(/^org/);
});

test('it ends by itself, at its time, and that is told', () => {
  const net = exempting(broken(), 'example.org', 1);
  expect(ask(net, 'www.example.org').verdict.status).toBe('insecure');
  expect(note(net)).toEqual({
    level: 'warning',
    sentence:
      'example.org is not validated until 2026-11-25T12:00:00Z, by a negative trust anchor; no key below it counts.',
  });
  net.wait(day + 1);
  expect(ask(net, 'www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'bogus' } });
  expect(note(net)).toEqual({
    level: 'notice',
    sentence:
      'The exception from validation for example.org ended on 2026-11-25T12:00:00Z. Take its negative-trust-anchor out of the configuration.',
  });
});

test('what was answered under it is not answered from the cache after its end', () => {
  const world = exampleWorld({ ttl: 7 * day }).spoil('www.example.org', Type.A, { flipped: true });
  const net = exempting(world, 'example.org', 1 / 24);
  expect(ask(net, 'www.example.org').verdict.status).toBe('insecure');
  net.wait(3_500);
  expect(ask(net, 'www.example.org').fromCache).toBe(true);
  net.wait(101);
  expect(ask(net, 'www.example.org').verdict.status).toBe('bogus');
});

test('more than a week is warned of', () => {
  const net = exempting(broken(), 'example.org', 8);
  expect(note(net)?.sentence).toMatch(/more than the week that RFC 7646 advises\.$/);
});

test('every hour it is tried whether it is needed, and told where it is not, though it holds to its end (RFC 7646 §2)', () => {
  let world: SignedWorld | undefined = broken();
  const anchors = world.anchors();
  const net = new Forwarding(anchors, (octets) => world?.answer(octets));
  net.restart({ negative: [negative('example.org')] });
  const trials = (): string[] => net.questions().filter((q) => q === 'SOA example.org');
  const needless = (): number =>
    net.trustEffects.filter((e) => e.kind === 'log' && e.event.event === 'anchors.exception.needless').length;
  ask(net, 'www.example.org');
  net.wait(60);
  expect(trials()).toHaveLength(1);
  net.wait(2 * 3_600);
  expect(trials()).toHaveLength(2);
  expect(note(net)?.sentence).toMatch(/^example\.org is not validated until/);
  // Where nobody answers nothing is known.
  world = undefined;
  net.wait(3_600);
  expect(note(net)?.sentence).toMatch(/^example\.org is not validated until/);
  world = exampleWorld();
  net.wait(3_600);
  expect(note(net)).toEqual({
    level: 'warning',
    sentence:
      'example.org could be validated again since 2026-11-24T16:01:00Z. Take its negative-trust-anchor out of the configuration: as long as it is there, no key below example.org counts.',
  });
  expect(ask(net, 'www.example.org').verdict.status).toBe('insecure');
  net.wait(2 * 3_600);
  expect(needless()).toBe(1);
  world = broken();
  net.wait(3_600);
  expect(note(net)?.sentence).toMatch(/^example\.org is not validated until/);
  expect(ask(net, 'www.example.org').verdict.status).toBe('insecure');
});

test('a trial finds needless what was given up to be signed as well, and asks nothing after the end', () => {
  const net = exempting(exampleWorld(), 'unsigned.org', 1 / 24);
  ask(net, 'www.unsigned.org');
  net.wait(61);
  expect(net.resolver.notes(net.wall, net.now).map((n) => n.sentence)).toContainEqual(
    expect.stringMatching(/^unsigned\.org could be validated again/),
  );
  net.wait(day);
  net.questions();
  net.wait(day / 2);
  expect(net.questions()).not.toContain('SOA unsigned.org');
});

test('what a trial finds is not what others are told, and a wrong clock tries nothing', () => {
  const net = exempting(exampleWorld(), 'example.org');
  ask(net, 'www.example.org');
  net.wait(61);
  // Neither the proof nor the verdict is kept for anybody.
  expect(ask(net, 'example.org', Type.SOA)).toMatchObject({
    verdict: { status: 'insecure' },
    fromCache: false,
  });
  const late = new Forwarding(exampleWorld().anchors(), exampleWorld());
  late.restart({
    negative: [negative('example.org', 1_000)],
    clockNotBefore: wallSeconds(signingDate + 400 * day),
  });
  ask(late, 'www.example.org');
  late.wait(3_700);
  expect(late.questions()).not.toContain('SOA example.org');
});

test.each([
  '10.in-addr.arpa',
  '17.172.in-addr.arpa',
  '168.192.in-addr.arpa',
  '65.100.in-addr.arpa',
  'd.f.ip6.arpa',
])('the network’s own %s answers unsigned, although nothing proves that it is unsigned', (zone) => {
  const net = privateNet(zone);
  const { verdict, answer, ede } = ask(net, `1.${zone}`, Type.PTR);
  expect([verdict.status, answer.length, ede]).toEqual(['insecure', 1, undefined]);
  expect(ask(net, `2.${zone}`, Type.PTR)).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'insecure' },
  });
  expect(net.questions()).toEqual([`PTR 1.${zone}`, `PTR 2.${zone}`]);
});

test.each(['18.198.in-addr.arpa', '11.in-addr.arpa', '32.172.in-addr.arpa', '128.100.in-addr.arpa'])(
  '%s is a zone like any other: unsigned only with a proof',
  (zone) => {
    expect(ask(privateNet(zone), `1.${zone}`, Type.PTR).verdict.status).toBe('bogus');
  },
);

test('a private reverse zone with a trust anchor of its own is validated', () => {
  const world = exampleWorld({}, {}, { name: '10.in-addr.arpa', signed: true })
    .add('1.10.in-addr.arpa', Type.PTR, wire('www.example.org'))
    .add('2.10.in-addr.arpa', Type.PTR, wire('www.example.org'))
    .spoil('2.10.in-addr.arpa', Type.PTR, { flipped: true });
  const net = new Forwarding([...world.anchors(), ...world.anchors('10.in-addr.arpa')], world);
  expect(ask(net, '1.10.in-addr.arpa', Type.PTR).verdict.status).toBe('secure');
  expect(ask(net, '2.10.in-addr.arpa', Type.PTR).verdict.status).toBe('bogus');
});

test('an island of trust is validated, and what is around it is not', () => {
  const world = exampleWorld();
  const net = new Forwarding(world.anchors('example.org'), world);
  expect(ask(net, 'www.example.org').verdict.status).toBe('secure');
  expect(ask(net, 'www.unsigned.org').verdict.status).toBe('indeterminate');
  expect(ask(net, 'www.unsigned.org').answer).toHaveLength(1);
});

test('the DS at a trust anchor’s own name is the business of the anchor above (RFC 4035 §5)', () => {
  const world = exampleWorld();
  const island = new Forwarding(world.anchors('example.org'), world);
  expect(ask(island, 'example.org', Type.DS).verdict.status).toBe('indeterminate');
  const both = new Forwarding([...world.anchors(), ...world.anchors('example.org')], world);
  expect(ask(both, 'example.org', Type.DS).verdict.status).toBe('secure');
  const wrong = world.spoil('example.org', Type.DS, { flipped: true });
  const net = new Forwarding([...wrong.anchors(), ...wrong.anchors('example.org')], wrong);
  expect(ask(net, 'example.org', Type.DS).verdict.status).toBe('bogus');
  // The anchor itself does not need it.
  expect(ask(net, 'www.example.org').verdict.status).toBe('secure');
});

test('an anchor at a name that is not a zone is of no use, and spoils nothing else', () => {
  const world = exampleWorld();
  const [ds] = world.anchors();
  if (!ds) throw new Error('no anchor');
  const net = new Forwarding([ds, { ...ds, owner: key('www.example.org') }], world);
  expect(ask(net, 'www.example.org').verdict.status).toBe('bogus');
  expect(ask(net, 'deep.empty.example.org').verdict.status).toBe('secure');
});

/** Five seconds are enough for an answer, and do not lead past the end of an exception. */
function ask(net: Forwarding, name: string, type: number = Type.A): Resolution {
  const id = net.start(name, type);
  net.wait(5);
  const done = net.resolved.get(id);
  if (!done) throw new Error(`no answer to ${name}`);
  return done.resolution;
}

/** What the status says of the exception. */
function note(net: Forwarding): HealthNote | undefined {
  return net.resolver.notes(net.wall, net.now).find((n) => n.sentence.includes('example.org'));
}

function broken(): SignedWorld {
  return exampleWorld()
    .add('www.example.org', Type.IPSECKEY, ipseckey(9))
    .spoilZone('example.org', { flipped: true });
}

function negative(name: string, days = 1): NegativeAnchor {
  return { name: key(name), until: wallSeconds(signingDate + days * day) };
}

/** A resolver with a negative trust anchor that holds for so many days. */
function exempting(world: SignedWorld, name: string, days = 1): Forwarding {
  const net = new Forwarding(world.anchors(), world);
  net.restart({ negative: [negative(name, days)] });
  return net;
}

/** A resolver of a network that has a reverse zone of its own, which it answers for without any proof. */
function privateNet(zone: string): Forwarding {
  const world = exampleWorld({}, {}, { name: zone }).add(`1.${zone}`, Type.PTR, wire('host.example.org'));
  const isProof = (r: ResourceRecord): boolean => r.type === Type.NSEC || covers(r, Type.NSEC);
  return new Forwarding(
    world.anchors(),
    world.tamper((message, { name }) =>
      isBelow(name, key(zone))
        ? { ...message, authority: message.authority.filter((r) => !isProof(r)) }
        : message,
    ),
  );
}
