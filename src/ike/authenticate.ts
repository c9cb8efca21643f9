import { formatAddress, type IpAddress } from '../net/address.ts';
import { describePublicKey, type PublicKey } from '../net/public-key.ts';
import type { WallSeconds } from '../time.ts';
import { concatOctets, sameOctets } from '../wire/octets.ts';
import { decodeAuthMethods, type AuthAnnouncement } from './auth-methods.ts';
import type { PeerAuth } from './child.ts';
import { sharedKeyAuth, signedOctets, verifySharedKeyAuth } from './crypto/auth.ts';
import { identityFault, judgePath, readCertificate, type Certificate } from './crypto/certificate.ts';
import { keyInfoOf } from './crypto/public-key.ts';
import { importPublicKey, signAuth, verifyAuth, type AuthValue } from './crypto/signature.ts';
import type { HostIdentity } from './endpoint.ts';
import { AuthMethod, authMethodName, CertEncoding, IdType, idTypeName, NotifyType } from './numbers.ts';
import type { AuthPayload, CertPayload, IdPayload, InnerPayload, Payload } from './payloads.ts';
import { groupNamed, type PrivateGroup } from './private-group.ts';
import { proves, type Proof } from './proof.ts';
import type { IntAuth, Role, Secrets } from './session.ts';
import { findNotify } from './shapes.ts';

/** What the peer has told us of the proofs that it wants. */
export interface PeerWishes {
  /** RFC 9593; undefined: it has said nothing. */
  readonly methods: readonly AuthAnnouncement[] | undefined;
  /** It asks for our raw public key (RFC 7670 §3.2). */
  readonly rawKey: boolean;
}

/** Of IKE_SA_INIT where we began, of IKE_AUTH where the peer did. */
export function wishesIn(payloads: readonly Payload[]): PeerWishes {
  const announced = findNotify(payloads, NotifyType.SUPPORTED_AUTH_METHODS);
  return {
    methods: announced && decodeAuthMethods(announced.data),
    rawKey: payloads.some((p) => p.kind === 'CERTREQ' && p.encoding === CertEncoding.RAW_PUBLIC_KEY),
  };
}

/** How we prove who we are. */
export interface OwnProof {
  readonly id: IdPayload;
  readonly auth: AuthPayload;
  /** Ours first (RFC 7296 §3.6). */
  readonly certificates: readonly CertPayload[];
  /** Whether the peer learns who we are. */
  readonly identified: boolean;
}

/** With what we may prove who we are. */
export interface OwnMeans {
  /** The key that DNS publishes for us; undefined: we are nobody. */
  readonly identity: HostIdentity | undefined;
  /** The private group that we have in common with the peer. */
  readonly group: PrivateGroup | undefined;
  readonly local: IpAddress;
  readonly wishes: PeerWishes;
}

/**
 * ID, CERT and AUTH of ours: as a member of the group; else our address and a signature (RFC 7427). Without an identity,
 * or where the peer cannot verify our kind of key, ID_NULL and the NULL method (RFC 7619).
 */
export function proveOurselves(secrets: Secrets, role: Role, means: OwnMeans): OwnProof {
  const proof = means.group
    ? memberProof(secrets, role, means, means.group)
    : hostProof(secrets, role, means);
  if (proof) return proof;
  const id: IdPayload = { kind: kindOf(role), type: IdType.ID_NULL, data: new Uint8Array(0) };
  const data = sharedKeyAuth(secrets.suite.prf, skPOf(secrets, role), signedBy(secrets, role, id));
  return {
    id,
    auth: { kind: 'AUTH', method: AuthMethod.NULL, data },
    certificates: [],
    identified: false,
  };
}

function kindOf(role: Role): IdPayload['kind'] {
  return role === 'initiator' ? 'IDi' : 'IDr';
}

function hostProof(secrets: Secrets, role: Role, means: OwnMeans): OwnProof | undefined {
  const { identity, wishes, local } = means;
  if (!identity) return undefined;
  const id: IdPayload = { kind: kindOf(role), ...idOfAddress(local) };
  const verifier = { hashes: secrets.peerHashes, methods: wishes.methods };
  const value = signAuth(identity.privateKey, verifier, signedBy(secrets, role, id));
  if (!value) return undefined;
  const imported = wishes.rawKey ? importPublicKey(identity.publicKey) : undefined;
  const certificates: CertPayload[] = imported?.ok
    ? [{ kind: 'CERT', encoding: CertEncoding.RAW_PUBLIC_KEY, data: keyInfoOf(imported.key) }]
    : [];
  return { id, auth: { kind: 'AUTH', ...value }, certificates, identified: true };
}

