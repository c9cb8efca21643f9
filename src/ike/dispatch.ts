import type { Endpoint } from '../net/address.ts';
import { onAnswerSpi, settleChild } from './answer-child.ts';
import { onChildSpi, onNoChildSpi, onOwnChildRefused } from './create-child.ts';
import { endSession, partWith } from './ending.ts';
import { receive, repeatRequest, settleRequest } from './exchange.ts';
import { answerWhileDead } from './informational.ts';
import {
  advance,
  isIdentityDoubtful,
  onAuthResponse,
  onInitResponse,
  onIntermediateResponse,
  onRefusalGrace,
  onSilence,
} from './initiator.ts';
import { unfollow } from './followup.ts';
import type { Message } from './message.ts';
import { Exchange } from './numbers.ts';
import type { Proof } from './proof.ts';
import { onAnswerInstalled, onAnswerRefused, onHalfOpenRequest, onPeerKeys } from './responder.ts';
import { secretsOf, tell, type Child, type Session, type SpiPurpose, type Timer } from './session.ts';
import { onStandingRequest, onStandingResponse, onSwitch, probe } from './standing.ts';
import { onKeepalive } from './whereabouts.ts';

/** Brings an input to the function that the phase of the session has for it; docs/STATES.md draws it. */

export function onMessage(session: Session, message: Message, local: Endpoint, remote: Endpoint): void {
  const { phase } = session;
  const { exchange, response } = message.header;
  switch (phase.phase) {
    case 'initSent':
      if (exchange === Exchange.IKE_SA_INIT && response) onInitResponse(session, phase, message);
      return;
    case 'intermediateSent': {
      const incoming = response ? receive(session, message, local, remote) : undefined;
      if (incoming) onIntermediateResponse(session, phase, incoming);
      return;
    }
    case 'keysAwaited':
      return;
    case 'authSent': {
      // Nothing but the answer counts before the responder is authenticated.
      const incoming = response ? receive(session, message, local, remote) : undefined;
      if (incoming) onAuthResponse(session, phase, incoming);
      return;
    }
    case 'authAwaited': {
      const isOurs = exchange === Exchange.IKE_AUTH || exchange === Exchange.IKE_INTERMEDIATE;
      const incoming = isOurs && !response ? receive(session, message, local, remote) : undefined;
      if (incoming) onHalfOpenRequest(session, phase, incoming);
      return;
    }
    case 'standing': {
      const incoming = receive(session, message, local, remote);
      if (incoming?.response) onStandingResponse(session, phase, incoming);
      else if (incoming) onStandingRequest(session, phase, incoming);
      return;
    }
    case 'dead': {
      const incoming = receive(session, message, local, remote);
      if (incoming?.response) settleRequest(session);
      else if (incoming && phase.secrets) answerWhileDead(session, phase.secrets, incoming);
      return;
    }
    default:
      phase satisfies never;
  }
}

export function onSpi(session: Session, purpose: SpiPurpose, spi: number): void {
  const { phase, asking, answering, host } = session;
  switch (purpose) {
    case 'first':
      session.firstSpi = { state: 'have', spi, at: host.now };
      advance(session);
      return;
    case 'child':
      if (phase.phase === 'standing' && asking?.what === 'childSpi')
        onChildSpi(session, phase, asking.task, spi);
      return;
    case 'answer': {
      const secrets = secretsOf(session);
      if (answering?.step !== 'spi' || !secrets) return;
      const peerAuth = phase.phase === 'standing' ? phase.peerAuth : answering.peerAuth;
      if (!peerAuth) return;
      const refusal = onAnswerSpi(session, secrets, peerAuth, answering, spi);
      if (refusal) onAnswerRefused(session, secrets, answering, refusal);
      return;
    }
    default:
      purpose satisfies never;
  }
}

export function onNoSpi(session: Session, purpose: SpiPurpose, why: string): void {
  const { asking, answering } = session;
  const secrets = secretsOf(session);
  switch (purpose) {
    case 'first':
      session.firstSpi = { state: 'refused', why };
      advance(session);
      return;
    case 'child':
      if (asking?.what === 'childSpi') onNoChildSpi(session, asking.task, why);
      return;
    case 'answer':
      if (answering?.step === 'spi' && secrets) onAnswerRefused(session, secrets, answering);
      return;
    default:
      purpose satisfies never;
  }
}

