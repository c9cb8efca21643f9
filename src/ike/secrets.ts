import { Opener, Sealer, type IkeCipher } from './crypto/cipher.ts';
import { cipherKeysOf, ikeKeys, prf, skeyseedRekeyed, type IkeKeys } from './crypto/prf.ts';
import { spiIOf, spiROf, type Host, type IntAuth, type Role, type Secrets, type Session } from './session.ts';

/** What opens and seals the messages of an IKE SA in which we are `role`. */
export function protection(
  host: Host,
  role: Role,
  cipher: IkeCipher,
  keys: IkeKeys,
): Pick<Secrets, 'keys' | 'sealer' | 'opener'> {
  const peer = role === 'initiator' ? 'responder' : 'initiator';
  return {
    keys,
    sealer: new Sealer(cipher, cipherKeysOf(keys, role), host.options.random),
    opener: new Opener(cipher, cipherKeysOf(keys, peer)),
  };
}

/** One IKE_INTERMEDIATE exchange that is done: both messages as AUTH covers them, and the secret that it has brought. */
export interface Intermediate {
  readonly request: Uint8Array;
  readonly response: Uint8Array;
  readonly sharedSecret: Uint8Array;
}

/** What both ends share after one more key exchange (RFC 9370 §2.2.2). */
export function afterIntermediate(session: Session, secrets: Secrets, done: Intermediate): Secrets {
  const { suite, keys, nonceI, nonceR } = secrets;
  const exchange = { prf: suite.prf, nonceI, nonceR };
  // SKEYSEED(n) is made as that of an IKE SA that is rekeyed, out of SK_d(n-1).
  const seed = skeyseedRekeyed(suite.prf, keys.skD, { ...exchange, sharedSecret: done.sharedSecret });
  const next = ikeKeys(seed, {
    ...exchange,
    spiI: spiIOf(session),
    spiR: spiROf(session),
    cipher: suite.cipher,
  });
  return {
    ...secrets,
    ...protection(session.host, session.role, suite.cipher, next),
    intAuth: intAuthAfter(secrets, done),
  };
}

/** RFC 9242 §3.3.2, under the SK_p that were there during the exchange. */
function intAuthAfter({ suite, keys, intAuth }: Secrets, { request, response }: Intermediate): IntAuth {
  const before = intAuth ?? { initiator: new Uint8Array(0), responder: new Uint8Array(0), exchanges: 0 };
  return {
    initiator: prf(suite.prf, keys.skPi, before.initiator, request),
    responder: prf(suite.prf, keys.skPr, before.responder, response),
    exchanges: before.exchanges + 1,
  };
}
