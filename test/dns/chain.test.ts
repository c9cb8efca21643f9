import { expect, test } from 'vitest';
import { Algorithm, Digest } from '../../src/dns/dnssec/algorithms.ts';
import { dsDigest } from '../../src/dns/dnssec/crypto.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { before, changing, covers, exampleWorld, servfail, without } from './scenes.ts';
import type { SignedWorld } from './zone.ts';
import { dsRdata, signingKey } from './signing.ts';
import { address, key, signingDate, wire } from './zone.ts';

const cut = ['NSEC', 'NSEC3', 'opt-out'] as const;
const parent = {
  NSEC: {},
  NSEC3: { denial: 'NSEC3' },
  'opt-out': { denial: 'NSEC3', optOut: true },
} as const;

test.each(cut)('a name below an unsigned delegation is insecure, proved with %s', (how) => {
  const resolution = before(exampleWorld({}, parent[how])).ask('www.unsigned.org');
  expect(resolution).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure', from: 'unsigned.org' },
    ede: undefined,
  });
  expect(resolution.answer[0]?.rdatas).toEqual([address('192.0.2.90')]);
});

test.each(cut)('an unsigned delegation whose proof is taken away is bogus (%s)', (how) => {
  const world = exampleWorld({}, parent[how]).tamper(
    without('unsigned.org', Type.DS, (r) => r.type === Type.NSEC || r.type === Type.NSEC3),
  );
  expect(before(world).ask('www.unsigned.org')).toMatchObject({
    ...servfail,
    verdict: { status: 'bogus', ede: Ede.NSEC_MISSING },
  });
});

test('without the opt-out bit a span does not make a delegation insecure', () => {
  const lying = exampleWorld({}, { denial: 'NSEC3' });
  const honest = exampleWorld({}, { denial: 'NSEC3', optOut: true });
  // The record that spans unsigned.org, as org would sign it without the bit.
  const span = honest.resolve({ name: key('unsigned.org'), type: Type.DS, class: 1 }).authority;
  const plain = span.map((r) => (r.type === Type.NSEC3 ? { ...r, rdata: r.rdata.with(1, 0) } : r));
  lying.tamper(changing('unsigned.org', Type.DS, (m) => ({ ...m, authority: plain })));
  expect(before(lying).ask('www.unsigned.org')).toMatchObject(servfail);
});

test("the apex's NSEC3 cannot stand in for the delegation's", () => {
  const world = exampleWorld({}, { denial: 'NSEC3' });
  const apex = world.denialAt('org');
  world.tamper(
    changing('unsigned.org', Type.DS, (m) => ({
      ...m,
      authority: [...m.authority.filter((r) => r.type === Type.SOA || covers(r, Type.SOA)), ...apex],
    })),
  );
  expect(before(world).ask('www.unsigned.org')).toMatchObject(servfail);
});

test('an NSEC without the NS bit is no proof of an unsigned delegation (RFC 4035 §5.2)', () => {
  const world = exampleWorld();
  const noNs = world.signedNsec('unsigned.org', 'zzz.org', [Type.TXT]);
  world.tamper(
    changing('unsigned.org', Type.DS, (m) => ({
      ...m,
      authority: [
        ...m.authority.filter((r) => r.type === Type.SOA || covers(r, Type.SOA)),
        ...noNs.map((r) => ({ ...r })),
      ],
    })),
  );
  expect(before(world).ask('www.unsigned.org')).toMatchObject(servfail);
});

test('a child without signatures below a secure delegation is bogus', () => {
  const stripped = exampleWorld().tamper((m, q) =>
    q.name.endsWith(key('example.org')) && q.type !== Type.DS
      ? { ...m, answer: m.answer.filter((r) => r.type !== Type.RRSIG), authority: [] }
      : m,
  );
  expect(before(stripped).ask('www.example.org')).toMatchObject({
    ...servfail,
    ede: { code: Ede.RRSIGS_MISSING },
  });
});

test('a secure zone without any DNSKEY is bogus, and told so', () => {
  const world = exampleWorld().tamper(changing('example.org', Type.DNSKEY, (m) => ({ ...m, answer: [] })));
  expect(before(world).ask('www.example.org')).toMatchObject({
    ...servfail,
    ede: { code: Ede.DNSKEY_MISSING },
  });
});

test('names inside a zone that are no cuts do not end the chain, nor does an empty non-terminal', () => {
  for (const denial of ['NSEC', 'NSEC3'] as const) {
    const world = exampleWorld(
      { denial },
      {},
      { name: 'sub.ent.example.org' },
      { name: 'safe.ent.example.org', signed: true },
    )
      .add('www.sub.ent.example.org', Type.A, address('192.0.2.1'))
      .add('www.safe.ent.example.org', Type.A, address('192.0.2.2'));
    const net = before(world);
    expect(net.ask('www.sub.ent.example.org').verdict).toMatchObject({
      status: 'insecure',
      from: 'sub.ent.example.org',
    });
    expect(net.ask('www.safe.ent.example.org').verdict.status).toBe('secure');
  }
});

