import { wallSeconds, type WallSeconds } from '../../time.ts';
import { sameOctets } from '../../wire/octets.ts';
import { isSupportedAlgorithm } from '../dnssec/algorithms.ts';
import { decodeDnskey, decodeDs, DnskeyFlag, type Dnskey, type Ds } from '../dnssec/rdata.ts';

/**
 * Automated updates of trust anchors (RFC 5011): what becomes of the keys of one trust point when its DNSKEY RRset is
 * seen. A key is known by its RDATA without the REVOKE bit, which changes flags and tag but not the key (§2.1).
 *
 *     Start --new key--> AddPend --30 days, seen all the time--> Valid <--> Missing
 *                           |                                      |           |
 *                           +-- gone: Start       revoked: Revoked <-----------+
 *                                                             --30 days--> Removed
 *
 * Start is the absence of a key. Removed stays on record: a DS that this program brings along may still name the key.
 */
export type KeyState = 'AddPend' | 'Valid' | 'Missing' | 'Revoked' | 'Removed';

/** One key of a trust point. */
export interface TrackedKey {
  /** Without the REVOKE bit; owned. */
  readonly rdata: Uint8Array;
  readonly state: KeyState;
  /** When it came into this state. */
  readonly since: WallSeconds;
  /** Of AddPend: seconds for which it has to be seen (§2.4.1). */
  readonly holdSeconds: number;
  /** Of AddPend: RDATA of the trusted keys that signed when it was first seen. */
  readonly vouchers: readonly Uint8Array[];
}

/** The keys of a zone that is trusted as such. */
export interface TrustPoint {
  /** DS RDATA that stand for keys which need not have been seen yet. */
  readonly dss: readonly Uint8Array[];
  readonly keys: readonly TrackedKey[];
}

/** A DNSKEY RRset of the trust point, with what its signatures prove. */
export interface Sighting {
  readonly keys: readonly Dnskey[];
  /** RDATA of those among `keys` with a good signature of their own over the whole RRset. */
  readonly signers: readonly Uint8Array[];
  /** Original TTL of the RRset, seconds. */
  readonly originalTtl: number;
  /** Seconds until the first of the good signatures expires. */
  readonly expiresIn: number;
}

/** A key that changed its state; `from` or `to` undefined stand for Start. */
export interface KeyChange {
  /** RDATA without the REVOKE bit. */
  readonly rdata: Uint8Array;
  readonly from: KeyState | undefined;
  readonly to: KeyState | undefined;
}

export interface Transition {
  readonly point: TrustPoint;
  readonly changes: readonly KeyChange[];
  /** A key that is trusted has signed the RRset. */
  readonly validated: boolean;
}

const day = 86_400;
/** Add and remove hold-down time (§2.4.1, §2.4.2), seconds. */
export const holdDownSeconds = 30 * day;
/** Keys on record for one trust point; §2.4.3 wants five at least. Beyond it new keys are not taken up. */
const keysPerPoint = 16;

/** A DS names `key`, which has to be the one without the REVOKE bit. */
export type Names = (ds: Ds, key: Dnskey) => boolean;

/** What `point` is after its RRset was seen as `sighting`. A probe that failed is no sighting and changes nothing. */
export function seen(point: TrustPoint, sighting: Sighting, names: Names, wall: WallSeconds): Transition {
  const changes: KeyChange[] = [];
  const keys = new Map(point.keys.map((k) => [k.rdata.toHex(), k]));
  const put = (rdata: Uint8Array, to: KeyState, more: Partial<TrackedKey> = {}): void => {
    const id = rdata.toHex();
    changes.push({ rdata, from: keys.get(id)?.state, to });
    keys.set(id, { rdata, state: to, since: wall, holdSeconds: 0, vouchers: [], ...more });
  };
  const forget = (key: TrackedKey): void => {
    keys.delete(key.rdata.toHex());
    changes.push({ rdata: key.rdata, from: key.state, to: undefined });
  };
  const signs = (key: Dnskey): boolean => sighting.signers.some((s) => sameOctets(s, key.rdata));
  const dss = point.dss.map(decodeDs).flatMap((d) => (d.ok ? [d.value] : []));

  // A revocation proves itself and counts at once, whoever else has signed (§2.1).
  for (const key of sighting.keys) {
    if (!isRevoked(key) || !signs(key)) continue;
    const plain = unrevoked(key);
    const state = keys.get(plain.rdata.toHex())?.state;
    if (state === 'Revoked' || state === 'Removed') continue;
    if (state !== undefined || dss.some((ds) => names(ds, plain))) put(plain.rdata, 'Revoked');
  }

  const trusted = sighting.keys.filter(
    (key) => !isRevoked(key) && signs(key) && isTrusted(keys.get(key.rdata.toHex())?.state, key, dss, names),
  );
  const validated = trusted.length > 0;
  if (validated) {
    dropUnvouched([...keys.values()], forget);
    for (const key of sighting.keys) {
      if (isRevoked(key) || !isUsable(key)) continue;
      const known = keys.get(key.rdata.toHex());
      if (!known) {
        if (dss.some((ds) => names(ds, key))) put(key.rdata.slice(), 'Valid');
        else if ((key.flags & DnskeyFlag.SEP) !== 0 && keys.size < keysPerPoint) {
          put(key.rdata.slice(), 'AddPend', {
            holdSeconds: Math.max(holdDownSeconds, sighting.originalTtl),
            vouchers: trusted.map((k) => k.rdata.slice()),
          });
        }
        continue;
      }
      switch (known.state) {
        case 'AddPend':
          // "The next time the validated RRSet with the new key is seen" (§2.2): seen at least twice, that is.
          if (wall >= known.since + known.holdSeconds) put(known.rdata, 'Valid');
          break;
        case 'Missing':
          put(known.rdata, 'Valid');
          break;
        case 'Valid':
        case 'Revoked':
        case 'Removed':
          break; // A revoked key stays so, whatever its owner says later (§2.1).
        default:
          known.state satisfies never;
      }
    }
    for (const known of [...keys.values()]) {
      if (sighting.keys.some((k) => !isRevoked(k) && sameOctets(k.rdata, known.rdata))) continue;
      if (known.state === 'AddPend') forget(known); // From the beginning when it comes back (§2.2).
      if (known.state === 'Valid') put(known.rdata, 'Missing');
    }
  }
  for (const known of [...keys.values()]) {
    if (known.state === 'Revoked' && wall >= known.since + holdDownSeconds) put(known.rdata, 'Removed');
  }
  return { point: { dss: point.dss, keys: [...keys.values()] }, changes, validated };
}

