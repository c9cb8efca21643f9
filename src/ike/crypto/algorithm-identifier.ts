import { sameOctets } from '../../wire/octets.ts';
import { decoded, type Reader } from '../../wire/reader.ts';
import { HashAlgorithm } from '../numbers.ts';
import { Der, der, derUnsigned, readDer, readDerUnsigned } from '../../wire/der.ts';

/** What an AlgorithmIdentifier of RFC 7427 says; `hash` is SHA2_256, SHA2_384 or SHA2_512 of `HashAlgorithm`. */
export type SignatureAlgorithm =
  | { readonly kind: 'pkcs1'; readonly hash: number }
  | { readonly kind: 'pss'; readonly hash: number; readonly saltOctets: number }
  | { readonly kind: 'ecdsa'; readonly hash: number }
  | { readonly kind: 'eddsa'; readonly curve: 'Ed25519' | 'Ed448' };

/** DER, exactly as RFC 7427 appendix A and RFC 8420 appendix A write it. */
export function encodeAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  switch (algorithm.kind) {
    case 'pkcs1':
      return der(Der.SEQUENCE, oidOf(pkcs1Oids, algorithm.hash), asn1Null);
    case 'pss':
      return der(Der.SEQUENCE, pssOid, pssParameters(algorithm.hash, algorithm.saltOctets));
    case 'ecdsa':
      return der(Der.SEQUENCE, oidOf(ecdsaOids, algorithm.hash));
    case 'eddsa':
      return der(Der.SEQUENCE, algorithm.curve === 'Ed25519' ? ed25519Oid : ed448Oid);
    default:
      return algorithm satisfies never;
  }
}

/**
 * Undefined for what is malformed or not in use here: SHA-1 (RFC 8247 §3.2 forbids it), DSA, PSS whose mask is of
 * another hash, a trailer other than the usual.
 */
export function decodeAlgorithm(octets: Uint8Array): SignatureAlgorithm | undefined {
  const result = decoded(octets, readAlgorithm);
  return result.ok ? result.value : undefined;
}

const asn1Null = Uint8Array.of(Der.NULL, 0);

const pkcs1Oids = new Map([
  [HashAlgorithm.SHA2_256, oid('2a864886f70d01010b')],
  [HashAlgorithm.SHA2_384, oid('2a864886f70d01010c')],
  [HashAlgorithm.SHA2_512, oid('2a864886f70d01010d')],
]) as ReadonlyMap<number, Uint8Array>;

const ecdsaOids = new Map([
  [HashAlgorithm.SHA2_256, oid('2a8648ce3d040302')],
  [HashAlgorithm.SHA2_384, oid('2a8648ce3d040303')],
  [HashAlgorithm.SHA2_512, oid('2a8648ce3d040304')],
]) as ReadonlyMap<number, Uint8Array>;

const hashOids = new Map([
  [HashAlgorithm.SHA2_256, oid('608648016503040201')],
  [HashAlgorithm.SHA2_384, oid('608648016503040202')],
  [HashAlgorithm.SHA2_512, oid('608648016503040203')],
]) as ReadonlyMap<number, Uint8Array>;

const pssOid = oid('2a864886f70d01010a');
const mgf1Oid = oid('2a864886f70d010108');
const ed25519Oid = oid('2b6570');
const ed448Oid = oid('2b6571');

function oid(hex: string): Uint8Array {
  return der(Der.OID, Uint8Array.fromHex(hex));
}

function oidOf(oids: ReadonlyMap<number, Uint8Array>, hash: number): Uint8Array {
  const found = oids.get(hash);
  if (!found) throw new RangeError(`no signature with hash ${hash}`);
  return found;
}

function hashOf(oids: ReadonlyMap<number, Uint8Array>, wanted: Uint8Array): number | undefined {
  for (const [hash, known] of oids) if (sameOctets(known, wanted)) return hash;
  return undefined;
}

