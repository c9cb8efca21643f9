import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  getDiffieHellman,
  type KeyObject,
} from 'node:crypto';
import type { Random } from '../../random.ts';
import { concatOctets } from '../../wire/octets.ts';
import { Reader } from '../../wire/reader.ts';
import { Group, groupName } from '../numbers.ts';
import { Der, der, derUnsigned, readDer, readDerUnsigned } from '../../wire/der.ts';

/** An ephemeral key of ours. */
export interface DhKey {
  /** A number of `Group`. */
  readonly group: number;
  /** What the KE payload carries. */
  readonly publicValue: Uint8Array;
  /** g^ir as RFC 7296 §2.14 wants it. Not ok: the peer's value breaks RFC 6989; `why` is a clause. */
  sharedSecret(peerValue: Uint8Array): DhResult;
}

export type DhResult =
  { readonly ok: true; readonly secret: Uint8Array } | { readonly ok: false; readonly why: string };

/** The groups that `generateDh` can do, best first. */
export const supportedGroups: readonly number[] = [
  Group.CURVE25519,
  Group.ECP_256,
  Group.ECP_384,
  Group.ECP_521,
  Group.MODP_2048,
  Group.MODP_3072,
  Group.MODP_4096,
];

/** A fresh key from `random`. Throws RangeError for a group that is not in `supportedGroups`. */
export function generateDh(group: number, random: Random): DhKey {
  if (group === Group.CURVE25519) return x25519(random.octets(32));
  const ecp = curves.get(group);
  if (ecp) return ecpKey(group, ecp, random);
  const modp = modps.get(group);
  if (modp) return modpKey(group, modp, random);
  throw new RangeError(`${groupName(group)} is not one of ours`);
}

function refused(why: string): DhResult {
  return { ok: false, why };
}