/** A new key for which only keys vouched that were revoked meanwhile begins anew (§2.2). */
function dropUnvouched(keys: readonly TrackedKey[], forget: (key: TrackedKey) => void): void {
  const lost = keys.filter((k) => k.state === 'Revoked' || k.state === 'Removed');
  for (const key of keys) {
    if (key.state !== 'AddPend') continue;
    if (key.vouchers.every((v) => lost.some((k) => sameOctets(k.rdata, v)))) forget(key);
  }
}

function isTrusted(state: KeyState | undefined, key: Dnskey, dss: readonly Ds[], names: Names): boolean {
  if (state === undefined) return dss.some((ds) => names(ds, key));
  return state === 'Valid' || state === 'Missing';
}

/** The keys that are trusted now: those that are valid, also where they are missing (§4.2). */
export function validKeys(point: TrustPoint): TrackedKey[] {
  return point.keys.filter((k) => k.state === 'Valid' || k.state === 'Missing');
}

/** The DS that still stand for a key: not those of a key on record, which its state speaks for. */
export function openDss(point: TrustPoint, names: Names): Uint8Array[] {
  const known = point.keys.flatMap(({ rdata }) => {
    const key = decodeDnskey(rdata);
    return key.ok ? [key.value] : [];
  });
  return point.dss.filter((rdata) => {
    const ds = decodeDs(rdata);
    return ds.ok && !known.some((key) => names(ds.value, key));
  });
}

/**
 * Seconds until the RRset is to be looked at again (§2.3): half of the original TTL and of the time that the
 * signatures still run, a fortnight and a day at most, an hour at least.
 */
export function queryInterval({
  originalTtl,
  expiresIn,
}: Pick<Sighting, 'originalTtl' | 'expiresIn'>): number {
  return Math.max(3_600, Math.min(15 * day, originalTtl / 2, expiresIn / 2));
}

/** Seconds until the next try after one that failed (§2.3). */
export function retryInterval({
  originalTtl,
  expiresIn,
}: Pick<Sighting, 'originalTtl' | 'expiresIn'>): number {
  return Math.max(3_600, Math.min(day, originalTtl / 10, expiresIn / 10));
}

export function isRevoked(key: Pick<Dnskey, 'flags'>): boolean {
  return (key.flags & DnskeyFlag.REVOKE) !== 0;
}

/** A zone key that can be checked with; one that cannot would leave the zone without a usable anchor. */
function isUsable(key: Dnskey): boolean {
  return key.protocol === 3 && (key.flags & DnskeyFlag.ZONE) !== 0 && isSupportedAlgorithm(key.algorithm);
}

/** The same key without the REVOKE bit: other flags, and another tag. */
export function unrevoked(key: Dnskey): Dnskey {
  const rdata = key.rdata.slice();
  rdata[1] = (rdata[1] ?? 0) & ~DnskeyFlag.REVOKE;
  const plain = decodeDnskey(rdata);
  return plain.ok ? plain.value : key;
}

/** A key that was configured as trusted, before it was ever seen. */
export function configuredKey(rdata: Uint8Array): TrackedKey {
  return { rdata, state: 'Valid', since: wallSeconds(0), holdSeconds: 0, vouchers: [] };
}
