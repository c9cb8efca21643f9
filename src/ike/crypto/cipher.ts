import { createCipheriv, createDecipheriv, type CipherGCMTypes } from 'node:crypto';
import type { Random } from '../../random.ts';
import { concatOctets } from '../../wire/octets.ts';
import { Encr, Integ } from '../numbers.ts';
import { hmac, sameSecret } from './hash.ts';

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

/**
 * Also serves ESP, where the salt is as long. Undefined: we do not do this algorithm or length of key, or it
 * would not be authenticated, or twice.
 */
export function cipherKeyOctets(cipher: {
  readonly encr: number;
  readonly keyBits: number;
  readonly integ?: number | undefined;
}): CipherKeyOctets | undefined {
  const { encr, keyBits, integ = Integ.NONE } = cipher;
  if (encr === Encr.ENCR_AES_CBC) {
    const mac = macs.get(integ);
    return mac && aesKeyBits.includes(keyBits)
      ? { encryption: keyBits / 8, integrity: mac.keyOctets }
      : undefined;
  }
  if (integ !== Integ.NONE) return undefined;
  const fits =
    encr === Encr.ENCR_AES_GCM_16
      ? aesKeyBits.includes(keyBits)
      : encr === Encr.ENCR_CHACHA20_POLY1305 && keyBits === 256;
  return fits ? { encryption: keyBits / 8 + SALT_OCTETS, integrity: 0 } : undefined;
}

/** One direction's keys: SK_ei and SK_ai, or SK_er and SK_ar. */
export interface CipherKeys {
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
}

/** Protects what we send under one key; it counts the IVs, so there is one per key and it lives as long. */
export class Sealer {
  readonly #cipher: Cipher;
  readonly #random: Random;
  /** AEAD: the next IV. Counted from a random start, so that it never comes twice (RFC 5282 §3.1). */
  #counter: bigint;

  constructor(cipher: IkeCipher, keys: CipherKeys, random: Random) {
    this.#cipher = cipherOf(cipher, keys);
    this.#random = random;
    const start = random.octets(8);
    this.#counter = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0);
  }

  /** Octets of IV, padding, pad length and checksum that `seal` adds to `plainOctets`. */
  overhead(plainOctets: number): number {
    const { ivOctets, icvOctets, blockOctets } = this.#cipher;
    return ivOctets + padOctets(plainOctets, blockOctets) + 1 + icvOctets;
  }

  /** How many octets of plaintext fit where IV, padding and checksum together may take `octets`; 0 or less: none. */
  capacity(octets: number): number {
    const { ivOctets, icvOctets, blockOctets } = this.#cipher;
    const blocks = Math.floor((octets - ivOctets - icvOctets) / blockOctets);
    return blocks * blockOctets - 1;
  }

  /** `header` is all before the IV, with the final lengths in it. Gives IV, ciphertext, checksum. */
  seal(header: Uint8Array, plaintext: Uint8Array): Uint8Array {
    const { blockOctets } = this.#cipher;
    const pad = padOctets(plaintext.length, blockOctets);
    const padded = new Uint8Array(plaintext.length + pad + 1);
    padded.set(plaintext);
    padded[padded.length - 1] = pad;
    return this.#cipher.seal(header, this.#nextIv(), padded);
  }

  #nextIv(): Uint8Array {
    // RFC 7296 §3.14: the IV of CBC must be unpredictable.
    if (!this.#cipher.aead) return this.#random.octets(this.#cipher.ivOctets);
    const iv = new Uint8Array(8);
    new DataView(iv.buffer).setBigUint64(0, this.#counter);
    this.#counter = (this.#counter + 1n) & 0xffff_ffff_ffff_ffffn;
    return iv;
  }
}

/** Opens what the peer sends under one key. */
export class Opener {
  readonly #cipher: Cipher;

  constructor(cipher: IkeCipher, keys: CipherKeys) {
    this.#cipher = cipherOf(cipher, keys);
  }

  /** The plaintext without padding, owned; undefined where the checksum (or the padding under it) is wrong. */
  open(header: Uint8Array, body: Uint8Array): Uint8Array | undefined {
    const { ivOctets, icvOctets, blockOctets } = this.#cipher;
    const textOctets = body.length - ivOctets - icvOctets;
    if (textOctets < 1 || textOctets % blockOctets !== 0) return undefined;
    const padded = this.#cipher.open(
      header,
      body.subarray(0, ivOctets),
      body.subarray(ivOctets, ivOctets + textOctets),
      body.subarray(ivOctets + textOctets),
    );
    if (!padded) return undefined;
    // Padding may have any content (RFC 7296 §3.14); only its length must be possible.
    const plainOctets = padded.length - 1 - (padded[padded.length - 1] ?? 0);
    return plainOctets < 0 ? undefined : padded.subarray(0, plainOctets);
  }
}

