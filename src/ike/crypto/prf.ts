import { concatOctets } from '../../wire/octets.ts';
import type { EspSuite } from '../child.ts';
import { ikeSpiOctets, type IkeSpi } from '../message.ts';
import { Prf, prfName } from '../numbers.ts';
import { cipherKeyOctets, type CipherKeys, type IkeCipher } from './cipher.ts';
import { hmac } from './hash.ts';

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

/** The PRF over the parts one after the other. Throws RangeError for one that we do not do, as all below. */
export function prf(prf: number, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  return hmac(prfOf(prf).hash, key, ...parts);
}

/** prf+ of RFC 7296 §2.13. */
export function prfPlus(prf: number, key: Uint8Array, seed: Uint8Array, octets: number): Uint8Array {
  const { hash, octets: step } = prfOf(prf);
  if (octets > 255 * step) throw new RangeError(`prf+ of ${octets} octets`);
  const out = new Uint8Array(octets);
  let previous: Uint8Array = new Uint8Array(0);
  for (let at = 0, n = 1; at < octets; at += step, n++) {
    previous = hmac(hash, key, previous, seed, Uint8Array.of(n));
    out.set(previous.subarray(0, Math.min(step, octets - at)), at);
  }
  return out;
}

/** What both ends know after IKE_SA_INIT (or after the CREATE_CHILD_SA that rekeys the IKE SA). */
export interface KeyExchange {
  readonly prf: number;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** SKEYSEED of the initial exchange (§2.14). */
export function skeyseed(exchange: KeyExchange): Uint8Array {
  return prf(exchange.prf, concatOctets(exchange.nonceI, exchange.nonceR), exchange.sharedSecret);
}

/**
 * SKEYSEED of a rekeyed IKE SA (§2.18); `oldPrf` and `oldSkD` are those of the SA that it replaces, `more` are the secrets
 * of additional key exchanges (RFC 9370 §2.2.4).
 */
export function skeyseedRekeyed(
  oldPrf: number,
  oldSkD: Uint8Array,
  exchange: KeyExchange,
  more: readonly Uint8Array[] = [],
): Uint8Array {
  return prf(oldPrf, oldSkD, exchange.sharedSecret, exchange.nonceI, exchange.nonceR, ...more);
}

/** All SK_* from SKEYSEED (§2.14); the SPIs are those of the IKE SA that gets the keys. */
export function ikeKeys(
  seed: Uint8Array,
  exchange: Omit<KeyExchange, 'sharedSecret'> & {
    readonly spiI: IkeSpi;
    readonly spiR: IkeSpi;
    readonly cipher: IkeCipher;
  },
): IkeKeys {
  const { nonceI, nonceR, spiI, spiR, cipher } = exchange;
  const p = prfOf(exchange.prf).octets;
  const { encryption: e, integrity: a } = keyOctets(cipher);
  const salt = concatOctets(nonceI, nonceR, ikeSpiOctets(spiI), ikeSpiOctets(spiR));
  const take = cutter(prfPlus(exchange.prf, seed, salt, 3 * p + 2 * a + 2 * e));
  // Arguments are evaluated in this order, which is the order of §2.14.
  return {
    skD: take(p),
    skAi: take(a),
    skAr: take(a),
    skEi: take(e),
    skEr: take(e),
    skPi: take(p),
    skPr: take(p),
  };
}

/** The keys under which `role` sends. */
export function cipherKeysOf(keys: IkeKeys, role: 'initiator' | 'responder'): CipherKeys {
  return role === 'initiator'
    ? { encryption: keys.skEi, integrity: keys.skAi }
    : { encryption: keys.skEr, integrity: keys.skAr };
}

/** Keys of one direction of a Child SA. */
export interface ChildKeys {
  /** With the salt at its end where the algorithm has one. */
  readonly encryptionKey: Uint8Array;
  readonly integrityKey?: Uint8Array;
}

/** KEYMAT of §2.17. The nonces are of the exchange that makes the child; `sharedSecret` with its own KE only. */
export function childKeys(options: {
  readonly prf: number;
  readonly skD: Uint8Array;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret?: Uint8Array;
  readonly suite: EspSuite;
}): { readonly fromInitiator: ChildKeys; readonly fromResponder: ChildKeys } {
  const { encryption, integrity } = keyOctets(options.suite);
  const seed = concatOctets(options.sharedSecret ?? new Uint8Array(0), options.nonceI, options.nonceR);
  const take = cutter(prfPlus(options.prf, options.skD, seed, 2 * (encryption + integrity)));
  const half = (): ChildKeys => {
    const encryptionKey = take(encryption);
    return integrity === 0 ? { encryptionKey } : { encryptionKey, integrityKey: take(integrity) };
  };
  const fromInitiator = half();
  return { fromInitiator, fromResponder: half() };
}

const prfs = new Map<number, { readonly hash: string; readonly octets: number }>([
  [Prf.PRF_HMAC_SHA2_256, { hash: 'sha256', octets: 32 }],
  [Prf.PRF_HMAC_SHA2_384, { hash: 'sha384', octets: 48 }],
  [Prf.PRF_HMAC_SHA2_512, { hash: 'sha512', octets: 64 }],
]);

function prfOf(id: number): { readonly hash: string; readonly octets: number } {
  const found = prfs.get(id);
  if (!found) throw new RangeError(`${prfName(id)} is not one of ours`);
  return found;
}

function keyOctets(cipher: Parameters<typeof cipherKeyOctets>[0]): { encryption: number; integrity: number } {
  const octets = cipherKeyOctets(cipher);
  if (!octets) throw new RangeError('keys wanted for a cipher that is not one of ours');
  return octets;
}

/** Cuts octets one piece after the other; each piece owns its octets, so that it can be wiped alone. */
function cutter(octets: Uint8Array): (count: number) => Uint8Array {
  let at = 0;
  return (count) => octets.slice(at, (at += count));
}
