import { createHash, X509Certificate } from 'node:crypto';
import type { IpAddress } from '../../net/address.ts';
import type { PublicKey } from '../../net/public-key.ts';
import type { WallSeconds } from '../../time.ts';
import { Der, der, readDer, readDerUnsigned } from '../../wire/der.ts';
import { concatOctets, sameOctets, toHex, toLatin1 } from '../../wire/octets.ts';
import { decoded, type Reader } from '../../wire/reader.ts';
import { IdType } from '../numbers.ts';
import { decodeAlgorithm } from './algorithm-identifier.ts';
import { importPublicKey, publicKeyOf, type ImportedKey } from './public-key.ts';

/**
 * Certificates of private groups (RFC 5280, in the profile of RFC 4945). OpenSSL, through `node:crypto`, reads each one
 * strictly and checks its signature; what a path needs beside that is here: names that follow one another, times, who
 * may issue and how far, what a key is for, extensions that must be understood. Nothing is fetched: no revocation lists,
 * no certificates by URL.
 */
export interface Certificate {
  readonly octets: Uint8Array;
  readonly x509: X509Certificate;
  /** Distinguished names in DER. */
  readonly subject: Uint8Array;
  readonly issuer: Uint8Array;
  readonly notBefore: WallSeconds;
  readonly notAfter: WallSeconds;
  /** Signed with what RFC 7427 could name too; SHA-1 and MD5 are not. */
  readonly isSignedWell: boolean;
  /** SubjectPublicKeyInfo in DER. */
  readonly keyInfo: Uint8Array;
  readonly publicKey: PublicKey | undefined;
  readonly isAuthority: boolean;
  /** Authorities that may stand between it and the end of a path. */
  readonly pathLength: number | undefined;
  /** The first octet of the bit string; undefined: it may be used for everything. */
  readonly keyUsage: number | undefined;
  /** Object identifiers, in hexadecimal; undefined: for everything. */
  readonly purposes: readonly string[] | undefined;
  readonly names: AlternativeNames;
  /** What it has that must be understood and is not. */
  readonly unknown: string | undefined;
}

/** Subject alternative names of the kinds that IKE knows (RFC 4945 §3.1). */
export interface AlternativeNames {
  readonly dns: readonly string[];
  readonly mail: readonly string[];
  readonly addresses: readonly Uint8Array[];
}

export type ReadCertificate =
  { readonly ok: true; readonly certificate: Certificate } | { readonly ok: false; readonly why: string };

/** One certificate in DER. */
export function readCertificate(octets: Uint8Array): ReadCertificate {
  if (octets.length > mostOctets) return { ok: false, why: `it has ${octets.length} octets` };
  let x509: X509Certificate;
  try {
    x509 = new X509Certificate(octets);
  } catch {
    return { ok: false, why: 'it is no certificate' };
  }
  const read = decoded(octets, readFields);
  if (!read.ok) return { ok: false, why: read.error.message };
  const notBefore = Math.ceil(x509.validFromDate.getTime() / 1_000) as WallSeconds;
  const notAfter = Math.floor(x509.validToDate.getTime() / 1_000) as WallSeconds;
  // OpenSSL cannot make a key of everything that it can read.
  let publicKey: PublicKey | undefined;
  try {
    publicKey = publicKeyOf(x509.publicKey);
  } catch {
    publicKey = undefined;
  }
  return {
    ok: true,
    certificate: { ...read.value, octets: octets.slice(), x509, notBefore, notAfter, publicKey },
  };
}

/** What a CERTREQ names an authority by (RFC 7296 §3.7): SHA-1 of its SubjectPublicKeyInfo. */
export function authorityHash({ keyInfo }: Certificate): Uint8Array {
  return new Uint8Array(createHash('sha1').update(keyInfo).digest());
}

export type Path =
  { readonly ok: true; readonly key: PublicKey } | { readonly ok: false; readonly why: string };

/**
 * Whether `end` leads to one of `authorities`, over some of `others`, and may authenticate an IKE peer now. `why` is a
 * clause.
 */
export function judgePath(
  end: Certificate,
  others: readonly Certificate[],
  authorities: readonly Certificate[],
  wall: WallSeconds,
): Path {
  const why = endFault(end, wall);
  if (why !== undefined) return { ok: false, why };
  const imported = importedKey(end);
  if (!imported.ok) return { ok: false, why: `its key is no good: ${imported.why}` };
  const search: Search = {
    others,
    authorities,
    wall,
    steps: 0,
    why: 'it leads to no authority of the group',
  };
  return leads(search, end, 0) ? { ok: true, key: imported.key.publicKey } : { ok: false, why: search.why };
}

