import { later, type Instant, type WallSeconds } from '../../time.ts';
import { toLatin1 } from '../../wire/octets.ts';
import { nsec3Hash } from '../dnssec/crypto.ts';
import { negativeTtl } from '../dnssec/denying-records.ts';
import type { DenialProof } from '../dnssec/denial.ts';
import { denies, nsecProofFrom, staysInZone, type OwnedNsec } from '../dnssec/nsec.ts';
import { isOptOut, nsec3ProofFrom, usableSpans, type Span } from '../dnssec/nsec3.ts';
import { decodeNsec, decodeNsec3, decodeRrsig, type Nsec3 } from '../dnssec/rdata.ts';
import type { Link } from '../dnssec/validate.ts';
import { followsAliases } from '../links.ts';
import { isBelow, isWildcard, nameText, parentOf, rootName, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Rcode, Type, typeName } from '../types.ts';
import { octetsOfSets } from './size.ts';
import { isLive, placeOfName, SpanList, type KeptSet, type KeptSpan } from './spans.ts';
import { Store } from './store.ts';

/** Whether a zone's denials may speak about a name, which may be under a negative trust anchor, say. */
export type MayDeny = (zone: NameKey, name: NameKey, now: Instant, wall: WallSeconds) => boolean;

/** An RRset of a wildcard, to be expanded anew. */
interface KeptWildcard extends KeptSet {
  readonly target: NameKey | undefined;
}

/** What a zone has said of what it does not have. */
interface ZoneDenials {
  readonly zone: NameKey;
  soa: KeptSet | undefined;
  nsec: SpanList<OwnedNsec>;
  nsec3: SpanList<Span>;
  parameters: Pick<Nsec3, 'salt' | 'iterations'> | undefined;
  /** By type and closest encloser. */
  readonly wildcards: Map<string, KeptWildcard>;
  /** The chain of trust down to the zone, for `oe why`. */
  story: readonly string[];
}

/** Spans, and wildcards, kept of one zone. */
const [spansPerZone, wildcardsPerZone] = [2048, 64];
/** NSEC3 of more iterations is not kept: each answer from it would cost that many hashes. */
const iterationsKept = 20;
/** Names hashed for one answer. */
const hashesPerAnswer = 10;
/** Types whose absence is another thing than that of data. */
const neverDenied = new Set<number>([Type.ANY, Type.RRSIG, Type.NSEC, Type.NSEC3]);
const perZone = 600;
const perSpan = 500;

/**
 * Answers from what secure answers have denied before (RFC 8198): that a name is not there, that it has no such type,
 * or what a wildcard makes of it. Nothing is asked for them. Only records that the validator has accepted get in, and
 * the same proofs as for a message have to hold.
 *
 * An opt-out span is never used (§5.2 of it): what hides there nobody can tell (RFC 5155 §6).
 */
export class Denials {
  readonly #zones: Store<ZoneDenials>;
  readonly #mayDeny: MayDeny;

  constructor(limitOctets: number, mayDeny: MayDeny) {
    this.#zones = new Store(limitOctets);
    this.#mayDeny = mayDeny;
  }

  get octets(): number {
    return this.#zones.octets;
  }

