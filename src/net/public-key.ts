import { sameOctets } from '../wire/octets.ts';

/**
 * A raw public key as DNS publishes it and IKE checks it, after the format was read but before it was judged:
 * whether a point is on its curve or a modulus long enough is checked where the key is used (`ike/crypto`).
 */
export type PublicKey =
  | {
      readonly kind: 'rsa';
      /** Big-endian, no leading zero octet. */
      readonly modulus: Uint8Array;
      /** Big-endian, no leading zero octet. */
      readonly exponent: Uint8Array;
    }
  | {
      readonly kind: 'ecdsa';
      readonly curve: 'P-256' | 'P-384' | 'P-521';
      /** x | y, each as long as the field, without the 04 octet (RFC 6605 §4). */
      readonly point: Uint8Array;
    }
  | {
      readonly kind: 'eddsa';
      readonly curve: 'Ed25519' | 'Ed448';
      /** 32 or 57 octets (RFC 8032). */
      readonly point: Uint8Array;
    };

export function samePublicKey(a: PublicKey, b: PublicKey): boolean {
  if (a.kind === 'rsa') {
    return b.kind === 'rsa' && sameOctets(a.modulus, b.modulus) && sameOctets(a.exponent, b.exponent);
  }
  return b.kind === a.kind && b.curve === a.curve && sameOctets(a.point, b.point);
}

/** `RSA 3072`, `ECDSA P-256`, `Ed25519`: what a person calls it. */
export function describePublicKey(key: PublicKey): string {
  switch (key.kind) {
    case 'rsa':
      return `RSA ${modulusBits(key.modulus)}`;
    case 'ecdsa':
      return `ECDSA ${key.curve}`;
    case 'eddsa':
      return key.curve;
    default:
      return key satisfies never;
  }
}

/** Length of an RSA modulus in bits. */
export function modulusBits(modulus: Uint8Array): number {
  let first = 0;
  while (first < modulus.length && modulus[first] === 0) first++;
  if (first === modulus.length) return 0;
  return (modulus.length - first) * 8 - (Math.clz32(modulus[first] ?? 0) - 24);
}
