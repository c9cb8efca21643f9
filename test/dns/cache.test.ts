import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalRdatas } from '../../src/dns/canonical.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import { nameOf } from '../../src/dns/name.ts';
import type { Resolution } from '../../src/dns/resolution.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { before, exampleWorld } from './scenes.ts';
import { address, ipseckey, SignedWorld, wire } from './zone.ts';

const labels = ['a', 'b', 'm', 'www', 'x'];
/** Names below example.org of one to three labels, wildcards among them. */
const anyOwner = fc
  .array(fc.constantFrom(...labels), { minLength: 1, maxLength: 3 })
  .chain((path) => fc.boolean().map((wild) => `${wild ? '*.' : ''}${path.join('.')}.example.org`));
const anyType = fc.constantFrom(Type.A, Type.AAAA, Type.IPSECKEY, Type.TXT, Type.CNAME, Type.MX, Type.DS);
const anyRecord = fc.tuple(anyOwner, fc.constantFrom('A', 'IPSECKEY', 'CNAME'));
const anyZone = fc.record({
  denial: fc.constantFrom<'NSEC' | 'NSEC3'>('NSEC', 'NSEC3'),
  optOut: fc.boolean(),
  records: fc.array(anyRecord, { minLength: 1, maxLength: 8 }),
  /** Zones below example.org, signed or not. */
  cuts: fc.array(
    fc.record({ name: fc.constantFrom('b.example.org', 'm.example.org'), signed: fc.boolean() }),
    {
      maxLength: 2,
    },
  ),
});
const anyQuestion = fc.tuple(
  fc
    .array(fc.constantFrom(...labels, 'z'), { minLength: 1, maxLength: 4 })
    .map((l) => `${l.join('.')}.example.org`),
  anyType,
);

function worldOf({
  denial,
  optOut,
  records,
  cuts,
}: typeof anyZone extends fc.Arbitrary<infer T> ? T : never): SignedWorld {
  const zones = new Map<string, (typeof cuts)[number]>(cuts.map((cut) => [cut.name, cut]));
  const world = new SignedWorld([
    { name: '.', signed: true },
    { name: 'org', signed: true, denial },
    { name: 'example.org', signed: true, denial, optOut: denial === 'NSEC3' && optOut },
    ...zones.values(),
  ]);
  const kinds = new Map<string, string>();
  for (const [owner, kind] of records) {
    const before = kinds.get(owner);
    // A CNAME stands alone, and not at the apex of a zone; what is said twice is said once.
    if (before === kind || before === 'CNAME' || (before !== undefined && kind === 'CNAME')) continue;
    if (kind === 'CNAME' && zones.has(owner)) continue;
    kinds.set(owner, kind);
    if (kind === 'A') world.add(owner, Type.A, address('192.0.2.1'));
    if (kind === 'IPSECKEY') world.add(owner, Type.IPSECKEY, ipseckey());
    if (kind === 'CNAME') world.add(owner, Type.CNAME, wire('www.example.org'));
  }
  return world;
}

/** What a client could tell apart, TTLs aside. */
function essence({ rcode, answer, verdict }: Resolution): unknown {
  // Names may come in the letter case of whatever question they were compressed against.
  const sets = answer.map((s) => [s.owner, s.type, canonicalRdatas(s.type, s.rdatas).map((r) => r.toHex())]);
  return { rcode, sets, status: verdict.status };
}

test('with the cache every question has the verdict and the data that it has without', () => {
  fc.assert(
    fc.property(anyZone, fc.array(anyQuestion, { minLength: 1, maxLength: 15 }), (zone, questions) => {
      const world = worldOf(zone);
      const cached = before(world);
      for (const [name, type] of questions) {
        const fresh = before(world);
        expect([name, type, essence(cached.ask(name, type))]).toEqual([
          name,
          type,
          essence(fresh.ask(name, type)),
        ]);
      }
    }),
    { numRuns: 20, seed: 8198 },
  );
});

test('what is in use is asked again before it lapses, and nobody waits for it', () => {
  const net = before(exampleWorld());
  for (let i = 0; i < 3; i++) net.ask('www.example.org');
  net.wait(3300);
  net.questions();
  expect(net.ask('www.example.org')).toMatchObject({ fromCache: true });
  net.run();
  expect(net.questions()).toContain('A www.example.org');
  expect(net.resolver.stats['refreshed']).toBeGreaterThan(0);
  net.wait(400);
  expect(net.ask('www.example.org')).toMatchObject({ fromCache: true, verdict: { status: 'secure' } });
});

