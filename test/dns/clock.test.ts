import { expect, test } from 'vitest';
import { Clock } from '../../src/dns/clock.ts';
import { isTimeServer, timeServersIn } from '../../src/dns/time-servers.ts';
import { nameText } from '../../src/dns/name.ts';
import { Class, Ede, Rcode, Type } from '../../src/dns/types.ts';
import { instant, wallSeconds, type WallSeconds } from '../../src/time.ts';
import { Forwarding } from './forwarding.ts';
import { exampleWorld, servfail } from './scenes.ts';
import { address, key, signingDate, wire, type SignedWorld } from './zone.ts';

const [hour, day, year] = [3_600, 86_400, 31_556_952];
/** The world is signed a day before this and for a month. */
const right = signingDate;

test('a clock years behind: nothing is secure, and what is wrong is told', () => {
  const net = withClock(world(), right - 3 * year);
  expect(net.ask('www.example.org')).toMatchObject({
    ...servfail,
    verdict: { status: 'indeterminate', why: 'the clock of this host is slow by about 3 years' },
    ede: { code: Ede.DNSSEC_INDETERMINATE, text: 'the clock of this host is slow by about 3 years' },
  });
  expect(net.resolver.notes(net.wall, net.now).map((n) => n.sentence)[0]).toMatch(
    /^Nothing is taken for secure: the clock of this host is slow by about 3 years\. Set the clock/,
  );
  expect(logged(net)).toContain('clock.wrong');
});

test('what was judged by a wrong clock is judged again when it is right', () => {
  const signed = world()
    .add('way.example.org', Type.CNAME, wire('www.unsigned.org'))
    .spoil('way.example.org', Type.CNAME, { expiration: right + 3_600 });
  const net = withClock(signed, right, right + 10_000);
  net.delayMs = (text) => (text === 'DS unsigned.org' ? 500 : 20);
  const id = net.start('way.example.org');
  net.run(net.now + 300);
  net.wall = wallSeconds(right + 10_001);
  net.run();
  expect(net.resolved.get(id)?.resolution).toMatchObject({
    rcode: Rcode.SERVFAIL,
    ede: { code: Ede.SIGNATURE_EXPIRED },
  });
});

test('a clock ahead is found out by the signatures of the root', () => {
  const net = withClock(world(), right + 5 * year);
  expect(net.ask('www.example.org').verdict).toEqual({
    status: 'indeterminate',
    ede: Ede.DNSSEC_INDETERMINATE,
    why: 'the clock of this host is fast by about 5 years',
  });
});

test('a clock that is behind by less than the program is old is found out by the signatures of the root', () => {
  const net = withClock(world(), right - 10 * day, right - year);
  expect(net.ask('www.example.org').verdict).toMatchObject({
    status: 'indeterminate',
    why: 'the clock of this host is slow by about 9 days',
  });
});

test('unsigned zones are no exception: that they are unsigned cannot be proved', () => {
  const net = withClock(world(), right - 3 * year);
  expect(net.ask('www.unsigned.org')).toMatchObject({ ...servfail, verdict: { status: 'indeterminate' } });
});

test('a zone whose signatures would be in force is not secure either', () => {
  const wide = { inception: right - 9 * year, expiration: right + 9 * year };
  const signed = world();
  for (const zone of ['.', 'org', 'example.org']) signed.spoilZone(zone, wide);
  const net = withClock(signed, right - 3 * year);
  expect(net.ask('www.example.org').verdict.status).toBe('indeterminate');
  net.wall = right;
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
});

test('names of time services resolve, without being called secure', () => {
  const net = withClock(world(), right - 3 * year);
  for (const name of ['time.cloudflare.com', '2.debian.pool.ntp.org', 'ntp.example.org']) {
    const { answer, verdict, rcode } = net.ask(name);
    expect([name, rcode, answer.length, verdict.status]).toEqual([name, Rcode.NOERROR, 1, 'insecure']);
  }
  expect(net.ask('ntp.example.org', Type.IPSECKEY).verdict.status).toBe('insecure');
});

test('with the right clock those names are as secure as any other', () => {
  const net = withClock(world(), right);
  expect(net.ask('ntp.example.org').verdict.status).toBe('secure');
});

test('with CD the data comes, and still no verdict', () => {
  const net = withClock(world(), right - 3 * year);
  const { answer, verdict } = net.ask('www.example.org', Type.A, true);
  expect([answer.length, verdict.status]).toEqual([1, 'indeterminate']);
});

test.each([-3 * year, 5 * year])('set right, everything is well at once (off by %i s)', (off) => {
  const net = withClock(world(), right + off);
  net.ask('www.example.org');
  net.ask('www.unsigned.org');
  net.wall = right;
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  expect(net.ask('www.unsigned.org').verdict.status).toBe('insecure');
  net.handle({ kind: 'tick' });
  expect(logged(net).filter((e) => e.startsWith('clock'))).toEqual(['clock.wrong', 'clock.right']);
});

test('what was secure before the clock went wrong is not told any longer, from the cache neither', () => {
  const net = withClock(world(), right);
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  net.wall = wallSeconds(right - 3 * year);
  expect(net.ask('www.example.org').verdict.status).toBe('indeterminate');
  const question = { name: key('www.example.org'), type: Type.A, class: Class.IN };
  expect(net.resolver.cached(question, false, net.now, net.wall)?.verdict.status ?? 'none').not.toBe(
    'secure',
  );
});

