import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage, encodeMessage, type Message, type ResourceRecord } from '../../src/dns/message.ts';
import { Class, Ede, Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding, type Upstream } from './forwarding.ts';
import { before, changing, exampleWorld, servfail, without } from './scenes.ts';
import { address, key, signingDate, withCaseOf, type SignedWorld } from './zone.ts';

test('a cold name takes one round trip: keys are asked for together with the question', () => {
  const net = before(exampleWorld());
  expect(net.ask('www.example.org').tookMs).toBe(net.rttMs);
  expect(net.questions()).toEqual([
    'A www.example.org',
    'DNSKEY .',
    'DS org',
    'DNSKEY org',
    'DS example.org',
    'DNSKEY example.org',
  ]);
});

test('a name in a zone that is known costs one question, and the same for a negative answer', () => {
  const net = before(exampleWorld());
  net.ask('www.example.org');
  net.questions();
  for (const [name, type] of [
    ['deep.empty.example.org', Type.A],
    ['www.example.org', Type.IPSECKEY],
    ['nothing.example.org', Type.A],
    ['www.example.org', Type.AAAA],
  ] as const) {
    net.ask(name, type);
  }
  expect(net.questions()).toEqual([
    'A deep.empty.example.org',
    'IPSECKEY www.example.org',
    'A nothing.example.org',
    'AAAA www.example.org',
  ]);
});

test('A, AAAA and IPSECKEY of one name, asked at once, share the work for the chain', () => {
  const net = before(exampleWorld());
  const ids = [Type.A, Type.AAAA, Type.IPSECKEY].map((type) => net.start('www.example.org', type));
  net.run();
  expect(ids.map((id) => net.resolved.get(id)?.resolution.verdict.status)).toEqual([
    'secure',
    'secure',
    'secure',
  ]);
  expect(
    net
      .questions()
      .filter((q) => q.startsWith('D'))
      .sort(),
  ).toEqual(['DNSKEY .', 'DNSKEY example.org', 'DNSKEY org', 'DS example.org', 'DS org']);
});

test('equal questions at the same time are one, whoever asks and however', () => {
  const net = before(exampleWorld().spoil('www.example.org', Type.A, { flipped: true }));
  const [first, second] = [net.start('www.example.org'), net.start('www.example.org', Type.A, true)];
  net.run();
  expect(net.questions().filter((q) => q === 'A www.example.org')).toHaveLength(1);
  expect(net.resolved.get(first)?.resolution).toMatchObject(servfail);
  expect(net.resolved.get(second)?.resolution.answer).toHaveLength(1);
});

test('the answer is reported as soon as it arrives, before the chain is there', () => {
  const world = exampleWorld();
  const slow = (octets: Uint8Array): Uint8Array | undefined => world.answer(octets);
  const net = new Forwarding(world.anchors(), slow);
  net.delayMs = (q) => (q.startsWith('D') ? 300 : 20);
  const id = net.start('www.example.org', Type.IPSECKEY);
  net.run();
  expect(net.arrived.map((a) => [a.id, a.answer[0]?.type])).toEqual([[id, Type.IPSECKEY]]);
  expect((net.resolved.get(id)?.at ?? 0) - (net.arrived[0]?.at ?? 0)).toBeGreaterThanOrEqual(280);
});

test('questions go out with RD, CD, DO and 1232 octets', () => {
  let seen: Message | undefined;
  const world = exampleWorld();
  const net = new Forwarding(world.anchors(), (octets) => {
    const query = decodeMessage(octets);
    if (query.ok) seen ??= query.value;
    return world.answer(octets);
  });
  net.ask('www.example.org');
  expect(seen).toMatchObject({
    recursionDesired: true,
    checkingDisabled: true,
    authenticData: false,
    edns: { version: 0, udpSize: 1232, dnssecOk: true },
  });
});

