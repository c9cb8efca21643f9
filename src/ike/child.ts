import type { IpAddress } from '../net/address.ts';
import type { PublicKey } from '../net/public-key.ts';

/** What the other end has proved. */
export type PeerAuth =
  | { readonly kind: 'key'; readonly key: PublicKey }
  /** `names`: of its certificate; undefined: whoever knows the secret of the group may have any. */
  | { readonly kind: 'member'; readonly group: string; readonly names: readonly string[] | undefined }
  | { readonly kind: 'anonymous' };

/** ESP algorithms in the numbers of IANA "ikev2-parameters": Transform Type 1, and 3 where it is no AEAD. */
export interface EspSuite {
  readonly encr: number;
  readonly keyBits: number;
  readonly integ?: number;
}

/** One direction of a Child SA. Keys: borrowed from the session, in no effect but `install`. */
export interface ChildHalf {
  readonly spi: number;
  /** With the salt at its end where the algorithm has one. */
  readonly encryptionKey: Uint8Array;
  readonly integrityKey?: Uint8Array;
}

/** Ports of ESP in UDP, and who is behind a NAT. */
export interface Encapsulation {
  readonly localPort: number;
  readonly peerPort: number;
  readonly hidden: 'local' | 'peer' | 'both';
}

/** A pair of ESP SAs, as the kernel needs to know it. */
export interface ChildSa {
  /** Unique among all that this agent ever has. */
  readonly id: number;
  readonly local: IpAddress;
  readonly peer: IpAddress;
  readonly mode: 'transport' | 'tunnel';
  readonly suite: EspSuite;
  readonly esn: boolean;
  readonly inbound: ChildHalf;
  readonly outbound: ChildHalf;
  /** ESP in UDP (RFC 3948), where a NAT is on the way. */
  readonly encapsulation?: Encapsulation;
  readonly peerAuth: PeerAuth;
  /** What the keys of its IKE SA come from. */
  readonly keyExchange?: KeyExchanges;
}

/** The key exchanges of an IKE SA, for people: `CURVE25519`, `ML-KEM-768`. */
export interface KeyExchanges {
  readonly methods: readonly string[];
  /** Whether one of them is believed to withstand a quantum computer. */
  readonly postQuantum: boolean;
}
