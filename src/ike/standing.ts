import { later } from '../time.ts';
import { grantChild, judgeWish, switchOutbound } from './answer-child.ts';
import { isReplaced, removeChild } from './child-sa.ts';
import { askForChild, onCreateChildResponse } from './create-child.ts';
import { endSession } from './ending.ts';
import { hasten, sendAnswer, settleRequest, type Incoming } from './exchange.ts';
import { onInformationalRequest, onInformationalResponse, sendInformational } from './informational.ts';
import { Exchange, NotifyType, Protocol } from './numbers.ts';
import { notify, type NotifyPayload } from './payloads.ts';
import {
  askForIke,
  onFollowUpRequest,
  onFollowUpResponse,
  onRekeyIkeRequest,
  onRekeyIkeResponse,
  settleCandidate,
} from './rekey-ike.ts';
import { startTimer, tell, type Child, type Session, type Standing } from './session.ts';
import { findNotify, shapes, take, unknownCritical } from './shapes.ts';

/** What a standing IKE SA does with the peer's requests, with the answers to ours, and with what is to be asked. */

export function onStandingRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const { secrets } = phase;
  const { exchange, messageId, payloads } = incoming;
  if (!payloads) {
    // Authentic and unreadable: the peer is broken, and the IKE SA with it (§2.21.3).
    sendAnswer(session, secrets, messageId, exchange, [notify(NotifyType.INVALID_SYNTAX)]);
    endSession(session, `the peer sent something malformed: ${incoming.why}`, true);
    return;
  }
  const critical = unknownCritical(payloads);
  if (critical !== undefined) {
    const data = new Uint8Array([critical]);
    sendAnswer(session, secrets, messageId, exchange, [
      notify(NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, data),
    ]);
    return;
  }
  settleCandidate(session, payloads);
  switch (exchange) {
    case Exchange.INFORMATIONAL:
      onInformationalRequest(session, phase, incoming);
      return;
    case Exchange.CREATE_CHILD_SA:
      onCreateChildRequest(session, phase, incoming);
      return;
    case Exchange.IKE_FOLLOWUP_KE:
      onFollowUpRequest(session, phase, incoming);
      return;
    default:
      sendAnswer(session, secrets, messageId, exchange, [notify(NotifyType.INVALID_SYNTAX)]);
  }
}

function onCreateChildRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const { host } = session;
  const { secrets } = phase;
  const { messageId, payloads = [] } = incoming;
  const refuse = (refusal: NotifyPayload): void => {
    sendAnswer(session, secrets, messageId, Exchange.CREATE_CHILD_SA, [refusal]);
  };
  if (isLeaving(session)) {
    refuse(notify(NotifyType.TEMPORARY_FAILURE));
    return;
  }
  const sa = payloads.find((p) => p.kind === 'SA');
  if (sa?.kind === 'SA' && sa.proposals.some((p) => p.protocol === Protocol.IKE)) {
    onRekeyIkeRequest(session, phase, incoming);
    return;
  }
  // While it is being replaced nothing is added to it (§2.25.2).
  if (session.asking?.what === 'rekeyIke') {
    refuse(notify(NotifyType.TEMPORARY_FAILURE));
    return;
  }
  const taken = take(payloads, shapes.createChild);
  if (!taken.ok) {
    refuse(notify(NotifyType.INVALID_SYNTAX));
    return;
  }
  const rekey = findNotify(payloads, NotifyType.REKEY_SA);
  const old = rekey && [...session.children.values()].find((c) => c.sa.outbound.spi === spiOf(rekey));
  // It may be the one that we have asked for, and the answer is not here yet.
  if (rekey && !old && session.asking?.what === 'createChild') {
    refuse(notify(NotifyType.TEMPORARY_FAILURE));
    return;
  }
  if (rekey && !old) {
    refuse({ ...notify(NotifyType.CHILD_SA_NOT_FOUND), protocol: Protocol.ESP, spi: rekey.spi.slice() });
    return;
  }
  // We delete it, or have replaced it and are about to (§2.25.1). Where both ask, each answers as usual (§2.8.1).
  if (old && (old.leaving || !old.told || isReplacedByUs(session, old))) {
    refuse(notify(NotifyType.TEMPORARY_FAILURE));
    return;
  }
  const { SA, TSi, TSr, KE, Nonce } = taken.value;
  const verdict = judgeWish(session, secrets, {
    SA,
    TSi,
    TSr,
    KE,
    nonceI: Nonce.nonce.slice(),
    nonceR: host.options.random.octets(32),
    replaces: old?.sa.inbound.spi,
    payloads,
  });
  if (!verdict.ok) {
    refuse(verdict.refusal);
    return;
  }
  tell(session, `← CREATE_CHILD_SA: ${old ? 'rekeys the child' : 'asks for a child'}`);
  const { offer } = verdict;
  grantChild(session, {
    messageId,
    exchange: Exchange.CREATE_CHILD_SA,
    prefix: [],
    peerAuth: undefined,
    offer,
  });
}