test('with checking disabled bogus data is handed over, with its verdict; from the cache as well (RFC 4035 §3.2.2)', () => {
  const net = before(exampleWorld().spoil('www.example.org', Type.A, { expiration: signingDate - 1 }));
  for (const fromCache of [false, true]) {
    const resolution = net.ask('www.example.org', Type.A, true);
    expect(resolution).toMatchObject({
      rcode: Rcode.NOERROR,
      fromCache,
      verdict: { status: 'bogus' },
      ede: { code: Ede.SIGNATURE_EXPIRED },
    });
    expect(resolution.answer[0]?.rdatas).toEqual([address('192.0.2.80')]);
  }
  expect(net.ask('www.example.org')).toMatchObject({ ...servfail, fromCache: true });
});

test('answers from the cache are counted, however they are asked for', () => {
  const net = before(exampleWorld());
  const question = { name: key('www.example.org'), type: Type.A, class: 1 };
  expect(net.resolver.cached(question, false, net.now, net.wall)).toBeUndefined();
  net.ask('www.example.org');
  expect(net.resolver.stats).toMatchObject({ lookups: 1, fromCache: 0 });
  net.ask('www.example.org');
  expect(net.resolver.cached(question, false, net.now, net.wall)).toBeDefined();
  expect(net.resolver.stats).toMatchObject({ lookups: 3, fromCache: 2 });
});

test('TTLs from the cache have grown shorter, and end', () => {
  const net = before(exampleWorld());
  net.ask('www.example.org');
  net.wait(100);
  const question = { name: key('www.example.org'), type: Type.A, class: Class.IN };
  expect(net.resolver.cached(question, false, net.now, net.wall)).toMatchObject({
    fromCache: true,
    answer: [{ ttl: 3500 }],
    tookMs: 20,
  });
  net.wait(3500);
  expect(net.resolver.cached(question, false, net.now, net.wall)).toBeUndefined();
});

test('what was secure is not given out after its signature has ended, whatever the monotonic clock says', () => {
  const net = before(exampleWorld());
  net.ask('www.example.org');
  net.wall = (signingDate + 31 * 86_400) as typeof net.wall;
  const question = { name: key('www.example.org'), type: Type.A, class: Class.IN };
  expect(net.resolver.cached(question, false, net.now, net.wall)).toBeUndefined();
  expect(net.ask('www.example.org')).toMatchObject({ ...servfail, ede: { code: Ede.SIGNATURE_EXPIRED } });
});

test('a name that does not exist has no record of any type', () => {
  const net = before(exampleWorld());
  net.ask('nothing.example.org');
  expect(net.ask('nothing.example.org', Type.IPSECKEY)).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    fromCache: true,
    verdict: { status: 'secure' },
  });
});

test('an unsigned zone is remembered: nothing below it is asked for keys again', () => {
  const net = before(exampleWorld());
  expect(net.resolver.knownInsecure(key('www.unsigned.org'), net.now, net.wall)).toBe(false);
  net.ask('www.unsigned.org');
  net.questions();
  expect(net.resolver.knownInsecure(key('a.b.unsigned.org'), net.now, net.wall)).toBe(true);
  expect(net.resolver.knownInsecure(key('www.example.org'), net.now, net.wall)).toBe(false);
  net.ask('mail.unsigned.org');
  expect(net.questions()).toEqual(['A mail.unsigned.org']);
});

test('bogus answers and failures are kept for 5 seconds, then longer each time (RFC 9520)', () => {
  const net = before(exampleWorld().spoil('www.example.org', Type.A, { flipped: true }));
  net.ask('www.example.org');
  net.questions();
  net.ask('www.example.org');
  expect(net.questions()).toEqual([]);
  net.wait(6);
  net.ask('www.example.org');
  expect(net.questions()).toEqual(['A www.example.org']);
  net.wait(6);
  net.ask('www.example.org');
  expect(net.questions()).toEqual([]);
});