/** Why the certificate does not entitle its holder to the identity, as a clause; undefined where it does (RFC 4945 §3.1). */
export function identityFault(
  { subject, names }: Certificate,
  id: { readonly type: number; readonly data: Uint8Array },
  peer: IpAddress,
): string | undefined {
  switch (id.type) {
    case IdType.ID_DER_ASN1_DN:
      return sameOctets(id.data, subject) ? undefined : 'its certificate is of another subject';
    case IdType.ID_FQDN: {
      const name = toLatin1(id.data).toLowerCase();
      return names.dns.includes(name) ? undefined : 'its certificate is not of the name that it gives';
    }
    case IdType.ID_RFC822_ADDR:
      return names.mail.includes(toLatin1(id.data)) ? undefined : 'its certificate is not of that mailbox';
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR:
      if (!sameOctets(id.data, peer.octets)) return 'it names an address that is not its own';
      return names.addresses.some((a) => sameOctets(a, id.data))
        ? undefined
        : 'its certificate is not of its address';
    default:
      return `an identity of type ${id.type} stands in no certificate`;
  }
}

/** Whether one of the names of a certificate is `name`; `*` stands for one label at the beginning (RFC 9525 §6.3). */
export function bearsName(names: readonly string[], name: string): boolean {
  const wanted = name.toLowerCase().replace(/\.$/, '');
  const above = wanted.slice(wanted.indexOf('.'));
  return names.some((n) => n === wanted || (n.startsWith('*.') && above.length > 1 && n.slice(1) === above));
}

const mostOctets = 16_384;
/** Authorities between the end and what the configuration names; signatures that one judgement may cost. */
const longestPath = 5;
const mostSteps = 16;

interface Search {
  readonly others: readonly Certificate[];
  readonly authorities: readonly Certificate[];
  readonly wall: WallSeconds;
  steps: number;
  /** Of what has come furthest. */
  why: string;
}

/** `below`: authorities between `at` and the end, those not counted that issue to themselves (RFC 5280 §4.2.1.9). */
function leads(search: Search, at: Certificate, below: number, depth = 0): boolean {
  for (const authority of search.authorities) {
    if (isSigned(search, at, authority) && mayIssue(search, authority, below)) return true;
  }
  if (depth === longestPath) return false;
  for (const other of search.others) {
    if (other === at || !isSigned(search, at, other) || !mayIssue(search, other, below)) continue;
    const isSelfIssued = sameOctets(other.subject, other.issuer);
    if (leads(search, other, isSelfIssued ? below : below + 1, depth + 1)) return true;
  }
  return false;
}

function isSigned(search: Search, at: Certificate, by: Certificate): boolean {
  if (!sameOctets(at.issuer, by.subject)) return false;
  if (!at.isSignedWell) {
    search.why = 'a certificate on the way is signed with SHA-1 or worse';
    return false;
  }
  // RFC 7296 lets the peer send what it likes; what it costs us is bounded.
  if (++search.steps > mostSteps || !importedKey(by).ok) return false;
  try {
    if (at.x509.checkIssued(by.x509) && at.x509.verify(by.x509.publicKey)) return true;
  } catch {
    // A key of a kind that cannot have signed it.
  }
  search.why = 'a signature on the way to an authority is wrong';
  return false;
}

function mayIssue(search: Search, issuer: Certificate, below: number): boolean {
  const why = issuerFault(issuer, below, search.wall);
  if (why !== undefined) search.why = why;
  return why === undefined;
}

/** RFC 5280 §6.1.4. */
function issuerFault(issuer: Certificate, below: number, wall: WallSeconds): string | undefined {
  if (!issuer.isAuthority) return 'its issuer is no authority';
  if (issuer.keyUsage !== undefined && (issuer.keyUsage & KeyUsage.keyCertSign) === 0)
    return 'its issuer may not sign certificates';
  if (issuer.pathLength !== undefined && below > issuer.pathLength)
    return 'there are more authorities on the way than one of them allows';
  if (issuer.unknown !== undefined) return `an authority ${issuer.unknown}`;
  return timeFault(issuer, wall, 'the certificate of an authority');
}

/** RFC 4945 §5.1.3. */
function endFault(end: Certificate, wall: WallSeconds): string | undefined {
  if (end.unknown !== undefined) return `its certificate ${end.unknown}`;
  if (
    end.keyUsage !== undefined &&
    (end.keyUsage & (KeyUsage.digitalSignature | KeyUsage.nonRepudiation)) === 0
  )
    return 'its certificate is not for signatures';
  if (end.purposes && !end.purposes.some((p) => fitPurposes.has(p))) return 'its certificate is not for IKE';
  return timeFault(end, wall, 'its certificate');
}

function timeFault(certificate: Certificate, wall: WallSeconds, what: string): string | undefined {
  if (wall < certificate.notBefore) return `${what} is not valid yet`;
  return wall > certificate.notAfter ? `${what} has expired` : undefined;
}

function importedKey({ publicKey }: Certificate): ImportedKey {
  return publicKey ? importPublicKey(publicKey) : { ok: false, why: 'it is of a kind that IKE cannot use' };
}

/** Bits of the first octet (RFC 5280 §4.2.1.3). */
const KeyUsage = { digitalSignature: 0x80, nonRepudiation: 0x40, keyCertSign: 0x04 } as const;

/** anyExtendedKeyUsage, id-kp-ipsecIKE, and those of TLS, which most authorities give to hosts. */
const fitPurposes = new Set(['551d2500', '2b06010505070311', '2b06010505070301', '2b06010505070302']);

