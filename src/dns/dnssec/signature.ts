import { sameOctets } from '../../wire/octets.ts';
import { Writer } from '../../wire/writer.ts';
import type { WallSeconds } from '../../time.ts';
import { canonicalRdatas } from '../canonical.ts';
import {
  ancestorOf,
  isBelow,
  isWildcard,
  labelCount,
  nameText,
  octetsOfName,
  wildcardOf,
  type NameKey,
} from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Ede, Type, typeName } from '../types.ts';
import { algorithmName } from './algorithms.ts';
import { keysPerTag, signaturesPerRRset, type Budget } from './budget.ts';
import { verifies, type VerifyKey } from './crypto.ts';
import { decodeRrsig, type Dnskey, type Rrsig } from './rdata.ts';

/** A key of a zone that signatures may be checked with. */
export interface ZoneKey {
  readonly dnskey: Dnskey;
  readonly verifyKey: VerifyKey;
  /** The SOA that it was last seen to have signed: each negative answer of the zone brings the same along. */
  soa?: { readonly octets: Uint8Array; readonly signature: Uint8Array };
}

/** No SOA that is signed by a sane zone has more octets; two names, numbers, and the RRSIG's beginning. */
const longestSoa = 1024;

/** What checking the signatures of one RRset found. */
export type SignatureCheck =
  | {
      readonly ok: true;
      /** Seconds: the smallest of the TTL it came with, the original TTL and what is left of the signature. */
      readonly ttl: number;
      /** Wall-clock seconds at which the signature ends. */
      readonly validUntil: number;
      /** The closest encloser, where the RRset was expanded from the wildcard below it (RFC 4035 §5.3.4). */
      readonly wildcardAt: NameKey | undefined;
      readonly key: Dnskey;
    }
  | { readonly ok: false; readonly ede: number; readonly why: string };

/**
 * Looks for a signature of `set` that one of `keys` of `zone` made and that is in force (RFC 4035 §5.3). One is
 * enough, whatever the others are (RFC 6840 §5.4).
 */
export function checkSignatures(
  set: RRset,
  zone: NameKey,
  keys: readonly ZoneKey[],
  wall: WallSeconds,
  budget: Budget,
): SignatureCheck {
  const what = (): string => `${nameText(set.owner)} ${typeName(set.type)}`;
  if (set.signatures.length === 0) {
    return {
      ok: false,
      ede: Ede.RRSIGS_MISSING,
      why: `${what()} has no signature in the signed zone ${nameText(zone)}`,
    };
  }
  let best: Complaint | undefined;
  const complain = (complaint: Complaint): void => {
    if (complaint.weight > (best?.weight ?? 0)) best = complaint;
  };
  for (const rdata of set.signatures.slice(0, signaturesPerRRset)) {
    const decoded = decodeRrsig(rdata);
    if (!decoded.ok) {
      complain({
        weight: 1,
        ede: Ede.DNSSEC_BOGUS,
        why: `a signature of ${what()} is malformed: ${decoded.error.message}`,
      });
      continue;
    }
    const sig = decoded.value;
    const complaint = misfit(set, zone, sig, wall, what);
    if (complaint) {
      complain(complaint);
      continue;
    }
    const candidates = keys
      .filter(({ dnskey }) => dnskey.tag === sig.keyTag && dnskey.algorithm === sig.algorithm)
      .slice(0, keysPerTag);
    if (candidates.length === 0) {
      const key = `${sig.keyTag} (${algorithmName(sig.algorithm)})`;
      complain({
        weight: 2,
        ede: Ede.DNSKEY_MISSING,
        why: `${what()} is signed by key ${key}, which ${nameText(zone)} has not`,
      });
      continue;
    }
    const soa = set.type === Type.SOA && octetsOf(set) <= longestSoa ? signedOctets(set, sig) : undefined;
    for (const key of candidates) {
      const { dnskey, verifyKey } = key;
      // The very octets, signed by the very key, under the very signature: only when it is checked is another matter.
      const isKnown =
        soa !== undefined &&
        key.soa !== undefined &&
        sameOctets(key.soa.octets, soa) &&
        sameOctets(key.soa.signature, sig.signature);
      const isGood =
        isKnown ||
        budget.verified(rdata, verifyKey, sig.algorithm, octetsOf(set), () =>
          verifies(sig.algorithm, verifyKey, soa ?? signedOctets(set, sig), sig.signature),
        );
      if (isGood === true && soa && !isKnown) key.soa = { octets: soa, signature: sig.signature.slice() };
      if (isGood === undefined) {
        return { ok: false, ede: Ede.DNSSEC_BOGUS, why: `checking ${what()} would take too many signatures` };
      }
      if (isGood) return accepted(set, sig, wall, dnskey);
      complain({
        weight: 5,
        ede: Ede.DNSSEC_BOGUS,
        why: `the signature of ${what()} by key ${dnskey.tag} of ${nameText(zone)} is wrong`,
      });
    }
  }
  const { ede, why } = best ?? notBy(zone, what);
  return { ok: false, ede, why };
}

