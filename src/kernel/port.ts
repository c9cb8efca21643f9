import type { IpAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';

/**
 * The kernel's IPsec in the words of the domain. The real one is `io/xfrm.ts`, its double `fake.ts`; both pass
 * `test/kernel/compliance.ts`.
 */
export interface KernelPort {
  /**
   * Reserves an inbound ESP SPI for packets from `peer` to `local` (XFRM_MSG_ALLOCSPI). It lapses after
   * {@link larvalSeconds} unless a state takes it; taking it later still works while nobody else has it.
   */
  allocateSpi(local: IpAddress, peer: IpAddress): Promise<number>;
  /**
   * Performs the operations in order. At the first that the kernel refuses, what this call has added is taken
   * out again, a policy that it replaced is put back, and it throws {@link KernelError}. What it had removed
   * before stays removed: a state must never be added twice with the same keys. Therefore put removals last.
   */
  apply(ops: readonly KernelOp[]): Promise<void>;
  /** The counters of each state, in the same order; undefined for one that is not there. */
  query(states: readonly StateId[]): Promise<readonly (StateCounters | undefined)[]>;
  /** What is in the kernel and ours: states by their reqid, policies by their priority (`bands.ts`). */
  snapshot(): Promise<KernelSnapshot>;
  /** Calls `listener` with what the kernel reports about ours, until the returned function is called. */
  events(listener: (event: KernelEvent) => void): () => void;
  /** What this kernel can do. Found out once, with scratch states that are removed at once: it may load modules. */
  capabilities(): Promise<Capabilities>;
  /** Gives up the sockets. Removes nothing from the kernel. */
  close(): void;
}

/** The kernel keeps a reserved SPI this long (net.core.xfrm_acq_expires, 30 unless changed). */
export const larvalSeconds = 30;

export type Mode = 'transport' | 'tunnel';

/** Algorithms of an ESP SA in the numbers of IANA "ikev2-parameters": Transform Type 1, and 3 where it is no AEAD. */
export interface EspSuite {
  readonly encr: number;
  readonly keyBits: number;
  readonly integ?: number;
}

/** What names an ESP state: the SPI is unique per destination address (RFC 4301 §4.1). */
export interface StateId {
  readonly destination: IpAddress;
  readonly spi: number;
}

export interface EspState extends StateId, EspSuite {
  readonly direction: 'in' | 'out';
  readonly source: IpAddress;
  readonly reqid: number;
  readonly mode: Mode;
  /** With the 4 octets of salt at its end where the algorithm has one (RFC 4106 §8.1, RFC 7634 §2). Borrowed. */
  readonly encryptionKey: Uint8Array;
  readonly integrityKey?: Uint8Array;
  /** Extended sequence numbers (RFC 4303 §2.2.1). */
  readonly esn: boolean;
  /** Packets; means nothing for an outbound state. */
  readonly replayWindow: number;
  /** ESP in UDP (RFC 3948). */
  readonly encapsulation?: Encapsulation;
  /**
   * Outbound in UDP: after so many seconds without a packet the kernel sends a keepalive (RFC 3948 §2.3). Means
   * nothing where {@link Capabilities.keepalives} is false.
   */
  readonly keepaliveSeconds?: number;
  /** What packets are marked with that come out of it, or go out in it; the bits of the mask (XFRMA_SET_MARK). */
  readonly setMark?: Mark;
  /** The XFRM interface whose traffic it carries (XFRMA_IF_ID). */
  readonly interfaceId?: number;
  /** The processor that is to use it alone (RFC 9611); absent: any. */
  readonly cpu?: number;
  /** The interface whose device may do the work if it can; where it cannot, the kernel does. Not with UDP. */
  readonly offload?: { readonly interfaceIndex: number };
  /** Which packets it may carry; transport mode: the pair of addresses. Undefined: those its policy sends. */
  readonly selector?: { readonly source: Prefix; readonly destination: Prefix };
  readonly lifetime?: Lifetime;
}

/** The ports of ESP in UDP: those of the packets as they come here, or as they leave. */
export interface Encapsulation {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** A number that packets carry inside the kernel, and which of its bits count. */
export interface Mark {
  readonly value: number;
  readonly mask: number;
}

/** Limits that make the kernel report a soft, or report and enforce a hard, expiry. Absent: none. */
export interface Lifetime {
  readonly softSeconds?: number;
  readonly hardSeconds?: number;
  readonly softOctets?: bigint;
  readonly hardOctets?: bigint;
  readonly softPackets?: bigint;
  readonly hardPackets?: bigint;
}

/** What names a policy of ours. Its priority is no part of that (Linux: same selector and direction, one policy). */
export interface PolicyId {
  readonly direction: 'in' | 'out' | 'fwd';
  readonly source: Prefix;
  readonly destination: Prefix;
  /** IP protocol number; absent: all. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  /** ICMP or ICMPv6 type, in the place of ports. */
  readonly icmpType?: number;
  /** Only packets that carry it; absent: all. */
  readonly mark?: Mark;
  /** Only packets of this XFRM interface; absent: those of none. */
  readonly interfaceId?: number;
}

export interface Policy extends PolicyId {
  /** In our band (`bands.ts`); the lower number decides. */
  readonly priority: number;
  readonly action: 'allow' | 'block';
  /** What protection packets must have; absent with `allow`: none. */
  readonly template?: Template;
  /** Each processor asks for a state of its own (RFC 9611). */
  readonly perCpu?: boolean;
}

export interface Template {
  readonly reqid: number;
  readonly mode: Mode;
  /** Outbound: the state that is to be used, where there are several of the reqid. */
  readonly spi?: number;
  /** The tunnel's ends; transport mode has none. */
  readonly ends?: { readonly source: IpAddress; readonly destination: IpAddress };
  /** Packets without protection pass as well. */
  readonly optional?: boolean;
}

export type KernelOp =
  /** Refused where a state with the SPI and destination exists, a reserved SPI aside. */
  | { readonly op: 'addState'; readonly state: EspState }
  /** One that is not there counts as removed. */
  | { readonly op: 'removeState'; readonly state: StateId }
  /**
   * Gives a state that stands the ports and the limits of `state`; its keys, its sequence numbers and what it has
   * counted stay. Refused where it is not there, or is in UDP and `state` is not.
   */
  | { readonly op: 'changeState'; readonly state: EspState }
  /** Takes the place of ours with the same selector and direction at once; refused where somebody else's has it. */
  | { readonly op: 'addPolicy'; readonly policy: Policy }
  /** One that is not there, or is somebody else's, counts as removed. */
  | { readonly op: 'removePolicy'; readonly policy: PolicyId };

export interface StateCounters {
  readonly octets: bigint;
  readonly packets: bigint;
  /** Packets outside the replay window, packets repeated, packets that failed the integrity check. */
  readonly outsideWindow: number;
  readonly replayed: number;
  readonly failed: number;
  /** Seconds since 1970 of the last packet; undefined: none yet, or the kernel does not say. */
  readonly lastUsed?: number;
}

export interface InstalledState extends StateId {
  readonly source: IpAddress;
  readonly reqid: number;
  readonly mode: Mode;
  /** A reserved SPI (or a packet's wish for a state, with SPI 0), not yet a state. */
  readonly larval: boolean;
  readonly esn: boolean;
  readonly encapsulation?: Encapsulation;
  readonly counters: StateCounters;
}

export interface KernelSnapshot {
  readonly states: readonly InstalledState[];
  readonly policies: readonly Policy[];
}

export type KernelEvent =
  /** A packet met a policy of ours and no state for it. */
  | {
      readonly kind: 'acquire';
      readonly source: IpAddress;
      readonly destination: IpAddress;
      readonly protocol: number;
      readonly sourcePort: number;
      readonly destinationPort: number;
      readonly policy: Policy;
    }
  /** A state reached a limit; after a hard one it is gone. */
  | { readonly kind: 'expire'; readonly state: StateId; readonly reqid: number; readonly hard: boolean }
  /** Authenticated packets of a UDP-encapsulated state come from elsewhere: a NAT has changed its mind. */
  | {
      readonly kind: 'mapping';
      readonly state: StateId;
      readonly reqid: number;
      readonly address: IpAddress;
      readonly port: number;
    }
  /** Events were lost (ENOBUFS): compare everything with a snapshot. */
  | { readonly kind: 'overrun' };

export type Availability =
  | { readonly available: true }
  /** One sentence with the cause, one with what to do. */
  | { readonly available: false; readonly why: string; readonly remedy: string };

export interface Capabilities {
  readonly esp4: Availability;
  readonly esp6: Availability;
  /** What the kernel encrypts with, in the order in which we would propose it. */
  readonly suites: readonly EspSuite[];
  /** States can be bound to a direction (XFRMA_SA_DIR, Linux 6.10). */
  readonly directions: boolean;
  /** The kernel keeps the way through a NAT open by itself (XFRMA_NAT_KEEPALIVE_INTERVAL, Linux 6.11). */
  readonly keepalives: boolean;
}

/** The kernel refused an operation; the message says what and why in words. Keys are never in it. */
export class KernelError extends Error {
  /** The errno's name, e.g. `EEXIST`. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'KernelError';
    this.code = code;
  }
}