test('what is not in use is not asked again', () => {
  const net = before(exampleWorld());
  net.ask('www.example.org');
  net.wait(3300);
  net.questions();
  net.ask('www.example.org');
  net.run();
  expect(net.questions()).toEqual([]);
});

test('where asking again fails, what is there stays until its time is over', () => {
  const world = exampleWorld();
  const net = before(world);
  for (let i = 0; i < 3; i++) net.ask('www.example.org');
  net.wait(3300);
  world.spoil('www.example.org', Type.A, { flipped: true });
  net.ask('www.example.org');
  net.run();
  expect(net.ask('www.example.org')).toMatchObject({ fromCache: true, verdict: { status: 'secure' } });
  net.wait(400);
  expect(net.ask('www.example.org').verdict.status).toBe('bogus');
});

test('who waits for what is being asked again gets another try after bogus data, as anybody does', () => {
  const [good, bad] = [exampleWorld(), exampleWorld()];
  let isBad = false;
  const net = new Forwarding(
    good.anchors(),
    (octets, transport) => (isBad && asksForAddress(octets) ? bad : good).answer(octets, transport),
    good,
  );
  for (let i = 0; i < 3; i++) net.ask('www.example.org');
  net.wait(3599.5);
  bad.spoil('www.example.org', Type.A, { flipped: true });
  isBad = true;
  net.delayMs = (text) => (text === 'A www.example.org' ? 700 : 20);
  net.questions();
  net.start('www.example.org');
  net.wait(0.6);
  expect(net.questions()).toContain('A www.example.org');
  const id = net.start('www.example.org');
  net.run();
  expect(net.resolved.get(id)?.resolution.verdict.status).toBe('secure');
});

function asksForAddress(octets: Uint8Array): boolean {
  const query = decodeMessage(octets);
  return query.ok && query.value.questions[0]?.type === Type.A;
}

test('keys of a zone in use are proved again before they lapse, against what is above them', () => {
  for (const isSpoiled of [false, true]) {
    const world = exampleWorld();
    const net = before(world);
    for (let i = 0; i < 4; i++) net.ask(`n${i}.example.org`, Type.ANY);
    net.wait(3300);
    net.questions();
    if (isSpoiled) world.spoil('example.org', Type.DNSKEY, { flipped: true });
    net.ask('www.example.org');
    net.run();
    expect(net.questions()).toEqual(expect.arrayContaining(['DS example.org', 'DNSKEY example.org']));
    net.wait(250);
    // A new proof that fails takes nothing away from the one that stands.
    expect(net.ask('deep.empty.example.org').verdict.status).toBe('secure');
    net.wait(100);
    net.questions();
    expect(net.ask('alias.example.org').verdict.status).toBe(isSpoiled ? 'bogus' : 'secure');
  }
});

test('a flush takes away what it names, and says how much that was', () => {
  const net = before(exampleWorld());
  const flush = (what: { name: string | undefined; type?: number; tree?: boolean }): number => {
    net.cacheEffects.splice(0);
    const name = what.name === undefined ? undefined : nameOf(what.name);
    net.handle({ kind: 'flush', request: 7, what: { ...what, name } });
    const [effect] = net.cacheEffects;
    expect(effect).toMatchObject({ kind: 'flushed', request: 7 });
    return effect?.kind === 'flushed' ? effect.entries : -1;
  };
  const fill = (): void => {
    for (const type of [Type.A, Type.AAAA]) net.ask('www.example.org', type);
    net.ask('deep.empty.example.org');
    net.ask('www.unsigned.org');
    net.questions();
  };
  fill();
  expect(flush({ name: 'www.example.org', type: Type.A })).toBeGreaterThan(0);
  net.ask('www.example.org', Type.AAAA);
  net.ask('deep.empty.example.org');
  expect(net.questions().filter((q) => !q.startsWith('D'))).toEqual([]);
  net.ask('www.example.org');
  expect(net.questions()).toContain('A www.example.org');
  expect(flush({ name: 'example.org', tree: true })).toBeGreaterThan(3);
  net.ask('www.unsigned.org');
  expect(net.questions()).toEqual([]);
  net.ask('www.example.org');
  expect(net.questions()).toEqual(expect.arrayContaining(['A www.example.org', 'DNSKEY example.org']));
  const { generation } = net.resolver;
  expect(flush({ name: undefined })).toBeGreaterThan(5);
  expect(net.resolver.generation).toBeGreaterThan(generation);
  expect(net.resolver.stats).toMatchObject({ cachedSteps: 0, cachedZones: 0, cachedDenials: 0 });
  expect(flush({ name: undefined })).toBe(0);
});

