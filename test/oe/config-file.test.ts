import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { nameText } from '../../src/dns/name.ts';
import { formatServer } from '../../src/dns/server-text.ts';
import { formatEndpoint } from '../../src/net/address.ts';
import { formatPrefix } from '../../src/net/prefix.ts';
import { defaultConfig } from '../../src/oe/config.ts';
import { loadConfig, readConfig } from '../../src/oe/io/config-file.ts';
import { limitSettings, type LimitKey } from '../../src/oe/limits.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-config-'));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

test('an empty file is the defaults', () => {
  expect(readConfig('')).toEqual({ ok: true, config: defaultConfig });
});

test('where trust begins, and where not, can be set', () => {
  const read = readConfig(`
[dns]
trust-anchor-file = ["/etc/oe/root.key", "/etc/oe/more.key"]
trust-anchors = ["example.org. DS 1 13 2 ${'ab'.repeat(32)}"]
managed-anchors = true
trust-anchor-signaling = false
time-servers = ["ntp.example.org"]
root-anchors-url = ""
[[dns.negative-trust-anchor]]
name = "broken.example.org"
until = 2026-12-01
`);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { trust } = read.config.dns;
  expect(trust.files).toEqual(['/etc/oe/root.key', '/etc/oe/more.key']);
  expect(trust.anchors.map((a) => [a.kind, nameText(a.owner)])).toEqual([['DS', 'example.org']]);
  expect([trust.managed, trust.signaling, trust.rootList]).toEqual([true, false, undefined]);
  expect(trust.timeServers.map(nameText)).toEqual(['ntp.example.org']);
  expect(trust.negative.map((n) => [nameText(n.name), n.until])).toEqual([
    ['broken.example.org', Date.UTC(2026, 11, 1) / 1_000],
  ]);
});

test('a trust anchor that is none, and an exception without an end, are told with their lines', () => {
  const read = readConfig(
    '[dns]\ntrust-anchors = ["example.org. A 1"]\n[[dns.negative-trust-anchor]]\nname = "a..b"\n',
  );
  expect(read.ok ? [] : read.problems.map((p) => [p.line, p.problem.split(',')[0]])).toEqual([
    [2, expect.stringMatching(/^dns\.trust-anchors\[1\] is/) as string],
    [3, expect.stringMatching(/until is missing/) as string],
    [4, expect.stringMatching(/^dns\.negative-trust-anchor\[1\]\.name is "a\.\.b"/) as string],
  ]);
});

test('limits can be set, each within what leaves a defence', () => {
  const keys = Object.keys(limitSettings) as LimitKey[];
  const textOf = (value: (key: LimitKey) => number): string =>
    `[dns.limits]\n${keys.map((key) => `${key} = ${value(key)}`).join('\n')}\n`;
  const usual = readConfig(textOf((key) => limitSettings[key].usual));
  expect(usual).toEqual({ ok: true, config: defaultConfig });
  for (const end of ['least', 'most'] as const) {
    const read = readConfig(textOf((key) => limitSettings[key][end]));
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    // Each of them lands in a place of its own.
    const { openLookups, seconds, questions, aliases, validation, recursion } = read.config.dns.limits;
    const { targetsAtOnce: _, ...iteration } = recursion;
    const all = [
      openLookups,
      seconds,
      questions,
      aliases,
      ...Object.values(validation),
      ...Object.values(iteration),
    ];
    expect(all.toSorted()).toEqual(keys.map((key) => limitSettings[key][end]).toSorted());
  }
  for (const beyond of [
    (key: LimitKey) => limitSettings[key].least - 1,
    (key: LimitKey) => limitSettings[key].most + 1,
    (key: LimitKey) => limitSettings[key].usual + 0.5,
  ]) {
    const read = readConfig(textOf(beyond));
    expect(read.ok ? [] : read.problems.map((p) => p.line)).toEqual(keys.map((_, i) => i + 2));
  }
  const read = readConfig('[dns.limits]\naliases = 1000\naliase = 5\n');
  expect(read.ok ? [] : read.problems).toEqual([
    {
      line: 2,
      problem: 'dns.limits.aliases is 1000, wanted is a whole number from 1 to 16.',
      remedy: 'Write for example: aliases = 11.',
    },
    { line: 3, problem: 'dns.limits.aliase is not a setting of oe.', remedy: 'Did you mean aliases?' },
  ]);
});

