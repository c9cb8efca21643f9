import type { Random } from '../../random.ts';

/** How SK and SKF payloads are protected: numbers of Transform Types 1 and 3. */
export interface IkeCipher {
  readonly encr: number;
  /** Without the salt. */
  readonly keyBits: number;
  /** Undefined for AEAD. */
  readonly integ: number | undefined;
}

/** Octets of keys that an algorithm wants. */
export interface CipherKeyOctets {
  /** SK_e: with the salt (RFC 5282 §7.1, RFC 7634 §3). */
  readonly encryption: number;
  /** SK_a; 0 for AEAD. */
  readonly integrity: number;
}

/** Also serves ESP, where the salt is as long. Undefined: we do not do this algorithm or length of key. */
export declare function cipherKeyOctets(cipher: {
  readonly encr: number;
  readonly keyBits: number;
  readonly integ?: number | undefined;
}): CipherKeyOctets | undefined;

/** One direction's keys: SK_ei and SK_ai, or SK_er and SK_ar. */
export interface CipherKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

/** Protects what we send under one key; it counts the IVs, so there is one per key and it lives as long. */
export declare class Sealer {
  constructor(cipher: IkeCipher, keys: CipherKeys, random: Random);
  /** Octets of IV, padding, pad length and checksum that `seal` adds to `plainOctets`. */
  overhead(plainOctets: number): number;
  /** Writes nothing: `header` is all before the IV, with the final lengths in it. IV, ciphertext, checksum. */
  seal(header: Uint8Array, plaintext: Uint8Array): Uint8Array;
}

/** Opens what the peer sends under one key. */
export declare class Opener {
  constructor(cipher: IkeCipher, keys: CipherKeys);
  /** The plaintext without padding, owned; undefined where the checksum (or the padding under it) is wrong. */
  open(header: Uint8Array, body: Uint8Array): Uint8Array | undefined;
}
