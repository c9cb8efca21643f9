import type { ChildSa } from '../ike/child.ts';
import { isAuthentic, samePeerAuth } from '../ike/proof.ts';
import type { LiveChild } from './peer.ts';

/** Whether a host behind a NAT may have its SA, and whose SAs have to go for it. */
export type Room =
  | { readonly ok: true; readonly displaces: readonly ChildSa[] }
  /** A clause. */
  | { readonly ok: false; readonly why: string };

/**
 * Several hosts behind one NAT have one address, and there is one way for what we send to it. Who has that way does
 * not lose it to somebody who may be anybody, as the next one would read what is meant for the first. A host that
 * proves who it is takes it from those that prove nothing, and from what it had itself under another port.
 *
 * `neighbours`: the ids of the children of other hosts, as far as their ports tell.
 */
export function roomFor(child: ChildSa, neighbours: readonly number[], live: readonly LiveChild[]): Room {
  if (neighbours.length === 0) return { ok: true, displaces: [] };
  const theirs = live.filter((l) => neighbours.includes(l.child.id));
  const { peerAuth } = child;
  if (isAuthentic(peerAuth)) {
    if (theirs.some((l) => samePeerAuth(l.peerAuth, peerAuth))) return { ok: true, displaces: [] };
    if (theirs.length === neighbours.length && theirs.every((l) => !isAuthentic(l.peerAuth))) {
      return { ok: true, displaces: theirs.map((l) => l.child) };
    }
  }
  return { ok: false, why: 'another host behind the same NAT has an SA, and both have one address' };
}