test('an alias that fails validation is not asked for again with every question (RFC 9520)', () => {
  const net = before(exampleWorld().spoil('alias.example.org', Type.CNAME, { flipped: true }));
  expect(net.ask('alias.example.org').verdict.status).toBe('bogus');
  net.questions();
  expect(net.ask('alias.example.org').verdict.status).toBe('bogus');
  expect(net.questions()).toEqual([]);
});

test('a network that was away for long is missed for half a minute at the most when it is back', () => {
  const world = exampleWorld();
  let isAway = true;
  const net = new Forwarding(world.anchors(), (octets, how) =>
    isAway ? undefined : world.answer(octets, how),
  );
  for (let waited = 0; waited < 900; waited += 31) {
    net.ask('www.example.org');
    net.wait(31);
  }
  net.ask('www.example.org');
  isAway = false;
  net.wait(31);
  expect(net.ask('www.example.org')).toMatchObject({ verdict: { status: 'secure' } });
});

test('after bogus data the other upstream is asked once, and heals the answer', () => {
  for (const [name, type] of [
    ['www.example.org', Type.A],
    ['example.org', Type.DNSKEY],
    ['org', Type.DS],
    ['org', Type.DNSKEY],
  ] as const) {
    const world = exampleWorld();
    const net = new Forwarding(world.anchors(), exampleWorld().spoil(name, type, { flipped: true }), world);
    expect(net.ask('www.example.org')).toMatchObject({ rcode: Rcode.NOERROR, verdict: { status: 'secure' } });
    expect(net.asked.some((a) => a.upstream === 1)).toBe(true);
  }
});

test('data that is bogus at both upstreams stays bogus, after one try each', () => {
  const [one, two] = [exampleWorld(), exampleWorld()].map((w) =>
    w.spoil('www.example.org', Type.A, { flipped: true }),
  );
  if (!one || !two) throw new Error('no worlds');
  const net = new Forwarding(one.anchors(), one, two);
  expect(net.ask('www.example.org')).toMatchObject(servfail);
  expect(net.asked.filter((a) => a.text === 'A www.example.org').map((a) => a.upstream)).toEqual([0, 1]);
});

test('a silent upstream is passed over after 400 ms', () => {
  const world = exampleWorld();
  const net = new Forwarding(world.anchors(), () => undefined, world);
  const resolution = net.ask('www.example.org');
  expect(resolution.verdict.status).toBe('secure');
  expect(resolution.tookMs).toBe(420);
  net.questions();
  // It is asked last from now on.
  expect(net.ask('deep.empty.example.org').tookMs).toBe(20);
});

test('THREATS B: where nobody answers the lookup fails within 10 seconds and says so', () => {
  const net = new Forwarding(
    exampleWorld().anchors(),
    () => undefined,
    () => undefined,
  );
  const resolution = net.ask('www.example.org');
  expect(resolution).toMatchObject({
    ...servfail,
    verdict: { status: 'indeterminate', ede: Ede.NO_REACHABLE_AUTHORITY },
  });
  expect(resolution.tookMs).toBeLessThanOrEqual(10_000);
  expect(resolution.ede?.text).toContain('no reply from 192.0.2.1:53, 192.0.2.2:53');
});

