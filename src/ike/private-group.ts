import type { PublicKey } from '../net/public-key.ts';
import { prefixContains, type Prefix } from '../net/prefix.ts';
import type { IpAddress } from '../net/address.ts';
import { concatOctets } from '../wire/octets.ts';
import type { Certificate } from './crypto/certificate.ts';
import { authorityHash } from './crypto/certificate.ts';
import type { PrivateKey } from './crypto/signature.ts';
import { CertEncoding } from './numbers.ts';
import type { CertreqPayload } from './payloads.ts';

/**
 * Hosts that prove themselves to one another without DNS, as the configuration says: by a secret that all of them know,
 * or by certificates of an authority of theirs. That a peer is a member says nothing of any other address than the one
 * from which it speaks.
 */
export type PrivateGroup = {
  readonly name: string;
  /** What we call ourselves in it; undefined: by our address, or by the subject of our certificate. */
  readonly id: { readonly type: number; readonly data: Uint8Array } | undefined;
  /** Where its members are, as far as rules say so by prefix. */
  readonly prefixes: readonly Prefix[];
} & (
  | { readonly kind: 'secret'; readonly secret: Uint8Array }
  | {
      readonly kind: 'certificate';
      readonly authorities: readonly Certificate[];
      /** Ours first, then those that lead from it to an authority, without that one. */
      readonly chain: readonly Certificate[];
      readonly privateKey: PrivateKey;
      readonly publicKey: PublicKey;
    }
);

export function groupNamed(
  groups: readonly PrivateGroup[] | undefined,
  name: string,
): PrivateGroup | undefined {
  return groups?.find((g) => g.name === name);
}

/** The groups whose members are at this address, as far as rules say so by prefix. */
export function groupsAt(
  groups: readonly PrivateGroup[] | undefined,
  address: IpAddress,
): readonly PrivateGroup[] {
  return (groups ?? []).filter((g) => g.prefixes.some((p) => prefixContains(p, address)));
}

/** The CERTREQ that names the authorities of the groups (RFC 7296 §3.7); none where they have none. */
export function authoritiesWanted(groups: readonly PrivateGroup[]): readonly CertreqPayload[] {
  const hashes = groups.flatMap((g) => (g.kind === 'certificate' ? g.authorities.map(authorityHash) : []));
  if (hashes.length === 0) return [];
  return [{ kind: 'CERTREQ', encoding: CertEncoding.X509_SIGNATURE, data: concatOctets(...hashes) }];
}
