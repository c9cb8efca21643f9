import { readFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import * as v from 'valibot';
import { readAnchors } from '../../dns/anchors.ts';
import type { RoutedZone } from '../../dns/finders.ts';
import { nameOf } from '../../dns/name.ts';
import { parseServer } from '../../dns/server-text.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';
import { nat64Prefix } from '../../dns/dns64.ts';
import { parseAddress, parseEndpoint } from '../../net/address.ts';
import { parsePrefix } from '../../net/prefix.ts';
import { wallSeconds, type WallSeconds } from '../../time.ts';
import {
  defaultConfig,
  describeProblems,
  type AuthConfig,
  type AuthKey,
  type Config,
  type ConfigProblem,
  type TrustConfig,
} from '../config.ts';
import { limitSettings, limitsOf, type LimitKey, type LimitSetting } from '../limits.ts';
import { ruleFaults } from '../policy-check.ts';
import { listed, nearest } from '../text.ts';
import { parseIdentity } from './private-groups.ts';
import { GroupWord, ruleHints, ruleProblem, rulesOf, RuleTable } from './rules-file.ts';

export const defaultConfigFile = '/etc/oe/oe.toml';

/**
 * The configuration in `file`, or the defaults where no file was named and the usual one does not exist.
 * Throws one OeError with every problem in it.
 */
export function loadConfig(file: string | undefined): {
  readonly config: Config;
  readonly file: string | undefined;
} {
  const path = file ?? defaultConfigFile;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (file === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { config: defaultConfig, file: undefined };
    }
    throw new OeError(
      'config-unreadable',
      `The configuration cannot be read: ${messageOf(error)}.`,
      `Check the path and its permissions, or leave --config out to run with the defaults.`,
      Exit.config,
      error,
    );
  }
  const read = readConfig(text);
  if (read.ok) return { config: read.config, file: path };
  throw new OeError(
    'config-invalid',
    describeProblems(path, read.problems),
    `Correct ${read.problems.length === 1 ? 'this line' : `these ${read.problems.length} places`}; \`oe check\` tries the file without starting anything.`,
    Exit.config,
  );
}

/** The configuration that a TOML text says, or everything that is wrong with it. */
export function readConfig(
  text: string,
):
  | { readonly ok: true; readonly config: Config }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] } {
  let tree: unknown;
  try {
    tree = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const first = error.message.split('\n')[0]?.replace('Invalid TOML document: ', '') ?? 'not TOML';
    return {
      ok: false,
      problems: [
        {
          line: error.line,
          problem: `This is not TOML: ${first}.`,
          remedy: 'Write `key = value`, texts in double quotes.',
        },
      ],
    };
  }
  const read = v.safeParse(Schema, tree, { abortPipeEarly: true });
  const lines = linesOf(text);
  const problems = [...unknownKeys(tree, []), ...(read.issues ?? [])].map((found) =>
    Array.isArray(found) ? unknownKey(found, lines) : problemOf(found, lines),
  );
  if (problems.length > 0 || !read.success) return { ok: false, problems: problems.sort(byLine) };
  const config = configOf(read.output, lines);
  const lineOf = (rule: number, key: string): number | undefined =>
    lineFor(['policy', 'rule', rule, key], lines);
  const more = [
    ...namesProblems(read.output, lines),
    ...ruleFaults(config.policy).map((fault) => ruleProblem(fault, lineOf)),
  ];
  return more.length > 0 ? { ok: false, problems: more.sort(byLine) } : { ok: true, config };
}

