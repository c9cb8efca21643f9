import { later, type Instant, type WallSeconds } from '../../time.ts';
import type { Link } from '../dnssec/validate.ts';
import { followsAliases } from '../links.ts';
import { isBelow, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Rcode, Type } from '../types.ts';
import { Denials, type MayDeny } from './denials.ts';
import { octetsOfSets } from './size.ts';
import { Store } from './store.ts';

/** A judged step of an answer with the time it was stored. */
interface Kept {
  readonly link: Link;
  readonly at: Instant;
  readonly until: Instant;
  /** Until then it may stand in where nobody answers (RFC 8767); at least `until`. */
  staleUntil: Instant;
  readonly tookMs: number;
  /** How often it was of use. */
  hits: number;
}

/** What went wrong when it was asked last. */
interface Failed {
  readonly link: Link;
  readonly until: Instant;
  /** Times in a row, for the back-off. */
  readonly count: number;
}

/** What is known of a name and type; a failure does not push out what was in order. */
interface Entry {
  kept: Kept | undefined;
  failed: Failed | undefined;
}

/** A link from the cache, its TTLs as they are now. */
export interface CachedLink {
  readonly link: Link;
  readonly tookMs: number;
  /** It is in use and about to lapse: asking again now spares the next one the wait. */
  readonly isDue: boolean;
}

export interface CacheOptions {
  /** Memory for everything that is kept; keys of zones have their own share of it. */
  readonly limitOctets: number;
  /** Seconds; TTLs outside count as these. */
  readonly minTtl: number;
  readonly maxTtl: number;
  /** Addresses whose time is over are kept for a while, for when nobody answers (RFC 8767). */
  readonly serveStale: boolean;
  /** Whether denials of a zone may speak about a name, which may be under a negative trust anchor, say (RFC 8198). */
  readonly mayDeny: MayDeny;
}

export const cacheDefaults: CacheOptions = {
  limitOctets: 64 * 2 ** 20,
  minTtl: 0,
  maxTtl: 86_400,
  serveStale: true,
  mayDeny: () => true,
};

/** Shares of the memory: answers, denials, and (in `dnssec/zones.ts`) keys, so that none can push out the others. */
const [linkShare, denialShare] = [0.7, 0.15];
/** The share for what is known of zones and their keys. */
export const zoneShare = 1 - linkShare - denialShare;

/** Seconds that a failure is kept: 5, doubled each time it happens again, up to 5 minutes (RFC 9520 §3.2). */
const [failureSeconds, longestFailureSeconds] = [5, 300];
/** The same where no verdict was reached: a network that comes back must not be missed for minutes. */
const longestOutageSeconds = 30;
/** Seconds that an address is of use after its time, "on the order of days" (RFC 8767 §4). */
const staleSeconds = 86_400;
/** TTL of what is served after its time (RFC 8767 §4). */
const staleTtl = 30;
/** What part of its life is left when a link that is in use gets due, and how often it was used by then. */
const [dueShare, dueHits] = [0.1, 2];
/** Key for what holds of all types of a name. */
const anyType = 0;
/** What an entry costs beside its records. */
const perEntry = 1000;

/**
 * RRsets and negative answers as they were judged, step by step, with their TTLs; failures and bogus data for a short
 * time; and what follows from the denials among them. Bounded by memory: what is not in use goes first.
 */
export class Cache {
  readonly #entries: Store<Entry>;
  readonly #denials: Denials;
  readonly #options: CacheOptions;
  /** What was looked for in vain since anything changed, at one moment: the gate, the lookup and its first step want the same. */
  readonly #missed = new Set<string>();
  #missedAt: Instant | undefined;
  #missedWall: WallSeconds | undefined;

