import { createHash, verify, X509Certificate } from 'node:crypto';
import type { WallSeconds } from '../../time.ts';
import { readDer, readDerUnsigned, Der, der } from '../../wire/der.ts';
import { sameOctets, toHex } from '../../wire/octets.ts';
import { decoded, type Reader } from '../../wire/reader.ts';

/** Contents of object identifiers, as DER has them, by what they are called. */
const Oid = {
  data: '2a864886f70d010701',
  signedData: '2a864886f70d010702',
  contentType: '2a864886f70d010903',
  messageDigest: '2a864886f70d010904',
} as const;

/** Digest algorithms by their object identifier. */
const digests = new Map([
  ['608648016503040201', 'sha256'],
  ['608648016503040202', 'sha384'],
  ['608648016503040203', 'sha512'],
]);

/** Context-specific tags of SignedData and SignerInfo (RFC 5652 §5.1, §5.3). */
const [tag0, tag1, setTag] = [0xa0, 0xa1, 0x31];
/** Certificates from the signer's to the CA's that are followed. */
const longestPath = 4;

interface Signed {
  readonly certificates: readonly Uint8Array[];
  readonly digest: string;
  /** The attributes as they were signed: a SET OF (RFC 5652 §5.4). */
  readonly attributes: Uint8Array;
  readonly attributeValues: ReadonlyMap<string, Uint8Array>;
  readonly signature: Uint8Array;
}

/**
 * Why `signature`, a detached CMS signature (RFC 5652) in DER, does not prove that the holder of `mailbox` signed
 * `content`, by a certificate that leads to `ca` (PEM) and is in force; undefined where it does. Of CMS this is what a
 * detached signature by one RSA or ECDSA signer with signed attributes needs, and no more.
 */
export function cmsFault(
  content: Uint8Array,
  signature: Uint8Array,
  ca: string,
  mailbox: string,
  wall: WallSeconds,
): string | undefined {
  const read = decoded(signature, readSignedData);
  if (!read.ok) return `the signature is not readable: ${read.error.message}`;
  const { certificates, digest, attributes, attributeValues, signature: value } = read.value;
  if (toHex(attributeValues.get(Oid.contentType) ?? new Uint8Array()) !== Oid.data)
    return 'the signature is not one of data';
  const own = Uint8Array.from(createHash(digest).update(content).digest());
  if (!sameOctets(own, attributeValues.get(Oid.messageDigest) ?? new Uint8Array()))
    return 'the signature is one of another file';
  try {
    const known = certificates.map((c) => new X509Certificate(c));
    const signer = known.find((c) => !c.ca && verify(digest, attributes, c.publicKey, value));
    if (!signer) return 'no certificate that came along made the signature';
    if (!signer.subject.split('\n').includes(`emailAddress=${mailbox}`))
      return `the signature is not by ${mailbox}`;
    return pathFault(signer, known, new X509Certificate(ca), wall);
  } catch (error) {
    // OpenSSL refuses a certificate or a key: that is an answer about the peer's octets, not a fault of ours.
    return `a certificate is not usable: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Why the certificate does not lead to the CA. */
function pathFault(
  signer: X509Certificate,
  known: readonly X509Certificate[],
  ca: X509Certificate,
  wall: WallSeconds,
): string | undefined {
  const path = [ca, signer];
  for (let at = signer; path.length <= longestPath; path.push(at)) {
    if (isIssuedBy(at, ca)) return path.map((c) => timeFault(c, wall)).find((late) => late !== undefined);
    const next = known.find((c) => c.ca && c.fingerprint256 !== at.fingerprint256 && isIssuedBy(at, c));
    if (!next) break;
    at = next;
  }
  return 'the certificate of the signer does not lead to the ICANN CA';
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function timeFault(certificate: X509Certificate, wall: WallSeconds): string | undefined {
  const name = certificate.subject.split('\n').find((part) => part.startsWith('CN=')) ?? 'a certificate';
  if (wall * 1000 < certificate.validFromDate.getTime())
    return `the certificate ${name} is not valid before ${certificate.validFrom}`;
  if (wall * 1000 > certificate.validToDate.getTime())
    return `the certificate ${name} expired on ${certificate.validTo}`;
  return undefined;
}

/** ContentInfo with SignedData of one signer (RFC 5652 §3, §5.1). */
function readSignedData(r: Reader): Signed {
  const info = readDer(r, Der.SEQUENCE);
  if (toHex(readDer(info, Der.OID).rest()) !== Oid.signedData) info.fail('no SignedData');
  const outer = readDer(info, tag0);
  info.done();
  const data = readDer(outer, Der.SEQUENCE);
  outer.done();
  readDerUnsigned(data); // version: what follows says it better
  readDer(data, setTag); // digestAlgorithms: each signer names its own
  const content = readDer(data, Der.SEQUENCE);
  if (toHex(readDer(content, Der.OID).rest()) !== Oid.data) content.fail('not a signature of data');
  if (content.remaining > 0) content.fail('a signature that is not detached');
  const certificates: Uint8Array[] = [];
  if (nextTag(data) === tag0) {
    const all = readDer(data, tag0);
    while (all.remaining > 0) certificates.push(der(Der.SEQUENCE, readDer(all, Der.SEQUENCE).rest()));
  }
  if (nextTag(data) === tag1) readDer(data, tag1); // revocation lists: IANA's has none
  const signers = readDer(data, setTag);
  data.done();
  const signer = readSigner(readDer(signers, Der.SEQUENCE));
  if (signers.remaining > 0) signers.fail('more than one signer');
  return { certificates, ...signer };
}

/** SignerInfo (RFC 5652 §5.3). Who it says to be is not read: its certificate is the one that fits the signature. */
function readSigner(r: Reader): Omit<Signed, 'certificates'> {
  readDerUnsigned(r); // version
  readDer(r, nextTag(r) === Der.SEQUENCE ? Der.SEQUENCE : 0x80); // issuer and serial number, or key identifier
  const digest = digests.get(toHex(readDer(readDer(r, Der.SEQUENCE), Der.OID).rest()));
  if (digest === undefined) r.fail('a digest that is not SHA-2');
  if (nextTag(r) !== tag0) r.fail('no signed attributes');
  const inner = readDer(r, tag0).rest();
  const attributeValues = decoded(inner, readAttributes);
  if (!attributeValues.ok) throw attributeValues.error;
  readDer(r, Der.SEQUENCE); // signatureAlgorithm: that of the certificate's key
  const signature = readDer(r, Der.OCTET_STRING).rest();
  return {
    digest,
    attributes: der(setTag, inner),
    attributeValues: attributeValues.value,
    signature,
  };
}

/** Content of the first value of each attribute, by the attribute's object identifier. */
function readAttributes(r: Reader): Map<string, Uint8Array> {
  const values = new Map<string, Uint8Array>();
  while (r.remaining > 0) {
    const attribute = readDer(r, Der.SEQUENCE);
    const type = toHex(readDer(attribute, Der.OID).rest());
    if (values.has(type)) attribute.fail('an attribute that is there twice');
    const value = readDer(attribute, setTag);
    values.set(type, value.remaining > 0 ? readDer(value, nextTag(value)).rest() : new Uint8Array());
    attribute.done();
  }
  return values;
}

function nextTag(r: Reader): number {
  return r.remaining > 0 ? r.at(r.offset).u8() : -1;
}
