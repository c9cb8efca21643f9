import { isRedundant, lowerNonce } from './collisions.ts';
import { groupWanted, isOutOfStep, pauseMs } from './create-child.ts';
import { generateDh } from './crypto/dh.ts';
import { ikeKeys, skeyseedRekeyed } from './crypto/prf.ts';
import { sendAnswer, sendRequest, type Incoming } from './exchange.ts';
import { answerFollowUp, askFollowUp, follow, onFollowUpAnswer, unfollow } from './followup.ts';
import { logKeys } from './key-log.ts';
import { Exchange, NotifyType, notifyName, Protocol } from './numbers.ts';
import { notify, type InnerPayload } from './payloads.ts';
import { acceptIke, chooseIke, describeIkeSuite, ikeProposals } from './proposals.ts';
import { protection } from './secrets.ts';
import {
  newSession,
  startTimer,
  tell,
  type Asking,
  type Session,
  type Standing,
  type Successor,
} from './session.ts';
import { findNotify, firstError, shapes, take } from './shapes.ts';

/**
 * A new IKE SA out of an old one (RFC 7296 §1.3.2, §2.18). It inherits the children and who the peer is; the side
 * that wanted it deletes the old one. Where both want it at once (§2.8.2) each answers as usual; of the two new ones
 * that with the lowest nonce is deleted by the side that wanted it, and the other one inherits.
 */
export function onRekeyIkeRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const { host, asking } = session;
  const { messageId } = incoming;
  const answer = (payloads: readonly InnerPayload[]): void => {
    sendAnswer(session, phase.secrets, messageId, Exchange.CREATE_CHILD_SA, payloads);
  };
  const taken = take(incoming.payloads ?? [], shapes.rekeyIke);
  if (!taken.ok) {
    answer([notify(NotifyType.INVALID_SYNTAX)]);
    return;
  }
  // A child of it is being made, replaced or deleted by us (§2.25.2).
  const isBusy = asking !== undefined && asking.what !== 'liveness' && asking.what !== 'rekeyIke';
  const isAnswered = asking?.what === 'rekeyIke' && asking.crossed !== undefined;
  if (isBusy || isAnswered || !host.mayRekey(session)) {
    answer([notify(NotifyType.TEMPORARY_FAILURE)]);
    return;
  }
  const { SA, KE, Nonce } = taken.value;
  const spi = host.newSpi();
  const offer = { keGroup: KE.group, spi };
  // Two that cross are settled at once, by one key exchange each; a peer that wants more comes again.
  const isCrossing = asking?.what === 'rekeyIke';
  const choice = chooseIke(SA, { ...offer, additional: isCrossing ? [] : host.additional });
  if (choice?.peerSpi === undefined) {
    const couldLater = isCrossing && chooseIke(SA, { ...offer, additional: host.additional }) !== undefined;
    answer([notify(couldLater ? NotifyType.TEMPORARY_FAILURE : NotifyType.NO_PROPOSAL_CHOSEN)]);
    return;
  }
  const { group } = choice.suite;
  if (group !== KE.group) {
    answer([notify(NotifyType.INVALID_KE_PAYLOAD, new Uint8Array([group >> 8, group & 0xff]))]);
    return;
  }
  const dh = generateDh(group, host.options.random);
  const shared = dh.sharedSecret(KE.data);
  if (!shared.ok) {
    answer([notify(NotifyType.INVALID_SYNTAX)]);
    return;
  }
  const nonceI = Nonce.nonce.slice();
  const nonceR = host.options.random.octets(32);
  tell(session, '← CREATE_CHILD_SA: rekeys the IKE SA');
  const to: Successor = {
    role: 'responder',
    spi,
    peerSpi: choice.peerSpi,
    suite: choice.suite,
    nonceI,
    nonceR,
  };
  const agreed = { to, left: choice.suite.additional, secrets: [shared.secret] };
  const payloads: InnerPayload[] = [
    choice.answer,
    { kind: 'Nonce', nonce: nonceR },
    { kind: 'KE', group, data: dh.publicValue },
  ];
  unfollow(session);
  if (agreed.left.length > 0) {
    answer([...payloads, follow(session, agreed)]);
    return;
  }
  answer(payloads);
  const successor = successorOf(session, phase, to, agreed.secrets);
  if (asking?.what !== 'rekeyIke') {
    handOver(session, successor);
    return;
  }
  tell(session, 'both rekey the IKE SA at once');
  successor.candidateFor = session;
  session.asking = { ...asking, crossed: { session: successor, nonce: lowerNonce(nonceI, nonceR) } };
}