const Extension = {
  keyUsage: '551d0f',
  alternativeNames: '551d11',
  basicConstraints: '551d13',
  policies: '551d20',
  purposes: '551d25',
  nameConstraints: '551d1e',
} as const;

/** Context-specific tags. */
const tag = { version: 0xa0, extensions: 0xa3, mail: 0x81, dns: 0x82, address: 0x87 } as const;
const BOOLEAN = 0x01;

type Fields = Omit<Certificate, 'octets' | 'x509' | 'notBefore' | 'notAfter' | 'publicKey'>;

/** Certificate (RFC 5280 §4.1). */
function readFields(r: Reader): Fields {
  const certificate = readDer(r, Der.SEQUENCE);
  const tbs = readDer(certificate, Der.SEQUENCE);
  if (nextTag(tbs) === tag.version) readDer(tbs, tag.version);
  readDer(tbs, Der.INTEGER); // serial number
  const algorithm = readWhole(tbs); // OpenSSL sees to it that the outer one is the same
  const issuer = readWhole(tbs);
  readDer(tbs, Der.SEQUENCE); // validity: OpenSSL reads it
  const subject = readWhole(tbs);
  const keyInfo = readWhole(tbs);
  let fields: Fields = {
    subject,
    issuer,
    isSignedWell: decodeAlgorithm(algorithm) !== undefined,
    keyInfo,
    isAuthority: false,
    pathLength: undefined,
    keyUsage: undefined,
    purposes: undefined,
    names: { dns: [], mail: [], addresses: [] },
    unknown: undefined,
  };
  while (tbs.remaining > 0) {
    if (nextTag(tbs) !== tag.extensions) {
      readDer(tbs, nextTag(tbs)); // unique identifiers, which nobody has
      continue;
    }
    const extensions = readDer(readDer(tbs, tag.extensions), Der.SEQUENCE);
    const seen = new Set<string>();
    while (extensions.remaining > 0) {
      const extension = readDer(extensions, Der.SEQUENCE);
      const id = toHex(readDer(extension, Der.OID).rest());
      if (seen.has(id)) extension.fail('an extension that is there twice');
      seen.add(id);
      const critical = nextTag(extension) === BOOLEAN && readDer(extension, BOOLEAN).u8() !== 0;
      const value = readDer(extension, Der.OCTET_STRING);
      extension.done();
      fields = { ...fields, ...readExtension(value, id, critical) };
    }
  }
  readDer(certificate, Der.SEQUENCE);
  readDer(certificate, Der.BIT_STRING);
  certificate.done();
  return fields;
}

function readExtension(value: Reader, id: string, critical: boolean): Partial<Fields> {
  switch (id) {
    case Extension.basicConstraints: {
      const constraints = readDer(value, Der.SEQUENCE);
      const isAuthority = nextTag(constraints) === BOOLEAN && readDer(constraints, BOOLEAN).u8() !== 0;
      if (constraints.remaining === 0) return { isAuthority };
      const octets = readDerUnsigned(constraints);
      if (octets.length > 1) constraints.fail('a path length above 255');
      return { isAuthority, pathLength: octets[0] ?? 0 };
    }
    case Extension.keyUsage: {
      const bits = readDer(value, Der.BIT_STRING);
      bits.u8(); // unused bits, which DER has as zeros
      return { keyUsage: bits.remaining > 0 ? bits.u8() : 0 };
    }
    case Extension.purposes: {
      const sequence = readDer(value, Der.SEQUENCE);
      const purposes: string[] = [];
      while (sequence.remaining > 0) purposes.push(toHex(readDer(sequence, Der.OID).rest()));
      return { purposes };
    }
    case Extension.alternativeNames:
      return { names: readNames(readDer(value, Der.SEQUENCE)) };
    case Extension.policies:
      return {}; // no policy is asked for, so every one will do (RFC 5280 §6.1.1)
    case Extension.nameConstraints:
      // Critical or not: whoever wrote it counts on its being obeyed.
      return { unknown: 'has name constraints, which oe does not check' };
    default:
      return critical ? { unknown: `has a critical extension that oe does not know (${id})` } : {};
  }
}

function readNames(sequence: Reader): AlternativeNames {
  const names = { dns: [] as string[], mail: [] as string[], addresses: [] as Uint8Array[] };
  while (sequence.remaining > 0) {
    const kind = nextTag(sequence);
    const octets = readDer(sequence, kind).rest();
    if (kind === tag.dns) names.dns.push(toLatin1(octets).toLowerCase());
    if (kind === tag.mail) names.mail.push(toLatin1(octets));
    if (kind === tag.address) names.addresses.push(octets.slice());
  }
  return names;
}

/** The next SEQUENCE, with its tag and length. */
function readWhole(r: Reader): Uint8Array {
  return der(Der.SEQUENCE, concatOctets(readDer(r, Der.SEQUENCE).rest()));
}

function nextTag(r: Reader): number {
  return r.remaining > 0 ? r.at(r.offset).u8() : -1;
}
