import type { Instant, WallSeconds } from '../time.ts';
import type { Link } from './dnssec/validate.ts';
import { followsAliases } from './links.ts';
import type { NameKey } from './name.ts';
import type { RRset } from './rrset.ts';
import { Rcode, Type } from './types.ts';

/** A judged step of an answer with the time it was stored. */
interface Stored {
  readonly link: Link;
  readonly at: Instant;
  readonly until: Instant;
  readonly tookMs: number;
  /** Times in a row that it went wrong, for the back-off. */
  readonly failures: number;
  /** About how much memory it takes. */
  readonly octets: number;
}

/** A link from the cache, its TTLs as they are now. */
export interface CachedLink {
  readonly link: Link;
  readonly tookMs: number;
}

/** Seconds that data is kept at most. */
const longestSeconds = 86_400;
/** Seconds that a failure is kept: 5, doubled each time it happens again, up to 5 minutes (RFC 9520 §3.2). */
const [failureSeconds, longestFailureSeconds] = [5, 300];
/** The same where no verdict was reached: a network that comes back must not be missed for minutes. */
const longestOutageSeconds = 30;
/** Key for what holds of all types of a name. */
const anyType = 0;

/**
 * RRsets and negative answers as they were judged, step by step, with their TTLs; failures and bogus data for a short
 * time. Bounded: beyond `limit` steps, or so many octets, the ones that were stored first go.
 */
export class Cache {
  readonly #links = new Map<string, Stored>();
  readonly #limit: number;
  readonly #limitOctets: number;
  #octets = 0;

  constructor(limit = 16_384, limitOctets = 64 * 2 ** 20) {
    this.#limit = limit;
    this.#limitOctets = limitOctets;
  }

  get size(): number {
    return this.#links.size;
  }

  /** Memory that it takes, about. */
  get octets(): number {
    return this.#octets;
  }

  /** The step that the cache knows from `name` towards `type`: the data, an alias, or that there is nothing. */
  get(name: NameKey, type: number, now: Instant, wall: WallSeconds): CachedLink | undefined {
    const exact = this.#get(name, type, now, wall);
    if (exact) return exact;
    const alias = followsAliases(type) ? this.#get(name, Type.CNAME, now, wall) : undefined;
    // A denied CNAME says nothing about another type.
    if (alias?.link.target !== undefined) return alias;
    return this.#get(name, anyType, now, wall);
  }

  set(link: Link, type: number, tookMs: number, now: Instant): void {
    const key = keyOf(link.name, link.target === undefined ? type : Type.CNAME);
    const failed =
      link.state.status === 'bogus' || (link.state.status === 'indeterminate' && !link.state.unanchored);
    const failures = failed ? (this.#links.get(key)?.failures ?? 0) + 1 : 0;
    const kept = failed
      ? Math.min(
          link.state.status === 'bogus' ? longestFailureSeconds : longestOutageSeconds,
          failureSeconds * 2 ** Math.min(10, failures - 1),
        )
      : Math.min(longestSeconds, link.ttl);
    if (!(kept > 0)) return;
    const stored = {
      link,
      at: now,
      until: (now + kept * 1000) as Instant,
      tookMs,
      failures,
      octets: octetsOf(link),
    };
    this.#put(key, stored);
    // That a name does not exist holds of all its types (RFC 2308 §5). Where nobody signs it, servers that know only
    // the usual types say so of a name that is there (as RFC 4074 §4.2 has it of AAAA), and it is we who ask for keys.
    const holdsOfAll = type !== Type.DS && (type !== Type.IPSECKEY || link.state.status === 'secure');
    if (!failed && link.rcode === Rcode.NXDOMAIN && holdsOfAll) this.#put(keyOf(link.name, anyType), stored);
  }

  #put(key: string, stored: Stored): void {
    this.#delete(key);
    this.#links.set(key, stored);
    this.#octets += stored.octets;
    for (const oldest of this.#links.keys()) {
      if (this.#links.size <= this.#limit && this.#octets <= this.#limitOctets) return;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    this.#octets -= this.#links.get(key)?.octets ?? 0;
    this.#links.delete(key);
  }

  #get(name: NameKey, type: number, now: Instant, wall: WallSeconds): CachedLink | undefined {
    const stored = this.#links.get(keyOf(name, type));
    if (!stored || now >= stored.until || wall > stored.link.validUntil) return undefined;
    const age = Math.floor((now - stored.at) / 1000);
    const { link, tookMs } = stored;
    if (age === 0) return { link, tookMs };
    return { link: { ...link, sets: aged(link.sets, age), authority: aged(link.authority, age) }, tookMs };
  }
}

function aged(sets: readonly RRset[], seconds: number): RRset[] {
  return sets.map((set) => ({ ...set, ttl: Math.max(0, set.ttl - seconds) }));
}

/** What the octets of one more record cost beside themselves. */
const perRecord = 200;

/** About the memory of a step: a few large answers take as much as thousands of ordinary ones. */
function octetsOf(link: Link): number {
  let octets = 1_000;
  for (const { rdatas, signatures } of [...link.sets, ...link.authority]) {
    for (const rdata of rdatas) octets += perRecord + rdata.length;
    for (const signature of signatures) octets += perRecord + signature.length;
  }
  return octets;
}

function keyOf(name: NameKey, type: number): string {
  return `${type} ${name}`;
}
