import type { NameKey } from './name.ts';

/** A key that is trusted as such (RFC 4033 §2): a DS or a DNSKEY of the zone `owner`. */
export type TrustAnchor =
  | { readonly kind: 'DS'; readonly owner: NameKey; readonly rdata: Uint8Array }
  | { readonly kind: 'DNSKEY'; readonly owner: NameKey; readonly rdata: Uint8Array };
