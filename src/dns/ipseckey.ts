import { addressOf, formatAddress, type IpAddress } from '../net/address.ts';
import { modulusBits, type PublicKey } from '../net/public-key.ts';
import type { Decoded } from '../wire/error.ts';
import { concatOctets, toBase64 } from '../wire/octets.ts';
import { decoded, type Reader } from '../wire/reader.ts';
import { encoded, type Writer } from '../wire/writer.ts';
import { nameText, octetsOfName, readPlainName, rootName, type NameKey } from './name.ts';

/**
 * IPSECKEY (RFC 4025 §2).
 *
 *     |  precedence   | gateway type  |   algorithm   |    gateway    ~
 *     ~                          public key                           ~
 */
export interface Ipseckey {
  /** 0–255; the lowest is to be tried first. */
  readonly precedence: number;
  readonly gateway:
    | { readonly kind: 'none' }
    | { readonly kind: 'address'; readonly address: IpAddress }
    | { readonly kind: 'name'; readonly name: NameKey };
  /** IANA "ipseckey-rr-parameters": 1 DSA, 2 RSA, 3 ECDSA, 4 EdDSA; 0: no key. */
  readonly algorithm: number;
  /** In the format of the algorithm; owned. */
  readonly key: Uint8Array;
}

/** IPSECKEY algorithm type, IANA "ipseckey-rr-parameters". */
export const IpseckeyAlgorithm = { NONE: 0, DSA: 1, RSA: 2, ECDSA: 3, EDDSA: 4 } as const;

/** Shortest and longest RSA modulus that is used, bits: below it can be broken, above it costs a peer's CPU time. */
const rsaBits = { least: 2_048, most: 8_192 };
/** Longest RSA exponent that is used, octets; checking a signature takes time in proportion. Everybody's has 1 to 3. */
const rsaExponentOctets = 8;

/**
 * Reads the RDATA. Errors: an unknown gateway type (its length cannot be known), a compressed name (RFC 4025 §2.5),
 * a key where the algorithm says that there is none.
 */
export function decodeIpseckey(rdata: Uint8Array): Decoded<Ipseckey> {
  return decoded(rdata, (r) => {
    const precedence = r.u8();
    const gatewayType = r.u8();
    const algorithm = r.u8();
    const gateway = readGateway(r, gatewayType);
    const key = new Uint8Array(r.rest());
    if (algorithm === IpseckeyAlgorithm.NONE && key.length > 0) r.fail('a key of no algorithm');
    return { precedence, gateway, algorithm, key };
  });
}

/** RDATA; the gateway's name is not compressed. */
export function encodeIpseckey(record: Ipseckey): Uint8Array {
  return encoded((w) => {
    w.u8(record.precedence);
    w.u8(gatewayType(record.gateway));
    w.u8(record.algorithm);
    writeGateway(w, record.gateway);
    w.octets(record.key);
  });
}

/** The key in the form in which IKE checks it, or why it cannot be used, as a clause. */
export function publicKeyOf(record: Ipseckey): PublicKey | { readonly problem: string } {
  const { algorithm, key } = record;
  switch (algorithm) {
    case IpseckeyAlgorithm.NONE:
      return { problem: 'it holds no key' };
    case IpseckeyAlgorithm.DSA:
      return { problem: 'its key is for DSA, which IKEv2 peers no longer use' };
    case IpseckeyAlgorithm.RSA:
      return rsaKeyOf(key);
    case IpseckeyAlgorithm.ECDSA: {
      const curve = ecdsaCurves.find((c) => c.octets === key.length)?.curve;
      return curve === undefined
        ? { problem: `its ECDSA key has ${key.length} octets, which fits no curve of RFC 6605 or P-521` }
        : { kind: 'ecdsa', curve, point: key };
    }
    case IpseckeyAlgorithm.EDDSA: {
      const curve = eddsaCurves.find((c) => c.octets === key.length)?.curve;
      return curve === undefined
        ? { problem: `its EdDSA key has ${key.length} octets, neither 32 nor 57` }
        : { kind: 'eddsa', curve, point: key };
    }
    default:
      return { problem: `its key is of algorithm ${algorithm}, which is not known` };
  }
}

/** The algorithm and the key field that publish `key`; the inverse of {@link publicKeyOf}. */
export function encodePublicKey(key: PublicKey): Pick<Ipseckey, 'algorithm' | 'key'> {
  switch (key.kind) {
    case 'rsa': {
      // The exponent's length takes one octet, or a zero octet and two (RFC 3110 §2).
      const e = key.exponent.length;
      const length = e > 0 && e <= 0xff ? [e] : [0, e >> 8, e & 0xff];
      return {
        algorithm: IpseckeyAlgorithm.RSA,
        key: concatOctets(new Uint8Array(length), key.exponent, key.modulus),
      };
    }
    case 'ecdsa':
      return { algorithm: IpseckeyAlgorithm.ECDSA, key: key.point };
    case 'eddsa':
      return { algorithm: IpseckeyAlgorithm.EDDSA, key: key.point };
    default:
      return key satisfies never;
  }
}