/** The context-specific, constructed tags of RSASSA-PSS-params (RFC 4055 §3.1). */
const tagged = { hash: 0xa0, mask: 0xa1, saltLength: 0xa2, trailer: 0xa3 } as const;

function pssParameters(hash: number, saltOctets: number): Uint8Array {
  const hashIdentifier = der(Der.SEQUENCE, oidOf(hashOids, hash), asn1Null);
  return der(
    Der.SEQUENCE,
    der(tagged.hash, hashIdentifier),
    der(tagged.mask, der(Der.SEQUENCE, mgf1Oid, hashIdentifier)),
    ...(saltOctets === DEFAULT_SALT ? [] : [der(tagged.saltLength, derUnsigned(Uint8Array.of(saltOctets)))]),
  );
}

function readAlgorithm(r: Reader): SignatureAlgorithm | undefined {
  const algorithm = readDer(r, Der.SEQUENCE);
  const id = readOid(algorithm);
  if (sameOctets(id, pssOid)) return readPss(algorithm);
  const pkcs1 = hashOf(pkcs1Oids, id);
  if (pkcs1 !== undefined) {
    readOptionalNull(algorithm);
    return { kind: 'pkcs1', hash: pkcs1 };
  }
  // ECDSA (RFC 5758 §3.2) and EdDSA (RFC 8410 §3) have no parameters.
  const ecdsa = hashOf(ecdsaOids, id);
  if (algorithm.remaining > 0) return undefined;
  if (ecdsa !== undefined) return { kind: 'ecdsa', hash: ecdsa };
  if (sameOctets(id, ed25519Oid)) return { kind: 'eddsa', curve: 'Ed25519' };
  if (sameOctets(id, ed448Oid)) return { kind: 'eddsa', curve: 'Ed448' };
  return undefined;
}

/** The whole element, tag and length included. */
function readOid(r: Reader): Uint8Array {
  return der(Der.OID, readDer(r, Der.OID).rest());
}

/** RFC 4055 §2.1, §5: parameters that are NULL or absent are to be accepted alike. */
function readOptionalNull(r: Reader): void {
  if (r.remaining > 0) readDer(r, Der.NULL).done();
  r.done();
}

function readPss(algorithm: Reader): SignatureAlgorithm | undefined {
  const parameters = readDer(algorithm, Der.SEQUENCE);
  algorithm.done();
  const hash = readHash(readDer(parameters, tagged.hash));
  const mask = readDer(parameters, tagged.mask);
  const mgf = readDer(mask, Der.SEQUENCE);
  mask.done();
  const isMgf1 = sameOctets(readOid(mgf), mgf1Oid);
  const maskHash = readHash(mgf);
  const hasSalt = parameters.remaining > 0 && parameters.at(parameters.offset).u8() === tagged.saltLength;
  const saltOctets = hasSalt ? readSmall(readDer(parameters, tagged.saltLength)) : DEFAULT_SALT;
  const trailer = parameters.remaining > 0 ? readSmall(readDer(parameters, tagged.trailer)) : DEFAULT_TRAILER;
  parameters.done();
  if (hash === undefined || !isMgf1 || maskHash !== hash || trailer !== DEFAULT_TRAILER) return undefined;
  return { kind: 'pss', hash, saltOctets };
}

/** Left out where they are so (RFC 4055 §3.1). */
const DEFAULT_SALT = 20;
const DEFAULT_TRAILER = 1;

/** An AlgorithmIdentifier of a hash, all that is left in `r`. */
function readHash(r: Reader): number | undefined {
  const identifier = readDer(r, Der.SEQUENCE);
  r.done();
  const hash = hashOf(hashOids, readOid(identifier));
  readOptionalNull(identifier);
  return hash;
}

/** An INTEGER of one octet, all that is left in `r`. */
function readSmall(r: Reader): number {
  const octets = readDerUnsigned(r);
  r.done();
  if (octets.length > 1) r.fail('an INTEGER larger than 255');
  return octets[0] ?? 0;
}