test('where only the keys do not come the data is withheld, and handed over with checking disabled', () => {
  const world = exampleWorld();
  const lossy: Upstream = (octets) => (isFor(octets, Type.DNSKEY) ? undefined : world.answer(octets));
  const net = new Forwarding(world.anchors(), lossy);
  expect(net.ask('www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'indeterminate' } });
  expect(new Forwarding(world.anchors(), lossy).ask('www.example.org', Type.A, true).answer).toHaveLength(1);
});

test('an upstream that refuses is passed over for another', () => {
  const world = exampleWorld();
  for (const rcode of [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.FORMERR, Rcode.NOTIMP]) {
    const net = new Forwarding(world.anchors(), saying(rcode), world);
    expect(net.ask('www.example.org').verdict.status).toBe('secure');
  }
});

test('upstreams that do not know EDNS, or strip signatures, are named', () => {
  const world = exampleWorld();
  const old = new Forwarding(world.anchors(), saying(Rcode.FORMERR)).ask('www.example.org');
  expect(old).toMatchObject({
    ...servfail,
    verdict: { status: 'indeterminate', ede: Ede.DNSSEC_INDETERMINATE },
  });
  expect(old.ede?.text).toContain('192.0.2.1:53 answers FORMERR to EDNS');
  const stripping = exampleWorld().tamper((m) => ({
    ...m,
    answer: m.answer.filter((r) => r.type !== Type.RRSIG),
    authority: m.authority.filter((r) => r.type !== Type.RRSIG),
  }));
  const stripped = new Forwarding(world.anchors(), stripping).ask('www.example.org');
  expect(stripped).toMatchObject({
    ...servfail,
    verdict: { status: 'indeterminate', ede: Ede.RRSIGS_MISSING },
  });
  expect(stripped.ede?.text).toContain('192.0.2.1:53 strips DNSSEC');
});

test('a truncated reply is fetched again over TCP', () => {
  const world = exampleWorld();
  world.udpLimit = 100;
  const net = before(world);
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  expect(net.asked.filter((a) => a.text === 'A www.example.org').map((a) => a.transport)).toEqual([
    'udp',
    'tcp',
  ]);
});

test.each<[string, (m: Message) => Message]>([
  ['another id', (m) => ({ ...m, id: m.id ^ 1 })],
  [
    'another name',
    (m) => ({ ...m, questions: m.questions.map((q) => ({ ...q, name: key('www.bank.org') })) }),
  ],
  ['another type', (m) => ({ ...m, questions: m.questions.map((q) => ({ ...q, type: Type.MX })) })],
  ['another class', (m) => ({ ...m, questions: m.questions.map((q) => ({ ...q, class: Class.CH })) })],
  ['no question', (m) => ({ ...m, questions: [] })],
  ['no response bit', (m) => ({ ...m, response: false })],
])('a reply with %s is ignored, and the true one taken (RFC 5452 §9.1)', (_, change) => {
  const world = exampleWorld();
  const net = new Forwarding(world.anchors(), world);
  const id = net.start('www.example.org');
  for (const [ask, octets] of net.sent) {
    const forged = decodeMessage(world.answer(octets));
    if (!forged.ok) throw forged.error;
    const bad = { ...forged.value, answer: [], authority: [] };
    net.handle({ kind: 'reply', ask, octets: encodeMessage(change(bad)) });
    net.handle({ kind: 'reply', ask, octets: octets.subarray(0, 7) });
  }
  net.run();
  expect(net.resolved.get(id)?.resolution.verdict.status).toBe('secure');
});

test('THREATS A.28: after 16 datagrams that do not fit, the reply is fetched over TCP', () => {
  const transportsAfter = (guesses: number): string[] => {
    const net = before(exampleWorld());
    net.start('www.example.org');
    const [ask, octets] = [...net.sent.entries()].find(([, sent]) => isFor(sent, Type.A)) ?? [];
    if (ask === undefined || !octets) throw new Error('nothing was asked');
    for (let i = 0; i < guesses; i++) {
      const guess = exampleWorld().answer(octets);
      net.handle({ kind: 'reply', ask, octets: guess.with(0, (guess[0] ?? 0) ^ (1 + i)) });
    }
    net.run();
    return net.asked.filter((a) => a.text === 'A www.example.org').map((a) => a.transport);
  };
  expect(transportsAfter(15)).toEqual(['udp']);
  expect(transportsAfter(16)).toEqual(['udp', 'tcp']);
});

test('THREATS A.28: ids are not counted up', () => {
  const world = exampleWorld();
  const net = before(world);
  net.ask('www.example.org');
  const ids = [...net.sent.values()].map((o) => ((o[0] ?? 0) << 8) | (o[1] ?? 0));
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.some((id, i) => i > 0 && id === (ids[i - 1] ?? 0) + 1)).toBe(false);
});

test('every ask is released in the end, also those of a lookup that was cancelled', () => {
  const net = before(exampleWorld());
  const id = net.start('www.example.org');
  net.handle({ kind: 'cancel', id });
  net.run();
  expect(net.resolved.has(id)).toBe(false);
  expect([...net.sent.keys()].filter((ask) => !net.released.has(ask))).toEqual([]);
  // What was on its way filled the cache all the same.
  expect(net.ask('www.example.org')).toMatchObject({ fromCache: true, verdict: { status: 'secure' } });
  expect(net.resolver.deadline).toBeUndefined();
});

test('transfers, OPT and other classes are refused without asking anybody', () => {
  const net = before(exampleWorld());
  for (const type of [Type.AXFR, Type.OPT, 0]) expect(net.ask('example.org', type).rcode).toBe(Rcode.NOTIMP);
  expect(net.asked).toEqual([]);
});

test('THREATS B: a lookup through very many labels ends after a bounded number of questions', () => {
  const world: SignedWorld = exampleWorld();
  const name = `${'a.'.repeat(110)}example.org`;
  // Everything below example.org seems to be there, unsigned, with proofs that lead ever further down.
  world.add(name, Type.A, address('192.0.2.1')).spoil(name, Type.A, { missing: true });
  const net = before(world);
  expect(net.ask(name)).toMatchObject({ rcode: Rcode.SERVFAIL });
  expect(net.asked.length).toBeLessThanOrEqual(100);
});

test('THREATS B: lookups beyond 1000 different ones at once are turned away', () => {
  const net = new Forwarding(exampleWorld().anchors(), () => undefined);
  for (let i = 0; i < 1000; i++) net.start(`n${i}.example.org`);
  const id = net.start('one-too-many.example.org');
  expect(net.resolved.get(id)?.resolution).toMatchObject({
    ...servfail,
    ede: { text: 'too many lookups at the same time' },
  });
});

test('replies of any octets change nothing but a counter', () => {
  const net = before(exampleWorld());
  net.start('www.example.org');
  for (const octets of [new Uint8Array(), new Uint8Array(12), new Uint8Array(600).fill(0xc0)])
    net.handle({ kind: 'reply', ask: 1, octets });
  expect(net.resolver.stats['ignored']).toBe(3);
  net.handle({ kind: 'reply', ask: 999, octets: new Uint8Array(12) });
  net.handle({ kind: 'failed', ask: 999, why: 'nothing' });
  net.run();
});

test('an ask that cannot be performed goes to the next upstream at once', () => {
  const world = exampleWorld();
  const net = new Forwarding(world.anchors(), () => undefined, world);
  const id = net.start('www.example.org');
  for (const ask of [...net.sent.keys()]) net.handle({ kind: 'failed', ask, why: 'no route' });
  net.run();
  expect(net.resolved.get(id)?.resolution).toMatchObject({ verdict: { status: 'secure' }, tookMs: 20 });
});

test('no single missing, spoiled or stripped RRset makes a secure name come out as anything but secure or SERVFAIL', () => {
  const questions = [
    ['www.example.org', Type.A],
    ['org', Type.DS],
    ['org', Type.DNSKEY],
    ['example.org', Type.DS],
    ['example.org', Type.DNSKEY],
    ['.', Type.DNSKEY],
  ] as const;
  for (const [name, type] of questions) {
    for (const drop of [
      without(name, type, () => true),
      without(name, type, (r) => r.type === Type.RRSIG),
      changing(name, type, (m) => ({ ...m, rcode: Rcode.NXDOMAIN, answer: [], authority: [] })),
    ]) {
      const resolution = before(exampleWorld().tamper(drop)).ask('www.example.org');
      expect(resolution).toMatchObject(servfail);
      expect(['bogus', 'indeterminate']).toContain(resolution.verdict.status);
    }
  }
});

/** Records of all kinds that the worlds hold, to be put where they do not belong. */
const loose: readonly ResourceRecord[] = ['NSEC', 'NSEC3'].flatMap((denial) =>
  [
    ['www.example.org', Type.A],
    ['www.example.org', Type.AAAA],
    ['nothing.example.org', Type.A],
    ['a.wild.example.org', Type.A],
    ['alias.example.org', Type.A],
    ['www.unsigned.org', Type.A],
    ['unsigned.org', Type.DS],
    ['example.org', Type.DS],
    ['example.org', Type.DNSKEY],
    ['org', Type.DNSKEY],
  ].flatMap(([name, type]) => {
    const question = { name: key(name as string), type: type as number, class: Class.IN };
    const { answer, authority } = exampleWorld({ denial: denial as 'NSEC' }).resolve(question);
    return [...answer, ...authority];
  }),
);

/** A forger's work on one reply. */
const forgery = fc.oneof(
  fc.record({ kind: fc.constant('bit' as const), at: fc.nat(20_000) }),
  fc.record({
    kind: fc.constant('record' as const),
    section: fc.constantFrom('answer' as const, 'authority' as const),
    put: fc.nat(loose.length - 1),
    drop: fc.nat(20),
    renamed: fc.boolean(),
    rcode: fc.constantFrom(undefined, Rcode.NOERROR, Rcode.NXDOMAIN),
  }),
);

test('whatever is done to the replies, secure means the truth, and nothing throws', () => {
  const truth = before(exampleWorld()).ask('www.example.org').answer[0]?.rdatas;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(7), forgery), { minLength: 1, maxLength: 4 }),
      fc.constantFrom<'NSEC' | 'NSEC3'>('NSEC', 'NSEC3'),
      (forgeries, denial) => {
        const world = exampleWorld({ denial }, { denial });
        let count = 0;
        const net = new Forwarding(world.anchors(), (octets) => {
          const mine = forgeries.filter(([at]) => at === count % 8).map(([, f]) => f);
          count++;
          return mine.reduce(forged, world.answer(octets));
        });
        const { verdict } = net.ask('www.example.org');
        expect(verdict.status).not.toBe('insecure');
        if (verdict.status === 'secure') expect(verdict.data.map((s) => s.rdatas)).toEqual([truth]);
      },
    ),
    { numRuns: 400 },
  );
});

