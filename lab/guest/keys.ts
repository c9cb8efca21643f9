/** The host keys of the `oe` hosts: made at boot, published in the zones, written where `oe up` looks for them. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { PublishedKey } from './zones.ts';

export interface OeKey {
  readonly pem: string;
  readonly published: PublishedKey;
}

/** A key pair with its IPSECKEY form: RSA as RFC 3110 wraps it, Ed25519 as it is (RFC 9373). */
export function makeOeKey(type: 'ed25519' | 'rsa'): OeKey {
  const pair =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  return {
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    published: published(pair.publicKey),
  };
}

function published(key: KeyObject): PublishedKey {
  const jwk = key.export({ format: 'jwk' });
  const part = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  if (jwk.kty === 'OKP') return { algorithm: 4, base64: part(jwk.x).toString('base64') };
  const exponent = part(jwk.e);
  return {
    algorithm: 2,
    base64: Buffer.concat([Buffer.of(exponent.length), exponent, part(jwk.n)]).toString('base64'),
  };
}
