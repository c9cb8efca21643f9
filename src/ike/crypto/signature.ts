import type { KeyObject } from 'node:crypto';
import type { PublicKey } from '../../net/public-key.ts';

/** A private key as `node:crypto` holds it; it never prints. */
export type PrivateKey = KeyObject;

/** A public key that has passed the checks: strong enough, and a point on its curve and of no small order. */
export interface VerifiableKey {
  readonly publicKey: PublicKey;
  readonly keyObject: KeyObject;
}

/** Not ok: nothing signed with it counts; `why` is a clause, e.g. `the modulus has 1024 bits, fewer than 2048`. */
export type ImportedKey =
  { readonly ok: true; readonly key: VerifiableKey } | { readonly ok: false; readonly why: string };

/** Judges a raw key and makes it usable. About 0.1 ms. */
export declare function importPublicKey(key: PublicKey): ImportedKey;

/** The fields of an AUTH payload. */
export interface AuthValue {
  /** A number of `AuthMethod`. */
  readonly method: number;
  readonly data: Uint8Array;
}

/** `scheme` for people: `RSASSA-PSS with SHA2-512`. `weak`: SHA-1 (method 1 of old peers, RFC 8247 §3). */
export type Verified =
  | { readonly ok: true; readonly scheme: string; readonly weak: boolean }
  | { readonly ok: false; readonly why: string };

/** What we announce in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4), best first. */
export declare const announcedHashes: readonly number[];

/** The data of that notification. */
export declare function encodeHashes(hashes: readonly number[]): Uint8Array;

/** Unknown numbers are kept; undefined for an odd number of octets. */
export declare function decodeHashes(data: Uint8Array): number[] | undefined;

/**
 * Signs for IKE_AUTH. `peerHashes`: what the peer announced, undefined where it announced nothing (then the
 * methods before RFC 7427). Undefined: the peer cannot verify any signature of this key (Ed25519 without
 * hash 5, RFC 8420 §2).
 */
export declare function signAuth(
  key: PrivateKey,
  peerHashes: readonly number[] | undefined,
  signed: Uint8Array,
): AuthValue | undefined;

/** Checks the peer's signature of method 1, 9, 10, 11 or 14. Other methods are not ok. */
export declare function verifyAuth(key: VerifiableKey, auth: AuthValue, signed: Uint8Array): Verified;