/** RFC 8031; the private key is clamped by the function itself (RFC 7748 §5). */
function x25519(privateOctets: Uint8Array): DhKey {
  const privateKey = createPrivateKey({
    key: Buffer.from(concatOctets(x25519Pkcs8, privateOctets)),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    group: Group.CURVE25519,
    publicValue: new Uint8Array(spki.subarray(-32)),
    sharedSecret(peerValue) {
      if (peerValue.length !== 32) return refused(`a Curve25519 value of ${peerValue.length} octets`);
      const publicKey = createPublicKey({
        key: Buffer.from(concatOctets(x25519Spki, peerValue)),
        format: 'der',
        type: 'spki',
      });
      try {
        // OpenSSL refuses an all-zero result, which is what a point of small order gives (RFC 7748 §6.1).
        return { ok: true, secret: new Uint8Array(diffieHellman({ privateKey, publicKey })) };
      } catch {
        return refused('a Curve25519 value of small order');
      }
    },
  };
}

/** All of RFC 8410's DER before the 32 octets of the key. */
const x25519Pkcs8 = Uint8Array.fromHex('302e020100300506032b656e04220420');
const x25519Spki = Uint8Array.fromHex('302a300506032b656e032100');

interface EcpCurve {
  readonly name: string;
  readonly fieldOctets: number;
  /** Bits of the first octet that a scalar can have. */
  readonly topMask: number;
}

const curves = new Map<number, EcpCurve>([
  [Group.ECP_256, { name: 'prime256v1', fieldOctets: 32, topMask: 0xff }],
  [Group.ECP_384, { name: 'secp384r1', fieldOctets: 48, topMask: 0xff }],
  [Group.ECP_521, { name: 'secp521r1', fieldOctets: 66, topMask: 0x01 }],
]);

/** RFC 5903: the KE payload carries x | y, and the secret is x of the product. */
function ecpKey(group: number, curve: EcpCurve, random: Random): DhKey {
  const ecdh = createECDH(curve.name);
  for (let tries = 0; ; tries++) {
    const scalar = random.octets(curve.fieldOctets);
    scalar[0] = (scalar[0] ?? 0) & curve.topMask;
    try {
      // Refused: zero, or not below the order of the group; next to never.
      ecdh.setPrivateKey(scalar);
      break;
    } catch (error) {
      if (tries >= 16) throw error;
    }
  }
  return {
    group,
    publicValue: new Uint8Array(ecdh.getPublicKey()).slice(1),
    sharedSecret(peerValue) {
      if (peerValue.length !== 2 * curve.fieldOctets) {
        return refused(`a ${groupName(group)} value of ${peerValue.length} octets`);
      }
      try {
        // OpenSSL checks that the point is on the curve (RFC 6989 §2.3); the cofactor of these is 1.
        const secret = ecdh.computeSecret(concatOctets(Uint8Array.of(UNCOMPRESSED), peerValue));
        return { ok: true, secret: new Uint8Array(secret) };
      } catch {
        return refused(`a ${groupName(group)} value that is not on the curve`);
      }
    },
  };
}

const UNCOMPRESSED = 4;

interface ModpGroup {
  readonly name: string;
  readonly octets: number;
  /** Twice the strength of the group and some (RFC 3526 §8). */
  readonly exponentOctets: number;
}

const modps = new Map<number, ModpGroup>([
  [Group.MODP_2048, { name: 'modp14', octets: 256, exponentOctets: 40 }],
  [Group.MODP_3072, { name: 'modp15', octets: 384, exponentOctets: 52 }],
  [Group.MODP_4096, { name: 'modp16', octets: 512, exponentOctets: 60 }],
]);

/** RFC 3526; public value and secret are left-padded to the modulus (RFC 7296 §3.4, §2.14). */
function modpKey(group: number, modp: ModpGroup, random: Random): DhKey {
  const { prime, algorithm } = parametersOf(modp.name);
  const exponent = random.octets(modp.exponentOctets);
  exponent[0] = (exponent[0] ?? 0) | 0x80;
  const version = derUnsigned(Uint8Array.of(0));
  const privateKey = createPrivateKey({
    key: Buffer.from(der(Der.SEQUENCE, version, algorithm, der(Der.OCTET_STRING, derUnsigned(exponent)))),
    format: 'der',
    type: 'pkcs8',
  });
  return {
    group,
    publicValue: leftPadded(publicValueOf(privateKey), modp.octets),
    sharedSecret(peerValue) {
      if (peerValue.length !== modp.octets) {
        return refused(`a ${groupName(group)} value of ${peerValue.length} octets`);
      }
      // RFC 6989 §2.1: 1 < r < p-1, which is enough where p is a safe prime.
      if (isTrivial(peerValue, prime)) return refused(`a ${groupName(group)} value out of range`);
      const value = derUnsigned(withoutLeadingZeros(peerValue));
      const publicKey = createPublicKey({
        key: Buffer.from(der(Der.SEQUENCE, algorithm, der(Der.BIT_STRING, Uint8Array.of(0), value))),
        format: 'der',
        type: 'spki',
      });
      return { ok: true, secret: leftPadded(diffieHellman({ privateKey, publicKey }), modp.octets) };
    },
  };
}

interface ModpParameters {
  readonly prime: Uint8Array;
  /** The AlgorithmIdentifier dhKeyAgreement with prime and generator (PKCS #3). */
  readonly algorithm: Uint8Array;
}

const parameters = new Map<string, ModpParameters>();

/**
 * Keys go through DER, because `createDiffieHellman` tests the prime each time (0.2 s for 2048 bits, 3.5 s for
 * 4096), and the named groups of `getDiffieHellman` take no private key from us.
 */
function parametersOf(name: string): ModpParameters {
  let known = parameters.get(name);
  if (!known) {
    const prime = new Uint8Array(getDiffieHellman(name).getPrime());
    const pkcs3 = der(Der.SEQUENCE, derUnsigned(prime), derUnsigned(Uint8Array.of(2)));
    known = { prime, algorithm: der(Der.SEQUENCE, dhKeyAgreement, pkcs3) };
    parameters.set(name, known);
  }
  return known;
}

const dhKeyAgreement = Uint8Array.fromHex('06092a864886f70d010301');

function publicValueOf(privateKey: KeyObject): Uint8Array {
  const spki = new Reader(
    new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' })),
  );
  const content = readDer(spki, Der.SEQUENCE);
  readDer(content, Der.SEQUENCE);
  const bits = readDer(content, Der.BIT_STRING);
  bits.skip(1); // no unused bits
  return readDerUnsigned(bits);
}

/** `value` ≤ 1 or ≥ `prime` - 1; both have the same length. */
function isTrivial(value: Uint8Array, prime: Uint8Array): boolean {
  const v = BigInt(`0x${value.toHex()}`);
  return v <= 1n || v >= BigInt(`0x${prime.toHex()}`) - 1n;
}

function withoutLeadingZeros(octets: Uint8Array): Uint8Array {
  const first = octets.findIndex((o) => o !== 0);
  return octets.subarray(first);
}

function leftPadded(octets: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length);
  padded.set(octets, length - octets.length);
  return padded;
}
