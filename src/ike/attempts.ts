import { parseAddress, type Endpoint, type IpAddress } from '../net/address.ts';
import type { EndpointInput } from './endpoint.ts';
import { endSession } from './ending.ts';
import { hasten } from './exchange.ts';
import { advance, beginInit, isStale } from './initiator.ts';
import { isAuthenticated, liveChildOf, pairKey, pairOf, serves, type Pairs } from './pairs.ts';
import { isAuthentic, proofsOf, type Proof } from './proof.ts';
import {
  newSession,
  tell,
  type Attempt,
  type Child,
  type Host,
  type Phase,
  type Session,
} from './session.ts';
import { isLeaving, isQuiet, probe } from './standing.ts';

/**
 * What others want of the endpoint, and the IKE SAs that work for it. An attempt is served by whatever child of its
 * pair proves enough, whoever began it; so several attempts share one negotiation, and a crossing one helps.
 */
export class Attempts {
  readonly #host: Host;
  readonly #pairs: Pairs;
  /** Takes in a session that begins; false where there are too many. */
  readonly #admit: (session: Session) => boolean;
  readonly #open = new Map<number, Attempt>();

  constructor(host: Host, pairs: Pairs, admit: (session: Session) => boolean) {
    this.#host = host;
    this.#pairs = pairs;
    this.#admit = admit;
  }

  initiate(input: Extract<EndpointInput, { readonly kind: 'initiate' }>): void {
    const attempt: Attempt = {
      id: input.attempt,
      pair: pairKey(input.local, input.peer),
      require: input.require,
      keys: input.keys,
      sessions: new Set(),
    };
    this.#open.set(attempt.id, attempt);
    if (!this.#serve(attempt)) this.#work(attempt, input.local, input.peer);
  }

  keys(id: number, keys: readonly Proof[]): void {
    const attempt = this.#open.get(id);
    if (!attempt) return;
    attempt.keys = keys;
    if (this.#serve(attempt)) return;
    if (attempt.sessions.size === 0) {
      const [local, peer] = attempt.pair.split(' ').map((text) => parseAddress(text));
      if (local && peer) this.#work(attempt, local, peer);
      return;
    }
    for (const session of [...attempt.sessions]) {
      session.trusted = [...(session.trusted ?? []), ...keys];
      if (isStale(session)) {
        this.#begin([...session.attempts], session.local, session.remote, session.anonymous);
        endSession(session, 'the responder will have forgotten it');
      } else {
        advance(session);
      }
    }
  }

  abandon(id: number): void {
    const attempt = this.#open.get(id);
    if (!attempt) return;
    this.#open.delete(id);
    for (const session of detach(attempt)) {
      if (session.attempts.size > 0) continue;
      if (session.phase.phase === 'authSent') session.unwanted = true;
      else if (isBeginning(session)) endSession(session, 'nobody wants it any longer');
    }
  }

  /** Begins anew, without telling who we are, for what `session` works for. */
  retryAnonymously(session: Session): void {
    if (session.attempts.size > 0) {
      this.#begin([...session.attempts], session.local, session.remote, true);
    }
  }

  /**
   * Begins anew beside an IKE SA that stands, for itself: the peer has to prove the same again. `isDoubt`: it is feared
   * to have lost its end; else the old one goes once the new one stands (RFC 7296 §2.8.3).
   */
  beginBeside(old: Session, isDoubt: boolean, why: string): void {
    const { phase } = old;
    if (phase.phase !== 'standing') return;
    const { peerAuth } = phase;
    // A stranger that began has not said that it wants to be asked.
    if (peerAuth.kind === 'anonymous' && old.role === 'responder') return;
    if (this.#pairs.others(old).some((s) => s.role === 'initiator' && isBeginning(s))) return;
    const { ike: port } = this.#host.options.ports;
    const session = newSession(
      this.#host,
      'initiator',
      this.#host.newSpi(),
      { ...old.local, port },
      { ...old.remote, port },
      notBegun,
      { anonymous: old.anonymous, require: isAuthentic(peerAuth) ? 'authenticated' : 'any' },
    );
    if (!this.#admit(session)) return;
    session.trusted = proofsOf(peerAuth);
    session.besides = { session: old, isDoubt };
    tell(session, `a new IKE SA beside the one that stands: ${why}`);
    beginInit(session);
    if (isDoubt) hasten(session, 'fresh');
  }

  /** A child stands. */
  established(session: Session, child: Child): void {
    const { sa, suite } = child;
    const served = [...this.#open.values()].filter(
      (a) => a.pair === pairOf(session) && serves(a, sa.peerAuth),
    );
    if (served.length === 0) {
      this.#host.emit({ kind: 'established', child: sa, peerAuth: sa.peerAuth, attempt: undefined, suite });
    }
    for (const attempt of served) this.#satisfy(attempt, child);
    this.failed(session, 'authentication-failed', 'it proves another key than the one that DNS publishes');
    if (session.role === 'initiator') this.#dropTwins(session);
  }

  /** `session` works for nothing any longer; attempts that have no other fail. */
  failed(session: Session, code: string, why: string): void {
    for (const attempt of [...session.attempts]) {
      attempt.sessions.delete(session);
      session.attempts.delete(attempt);
      if (attempt.sessions.size === 0) this.#fail(attempt, code, why);
    }
  }

  /** Nothing new is taken any longer. */
  close(): void {
    for (const attempt of [...this.#open.values()]) this.#fail(attempt, 'closing', 'the agent is stopping');
  }

  /** Where a child already stands that does for the attempt, it is reported again. */
  #serve(attempt: Attempt): boolean {
    const serving = this.#pairs.serving(attempt);
    if (!serving) return false;
    this.#satisfy(attempt, serving.child);
    if (isQuiet(serving.session)) probe(serving.session);
    return true;
  }

  /** Finds an IKE SA that works for the attempt, or begins one. */
  #work(attempt: Attempt, local: IpAddress, peer: IpAddress): void {
    const there = this.#pairs.of(attempt.pair);
    const waits = attempt.require === 'authenticated' && attempt.keys === undefined;
    // It may well be that one; that is known when the keys are.
    if (waits && there.some((s) => isAuthenticated(s) && liveChildOf(s))) return;
    const beginning = there.find(
      (s) => s.role === 'initiator' && isBeginning(s) && !s.unwanted && !s.anonymous,
    );
    if (beginning) {
      join(attempt, beginning);
      return;
    }
    const standing = there.find(
      (s) => s.phase.phase === 'standing' && serves(attempt, s.phase.peerAuth) && !isLeaving(s),
    );
    if (standing) {
      join(attempt, standing);
      askChildOnce(standing);
      return;
    }
    const { ike: port } = this.#host.options.ports;
    this.#begin([attempt], { address: local, port }, { address: peer, port }, false);
  }

  #begin(attempts: readonly Attempt[], local: Endpoint, remote: Endpoint, anonymous: boolean): void {
    const { ike: port } = this.#host.options.ports;
    const session = newSession(
      this.#host,
      'initiator',
      this.#host.newSpi(),
      { ...local, port },
      { ...remote, port },
      notBegun,
      { anonymous },
    );
    if (!this.#admit(session)) {
      for (const attempt of attempts) {
        if (attempt.sessions.size === 0) this.#fail(attempt, 'refused', 'there are too many IKE SAs already');
      }
      return;
    }
    for (const attempt of attempts) join(attempt, session);
    beginInit(session);
  }

  #satisfy(attempt: Attempt, child: Child): void {
    this.#open.delete(attempt.id);
    for (const session of detach(attempt)) {
      // One that was to wait for keys now waits for nothing.
      if (session.attempts.size === 0 && session.trusted === undefined && isBeginning(session)) {
        endSession(session, 'it is not needed any longer');
      }
    }
    const { sa, suite } = child;
    this.#host.emit({ kind: 'established', child: sa, peerAuth: sa.peerAuth, attempt: attempt.id, suite });
  }

  #fail(attempt: Attempt, code: string, why: string): void {
    this.#open.delete(attempt.id);
    detach(attempt);
    this.#host.emit({ kind: 'failed', attempt: attempt.id, code, why });
  }

  /** What was begun beside it for the same attempts is not needed. */
  #dropTwins(session: Session): void {
    for (const other of this.#pairs.others(session)) {
      if (other.role !== 'initiator' || other.attempts.size > 0) continue;
      if (other.phase.phase === 'authSent') other.unwanted = true;
      else if (isBeginning(other)) endSession(other, 'it is not needed any longer');
    }
  }
}

