import type { IpAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { EspSuite, KernelOp, KernelSnapshot, Mode } from './port.ts';

/** A pair of ESP SAs that is to be in the kernel; what IKE negotiates has this shape. */
export interface InstallableChild {
  readonly id: number;
  readonly local: IpAddress;
  readonly peer: IpAddress;
  readonly mode: Mode;
  readonly suite: EspSuite;
  readonly esn: boolean;
  readonly inbound: {
    readonly spi: number;
    readonly encryptionKey: Uint8Array;
    readonly integrityKey?: Uint8Array;
  };
  readonly outbound: {
    readonly spi: number;
    readonly encryptionKey: Uint8Array;
    readonly integrityKey?: Uint8Array;
  };
  readonly encapsulation?: { readonly localPort: number; readonly peerPort: number };
}

/** What holds for a prefix whatever is negotiated: `clear` beside IPsec, `private` and `block` nothing without an SA. */
export interface StandingRule {
  readonly prefix: Prefix;
  readonly group: 'clear' | 'private' | 'block';
}

/** What of ours is, or is on its way, in the kernel; answers with the operations that bring it there. */
export declare class KernelLedger {
  /** Removes what an earlier agent left behind. */
  leftovers(snapshot: KernelSnapshot): KernelOp[];
  /** The operations from the standing rules of before to these; the first of a list decides. Includes neighbour discovery's bypass. */
  setRules(rules: readonly StandingRule[]): KernelOp[];
  install(child: InstallableChild, part: 'inbound' | 'outbound' | 'both'): KernelOp[];
  remove(child: InstallableChild): KernelOp[];
  /** Everything, at a normal stop. */
  removeAll(): KernelOp[];
}
