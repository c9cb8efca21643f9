import type { ChildSa, PeerAuth } from '../ike/child.ts';
import { proves, sameProof, type Proof } from '../ike/proof.ts';

/** What is wanted of the peer at an address: one of several proofs, or no more than that somebody is there. */
export type Want = Proof | { readonly kind: 'anyone' };

/** Whether what the peer has proved is one of these. */
export function meets(peerAuth: PeerAuth, wants: readonly Want[]): boolean {
  return takesAnyone(wants) || proves(peerAuth, proofsIn(wants));
}

export function takesAnyone(wants: readonly Want[]): boolean {
  return wants.some((w) => w.kind === 'anyone');
}

export function proofsIn(wants: readonly Want[]): Proof[] {
  return wants.flatMap((w) => (w.kind === 'anyone' ? [] : [w]));
}

export function sameWant(a: Want, b: Want): boolean {
  if (a.kind === 'anyone' || b.kind === 'anyone') return a.kind === b.kind;
  return sameProof(a, b);
}

/** Whether the keys stay secret from whoever records the traffic now and has a quantum computer later. */
export function isPostQuantum(child: ChildSa): boolean {
  return child.keyExchange?.postQuantum === true;
}

/** As a clause, of an SA whose keys are not. */
export const notPostQuantum = 'a rule wants a key exchange with ML-KEM, and there was none';