  constructor(options: Partial<CacheOptions> = {}) {
    this.#options = { ...cacheDefaults, ...options };
    this.#entries = new Store(this.#options.limitOctets * linkShare);
    this.#denials = new Denials(this.#options.limitOctets * denialShare, this.#options.mayDeny);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Memory that it takes, about. */
  get octets(): number {
    return this.#entries.octets + this.#denials.octets;
  }

  /** Records that deny, beside the answers that they came with. */
  get denials(): number {
    return this.#denials.size;
  }

  /**
   * The step that the cache knows from `name` towards `type`: the data, an alias, that there is nothing, or that it
   * cannot be had now.
   */
  get(name: NameKey, type: number, now: Instant, wall: WallSeconds): CachedLink | undefined {
    const key = keyOf(name, type);
    if (now !== this.#missedAt || wall !== this.#missedWall) {
      this.#missed.clear();
      this.#missedAt = now;
      this.#missedWall = wall;
    } else if (this.#missed.has(key)) return undefined;
    const found = this.#find(key, name, type, now, wall);
    if (!found) this.#missed.add(key);
    return found;
  }

  #find(key: string, name: NameKey, type: number, now: Instant, wall: WallSeconds): CachedLink | undefined {
    const exact = this.#entries.get(key);
    if (exact?.kept && isFresh(exact.kept, now, wall)) return used(exact.kept, now);
    const alias = followsAliases(type) ? this.#entries.get(keyOf(name, Type.CNAME)) : undefined;
    // A denied CNAME says nothing about another type.
    if (alias?.kept?.link.target !== undefined && isFresh(alias.kept, now, wall))
      return used(alias.kept, now);
    const denied = this.#entries.get(keyOf(name, anyType))?.kept;
    if (denied && isFresh(denied, now, wall)) return used(denied, now);
    const derived = this.#denials.answer(name, type, now, wall);
    if (derived) return { link: derived, tookMs: 0, isDue: false };
    for (const failed of [exact?.failed, alias?.failed?.link.target === undefined ? undefined : alias.failed])
      if (failed && now < failed.until) return { link: failed.link, tookMs: 0, isDue: false };
    return undefined;
  }

  /**
   * The same for when nobody answers: also what lapsed in the last day, with a short TTL (RFC 8767 §4). Only aliases
   * and data are kept so long, of the types for which the resolver wants it; nothing derived, so that no wildcard
   * outlives its denial, and nothing whose signatures have ended.
   */
  stale(name: NameKey, type: number, now: Instant, wall: WallSeconds): Link | undefined {
    for (const key of [keyOf(name, type), keyOf(name, Type.CNAME)]) {
      const kept = this.#entries.get(key)?.kept;
      if (!kept || now >= kept.staleUntil || wall > kept.link.validUntil) continue;
      if (kept.link.target === undefined && (kept.link.sets.length === 0 || key !== keyOf(name, type)))
        continue;
      if (isFresh(kept, now, wall)) return used(kept, now).link;
      return { ...kept.link, sets: withTtl(kept.link.sets, staleTtl), authority: [] };
    }
    return undefined;
  }

  set(link: Link, type: number, tookMs: number, now: Instant): void {
    this.#missed.clear();
    const key = keyOf(link.name, link.target === undefined ? type : Type.CNAME);
    const failed =
      link.state.status === 'bogus' || (link.state.status === 'indeterminate' && !link.state.unanchored);
    if (failed) {
      this.#fail(key, link, now);
      return;
    }
    const { minTtl, maxTtl } = this.#options;
    const seconds = Math.min(maxTtl, Math.max(minTtl, link.ttl));
    // TTL 0 serves those who asked, and nobody else (RFC 1035 §3.2.1).
    if (!(seconds > 0)) {
      this.#entries.delete(key);
      return;
    }
    const capped: Link = {
      ...link,
      ttl: Math.min(link.ttl, maxTtl),
      sets: withTtl(link.sets, maxTtl, Math.min),
      authority: withTtl(link.authority, maxTtl, Math.min),
    };
    const until = later(now, seconds * 1000);
    const staleUntil = this.#isOfUseStale(link, type) ? later(until, staleSeconds * 1000) : until;
    const kept: Kept = { link: capped, at: now, until, staleUntil, tookMs, hits: 0 };
    this.#entries.set(key, { kept, failed: undefined }, octetsOf(link));
    // Data and alias exclude each other: the other one is from before.
    if (link.target !== undefined) {
      if (type !== Type.CNAME) this.#entries.delete(keyOf(link.name, type));
    } else if (link.sets.length > 0 && followsAliases(type))
      this.#entries.delete(keyOf(link.name, Type.CNAME));
    // That a name does not exist holds of all its types (RFC 2308 §5). Where nobody signs it, servers that know only
    // the usual types say so of a name that is there (as RFC 4074 §4.2 has it of AAAA), and it is we who ask for keys.
    const holdsOfAll = type !== Type.DS && (type !== Type.IPSECKEY || link.state.status === 'secure');
    const denied = keyOf(link.name, anyType);
    if (link.rcode === Rcode.NXDOMAIN && holdsOfAll)
      this.#entries.set(denied, { kept, failed: undefined }, perEntry);
    // Something is there now.
    else if (link.sets.length > 0) this.#entries.delete(denied);
    this.#denials.learn(capped, type, now);
  }

  /** Drops what is known of a name: of all types or one, with `tree` of all names below too; how many entries that were. */
  forget(name: NameKey, type: number | undefined, tree: boolean): number {
    let dropped = this.#denials.forget(name, tree);
    for (const [key] of this.#entries.entries()) {
      const [owner, of] = ownerOf(key);
      if (owner !== name && !(tree && isBelow(owner, name))) continue;
      if (type !== undefined && of !== type && of !== anyType && of !== Type.CNAME) continue;
      this.#entries.delete(key);
      if (of !== anyType) dropped++;
    }
    return dropped;
  }

  /** Drops all that no signature proves, failures too; how many entries that were. */
  forgetUnproved(): number {
    let dropped = 0;
    this.#missed.clear();
    for (const [key, entry] of this.#entries.entries()) {
      entry.failed = undefined;
      if (entry.kept?.link.state.status === 'secure') continue;
      this.#entries.delete(key);
      if (ownerOf(key)[1] !== anyType) dropped++;
    }
    return dropped;
  }

  clear(): number {
    const dropped = this.#entries.size + this.#denials.size;
    this.#entries.clear();
    this.#denials.clear();
    return dropped;
  }

  /**
   * What is worth keeping over a restart: links that live on, with the seconds for which they were kept already. What
   * nobody has proved is not, since the next run may begin in another network.
   */
  *fresh(
    now: Instant,
    wall: WallSeconds,
  ): Generator<{ readonly link: Link; readonly type: number; readonly ageSeconds: number }> {
    for (const [key, { kept }] of this.#entries.entries()) {
      const [, type] = ownerOf(key);
      if (type === anyType || kept?.link.state.status !== 'secure' || !isFresh(kept, now, wall)) continue;
      yield { link: kept.link, type, ageSeconds: Math.floor((now - kept.at) / 1000) };
    }
  }

  #fail(key: string, link: Link, now: Instant): void {
    const entry = this.#entries.peek(key) ?? { kept: undefined, failed: undefined };
    const count = (entry.failed?.count ?? 0) + 1;
    const longest = link.state.status === 'bogus' ? longestFailureSeconds : longestOutageSeconds;
    const seconds = Math.min(longest, failureSeconds * 2 ** Math.min(10, count - 1));
    entry.failed = { link, until: later(now, seconds * 1000), count };
    // Where somebody forges, or a zone is broken, what was once true must not stand in for it.
    if (link.state.status === 'bogus' && entry.kept) entry.kept.staleUntil = entry.kept.until;
    this.#entries.set(key, entry, octetsOf(link) + (entry.kept ? octetsOf(entry.kept.link) : 0));
  }

