import { createPublicKey, type KeyObject } from 'node:crypto';
import { modulusBits, type PublicKey } from '../../net/public-key.ts';
import { concatOctets } from '../../wire/octets.ts';
import { edwardsFault } from './edwards.ts';

/** A public key that has passed the checks: strong enough, and a point on its curve and of no small order. */
export interface VerifiableKey {
  readonly publicKey: PublicKey;
  readonly keyObject: KeyObject;
}

/** Not ok: nothing signed with it counts; `why` is a clause, e.g. `the modulus has 1024 bits, fewer than 2048`. */
export type ImportedKey =
  { readonly ok: true; readonly key: VerifiableKey } | { readonly ok: false; readonly why: string };

/**
 * Judges a raw key and makes it usable. It comes from DNS or from the peer, so nothing about it is sure. 0.1 ms,
 * half a millisecond for Ed448.
 */
export function importPublicKey(publicKey: PublicKey): ImportedKey {
  const why = faultOf(publicKey);
  if (why !== undefined) return { ok: false, why };
  try {
    const keyObject = createPublicKey({ key: jwkOf(publicKey), format: 'jwk' });
    return { ok: true, key: { publicKey, keyObject } };
  } catch {
    // OpenSSL checks that a point is on its curve.
    return {
      ok: false,
      why: publicKey.kind === 'ecdsa' ? 'the point is not on its curve' : 'it is no such key',
    };
  }
}

/** The key in the form in which DNS publishes it; undefined where it is of a kind that IKE cannot use. */
export function publicKeyOf(key: KeyObject): PublicKey | undefined {
  const jwk = key.export({ format: 'jwk' });
  const octets = (text = ''): Uint8Array => Uint8Array.fromBase64(text, { alphabet: 'base64url' });
  const { kty, crv } = jwk;
  if (kty === 'RSA') return { kind: 'rsa', modulus: octets(jwk.n), exponent: octets(jwk.e) };
  if (kty === 'EC' && (crv === 'P-256' || crv === 'P-384' || crv === 'P-521')) {
    return { kind: 'ecdsa', curve: crv, point: concatOctets(octets(jwk.x), octets(jwk.y)) };
  }
  if (kty === 'OKP' && (crv === 'Ed25519' || crv === 'Ed448')) {
    return { kind: 'eddsa', curve: crv, point: octets(jwk.x) };
  }
  return undefined;
}

/** SubjectPublicKeyInfo in DER, as a CERT payload carries a raw key (RFC 7670 §3.1). */
export function keyInfoOf(key: VerifiableKey): Uint8Array {
  return new Uint8Array(key.keyObject.export({ type: 'spki', format: 'der' }));
}

function faultOf(key: PublicKey): string | undefined {
  switch (key.kind) {
    case 'rsa':
      return rsaFault(key.modulus, key.exponent);
    case 'ecdsa': {
      const octets = 2 * fieldOctets[key.curve];
      return key.point.length === octets
        ? undefined
        : `the point has ${key.point.length} octets, not ${octets}`;
    }
    case 'eddsa':
      return edwardsFault(key.curve, key.point);
    default:
      return key satisfies never;
  }
}

const fieldOctets = { 'P-256': 32, 'P-384': 48, 'P-521': 66 } as const;

/** Below, factoring is within reach (RFC 8247 §4); above, one verification would keep everybody else waiting. */
const MODULUS_BITS = { least: 2048, most: 8192 } as const;

function rsaFault(modulus: Uint8Array, exponent: Uint8Array): string | undefined {
  const bits = modulusBits(modulus);
  if (bits < MODULUS_BITS.least) return `the modulus has ${bits} bits, fewer than ${MODULUS_BITS.least}`;
  if (bits > MODULUS_BITS.most) return `the modulus has ${bits} bits, more than ${MODULUS_BITS.most}`;
  if (((modulus.at(-1) ?? 0) & 1) === 0) return 'the modulus is even';
  // Small exponents invite forgeries of PKCS#1 v1.5 padding; large ones cost time and are not in use.
  const exponentBits = modulusBits(exponent);
  if (exponentBits < 17) return `the exponent is smaller than 65537`;
  if (exponentBits > 64) return `the exponent has ${exponentBits} bits, more than 64`;
  if (((exponent.at(-1) ?? 0) & 1) === 0) return 'the exponent is even';
  return undefined;
}

function jwkOf(key: PublicKey): JsonWebKey {
  switch (key.kind) {
    case 'rsa':
      return { kty: 'RSA', n: base64Url(key.modulus), e: base64Url(key.exponent) };
    case 'ecdsa': {
      const half = fieldOctets[key.curve];
      return {
        kty: 'EC',
        crv: key.curve,
        x: base64Url(key.point.subarray(0, half)),
        y: base64Url(key.point.subarray(half)),
      };
    }
    case 'eddsa':
      return { kty: 'OKP', crv: key.curve, x: base64Url(key.point) };
    default:
      return key satisfies never;
  }
}

type JsonWebKey = Readonly<Record<string, string>>;

function base64Url(octets: Uint8Array): string {
  return octets.toBase64({ alphabet: 'base64url', omitPadding: true });
}
