import type { Random } from '../../random.ts';

/** An ephemeral key of ours. */
export interface DhKey {
  /** A number of `Group`. */
  readonly group: number;
  /** What the KE payload carries. */
  readonly publicValue: Uint8Array;
  /** g^ir as RFC 7296 §2.14 wants it. Not ok: the peer's value breaks RFC 6989; `why` is a clause. */
  sharedSecret(peerValue: Uint8Array): DhResult;
}

export type DhResult =
  { readonly ok: true; readonly secret: Uint8Array } | { readonly ok: false; readonly why: string };

/** The groups that `generateDh` can do, best first. */
export declare const supportedGroups: readonly number[];

/** A fresh key from `random`. Throws RangeError for a group that is not in `supportedGroups`. */
export declare function generateDh(group: number, random: Random): DhKey;
