import { toHex } from '../wire/octets.ts';
import { ikeSpiOctets } from './message.ts';
import { Encr, encrName, Integ, integName } from './numbers.ts';
import { spiIOf, spiROf, type Secrets, type Session } from './session.ts';

/**
 * Emits the line of Wireshark's `ikev2_decryption_table` for the IKE SA, where that is wanted: SPIs, SK_ei, SK_er,
 * the cipher, SK_ai, SK_ar, the integrity algorithm.
 */
export function logKeys(session: Session, secrets: Secrets): void {
  const { host } = session;
  if (!host.options.keyLog) return;
  const { keys, suite } = secrets;
  const { encr, keyBits, integ } = suite.cipher;
  const fields = [
    toHex(ikeSpiOctets(spiIOf(session))),
    toHex(ikeSpiOctets(spiROf(session))),
    toHex(keys.skEi),
    toHex(keys.skEr),
    quoted(cipherText(encr, keyBits)),
    quoted(toHex(keys.skAi)),
    quoted(toHex(keys.skAr)),
    quoted(integ === undefined ? 'NONE [RFC4306]' : (integTexts.get(integ) ?? integName(integ))),
  ];
  host.emit({ kind: 'keyLog', line: fields.join(',') });
}

/** The names that Wireshark knows them by. */
function cipherText(encr: number, keyBits: number): string {
  switch (encr) {
    case Encr.ENCR_AES_GCM_16:
      return `AES-GCM-${keyBits} with 16 octet ICV [RFC5282]`;
    case Encr.ENCR_AES_CBC:
      return `AES-CBC-${keyBits} [RFC3602]`;
    case Encr.ENCR_CHACHA20_POLY1305:
      return 'ChaCha20-Poly1305 [RFC7634]';
    default:
      return encrName(encr);
  }
}

const integTexts = new Map<number, string>([
  [Integ.AUTH_HMAC_SHA2_256_128, 'HMAC_SHA2_256_128 [RFC4868]'],
  [Integ.AUTH_HMAC_SHA2_384_192, 'HMAC_SHA2_384_192 [RFC4868]'],
  [Integ.AUTH_HMAC_SHA2_512_256, 'HMAC_SHA2_512_256 [RFC4868]'],
]);

function quoted(text: string): string {
  return `"${text}"`;
}
