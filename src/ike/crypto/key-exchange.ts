import type { Random } from '../../random.ts';
import { generateDh, supportedGroups, type DhKey } from './dh.ts';
import { encapsulateTo, generateKem, isPostQuantum, supportedKems, type Encapsulated } from './kem.ts';

/** Every key exchange method that may come after the first one, best first. */
export const supportedMethods: readonly number[] = [...supportedKems, ...supportedGroups];

/** What the side that begins sends, and how it reads the answer; throws RangeError for a method that we do not do. */
export function beginKeyExchange(method: number, random: Random): DhKey {
  return isPostQuantum(method) ? generateKem(method, random) : generateDh(method, random);
}

/** What the other side answers to `peerValue`, and the secret that both have then. */
export function answerKeyExchange(method: number, peerValue: Uint8Array, random: Random): Encapsulated {
  if (isPostQuantum(method)) return encapsulateTo(method, peerValue);
  const key = generateDh(method, random);
  const shared = key.sharedSecret(peerValue);
  return shared.ok ? { ok: true, publicValue: key.publicValue, secret: shared.secret } : shared;
}
