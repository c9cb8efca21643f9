import { formatAddress, type IpAddress } from '../net/address.ts';
import { later } from '../time.ts';
import { compareOctets } from '../wire/octets.ts';
import { switchOutbound } from './answer-child.ts';
import type { PeerAuth } from './child.ts';
import { install } from './child-sa.ts';
import { lowerNonce } from './collisions.ts';
import { endSession } from './ending.ts';
import { isAuthentic, proves, samePeerAuth, type Proof } from './proof.ts';
import { secretsOf, startTimer, tell, type Attempt, type Child, type Session } from './session.ts';
import { isLeaving, probe } from './standing.ts';

/**
 * The IKE SAs between two addresses, and which of them goes where there are several.
 *
 * Two hosts that look each other up at the same time cross: each is initiator of one IKE SA. RFC 7296 has a rule for
 * rekeys only (§2.8). Ours: both are finished, then the one with the lowest of the four nonces stays and the
 * *initiator* of the other deletes it after a grace, when traffic has found the one that stays. An IKE SA in which
 * more of the two have proved themselves is better, which both see alike; and none goes that holds the only proof of
 * the peer.
 */
export class Pairs {
  readonly #pairs = new Map<string, Set<Session>>();

  add(session: Session): void {
    const key = pairOf(session);
    const there = this.#pairs.get(key);
    if (there) there.add(session);
    else this.#pairs.set(key, new Set([session]));
  }

  remove(session: Session): void {
    const key = pairOf(session);
    const there = this.#pairs.get(key);
    there?.delete(session);
    if (there?.size === 0) this.#pairs.delete(key);
  }