const Address = v.pipe(
  v.string(),
  v.check((t) => parseAddress(t) !== undefined),
);
const EndpointText = v.pipe(
  v.string(),
  v.check((t) => parseEndpoint(t, 53) !== undefined),
);
const PrefixText = v.pipe(
  v.string(),
  v.check((t) => parsePrefix(t) !== undefined),
);
const Dns64 = v.union([
  v.picklist(['auto', 'off']),
  v.pipe(
    v.string(),
    v.check((t) => nat64Prefix(t) !== undefined),
  ),
]);
const Rate = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000));
const ServerText = v.pipe(
  v.string(),
  v.check((t) => parseServer(t) !== undefined),
);
const Port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const PathText = v.pipe(v.string(), v.regex(/^\//));
const PathOrNone = v.union([PathText, v.literal('')]);
const Milliseconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(60_000));
const Megabytes = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_536));
const Seconds = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800));

const DateValue = v.union([
  v.date(),
  v.pipe(
    v.string(),
    v.check((t) => !Number.isNaN(Date.parse(t))),
  ),
]);
const Name = v.pipe(
  v.string(),
  v.check((t) => nameOf(t) !== undefined),
);
const AnchorText = v.pipe(
  v.string(),
  v.check((t) => readAnchors(t).problems.length === 0),
);

const Auth = v.pipe(
  v.object({
    name: v.pipe(v.string(), v.regex(/^[\w.-]{1,64}$/)),
    method: v.picklist(['psk', 'certificate']),
    'psk-file': v.optional(PathText),
    'ca-file': v.optional(PathText),
    'certificate-file': v.optional(PathText),
    'key-file': v.optional(PathText),
    id: v.optional(
      v.pipe(
        v.string(),
        v.check((t) => parseIdentity(t) !== undefined),
      ),
    ),
  }),
  v.check((auth) => {
    const has = (['ca-file', 'certificate-file', 'key-file'] as const).filter((k) => auth[k] !== undefined);
    return auth.method === 'psk'
      ? auth['psk-file'] !== undefined && has.length === 0
      : auth['psk-file'] === undefined && has.length === 3;
  }),
);

const limits = Object.entries(limitSettings) as [LimitKey, LimitSetting][];
const Limits = v.object(
  Object.fromEntries(
    limits.map(([key, { least, most }]) => [
      key,
      v.optional(v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most))),
    ]),
  ),
);

const Schema = v.object({
  dns: v.optional(
    v.object({
      listen: v.optional(v.array(EndpointText)),
      allow: v.optional(v.array(PrefixText)),
      'rate-limit': v.optional(Rate),
      'cache-megabytes': v.optional(Megabytes),
      'cache-max-ttl': v.optional(Seconds),
      'serve-stale': v.optional(v.boolean()),
      front: v.optional(v.picklist(['auto', 'plain'])),
      'minimal-any': v.optional(v.boolean()),
      dns64: v.optional(Dns64),
      mode: v.optional(v.picklist(['forward', 'recurse'])),
      upstreams: v.optional(v.pipe(v.array(ServerText), v.minLength(1))),
      zone: v.optional(
        v.array(
          v.pipe(
            v.object({
              name: v.pipe(
                v.string(),
                v.check((t) => nameOf(t) !== undefined),
              ),
              forward: v.optional(v.pipe(v.array(ServerText), v.minLength(1))),
              stub: v.optional(v.pipe(v.array(EndpointText), v.minLength(1))),
            }),
            v.check((zone) => (zone.forward === undefined) !== (zone.stub === undefined)),
          ),
        ),
      ),
      'root-hints': v.optional(PathText),
      'qname-minimisation': v.optional(v.picklist(['relaxed', 'strict', 'off'])),
      encrypt: v.optional(v.picklist(['opportunistic', 'off'])),
      fallback: v.optional(v.boolean()),
      'resolv-conf': v.optional(PathText),
      'ca-file': v.optional(PathText),
      'hosts-file': v.optional(PathOrNone),
      'trust-anchor-file': v.optional(v.union([PathText, v.array(PathText)])),
      'trust-anchors': v.optional(v.array(AnchorText)),
      'managed-anchors': v.optional(v.boolean()),
      'trust-anchor-signaling': v.optional(v.boolean()),
      'negative-trust-anchor': v.optional(v.array(v.object({ name: Name, until: DateValue }))),
      'time-servers': v.optional(v.array(Name)),
      'root-anchors-url': v.optional(
        v.union([v.pipe(v.string(), v.regex(/^https?:\/\/.+\/$/)), v.literal('')]),
      ),
      'validation-date': v.optional(DateValue),
      limits: v.optional(Limits),
    }),
  ),
  ike: v.optional(
    v.object({
      ports: v.optional(v.tuple([Port, Port])),
      listen: v.optional(v.array(Address)),
      offload: v.optional(v.picklist(['auto', 'off'])),
      'nat-neighbours': v.optional(v.picklist(['refuse', 'mark'])),
      'key-log': v.optional(PathText),
      auth: v.optional(v.array(Auth)),
    }),
  ),
  gate: v.optional(
    v.object({ 'budget-ms': v.optional(Milliseconds), 'private-budget-ms': v.optional(Milliseconds) }),
  ),
  policy: v.optional(
    v.object({
      default: v.optional(GroupWord),
      inbound: v.optional(GroupWord),
      rule: v.optional(v.array(RuleTable)),
    }),
  ),
  paths: v.optional(
    v.object({
      'config-directory': v.optional(PathText),
      'state-directory': v.optional(PathText),
      'run-directory': v.optional(PathText),
    }),
  ),
  log: v.optional(v.object({ level: v.optional(v.picklist(['trace', 'debug', 'info', 'warn', 'error'])) })),
});