/** Asks for a new IKE SA; `group`: what the peer wants instead of the group of the old one. */
export function askForIke(session: Session, phase: Standing, wanted?: number): void {
  const { host } = session;
  const group = wanted ?? phase.secrets.suite.group;
  const spi = host.newSpi();
  const dh = generateDh(group, host.options.random);
  const nonce = host.options.random.octets(32);
  // As many key exchanges as the old one had; fewer where the peer wants that, for they still count (RFC 9370 §2.2.4).
  const additional = phase.secrets.suite.additional.length > 0 ? host.kems : [];
  const offered = ikeProposals({ group, spi, additional });
  session.asking = { what: 'rekeyIke', spi, nonce, dh, offered };
  tell(session, '→ CREATE_CHILD_SA: rekeys the IKE SA');
  sendRequest(
    session,
    phase.secrets,
    Exchange.CREATE_CHILD_SA,
    [
      { kind: 'SA', proposals: offered },
      { kind: 'Nonce', nonce },
      { kind: 'KE', group, data: dh.publicValue },
    ],
    host.limits.transmissionsEstablished,
  );
}

export function onRekeyIkeResponse(
  session: Session,
  phase: Standing,
  asked: Extract<Asking, { readonly what: 'rekeyIke' }>,
  incoming: Incoming,
): void {
  const { crossed } = asked;
  // The other one may have been deleted by the peer, which then knew more than we did.
  const theirs = crossed?.session.phase.phase === 'standing' ? crossed : undefined;
  const made = acceptSuccessor(session, phase, asked, incoming);
  if (made === 'more') return;
  if (!made) {
    if (theirs) handOver(session, theirs.session);
    else onNoSuccessor(session, asked.dh.group, incoming);
    return;
  }
  session.busySince = undefined;
  const { nonceI, nonceR } = made.phase.secrets;
  if (theirs && isRedundant(lowerNonce(nonceI, nonceR), theirs.nonce)) {
    tell(session, 'both have rekeyed the IKE SA; ours has the lowest nonce and goes');
    handOver(session, theirs.session);
    retire(made.session, theirs.session);
    made.session.tasks.unshift({ what: 'deleteIke', why: 'both have rekeyed the IKE SA', notify: undefined });
    return;
  }
  if (theirs) {
    tell(session, 'both have rekeyed the IKE SA; ours stays');
    handOver(theirs.session, made.session);
  }
  handOver(session, made.session);
  session.tasks.unshift({ what: 'deleteIke', why: 'it was rekeyed', notify: undefined });
}

function acceptSuccessor(
  session: Session,
  phase: Standing,
  asked: Extract<Asking, { readonly what: 'rekeyIke' }>,
  incoming: Incoming,
): { readonly session: Session; readonly phase: Standing } | 'more' | undefined {
  const taken = take(incoming.payloads ?? [], shapes.rekeyIke);
  if (!taken.ok) return undefined;
  const { SA, KE, Nonce } = taken.value;
  const choice = acceptIke(asked.offered, SA);
  const { group } = asked.dh;
  const shared = KE.group === group ? asked.dh.sharedSecret(KE.data) : undefined;
  if (choice?.peerSpi === undefined || choice.suite.group !== group || !shared?.ok) return undefined;
  const to: Successor = {
    role: 'initiator',
    spi: asked.spi,
    peerSpi: choice.peerSpi,
    suite: choice.suite,
    nonceI: asked.nonce,
    nonceR: Nonce.nonce.slice(),
  };
  const left = choice.suite.additional;
  if (left.length > 0) {
    const link = findNotify(incoming.payloads ?? [], NotifyType.ADDITIONAL_KEY_EXCHANGE)?.data;
    // What the peer has made out of its own request meanwhile is there already.
    if (!link || asked.crossed) return undefined;
    askFollowUp(session, phase, { to, left, secrets: [shared.secret] }, link);
    return 'more';
  }
  const made = successorOf(session, phase, to, [shared.secret]);
  return made.phase.phase === 'standing' ? { session: made, phase: made.phase } : undefined;
}

/** Later again; the old one stays meanwhile. */
function onNoSuccessor(session: Session, asked: number, incoming: Incoming): void {
  const error = firstError(incoming.payloads ?? []);
  tell(session, `← no new IKE SA: ${error ? `it says ${notifyName(error.type)}` : 'its answer is no good'}`);
  if (isOutOfStep(session, error)) return;
  const group = error?.type === NotifyType.INVALID_KE_PAYLOAD ? groupWanted(error) : undefined;
  if (group !== undefined && group !== asked && session.rekeyTries++ < rekeyTries) {
    session.tasks.unshift({ what: 'rekeyIke', group });
    return;
  }
  if (error?.type === NotifyType.TEMPORARY_FAILURE) {
    startTimer(session, 'lifetime', pauseMs(session));
  } else if (session.rekeyTries++ < rekeyTries) {
    startTimer(session, 'lifetime', retryMs);
  } else {
    // A peer that cannot do it: a new one from scratch takes the place of this one (§2.8.3).
    session.host.reauthenticate(session, 'it cannot be rekeyed');
  }
}