function forged(
  octets: Uint8Array,
  work: typeof forgery extends fc.Arbitrary<infer T> ? T : never,
): Uint8Array {
  if (work.kind === 'bit') {
    const at = work.at % (octets.length * 8);
    return octets.with(at >> 3, (octets[at >> 3] ?? 0) ^ (1 << (at & 7)));
  }
  const decoded = decodeMessage(octets);
  const record = loose[work.put];
  if (!decoded.ok || !record) return octets;
  const message = decoded.value;
  const owner = work.renamed ? (message.questions[0]?.name ?? record.owner) : record.owner;
  const forged = encodeMessage({
    ...message,
    rcode: work.rcode ?? message.rcode,
    [work.section]: [...message[work.section].toSpliced(work.drop, 1), { ...record, owner }],
  });
  return withCaseOf(octets, forged);
}

function saying(rcode: number): Upstream {
  return (octets) => {
    const query = decodeMessage(octets);
    if (!query.ok) return undefined;
    const { edns: _, ...plain } = query.value;
    return withCaseOf(octets, encodeMessage({ ...plain, response: true, rcode }));
  };
}

function isFor(octets: Uint8Array, type: number): boolean {
  const query = decodeMessage(octets);
  return query.ok && query.value.questions[0]?.type === type;
}