interface Cipher {
  readonly aead: boolean;
  readonly ivOctets: number;
  readonly icvOctets: number;
  /** The plaintext with padding and pad length is a multiple of it. */
  readonly blockOctets: number;
  readonly seal: (header: Uint8Array, iv: Uint8Array, padded: Uint8Array) => Uint8Array;
  readonly open: (
    header: Uint8Array,
    iv: Uint8Array,
    ciphertext: Uint8Array,
    icv: Uint8Array,
  ) => Uint8Array | undefined;
}

const SALT_OCTETS = 4;
const AEAD_IV_OCTETS = 8;
const AEAD_ICV_OCTETS = 16;
const AES_BLOCK_OCTETS = 16;
const aesKeyBits = [128, 192, 256];

/** RFC 4868 §2.6: the key is as long as the output of the hash, the checksum half of it. */
const macs = new Map<
  number,
  { readonly hash: string; readonly keyOctets: number; readonly icvOctets: number }
>([
  [Integ.AUTH_HMAC_SHA2_256_128, { hash: 'sha256', keyOctets: 32, icvOctets: 16 }],
  [Integ.AUTH_HMAC_SHA2_384_192, { hash: 'sha384', keyOctets: 48, icvOctets: 24 }],
  [Integ.AUTH_HMAC_SHA2_512_256, { hash: 'sha512', keyOctets: 64, icvOctets: 32 }],
]);

function padOctets(plainOctets: number, blockOctets: number): number {
  return (blockOctets - ((plainOctets + 1) % blockOctets)) % blockOctets;
}

function cipherOf(cipher: IkeCipher, keys: CipherKeys): Cipher {
  const wanted = cipherKeyOctets(cipher);
  if (wanted?.encryption !== keys.encryption.length || wanted.integrity !== keys.integrity.length) {
    throw new RangeError('keys that do not fit the cipher');
  }
  const mac = macs.get(cipher.integ ?? Integ.NONE);
  return mac ? cbc(cipher.keyBits, keys, mac) : aead(cipher, keys.encryption);
}

/** AES-GCM with a 16-octet checksum (RFC 5282) and ChaCha20-Poly1305 (RFC 7634): nonce = salt | IV. */
function aead(cipher: IkeCipher, keyAndSalt: Uint8Array): Cipher {
  // OpenSSL's two AEADs have the same interface; Node types only GCM's with the options that both take.
  const name = (
    cipher.encr === Encr.ENCR_CHACHA20_POLY1305 ? 'chacha20-poly1305' : `aes-${cipher.keyBits}-gcm`
  ) as CipherGCMTypes;
  const key = keyAndSalt.subarray(0, -SALT_OCTETS);
  const salt = keyAndSalt.subarray(-SALT_OCTETS);
  const options = { authTagLength: AEAD_ICV_OCTETS };
  return {
    aead: true,
    ivOctets: AEAD_IV_OCTETS,
    icvOctets: AEAD_ICV_OCTETS,
    blockOctets: 1,
    seal(header, iv, padded) {
      const c = createCipheriv(name, key, concatOctets(salt, iv), options);
      c.setAAD(header);
      const ciphertext = c.update(padded);
      c.final();
      return concatOctets(iv, ciphertext, c.getAuthTag());
    },
    open(header, iv, ciphertext, icv) {
      const d = createDecipheriv(name, key, concatOctets(salt, iv), options);
      d.setAAD(header);
      d.setAuthTag(icv);
      const padded = d.update(ciphertext);
      try {
        d.final();
      } catch {
        return undefined;
      }
      return new Uint8Array(padded);
    },
  };
}

/** AES-CBC, then HMAC over the message as it is sent (RFC 7296 §3.14). */
function cbc(keyBits: number, keys: CipherKeys, mac: { hash: string; icvOctets: number }): Cipher {
  const name = `aes-${keyBits}-cbc`;
  const checksum = (...parts: readonly Uint8Array[]): Uint8Array =>
    hmac(mac.hash, keys.integrity, ...parts).subarray(0, mac.icvOctets);
  return {
    aead: false,
    ivOctets: AES_BLOCK_OCTETS,
    icvOctets: mac.icvOctets,
    blockOctets: AES_BLOCK_OCTETS,
    seal(header, iv, padded) {
      const c = createCipheriv(name, keys.encryption, iv).setAutoPadding(false);
      const ciphertext = concatOctets(c.update(padded), c.final());
      return concatOctets(iv, ciphertext, checksum(header, iv, ciphertext));
    },
    open(header, iv, ciphertext, icv) {
      if (!sameSecret(checksum(header, iv, ciphertext), icv)) return undefined;
      const d = createDecipheriv(name, keys.encryption, iv).setAutoPadding(false);
      return concatOctets(d.update(ciphertext), d.final());
    },
  };
}