function memberProof(
  secrets: Secrets,
  role: Role,
  means: OwnMeans,
  group: PrivateGroup,
): OwnProof | undefined {
  const kind = kindOf(role);
  if (group.kind === 'secret') {
    const id: IdPayload = { kind, ...(group.id ?? idOfAddress(means.local)) };
    const data = sharedKeyAuth(secrets.suite.prf, group.secret, signedBy(secrets, role, id));
    const auth: AuthPayload = { kind: 'AUTH', method: AuthMethod.SHARED_KEY_MIC, data };
    return { id, auth, certificates: [], identified: true };
  }
  const [own] = group.chain;
  if (!own) return undefined;
  const id: IdPayload = { kind, ...(group.id ?? { type: IdType.ID_DER_ASN1_DN, data: own.subject }) };
  const verifier = { hashes: secrets.peerHashes, methods: means.wishes.methods };
  const value = signAuth(group.privateKey, verifier, signedBy(secrets, role, id));
  if (!value) return undefined;
  const certificates = group.chain.map(({ octets }): CertPayload => ({
    kind: 'CERT',
    encoding: CertEncoding.X509_SIGNATURE,
    data: octets,
  }));
  return { id, auth: { kind: 'AUTH', ...value }, certificates, identified: true };
}

function idOfAddress(address: IpAddress): { readonly type: number; readonly data: Uint8Array } {
  return { type: address.family === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR, data: address.octets };
}

/** `scheme`: for people. Not ok: `why` is a clause. */
export type PeerProof =
  | { readonly ok: true; readonly peerAuth: PeerAuth; readonly scheme: string }
  | { readonly ok: false; readonly why: string };

/** What the peer gives as its proof, and by what it is judged. */
export interface Claimed {
  readonly id: IdPayload;
  readonly auth: AuthValue;
  /** Of the message that has it. */
  readonly payloads: readonly InnerPayload[];
  /** Where it is. */
  readonly peer: IpAddress;
  /** What it may prove. */
  readonly wanted: readonly Proof[];
  readonly groups: readonly PrivateGroup[] | undefined;
  readonly wall: WallSeconds;
}

/**
 * Judges the peer's AUTH: of the method NULL it shows only that the exchange was not tampered with (RFC 7619 §2); else it
 * must prove one of what is wanted. The ID that goes with it is covered, but what counts is the key.
 */
export function judgeProof(secrets: Secrets, peerRole: Role, claimed: Claimed): PeerProof {
  const { id, auth, wanted } = claimed;
  const signed = signedBy(secrets, peerRole, id);
  if (auth.method === AuthMethod.NULL) {
    return verifySharedKeyAuth(secrets.suite.prf, skPOf(secrets, peerRole), signed, auth.data)
      ? { ok: true, peerAuth: { kind: 'anonymous' }, scheme: 'nothing' }
      : { ok: false, why: 'its NULL authentication does not fit the exchange' };
  }
  if (id.type === IdType.ID_NULL) return { ok: false, why: 'it signs without an identity' };
  const keys = wanted.flatMap((w) => (w.kind === 'memberOf' ? [] : [w]));
  const groups = wanted.flatMap((w) => {
    const group = w.kind === 'memberOf' ? groupNamed(claimed.groups, w.group) : undefined;
    return group ? [group] : [];
  });
  if (keys.length + groups.length === 0) return { ok: false, why: `there is no key for ${describeId(id)}` };
  if (auth.method === AuthMethod.SHARED_KEY_MIC) return judgeSecret(secrets, auth, signed, groups);
  const member = judgeCertificate(secrets, claimed, signed, groups);
  return member?.ok === true || (member && keys.length === 0)
    ? member
    : judgeKeys(secrets, claimed, signed, keys);
}

function judgeSecret(
  secrets: Secrets,
  auth: AuthValue,
  signed: Uint8Array,
  groups: readonly PrivateGroup[],
): PeerProof {
  for (const group of groups) {
    if (group.kind !== 'secret') continue;
    if (!verifySharedKeyAuth(secrets.suite.prf, group.secret, signed, auth.data)) continue;
    const peerAuth: PeerAuth = { kind: 'member', group: group.name, names: undefined };
    return { ok: true, peerAuth, scheme: `that it knows the secret of ${group.name}` };
  }
  return groups.some((g) => g.kind === 'secret')
    ? { ok: false, why: 'it does not know the secret of the group' }
    : { ok: false, why: 'it proves a secret, and there is none in common with it' };
}

/** Undefined where no group of them has certificates. */
function judgeCertificate(
  secrets: Secrets,
  claimed: Claimed,
  signed: Uint8Array,
  groups: readonly PrivateGroup[],
): PeerProof | undefined {
  if (!groups.some((g) => g.kind === 'certificate')) {
    return groups.length === 0 ? undefined : { ok: false, why: 'the group has a secret, and it signs' };
  }
  const [end, ...others] = certificatesIn(claimed.payloads);
  if (!end) return { ok: false, why: 'it sends no certificate that can be read' };
  let why = identityFault(end, claimed.id, claimed.peer);
  for (const group of groups) {
    if (group.kind !== 'certificate' || why !== undefined) continue;
    const path = judgePath(end, others, group.authorities, claimed.wall);
    if (!path.ok) {
      why = path.why;
      continue;
    }
    const proof = judgeKey(secrets, claimed.auth, signed, path.key);
    if (!proof.ok) return proof;
    const peerAuth: PeerAuth = { kind: 'member', group: group.name, names: end.names.dns };
    if (!proves(peerAuth, claimed.wanted)) {
      return { ok: false, why: 'its certificate is not of the name that was looked up' };
    }
    return { ok: true, peerAuth, scheme: `a certificate of ${group.name}: ${proof.scheme}` };
  }
  return { ok: false, why: why ?? 'it is no member of the group' };
}