/** The kernel has what the last `install` of the child wanted. */
export function onInstalled(session: Session, child: Child): void {
  const { answering, host } = session;
  const secrets = secretsOf(session);
  settleChild(session, child);
  if (answering?.step === 'install' && answering.child === child && secrets) {
    onAnswerInstalled(session, secrets, answering);
  } else if (child.part === 'both' && child.replaces !== undefined && session.children.has(child.replaces)) {
    // The one that asked for the new child deletes the old one (RFC 7296 §2.8).
    session.tasks.push({ what: 'deleteChild', spi: child.replaces, why: 'it was rekeyed' });
  }
  if (!child.told && !child.isRedundant && session.children.get(child.sa.inbound.spi) === child) {
    child.told = true;
    host.established(session, child);
  }
}

/** The kernel, or a rule, did not take the child; nothing of it is there any longer. */
export function onInstallFailed(session: Session, child: Child, why: string): void {
  const { answering, host } = session;
  const secrets = secretsOf(session);
  session.children.delete(child.sa.inbound.spi);
  tell(session, `the child is refused: ${why}`);
  if (answering?.step === 'install' && answering.child === child && secrets) {
    onAnswerRefused(session, secrets, answering);
    // It may have been refused for the sake of an SA that the peer has lost.
    if (session.role === 'responder') host.doubtOthers(session);
  } else {
    onOwnChildRefused(session, child, why);
  }
  host.removed(session, child);
}

export function onKeysOfPeer(session: Session, query: number, keys: readonly Proof[]): void {
  const { answering } = session;
  const secrets = secretsOf(session);
  if (answering?.step === 'keys' && answering.query === query && secrets) {
    onPeerKeys(session, secrets, answering, keys);
  }
}

/** A timer of the session went off. */
export function onTimer(session: Session, timer: Timer): void {
  const { phase, answering, host } = session;
  const secrets = secretsOf(session);
  switch (timer) {
    case 'retransmit':
      onRetransmit(session);
      return;
    case 'refusal':
      onRefusalGrace(session);
      return;
    case 'halfOpen':
      if (phase.phase === 'authAwaited') endSession(session, 'IKE_AUTH did not come');
      return;
    case 'followUp':
      unfollow(session);
      return;
    case 'peerKeys':
      if (answering?.step === 'keys' && secrets) onPeerKeys(session, secrets, answering, undefined);
      return;
    case 'childless':
      if (session.children.size === 0) leave(session, 'it has no child');
      return;
    case 'retire':
      leave(session, 'of two that crossed the other is kept');
      return;
    case 'confirm':
      if (phase.phase === 'standing' && session.heardAt <= phase.since) probe(session);
      return;
    case 'switch':
      onSwitch(session);
      return;
    case 'keepalive':
      onKeepalive(session);
      return;
    case 'lifetime':
      session.tasks.push({ what: 'rekeyIke' });
      return;
    case 'reauth':
      // It was for the peer to prove itself again (RFC 4478).
      if (session.role === 'responder') leave(session, 'the peer has not proved itself again in time');
      else host.reauthenticate(session, 'the peer wants us to prove ourselves again');
      return;
    case 'linger':
      host.ended(session);
      return;
    case 'task':
      return;
    default:
      timer satisfies never;
  }
}

function leave(session: Session, why: string): void {
  if (session.asking?.what === 'deleteIke' || session.tasks.some((t) => t.what === 'deleteIke')) return;
  session.tasks.unshift({ what: 'deleteIke', why, notify: undefined });
}

/** So many repetitions without an answer, and a new IKE SA is begun beside the one that may be dead. */
const doubtAfter = 2;

function onRetransmit(session: Session): void {
  if (repeatRequest(session)) {
    if (isIdentityDoubtful(session)) {
      tell(session, 'no answer to IKE_AUTH; beside it once more, without telling who we are');
      session.host.retryAnonymously(session);
    }
    const { outgoing } = session;
    if (outgoing?.urgentSince !== undefined && outgoing.sent === outgoing.urgentSince + doubtAfter) {
      session.host.doubt(session);
    }
    return;
  }
  const { phase } = session;
  switch (phase.phase) {
    case 'initSent':
    case 'intermediateSent':
    case 'authSent':
      onSilence(session, phase);
      return;
    case 'dead':
      settleRequest(session);
      return;
    case 'keysAwaited':
    case 'authAwaited':
    case 'standing':
      tell(session, 'the peer does not answer any longer');
      // If only its answers were lost, it hears that we are gone.
      partWith(session, 'the peer does not answer any longer');
      return;
    default:
      phase satisfies never;
  }
}