/** One line of a zone file with precedence 10 and gateway `.`. */
export function ipseckeyRecordText(owner: NameKey, key: PublicKey): string {
  const text = ipseckeyText({ precedence: 10, gateway: { kind: 'none' }, ...encodePublicKey(key) });
  return `${absoluteText(owner)} IN IPSECKEY ${text}`;
}

/** The presentation form of RDATA (RFC 4025 §3.1): `10 0 2 . AQNRU3mG…`. */
export function ipseckeyText(record: Ipseckey): string {
  const { precedence, gateway, algorithm, key } = record;
  return [precedence, gatewayType(gateway), algorithm, gatewayText(gateway), toBase64(key)]
    .join(' ')
    .trimEnd();
}

const ecdsaCurves = [
  { octets: 64, curve: 'P-256' },
  { octets: 96, curve: 'P-384' },
  { octets: 132, curve: 'P-521' },
] as const;

const eddsaCurves = [
  { octets: 32, curve: 'Ed25519' },
  { octets: 57, curve: 'Ed448' },
] as const;

/** RFC 3110 §2: the length of the exponent in one octet, or in two after a zero octet; the exponent; the modulus. */
function rsaKeyOf(key: Uint8Array): PublicKey | { readonly problem: string } {
  const short = key[0] ?? 0;
  const start = short === 0 ? 3 : 1;
  const length = short === 0 ? ((key[1] ?? 0) << 8) | (key[2] ?? 0) : short;
  if (key.length <= start + length) return { problem: 'its RSA key ends before the modulus' };
  const exponent = withoutLeadingZeros(key.subarray(start, start + length));
  const modulus = withoutLeadingZeros(key.subarray(start + length));
  const bits = modulusBits(modulus);
  if (bits < rsaBits.least) return { problem: `its RSA key has ${bits} bits, fewer than ${rsaBits.least}` };
  if (bits > rsaBits.most) return { problem: `its RSA key has ${bits} bits, more than ${rsaBits.most}` };
  if (isEven(modulus)) return { problem: 'its RSA modulus is even' };
  if (exponent.length > rsaExponentOctets) {
    return { problem: `its RSA exponent has ${exponent.length} octets, more than ${rsaExponentOctets}` };
  }
  if (isEven(exponent)) return { problem: 'its RSA exponent is even' };
  if (exponent.length === 1 && exponent[0] === 1) return { problem: 'its RSA exponent is 1' };
  return { kind: 'rsa', modulus, exponent };
}

/** True of zero too. */
function isEven(octets: Uint8Array): boolean {
  return ((octets.at(-1) ?? 0) & 1) === 0;
}

/** RFC 3110 §2 forbids leading zeros; some tools write one, as ASN.1 does, and it changes nothing about the key. */
function withoutLeadingZeros(octets: Uint8Array): Uint8Array {
  let first = 0;
  while (first < octets.length && octets[first] === 0) first++;
  return octets.subarray(first);
}

function readGateway(r: Reader, type: number): Ipseckey['gateway'] {
  switch (type) {
    case 0:
      return { kind: 'none' };
    case 1:
    case 2: {
      const address = addressOf(r.octets(type === 1 ? 4 : 16));
      return address ? { kind: 'address', address } : r.fail('no address');
    }
    case 3:
      return { kind: 'name', name: readPlainName(r) };
    default:
      return r.fail(`gateway type ${type}`);
  }
}

function writeGateway(w: Writer, gateway: Ipseckey['gateway']): void {
  if (gateway.kind === 'address') w.octets(gateway.address.octets);
  if (gateway.kind === 'name') w.octets(octetsOfName(gateway.name));
}

function gatewayType(gateway: Ipseckey['gateway']): number {
  switch (gateway.kind) {
    case 'none':
      return 0;
    case 'address':
      return gateway.address.family === 4 ? 1 : 2;
    case 'name':
      return 3;
    default:
      return gateway satisfies never;
  }
}

function gatewayText(gateway: Ipseckey['gateway']): string {
  switch (gateway.kind) {
    case 'none':
      return '.';
    case 'address':
      return formatAddress(gateway.address);
    case 'name':
      return absoluteText(gateway.name);
    default:
      return gateway satisfies never;
  }
}

/** With the last dot, so that a zone file's origin is not added. */
function absoluteText(name: NameKey): string {
  return name === rootName ? '.' : `${nameText(name)}.`;
}
