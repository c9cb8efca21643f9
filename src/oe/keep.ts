import type { Resolution } from '../dns/resolver.ts';
import type { RRset } from '../dns/rrset.ts';
import { Rcode } from '../dns/types.ts';
import type { Keep } from '../dns/wire-cache.ts';
import type { IpAddress } from '../net/address.ts';
import { addressesIn } from './addresses.ts';
import type { Lookup, Outcome } from './lookup.ts';
import { hasProofs } from './plan.ts';
import { isService } from './services.ts';

/**
 * Whether the answer may be given again without the gate, and for how long. Never where the rules or a key have, or
 * might have, something to say about it: who protects a way, or holds an answer, must see every question. Never where
 * something went wrong: that is over sooner than its TTL. And never for the whole of the TTL: the resolver is to see
 * which names are in use before they run out.
 */
export function keepOf(
  lookup: Lookup,
  outcome: Outcome,
  isInsistent: (address: IpAddress) => boolean,
): Keep | undefined {
  if (outcome.kind !== 'answer' || lookup.onBehalf !== undefined) return undefined;
  if (outcome.reduced || outcome.onlyReduced || outcome.ttlLimit !== undefined) return undefined;
  const { resolution } = outcome;
  if (!lookup.local && !isSound(resolution)) return undefined;
  // The hosts that it names are looked up each time, so that the way to them is protected in time.
  if (isService(lookup.question.type) && resolution.answer.length > 0) return undefined;
  const limits = [longestSeconds, inUse * lowestTtl([...resolution.answer, ...resolution.authority])];
  const addresses = addressesIn(resolution.answer);
  if (addresses.length > 0) {
    const { plan, keyResolution } = lookup;
    if (!plan || hasProofs(plan)) return undefined;
    if (plan.addresses.some((a) => a.fate.kind !== 'clear' || a.decision.group === 'private'))
      return undefined;
    if (addresses.some(isInsistent)) return undefined;
    switch (lookup.keyState) {
      case 'asking':
      case 'late':
        return undefined;
      case 'known':
        // That there is no key holds as long as the zone says so.
        if (!keyResolution || !isSound(keyResolution)) return undefined;
        limits.push(lowestTtl([...keyResolution.answer, ...keyResolution.authority]));
        break;
      case 'notWanted':
      case 'local':
      case 'knownInsecure':
        break;
      default:
        lookup.keyState satisfies never;
    }
  }
  const seconds = Math.min(...limits);
  if (seconds < 1) return undefined;
  return { seconds, agedMs: lookup.local ? undefined : unknownAgeMs };
}

/** Seconds. Each name that is in use comes by once in that time, so that all who count and warm up see it. */
const longestSeconds = 60;
/** The part of the TTL after which the resolver sees the question again, and can renew it before it is over. */
const inUse = 0.9;
/** TTLs are counted in whole seconds, and how much of the present one is over is not known: no TTL may grow by it. */
const unknownAgeMs = 999;

function isSound({ rcode, verdict, ede, isStale }: Resolution): boolean {
  if (isStale === true || ede !== undefined) return false;
  if (rcode !== Rcode.NOERROR && rcode !== Rcode.NXDOMAIN) return false;
  return verdict.status === 'secure' || verdict.status === 'insecure';
}

/** 0 where there is no record: nothing says how long that holds. */
function lowestTtl(sets: readonly RRset[]): number {
  return sets.length === 0 ? 0 : Math.min(...sets.map((s) => s.ttl));
}
