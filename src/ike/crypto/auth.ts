import type { IdPayload } from '../payloads.ts';

/**
 * The octets that a side signs (RFC 7296 §2.15): its own IKE_SA_INIT message as sent (the last one: with the
 * cookie, with the second KE), the nonce of the other, and prf(SK_p, its ID payload without the generic header).
 */
export declare function signedOctets(options: {
  readonly ownInit: Uint8Array;
  readonly otherNonce: Uint8Array;
  readonly prf: number;
  /** SK_pi of the initiator, SK_pr of the responder. */
  readonly skP: Uint8Array;
  readonly id: IdPayload;
}): Uint8Array;

/** AUTH of an anonymous side (RFC 7619 §2.1): the shared secret is SK_p itself. */
export declare function nullAuth(prf: number, skP: Uint8Array, signed: Uint8Array): Uint8Array;

/** Constant-time check of the peer's AUTH of method NULL. */
export declare function verifyNullAuth(
  prf: number,
  skP: Uint8Array,
  signed: Uint8Array,
  data: Uint8Array,
): boolean;
