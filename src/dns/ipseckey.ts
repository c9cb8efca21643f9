import type { Decoded } from '../wire/error.ts';
import type { IpAddress } from '../net/address.ts';
import type { PublicKey } from '../net/public-key.ts';
import type { NameKey } from './name.ts';

/** IPSECKEY (RFC 4025 §2). */
export interface Ipseckey {
  readonly precedence: number;
  readonly gateway:
    | { readonly kind: 'none' }
    | { readonly kind: 'address'; readonly address: IpAddress }
    | { readonly kind: 'name'; readonly name: NameKey };
  /** IANA "ipseckey-rr-parameters": 1 DSA, 2 RSA, 3 ECDSA, 4 EdDSA; 0: no key. */
  readonly algorithm: number;
  readonly key: Uint8Array;
}

export declare function decodeIpseckey(rdata: Uint8Array): Decoded<Ipseckey>;
/** The key in the form in which IKE checks it, or why it cannot be used, as a clause. */
export declare function publicKeyOf(record: Ipseckey): PublicKey | { readonly problem: string };
/** One line of a zone file with precedence 10 and gateway `.`. */
export declare function ipseckeyRecordText(owner: NameKey, key: PublicKey): string;
