import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSocket } from 'node:dgram';
import { afterAll, expect, test } from 'vitest';
import { rootAnchors } from '../../src/dns/anchors.ts';
import { configuredKey } from '../../src/dns/anchors/rfc5011.ts';
import { readSaved, savedText, type SavedPoint } from '../../src/dns/anchors/saved.ts';
import { TrustPoints } from '../../src/dns/anchors/trust-points.ts';
import { Algorithm } from '../../src/dns/dnssec/algorithms.ts';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { rootName } from '../../src/dns/name.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { defaultConfig, defaultPaths, programDate } from '../../src/oe/config.ts';
import { anchorStore, loadSaved, loadTrust, replaceFile } from '../../src/oe/io/anchors.ts';
import { fetchRootList } from '../../src/oe/io/root-list.ts';
import { instant, wallSeconds } from '../../src/time.ts';
import { Forwarding } from './forwarding.ts';
import { anchorOf, at, day, rollingWorld, rootKey, type RootKeys } from './rolling-root.ts';
import { revokedKey } from './signing.ts';
import { exampleWorld } from './scenes.ts';
import { address, key } from './zone.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-anchors-'));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

const [a, b, c] = [rootKey('a'), rootKey('b'), rootKey('c', Algorithm.ECDSAP256SHA256)];
const point: SavedPoint = {
  from: ['DS 01'],
  dss: [anchorOf(b).rdata],
  keys: [
    configuredKey(a.rdata),
    { ...configuredKey(b.rdata), state: 'Revoked', since: wallSeconds(1_800_000_000) },
    {
      ...configuredKey(c.rdata),
      state: 'AddPend',
      since: wallSeconds(1_800_000_001),
      holdSeconds: 2_592_000,
      vouchers: [a.rdata],
    },
  ],
};

test('what is kept is read again as it was', () => {
  const saved = { savedAt: wallSeconds(1_800_000_002), points: new Map([[rootName, point]]) };
  expect(readSaved(savedText(saved))).toEqual(saved);
});

test.each([
  ['no JSON', (t: string) => t.slice(1)],
  ['half of it', (t: string) => t.slice(0, t.length / 2)],
  ['another version', (t: string) => t.replace('"version": 1', '"version": 2')],
  ['a state that there is not', (t: string) => t.replace('"Valid"', '"Good"')],
  ['a key that is none', (t: string) => t.replace('257 3 15', '257 3')],
  ['a revoked key as a trusted one', (t: string) => t.replace('257 3 15', '385 3 15')],
  ['a date that is none', (t: string) => t.replace('1970-01-01', '1970-21-01')],
  ['an owner that is none', (t: string) => t.replace('"owner": "."', '"owner": "a..b"')],
  ['a list that is none', (t: string) => t.replace('"keys": [', '"keys": 1, "x": [')],
  ['null', () => 'null'],
  ['nothing', () => ''],
])('%s is refused as a whole, with a reason', (_, spoil) => {
  const text = savedText({ savedAt: wallSeconds(1_800_000_002), points: new Map([[rootName, point]]) });
  expect(spoil(text)).not.toBe(text);
  expect(readSaved(spoil(text))).toEqual(expect.any(String));
});