/** What is wanted at a place, and how it is written. */
const wanted: Record<string, readonly [want: string, example: string]> = {
  'dns.listen': [
    'a list of addresses, with the port where it is not 53',
    'listen = ["127.0.0.1:53", "[::1]:53"]',
  ],
  'dns.allow': [
    'a list of addresses and prefixes that may ask, beside this host itself',
    'allow = ["192.0.2.0/24", "2001:db8::/64"]',
  ],
  'dns.cache-megabytes': ['a whole number of megabytes from 1 to 65536', 'cache-megabytes = 64'],
  'dns.cache-max-ttl': ['a whole number of seconds from 0 to 604800', 'cache-max-ttl = 86400'],
  'dns.serve-stale': ['true or false', 'serve-stale = true'],
  'dns.rate-limit': ['a whole number of answers per second, 0 for no limit', 'rate-limit = 500'],
  'dns.front': ['auto or plain', 'front = "auto"'],
  'dns.minimal-any': ['true or false', 'minimal-any = false'],
  'dns.dns64': [
    'auto, off or an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits',
    'dns64 = "auto" or dns64 = "64:ff9b::/96"',
  ],
  'dns.mode': ['forward or recurse', 'mode = "recurse"'],
  'dns.upstreams': [
    'a list of at least one resolver by its address, for TLS and HTTPS with the name in its certificate',
    'upstreams = ["9.9.9.9"] or upstreams = ["tls://9.9.9.9#dns.quad9.net"]',
  ],
  'dns.zone': [
    'tables with name and either forward or stub',
    '[[dns.zone]] with name = "corp.example" and forward = ["192.0.2.53"]',
  ],
  'dns.zone.name': ['a domain name', 'name = "corp.example"'],
  'dns.zone.forward': ['a list of at least one resolver by its address', 'forward = ["192.0.2.53"]'],
  'dns.zone.stub': ['a list of at least one address of a server of the zone itself', 'stub = ["192.0.2.53"]'],
  'dns.root-hints': ['an absolute path', 'root-hints = "/etc/oe/named.root"'],
  'dns.qname-minimisation': ['relaxed, strict or off', 'qname-minimisation = "relaxed"'],
  'dns.encrypt': ['opportunistic or off', 'encrypt = "opportunistic"'],
  'dns.fallback': ['true or false', 'fallback = true'],
  'dns.resolv-conf': ['an absolute path', 'resolv-conf = "/etc/resolv.conf"'],
  'dns.ca-file': ['an absolute path', 'ca-file = "/etc/oe/ca.pem"'],
  'dns.hosts-file': ['an absolute path, or an empty text for none', 'hosts-file = "/etc/hosts"'],
  'dns.trust-anchor-file': ['an absolute path, or a list of them', 'trust-anchor-file = "/etc/oe/root.key"'],
  'dns.trust-anchors': [
    'a list of DS or DNSKEY records as a zone file has them',
    'trust-anchors = ["example.org. DS 12345 13 2 0123…"]',
  ],
  'dns.managed-anchors': ['true or false', 'managed-anchors = true'],
  'dns.trust-anchor-signaling': ['true or false', 'trust-anchor-signaling = false'],
  'dns.negative-trust-anchor': [
    'tables with name and until',
    '[[dns.negative-trust-anchor]] with name = "example.org" and until = 2026-12-01',
  ],
  'dns.negative-trust-anchor.name': ['the name of a zone', 'name = "example.org"'],
  'dns.negative-trust-anchor.until': ['a date, within a week', 'until = 2026-12-01'],
  'dns.time-servers': ['a list of names', 'time-servers = ["ntp.example.org"]'],
  'dns.root-anchors-url': [
    'a URL that ends in a slash, or an empty text for none',
    'root-anchors-url = "https://data.iana.org/root-anchors/"',
  ],
  ...Object.fromEntries(
    limits.map(([key, { least, most, usual }]) => [
      `dns.limits.${key}`,
      [`a whole number from ${least} to ${most}`, `${key} = ${usual}`] as const,
    ]),
  ),
  'dns.validation-date': ['a date', 'validation-date = 2026-01-31T12:00:00Z'],
  'ike.ports': ['the IKE port and the NAT traversal port', 'ports = [500, 4500]'],
  'ike.listen': ['a list of addresses of this host, without ports', 'listen = ["192.0.2.1"]'],
  'ike.offload': ['"auto" or "off"', 'offload = "auto"'],
  'ike.nat-neighbours': ['"refuse" or "mark"', 'nat-neighbours = "refuse"'],
  'ike.key-log': ['an absolute path', 'key-log = "/run/oe/ikev2_decryption_table"'],
  'ike.auth': [
    'tables with name, method and either psk-file, or ca-file, certificate-file and key-file',
    '[[ike.auth]] with name = "fleet", method = "psk" and psk-file = "/etc/oe/fleet.psk"',
  ],
  'ike.auth.name': ['a word of up to 64 letters, digits, dots and hyphens', 'name = "fleet"'],
  'ike.auth.method': ['psk or certificate', 'method = "psk"'],
  'ike.auth.psk-file': ['an absolute path', 'psk-file = "/etc/oe/fleet.psk"'],
  'ike.auth.ca-file': ['an absolute path', 'ca-file = "/etc/oe/fleet-ca.pem"'],
  'ike.auth.certificate-file': ['an absolute path', 'certificate-file = "/etc/oe/fleet.pem"'],
  'ike.auth.key-file': ['an absolute path', 'key-file = "/etc/oe/fleet-key.pem"'],
  'ike.auth.id': ['a host name, a mailbox or an address', 'id = "host.example.org"'],
  'gate.budget-ms': ['a whole number of milliseconds from 0 to 60000', 'budget-ms = 1500'],
  'gate.private-budget-ms': ['a whole number of milliseconds from 0 to 60000', 'private-budget-ms = 4000'],
  ...ruleHints,
  'paths.config-directory': ['an absolute path', 'config-directory = "/etc/oe"'],
  'paths.state-directory': ['an absolute path', 'state-directory = "/var/lib/oe"'],
  'paths.run-directory': ['an absolute path', 'run-directory = "/run/oe"'],
  'log.level': ['one of trace, debug, info, warn, error', 'level = "info"'],
};

