import { compareOctets, sameOctets } from '../wire/octets.ts';
import type { Child, ChildOffer, Session } from './session.ts';

/**
 * Both ends replace the same thing at once (RFC 7296 §2.8.1, §2.8.2). Each answers the other as usual and notes that
 * they have crossed; when its own answer is there, both know all four nonces: what was made with the lowest of them is
 * redundant, and whoever asked for it deletes it. The other one deletes what was replaced.
 */

/** Of the two nonces of an exchange, the one that counts. */
export function lowerNonce(nonceI: Uint8Array, nonceR: Uint8Array): Uint8Array {
  return compareOctets(nonceI, nonceR) <= 0 ? nonceI : nonceR;
}

/** Whether ours is the exchange that made the redundant SA; both arguments are the lower nonces of an exchange. */
export function isRedundant(ours: Uint8Array, theirs: Uint8Array): boolean {
  return compareOctets(ours, theirs) < 0;
}

/** The peer's wish is granted: if we are just asking to replace the same child, the two have crossed. */
export function noteCrossing(session: Session, offer: ChildOffer): void {
  const { asking } = session;
  if (asking?.what !== 'createChild' || !concerns(session, offer)) return;
  session.asking = { ...asking, crossed: lowerNonce(offer.nonceI, offer.nonceR) };
}

/** The peer's wish came to nothing after all. */
export function forgetCrossing(session: Session, offer: ChildOffer): void {
  const { asking } = session;
  if (asking?.what === 'createChild' && concerns(session, offer)) {
    session.asking = { ...asking, crossed: undefined };
  }
}

/** Two wishes for a child where there was none are one too many as well; RFC 7296 leaves that to us. */
function concerns({ asking }: Session, offer: ChildOffer): boolean {
  return asking?.what === 'createChild' && asking.task.rekeys === offer.replaces;
}

/** Ours stays: what the peer's exchange (its lower nonce is `crossed`) has made, or is about to make, goes. */
export function loserOf(session: Session, crossed: Uint8Array): Child | undefined {
  const { answering } = session;
  if (answering?.step === 'spi') {
    const { nonceI, nonceR } = answering.offer;
    if (sameOctets(lowerNonce(nonceI, nonceR), crossed)) {
      session.answering = { ...answering, isRedundant: true };
    }
  }
  const loser = [...session.children.values()].find((c) => sameOctets(c.nonce, crossed));
  if (!loser) return undefined;
  loser.isRedundant = true;
  if (loser.state === 'switching') loser.state = 'redundant';
  return loser;
}

/** Whether the child that replaces another has to wait until it is known which of two stays. */
export function isUndecided({ asking }: Session, replaced: number | undefined): boolean {
  return (
    asking?.what === 'createChild' &&
    asking.crossed !== undefined &&
    replaced !== undefined &&
    asking.task.rekeys === replaced
  );
}
