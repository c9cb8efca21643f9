import { randomUnit } from '../random.ts';
import { later } from '../time.ts';
import { childOf, describeChild, install, isReplaced, removeChild } from './child-sa.ts';
import { isRedundant, loserOf, lowerNonce } from './collisions.ts';
import { generateDh, supportedGroups } from './crypto/dh.ts';
import { failSession } from './ending.ts';
import { sendRequest, type Incoming } from './exchange.ts';
import { Exchange, Group, NotifyType, notifyName, Protocol } from './numbers.ts';
import { notify, type InnerPayload, type NotifyPayload, type TsPayload } from './payloads.ts';
import { acceptEsp, espProposals } from './proposals.ts';
import type { Proposal, SaPayload } from './sa-payload.ts';
import { isExactly, selectorsOf, selectorsOfAll } from './selectors.ts';
import {
  secretsOf,
  tell,
  type Asking,
  type Child,
  type CreateChild,
  type Session,
  type Standing,
} from './session.ts';
import { findNotify, firstError, shapes, take } from './shapes.ts';

/** The side that asks for a child: in IKE_AUTH (RFC 7296 §1.2) and in CREATE_CHILD_SA (§1.3.1, §1.3.3). */

/** What was asked for in a child exchange, and what the peer has answered. */
export interface ChildAnswered {
  readonly task: CreateChild;
  readonly spi: number;
  readonly offered: readonly Proposal[];
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly sharedSecret: Uint8Array | undefined;
  /** Undefined: the peer made no child. */
  readonly answer: { readonly SA: SaPayload; readonly TSi: TsPayload; readonly TSr: TsPayload } | undefined;
  readonly payloads: readonly InnerPayload[];
  /** The lower nonce of the peer's exchange, where it asked for the same at the same time. */
  readonly crossed?: Uint8Array | undefined;
}

/** Begins a child: first our SPI, then the request. */
export function askForChild(session: Session, task: CreateChild): void {
  session.asking = { what: 'childSpi', task };
  session.host.askSpi(session, 'child');
}

/** The SPI for {@link askForChild} is there. */
export function onChildSpi(session: Session, phase: Standing, task: CreateChild, spi: number): void {
  const { host } = session;
  const old = task.rekeys === undefined ? undefined : session.children.get(task.rekeys);
  if (task.rekeys !== undefined && (!old || isReplaced(session, old) || isBeingReplaced(session, old))) {
    session.asking = undefined;
    // Should the peer's wish come to nothing, ours comes again.
    if (old && !old.leaving) session.tasks.push({ ...task, notBefore: later(host.now, host.limits.busyMs) });
    return;
  }
  const { random, suites } = host.options;
  // With a key exchange of its own (PFS), which libreswan wants and strongSwan does not: it may choose NONE. The
  // group is that of the IKE SA, which the peer has shown that it does.
  const group = task.group ?? phase.secrets.suite.group;
  const dh = generateDh(group, random);
  const offered = espProposals(suites, spi, [group, Group.NONE]);
  const nonce = random.octets(32);
  session.asking = { what: 'createChild', task, spi, nonce, dh, offered };
  tell(session, `→ CREATE_CHILD_SA: ${old ? 'rekeys the child' : 'asks for a child'}, ${task.mode} mode`);
  sendRequest(
    session,
    phase.secrets,
    Exchange.CREATE_CHILD_SA,
    [
      ...(old ? [rekeyOf(old.sa.inbound.spi)] : []),
      { kind: 'SA', proposals: offered },
      { kind: 'Nonce', nonce },
      { kind: 'KE', group, data: dh.publicValue },
      (session.asksWide ? selectorsOfAll : selectorsOf)('TSi', session.local.address),
      selectorsOf('TSr', session.remote.address),
      ...(task.mode === 'transport' ? [notify(NotifyType.USE_TRANSPORT_MODE)] : []),
    ],
    host.limits.transmissionsEstablished,
  );
}

/** Whether the peer's wish to replace it is being answered. */
function isBeingReplaced({ answering }: Session, old: Child): boolean {
  return (
    (answering?.step === 'spi' || answering?.step === 'install') &&
    answering.offer.replaces === old.sa.inbound.spi
  );
}

/** Names the child that is replaced by the SPI that its requester receives with (§1.3.3). */
function rekeyOf(spi: number): NotifyPayload {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, spi);
  return {
    kind: 'Notify',
    protocol: Protocol.ESP,
    spi: octets,
    type: NotifyType.REKEY_SA,
    data: new Uint8Array(0),
  };
}

