import type { Question } from '../dns/message.ts';
import type { LocalAnswer } from '../dns/local-names.ts';
import type { Resolution } from '../dns/resolver.ts';
import type { NameKey } from '../dns/name.ts';
import { rcodeName } from '../dns/types.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import type { Deadline, Instant } from '../time.ts';
import type { Moment } from './peer.ts';
import type { Plan, Reason } from './plan.ts';
import { duration } from './text.ts';

/** What the client of a lookup gets. */
export type Outcome =
  | {
      readonly kind: 'answer';
      readonly resolution: Resolution;
      /** Without the addresses to which nothing may pass; for clients that do not validate. */
      readonly reduced: Resolution | undefined;
      /** Seconds; shorter than the records say, because we want to be asked again soon. */
      readonly ttlLimit?: number;
      /** Nothing but `reduced` may leave, and this is why: whoever needs the RRset as it was signed gets SERVFAIL. */
      readonly onlyReduced?: Reason;
    }
  | {
      readonly kind: 'refuse';
      readonly rcode: number;
      readonly ede: { readonly code: number; readonly text: string };
    };

/** How a lookup ended: whether its first address is protected, and if not, why. */
export type LookupVerdict =
  | { readonly state: 'encrypted'; readonly address: IpAddress }
  | { readonly state: 'clear' | 'blocked' | 'failed'; readonly reason: Reason }
  | { readonly state: 'empty' };

/** What `oe why` reads; the values of one lookup, kept. */
export interface LookupRecord {
  readonly question: Question;
  readonly at: Moment;
  readonly steps: readonly { readonly at: Instant; readonly text: string }[];
  readonly resolution: Resolution | undefined;
  readonly keyResolution: Resolution | undefined;
  readonly plan: Plan | undefined;
  readonly verdict: LookupVerdict | undefined;
  readonly released: Instant | undefined;
}

/** A lookup while the gate works on it. */
export interface Lookup extends LookupRecord {
  readonly key: string;
  readonly checkingDisabled: boolean;
  /** The name whose service the host gives, where that is what led here: its rules count as well. */
  readonly onBehalf: NameKey | undefined;
  waiters: number[];
  /** The lookups of services that wait for what comes of this one. */
  readonly dependents: Set<Lookup>;
  /** Of HTTPS and SVCB: the hosts that give the service, once they are known. */
  service: Service | undefined;
  /** What the clients got, once they have it. */
  outcome: Outcome | undefined;
  readonly steps: { at: Instant; text: string }[];
  resolution: Resolution | undefined;
  addressId: number | undefined;
  keyId: number | undefined;
  keyResolution: Resolution | undefined;
  /** `local`: the answer is this host's own, and no key is asked for; `late`: it was not found out in time; `known`: see `keyResolution`. */
  keyState: 'notWanted' | 'local' | 'knownInsecure' | 'asking' | 'late' | 'known';
  local: LocalAnswer | undefined;
  readonly arrived: { addresses: readonly IpAddress[]; key: boolean };
  /** Addresses to which IKE_SA_INIT left before the key was proved. */
  readonly early: Map<string, IpAddress>;
  /** Addresses of gateways, securely resolved, under `wantedKey`. */
  readonly evidence: Map<string, readonly IpAddress[]>;
  readonly evidenceAsked: Set<string>;
  readonly evidenceIds: Set<number>;
  plan: Plan | undefined;
  /** When the addresses were known: from then on it is the gate that holds the answer. */
  heldSince: Instant | undefined;
  waitUntil: Instant | undefined;
  keyWaitUntil: Instant | undefined;
  verdict: LookupVerdict | undefined;
  released: Instant | undefined;
}

/** The hosts that an HTTPS or SVCB answer names, in the order of their priority, as far as they are looked at. */
export interface Service {
  readonly targets: readonly Target[];
}

/** A host that gives a service, and the lookups of its addresses through the gate. */
export interface Target {
  readonly name: NameKey;
  readonly lookups: readonly Lookup[];
}

/** Lookups with the same key are one lookup. */
export function lookupKey(question: Question, checkingDisabled: boolean, onBehalf?: NameKey): string {
  const { name, type, class: dnsClass } = question;
  return `${type}:${dnsClass}:${checkingDisabled ? 'cd' : ''}:${name}${onBehalf === undefined ? '' : `:${onBehalf}`}`;
}

/** The names that the one that was asked is an alias of, in the order in which they follow. */
export function aliasesOf({ question, resolution }: Pick<Lookup, 'question' | 'resolution'>): NameKey[] {
  const owners = (resolution?.answer ?? []).map((s) => s.owner);
  return [...new Set(owners)].filter((owner) => owner !== question.name);
}

/** When the gate must look at it again though nothing has happened. */
export function deadlineOf(lookup: Lookup): Deadline | undefined {
  if (lookup.released !== undefined) return undefined;
  const at = (lookup.plan ?? lookup.service) ? lookup.waitUntil : lookup.keyWaitUntil;
  return at === undefined ? undefined : { at, why: 'gate' };
}

/** Writes a step down for `oe why`. */
export function step(lookup: Lookup, at: Moment, text: string): void {
  lookup.steps.push({ at: at.now, text });
}

/** ` (from the cache)`, or nothing. */
export function from(resolution: Resolution): string {
  return resolution.fromCache ? ' (from the cache)' : '';
}

/** The last step: what the client got, after how long, and why. */
export function releaseText(lookup: Lookup, outcome: Outcome, at: Moment): string {
  const after = `after ${duration(at.now - lookup.at.now)}`;
  if (outcome.kind === 'refuse') return `${rcodeName(outcome.rcode)} ${after}: ${outcome.ede.text}`;
  switch (lookup.verdict?.state) {
    case 'encrypted':
      return `answer released ${after}: the kernel has the SA with ${formatAddress(lookup.verdict.address)}`;
    case 'clear':
      return `answer released ${after} in the clear: ${lookup.verdict.reason.why}`;
    case 'failed':
      return `answer released ${after}: ${lookup.verdict.reason.why}`;
    default:
      return `answer released ${after}`;
  }
}

/** Adds to a map that keeps only the latest. */
export function remember<K, V>(map: Map<K, V>, key: K, value: V, kept: number): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= kept) return;
    map.delete(oldest);
  }
}