test.each([
  [
    'algorithm',
    dsRdata({ tag: 1, algorithm: 200 }, Digest.SHA256, new Uint8Array(32)),
    Ede.UNSUPPORTED_DNSKEY_ALGORITHM,
  ],
  [
    'algorithm (SHA-1)',
    dsRdata({ tag: 1, algorithm: Algorithm.RSASHA1 }, Digest.SHA256, new Uint8Array(32)),
    Ede.UNSUPPORTED_DNSKEY_ALGORITHM,
  ],
  [
    'digest',
    dsRdata({ tag: 1, algorithm: Algorithm.ED25519 }, 200, new Uint8Array(32)),
    Ede.UNSUPPORTED_DS_DIGEST_TYPE,
  ],
])('a zone all whose DS are of an unsupported %s is insecure', (_, ds, code) => {
  const resolution = before(exampleWorld().replace('example.org', Type.DS, [ds])).ask('www.example.org');
  expect(resolution).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure', from: 'example.org' },
    ede: { code },
  });
});

test('beside an unsupported DS a supported one still counts', () => {
  const world = exampleWorld().add(
    'example.org',
    Type.DS,
    dsRdata({ tag: 1, algorithm: 200 }, Digest.SHA256, new Uint8Array(32)),
  );
  expect(before(world).ask('www.example.org').verdict.status).toBe('secure');
  world.spoil('www.example.org', Type.A, { missing: true });
  expect(before(world).ask('www.example.org')).toMatchObject(servfail);
});

test.each([
  ['tag', (rdata: Uint8Array) => rdata.with(0, (rdata[0] ?? 0) ^ 1)],
  ['digest', (rdata: Uint8Array) => rdata.with(9, (rdata[9] ?? 0) ^ 1)],
  ['algorithm', (rdata: Uint8Array) => rdata.with(2, Algorithm.ECDSAP256SHA256)],
])('a DS with a wrong %s is bogus', (_, change) => {
  const world = exampleWorld();
  const ds = world.keysOf('example.org').ds.map(change);
  expect(before(world.replace('example.org', Type.DS, ds)).ask('www.example.org')).toMatchObject({
    ...servfail,
    ede: { code: Ede.DNSKEY_MISSING },
  });
});

test('a DS with SHA-1 is no use where one with SHA-2 is there, and counts alone (RFC 4509 §3)', () => {
  const signing = signingKey('example.org', Algorithm.ED25519);
  const sha1 = dsRdata(
    signing,
    Digest.SHA1,
    dsDigest(Digest.SHA1, key('example.org'), signing.rdata) ?? new Uint8Array(),
  );
  const wrong = dsRdata(signing, Digest.SHA256, new Uint8Array(32));
  expect(
    before(exampleWorld().replace('example.org', Type.DS, [sha1])).ask('www.example.org').verdict.status,
  ).toBe('secure');
  expect(
    before(exampleWorld().replace('example.org', Type.DS, [sha1, wrong])).ask('www.example.org'),
  ).toMatchObject(servfail);
});

