import type { EspSuite } from './port.ts';

/** What the kernel calls an ESP suite and how long its keys are (octets). */
export type KernelAlgorithms =
  | {
      readonly kind: 'aead';
      readonly name: string;
      /** Key and salt. */
      readonly keyOctets: number;
      readonly icvBits: number;
    }
  | {
      readonly kind: 'cipher';
      readonly name: string;
      readonly keyOctets: number;
      readonly authName: string;
      readonly authKeyOctets: number;
      readonly truncatedBits: number;
    };

/** Undefined where we do not know how to tell the kernel: another algorithm, another length of the key. */
export function kernelAlgorithms(suite: EspSuite): KernelAlgorithms | undefined {
  const aead = aeads.get(suite.encr);
  if (aead) {
    if (suite.integ !== undefined || !aead.keyBits.includes(suite.keyBits)) return undefined;
    return { kind: 'aead', name: aead.name, keyOctets: suite.keyBits / 8 + aead.saltOctets, icvBits: 128 };
  }
  const auth = hmacs.get(suite.integ ?? 0);
  if (suite.encr !== ENCR_AES_CBC || !auth || ![128, 192, 256].includes(suite.keyBits)) return undefined;
  return { kind: 'cipher', name: 'cbc(aes)', keyOctets: suite.keyBits / 8, ...auth };
}

/** `AES-GCM-16-256`, `AES-CBC-256 with HMAC-SHA2-256-128`: for messages to people. */
export function suiteName(suite: EspSuite): string {
  const integ = integNames.get(suite.integ ?? 0);
  if (suite.encr === ENCR_CHACHA20_POLY1305) return 'ChaCha20-Poly1305';
  const encr = encrNames.get(suite.encr) ?? `ENCR-${suite.encr}`;
  const rest = suite.integ === undefined ? '' : ` with ${integ ?? `INTEG-${suite.integ}`}`;
  return `${encr}-${suite.keyBits}${rest}`;
}

// IANA "ikev2-parameters", Transform Types 1 and 3. `ike` has its own full tables: the two parts share nothing.
const ENCR_AES_CBC = 12;
const ENCR_AES_GCM_16 = 20;
const ENCR_CHACHA20_POLY1305 = 28;
const AUTH_HMAC_SHA2_256_128 = 12;
const AUTH_HMAC_SHA2_384_192 = 13;
const AUTH_HMAC_SHA2_512_256 = 14;

const aeads = new Map([
  [ENCR_AES_GCM_16, { name: 'rfc4106(gcm(aes))', keyBits: [128, 192, 256], saltOctets: 4 }],
  [ENCR_CHACHA20_POLY1305, { name: 'rfc7539esp(chacha20,poly1305)', keyBits: [256], saltOctets: 4 }],
]);

// The truncation of SHA-256 to 96 bits that old kernels assume is not ours: we always say 128 (RFC 4868 §2.6).
const hmacs = new Map([
  [AUTH_HMAC_SHA2_256_128, { authName: 'hmac(sha256)', authKeyOctets: 32, truncatedBits: 128 }],
  [AUTH_HMAC_SHA2_384_192, { authName: 'hmac(sha384)', authKeyOctets: 48, truncatedBits: 192 }],
  [AUTH_HMAC_SHA2_512_256, { authName: 'hmac(sha512)', authKeyOctets: 64, truncatedBits: 256 }],
]);

const encrNames = new Map([
  [ENCR_AES_CBC, 'AES-CBC'],
  [ENCR_AES_GCM_16, 'AES-GCM-16'],
]);

const integNames = new Map([
  [AUTH_HMAC_SHA2_256_128, 'HMAC-SHA2-256-128'],
  [AUTH_HMAC_SHA2_384_192, 'HMAC-SHA2-384-192'],
  [AUTH_HMAC_SHA2_512_256, 'HMAC-SHA2-512-256'],
]);

/** Everything that we would propose, best first (DESIGN: IKE in `oe`). */
export const espSuites: readonly EspSuite[] = [
  { encr: ENCR_AES_GCM_16, keyBits: 256 },
  { encr: ENCR_AES_GCM_16, keyBits: 128 },
  { encr: ENCR_CHACHA20_POLY1305, keyBits: 256 },
  { encr: ENCR_AES_CBC, keyBits: 256, integ: AUTH_HMAC_SHA2_256_128 },
  { encr: ENCR_AES_CBC, keyBits: 256, integ: AUTH_HMAC_SHA2_512_256 },
  { encr: ENCR_AES_CBC, keyBits: 256, integ: AUTH_HMAC_SHA2_384_192 },
  { encr: ENCR_AES_CBC, keyBits: 128, integ: AUTH_HMAC_SHA2_256_128 },
];