  #isOfUseStale(link: Link, type: number): boolean {
    if (!this.#options.serveStale || link.wildcardAt !== undefined) return false;
    return link.target !== undefined || (staleTypes.has(type) && link.sets.length > 0);
  }
}

/** Types of which data is served after its time: addresses alone, never a key. */
const staleTypes = new Set<number>([Type.A, Type.AAAA]);

/** Whether lookups for `type` may be answered after its time (RFC 8767). */
export function maybeStale(type: number): boolean {
  return staleTypes.has(type);
}

function isFresh({ until, link }: Kept, now: Instant, wall: WallSeconds): boolean {
  return now < until && wall <= link.validUntil;
}

function used(kept: Kept, now: Instant): CachedLink {
  kept.hits++;
  const { link, tookMs, at, until, hits } = kept;
  const isDue = hits > dueHits && until - now <= (until - at) * dueShare;
  const age = Math.floor((now - at) / 1000);
  if (age === 0) return { link, tookMs, isDue };
  return {
    link: { ...link, sets: aged(link.sets, age), authority: aged(link.authority, age) },
    tookMs,
    isDue,
  };
}

function aged(sets: readonly RRset[], seconds: number): RRset[] {
  return sets.map((set) => ({ ...set, ttl: Math.max(0, set.ttl - seconds) }));
}

function withTtl(sets: readonly RRset[], ttl: number, of = (_: number, b: number): number => b): RRset[] {
  return sets.map((set) => ({ ...set, ttl: of(set.ttl, ttl) }));
}

function octetsOf(link: Link): number {
  return perEntry + octetsOfSets(link.sets) + octetsOfSets(link.authority);
}

function keyOf(name: NameKey, type: number): string {
  return `${type} ${name}`;
}

function ownerOf(key: string): [NameKey, number] {
  const space = key.indexOf(' ');
  return [key.slice(space + 1) as NameKey, Number(key.slice(0, space))];
}