export function onCreateChildResponse(
  session: Session,
  phase: Standing,
  asked: Extract<Asking, { readonly what: 'createChild' }>,
  incoming: Incoming,
): void {
  const payloads = incoming.payloads ?? [];
  const taken = take(payloads, shapes.createChild);
  const shared =
    taken.ok && taken.value.KE?.group === asked.dh.group
      ? asked.dh.sharedSecret(taken.value.KE.data)
      : undefined;
  const isSound = taken.ok && (taken.value.KE === undefined || shared?.ok === true);
  acceptChild(session, phase, {
    task: asked.task,
    spi: asked.spi,
    offered: asked.offered,
    nonceI: asked.nonce,
    nonceR: taken.ok ? taken.value.Nonce.nonce.slice() : new Uint8Array(0),
    sharedSecret: shared?.ok ? shared.secret : undefined,
    answer: taken.ok && isSound ? taken.value : undefined,
    payloads,
    crossed: asked.crossed,
  });
  session.goneEarly.clear();
}

/** Reads the peer's answer to our wish; installs the child or does what is left to do. */
export function acceptChild(session: Session, phase: Standing, answered: ChildAnswered): void {
  const { answer, payloads, task, spi } = answered;
  if (!answer) {
    onChildRefused(session, task, firstError(payloads));
    return;
  }
  session.busySince = undefined;
  const choice = acceptEsp(answered.offered, answer.SA);
  const isTransport = findNotify(payloads, NotifyType.USE_TRANSPORT_MODE) !== undefined;
  const { nat } = phase.secrets;
  const problem = !choice
    ? 'it chose ESP algorithms that we did not offer'
    : (choice.group !== undefined) !== (answered.sharedSecret !== undefined)
      ? 'its answer lacks the key exchange'
      : isTransport && task.mode === 'tunnel'
        ? 'it answers with transport mode, which we did not ask for'
        : isExactly(answer.TSi, session.local.address, nat.local) &&
            isExactly(answer.TSr, session.remote.address, nat.peer)
          ? undefined
          : 'its traffic selectors are not the two hosts';
  if (!choice || problem !== undefined) {
    const why = problem ?? '';
    tell(session, `the child is refused: ${why}`);
    // The peer has it already.
    session.tasks.unshift({ what: 'deleteChild', spi, why });
    giveUpChild(session, task, 'refused', why);
    return;
  }
  if (session.goneEarly.has(choice.peerSpi)) {
    onChildRefused(session, task, undefined);
    return;
  }
  const child = childOf(session, phase.secrets, phase.peerAuth, {
    suite: choice.suite,
    esn: choice.esn,
    mode: isTransport ? 'transport' : 'tunnel',
    spi,
    peerSpi: choice.peerSpi,
    nonceI: answered.nonceI,
    nonceR: answered.nonceR,
    sharedSecret: answered.sharedSecret,
    exchangeRole: 'initiator',
    replaces: task.rekeys,
  });
  tell(session, `← child: ${describeChild(child)}`);
  const { crossed } = answered;
  if (crossed && isRedundant(lowerNonce(answered.nonceI, answered.nonceR), crossed)) {
    // The peer may send into it already.
    tell(session, 'both have asked for it; this one has the lowest nonce and goes');
    child.isRedundant = true;
    install(session, child, 'inbound');
    session.tasks.push({ what: 'deleteChild', spi, why: 'both have asked for it' });
    cleanUp(session, task.rekeys, 'it was rekeyed');
    return;
  }
  const loser = crossed && loserOf(session, crossed);
  if (loser) cleanUp(session, loser.sa.inbound.spi, 'both have asked for it');
  install(session, child, 'both');
}

/** It is for the peer to delete the child; libreswan does not know that. */
function cleanUp(session: Session, spi: number | undefined, why: string): void {
  if (spi === undefined || !session.children.has(spi)) return;
  const notBefore = later(session.host.now, session.host.limits.redundantMs);
  session.tasks.push({ what: 'deleteChild', spi, why, notBefore });
}

/**
 * The peer answered without a child. NO_PROPOSAL_CHOSEN to transport mode is how libreswan says that its connection
 * is a tunnel; nothing at all is how it treats two crossing negotiations, TEMPORARY_FAILURE how we do (RFC 7296
 * §2.25). These are tried again in the same IKE SA. SINGLE_PAIR_REQUIRED (§2.9) asks for what we have asked for.
 */
