import { createPrivateKey, createPublicKey, decapsulate, encapsulate } from 'node:crypto';
import type { Random } from '../../random.ts';
import { Group, groupName } from '../numbers.ts';
import type { DhKey } from './dh.ts';

/**
 * ML-KEM (FIPS 203) as a key exchange of IKEv2 (draft-ietf-ipsecme-ikev2-mlkem §2): the initiator's KE payload has the
 * encapsulation key, the responder's has the ciphertext, and the secret has 32 octets.
 *
 * **Limitations:** `node:crypto` draws the randomness of an encapsulation itself, so two runs of one seed differ in
 * these octets (never in their number).
 */
interface Parameters {
  readonly name: 'ml-kem-512' | 'ml-kem-768' | 'ml-kem-1024';
  readonly keyOctets: number;
  readonly ciphertextOctets: number;
}

const kems = new Map<number, Parameters>([
  [Group.ML_KEM_768, { name: 'ml-kem-768', keyOctets: 1184, ciphertextOctets: 1088 }],
  [Group.ML_KEM_1024, { name: 'ml-kem-1024', keyOctets: 1568, ciphertextOctets: 1568 }],
  [Group.ML_KEM_512, { name: 'ml-kem-512', keyOctets: 800, ciphertextOctets: 768 }],
]);

/** All that {@link generateKem} can do, best first. */
export const supportedKems: readonly number[] = [...kems.keys()];

/** Whether a key exchange method is believed to withstand a quantum computer. */
export function isPostQuantum(method: number): boolean {
  return kems.has(method);
}

/** The initiator's part. Throws RangeError for a method that is not in `supportedKems`. */
export function generateKem(method: number, random: Random): DhKey {
  const { name, ciphertextOctets } = parametersOf(method);
  // d | z of FIPS 203 §7.1.
  const privateKey = createPrivateKey({
    key: Buffer.from(random.octets(64)),
    format: 'raw-seed',
    asymmetricKeyType: name,
  });
  return {
    group: method,
    publicValue: new Uint8Array(createPublicKey(privateKey).export({ format: 'raw-public' })),
    sharedSecret(ciphertext) {
      // FIPS 203 §7.3 wants the length checked; a wrong ciphertext of that length gives another secret, not an error.
      if (ciphertext.length !== ciphertextOctets) {
        return { ok: false, why: `an ${groupName(method)} ciphertext of ${ciphertext.length} octets` };
      }
      return { ok: true, secret: new Uint8Array(decapsulate(privateKey, ciphertext)) };
    },
  };
}

/** Not ok: the peer's value cannot be one; `why` is a clause. */
export type Encapsulated =
  | { readonly ok: true; readonly publicValue: Uint8Array; readonly secret: Uint8Array }
  | { readonly ok: false; readonly why: string };

/** The responder's part. Throws RangeError as {@link generateKem} does. */
export function encapsulateTo(method: number, encapsulationKey: Uint8Array): Encapsulated {
  const { name, keyOctets } = parametersOf(method);
  if (encapsulationKey.length !== keyOctets) {
    return { ok: false, why: `an ${groupName(method)} key of ${encapsulationKey.length} octets` };
  }
  try {
    // OpenSSL makes the modulus check of FIPS 203 §7.2.
    const key = createPublicKey({
      key: Buffer.from(encapsulationKey),
      format: 'raw-public',
      asymmetricKeyType: name,
    });
    const { sharedKey, ciphertext } = encapsulate(key);
    return { ok: true, publicValue: new Uint8Array(ciphertext), secret: new Uint8Array(sharedKey) };
  } catch {
    return { ok: false, why: `an ${groupName(method)} key that is out of range` };
  }
}

function parametersOf(method: number): Parameters {
  const found = kems.get(method);
  if (!found) throw new RangeError(`${groupName(method)} is not one of ours`);
  return found;
}