test('a file is replaced as a whole, and nothing is left beside it', () => {
  const file = join(scratch, 'state', 'anchors.json');
  replaceFile(file, 'old');
  replaceFile(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(readdirSync(join(scratch, 'state'))).toEqual(['anchors.json']);
});

test('without a file there is nothing to say; with one that is spoilt, the shipped anchors and a complaint', () => {
  const paths = { ...defaultPaths, stateDirectory: scratch };
  expect(loadSaved(join(scratch, 'none.json'))).toEqual({});
  expect(loadTrust(defaultConfig.dns, paths)).toMatchObject({
    trust: { managed: rootAnchors },
    complaints: [],
  });
  writeFileSync(join(scratch, 'anchors.json'), '{"version": 1');
  const { trust, complaints } = loadTrust(defaultConfig.dns, paths);
  expect([trust.managed, trust.saved, trust.clockNotBefore]).toEqual([rootAnchors, undefined, programDate]);
  expect(complaints.join()).toMatch(/anchors\.json are of no use: .*\. Trust begins with the keys/);
});

test('configured anchors stay as they are unless they are to be managed; files take the place of the shipped ones', () => {
  const paths = { ...defaultPaths, stateDirectory: join(scratch, 'none') };
  const file = join(scratch, 'own.key');
  writeFileSync(file, `example.org. DS 1 13 2 ${'ab'.repeat(32)}\n`);
  const island = { kind: 'DS', owner: key('example.org') };
  const load = (changes: Partial<typeof defaultConfig.dns.trust>) =>
    loadTrust({ ...defaultConfig.dns, trust: { ...defaultConfig.dns.trust, ...changes } }, paths);
  expect(load({ files: [file] })).toMatchObject({ fixed: [island], trust: { managed: [] } });
  expect(load({ files: [file], managed: true })).toMatchObject({ fixed: [], trust: { managed: [island] } });
  const anchors = load({ files: [file] }).fixed;
  expect(load({ anchors })).toMatchObject({ fixed: [island], trust: { managed: rootAnchors } });
  expect(() => load({ files: ['/nonexistent'] })).toThrow(/cannot be read/);
});

test('at a validation date the clock is right by definition; otherwise not before what was saved', () => {
  const paths = { ...defaultPaths, stateDirectory: join(scratch, 'time') };
  const late = wallSeconds(programDate + 99 * day);
  replaceFile(join(paths.stateDirectory, 'anchors.json'), savedText({ savedAt: late, points: new Map() }));
  expect(loadTrust(defaultConfig.dns, paths).trust.clockNotBefore).toBe(late);
  const dated = { ...defaultConfig.dns, validationDate: wallSeconds(1) };
  expect(loadTrust(dated, paths).trust.clockNotBefore).toBeUndefined();
});

test('the store keeps what it is given, but nothing of a run at a validation date', () => {
  const paths = { ...defaultPaths, stateDirectory: join(scratch, 'store') };
  const file = join(paths.stateDirectory, 'anchors.json');
  anchorStore({ ...defaultConfig.dns, validationDate: wallSeconds(1) }, paths, () => undefined).keep('dated');
  expect(existsSync(file)).toBe(false);
  anchorStore(defaultConfig.dns, paths, () => undefined).keep('today');
  expect(readFileSync(file, 'utf8')).toBe('today');
  const events: string[] = [];
  const nowhere = { ...paths, stateDirectory: join(file, 'below') };
  anchorStore(defaultConfig.dns, nowhere, (e) => events.push(e.event)).keep('lost');
  expect(events).toEqual(['anchors.unwritable']);
});

test('shipped DS are not kept: what a later version does not bring along is not trusted for it', () => {
  const points = new TrustPoints({ fixed: [], managed: [anchorOf(a), anchorOf(b)] });
  points.adopt([anchorOf(c)]);
  expect(points.saved(wallSeconds(0)).points.get(rootName)?.dss).toEqual([anchorOf(c).rdata]);
  const next = new TrustPoints({ fixed: [], managed: [anchorOf(b)], saved: points.saved(wallSeconds(0)) });
  expect(next.tags(rootName)).toEqual([b.tag, c.tag].sort((x, y) => x - y));
});

test('after a probe that failed the next one waits for the retry interval (RFC 5011 §2.3)', () => {
  const points = new TrustPoints({ fixed: [], managed: [anchorOf(a)] });
  expect(points.due(instant(0), at('2025-01-01'))).toEqual([]);
  const [now, wall] = [instant(60_000), wallSeconds(at('2025-01-01') + 60)];
  expect(points.due(now, wall)).toEqual([rootName]);
  points.failed(rootName, now, wall);
  expect(points.deadline?.at).toBe(60_000 + 8_640_000);
});

test('what was learned from other anchors is worth nothing, as after a try with a root of one’s own', () => {
  const other = new TrustPoints({ fixed: [], managed: [anchorOf(c)] });
  other.adopt([anchorOf(a)]);
  const saved = other.saved(wallSeconds(0));
  expect(new TrustPoints({ fixed: [], managed: [anchorOf(b)], saved }).tags(rootName)).toEqual([b.tag]);
});

test('a key of IANA’s list that was seen revoked stays revoked', () => {
  const keys = [{ ...configuredKey(a.rdata), state: 'Revoked' as const }];
  const managed = [anchorOf(a), anchorOf(b)];
  const from = new TrustPoints({ fixed: [], managed }).saved(wallSeconds(0)).points.get(rootName)?.from ?? [];
  const saved = { savedAt: wallSeconds(0), points: new Map([[rootName, { from, dss: [], keys }]]) };
  const points = new TrustPoints({ fixed: [], managed, saved });
  points.adopt([anchorOf(a)]);
  expect(points.tags(rootName)).toEqual([b.tag]);
});

test('an island follows its own roll-over (RFC 5011), and the list is fetched for the root only', () => {
  const world = exampleWorld();
  const net = new Forwarding([], world);
  net.restart({ managed: world.anchors('example.org') });
  look(net, 'www.example.org');
  net.wait(2 * day);
  expect(net.questions().filter((q) => q === 'DNSKEY example.org').length).toBeGreaterThanOrEqual(24);
  world.tamper((message) => ({ ...message, answer: message.answer.filter((r) => r.type !== Type.DNSKEY) }));
  net.wait(2 * day);
  expect(net.trustEffects.some((e) => e.kind === 'fetchAnchors')).toBe(false);
});

test('the list is fetched once a day at most, and what came of it is told', () => {
  const keys: RootKeys = { published: [b], signing: [b] };
  const net = rooted(keys, [a]);
  for (let hours = 0; hours < 47; hours++) {
    net.wait(3_600);
    look(net, 'www.example.org');
  }
  expect(net.trustEffects.filter((e) => e.kind === 'fetchAnchors')).toHaveLength(2);
  net.handle({ kind: 'anchorsNotFetched', why: 'data.iana.org has no address' });
  const notes = net.resolver.notes(net.wall, net.now).map((n) => n.sentence);
  expect(notes.join('\n')).toMatch(/list of them could not be had: data\.iana\.org has no address\./);
});

test('after a probe that somebody spoilt another resolver is asked at once', () => {
  const good = rollingWorld(
    () => ({ published: [a], signing: [a] }),
    () => net.wall,
  );
  const bad = rollingWorld(
    () => ({ published: [b], signing: [b] }),
    () => net.wall,
  );
  const net: Forwarding = new Forwarding(
    [],
    (octets) => bad.answer(octets),
    (octets) => good.answer(octets),
  );
  net.wall = at('2025-01-01');
  net.restart({ managed: [anchorOf(a)] });
  net.handle({ kind: 'tick' });
  net.wait(120);
  const asked = net.asked.filter((q) => q.text === 'DNSKEY .').map((q) => q.upstream);
  expect(asked).toContain(1);
  expect(net.trustEffects.some((e) => e.kind === 'keepAnchors')).toBe(true);
});

test('a revocation that passes by in a lookup counts at once, without waiting for the next probe', () => {
  let keys: RootKeys = { published: [a, b], signing: [a, b] };
  const net = rooted(() => keys, [a, b]);
  expect(look(net, 'www.example.org')).toBe('secure');
  keys = { published: [revokedKey(a), b], signing: [revokedKey(a), b] };
  look(net, '.', Type.DNSKEY);
  keys = { published: [a], signing: [a] };
  net.wait(3 * day);
  expect(look(net, 'www.example.org')).toBe('bogus');
});

test('IANA’s list is fetched over HTTP, its server’s name asked of our own resolver with CD', async () => {
  const files = join(import.meta.dirname, '../fixtures/root-anchors');
  let spoilt = false;
  const web = createServer((request, response) => {
    const file = readFileSync(join(files, request.url?.split('/').at(-1) ?? ''));
    response.end(spoilt ? file.subarray(1) : file);
  });
  const dns = createSocket('udp4');
  const flags: boolean[] = [];
  dns.on('message', (octets, from) => {
    const query = decodeMessage(octets);
    const question = query.ok ? query.value.questions[0] : undefined;
    if (!query.ok || !question) return;
    flags.push(query.value.checkingDisabled);
    const record = {
      owner: question.name,
      type: Type.A,
      class: Class.IN,
      ttl: 1,
      rdata: address('127.0.0.1'),
    };
    dns.send(encodeMessage({ ...query.value, response: true, answer: [record] }), from.port, from.address);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  await new Promise<void>((resolve) => dns.bind(0, '127.0.0.1', resolve));
  try {
    const url = `http://data.iana.test:${(web.address() as AddressInfo).port}/root-anchors/`;
    const own = [parseEndpoint(`127.0.0.1:${dns.address().port}`, 53)].flatMap((e) => e ?? []);
    expect(await fetchRootList(url, own, at('2024-11-01'))).toEqual(rootAnchors);
    expect(flags).toEqual([true]);
    spoilt = true;
    await expect(fetchRootList(url, own, at('2024-11-01'))).rejects.toThrow(/signature/);
    await expect(fetchRootList(undefined, own, at('2024-11-01'))).rejects.toThrow(/root-anchors-url/);
  } finally {
    web.close();
    dns.close();
  }
});

function rooted(keys: RootKeys | (() => RootKeys), trusted: readonly (typeof a)[]): Forwarding {
  const world = rollingWorld(typeof keys === 'function' ? keys : () => keys, () => net.wall);
  const net: Forwarding = new Forwarding([], world);
  net.wall = at('2025-01-01');
  net.restart({ managed: trusted.map(anchorOf) });
  return net;
}

function look(net: Forwarding, name: string, type: number = Type.A): string {
  const id = net.start(name, type);
  net.wait(5);
  return net.resolved.get(id)?.resolution.verdict.status ?? 'none';
}
