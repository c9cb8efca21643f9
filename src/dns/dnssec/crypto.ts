import { createHash, createPublicKey, hash, verify, type KeyObject } from 'node:crypto';
import { concatOctets } from '../../wire/octets.ts';
import { octetsOfName, type NameKey } from '../name.ts';
import { Algorithm, Digest } from './algorithms.ts';
import type { Dnskey } from './rdata.ts';

/** A DNSKEY's key, imported for checking signatures. */
export type VerifyKey = KeyObject;

/**
 * Imports the key of a DNSKEY. Undefined where the algorithm is not supported, the octets are not a key of it (a
 * point that is off its curve, say), or an RSA key is outside what is safe or cheap to use: a modulus of 1024 to 4096
 * bits, an exponent of at most 8 octets.
 */
export function importKey(key: Dnskey): VerifyKey | undefined {
  try {
    switch (key.algorithm) {
      case Algorithm.RSASHA256:
      case Algorithm.RSASHA512:
        return importRsa(key.key);
      case Algorithm.ECDSAP256SHA256:
        return importPoint(key.key, 32, 'P-256');
      case Algorithm.ECDSAP384SHA384:
        return importPoint(key.key, 48, 'P-384');
      case Algorithm.ED25519:
        return importEdwards(key.key, 32, 'Ed25519');
      case Algorithm.ED448:
        return importEdwards(key.key, 57, 'Ed448');
      default:
        return undefined;
    }
  } catch {
    // OpenSSL refuses it: that is an answer about the peer's octets, not a fault of ours.
    return undefined;
  }
}

/** RFC 3110 §2: exponent length in one octet, or in three of which the first is zero. */
function importRsa(octets: Uint8Array): VerifyKey | undefined {
  const [first = 0, second = 0, third = 0] = octets;
  const start = first === 0 ? 3 : 1;
  const length = first === 0 ? (second << 8) | third : first;
  const exponent = withoutZeros(octets.subarray(start, start + length));
  const modulus = withoutZeros(octets.subarray(start + length));
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  const last = (exponent.at(-1) ?? 0) & (modulus.at(-1) ?? 0);
  if (exponent.length < 1 || exponent.length > 8 || bits < 1024 || bits > 4096 || (last & 1) === 0)
    return undefined;
  if (exponent.length === 1 && exponent[0] === 1) return undefined;
  return createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: url64(modulus), e: url64(exponent) } });
}

/** RFC 6605 §4: x | y. */
function importPoint(octets: Uint8Array, size: number, crv: string): VerifyKey | undefined {
  if (octets.length !== size * 2) return undefined;
  const [x, y] = [url64(octets.subarray(0, size)), url64(octets.subarray(size))];
  return createPublicKey({ format: 'jwk', key: { kty: 'EC', crv, x, y } });
}

/** RFC 8080 §3. */
function importEdwards(octets: Uint8Array, size: number, crv: string): VerifyKey | undefined {
  if (octets.length !== size) return undefined;
  return createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv, x: url64(octets) } });
}

/** Checks a signature of an RRSIG; false for one of a wrong length, too. 20 to 100 µs. */
export function verifies(
  algorithm: number,
  key: VerifyKey,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    switch (algorithm) {
      case Algorithm.RSASHA256:
        return verify('sha256', data, key, signature);
      case Algorithm.RSASHA512:
        return verify('sha512', data, key, signature);
      case Algorithm.ECDSAP256SHA256:
        return (
          signature.length === 64 && verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
        );
      case Algorithm.ECDSAP384SHA384:
        return (
          signature.length === 96 && verify('sha384', data, { key, dsaEncoding: 'ieee-p1363' }, signature)
        );
      case Algorithm.ED25519:
      case Algorithm.ED448:
        return verify(null, data, key, signature);
      default:
        return false;
    }
  } catch {
    return false;
  }
}

/** The digest of a DS for the DNSKEY `rdata` of `owner` (RFC 4034 §5.1.4); undefined for an unknown digest type. */
export function dsDigest(digestType: number, owner: NameKey, rdata: Uint8Array): Uint8Array | undefined {
  const digestName = digestNames.get(digestType);
  if (digestName === undefined) return undefined;
  return octetsOf(createHash(digestName).update(octetsOfName(owner)).update(rdata).digest());
}

const digestNames = new Map<number, string>([
  [Digest.SHA1, 'sha1'],
  [Digest.SHA256, 'sha256'],
  [Digest.SHA384, 'sha384'],
]);

/**
 * The hashed owner name of NSEC3 (RFC 5155 §5) with SHA-1; `iterations` is the number of additional rounds, each of
 * which takes 2.5 µs: half of what it is with an object for each hash.
 */
export function nsec3Hash(name: NameKey, salt: Uint8Array, iterations: number): Uint8Array {
  let digest: Uint8Array = hash('sha1', concatOctets(octetsOfName(name), salt), 'buffer');
  const again = concatOctets(digest, salt);
  for (let i = 0; i < iterations; i++) {
    again.set(digest);
    digest = hash('sha1', again, 'buffer');
  }
  return octetsOf(digest);
}

/** Without the pool behind a Buffer, which would be kept alive. */
function octetsOf(buffer: Uint8Array): Uint8Array {
  return Uint8Array.from(buffer);
}

function withoutZeros(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((octet) => octet !== 0);
  return first < 0 ? octets.subarray(octets.length) : octets.subarray(first);
}

function url64(octets: Uint8Array): string {
  return octets.toBase64({ alphabet: 'base64url', omitPadding: true });
}