test('a DS answered with a CNAME at the cut is bogus, one met while looking for the cut is not', () => {
  const atCut = exampleWorld().tamper(
    changing('example.org', Type.DS, (m) => ({
      ...m,
      answer: exampleWorld().signed('example.org', Type.CNAME, [wire('www.unsigned.org')]),
    })),
  );
  expect(before(atCut).ask('www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'bogus' } });
  const world = exampleWorld({}, {}, { name: 'sub.alias.example.org' });
  world.add('www.sub.alias.example.org', Type.A, address('192.0.2.1'));
  const net = before(world);
  expect(net.ask('www.sub.alias.example.org').verdict).toMatchObject({
    status: 'insecure',
    from: 'sub.alias.example.org',
  });
  expect(net.questions()).toContain('DS alias.example.org');
});

test('a DS that was expanded from a wildcard is refused', () => {
  expect(
    before(exampleWorld().spoil('example.org', Type.DS, { labels: 1 })).ask('www.example.org'),
  ).toMatchObject(servfail);
});

test('aliases are judged link by link: secure only if all are (RFC 4035 §5)', () => {
  const net = before(exampleWorld().add('through.example.org', Type.CNAME, wire('alias.unsigned.org')));
  expect(net.ask('alias.example.org')).toMatchObject({ rcode: Rcode.NOERROR, verdict: { status: 'secure' } });
  expect(net.ask('alias.example.org').answer.map((s) => s.type)).toEqual([Type.CNAME, Type.A]);
  expect(net.ask('alias.unsigned.org').verdict).toMatchObject({ status: 'insecure', from: 'unsigned.org' });
  // secure, insecure, secure
  expect(net.ask('through.example.org').verdict).toMatchObject({ status: 'insecure', from: 'unsigned.org' });
});

test.each(['alias.example.org', 'www.example.org'])(
  'a chain with one bogus link (at %s) is bogus',
  (spoiled) => {
    const type = spoiled === 'alias.example.org' ? Type.CNAME : Type.A;
    const world = exampleWorld().spoil(spoiled, type, { flipped: true });
    expect(before(world).ask('alias.example.org')).toMatchObject(servfail);
  },
);

test('a chain that ends with nothing wants the denial of its last name', () => {
  const make = (): SignedWorld =>
    exampleWorld()
      .add('to-nodata.example.org', Type.CNAME, wire('www.example.org'))
      .add('to-nothing.example.org', Type.CNAME, wire('nothing.example.org'));
  expect(before(make()).ask('to-nodata.example.org', Type.AAAA)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'secure' },
  });
  expect(before(make()).ask('to-nothing.example.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'secure' },
  });
  for (const [name, type] of [
    ['to-nodata.example.org', Type.AAAA],
    ['to-nothing.example.org', Type.A],
  ] as const) {
    const world = make().tamper(without(name, type, (r) => r.type === Type.NSEC || covers(r, Type.NSEC)));
    expect(before(world).ask(name, type)).toMatchObject(servfail);
  }
});

test('an alias from a wildcard wants the denial of the name it stands in for', () => {
  const make = (): SignedWorld =>
    exampleWorld().add('*.many.example.org', Type.CNAME, wire('www.example.org'));
  expect(before(make()).ask('a.many.example.org').verdict.status).toBe('secure');
  const world = make().tamper(without('a.many.example.org', Type.A, (r) => r.type === Type.NSEC));
  expect(before(world).ask('a.many.example.org')).toMatchObject(servfail);
});

test.each([1, 2, 3])('a circle of %i aliases ends', (size) => {
  const world = exampleWorld();
  for (let i = 0; i < size; i++)
    world.add(`loop${i}.example.org`, Type.CNAME, wire(`loop${(i + 1) % size}.example.org`));
  for (const chases of [true, false]) {
    world.chases = chases;
    expect(before(world).ask('loop0.example.org')).toMatchObject(servfail);
  }
});

test('THREATS B: aliases that the upstream does not follow are followed here, up to 11', () => {
  const world = exampleWorld();
  world.chases = false;
  for (let i = 0; i < 12; i++)
    world.add(`n${i}.example.org`, Type.CNAME, wire(i === 11 ? 'www.example.org' : `n${i + 1}.example.org`));
  expect(before(world).ask('n1.example.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'secure' },
  });
  expect(before(world).ask('n0.example.org')).toMatchObject(servfail);
});

test('a question for CNAME does not follow it, and data beside a CNAME is taken', () => {
  const net = before(exampleWorld());
  expect(net.ask('alias.example.org', Type.CNAME).answer.map((s) => s.type)).toEqual([Type.CNAME]);
  const beside = exampleWorld().add('alias.example.org', Type.A, address('192.0.2.7'));
  expect(
    before(beside)
      .ask('alias.example.org')
      .answer.map((s) => s.type),
  ).toEqual([Type.A]);
});

test('a DNAME is signed, the CNAME made from it is checked against it (RFC 6672 §5.3)', () => {
  const make = (): SignedWorld => exampleWorld().add('old.example.org', Type.DNAME, wire('example.org'));
  const good = before(make()).ask('www.old.example.org');
  expect(good.verdict.status).toBe('secure');
  expect(good.answer.map((s) => s.type)).toEqual([Type.DNAME, Type.CNAME, Type.A]);
  const lying = make().tamper(
    changing('www.old.example.org', Type.A, (m) => ({
      ...m,
      answer: m.answer.map((r) => (r.type === Type.CNAME ? { ...r, rdata: wire('www.unsigned.org') } : r)),
    })),
  );
  // What the message claims is replaced by what the DNAME says.
  expect(before(lying).ask('www.old.example.org').answer[1]?.rdatas).toEqual([wire('www.example.org')]);
  const spoiled = make().spoil('old.example.org', Type.DNAME, { flipped: true });
  expect(before(spoiled).ask('www.old.example.org')).toMatchObject(servfail);
  expect(before(make()).ask('old.example.org', Type.DNAME).verdict.status).toBe('secure');
  expect(before(make()).ask('www.old.example.org', Type.CNAME)).toMatchObject({
    verdict: { status: 'secure' },
  });
});

