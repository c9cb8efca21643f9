import { constants, sign, verify, type KeyObject } from 'node:crypto';
import { concatOctets } from '../../wire/octets.ts';
import type { AuthAnnouncement } from '../auth-methods.ts';
import { AuthMethod, HashAlgorithm, authMethodName, hashName } from '../numbers.ts';
import { decodeAlgorithm, encodeAlgorithm, type SignatureAlgorithm } from './algorithm-identifier.ts';
import type { VerifiableKey } from './public-key.ts';

export { importPublicKey, type ImportedKey, type VerifiableKey } from './public-key.ts';

/** A private key as `node:crypto` holds it; it never prints. */
export type PrivateKey = KeyObject;

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

/** What we announce in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4): what {@link verifyAuth} takes. SHA-1 is not. */
export const announcedHashes: readonly number[] = [
  HashAlgorithm.SHA2_256,
  HashAlgorithm.SHA2_384,
  HashAlgorithm.SHA2_512,
  HashAlgorithm.IDENTITY,
];

/** The data of that notification. */
export function encodeHashes(hashes: readonly number[]): Uint8Array {
  return Uint8Array.from(hashes.flatMap((hash) => [hash >> 8, hash & 0xff]));
}

/** Unknown numbers are kept; undefined for an odd number of octets. */
export function decodeHashes(data: Uint8Array): number[] | undefined {
  if (data.length % 2 !== 0) return undefined;
  return Array.from(
    { length: data.length / 2 },
    (_, i) => ((data[2 * i] ?? 0) << 8) | (data[2 * i + 1] ?? 0),
  );
}

/** What the peer says that it can verify. */
export interface Verifier {
  /** Undefined where it announced none (RFC 7427 §4): then the methods before RFC 7427. */
  readonly hashes: readonly number[] | undefined;
  /** Undefined where it announced none (RFC 9593). */
  readonly methods?: readonly AuthAnnouncement[] | undefined;
}

/**
 * Signs for IKE_AUTH. Undefined: the peer cannot verify any signature of this key (Ed25519 without hash 5,
 * RFC 8420 §2), or does not want to (RFC 9593).
 */
export function signAuth(key: PrivateKey, peer: Verifier, signed: Uint8Array): AuthValue | undefined {
  const algorithm = chooseAlgorithm(key, peer);
  if (!algorithm) {
    const old = oldMethodOf(key);
    const isWanted = peer.methods?.some((m) => m.method === old) ?? true;
    return old !== undefined && isWanted ? signOldMethod(key, old, signed) : undefined;
  }
  const identifier = encodeAlgorithm(algorithm);
  const signature = signWith(key, algorithm, signed);
  // RFC 7427 §3: length of the AlgorithmIdentifier, itself, the signature.
  const data = concatOctets(Uint8Array.of(identifier.length), identifier, signature);
  return { method: AuthMethod.DIGITAL_SIGNATURE, data };
}

/**
 * Checks the peer's signature of method 1, 9, 10, 11 or 14. Other methods are not ok. `signer.announces`: the peer
 * knows RFC 7427, since it has announced hashes itself.
 */
export function verifyAuth(
  key: VerifiableKey,
  auth: AuthValue,
  signed: Uint8Array,
  signer: { readonly announces: boolean } = { announces: false },
): Verified {
  switch (auth.method) {
    case AuthMethod.DIGITAL_SIGNATURE:
      return verifyDigitalSignature(key, auth.data, signed);
    case AuthMethod.RSA_DIGITAL_SIGNATURE: {
      const verified = verifyRsaMethod(key, auth.data, signed);
      // RFC 8247 §4 keeps method 1, which is SHA-1 with most, for peers that know no better. One that does was told of
      // our hashes, and falls back only if somebody has taken the list away on the way to it. Its signature does not
      // cover that message, so this is where it shows.
      return verified.ok && verified.weak && signer.announces
        ? refused('it signs with SHA-1, though it knows better hashes: the list of ours has not reached it')
        : verified;
    }
    case AuthMethod.ECDSA_SHA2_256_P256:
    case AuthMethod.ECDSA_SHA2_384_P384:
    case AuthMethod.ECDSA_SHA2_512_P521:
      return verifyEcdsaMethod(key, auth, signed);
    default:
      return refused(`method ${authMethodName(auth.method)} is no signature that we verify`);
  }
}

function refused(why: string): Verified {
  return { ok: false, why };
}

/** The names by which `node:crypto` knows the hashes that a signature may use. */
const digests = new Map<number, string>([
  [HashAlgorithm.SHA1, 'sha1'],
  [HashAlgorithm.SHA2_256, 'sha256'],
  [HashAlgorithm.SHA2_384, 'sha384'],
  [HashAlgorithm.SHA2_512, 'sha512'],
]);

