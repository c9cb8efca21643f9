import type { Reader } from '../wire/reader.ts';
import type { Writer } from '../wire/writer.ts';

/** One algorithm (RFC 7296 §3.3.2). */
export interface Transform {
  /** A number of `TransformType`. */
  readonly type: number;
  readonly id: number;
  /** The Key Length attribute (§3.3.5), bits; absent where the algorithm has one length only. */
  readonly keyBits?: number;
  /** Has an attribute that we do not know: it must not be chosen (§3.3.6). */
  readonly unknownAttributes?: readonly { readonly type: number; readonly value: Uint8Array }[];
}

/** Algorithms of which one of each type is to be chosen (§3.3.1). */
export interface Proposal {
  /** 1, 2, … in the order of preference. */
  readonly number: number;
  /** IKE, AH or ESP. */
  readonly protocol: number;
  /** Empty in IKE_SA_INIT, 8 octets when an IKE SA is rekeyed, 4 for ESP and AH. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

/** Security Association payload (§3.3). */
export interface SaPayload {
  readonly kind: 'SA';
  readonly proposals: readonly Proposal[];
}

export declare function decodeSa(r: Reader): SaPayload;
export declare function encodeSa(w: Writer, sa: SaPayload): void;