function isReplacedByUs(session: Session, old: Child): boolean {
  return [...session.children.values()].some(
    (c) => c.replaces === old.sa.inbound.spi && c.madeBy === 'us' && !c.isRedundant,
  );
}

function spiOf(n: NotifyPayload): number | undefined {
  const { spi } = n;
  return spi.length === 4 ? new DataView(spi.buffer, spi.byteOffset, 4).getUint32(0) : undefined;
}

export function onStandingResponse(session: Session, phase: Standing, incoming: Incoming): void {
  const { asking } = session;
  settleRequest(session);
  session.asking = undefined;
  if (!incoming.payloads) {
    endSession(session, `the peer answered something malformed: ${incoming.why}`);
    return;
  }
  switch (asking?.what) {
    case undefined:
    case 'childSpi':
      return;
    case 'createChild':
      onCreateChildResponse(session, phase, asking, incoming);
      return;
    case 'rekeyIke':
      onRekeyIkeResponse(session, phase, asking, incoming);
      return;
    case 'followUp':
      onFollowUpResponse(session, phase, asking, incoming);
      return;
    case 'liveness':
    case 'deleteChild':
    case 'deleteIke':
      onInformationalResponse(session, asking);
      return;
    default:
      asking satisfies never;
  }
}

/** Asks the next thing that is due, if nothing is being asked. */
export function runTasks(session: Session): void {
  const { phase, host, tasks } = session;
  if (phase.phase !== 'standing' || session.asking || session.outgoing) return;
  for (let i = 0; i < tasks.length; i++) {
    const task = tasks[i];
    if (!task) return;
    if ('notBefore' in task && task.notBefore > host.now) continue;
    // The child that the peer is about to get would be between the two IKE SAs.
    if (task.what === 'rekeyIke' && session.answering) continue;
    // And so would what is asked for while the peer replaces the IKE SA; it comes to its end, or is forgotten.
    if (session.following && (task.what === 'rekeyIke' || task.what === 'createChild')) continue;
    tasks.splice(i--, 1);
    switch (task.what) {
      case 'createChild':
        // Meanwhile the peer may have made one itself.
        if (task.rekeys === undefined && !isChildWanted(session)) continue;
        if (task.rekeys !== undefined && !isRekeyWanted(session, task.rekeys)) continue;
        askForChild(session, task);
        return;
      case 'rekeyIke':
        if (session.successor || session.candidateFor) continue;
        askForIke(session, phase, task.group);
        return;
      case 'deleteChild': {
        const child = session.children.get(task.spi);
        if (!child && task.notBefore !== undefined) continue;
        if (child) child.leaving = true;
        sendInformational(session, phase, task);
        return;
      }
      case 'deleteIke':
      case 'liveness':
        sendInformational(session, phase, task);
        return;
      default:
        task satisfies never;
    }
  }
  // What is due and was left waits for the peer, not for the clock.
  const later = tasks.flatMap((t) => ('notBefore' in t && t.notBefore > host.now ? [t.notBefore] : []));
  if (later.length > 0) startTimer(session, 'task', Math.min(...later) - host.now);
}