  of(key: string): readonly Session[] {
    return [...(this.#pairs.get(key) ?? [])];
  }

  others(session: Session): readonly Session[] {
    return this.of(pairOf(session)).filter((s) => s !== session);
  }

  /** A child of the pair that stands and whose peer has proved enough for the attempt. */
  serving(attempt: Attempt): { readonly session: Session; readonly child: Child } | undefined {
    for (const session of this.of(attempt.pair)) {
      const child = liveChildOf(session);
      if (child && serves(attempt, child.sa.peerAuth)) return { session, child };
    }
    return undefined;
  }

  /**
   * Whether another IKE SA of the pair has a child of an authenticated peer, be it on its way to the kernel only: what
   * is installed after it would otherwise be the newer one there.
   */
  authenticatedElsewhere(session: Session): boolean {
    return this.others(session).some((s) =>
      [...s.children.values()].some((c) => isAuthentic(c.sa.peerAuth) && !c.leaving),
    );
  }

  /** Whether there is a child through which what we send arrives, as far as one can tell. */
  hasFresh(session: Session): boolean {
    return this.of(pairOf(session)).some(
      (s) =>
        liveChildOf(s)?.state === 'live' &&
        later(s.heardAt, doubtMs) >= s.host.now &&
        !(session.initialContact && isOlder(s, session)),
    );
  }

  /** A child stands in `session`: says which IKE SAs of the pair are to go. */
  settle(session: Session): void {
    const { besides } = session;
    if (besides && !besides.isDoubt) {
      session.besides = undefined;
      takeLeave(besides.session, 'another has taken its place');
    }
    const all = this.of(pairOf(session)).filter((s) => liveChildOf(s) && !isLeaving(s) && !isDoubted(s));
    const most = Math.max(...all.map(proofs));
    const best = all.filter((s) => proofs(s) === most);
    const kept = best.reduce((a, b) => (compareOctets(lowestNonce(b), lowestNonce(a)) < 0 ? b : a));
    for (const other of all) {
      if (other === kept) {
        other.timers.delete('retire');
      } else if (other.role === 'initiator' && !other.timers.has('retire') && isReplaceable(other, kept)) {
        tell(other, 'two IKE SAs have crossed; this one will go');
        startTimer(other, 'retire', other.host.limits.retireMs);
      }
    }
    // What we send goes the way that stays; the newest child would have it.
    if (kept !== session && isReplaceable(session, kept)) {
      const child = liveChildOf(kept);
      if (child?.state === 'live') install(kept, child, 'outbound');
    }
    if (session.role === 'responder') this.doubtOthers(session);
  }

  /** A peer that begins anew may have lost what it had (§2.4); what has just been heard of is no doubt alive. */
  doubtOthers(session: Session): void {
    for (const other of this.others(session)) {
      const isDoubtful = later(other.heardAt, doubtMs) < session.host.now;
      if (liveChildOf(other) && isDoubtful) probe(other);
    }
  }

  /** The authenticated peer says that it knows no other IKE SA: those from before are gone (§2.4). */
  initialContact(session: Session): void {
    for (const other of this.others(session)) {
      if (other.phase.phase !== 'standing' || session.phase.phase !== 'standing') continue;
      if (isOlder(other, session) && samePeerAuth(other.phase.peerAuth, session.phase.peerAuth)) {
        endSession(other, 'the peer has begun anew');
      }
    }
  }

  /**
   * The peer's key is published no longer: IKE SAs in which it was proved go, as soon as there is one with another.
   */
  withdraw(pair: string, proof: Proof): void {
    const there = this.of(pair).filter((s) => liveChildOf(s) !== undefined);
    const old = there.filter(({ phase }) => phase.phase === 'standing' && proves(phase.peerAuth, [proof]));
    if (there.length === old.length) return;
    for (const session of old) takeLeave(session, 'the key of the peer is published no longer');
  }

  /** A child has gone: what it shadowed comes forward, and what was to go for its sake stays. */
  unshadow(session: Session): void {
    for (const other of this.others(session)) switchOutbound(other);
    const left = this.of(pairOf(session)).filter((s) => liveChildOf(s) !== undefined);
    const [first] = left;
    if (!first || !left.every((s) => s.timers.has('retire'))) return;
    first.timers.delete('retire');
    tell(first, 'the IKE SA that was to be kept has gone; this one stays');
  }
}

/** Whether it stood before the other began. */
function isOlder({ phase }: Session, { createdAt }: Session): boolean {
  return phase.phase === 'standing' && phase.since < createdAt;
}

/** Deletes it, and its children with it. */
export function takeLeave(session: Session, why: string): void {
  if (session.phase.phase !== 'standing' || isLeaving(session)) return;
  tell(session, `this IKE SA will go: ${why}`);
  session.tasks.unshift({ what: 'deleteIke', why, notify: undefined });
  session.host.touch(session);
}

/** The peer is being asked whether it is still there, and does not answer. */
function isDoubted({ asking, outgoing }: Session): boolean {
  if (!outgoing || outgoing.sent < 2) return false;
  return asking?.what === 'liveness' || outgoing.urgentSince !== undefined;
}

const doubtMs = 2_000;

export function pairOf(session: Session): string {
  return pairKey(session.local.address, session.remote.address);
}

export function pairKey(local: IpAddress, peer: IpAddress): string {
  return `${formatAddress(local)} ${formatAddress(peer)}`;
}

/** Whether a peer that has proved this much is whom the attempt wants. */
export function serves(attempt: Attempt, peerAuth: PeerAuth): boolean {
  if (attempt.require === 'any') return true;
  return proves(peerAuth, attempt.keys ?? []);
}

export function liveChildOf(session: Session): Child | undefined {
  if (session.phase.phase !== 'standing') return undefined;
  for (const child of session.children.values()) {
    if (child.told && !child.leaving) return child;
  }
  return undefined;
}

export function isAuthenticated({ phase }: Session): boolean {
  return phase.phase === 'standing' && isAuthentic(phase.peerAuth);
}

/** How many of the two ends have proved who they are; both ends count the same. */
function proofs(session: Session): number {
  return (isAuthenticated(session) ? 1 : 0) + (session.identified ? 1 : 0);
}

/** A peer may prove different keys for different names; each name counts its own only. */
function isReplaceable({ phase }: Session, kept: Session): boolean {
  if (phase.phase !== 'standing' || kept.phase.phase !== 'standing') return false;
  return phase.peerAuth.kind === 'anonymous' || samePeerAuth(phase.peerAuth, kept.phase.peerAuth);
}

function lowestNonce(session: Session): Uint8Array {
  const secrets = secretsOf(session);
  return secrets ? lowerNonce(secrets.nonceI, secrets.nonceR) : new Uint8Array([0xff]);
}