test('everything that can be set is read', () => {
  const read = readConfig(`
[dns]
listen = ["198.18.1.2", "[2001:2::1]:5353"]
allow = ["198.18.0.0/15", "2001:2::5"]
rate-limit = 50
cache-megabytes = 16
cache-max-ttl = 3600
serve-stale = false
front = "plain"
minimal-any = false
dns64 = "64:ff9b::/96"
upstreams = ["198.18.9.9"]
hosts-file = "/etc/oe/hosts"
ca-file = "/etc/oe/ca.pem"
validation-date = 2026-01-31T12:00:00Z
[ike]
ports = [1500, 14500]
listen = ["198.18.1.2"]
nat-neighbours = "mark"
offload = "auto"
key-log = "/run/oe/keys"
[gate]
budget-ms = 700
private-budget-ms = 2000
[[policy.rule]]
match = "*.example.org"
group = "private"
[[policy.rule]]
match = "198.18.0.0/15"
group = "clear"
[policy]
default = "clear-or-private"
[paths]
run-directory = "/tmp/oe"
[log]
level = "debug"
`);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { config } = read;
  expect(config.dns.listen.map(formatEndpoint)).toEqual(['198.18.1.2:53', '[2001:2::1]:5353']);
  expect(config.dns.allow.map(formatPrefix)).toEqual(['198.18.0.0/15', '2001:2::5/128']);
  expect(config.dns.rateLimit).toBe(50);
  expect(config.dns).toMatchObject({ cacheMegabytes: 16, cacheMaxTtl: 3600, serveStale: false });
  expect(config.dns.front).toBe('plain');
  expect(config.dns.minimalAny).toBe(false);
  expect(typeof config.dns.dns64 === 'object' && formatPrefix(config.dns.dns64)).toBe('64:ff9b::/96');
  expect(config.dns.upstreams?.map(formatServer)).toEqual(['198.18.9.9:53']);
  expect(config.dns.hostsFile).toBe('/etc/oe/hosts');
  expect(config.dns.caFile).toBe('/etc/oe/ca.pem');
  expect(config.dns.validationDate).toBe(Date.UTC(2026, 0, 31, 12) / 1_000);
  expect(config.ike.ports).toEqual({ ike: 1500, natt: 14500 });
  expect(config.ike).toMatchObject({ natNeighbours: 'mark', offload: 'auto' });
  expect(config.gate).toEqual({ budgetMs: 700, privateBudgetMs: 2_000 });
  expect(config.policy.rules.map((r) => [r.place, r.text, r.group])).toEqual([
    [1, '*.example.org', 'private'],
    [2, '198.18.0.0/15', 'clear'],
  ]);
  expect(config.policy.outbound).toBe('clear-or-private');
  expect(config.paths).toEqual({ ...defaultConfig.paths, runDirectory: '/tmp/oe' });
});

test('mode, zones and root hints say whom to ask', () => {
  const read = readConfig(`
[dns]
mode = "recurse"
upstreams = ["9.9.9.9:5353", "tls://9.9.9.9#dns.quad9.net", "https://9.9.9.9/dns-query#dns.quad9.net"]
root-hints = "/etc/oe/named.root"
qname-minimisation = "strict"
encrypt = "off"
fallback = false
[[dns.zone]]
name = "corp.example"
forward = ["192.0.2.53", "tls://192.0.2.54"]
[[dns.zone]]
name = "10.in-addr.arpa"
stub = ["192.0.2.55"]
`);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const { dns } = read.config;
  expect([dns.mode, dns.rootHints, dns.qnameMinimisation]).toEqual([
    'recurse',
    '/etc/oe/named.root',
    'strict',
  ]);
  expect([dns.encrypt, dns.fallback]).toEqual(['off', false]);
  expect(dns.upstreams?.map(formatServer)).toEqual([
    '9.9.9.9:5353',
    'tls://9.9.9.9:853#dns.quad9.net',
    'https://9.9.9.9:443/dns-query#dns.quad9.net',
  ]);
  expect(dns.zones.map((z) => [nameText(z.name), z.kind, ...z.servers.map(formatServer)])).toEqual([
    ['corp.example', 'forward', '192.0.2.53:53', 'tls://192.0.2.54:853'],
    ['10.in-addr.arpa', 'stub', '192.0.2.55:53'],
  ]);
});

