import { decoded } from '../wire/reader.ts';
import { encoded } from '../wire/writer.ts';
import { encodeAlgorithm } from './crypto/algorithm-identifier.ts';
import { AuthMethod, HashAlgorithm, NotifyType } from './numbers.ts';
import { notify, type NotifyPayload } from './payloads.ts';
import type { PrivateGroup } from './private-group.ts';

/**
 * One announcement in SUPPORTED_AUTH_METHODS (RFC 9593 §3.2).
 *
 *     |  Length (=2)  |  Auth Method  |                                 without certificate
 *     |  Length (=3)  |  Auth Method  |   Cert Link   |                 methods that imply their algorithm
 *     |  Length (>3)  |  Auth Method  |   Cert Link   |                 then AlgorithmIdentifier
 */
export interface AuthAnnouncement {
  /** A number of `AuthMethod`. */
  readonly method: number;
  /** DER. */
  readonly algorithm?: Uint8Array;
}

/** The data of the notification; nothing in it is linked to an authority. */
export function encodeAuthMethods(announcements: readonly AuthAnnouncement[]): Uint8Array {
  return encoded((w) => {
    for (const { method, algorithm } of announcements) {
      const isBare = withoutCertificate.includes(method);
      w.u8(isBare ? 2 : 3 + (algorithm?.length ?? 0));
      w.u8(method);
      if (isBare) continue;
      w.u8(0); // Cert Link: whatever authority
      if (algorithm) w.octets(algorithm);
    }
  });
}

/** Methods and algorithms that we do not know are kept. Undefined for what is malformed, or says nothing. */
export function decodeAuthMethods(data: Uint8Array): AuthAnnouncement[] | undefined {
  const result = decoded(data, (r) => {
    const announcements: AuthAnnouncement[] = [];
    while (r.remaining > 0) {
      const length = r.u8();
      if (length < 2) r.fail(`announcement length ${length}`);
      const body = r.sub(length - 1);
      const method = body.u8();
      if (length > 2) body.u8(); // Cert Link: we have no choice among certificates
      announcements.push(length > 3 ? { method, algorithm: body.rest() } : { method });
    }
    return announcements;
  });
  return result.ok && result.value.length > 0 ? result.value : undefined;
}

/** The notification with {@link ownAuthMethods}. */
export function announceMethods(options: Parameters<typeof ownAuthMethods>[0]): NotifyPayload {
  return notify(NotifyType.SUPPORTED_AUTH_METHODS, encodeAuthMethods(ownAuthMethods(options)));
}

/** Methods in which no certificate can have a part. */
const withoutCertificate: readonly number[] = [AuthMethod.SHARED_KEY_MIC, AuthMethod.NULL];

/**
 * What we can verify, in the order of our preference. PKCS#1 v1.5 and the methods before RFC 7427 are not in it: a peer
 * that reads this can do better.
 */
export function ownAuthMethods(options: {
  /** A peer that proves nothing will do. */
  readonly anonymous: boolean;
  /** The private groups that we may have in common with it. */
  readonly groups: readonly PrivateGroup[];
}): readonly AuthAnnouncement[] {
  return [
    ...signatures.map((algorithm) => ({ method: AuthMethod.DIGITAL_SIGNATURE, algorithm })),
    ...(options.groups.some((g) => g.kind === 'secret') ? [{ method: AuthMethod.SHARED_KEY_MIC }] : []),
    ...(options.anonymous ? [{ method: AuthMethod.NULL }] : []),
  ];
}

const { SHA2_256, SHA2_384, SHA2_512 } = HashAlgorithm;

const signatures: readonly Uint8Array[] = [
  encodeAlgorithm({ kind: 'eddsa', curve: 'Ed25519' }),
  encodeAlgorithm({ kind: 'eddsa', curve: 'Ed448' }),
  encodeAlgorithm({ kind: 'ecdsa', hash: SHA2_512 }),
  encodeAlgorithm({ kind: 'ecdsa', hash: SHA2_384 }),
  encodeAlgorithm({ kind: 'ecdsa', hash: SHA2_256 }),
  encodeAlgorithm({ kind: 'pss', hash: SHA2_512, saltOctets: 64 }),
  encodeAlgorithm({ kind: 'pss', hash: SHA2_384, saltOctets: 48 }),
  encodeAlgorithm({ kind: 'pss', hash: SHA2_256, saltOctets: 32 }),
];