test('without a time that has been, the clock is right by definition', () => {
  const net = new Forwarding(world().anchors(), world());
  net.wall = wallSeconds(right - 3 * year);
  expect(net.ask('www.example.org').verdict).toMatchObject({
    status: 'bogus',
    ede: Ede.SIGNATURE_NOT_YET_VALID,
  });
});

test('an old answer of the root that somebody repeats does not make a clock wrong that was proved right', () => {
  const clock = new Clock(undefined);
  const untimely = [{ inception: 1_000_000, expiration: 2_000_000 }];
  const [now, wall] = [instant(0), wallSeconds(9_000_000)];
  clock.right(now, wall);
  clock.doubtful(untimely, instant(hour * 1000), wallSeconds(wall + hour));
  expect(clock.fault(wallSeconds(wall + hour))).toBeUndefined();
});

test.each([
  ['it has jumped since', hour, 2 * day],
  ['that was too long ago', 30 * day, 30 * day],
])('it does where %s', (_, elapsed, moved) => {
  const clock = new Clock(undefined);
  const wall = wallSeconds(9_000_000);
  clock.right(instant(0), wall);
  const later = wallSeconds(wall + moved);
  clock.doubtful([{ inception: 1_000_000, expiration: 2_000_000 }], instant(elapsed * 1000), later);
  expect(clock.fault(later)?.why).toMatch(/is fast by about \d+ days$/);
});

test('an hour is forgiven', () => {
  const clock = new Clock(wallSeconds(9_000_000));
  expect(clock.fault(wallSeconds(9_000_000 - hour))).toBeUndefined();
  expect(clock.fault(wallSeconds(9_000_000 - hour - 1))?.why).toBe(
    'the clock of this host is slow by about 1 hour',
  );
});

test('of several signatures the nearest tells how far the clock is off', () => {
  const clock = new Clock(undefined);
  const windows = [
    { inception: 0, expiration: 10 * day },
    { inception: 5 * day, expiration: 20 * day },
  ];
  clock.doubtful(windows, instant(0), wallSeconds(22 * day));
  expect(clock.fault(wallSeconds(22 * day))?.why).toBe('the clock of this host is fast by about 2 days');
});

test.each([
  [right - 3 * year, 0],
  [right, 1],
])('the time of a wrong clock is not kept, that of a right one is', (wall, times) => {
  const signed = world();
  const net = new Forwarding([], signed);
  net.wall = wallSeconds(wall);
  net.restart({ managed: signed.anchors(), clockNotBefore: wallSeconds(right - hour) });
  net.start('www.example.org');
  net.wait(60);
  expect(net.trustEffects.filter((e) => e.kind === 'keepAnchors')).toHaveLength(times);
});

test('nor is that of a clock which stands before the program, though the root’s signatures would be in force', () => {
  const signed = world().spoilZone('.', { inception: right - 9 * year, expiration: right + 9 * year });
  const net = new Forwarding([], signed);
  net.wall = wallSeconds(right - 3 * year);
  net.restart({ managed: signed.anchors(), clockNotBefore: wallSeconds(right - hour) });
  net.start('www.example.org');
  net.wait(60);
  expect(net.trustEffects.map((e) => e.kind)).not.toContain('keepAnchors');
});

test('after the root was seen in order, a repeated answer of the past is bogus, and the clock is not to blame', () => {
  const signed = world();
  const net = withClock(signed, right);
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  signed.spoil('.', Type.DNSKEY, { inception: right - 2 * year, expiration: right - year });
  net.wait(2 * hour);
  expect(net.ask('.', Type.DNSKEY).verdict).toMatchObject({ status: 'bogus', ede: Ede.SIGNATURE_EXPIRED });
});

test('names of time servers are read from the files of three time services', () => {
  const text = [
    '[Time]',
    'NTP=ntp1.example.org 192.0.2.1 ntp2.example.org',
    '#NTP=no.example.org',
    'FallbackNTP=fallback.example.org 2001:db8::1',
    'pool 2.debian.pool.ntp.org iburst',
    'server ntp3.example.org prefer',
    '# server no.example.org',
    'driftfile /var/lib/chrony/drift',
  ].join('\n');
  expect(timeServersIn(text).map(nameText)).toEqual([
    'ntp1.example.org',
    'ntp2.example.org',
    'fallback.example.org',
    '2.debian.pool.ntp.org',
    'ntp3.example.org',
  ]);
});

test('a name beside those of time services is none', () => {
  expect(isTimeServer(key('www.ntp.org'), [])).toBe(false);
  expect(isTimeServer(key('notpool.ntp.org'), [])).toBe(false);
  expect(isTimeServer(key('pool.ntp.org'), [])).toBe(true);
  expect(isTimeServer(key('below.ntp.example.org'), [key('ntp.example.org')])).toBe(false);
});

function world(): SignedWorld {
  return exampleWorld({}, {}, { name: 'com' })
    .add('ntp.example.org', Type.A, address('192.0.2.123'))
    .add('time.cloudflare.com', Type.A, address('192.0.2.124'))
    .add('2.debian.pool.ntp.org', Type.A, address('192.0.2.125'));
}

/** A resolver whose clock says `wall`; `notBefore` is when its program was made. */
function withClock(signed: SignedWorld, wall: number, notBefore = right - hour): Forwarding {
  const net = new Forwarding(signed.anchors(), signed);
  net.wall = wallSeconds(wall);
  net.restart({
    clockNotBefore: notBefore as WallSeconds,
    timeServers: [key('ntp.example.org')],
  });
  return net;
}

function logged(net: Forwarding): string[] {
  return net.trustEffects.flatMap((e) => (e.kind === 'log' ? [e.event.event] : []));
}