test.each([
  ['upstreams = ["dns.quad9.net"]', 'dns.upstreams[1]'],
  ['upstreams = ["https://dns.quad9.net/dns-query"]', 'dns.upstreams[1]'],
  ['mode = "both"', 'dns.mode'],
  ['qname-minimisation = "on"', 'dns.qname-minimisation'],
  ['[[dns.zone]]\nname = "corp.example"', 'dns.zone[1]'],
  ['[[dns.zone]]\nname = "a.example"\nforward = ["192.0.2.1"]\nstub = ["192.0.2.1"]', 'dns.zone[1]'],
  ['[[dns.zone]]\nname = "a..example"\nforward = ["192.0.2.1"]', 'dns.zone[1].name'],
  ['[[dns.zone]]\nname = "a.example"\nstub = ["tls://192.0.2.1"]', 'dns.zone[1].stub[1]'],
])('%j does not say whom to ask', (text, place) => {
  const read = readConfig(`[dns]\n${text}\n`);
  expect(read.ok ? 'accepted' : read.problems[0]?.problem).toContain(place);
});

test('a NAT64 prefix has one of the lengths of RFC 6052 §2.2, and who may ask is told by address', () => {
  for (const text of [
    'dns64 = "64:ff9b::/95"',
    'dns64 = "yes"',
    'allow = ["everybody"]',
    'rate-limit = -1',
    'cache-megabytes = 0',
    'cache-max-ttl = "1d"',
    'serve-stale = "yes"',
  ]) {
    expect([text, readConfig(`[dns]\n${text}`)]).toMatchObject([
      text,
      { ok: false, problems: [{ line: 2 }] },
    ]);
  }
  expect(readConfig('[dns]\ndns64 = "off"')).toMatchObject({ ok: true, config: { dns: { dns64: 'off' } } });
});

test('without a word /etc/hosts is read, and with an empty one no hosts file is', () => {
  expect(defaultConfig.dns.hostsFile).toBe('/etc/hosts');
  const none = readConfig('[dns]\nhosts-file = ""');
  expect(none.ok && none.config.dns.hostsFile).toBeUndefined();
  expect(none.ok).toBe(true);
  const wrong = readConfig('[dns]\nhosts-file = "hosts"');
  expect(wrong).toMatchObject({
    ok: false,
    problems: [{ line: 2, problem: expect.stringContaining('an absolute path, or an empty text') as string }],
  });
});

test('every problem is told at once, each with its line and a remedy', () => {
  const read = readConfig(`[dns]
listen = ["nowhere"]

[gate]
budget-ms = -5

[[policy.rule]]
match = "*.example.org"
group = "privat"

[ike]
prots = [500, 4500]
`);
  expect(read.ok).toBe(false);
  const problems = read.ok ? [] : read.problems;
  expect(problems.map((p) => p.line)).toEqual([2, 5, 9, 12]);
  expect(problems[3]?.remedy).toBe('Did you mean ports?');
  for (const p of problems) expect(p.remedy).not.toBe('');
});

test('a setting that belongs to another table is told with its line, and where it belongs', () => {
  const read = readConfig(
    'listen = ["127.0.0.1"]\n\n[[rule]]\nmatch = "*.example.org"\n\n[dns]\na = 1\nlistn = 2\n',
  );
  expect(read.ok ? [] : read.problems).toEqual([
    { line: 1, problem: 'listen is not a setting of oe.', remedy: 'Did you mean dns.listen or ike.listen?' },
    { line: 3, problem: 'rule is not a setting of oe.', remedy: 'Did you mean policy.rule?' },
    {
      line: 7,
      problem: 'dns.a is not a setting of oe.',
      remedy: expect.stringMatching(/^Settings here are listen, allow, .*, validation-date\b/) as string,
    },
    { line: 8, problem: 'dns.listn is not a setting of oe.', remedy: 'Did you mean listen?' },
  ]);
});

test('what is no TOML is told with its line', () => {
  const read = readConfig('[dns]\nlisten = [\n');
  expect(read.ok ? [] : read.problems).toMatchObject([{ line: expect.any(Number) as number }]);
});

test('a file that is named and not there is an error, the usual one that is not there is not', () => {
  expect(() => loadConfig(join(scratch, 'none.toml'))).toThrow(/cannot be read/);
});

test('the error for a wrong file names the file and the line', () => {
  const file = join(scratch, 'oe.toml');
  writeFileSync(file, 'log = { level = "loud" }\n');
  expect(() => loadConfig(file)).toThrow(`${file}:1`);
});
