import { formatAddress, type IpAddress } from '../net/address.ts';
import { describePublicKey, type PublicKey } from '../net/public-key.ts';
import type { PeerAuth } from './child.ts';
import { nullAuth, signedOctets, verifyNullAuth } from './crypto/auth.ts';
import { importPublicKey, signAuth, verifyAuth, type AuthValue } from './crypto/signature.ts';
import type { HostIdentity } from './endpoint.ts';
import { AuthMethod, authMethodName, IdType, idTypeName } from './numbers.ts';
import type { AuthPayload, IdPayload } from './payloads.ts';
import type { Role, Secrets } from './session.ts';

/** How we prove who we are. */
export interface OwnProof {
  readonly id: IdPayload;
  readonly auth: AuthPayload;
  /** Whether the peer learns who we are. */
  readonly identified: boolean;
}

/**
 * ID and AUTH of ours. Without an identity, or where the peer cannot verify our kind of key, ID_NULL and the NULL
 * method (RFC 7619); else our address and a signature (RFC 7427).
 */
export function proveOurselves(
  secrets: Secrets,
  role: Role,
  identity: HostIdentity | undefined,
  local: IpAddress,
): OwnProof {
  const kind = role === 'initiator' ? 'IDi' : 'IDr';
  if (identity) {
    const id: IdPayload = {
      kind,
      type: local.family === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR,
      data: local.octets,
    };
    const value = signAuth(identity.privateKey, secrets.peerHashes, signedBy(secrets, role, id));
    if (value) return { id, auth: { kind: 'AUTH', ...value }, identified: true };
  }
  const id: IdPayload = { kind, type: IdType.ID_NULL, data: new Uint8Array(0) };
  const data = nullAuth(secrets.suite.prf, skPOf(secrets, role), signedBy(secrets, role, id));
  return { id, auth: { kind: 'AUTH', method: AuthMethod.NULL, data }, identified: false };
}

/** `scheme`: for people. Not ok: `why` is a clause. */
export type PeerProof =
  | { readonly ok: true; readonly peerAuth: PeerAuth; readonly scheme: string }
  | { readonly ok: false; readonly why: string };

/**
 * Judges the peer's AUTH: of the method NULL it shows only that the exchange was not tampered with (RFC 7619 §2);
 * a signature must verify with one of `keys`. The ID that goes with it is covered, but what counts is the key.
 */
export function judgeProof(
  secrets: Secrets,
  peerRole: Role,
  id: IdPayload,
  auth: AuthValue,
  keys: readonly PublicKey[],
): PeerProof {
  const signed = signedBy(secrets, peerRole, id);
  if (auth.method === AuthMethod.NULL) {
    return verifyNullAuth(secrets.suite.prf, skPOf(secrets, peerRole), signed, auth.data)
      ? { ok: true, peerAuth: { kind: 'anonymous' }, scheme: 'nothing' }
      : { ok: false, why: 'its NULL authentication does not fit the exchange' };
  }
  if (id.type === IdType.ID_NULL) return { ok: false, why: 'it signs without an identity' };
  if (keys.length === 0) return { ok: false, why: `there is no key for ${describeId(id)}` };
  let why = '';
  for (const key of keys) {
    const imported = importPublicKey(key);
    if (!imported.ok) {
      why = `its key is no good: ${imported.why}`;
      continue;
    }
    const verified = verifyAuth(imported.key, auth, signed);
    if (!verified.ok) {
      why ||= verified.why;
    } else {
      const scheme = `${describePublicKey(key)} (${verified.scheme}${verified.weak ? ', a weak hash' : ''})`;
      return { ok: true, peerAuth: { kind: 'key', key }, scheme };
    }
  }
  const tried =
    keys.length === 1 ? 'the key that DNS publishes' : `any of ${keys.length} keys that DNS publishes`;
  return { ok: false, why: `its ${authMethodName(auth.method)} does not verify with ${tried} (${why})` };
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
  });
}

function skPOf(secrets: Secrets, role: Role): Uint8Array {
  return role === 'initiator' ? secrets.keys.skPi : secrets.keys.skPr;
}