/** Every setting there is: `dns.listen`. */
export const settingNames: readonly string[] = Object.keys(wanted);

type Path = (string | number)[];

/** The paths in a tree that no setting has; all of them, where the schema library would stop at the first. */
function unknownKeys(tree: unknown, path: Path): Path[] {
  if (Array.isArray(tree)) return tree.flatMap((value, i) => unknownKeys(value, [...path, i]));
  if (typeof tree !== 'object' || tree === null) return [];
  const known = keysUnder(placeOf(path));
  if (known.length === 0) return []; // A table where a value is wanted: the schema says so.
  return Object.entries(tree).flatMap(([key, value]) =>
    known.includes(key) ? unknownKeys(value, [...path, key]) : [[...path, key]],
  );
}

function unknownKey(path: Path, lines: ReadonlyMap<string, number>): ConfigProblem {
  const key = String(path.at(-1));
  const known = keysUnder(placeOf(path.slice(0, -1)));
  const near = nearest(key, known);
  const elsewhere = Object.keys(wanted).filter((k) => k.endsWith(`.${key}`));
  return {
    line: lineFor(path, lines),
    problem: `${spokenOf(path)} is not a setting of oe.`,
    remedy:
      near !== undefined
        ? `Did you mean ${near}?`
        : elsewhere.length > 0
          ? `Did you mean ${listed(elsewhere, 'or')}?`
          : `Settings here are ${known.join(', ')}.`,
  };
}