test('a DNAME that leads to a name that is too long gives YXDOMAIN', () => {
  const long = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.example.org`;
  const world = exampleWorld().add('long.example.org', Type.DNAME, wire(long));
  const name = `${'d'.repeat(60)}.long.example.org`;
  expect(before(world).ask(name)).toMatchObject({ rcode: Rcode.YXDOMAIN, verdict: { status: 'secure' } });
});

test('anchors may lie below the root, be several, and be DNSKEYs', () => {
  const world = exampleWorld();
  const island = new Forwarding(world.anchors('example.org'), world);
  expect(island.ask('www.example.org').verdict.status).toBe('secure');
  expect(island.ask('org', Type.SOA)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'indeterminate', ede: Ede.DNSSEC_INDETERMINATE },
  });
  const keys = new Forwarding(world.dnskeyAnchors(), world);
  expect(keys.ask('www.example.org').verdict.status).toBe('secure');
  const two = new Forwarding([...world.anchors(), ...world.anchors('example.org')], world);
  expect(two.ask('www.example.org').verdict.status).toBe('secure');
});

test('an anchor that no key matches makes all below it bogus; one that nobody can check, insecure', () => {
  const world = exampleWorld();
  const [ds] = world.anchors();
  if (!ds) throw new Error('no anchor');
  const wrong = new Forwarding([{ ...ds, rdata: ds.rdata.with(9, (ds.rdata[9] ?? 0) ^ 1) }], world);
  expect(wrong.ask('www.example.org')).toMatchObject({ ...servfail, verdict: { status: 'bogus' } });
  const strange = new Forwarding([{ ...ds, rdata: ds.rdata.with(2, 200) }], world);
  expect(strange.ask('www.example.org')).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'insecure', from: '.' },
  });
});

test("a DS at an anchor's own name is judged by the anchor above it", () => {
  const world = exampleWorld();
  const net = new Forwarding([...world.anchors(), ...world.anchors('example.org')], world);
  const { verdict, chain } = net.ask('example.org', Type.DS);
  expect(verdict.status).toBe('secure');
  expect(chain.at(-1)).toContain('signed by org');
});

test('an anchor below an unsigned zone holds, and nobody above can speak for it', () => {
  const world = exampleWorld({}, {}, { name: 'island.unsigned.org', signed: true }).add(
    'www.island.unsigned.org',
    Type.A,
    address('192.0.2.5'),
  );
  const anchors = [...world.anchors(), ...world.anchors('island.unsigned.org')];
  expect(new Forwarding(anchors, world).ask('www.island.unsigned.org').verdict.status).toBe('secure');
  world.tamper(without('www.island.unsigned.org', Type.A, (r) => r.type === Type.RRSIG));
  const net = new Forwarding(anchors, world);
  net.ask('www.unsigned.org');
  expect(net.ask('www.island.unsigned.org')).toMatchObject(servfail);
});

test('an unsigned zone above an anchor cannot make its names insecure by signing them', () => {
  const world = exampleWorld({}, {}, { name: 'island.unsigned.org', signed: true })
    .add('www.island.unsigned.org', Type.A, address('192.0.2.5'))
    .spoil('www.island.unsigned.org', Type.A, { signer: 'unsigned.org' });
  const anchors = [...world.anchors(), ...world.anchors('island.unsigned.org')];
  expect(new Forwarding(anchors, world).ask('www.island.unsigned.org')).toMatchObject(servfail);
});

test('zones below an anchor that lies in an unsigned zone are secure', () => {
  const world = exampleWorld(
    {},
    {},
    { name: 'island.unsigned.org', signed: true },
    { name: 'child.island.unsigned.org', signed: true },
  ).add('www.child.island.unsigned.org', Type.A, address('192.0.2.5'));
  const net = new Forwarding([...world.anchors(), ...world.anchors('island.unsigned.org')], world);
  net.ask('www.unsigned.org');
  expect(net.ask('www.child.island.unsigned.org').verdict.status).toBe('secure');
});

test('keys are trusted no longer than the signatures behind them', () => {
  const world = exampleWorld().spoil('example.org', Type.DNSKEY, { expiration: signingDate + 100 });
  const net = before(world);
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  net.wall = (signingDate + 200) as typeof net.wall;
  expect(net.ask('www.example.org', Type.IPSECKEY)).toMatchObject({
    ...servfail,
    ede: { code: Ede.SIGNATURE_EXPIRED },
  });
});

test('a signed denial of a name below an anchor is a secure NXDOMAIN', () => {
  expect(before(exampleWorld()).ask('no-such-zone.org')).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    verdict: { status: 'secure' },
  });
});

test('the DS of the root does not exist, securely', () => {
  expect(before(exampleWorld()).ask('.', Type.DS)).toMatchObject({
    rcode: Rcode.NOERROR,
    answer: [],
    verdict: { status: 'secure' },
  });
});
