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
  /** After how many of them it became urgent. */
  readonly urgentSince?: number;
}

/** How long to wait for the answer after the transmission that was the last, milliseconds. */
export function patienceMs({ sent, urgentSince }: Transmission, limits: Limits): number {
  const hurried = urgentSince === undefined ? urgentPauses : sent - urgentSince;
  if (hurried < urgentPauses) return Math.min(limits.urgentCeilingMs, limits.urgentMs * 2 ** hurried);
  return Math.min(limits.retransmitCeilingMs, limits.retransmitMs * 2 ** (sent - 1));
}

/** Then the usual ones follow. */
const urgentPauses = 10;
