import { wallSeconds, type WallSeconds } from '../../time.ts';
import { Budget, keysPerZone, signaturesPerRRset } from '../dnssec/budget.ts';
import { importKey } from '../dnssec/crypto.ts';
import { decodeDnskey, decodeRrsig, type Dnskey } from '../dnssec/rdata.ts';
import { checkSignatures } from '../dnssec/signature.ts';
import type { RRset } from '../rrset.ts';
import type { Sighting } from './rfc5011.ts';

/** When a signature is in force; seconds since 1970 as RRSIG has them, of the century that is nearest to the clock. */
export interface Validity {
  readonly inception: number;
  readonly expiration: number;
}

/** What a DNSKEY RRset and its signatures tell. */
export interface Seen {
  readonly sighting: Sighting;
  /**
   * Signatures by keys that were looked at which are right but not in force now: either somebody repeats an old
   * answer, or the clock is wrong.
   */
  readonly untimely: readonly Validity[];
}

/** Reads a DNSKEY RRset; `worth` says by which keys signatures are to be checked at all. */
export function readSighting(set: RRset, wall: WallSeconds, worth: (key: Dnskey) => boolean): Seen {
  const keys = set.rdatas.slice(0, keysPerZone).flatMap((rdata) => {
    const key = decodeDnskey(rdata);
    return key.ok ? [key.value] : [];
  });
  const zoneKeys = keys.filter(worth).flatMap((dnskey) => {
    const verifyKey = importKey(dnskey);
    return verifyKey ? [{ dnskey, verifyKey }] : [];
  });
  const budget = new Budget();
  const signers: Uint8Array[] = [];
  const untimely: Validity[] = [];
  let [originalTtl, expiresIn] = [Infinity, Infinity];
  for (const rdata of set.signatures.slice(0, signaturesPerRRset)) {
    const sig = decodeRrsig(rdata);
    if (!sig.ok) continue;
    const single = { ...set, signatures: [rdata] };
    const check = checkSignatures(single, set.owner, zoneKeys, wall, budget);
    const expiration = near(sig.value.expiration, wall);
    if (check.ok) {
      signers.push(check.key.rdata);
      originalTtl = Math.min(originalTtl, sig.value.originalTtl);
      expiresIn = Math.min(expiresIn, expiration - wall);
      continue;
    }
    const inception = near(sig.value.inception, wall);
    if (wall >= inception && wall <= expiration) continue;
    // As it would have been judged in its own time.
    if (checkSignatures(single, set.owner, zoneKeys, wallSeconds(inception), budget).ok)
      untimely.push({ inception, expiration });
  }
  return { sighting: { keys, signers, originalTtl, expiresIn }, untimely };
}

/** The date nearest to `wall` that 32 bits can mean (RFC 1982). */
function near(stamp: number, wall: WallSeconds): number {
  const seconds = Math.floor(wall);
  return seconds + ((stamp - seconds) | 0);
}