/** The first is that of the peer itself (RFC 7296 §3.6); none where that one cannot be read. */
function certificatesIn(payloads: readonly InnerPayload[]): readonly Certificate[] {
  const found = payloads
    .filter((p): p is CertPayload => p.kind === 'CERT' && p.encoding === CertEncoding.X509_SIGNATURE)
    .slice(0, mostCertificates)
    .map((p) => readCertificate(p.data));
  return found[0]?.ok === true ? found.flatMap((read) => (read.ok ? [read.certificate] : [])) : [];
}

const mostCertificates = 8;

/**
 * A raw key that came along proves nothing (RFC 7670 §5): it only says which of those that DNS publishes is to be tried
 * first.
 */
function judgeKeys(
  secrets: Secrets,
  claimed: Claimed,
  signed: Uint8Array,
  keys: readonly PublicKey[],
): PeerProof {
  const { auth, payloads } = claimed;
  const hint = payloads.find(
    (p): p is CertPayload => p.kind === 'CERT' && p.encoding === CertEncoding.RAW_PUBLIC_KEY,
  );
  let why = '';
  for (const key of hint ? hintedFirst(keys, hint.data) : keys) {
    const proof = judgeKey(secrets, auth, signed, key);
    if (proof.ok) return { ok: true, peerAuth: { kind: 'key', key }, scheme: proof.scheme };
    why ||= proof.why;
  }
  const tried =
    keys.length === 1 ? 'the key that DNS publishes' : `any of ${keys.length} keys that DNS publishes`;
  return { ok: false, why: `its ${authMethodName(auth.method)} does not verify with ${tried} (${why})` };
}

function hintedFirst(keys: readonly PublicKey[], keyInfo: Uint8Array): readonly PublicKey[] {
  const isHinted = (key: PublicKey): boolean => {
    const imported = importPublicKey(key);
    return imported.ok && sameOctets(keyInfoOf(imported.key), keyInfo);
  };
  const found = keys.find(isHinted);
  return found ? [found, ...keys.filter((k) => k !== found)] : keys;
}

function judgeKey(
  secrets: Secrets,
  auth: AuthValue,
  signed: Uint8Array,
  key: PublicKey,
): { readonly ok: true; readonly scheme: string } | { readonly ok: false; readonly why: string } {
  const imported = importPublicKey(key);
  if (!imported.ok) return { ok: false, why: `its key is no good: ${imported.why}` };
  const verified = verifyAuth(imported.key, auth, signed, { announces: secrets.peerHashes !== undefined });
  if (!verified.ok) return verified;
  const weak = verified.weak ? ', a weak hash' : '';
  return { ok: true, scheme: `${describePublicKey(key)} (${verified.scheme}${weak})` };
}

/** `198.51.100.7`, `host.example (ID_FQDN)`: never with characters that a terminal obeys. */
export function describeId(id: { readonly type: number; readonly data: Uint8Array }): string {
  switch (id.type) {
    case IdType.ID_NULL:
      return 'nobody (ID_NULL)';
    case IdType.ID_IPV4_ADDR:
      if (id.data.length === 4) return formatAddress({ family: 4, octets: id.data });
      break;
    case IdType.ID_IPV6_ADDR:
      if (id.data.length === 16) return formatAddress({ family: 6, octets: id.data });
      break;
    case IdType.ID_FQDN: {
      const text = String.fromCharCode(...id.data.subarray(0, 253));
      if (/^[\x21-\x7e]+$/.test(text)) return `${text} (ID_FQDN)`;
      break;
    }
  }
  return `${idTypeName(id.type)} of ${id.data.length} octets`;
}

function signedBy(secrets: Secrets, role: Role, id: IdPayload): Uint8Array {
  const isInitiator = role === 'initiator';
  return signedOctets({
    ownInit: isInitiator ? secrets.initI : secrets.initR,
    otherNonce: isInitiator ? secrets.nonceR : secrets.nonceI,
    prf: secrets.suite.prf,
    skP: skPOf(secrets, role),
    id,
    ...(secrets.intAuth && { intAuth: intAuthOctets(secrets.intAuth) }),
  });
}

/** IntAuth_iN | IntAuth_rN | IKE_AUTH_MID (RFC 9242 §3.3.2); IKE_AUTH follows the last IKE_INTERMEDIATE. */
function intAuthOctets({ initiator, responder, exchanges }: IntAuth): Uint8Array {
  const messageId = new Uint8Array(4);
  new DataView(messageId.buffer).setUint32(0, 1 + exchanges);
  return concatOctets(initiator, responder, messageId);
}

function skPOf(secrets: Secrets, role: Role): Uint8Array {
  return role === 'initiator' ? secrets.keys.skPi : secrets.keys.skPr;
}
