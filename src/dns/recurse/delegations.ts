import { later, type Instant } from '../../time.ts';
import type { Server } from '../finder.ts';
import { isBelow, parentOf, rootName, type NameKey } from '../name.ts';
import type { Hint } from './hints.ts';

/** A name server of a zone. */
export interface NameServer {
  /** Undefined: given by configuration, with addresses alone. */
  readonly name: NameKey | undefined;
  /** Known from glue, hints or configuration; may be empty. */
  readonly addresses: readonly Server[];
}

/** A zone and who serves it. */
export interface Delegation {
  readonly zone: NameKey;
  readonly servers: readonly NameServer[];
  /**
   * Whose word it is, the later one the more credible (RFC 2181 §5.4.1): hints, the parent's referral, the root's own
   * answer, the configuration. What a child says of itself is not taken at all: nobody could end it (CVE-2012-1033).
   */
  readonly rank: DelegationRank;
  readonly until: Instant;
}

export type DelegationRank = 'hint' | 'referral' | 'answer' | 'configured';

/** Seconds for which a delegation is kept at most, whatever its TTL. */
const longestSeconds = 86_400;
/** Delegations that are remembered, and names known not to be zone cuts: those used last. */
const [maxDelegations, maxPlainNames] = [10_000, 10_000];
/** Seconds for which a name is known not to be a zone cut at most. */
const longestPlainSeconds = 3600;

/** The zone cuts that are known, as their parents tell them. */
export class Delegations {
  readonly #cuts = new Map<NameKey, Delegation>();
  readonly #fixed = new Map<NameKey, Delegation>();
  readonly #plain = new Map<NameKey, { readonly zone: NameKey; readonly until: Instant }>();
  readonly #root: Delegation;

  constructor(hints: readonly Hint[], stubs: readonly Stub[]) {
    const servers = hints.map(({ name, addresses }) => ({ name, addresses: addresses.map(serverAt) }));
    this.#root = { zone: rootName, servers, rank: 'hint', until: forever };
    for (const { name, servers: given } of stubs) {
      const addresses = given.map((server) => ({ name: undefined, addresses: [server] }));
      this.#fixed.set(name, { zone: name, servers: addresses, rank: 'configured', until: forever });
    }
  }

  get size(): number {
    return this.#cuts.size;
  }

  /** Where to begin for `name`: the closest zone at or above it whose delegation still holds. */
  closest(name: NameKey, now: Instant): Delegation {
    for (let at: NameKey | undefined = name; at !== undefined; at = parentOf(at)) {
      const fixed = this.#fixed.get(at);
      if (fixed) return fixed;
      const known = this.#cuts.get(at);
      if (!known) continue;
      this.#cuts.delete(at);
      if (now >= known.until) continue;
      this.#cuts.set(at, known);
      return known;
    }
    return this.#root;
  }

  /** The root's servers are known from hints alone, or not any longer. */
  wantsPriming(now: Instant): boolean {
    return this.closest(rootName, now).rank === 'hint';
  }

  /**
   * A zone cut that the servers of `by` told. It never outlives the word that it was learned by: a zone that its parent
   * gave up cannot live on by delegating to itself or below itself (CVE-2022-30698, CVE-2022-30699).
   */
  add(
    zone: NameKey,
    servers: readonly NameServer[],
    ttl: number,
    by: Delegation,
    rank: 'referral' | 'answer',
    now: Instant,
  ): Delegation {
    const end = later(now, Math.min(ttl, longestSeconds) * 1000);
    // The root's own servers are nobody's gift.
    const most = by.zone === rootName ? forever : by.until;
    const delegation = { zone, servers, rank, until: end < most ? end : most };
    this.#cuts.delete(zone);
    this.#cuts.set(zone, delegation);
    trim(this.#cuts, maxDelegations);
    return delegation;
  }

  /** The addresses that hints give to a name of the root's servers. */
  hinted(name: NameKey): readonly Server[] {
    return this.#root.servers.find((s) => s.name === name)?.addresses ?? [];
  }

  /** `name` has no zone cut, says `zone`. */
  addPlain(name: NameKey, zone: NameKey, ttl: number, now: Instant): void {
    this.#plain.delete(name);
    this.#plain.set(name, { zone, until: later(now, Math.min(ttl, longestPlainSeconds) * 1000) });
    trim(this.#plain, maxPlainNames);
  }

  isPlain(name: NameKey, zone: NameKey, now: Instant): boolean {
    const known = this.#plain.get(name);
    return known?.zone === zone && now < known.until;
  }

  /** Forgets what is known of `name`, and with `subtree` of all below it. */
  forget(name: NameKey, subtree: boolean): void {
    for (const map of [this.#cuts, this.#plain]) {
      map.delete(name);
      if (!subtree) continue;
      for (const at of map.keys()) if (isBelow(at, name)) map.delete(at);
    }
  }
}

/** A zone whose servers the configuration gives. */
export interface Stub {
  readonly name: NameKey;
  readonly servers: readonly Server[];
}

const forever = Infinity as Instant;

/** An authoritative server at an address: port 53, over UDP first. */
export function serverAt(address: Server['endpoint']['address']): Server {
  return { endpoint: { address, port: 53 }, transport: 'udp' };
}

/** Lets the entries go that were used longest ago. */
export function trim(map: Map<unknown, unknown>, most: number): void {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
}
