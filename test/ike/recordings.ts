import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PublicKey } from '../../src/net/public-key.ts';
import { Opener, type IkeCipher } from '../../src/ike/crypto/cipher.ts';
import { cipherKeysOf, ikeKeys, skeyseed, type IkeKeys } from '../../src/ike/crypto/prf.ts';
import { decodeMessage, type Message } from '../../src/ike/message.ts';
import { Prf } from '../../src/ike/numbers.ts';

/** The parts of a recording (test/fixtures/ike) that the tests read. */
export interface Recording {
  readonly messages: readonly RecordedMessage[];
  readonly keys: Readonly<Record<string, string>>;
}

export interface RecordedMessage {
  readonly src: string;
  readonly dst: string;
  readonly exchange: string;
  readonly response: boolean;
  readonly hex: string;
  readonly payloads: readonly RecordedPayload[];
  readonly plaintext?: string;
  readonly inner?: readonly RecordedPayload[];
}

export interface RecordedPayload {
  readonly type: string;
  readonly hex: string;
  readonly signedOctetsHex?: string;
  readonly publicKeyPem?: string;
  readonly method?: string;
}

export const names = [
  'rsa',
  'v6',
  'dnsondemand',
  'mutual',
  'null',
  'ecdsa',
  'tunnel',
  'ct-st',
  'ctun-str',
  'strongswan',
] as const;

const fixtures = join(import.meta.dirname, '../fixtures/ike');

export function recording(name: string): Recording {
  return JSON.parse(readFileSync(join(fixtures, `${name}.json`), 'utf8')) as Recording;
}

export function xfrmDump(name: string): string {
  return readFileSync(join(fixtures, `xfrm-${name}.txt`), 'utf8');
}

export function octetsOf(message: { readonly hex: string }): Uint8Array {
  return Uint8Array.fromHex(message.hex);
}

export function decodedMessage(octets: Uint8Array): Message {
  const result = decodeMessage(octets);
  if (!result.ok) throw result.error;
  return result.value;
}

/** All that both ends of a recording knew after IKE_SA_INIT. Every recording chose the same suite. */
export interface Context {
  readonly prf: number;
  readonly cipher: IkeCipher;
  readonly initI: Message;
  readonly initR: Message;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly seed: Uint8Array;
  readonly keys: IkeKeys;
  readonly openerOf: (message: Message) => Opener;
}

export function contextOf(r: Recording): Context {
  const inits = r.messages.filter((m) => m.exchange === 'IKE_SA_INIT');
  const initI = decodedMessage(octetsOf(inits[0] ?? { hex: '' }));
  const initR = decodedMessage(octetsOf(inits[1] ?? { hex: '' }));
  const exchange = {
    prf: Prf.PRF_HMAC_SHA2_512,
    nonceI: nonceOf(initI),
    nonceR: nonceOf(initR),
    sharedSecret: Uint8Array.fromHex(r.keys.g_ir ?? ''),
  };
  const cipher: IkeCipher = { encr: 20, keyBits: 256, integ: undefined };
  const seed = skeyseed(exchange);
  const { spiI, spiR } = initR.header;
  const keys = ikeKeys(seed, { ...exchange, spiI, spiR, cipher });
  const openers = {
    initiator: new Opener(cipher, cipherKeysOf(keys, 'initiator')),
    responder: new Opener(cipher, cipherKeysOf(keys, 'responder')),
  };
  return {
    ...exchange,
    cipher,
    initI,
    initR,
    seed,
    keys,
    openerOf: (m) => openers[m.header.fromInitiator ? 'initiator' : 'responder'],
  };
}

export function nonceOf(message: Message): Uint8Array {
  const nonce = message.payloads.find((p) => p.kind === 'Nonce');
  if (!nonce) throw new Error('no nonce');
  return nonce.nonce;
}

export function publicKeyOf(pem: string): PublicKey {
  const jwk = createPublicKey(pem).export({ format: 'jwk' });
  const octets = (text = ''): Uint8Array => Uint8Array.fromBase64(text, { alphabet: 'base64url' });
  if (jwk.kty === 'RSA') return { kind: 'rsa', modulus: octets(jwk.n), exponent: octets(jwk.e) };
  if (jwk.kty !== 'EC') return { kind: 'eddsa', curve: jwk.crv as 'Ed25519', point: octets(jwk.x) };
  const point = new Uint8Array(Buffer.concat([octets(jwk.x), octets(jwk.y)]));
  return { kind: 'ecdsa', curve: jwk.crv as 'P-256', point };
}