// ---- RFC 7427

/**
 * The best that both ends can do. PSS; PKCS#1 v1.5, which RFC 8247 §3.2 only tolerates, where the peer asks for that
 * and nothing else.
 */
function chooseAlgorithm(key: PrivateKey, peer: Verifier): SignatureAlgorithm | undefined {
  const { hashes, methods } = peer;
  if (!hashes) return undefined;
  const wanted = methods?.flatMap(({ method, algorithm }) => {
    const decoded =
      method === AuthMethod.DIGITAL_SIGNATURE && algorithm ? decodeAlgorithm(algorithm) : undefined;
    return decoded ? [decoded] : [];
  });
  for (const one of algorithmsOf(key)) {
    if (!hashes.includes(one.kind === 'eddsa' ? HashAlgorithm.IDENTITY : one.hash)) continue;
    if (wanted) {
      const found = wanted.find((w) => isLike(w, one));
      if (found) return found;
    } else if (one.kind !== 'pkcs1') {
      return one;
    }
  }
  return undefined;
}

/** What the key can make, best first. */
function algorithmsOf(key: PrivateKey): readonly SignatureAlgorithm[] {
  const { SHA2_256, SHA2_384, SHA2_512 } = HashAlgorithm;
  switch (key.asymmetricKeyType) {
    case 'rsa': {
      const hashes = [SHA2_512, SHA2_384, SHA2_256];
      return [
        ...hashes.map((hash) => ({ kind: 'pss', hash, saltOctets: hashOctets(hash) }) as const),
        ...hashes.map((hash) => ({ kind: 'pkcs1', hash }) as const),
      ];
    }
    case 'ec': {
      // A hash as strong as the curve, or else the one above or below.
      const orders = new Map([
        ['prime256v1', [SHA2_256, SHA2_384, SHA2_512]],
        ['secp384r1', [SHA2_384, SHA2_512, SHA2_256]],
        ['secp521r1', [SHA2_512, SHA2_384, SHA2_256]],
      ]);
      const order = orders.get(key.asymmetricKeyDetails?.namedCurve ?? '') ?? [];
      return order.map((hash) => ({ kind: 'ecdsa', hash }));
    }
    case 'ed25519':
      return [{ kind: 'eddsa', curve: 'Ed25519' }];
    case 'ed448':
      return [{ kind: 'eddsa', curve: 'Ed448' }];
    default:
      return [];
  }
}

/** The same but for the salt, of which the peer may want another. */
function isLike(a: SignatureAlgorithm, b: SignatureAlgorithm): boolean {
  if (a.kind === 'eddsa' || b.kind === 'eddsa') {
    return a.kind === 'eddsa' && b.kind === 'eddsa' && a.curve === b.curve;
  }
  return a.kind === b.kind && a.hash === b.hash;
}

function hashOctets(hash: number): number {
  return hash === HashAlgorithm.SHA2_256 ? 32 : hash === HashAlgorithm.SHA2_384 ? 48 : 64;
}

function signWith(key: PrivateKey, algorithm: SignatureAlgorithm, signed: Uint8Array): Uint8Array {
  return new Uint8Array(sign(digestOf(algorithm), signed, { key, ...optionsOf(algorithm) }));
}

function verifyDigitalSignature(key: VerifiableKey, data: Uint8Array, signed: Uint8Array): Verified {
  const identifierOctets = data[0] ?? 0;
  const identifier = data.subarray(1, 1 + identifierOctets);
  const signature = data.subarray(1 + identifierOctets);
  if (signature.length === 0) return refused('no signature after the AlgorithmIdentifier');
  const algorithm = decodeAlgorithm(identifier);
  if (!algorithm) return refused(`signature algorithm ${identifier.toHex()} is not one of ours`);
  const scheme = schemeName(algorithm);
  if (!fits(algorithm, key)) return refused(`${scheme} with another kind of key`);
  return verifies(key, algorithm, signed, signature)
    ? { ok: true, scheme, weak: false }
    : refused(`the signature (${scheme}) is not of this key`);
}

function fits(algorithm: SignatureAlgorithm, { publicKey }: VerifiableKey): boolean {
  switch (algorithm.kind) {
    case 'pkcs1':
    case 'pss':
      return publicKey.kind === 'rsa';
    case 'ecdsa':
      return publicKey.kind === 'ecdsa';
    case 'eddsa':
      return publicKey.kind === 'eddsa' && publicKey.curve === algorithm.curve;
    default:
      return algorithm satisfies never;
  }
}

function verifies(
  key: VerifiableKey,
  algorithm: SignatureAlgorithm,
  signed: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return verify(digestOf(algorithm), signed, { key: key.keyObject, ...optionsOf(algorithm) }, signature);
  } catch {
    // E.g. a salt that is longer than the modulus.
    return false;
  }
}

