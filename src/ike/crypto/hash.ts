import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** SHA-1, for NAT detection only (RFC 7296 §2.23): 20 octets. */
export function sha1(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** HMAC with `hash` (`sha256`, `sha384`, `sha512`) over the parts one after the other. */
export function hmac(hash: string, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac(hash, key);
  for (const part of parts) mac.update(part);
  return new Uint8Array(mac.digest());
}

/** Compares secrets in a time that tells nothing about where they differ; only the lengths are public. */
export function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