/** Before the first message is built there is nothing to know. */
const notBegun: Phase = { phase: 'dead', secrets: undefined, why: 'not begun' };

function join(attempt: Attempt, session: Session): void {
  attempt.sessions.add(session);
  session.attempts.add(attempt);
  if (attempt.require === 'authenticated' && session.phase.phase !== 'standing') {
    session.require = 'authenticated';
  }
  if (!attempt.keys) return;
  session.trusted = [...(session.trusted ?? []), ...attempt.keys];
  advance(session);
}

function detach(attempt: Attempt): readonly Session[] {
  const sessions = [...attempt.sessions];
  attempt.sessions.clear();
  for (const session of sessions) session.attempts.delete(attempt);
  return sessions;
}

export function isBeginning({ phase }: Session): boolean {
  return beginning.includes(phase.phase);
}

const beginning: readonly Phase['phase'][] = ['initSent', 'intermediateSent', 'keysAwaited', 'authSent'];

/** Asks for a child in an IKE SA that has none and gets none; whatever else is being asked comes first. */
function askChildOnce(session: Session): void {
  const { asking, answering } = session;
  const isUnderWay =
    [...session.children.values()].some((c) => !c.leaving) ||
    asking?.what === 'createChild' ||
    asking?.what === 'childSpi' ||
    answering !== undefined ||
    session.tasks.some((t) => t.what === 'createChild');
  if (isUnderWay) return;
  session.host.touch(session);
  session.tasks.push({
    what: 'createChild',
    mode: 'transport',
    rekeys: undefined,
    notBefore: session.host.now,
  });
}