/** `policy.rule[2].match` */
function spokenOf(path: Path): string {
  return path.map((k, i) => (typeof k === 'number' ? `[${k + 1}]` : i === 0 ? k : `.${k}`)).join('');
}

/** The path without places in lists, as {@link wanted} has it. */
function placeOf(path: Path): string {
  return path.filter((k) => typeof k === 'string').join('.');
}

function problemOf(issue: v.InferIssue<typeof Schema>, lines: ReadonlyMap<string, number>): ConfigProblem {
  const keys = (issue.path ?? []).map((p) => p.key as string | number);
  const line = lineFor(keys, lines);
  const spoken = spokenOf(keys);
  const place = placeOf(keys);
  const [want, example] = wanted[place] ?? ['a table', `[${place}]`];
  if (issue.received === 'undefined') {
    return {
      line,
      problem: `${spoken} is missing: wanted is ${want}.`,
      remedy: `Write for example: ${example}.`,
    };
  }
  return {
    line,
    problem: `${spoken} is ${JSON.stringify(issue.input)}, wanted is ${want}.`,
    remedy: `Write for example: ${example}.`,
  };
}

/** Groups of the same name, and names of groups that there are not. */
function namesProblems(
  read: v.InferOutput<typeof Schema>,
  lines: ReadonlyMap<string, number>,
): ConfigProblem[] {
  const names = (read.ike?.auth ?? []).map((auth) => auth.name);
  const twice = names.flatMap((name, i): ConfigProblem[] =>
    names.indexOf(name) === i
      ? []
      : [
          {
            line: lineFor(['ike', 'auth', i, 'name'], lines),
            problem: `ike.auth[${i + 1}].name is ${JSON.stringify(name)}, as that of another table.`,
            remedy: 'Give each its own name.',
          },
        ],
  );
  const unknown = (read.policy?.rule ?? []).flatMap(({ auth }, i): ConfigProblem[] =>
    auth === undefined || names.includes(auth)
      ? []
      : [
          {
            line: lineFor(['policy', 'rule', i, 'auth'], lines),
            problem: `policy.rule[${i + 1}].auth is ${JSON.stringify(auth)}, and no [[ike.auth]] has that name.`,
            remedy:
              names.length > 0
                ? `There are ${listed(names)}.`
                : 'Write [[ike.auth]] with that name, or leave auth out: then keys in DNS count.',
          },
        ],
  );
  return [...twice, ...unknown];
}

function keysUnder(parent: string): string[] {
  const start = parent === '' ? '' : `${parent}.`;
  const keys = Object.keys(wanted).filter((k) => k.startsWith(start));
  return [...new Set(keys.map((k) => k.slice(start.length).split('.')[0] ?? ''))];
}

