import { concatOctets, toUtf8 } from '../../wire/octets.ts';
import { encoded } from '../../wire/writer.ts';
import { encodeIdBody, type IdPayload } from '../payloads.ts';
import { sameSecret } from './hash.ts';
import { prf } from './prf.ts';

/**
 * The octets that a side signs (RFC 7296 §2.15): its own IKE_SA_INIT message as sent (the last one: with the
 * cookie, with the second KE), the nonce of the other, and prf(SK_p, its ID payload without the generic header).
 */
export function signedOctets(options: {
  readonly ownInit: Uint8Array;
  readonly otherNonce: Uint8Array;
  readonly prf: number;
  /** SK_pi of the initiator, SK_pr of the responder. */
  readonly skP: Uint8Array;
  readonly id: IdPayload;
  /** IntAuth of RFC 9242 §3.3.2, where there were IKE_INTERMEDIATE exchanges. */
  readonly intAuth?: Uint8Array;
}): Uint8Array {
  const body = encoded((w) => {
    encodeIdBody(w, options.id);
  });
  return concatOctets(
    options.ownInit,
    options.otherNonce,
    prf(options.prf, options.skP, body),
    options.intAuth ?? new Uint8Array(0),
  );
}

/**
 * AUTH with a shared secret (§2.15). With SK_p itself in its place it is that of an anonymous side (RFC 7619 §2.1). The
 * pad has no NUL at its end.
 */
export function sharedKeyAuth(prfId: number, secret: Uint8Array, signed: Uint8Array): Uint8Array {
  return prf(prfId, prf(prfId, secret, keyPad), signed);
}

/** Checks the peer's AUTH in constant time. */
export function verifySharedKeyAuth(
  prfId: number,
  secret: Uint8Array,
  signed: Uint8Array,
  data: Uint8Array,
): boolean {
  return sameSecret(sharedKeyAuth(prfId, secret, signed), data);
}

const keyPad = toUtf8('Key Pad for IKEv2');
