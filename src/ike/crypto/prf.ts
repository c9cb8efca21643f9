import type { EspSuite } from '../child.ts';
import type { IkeSpi } from '../message.ts';
import type { CipherKeys, IkeCipher } from './cipher.ts';

/** SK_* of RFC 7296 §2.14, each as long as the negotiated algorithm wants (octets). */
export interface IkeKeys {
  readonly skD: Uint8Array;
  /** Empty for AEAD, as `skAr`. */
  readonly skAi: Uint8Array;
  readonly skAr: Uint8Array;
  /** With the salt at its end for AEAD, as `skEr`. */
  readonly skEi: Uint8Array;
  readonly skEr: Uint8Array;
  readonly skPi: Uint8Array;
  readonly skPr: Uint8Array;
}

/** The output length of a PRF, which is also its key length (octets); undefined: we do not do it. */
export declare function prfOctets(prf: number): number | undefined;

/** Throws RangeError for a PRF that we do not do, as all below. */
export declare function prf(prf: number, key: Uint8Array, data: Uint8Array): Uint8Array;

/** prf+ of RFC 7296 §2.13. */
export declare function prfPlus(prf: number, key: Uint8Array, seed: Uint8Array, octets: number): Uint8Array;

/** What both ends know after IKE_SA_INIT (or after the CREATE_CHILD_SA that rekeys the IKE SA). */
export interface KeyExchange {
  readonly prf: number;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** SKEYSEED of the initial exchange (§2.14). */
export declare function skeyseed(exchange: KeyExchange): Uint8Array;

/** SKEYSEED of a rekeyed IKE SA (§2.18); `oldPrf` and `oldSkD` are those of the SA that it replaces. */
export declare function skeyseedRekeyed(
  oldPrf: number,
  oldSkD: Uint8Array,
  exchange: KeyExchange,
): Uint8Array;

export declare function ikeKeys(
  seed: Uint8Array,
  exchange: Omit<KeyExchange, 'sharedSecret'> & {
    readonly spiI: IkeSpi;
    readonly spiR: IkeSpi;
    readonly cipher: IkeCipher;
  },
): IkeKeys;

/** The keys under which `role` sends. */
export declare function cipherKeysOf(keys: IkeKeys, role: 'initiator' | 'responder'): CipherKeys;

/** Keys of one direction of a Child SA. */
export interface ChildKeys {
  /** With the salt at its end where the algorithm has one. */
  readonly encryptionKey: Uint8Array;
  readonly integrityKey?: Uint8Array;
}

/** KEYMAT of §2.17. The nonces are of the exchange that makes the child; `sharedSecret` with its own KE only. */
export declare function childKeys(options: {
  readonly prf: number;
  readonly skD: Uint8Array;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret?: Uint8Array;
  readonly suite: EspSuite;
}): { readonly fromInitiator: ChildKeys; readonly fromResponder: ChildKeys };
