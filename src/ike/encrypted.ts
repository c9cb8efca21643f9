import type { WireError } from '../wire/error.ts';
import type { Opener, Sealer } from './crypto/cipher.ts';
import type { Message, MessageHead } from './message.ts';
import type { InnerPayload } from './payloads.ts';

/**
 * What was inside. `forged`: the checksum is wrong or it was not an encrypted message: drop it, say nothing.
 * `malformed`: the peer itself sent something unreadable (INVALID_SYNTAX).
 */
export type Opened =
  | { readonly kind: 'opened'; readonly payloads: readonly InnerPayload[] }
  | { readonly kind: 'forged'; readonly why: string }
  | { readonly kind: 'malformed'; readonly error: WireError };

/** Opens the SK payload of a message (RFC 7296 §3.14, RFC 5282). The payloads own their octets. */
export declare function openEncrypted(message: Message, opener: Opener): Opened;

/** One message with all payloads in an SK payload. */
export declare function sealEncrypted(
  head: MessageHead,
  payloads: readonly InnerPayload[],
  sealer: Sealer,
): Uint8Array;

/**
 * One SK message where it fits into `limitOctets` (of the IKE message, without UDP and IP), else SKF messages of
 * at most that size (RFC 7383). Only where the peer has announced IKEV2_FRAGMENTATION_SUPPORTED.
 */
export declare function fragmentMessage(
  head: MessageHead,
  payloads: readonly InnerPayload[],
  sealer: Sealer,
  limitOctets: number,
): Uint8Array[];

/** `ignored`: forged, a repetition, or against the rules of RFC 7383; nothing changed. */
export type Reassembled =
  | { readonly kind: 'whole'; readonly payloads: readonly InnerPayload[] }
  | { readonly kind: 'partial'; readonly have: number; readonly total: number }
  | { readonly kind: 'ignored'; readonly why: string }
  | { readonly kind: 'malformed'; readonly error: WireError };

/**
 * Collects the fragments of one message (one exchange, message ID and direction: whose it is, is for the owner
 * to check). Each fragment is authenticated before it takes memory.
 */
export declare class Reassembly {
  constructor(limits?: { readonly fragments: number; readonly octets: number });
  /** `message` ends with an SKF payload. */
  add(message: Message, opener: Opener): Reassembled;
}