function byLine(a: ConfigProblem, b: ConfigProblem): number {
  return (a.line ?? 0) - (b.line ?? 0);
}

/** The line of the innermost key on the path that stands on a line of its own. */
function lineFor(keys: readonly (string | number)[], lines: ReadonlyMap<string, number>): number | undefined {
  for (let n = keys.length; n > 0; n--) {
    const line = lines.get(keys.slice(0, n).join('.'));
    if (line !== undefined) return line;
  }
  return undefined;
}

/** Where each key stands. Keys inside inline tables and multi-line values count as their parent's line. */
function linesOf(text: string): Map<string, number> {
  const lines = new Map<string, number>();
  const counts = new Map<string, number>();
  let table: string[] = [];
  let depth = 0;
  for (const [i, line] of text.split('\n').entries()) {
    const bare = line.replaceAll(/"(?:[^"\\]|\\.)*"|'[^']*'/g, '""').replace(/#.*/, '');
    if (depth === 0) {
      const head = /^\s*(\[\[?)\s*([^\]]+?)\s*\]/.exec(line);
      const key = /^\s*([\w.\-"' ]+?)\s*=/.exec(line);
      if (head) {
        table = keyParts(head[2] ?? '');
        if (head[1] === '[[') {
          const index = counts.get(table.join('.')) ?? 0;
          if (index === 0) lines.set(table.join('.'), i + 1);
          counts.set(table.join('.'), index + 1);
          table.push(String(index));
        }
        lines.set(table.join('.'), i + 1);
        continue;
      }
      if (key) lines.set([...table, ...keyParts(key[1] ?? '')].join('.'), i + 1);
    }
    for (const c of bare) {
      if (c === '[' || c === '{') depth++;
      if (c === ']' || c === '}') depth--;
    }
  }
  return lines;
}

function keyParts(text: string): string[] {
  return text.split('.').map((part) => part.trim().replaceAll(/^["']|["']$/g, ''));
}

function dns64Of(text: string | undefined): Config['dns']['dns64'] | undefined {
  if (text === 'auto' || text === 'off') return text;
  return text === undefined ? undefined : nat64Prefix(text);
}

function trustOf(dns: v.InferOutput<typeof Schema>['dns']): TrustConfig {
  const base = defaultConfig.dns.trust;
  const files = dns?.['trust-anchor-file'] ?? base.files;
  const url = dns?.['root-anchors-url'] ?? base.rootList;
  return {
    files: typeof files === 'string' ? [files] : files,
    anchors: readAnchors((dns?.['trust-anchors'] ?? []).join('\n')).anchors,
    managed: dns?.['managed-anchors'] ?? base.managed,
    negative: (dns?.['negative-trust-anchor'] ?? []).flatMap(({ name, until }) => {
      const key = nameOf(name);
      return key === undefined ? [] : [{ name: key, until: secondsOf(until) }];
    }),
    timeServers: (dns?.['time-servers'] ?? []).flatMap((name) => nameOf(name) ?? []),
    signaling: dns?.['trust-anchor-signaling'] ?? base.signaling,
    rootList: url === '' ? undefined : url,
  };
}

function authOf(
  auth: v.InferOutput<typeof Auth>,
  index: number,
  lines: ReadonlyMap<string, number>,
): AuthConfig {
  const { name, method, id } = auth;
  const files: Partial<Record<AuthKey, string>> = {};
  const at: Partial<Record<AuthKey, number>> = {};
  for (const key of ['psk-file', 'ca-file', 'certificate-file', 'key-file', 'id'] as const) {
    const value = auth[key];
    const line = lineFor(['ike', 'auth', index, key], lines);
    if (value !== undefined && key !== 'id') files[key] = value;
    if (value !== undefined && line !== undefined) at[key] = line;
  }
  return { name, method, files, id, lines: at };
}

function secondsOf(date: Date | string): WallSeconds {
  return wallSeconds(Math.floor(new Date(date).getTime() / 1000));
}

function configOf(read: v.InferOutput<typeof Schema>, lines: ReadonlyMap<string, number>): Config {
  const base = defaultConfig;
  const date = read.dns?.['validation-date'];
  const hostsFile = read.dns?.['hosts-file'] ?? base.dns.hostsFile;
  const endpoints = (texts: readonly string[] | undefined) =>
    texts?.flatMap((t) => parseEndpoint(t, 53) ?? []);
  const servers = (texts: readonly string[] | undefined) => texts?.flatMap((t) => parseServer(t) ?? []);
  const rules = rulesOf(read.policy?.rule ?? [], (i) => lineFor(['policy', 'rule', i], lines));
  const [ike, natt] = read.ike?.ports ?? [base.ike.ports.ike, base.ike.ports.natt];
  return {
    dns: {
      listen: endpoints(read.dns?.listen) ?? base.dns.listen,
      allow: read.dns?.allow?.flatMap((t) => parsePrefix(t) ?? []) ?? base.dns.allow,
      front: read.dns?.front ?? base.dns.front,
      minimalAny: read.dns?.['minimal-any'] ?? base.dns.minimalAny,
      dns64: dns64Of(read.dns?.dns64) ?? base.dns.dns64,
      rateLimit: read.dns?.['rate-limit'] ?? base.dns.rateLimit,
      cacheMegabytes: read.dns?.['cache-megabytes'] ?? base.dns.cacheMegabytes,
      cacheMaxTtl: read.dns?.['cache-max-ttl'] ?? base.dns.cacheMaxTtl,
      serveStale: read.dns?.['serve-stale'] ?? base.dns.serveStale,
      mode: read.dns?.mode ?? base.dns.mode,
      upstreams: servers(read.dns?.upstreams),
      zones: (read.dns?.zone ?? []).flatMap(({ name, forward, stub }): RoutedZone[] => {
        const key = nameOf(name);
        if (key === undefined) return [];
        const kind = forward === undefined ? 'stub' : 'forward';
        return [{ name: key, kind, servers: servers(forward ?? stub) ?? [] }];
      }),
      rootHints: read.dns?.['root-hints'],
      qnameMinimisation: read.dns?.['qname-minimisation'] ?? base.dns.qnameMinimisation,
      encrypt: read.dns?.encrypt ?? base.dns.encrypt,
      fallback: read.dns?.fallback ?? base.dns.fallback,
      resolvConf: read.dns?.['resolv-conf'] ?? base.dns.resolvConf,
      caFile: read.dns?.['ca-file'],
      hostsFile: hostsFile === '' ? undefined : hostsFile,
      trust: trustOf(read.dns),
      limits: limitsOf(read.dns?.limits ?? {}),
      validationDate: date === undefined ? undefined : secondsOf(date),
    },
    ike: {
      ports: { ike, natt },
      listen: read.ike?.listen?.flatMap((t) => parseAddress(t) ?? []),
      offload: read.ike?.offload ?? base.ike.offload,
      natNeighbours: read.ike?.['nat-neighbours'] ?? base.ike.natNeighbours,
      keyLog: read.ike?.['key-log'],
      auth: (read.ike?.auth ?? []).map((auth, i) => authOf(auth, i, lines)),
    },
    gate: {
      budgetMs: read.gate?.['budget-ms'] ?? base.gate.budgetMs,
      privateBudgetMs: read.gate?.['private-budget-ms'] ?? base.gate.privateBudgetMs,
    },
    policy: {
      rules,
      outbound: read.policy?.default ?? base.policy.outbound,
      inbound: read.policy?.inbound ?? base.policy.inbound,
    },
    paths: {
      configDirectory: read.paths?.['config-directory'] ?? base.paths.configDirectory,
      stateDirectory: read.paths?.['state-directory'] ?? base.paths.stateDirectory,
      runDirectory: read.paths?.['run-directory'] ?? base.paths.runDirectory,
    },
    log: { level: read.log?.level ?? base.log.level },
  };
}
