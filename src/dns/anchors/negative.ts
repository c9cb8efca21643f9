import type { WallSeconds } from '../../time.ts';
import type { TrustAnchor } from '../anchors.ts';
import { isBelow, nameOf, nameText, parentOf, type NameKey } from '../name.ts';

/** A negative trust anchor (RFC 7646): `name` and what is below it count as not signed. */
export interface NegativeAnchor {
  readonly name: NameKey;
  /** It ends by itself; undefined only where the DNS itself wants it so. */
  readonly until: WallSeconds | undefined;
}

/** RFC 7646 §2: an exception for the time until somebody else has repaired his zone. */
export const advisedSeconds = 7 * 86_400;

/**
 * The reverse zones of addresses that are private (RFC 1918, RFC 6598, RFC 4193). The public tree delegates them
 * unsigned, to servers that know nothing (RFC 6304), and the network's own resolver, which does know them, cannot
 * prove that.
 */
const privateReverseZones: readonly NegativeAnchor[] = [
  '10.in-addr.arpa',
  '168.192.in-addr.arpa',
  ...Array.from({ length: 16 }, (_, i) => `${16 + i}.172.in-addr.arpa`),
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100.in-addr.arpa`),
  'c.f.ip6.arpa',
  'd.f.ip6.arpa',
].flatMap((text) => {
  const name = nameOf(text);
  return name === undefined ? [] : [{ name, until: undefined }];
});

/** By name, those of private reverse zones among them. */
export type NegativeAnchors = ReadonlyMap<NameKey, NegativeAnchor>;

/** The configured ones and those that hold of themselves. */
export function negativeAnchors(configured: readonly NegativeAnchor[]): NegativeAnchors {
  return new Map([...privateReverseZones, ...configured].map((n) => [n.name, n]));
}

/**
 * The negative trust anchor that `name` is under: the deepest one, unless a trust anchor lies below it and above the
 * name (RFC 7646 §3). At one and the same name the negative one wins, which is what an operator wants who sets it; a
 * private reverse zone with a trust anchor of its own is signed.
 */
export function negativeAbove(
  name: NameKey,
  negatives: NegativeAnchors,
  anchors: readonly TrustAnchor[],
  wall: WallSeconds,
): NegativeAnchor | undefined {
  for (let at: NameKey | undefined = name; at !== undefined; at = parentOf(at)) {
    const found = negatives.get(at);
    if (!found || (found.until !== undefined && wall >= found.until)) continue;
    const isOverruled = anchors.some(
      ({ owner }) =>
        isBelow(name, owner) &&
        isBelow(owner, found.name) &&
        (owner !== found.name || found.until === undefined),
    );
    return isOverruled ? undefined : found;
  }
  return undefined;
}

/** `example.org is exempt from validation until 2026-12-01T00:00:00Z (negative trust anchor)`. */
export function exemptionText({ name, until }: NegativeAnchor): string {
  const how = until === undefined ? 'for ever' : `until ${dateText(until)}`;
  return `${nameText(name)} is exempt from validation ${how} (negative trust anchor)`;
}

export function dateText(wall: WallSeconds): string {
  return `${new Date(wall * 1000).toISOString().slice(0, 19)}Z`;
}