test('a flush forgets failures', () => {
  const world = exampleWorld().spoil('www.example.org', Type.A, { flipped: true });
  const net = before(world);
  expect(net.ask('www.example.org').verdict.status).toBe('bogus');
  world.spoil('www.example.org', Type.A, {});
  net.handle({ kind: 'flush', request: 1, what: { name: nameOf('www.example.org') } });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
});

test('TTL 0 is for those who asked together, and nobody else (RFC 1035 §3.2.1)', () => {
  const net = before(exampleWorld().add('zero.example.org', Type.A, address('192.0.2.5'), 0));
  const ids = [net.start('zero.example.org'), net.start('zero.example.org')];
  net.run();
  expect(ids.map((id) => net.resolved.get(id)?.resolution.verdict.status)).toEqual(['secure', 'secure']);
  expect(net.questions().filter((q) => q === 'A zero.example.org')).toHaveLength(1);
  net.ask('zero.example.org');
  expect(net.questions()).toContain('A zero.example.org');
});

test('nothing is kept for longer than is allowed, nor told to be good for longer', () => {
  const net = before(exampleWorld().add('long.example.org', Type.A, address('192.0.2.5'), 1_000_000));
  net.restart({}, { maxTtl: 600 });
  net.ask('long.example.org');
  expect(net.ask('long.example.org').answer[0]?.ttl).toBe(600);
  net.wait(601);
  net.questions();
  net.ask('long.example.org');
  expect(net.questions()).toContain('A long.example.org');
});

test('what follows from a denial is not told for longer than anything may be kept', () => {
  const net = before(exampleWorld());
  net.restart({}, { maxTtl: 60 });
  net.ask('nothing.example.org');
  expect(Math.max(...net.ask('nothing.example.org').authority.map((s) => s.ttl))).toBeLessThanOrEqual(60);
  net.wait(61);
  net.questions();
  net.ask('nothinh.example.org');
  expect(net.questions()).toContain('A nothinh.example.org');
});

test('an original TTL caps the TTL that came along (RFC 4035 §5.3.3)', () => {
  const world = exampleWorld().tamper((m) => ({
    ...m,
    answer: m.answer.map((r) => ({ ...r, ttl: 80_000 })),
  }));
  const net = before(world);
  expect(net.ask('www.example.org').answer[0]?.ttl).toBe(3600);
  expect(net.ask('www.example.org').answer[0]?.ttl).toBe(3600);
});

test('data takes the place of an alias, and an alias that of data', () => {
  const world = exampleWorld().add('moves.example.org', Type.A, address('192.0.2.5'), 60);
  const net = before(world);
  net.ask('moves.example.org');
  world.remove('moves.example.org', Type.A).add('moves.example.org', Type.CNAME, wire('www.example.org'), 60);
  net.wait(61);
  expect(net.ask('moves.example.org').answer.map((s) => s.type)).toEqual([Type.CNAME, Type.A]);
  world.remove('moves.example.org', Type.CNAME).add('moves.example.org', Type.A, address('192.0.2.6'), 60);
  net.wait(61);
  expect(net.ask('moves.example.org').answer.map((s) => s.type)).toEqual([Type.A]);
});

test.each([
  ['example.org', 1],
  ['www.example.org', 1],
  ['deep.empty.example.org', 1],
  ['www.unsigned.org', 1],
  ['unsigned.org', 1],
])(
  'the first name of a zone, %s, takes %i round trip, the next ones too, and little is asked in vain',
  (name, trips) => {
    const net = before(exampleWorld());
    const { rcode, tookMs } = net.ask(name);
    expect([rcode, Math.round(tookMs / net.rttMs)]).toEqual([Rcode.NOERROR, trips]);
    // The name itself, keys of the root, and DS and DNSKEY of at most three cuts.
    expect(net.questions().length).toBeLessThanOrEqual(8);
    const next = net.ask('another.name.example.org');
    expect(Math.round(next.tookMs / net.rttMs)).toBeLessThanOrEqual(2);
  },
);
