import { later } from '../time.ts';
import { childOf, describeChild, install, removeChild } from './child-sa.ts';
import { generateDh } from './crypto/dh.ts';
import { failSession } from './ending.ts';
import { sendRequest, type Incoming } from './exchange.ts';
import { Exchange, Group, NotifyType, notifyName, Protocol } from './numbers.ts';
import { notify, type InnerPayload, type NotifyPayload, type TsPayload } from './payloads.ts';
import { acceptEsp, espProposals } from './proposals.ts';
import type { Proposal, SaPayload } from './sa-payload.ts';
import { isExactly, selectorsOf } from './selectors.ts';
import { tell, type Asking, type Child, type CreateChild, type Session, type Standing } from './session.ts';
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
  if (task.rekeys !== undefined && !old) {
    session.asking = undefined;
    return;
  }
  const { random, suites } = host.options;
  // With a key exchange of its own (PFS), which libreswan wants and strongSwan does not: it may choose NONE. The
  // group is that of the IKE SA, which the peer has shown that it does.
  const { group } = phase.secrets.suite;
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
      selectorsOf('TSi', session.local.address),
      selectorsOf('TSr', session.remote.address),
      ...(task.mode === 'transport' ? [notify(NotifyType.USE_TRANSPORT_MODE)] : []),
    ],
    host.limits.transmissionsEstablished,
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
  });
  session.goneEarly.clear();
}

/** Reads the peer's answer to our wish; installs the child or does what is left to do. */
export function acceptChild(session: Session, phase: Standing, answered: ChildAnswered): void {
  const { answer, payloads, task, spi } = answered;
  if (!answer) {
    onChildRefused(session, task, firstError(payloads)?.type);
    return;
  }
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
  install(session, child, 'both');
}

/**
 * The peer answered without a child. NO_PROPOSAL_CHOSEN to transport mode is how libreswan says that its connection
 * is a tunnel; nothing at all is how it treats two crossing negotiations. Both get one more try in the same IKE SA.
 */
function onChildRefused(session: Session, task: CreateChild, error: number | undefined): void {
  const { host } = session;
  const said = error === undefined ? 'it makes no child' : `it says ${notifyName(error)}`;
  tell(session, `← no child: ${said}`);
  if (task.rekeys !== undefined) {
    onRekeyRefused(session, task, error, said);
    return;
  }
  if (error === NotifyType.NO_PROPOSAL_CHOSEN && task.mode === 'transport') {
    session.tasks.push({ what: 'createChild', mode: 'tunnel', rekeys: undefined, notBefore: host.now });
    return;
  }
  if (error === NotifyType.TS_UNACCEPTABLE || session.childTries >= 1) {
    giveUpChild(session, task, 'refused', said);
    return;
  }
  session.childTries++;
  const notBefore = later(host.now, host.limits.childRetryMs);
  session.tasks.push({ what: 'createChild', mode: task.mode, rekeys: undefined, notBefore });
}

function onRekeyRefused(session: Session, task: CreateChild, error: number | undefined, said: string): void {
  const { host } = session;
  const old = task.rekeys === undefined ? undefined : session.children.get(task.rekeys);
  if (!old) return;
  if (error === NotifyType.CHILD_SA_NOT_FOUND) {
    removeChild(session, old, 'the peer does not know it any longer');
    return;
  }
  // Both rekey at once, or the peer is busy (§2.25): later, and not at the same time again.
  const wait = 5_000 + (host.options.random.octets(1)[0] ?? 0) * 20;
  if (session.childTries++ < 8) {
    session.tasks.push({ ...task, notBefore: later(host.now, wait) });
  } else {
    tell(session, `the child cannot be rekeyed: ${said}`);
  }
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
