import type { Limits } from './limits.ts';

/** A request on its way: it is the requester's task to repeat it until it is answered (RFC 7296 §2.1). */
export interface Transmission {
  readonly messageId: number;
  readonly exchange: number;
  /** IKE messages as they were built, without a non-ESP marker; several where the message is fragmented. */
  readonly datagrams: readonly Uint8Array[];
  /** How often they have been sent, and how often at most. */
  readonly sent: number;
  readonly limit: number;
}

/** How long to wait for the answer after the `sent`-th transmission, milliseconds. */
export function patienceMs(sent: number, limits: Limits): number {
  return Math.min(limits.retransmitCeilingMs, limits.retransmitMs * 2 ** (sent - 1));
}