function isChildWanted(session: Session): boolean {
  if (session.attempts.size > 0) return true;
  return session.wantsChild && session.children.size === 0;
}

function isRekeyWanted(session: Session, spi: number): boolean {
  const old = session.children.get(spi);
  return old !== undefined && !old.leaving && !isReplaced(session, old);
}

/** Whether the IKE SA is to be deleted: ours is queued or on its way, or the peer's is waited for. */
export function isLeaving({ asking, tasks, successor }: Session): boolean {
  return successor !== undefined || asking?.what === 'deleteIke' || tasks.some((t) => t.what === 'deleteIke');
}

/** Sees whether the peer is still there, unless that is being found out already. */
export function probe(session: Session): void {
  if (session.outgoing || session.tasks.some((t) => t.what === 'liveness')) return;
  session.tasks.unshift({ what: 'liveness' });
}

/** The same, with a reason to fear that it is not; what it has just said it need not say again. */
export function probeAtOnce(session: Session, why: string): void {
  const { host, asking, tasks } = session;
  if (session.phase.phase !== 'standing' || isLeaving(session)) return;
  if (later(session.heardAt, host.limits.freshMs) > host.now) return;
  if (asking?.what === 'liveness' || tasks.some((t) => t.what === 'liveness')) return;
  tell(session, `is the peer still there? ${why}`);
  // What is under way is the question, too.
  if (session.outgoing) hasten(session, 'due');
  else tasks.unshift({ what: 'liveness', isUrgent: true });
}

/** Whether nothing was heard for so long that it should be probed before it is relied on. */
export function isQuiet(session: Session): boolean {
  return later(session.heardAt, session.host.limits.quietMs) < session.host.now;
}

/** A kernel state has reached a limit; false where it is none of this session's. */
export function onExpired(session: Session, spi: number, hard: boolean): boolean {
  const child = [...session.children.values()].find(
    (c) => c.sa.inbound.spi === spi || c.sa.outbound.spi === spi,
  );
  if (!child) return false;
  const own = child.sa.inbound.spi;
  if (hard) {
    if (!child.leaving) session.tasks.push({ what: 'deleteChild', spi: own, why: 'its lifetime is over' });
    switchOutbound(session, 'once');
    removeChild(session, child, 'its lifetime is over');
    return true;
  }
  rekeyChild(session, child);
  return true;
}

/** Unless it is being replaced, or deleted, already. */
function rekeyChild(session: Session, child: Child): void {
  const { asking, tasks, host } = session;
  const own = child.sa.inbound.spi;
  const isUnderWay =
    child.leaving ||
    tasks.some((t) => t.what === 'createChild' && t.rekeys === own) ||
    ((asking?.what === 'createChild' || asking?.what === 'childSpi') && asking.task.rekeys === own) ||
    isReplaced(session, child);
  if (isUnderWay) return;
  tasks.push({ what: 'createChild', mode: child.sa.mode, rekeys: own, notBefore: host.now });
}

/** Replaces what stands before it is due. */
export function renew(session: Session, what: 'children' | 'ike' | 'proofs'): void {
  const { asking, tasks, host } = session;
  if (session.phase.phase !== 'standing' || isLeaving(session)) return;
  switch (what) {
    case 'children':
      for (const child of session.children.values()) if (child.told) rekeyChild(session, child);
      return;
    case 'ike':
      if (asking?.what !== 'rekeyIke' && !tasks.some((t) => t.what === 'rekeyIke')) {
        tasks.push({ what: 'rekeyIke' });
      }
      return;
    case 'proofs':
      host.reauthenticate(session, 'it is to be proved anew who the two are');
      return;
    default:
      what satisfies never;
  }
}

/** Outbound traffic has waited long enough for the child that goes. */
export function onSwitch(session: Session): void {
  switchOutbound(session);
}