  /** Records that deny, in all zones. */
  get size(): number {
    let size = 0;
    for (const [, zone] of this.#zones.entries()) size += zone.nsec.size + zone.nsec3.size;
    return size;
  }

  /** Takes from a judged link what it says beyond the question it answered. */
  learn(link: Link, type: number, now: Instant): void {
    if (link.state.status !== 'secure' || link.zone === undefined) return;
    if (link.authority.length === 0) {
      this.#dispute(link.zone, link.name);
      return;
    }
    const kept = this.#zones.peek(link.zone) ?? emptyZone(link.zone);
    const before = kept.nsec.size + kept.nsec3.size;
    const until = (seconds: number): Instant => later(now, seconds * 1000);
    const { validUntil } = link;
    const soa = link.authority.find((s) => s.type === Type.SOA && s.owner === link.zone);
    // The TTL of a denial is the lowest of its own, the SOA's and the SOA's MINIMUM (RFC 8198 §5.4, RFC 9077 §3).
    const ttl = negativeTtl(link.authority);
    if (soa) kept.soa = { set: soa, until: until(ttl), validUntil };
    const known = soa ? undefined : kept.soa?.until;
    const spanUntil = known !== undefined && known < until(ttl) && known > now ? known : until(ttl);
    for (const set of link.authority) learnSpan(kept, set, spanUntil, validUntil);
    const [data] = link.sets;
    if (link.wildcardAt !== undefined && data && link.sets.length === 1 && data.type !== Type.DNAME) {
      const wildcard = { set: data, target: link.target, until: until(link.ttl), validUntil };
      const kind = link.target === undefined ? type : Type.CNAME;
      kept.wildcards.set(`${kind} ${link.wildcardAt}`, wildcard);
      for (const oldest of kept.wildcards.keys()) {
        if (kept.wildcards.size <= wildcardsPerZone) break;
        kept.wildcards.delete(oldest);
      }
    }
    if (before + kept.nsec.size + kept.nsec3.size === 0) return;
    kept.story = link.chain.slice(0, -1);
    this.#zones.set(link.zone, kept, weightOf(kept));
  }

  /** The answer that follows from what is kept, or undefined. */
  answer(name: NameKey, type: number, now: Instant, wall: WallSeconds): Link | undefined {
    if (neverDenied.has(type)) return undefined;
    // DS is the parent's to speak of (RFC 4035 §3.1.4.1).
    const kept = this.#closest(type === Type.DS ? (parentOf(name) ?? rootName) : name);
    if (!kept) return undefined;
    return (
      negativeOf(kept, name, type, now, wall, this.#mayDeny) ??
      wildcardOf(kept, name, type, now, wall, this.#mayDeny)
    );
  }

  /** Drops what is kept of the zone that holds `name`, with `tree` of all below as well; how many records that were. */
  forget(name: NameKey, tree: boolean): number {
    const holder = this.#closest(name)?.zone;
    let dropped = 0;
    for (const [zone, kept] of this.#zones.entries()) {
      if (zone !== holder && !(tree && isBelow(kept.zone, name))) continue;
      dropped += kept.nsec.size + kept.nsec3.size;
      this.#zones.delete(zone);
    }
    return dropped;
  }

  clear(): void {
    this.#zones.clear();
  }

  #closest(name: NameKey): ZoneDenials | undefined {
    if (this.#zones.size === 0) return undefined;
    for (let at: NameKey | undefined = name; at !== undefined; at = parentOf(at)) {
      const zone = this.#zones.get(at);
      if (zone) return zone;
    }
    return undefined;
  }

  /** `name` is there: a span that denies it is older than the zone. */
  #dispute(zone: NameKey, name: NameKey): void {
    const kept = this.#zones.peek(zone);
    if (!kept) return;
    if (kept.nsec.size > 0) kept.nsec.dispute(placeOfName(name));
    if (kept.nsec3.size > 0 && kept.parameters)
      kept.nsec3.dispute(toLatin1(nsec3Hash(name, kept.parameters.salt, kept.parameters.iterations)));
  }
}

function emptyZone(zone: NameKey): ZoneDenials {
  return {
    zone,
    soa: undefined,
    nsec: new SpanList(spansPerZone),
    nsec3: new SpanList(spansPerZone),
    parameters: undefined,
    wildcards: new Map(),
    story: [],
  };
}

function learnSpan(kept: ZoneDenials, set: RRset, until: Instant, validUntil: number): void {
  const [rdata] = set.rdatas;
  // What several records of one owner would mean, nobody says.
  if (rdata === undefined || set.rdatas.length > 1 || !isSignedBy(set, kept.zone)) return;
  const rest = { set, until, validUntil, octets: perSpan + octetsOfSets([set]) };
  if (set.type === Type.NSEC) {
    const nsec = decodeNsec(rdata);
    if (!nsec.ok) return;
    const record = { ...nsec.value, owner: set.owner };
    if (!staysInZone(record, kept.zone)) return;
    if (kept.nsec3.size > 0) kept.nsec3 = new SpanList(spansPerZone);
    kept.nsec.put({ ...rest, record, place: placeOfName(set.owner), next: placeOfName(record.next) });
  } else if (set.type === Type.NSEC3) {
    const nsec3 = decodeNsec3(rdata);
    if (!nsec3.ok || nsec3.value.iterations > iterationsKept) return;
    const [record] = usableSpans(kept.zone, [{ ...nsec3.value, owner: set.owner }]);
    if (!record || isOptOut(record)) return;
    if (!sameParameters(kept.parameters, record)) {
      // The zone has got another salt: the old chain is of no use with the new.
      kept.nsec3 = new SpanList(spansPerZone);
      kept.parameters = { salt: record.salt, iterations: record.iterations };
    }
    if (kept.nsec.size > 0) kept.nsec = new SpanList(spansPerZone);
    kept.nsec3.put({ ...rest, record, place: toLatin1(record.hash), next: toLatin1(record.nextHash) });
  }
}

/** Proofs from what is kept; every span that one of them takes gets into `used`. */
function proofOf(kept: ZoneDenials, now: Instant, wall: WallSeconds, used: Set<KeptSet>): DenialProof {
  const take = <R>(span: KeptSpan<R> | undefined): R | undefined => {
    if (span) used.add(span);
    return span?.record;
  };
  if (kept.nsec.size > 0) {
    return nsecProofFrom(kept.zone, {
      at: (name) => take(kept.nsec.at(placeOfName(name), now, wall)),
      over: (name) => {
        const span = kept.nsec.over(placeOfName(name), now, wall);
        return span && denies(span.record, kept.zone, name) ? take(span) : undefined;
      },
    });
  }
  let left = hashesPerAnswer;
  const budget = {
    iterations: iterationsKept,
    hashed: (_: string, __: number, hash: () => Uint8Array) => (left-- > 0 ? hash() : undefined),
    get exhausted(): boolean {
      return left < 0;
    },
  };
  return nsec3ProofFrom(
    kept.zone,
    {
      parameters: kept.parameters,
      at: (hash) => take(kept.nsec3.at(toLatin1(hash), now, wall)),
      over: (hash) => take(kept.nsec3.over(toLatin1(hash), now, wall)),
    },
    budget,
  );
}

function negativeOf(
  kept: ZoneDenials,
  name: NameKey,
  type: number,
  now: Instant,
  wall: WallSeconds,
  mayDeny: MayDeny,
): Link | undefined {
  const { soa } = kept;
  // A negative answer has an SOA, or nobody may keep it (RFC 2308 §5).
  if (!soa || !isLive(soa, now, wall)) return undefined;
  const used = new Set<KeptSet>([soa]);
  const proof = proofOf(kept, now, wall, used);
  const denial = proof.deny(name, type);
  if ((denial.kind !== 'noName' && denial.kind !== 'noData') || denial.optOut) return undefined;
  if (!mayDeny(kept.zone, name, now, wall)) return undefined;
  const isGone = denial.kind === 'noName';
  return linkOf(kept, used, now, {
    name,
    rcode: isGone ? Rcode.NXDOMAIN : Rcode.NOERROR,
    how: `${isGone ? 'no such name' : 'no such record'}: denied by ${proof.what} of ${nameText(kept.zone)}`,
    type,
  });
}

function wildcardOf(
  kept: ZoneDenials,
  name: NameKey,
  type: number,
  now: Instant,
  wall: WallSeconds,
  mayDeny: MayDeny,
): Link | undefined {
  if (kept.wildcards.size === 0 || name === kept.zone || isWildcard(name)) return undefined;
  for (let encloser = parentOf(name); encloser !== undefined; encloser = parentOf(encloser)) {
    const wildcard =
      kept.wildcards.get(`${type} ${encloser}`) ??
      (followsAliases(type) ? kept.wildcards.get(`${Type.CNAME} ${encloser}`) : undefined);
    if (wildcard && isLive(wildcard, now, wall)) {
      const used = new Set<KeptSet>([wildcard]);
      const proof = proofOf(kept, now, wall, used);
      const absence = proof.absent(name, encloser);
      if (absence.kind !== 'absent' || absence.optOut || !mayDeny(kept.zone, name, now, wall))
        return undefined;
      used.delete(wildcard);
      return linkOf(kept, used, now, {
        name,
        rcode: Rcode.NOERROR,
        how: `from the wildcard below ${nameText(encloser)}`,
        type,
        wildcard,
        encloser,
      });
    }
    if (encloser === kept.zone) return undefined;
  }
  return undefined;
}

function linkOf(
  kept: ZoneDenials,
  used: ReadonlySet<KeptSet>,
  now: Instant,
  what: {
    readonly name: NameKey;
    readonly type: number;
    readonly rcode: number;
    readonly how: string;
    readonly wildcard?: KeptWildcard;
    readonly encloser?: NameKey;
  },
): Link | undefined {
  const { name, type, rcode, how, wildcard, encloser } = what;
  const all = wildcard ? [wildcard, ...used] : [...used];
  const ttl = Math.floor((Math.min(...all.map((k) => k.until)) - now) / 1000);
  if (ttl < 1) return undefined;
  return {
    name,
    target: wildcard?.target,
    rcode,
    sets: wildcard ? [{ ...wildcard.set, owner: name, ttl }] : [],
    authority: [...used].map(({ set }) => ({ ...set, ttl })),
    state: { status: 'secure' },
    zone: kept.zone,
    ...(encloser !== undefined && { wildcardAt: encloser }),
    ttl,
    validUntil: Math.min(...all.map((k) => k.validUntil)),
    chain: [...kept.story, `${nameText(name)} ${typeName(type)}, ${how}, which was here already (secure)`],
  };
}

/** Whoever else may have signed as well, the zone itself has. */
function isSignedBy(set: RRset, zone: NameKey): boolean {
  return set.signatures.some((rdata) => {
    const sig = decodeRrsig(rdata);
    return sig.ok && sig.value.signer === zone;
  });
}

function sameParameters(
  a: Pick<Nsec3, 'salt' | 'iterations'> | undefined,
  b: Pick<Nsec3, 'salt' | 'iterations'>,
): boolean {
  return a?.iterations === b.iterations && toLatin1(a.salt) === toLatin1(b.salt);
}

function weightOf(kept: ZoneDenials): number {
  let octets = perZone + kept.nsec.octets + kept.nsec3.octets;
  if (kept.soa) octets += octetsOfSets([kept.soa.set]);
  for (const { set } of kept.wildcards.values()) octets += perSpan + octetsOfSets([set]);
  return octets;
}
