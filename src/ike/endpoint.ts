import type { Endpoint, IpAddress } from '../net/address.ts';
import type { PublicKey } from '../net/public-key.ts';
import type { LogEvent } from '../log.ts';
import type { Random } from '../random.ts';
import type { Deadline, Instant } from '../time.ts';
import type { ChildSa, EspSuite, PeerAuth } from './child.ts';
import type { PrivateKey } from './crypto/signature.ts';

/** The key with which this host proves itself. */
export interface HostIdentity {
  readonly privateKey: PrivateKey;
  readonly publicKey: PublicKey;
}

export interface EndpointOptions {
  readonly random: Random;
  /** Undefined: we are anonymous, as initiator and as responder. */
  readonly identity: HostIdentity | undefined;
  /** What the kernel can do, in the order in which it is proposed. */
  readonly suites: readonly EspSuite[];
  /** Whether `keyLog` effects are wanted. */
  readonly keyLog: boolean;
  readonly ports: { readonly ike: number; readonly natt: number };
}

export type EndpointInput =
  /**
   * Begin with a peer. Without `keys` only IKE_SA_INIT is done, and IKE_AUTH waits for `keys` or `abandon`.
   * `require: 'authenticated'`: the responder must prove one of the keys; an anonymous one does not do.
   * Where an IKE SA with the pair already stands that has proved one of the keys, its child is reported again
   * (`established` with this attempt), and nothing is negotiated.
   */
  | {
      readonly kind: 'initiate';
      readonly attempt: number;
      readonly local: IpAddress;
      readonly peer: IpAddress;
      readonly require: 'authenticated' | 'any';
      readonly keys?: readonly PublicKey[];
    }
  /** The keys of the attempt are proved by DNSSEC (or there are more of them now). */
  | { readonly kind: 'keys'; readonly attempt: number; readonly keys: readonly PublicKey[] }
  /** Nobody wants the attempt any longer; no `failed` follows. */
  | { readonly kind: 'abandon'; readonly attempt: number }
  /** On port `natt` with the non-ESP marker, as it came. */
  | { readonly kind: 'datagram'; readonly local: Endpoint; readonly remote: Endpoint; readonly octets: Uint8Array }
  | { readonly kind: 'spiAllocated'; readonly request: number; readonly spi: number }
  | { readonly kind: 'spiRefused'; readonly request: number; readonly why: string }
  /** The kernel has what the last `install` of this child wanted. */
  | { readonly kind: 'installed'; readonly child: ChildSa }
  /** The kernel (or a rule) refused it; nothing of the child is in the kernel any longer. */
  | { readonly kind: 'installFailed'; readonly child: ChildSa; readonly why: string }
  /** The keys with which the peer of `askPeerKeys` may prove itself; empty: none. */
  | { readonly kind: 'peerKeys'; readonly query: number; readonly keys: readonly PublicKey[] }
  /** The kernel's lifetime of an inbound or outbound state is reached. */
  | { readonly kind: 'expired'; readonly spi: number; readonly hard: boolean }
  /** Delete everything with the peers, best effort, and take nothing new. */
  | { readonly kind: 'close' }
  | { readonly kind: 'tick' };

export type EndpointEffect =
  | { readonly kind: 'send'; readonly local: Endpoint; readonly remote: Endpoint; readonly octets: Uint8Array }
  /** Reserve an inbound SPI for packets from `peer` to `local`; answered by `spiAllocated` or `spiRefused`. */
  | { readonly kind: 'allocateSpi'; readonly request: number; readonly local: IpAddress; readonly peer: IpAddress }
  /** Answered by `installed` or `installFailed`. `both`: inbound state, outbound state, then the policies. */
  | { readonly kind: 'install'; readonly child: ChildSa; readonly part: 'inbound' | 'outbound' | 'both' }
  | { readonly kind: 'remove'; readonly child: ChildSa; readonly why: string }
  /** Which keys may the peer that calls itself `id` prove? Answered by `peerKeys`. */
  | {
      readonly kind: 'askPeerKeys';
      readonly query: number;
      readonly peer: IpAddress;
      readonly id: { readonly type: number; readonly octets: Uint8Array };
    }
  /** A child stands, in the kernel too. `attempt`: whose it is; undefined where the peer began. */
  | {
      readonly kind: 'established';
      readonly child: ChildSa;
      readonly peerAuth: PeerAuth;
      readonly attempt: number | undefined;
      /** For people: `AES-GCM-16-256`. */
      readonly suite: string;
    }
  /** `code` is stable: `no-reply`, `no-proposal`, `authentication-failed`, `refused`, `kernel-refused`, … `why`: a clause. */
  | { readonly kind: 'failed'; readonly attempt: number; readonly code: string; readonly why: string }
  /** One step of the negotiation in words, for `oe why`. */
  | { readonly kind: 'story'; readonly peer: IpAddress; readonly at: Instant; readonly text: string }
  /** A line of Wireshark's `ikev2_decryption_table`. */
  | { readonly kind: 'keyLog'; readonly line: string }
  | { readonly kind: 'log'; readonly event: LogEvent };

export declare class IkeEndpoint {
  constructor(options: EndpointOptions);
  handle(input: EndpointInput, now: Instant): readonly EndpointEffect[];
  get deadline(): Deadline | undefined;
}