function onChildRefused(session: Session, task: CreateChild, error: NotifyPayload | undefined): void {
  const { host } = session;
  const said = error === undefined ? 'it makes no child' : `it says ${notifyName(error.type)}`;
  tell(session, `← no child: ${said}`);
  if (isOutOfStep(session, error)) return;
  const group = error?.type === NotifyType.INVALID_KE_PAYLOAD ? groupWanted(error) : undefined;
  if (group !== undefined && task.group === undefined) {
    session.tasks.unshift({ ...task, group, notBefore: host.now });
    return;
  }
  if (task.rekeys !== undefined) {
    onRekeyRefused(session, task, error, said);
    return;
  }
  switch (error?.type) {
    case NotifyType.NO_PROPOSAL_CHOSEN:
      if (task.mode !== 'transport') break;
      session.tasks.push({ what: 'createChild', mode: 'tunnel', rekeys: undefined, notBefore: host.now });
      return;
    case NotifyType.TS_UNACCEPTABLE:
      if (mayAskWide(session)) {
        session.asksWide = true;
        session.tasks.push({ what: 'createChild', mode: task.mode, rekeys: undefined, notBefore: host.now });
        return;
      }
      if (host.hasCrossed(session)) break;
      giveUpChild(session, task, 'refused', said);
      return;
    case NotifyType.SINGLE_PAIR_REQUIRED:
    case NotifyType.NO_ADDITIONAL_SAS:
      // What it has no room for beside its own negotiation with us it may take a moment later.
      if (host.hasCrossed(session)) break;
      giveUpChild(session, task, 'refused', said);
      return;
  }
  if (session.childTries >= host.limits.childTries) {
    giveUpChild(session, task, 'refused', said);
    return;
  }
  const notBefore = later(host.now, host.limits.childRetryMs * 2 ** session.childTries++);
  session.tasks.push({ ...task, notBefore });
}

/**
 * libreswan does not put the address that it sees in the place of the one that we have behind our NAT, as it should
 * (RFC 7296 §2.23.1); it may narrow all addresses to that one.
 */
function mayAskWide(session: Session): boolean {
  return secretsOf(session)?.nat.local === true && !session.asksWide;
}

function onRekeyRefused(
  session: Session,
  task: CreateChild,
  error: NotifyPayload | undefined,
  said: string,
): void {
  const { host } = session;
  const old = task.rekeys === undefined ? undefined : session.children.get(task.rekeys);
  // The peer has deleted it meanwhile, or has replaced it: then our request came late (§2.8.1).
  if (!old || isReplaced(session, old)) return;
  if (error?.type === NotifyType.CHILD_SA_NOT_FOUND) {
    removeChild(session, old, 'the peer does not know it any longer');
    // From scratch (§2.25), unless there is one.
    if (session.children.size === 0) {
      const { mode } = task;
      session.wantsChild = true;
      session.tasks.push({ what: 'createChild', mode, rekeys: undefined, notBefore: host.now });
    }
    return;
  }
  // The peer is busy with the same or with the IKE SA (§2.25): later, and not at the same time again.
  if (session.childTries++ < 8) {
    session.tasks.push({ ...task, notBefore: later(host.now, pauseMs(session)) });
  } else {
    tell(session, `the child cannot be rekeyed: ${said}`);
  }
}

/** How long to wait before the peer is asked again for what it has no time for. */
export function pauseMs({ host }: Session): number {
  return host.limits.busyMs * (1 + randomUnit(host.options.random));
}

/** The group that INVALID_KE_PAYLOAD wants, where we can do it (§1.3). */
export function groupWanted({ data }: NotifyPayload): number | undefined {
  const group = data.length === 2 ? ((data[0] ?? 0) << 8) | (data[1] ?? 0) : 0;
  return supportedGroups.includes(group) ? group : undefined;
}

/** Where a peer is busy for minutes, the two no longer mean the same by the IKE SA, and it is closed (§2.25). */
export function isOutOfStep(session: Session, error: NotifyPayload | undefined): boolean {
  const { host } = session;
  if (error?.type !== NotifyType.TEMPORARY_FAILURE) return false;
  session.busySince ??= host.now;
  if (later(session.busySince, host.limits.outOfStepMs) > host.now) return false;
  tell(session, 'the peer is busy for minutes: the IKE SA is given up');
  session.tasks.unshift({ what: 'deleteIke', why: 'the two ends are out of step', notify: undefined });
  return true;
}

function giveUpChild(session: Session, task: CreateChild, code: string, why: string): void {
  if (task.rekeys !== undefined) return;
  // The IKE SA stays until the peer has heard what is queued, or makes a child itself.
  session.host.failed(session, code, why);
}

/** The kernel did not take a child that we had asked for. */
export function onOwnChildRefused(session: Session, child: Child, why: string): void {
  if (session.children.size === 0) session.tasks.unshift({ what: 'deleteIke', why, notify: undefined });
  else session.tasks.unshift({ what: 'deleteChild', spi: child.sa.inbound.spi, why });
  session.host.failed(session, 'kernel-refused', why);
}

/** No SPI to be had for a child in a standing IKE SA. */
export function onNoChildSpi(session: Session, task: CreateChild, why: string): void {
  session.asking = undefined;
  if (session.children.size === 0) failSession(session, 'kernel-refused', why);
  else giveUpChild(session, task, 'kernel-refused', why);
}
