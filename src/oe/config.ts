import type { NegativeAnchor } from '../dns/anchors/negative.ts';
import type { TrustAnchor } from '../dns/anchors.ts';
import type { Server } from '../dns/finder.ts';
import type { RoutedZone } from '../dns/finders.ts';
import { limitDefaults, type Limits } from '../dns/limits.ts';
import type { NameKey } from '../dns/name.ts';
import type { QnameMinimisation } from '../dns/recurse/minimise.ts';
import { parseAddress, type Endpoint, type IpAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { WallSeconds } from '../time.ts';
import { defaultPolicy, type Policy } from './policy.ts';

/** What `oe up` runs by; `oe/io/config-file.ts` reads it from a file, and nothing in it need be written. */
export interface Config {
  readonly dns: {
    readonly listen: readonly Endpoint[];
    /** Who may ask, beside this host itself. */
    readonly allow: readonly Prefix[];
    /** Answers over UDP per second for one client of `allow`; 0: no limit. */
    readonly rateLimit: number;
    /** How datagrams of clients are taken: in batches by a thread of their own where that can be, or through Node. */
    readonly front: 'auto' | 'plain';
    /** Answer questions for ANY with next to nothing (RFC 8482). */
    readonly minimalAny: boolean;
    /**
     * The NAT64 prefix with which addresses are made for hosts that have only IPv4 ones (RFC 6147): `auto` asks the
     * network for it (RFC 7050).
     */
    readonly dns64: 'auto' | 'off' | Prefix;
    /** Whether other resolvers are asked, or authoritative servers from the root downwards. */
    readonly mode: 'forward' | 'recurse';
    /** Undefined: learned from the system. */
    readonly upstreams: readonly Server[] | undefined;
    /** Zones whose names are asked elsewhere than all others. */
    readonly zones: readonly RoutedZone[];
    /** A file in the form of named.root; undefined: the root's servers as they are shipped. */
    readonly rootHints: string | undefined;
    /** How much of a name authoritative servers get to see (RFC 9156). */
    readonly qnameMinimisation: QnameMinimisation;
    /** Take the encrypted ways that learned upstreams offer (RFC 9462). */
    readonly encrypt: 'opportunistic' | 'off';
    /** Where the upstreams pass no DNSSEC: try TCP and TLS, and in the end the root servers. */
    readonly fallback: boolean;
    readonly resolvConf: string;
    /** Certificates in PEM of authorities that may vouch for encrypted resolvers, beside those of the system. */
    readonly caFile: string | undefined;
    /** Names that are answered from it; undefined: from none. */
    readonly hostsFile: string | undefined;
    readonly trust: TrustConfig;
    /** Memory for what was asked before, its keys and denials included, in units of 2^20 octets. */
    readonly cacheMegabytes: number;
    /** Seconds for which anything is kept at the most, whatever its TTL says. */
    readonly cacheMaxTtl: number;
    /** Addresses whose time is over are served where nobody answers (RFC 8767). */
    readonly serveStale: boolean;
    /** What lookups may cost. */
    readonly limits: Limits;
    /** What the wall clock says at the start, for tests with recorded signatures. */
    readonly validationDate: WallSeconds | undefined;
  };
  readonly ike: {
    /** The port of IKE, and the one of IKE and ESP in UDP (RFC 7296 §2.23). */
    readonly ports: { readonly ike: number; readonly natt: number };
    /** Undefined: every address of this host. */
    readonly listen: readonly IpAddress[] | undefined;
    /** What becomes of a second host behind one NAT: it gets no SA, or marks tell the two apart. */
    readonly natNeighbours: 'refuse' | 'mark';
    /** Whether network devices that can encrypt ESP are left to do it. */
    readonly offload: 'auto' | 'off';
    /** A file in Wireshark's ikev2_decryption_table format; undefined: no keys are ever written. */
    readonly keyLog: string | undefined;
    /** Private groups, whose members prove themselves without DNS; rules name them. */
    readonly auth: readonly AuthConfig[];
  };
  readonly gate: {
    /** How long an answer waits for a peer that we know nothing of, where clear is allowed. */
    readonly budgetMs: number;
    /** The same where it is not: then the answer is SERVFAIL. Below the 5 s that resolvers in libc wait. */
    readonly privateBudgetMs: number;
  };
  readonly policy: Policy;
  readonly paths: Paths;
  readonly log: {
    readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  };
}

/** Where trust in signed DNS begins, and where it is suspended. */
export interface TrustConfig {
  /** Take the place of the root's anchors that oe brings along; empty: those. */
  readonly files: readonly string[];
  /** Beside the others: DS and DNSKEY records of islands, say. */
  readonly anchors: readonly TrustAnchor[];
  /** The configured anchors, too, follow the roll-overs of their zones (RFC 5011), as the root's always do. */
  readonly managed: boolean;
  readonly negative: readonly NegativeAnchor[];
  /** Names that resolve also when the clock is wrong, beside the usual ones. */
  readonly timeServers: readonly NameKey[];
  /** Tell the root's servers once a day which of its keys are trusted here (RFC 8145). */
  readonly signaling: boolean;
  /** Where IANA's signed list of the root's keys is (RFC 9718); undefined: nowhere, it is never fetched. */
  readonly rootList: string | undefined;
}

/** How the members of one private group prove that they are. */
export interface AuthConfig {
  readonly name: string;
  readonly method: 'psk' | 'certificate';
  readonly files: Readonly<Partial<Record<AuthKey, string>>>;
  /** What this host calls itself in it; undefined: by its address, or by the subject of its certificate. */
  readonly id: string | undefined;
  /** Where each key stands in the configuration, for what is wrong with its file. */
  readonly lines: Readonly<Partial<Record<AuthKey, number>>>;
}

export type AuthKey = 'psk-file' | 'ca-file' | 'certificate-file' | 'key-file' | 'id';

export interface Paths {
  readonly configDirectory: string;
  readonly stateDirectory: string;
  readonly runDirectory: string;
}

/** One thing wrong in a configuration file. */
export interface ConfigProblem {
  /** 1-based; undefined where the whole file is meant. */
  readonly line: number | undefined;
  readonly problem: string;
  readonly remedy: string;
}

export const defaultPaths: Paths = {
  configDirectory: '/etc/oe',
  stateDirectory: '/var/lib/oe',
  runDirectory: '/run/oe',
};

export const defaultConfig: Config = {
  dns: {
    listen: [
      { address: literal('127.0.0.1'), port: 53 },
      { address: literal('::1'), port: 53 },
    ],
    allow: [],
    rateLimit: 500,
    front: 'auto',
    minimalAny: true,
    dns64: 'auto',
    mode: 'forward',
    upstreams: undefined,
    zones: [],
    rootHints: undefined,
    qnameMinimisation: 'relaxed',
    encrypt: 'opportunistic',
    fallback: true,
    resolvConf: '/etc/resolv.conf',
    caFile: undefined,
    hostsFile: '/etc/hosts',
    trust: {
      files: [],
      anchors: [],
      managed: false,
      negative: [],
      timeServers: [],
      signaling: true,
      rootList: 'https://data.iana.org/root-anchors/',
    },
    cacheMegabytes: 64,
    cacheMaxTtl: 86_400,
    serveStale: true,
    limits: limitDefaults,
    validationDate: undefined,
  },
  ike: {
    ports: { ike: 500, natt: 4500 },
    listen: undefined,
    natNeighbours: 'refuse',
    offload: 'off',
    keyLog: undefined,
    auth: [],
  },
  gate: { budgetMs: 1_500, privateBudgetMs: 4_000 },
  policy: defaultPolicy,
  paths: defaultPaths,
  log: { level: 'info' },
};

/** A time that has been when this was written: no clock is right that stands before it. Renewed with each release. */
export const programDate = Date.UTC(2026, 10, 1) / 1_000;

/** Where the keys of trust points are kept (RFC 5011). */
export function anchorsPath(paths: Paths): string {
  return `${paths.stateDirectory}/anchors.json`;
}

export function socketPath(paths: Paths): string {
  return `${paths.runDirectory}/oe.sock`;
}

/** What the cache leaves for the next start. */
export function cachePath(paths: Paths): string {
  return `${paths.stateDirectory}/cache`;
}

export function hostKeyPath(paths: Paths): string {
  return `${paths.configDirectory}/host-key.pem`;
}

/** `file:line: problem Remedy.`, one per line. */
export function describeProblems(file: string, problems: readonly ConfigProblem[]): string {
  return problems
    .map((p) => `${file}${p.line === undefined ? '' : `:${p.line}`}: ${p.problem} ${p.remedy}`)
    .join('\n');
}

function literal(text: string): IpAddress {
  const address = parseAddress(text);
  if (!address) throw new RangeError(`not an address: ${text}`);
  return address;
}