function digestOf(algorithm: SignatureAlgorithm): string | null {
  return algorithm.kind === 'eddsa' ? null : (digests.get(algorithm.hash) ?? null);
}

function optionsOf(algorithm: SignatureAlgorithm): {
  padding?: number;
  saltLength?: number;
  dsaEncoding?: 'der';
} {
  switch (algorithm.kind) {
    case 'pkcs1':
      return { padding: constants.RSA_PKCS1_PADDING };
    case 'pss':
      return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: algorithm.saltOctets };
    case 'ecdsa':
      return { dsaEncoding: 'der' };
    case 'eddsa':
      return {};
    default:
      return algorithm satisfies never;
  }
}

function schemeName(algorithm: SignatureAlgorithm): string {
  switch (algorithm.kind) {
    case 'pkcs1':
      return `RSASSA-PKCS1-v1_5 with ${hashText(algorithm.hash)}`;
    case 'pss':
      return `RSASSA-PSS with ${hashText(algorithm.hash)}`;
    case 'ecdsa':
      return `ECDSA with ${hashText(algorithm.hash)}`;
    case 'eddsa':
      return algorithm.curve;
    default:
      return algorithm satisfies never;
  }
}

function hashText(hash: number): string {
  return hashName(hash).replace('_', '-');
}

// ---- methods before RFC 7427

/** Methods 9 to 11 (RFC 4754): the curve implies the hash. */
const ecdsaMethods = [
  {
    method: AuthMethod.ECDSA_SHA2_256_P256,
    curve: 'P-256',
    openssl: 'prime256v1',
    hash: HashAlgorithm.SHA2_256,
  },
  {
    method: AuthMethod.ECDSA_SHA2_384_P384,
    curve: 'P-384',
    openssl: 'secp384r1',
    hash: HashAlgorithm.SHA2_384,
  },
  {
    method: AuthMethod.ECDSA_SHA2_512_P521,
    curve: 'P-521',
    openssl: 'secp521r1',
    hash: HashAlgorithm.SHA2_512,
  },
] as const;

function oldMethodOf(key: PrivateKey): number | undefined {
  if (key.asymmetricKeyType === 'rsa') return AuthMethod.RSA_DIGITAL_SIGNATURE;
  if (key.asymmetricKeyType !== 'ec') return undefined;
  return ecdsaMethods.find((m) => m.openssl === key.asymmetricKeyDetails?.namedCurve)?.method;
}

function signOldMethod(key: PrivateKey, method: number, signed: Uint8Array): AuthValue {
  const known = ecdsaMethods.find((m) => m.method === method);
  // RFC 7296 §3.8: SHA-1 is what a peer without RFC 7427 expects. It is weak against a peer that can make
  // collisions in what it does not choose alone, i.e. hardly; RFC 8247 §4 keeps the method for such peers.
  const signature = known
    ? sign(digests.get(known.hash), signed, { key, dsaEncoding: 'ieee-p1363' })
    : sign('sha1', signed, { key, padding: constants.RSA_PKCS1_PADDING });
  return { method, data: new Uint8Array(signature) };
}

/** Method 1: PKCS#1 v1.5; SHA-1 is usual, a better hash is allowed (RFC 7296 §3.8). */
function verifyRsaMethod(key: VerifiableKey, signature: Uint8Array, signed: Uint8Array): Verified {
  if (key.publicKey.kind !== 'rsa') return refused('an RSA signature with another kind of key');
  for (const [hash, digest] of digests) {
    const options = { key: key.keyObject, padding: constants.RSA_PKCS1_PADDING };
    if (!verify(digest, signed, options, signature)) continue;
    const scheme = `RSASSA-PKCS1-v1_5 with ${hashText(hash)} (method 1)`;
    return { ok: true, scheme, weak: hash === HashAlgorithm.SHA1 };
  }
  return refused('the signature (method 1) is not of this key');
}

function verifyEcdsaMethod(key: VerifiableKey, auth: AuthValue, signed: Uint8Array): Verified {
  const known = ecdsaMethods.find((m) => m.method === auth.method);
  if (!known || key.publicKey.kind !== 'ecdsa' || key.publicKey.curve !== known.curve) {
    return refused(`method ${authMethodName(auth.method)} with another kind of key`);
  }
  const options = { key: key.keyObject, dsaEncoding: 'ieee-p1363' } as const;
  const scheme = `ECDSA with ${hashText(known.hash)} (method ${known.method})`;
  // r | s, each as long as the field (RFC 4754 §7).
  return auth.data.length === key.publicKey.point.length &&
    verify(digests.get(known.hash), signed, options, auth.data)
    ? { ok: true, scheme, weak: false }
    : refused(`the signature (${scheme}) is not of this key`);
}
