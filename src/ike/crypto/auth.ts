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
}): Uint8Array {
  const body = encoded((w) => {
    encodeIdBody(w, options.id);
  });
  return concatOctets(options.ownInit, options.otherNonce, prf(options.prf, options.skP, body));
}

/** AUTH of an anonymous side (RFC 7619 §2.1): as with a shared secret (§2.15), which is SK_p itself. */
export function nullAuth(prfId: number, skP: Uint8Array, signed: Uint8Array): Uint8Array {
  return prf(prfId, prf(prfId, skP, keyPad), signed);
}

/** Checks the peer's AUTH of method NULL in constant time. */
export function verifyNullAuth(
  prfId: number,
  skP: Uint8Array,
  signed: Uint8Array,
  data: Uint8Array,
): boolean {
  return sameSecret(nullAuth(prfId, skP, signed), data);
}

const keyPad = toUtf8('Key Pad for IKEv2');