const retryMs = 60_000;
const rekeyTries = 5;

/**
 * A request came in an IKE SA of which we do not know yet whether it stays. The peer would ask nothing in one that
 * goes but to delete it: it has decided.
 */
export function settleCandidate(session: Session, payloads: readonly InnerPayload[]): void {
  const old = session.candidateFor;
  if (!old || payloads.some((p) => p.kind === 'Delete' && p.protocol === Protocol.IKE)) return;
  if (payloads.length > 0) handOver(old, session);
}

/** The peer's next key exchange for the IKE SA that it wants; after the last one it is there. */
export function onFollowUpRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const done = answerFollowUp(session, phase, incoming);
  if (done) handOver(session, successorOf(session, phase, done.to, done.secrets));
}

export function onFollowUpResponse(
  session: Session,
  phase: Standing,
  asked: Extract<Asking, { readonly what: 'followUp' }>,
  incoming: Incoming,
): void {
  const read = onFollowUpAnswer(session, phase, asked, incoming);
  if (read.kind === 'refused') onNoSuccessor(session, asked.agreed.to.suite.group, incoming);
  if (read.kind !== 'done') return;
  session.busySince = undefined;
  handOver(session, successorOf(session, phase, read.agreed.to, read.agreed.secrets));
  session.tasks.unshift({ what: 'deleteIke', why: 'it was rekeyed', notify: undefined });
}

/** The new IKE SA, with nothing of the old one but its keys and who the peer is. */
function successorOf(
  old: Session,
  phase: Standing,
  to: Successor,
  [sharedSecret = new Uint8Array(0), ...more]: readonly Uint8Array[],
): Session {
  const { host } = old;
  const { suite, nonceI, nonceR, role } = to;
  const exchange = { prf: suite.prf, nonceI, nonceR };
  const isInitiator = role === 'initiator';
  const keys = ikeKeys(
    skeyseedRekeyed(phase.secrets.suite.prf, phase.secrets.keys.skD, { ...exchange, sharedSecret }, more),
    {
      ...exchange,
      spiI: isInitiator ? to.spi : to.peerSpi,
      spiR: isInitiator ? to.peerSpi : to.spi,
      cipher: suite.cipher,
    },
  );
  const secrets = {
    ...phase.secrets,
    suite,
    ...protection(host, role, suite.cipher, keys),
    nonceI,
    nonceR,
    initI: new Uint8Array(0),
    initR: new Uint8Array(0),
    intAuth: undefined,
  };
  const session = newSession(
    host,
    role,
    to.spi,
    old.local,
    old.remote,
    { ...phase, secrets, since: host.now },
    {
      peerSpi: to.peerSpi,
      require: old.require,
    },
  );
  session.trusted = old.trusted;
  session.identified = old.identified;
  session.asksWide = old.asksWide;
  tell(session, `IKE SA rekeyed: ${describeIkeSuite(suite)}`);
  logKeys(session, secrets);
  host.adopt(session);
  return session;
}

/** Children, what is still to be asked about them, and whoever waits for one go from `old` to `session`. */
export function handOver(old: Session, session: Session): void {
  const { host } = old;
  if (session.phase.phase !== 'standing' || session.successor === old) return;
  session.candidateFor = undefined;
  if (old.successor) return;
  for (const [spi, child] of old.children) session.children.set(spi, child);
  old.children.clear();
  for (const task of old.tasks.splice(0)) {
    if (task.what === 'createChild' || task.what === 'deleteChild') session.tasks.push(task);
    else if (task.what !== 'rekeyIke') old.tasks.push(task);
  }
  for (const attempt of old.attempts) {
    attempt.sessions.delete(old);
    attempt.sessions.add(session);
    session.attempts.add(attempt);
  }
  old.attempts.clear();
  session.wantsChild ||= old.wantsChild;
  if ([...session.children.values()].some((c) => c.state === 'switching')) {
    startTimer(session, 'switch', host.limits.rekeySwitchMs);
  }
  if (session.children.size > 0) session.timers.delete('childless');
  retire(old, session);
  host.touch(session);
}

/** It waits for its Delete, and not for ever. */
function retire(old: Session, successor: Session): void {
  old.successor = successor;
  old.candidateFor = undefined;
  const reauth = old.timers.get('reauth');
  // A new IKE SA out of an old one proves nothing anew (RFC 4478 §3).
  if (reauth !== undefined) successor.timers.set('reauth', reauth);
  for (const timer of ['retire', 'lifetime', 'reauth'] as const) old.timers.delete(timer);
  startTimer(old, 'childless', old.host.limits.childlessMs);
}