/** About how many octets are signed of a set. */
function octetsOf({ rdatas }: RRset): number {
  return rdatas.reduce((octets, rdata) => octets + rdata.length, 255 * rdatas.length);
}

/** The heaviest of several is told. */
interface Complaint {
  readonly weight: number;
  readonly ede: number;
  readonly why: string;
}

/** Why `sig` cannot be a signature of `set` by `zone` that is in force now, whoever made it (RFC 4035 §5.3.1). */
function misfit(
  set: RRset,
  zone: NameKey,
  sig: Rrsig,
  wall: WallSeconds,
  what: () => string,
): Complaint | undefined {
  if (sig.typeCovered !== set.type || sig.signer !== zone || !isBelow(set.owner, zone)) {
    return notBy(zone, what);
  }
  // A wildcard above the zone that signs would let a parent's wildcard speak for names of the child.
  if (sig.labels > ownerLabels(set.owner) || sig.labels < labelCount(zone)) {
    return { weight: 4, ede: Ede.DNSSEC_BOGUS, why: `a signature of ${what()} claims ${sig.labels} labels` };
  }
  if (serial(sig.expiration, sig.inception) < 0) {
    return { weight: 3, ede: Ede.DNSSEC_BOGUS, why: `a signature of ${what()} expires before it begins` };
  }
  if (serial(sig.expiration, wall) < 0) {
    return {
      weight: 4,
      ede: Ede.SIGNATURE_EXPIRED,
      why: `the signature of ${what()} expired ${dateText(sig.expiration, wall)}`,
    };
  }
  if (serial(wall, sig.inception) < 0) {
    const when = dateText(sig.inception, wall);
    return {
      weight: 4,
      ede: Ede.SIGNATURE_NOT_YET_VALID,
      why: `the signature of ${what()} is not valid before ${when}`,
    };
  }
  return undefined;
}

function notBy(zone: NameKey, what: () => string): Complaint {
  return { weight: 1, ede: Ede.RRSIGS_MISSING, why: `no signature of ${what()} is by ${nameText(zone)}` };
}

function accepted(set: RRset, sig: Rrsig, wall: WallSeconds, key: Dnskey): SignatureCheck {
  const left = serial(sig.expiration, wall);
  return {
    ok: true,
    ttl: Math.min(set.ttl, sig.originalTtl, left),
    validUntil: wall + left,
    wildcardAt: sig.labels < ownerLabels(set.owner) ? ancestorOf(set.owner, sig.labels) : undefined,
    key,
  };
}

/** RRSIG_RDATA | RR(1) | RR(2)… (RFC 4034 §3.1.8.1). */
export function signedOctets(
  set: RRset,
  sig: Pick<Rrsig, 'fixed' | 'signer' | 'labels' | 'originalTtl'>,
): Uint8Array {
  const w = new Writer(1024);
  w.octets(sig.fixed);
  w.octets(octetsOfName(sig.signer));
  const expanded = sig.labels < ownerLabels(set.owner);
  const source = expanded ? wildcardOf(ancestorOf(set.owner, sig.labels)) : set.owner;
  const owner = octetsOfName(source ?? set.owner);
  for (const rdata of canonicalRdatas(set.type, set.rdatas)) {
    w.octets(owner);
    w.u16(set.type);
    w.u16(set.class);
    w.u32(sig.originalTtl);
    w.lengthPrefixed16(() => {
      w.octets(rdata);
    });
  }
  return w.finish();
}

/** Labels as RRSIG counts them: without the root and a leading `*` (RFC 4034 §3.1.3). */
export function ownerLabels(owner: NameKey): number {
  return labelCount(owner) - (isWildcard(owner) ? 1 : 0);
}

/** `a - b` in the serial arithmetic of 32 bits (RFC 1982), which outlives the years 2038 and 2106. */
function serial(a: number, b: number): number {
  return (Math.floor(a) - Math.floor(b)) | 0;
}

/** `on 2026-11-24`, for the date nearest to `wall` that the 32 bits can mean. */
function dateText(stamp: number, wall: WallSeconds): string {
  const seconds = Math.floor(wall) + serial(stamp, wall);
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}
