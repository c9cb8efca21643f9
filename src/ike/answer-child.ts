import { isUndecided, noteCrossing } from './collisions.ts';
import { describeChild, childOf, install, isReplaced } from './child-sa.ts';
import { generateDh, supportedGroups } from './crypto/dh.ts';
import { sendAnswer } from './exchange.ts';
import { groupName, NotifyType, notifyName } from './numbers.ts';
import { notify, type InnerPayload, type KePayload, type NotifyPayload, type TsPayload } from './payloads.ts';
import { chooseEsp } from './proposals.ts';
import type { SaPayload } from './sa-payload.ts';
import { narrowed } from './selectors.ts';
import {
  startTimer,
  tell,
  type Answering,
  type Child,
  type ChildAnswer,
  type ChildOffer,
  type Secrets,
  type Session,
} from './session.ts';
import { findNotify } from './shapes.ts';
import type { PeerAuth } from './child.ts';

/**
 * The side that answers a wish for a child, in IKE_AUTH and in CREATE_CHILD_SA. The wish is judged first; then come
 * our SPI, the kernel, and only then the answer, so that the peer's first packet finds its SA.
 */

export type ChildVerdict =
  | { readonly ok: true; readonly offer: ChildOffer }
  /** The IKE SA is not touched by it (RFC 7296 §2.21.2). */
  | { readonly ok: false; readonly refusal: NotifyPayload };

export interface ChildWish {
  readonly SA: SaPayload;
  readonly TSi: TsPayload;
  readonly TSr: TsPayload;
  readonly KE: KePayload | undefined;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** SPI of our inbound SA of the child that goes. */
  readonly replaces: number | undefined;
  readonly payloads: readonly InnerPayload[];
}

export function judgeWish(session: Session, secrets: Secrets, wish: ChildWish): ChildVerdict {
  const { host } = session;
  // A rekey has room for the old child beside the new one; a peer that never deletes the old ones has not.
  const most = host.limits.childrenPerSession * (wish.replaces === undefined ? 1 : 2);
  if (session.children.size >= most) {
    return refused(session, NotifyType.NO_ADDITIONAL_SAS);
  }
  const choice = chooseEsp(wish.SA, host.options.suites, placeholderSpi, groupsFor(wish));
  if (!choice) return refused(session, NotifyType.NO_PROPOSAL_CHOSEN);
  if (choice.group !== undefined && choice.group !== wish.KE?.group) {
    const data = new Uint8Array([choice.group >> 8, choice.group & 0xff]);
    return refused(session, NotifyType.INVALID_KE_PAYLOAD, data);
  }
  const tsI = narrowed(wish.TSi, session.remote.address, secrets.nat.peer);
  const tsR = narrowed(wish.TSr, session.local.address, secrets.nat.local);
  if (!tsI || !tsR) return refused(session, NotifyType.TS_UNACCEPTABLE);
  const mode = findNotify(wish.payloads, NotifyType.USE_TRANSPORT_MODE) ? 'transport' : 'tunnel';
  const { nonceI, nonceR, replaces } = wish;
  return { ok: true, offer: { sa: wish.SA, mode, tsI, tsR, nonceI, nonceR, ke: wish.KE, replaces } };
}

/** Judging needs no SPI yet. */
const placeholderSpi = 0xffff_ffff;

function groupsFor(wish: { readonly KE?: KePayload | undefined }): {
  readonly groups: readonly number[];
  readonly keGroup?: number;
} {
  return { groups: supportedGroups, ...(wish.KE && { keGroup: wish.KE.group }) };
}

function refused(session: Session, type: number, data?: Uint8Array): ChildVerdict {
  tell(
    session,
    `→ no child: ${notifyName(type)}${type === NotifyType.INVALID_KE_PAYLOAD ? ' (another group)' : ''}`,
  );
  return { ok: false, refusal: notify(type, data) };
}

/** The wish is granted as soon as there is an SPI. */
export function grantChild(session: Session, answer: ChildAnswer): void {
  session.answering = { step: 'spi', ...answer };
  noteCrossing(session, answer.offer);
  session.host.askSpi(session, 'answer');
}

/** The SPI for {@link grantChild} is there: the child goes to the kernel. False: `answer` with the refusal. */
export function onAnswerSpi(
  session: Session,
  secrets: Secrets,
  peerAuth: PeerAuth,
  answering: Extract<Answering, { readonly step: 'spi' }>,
  spi: number,
): NotifyPayload | undefined {
  const { host } = session;
  const { offer } = answering;
  const choice = chooseEsp(offer.sa, host.options.suites, spi, groupsFor({ KE: offer.ke }));
  if (!choice) return notify(NotifyType.NO_PROPOSAL_CHOSEN);
  const dh = choice.group === undefined ? undefined : generateDh(choice.group, host.options.random);
  const shared = dh && offer.ke ? dh.sharedSecret(offer.ke.data) : undefined;
  if (shared?.ok === false) {
    tell(session, `→ no child: ${groupName(choice.group ?? 0)}, ${shared.why}`);
    return notify(NotifyType.INVALID_SYNTAX);
  }
  const child = childOf(session, secrets, peerAuth, {
    suite: choice.suite,
    esn: choice.esn,
    mode: offer.mode,
    spi,
    peerSpi: choice.peerSpi,
    nonceI: offer.nonceI,
    nonceR: offer.nonceR,
    sharedSecret: shared?.ok ? shared.secret : undefined,
    exchangeRole: 'responder',
    replaces: offer.replaces,
  });
  const payloads: InnerPayload[] = [
    choice.answer,
    ...(answering.peerAuth ? [] : [{ kind: 'Nonce', nonce: offer.nonceR } as const]),
    ...(dh ? [{ kind: 'KE', group: dh.group, data: dh.publicValue } as const] : []),
    offer.tsI,
    offer.tsR,
    ...(offer.mode === 'transport' ? [notify(NotifyType.USE_TRANSPORT_MODE)] : []),
  ];
  child.isRedundant = answering.isRedundant ?? false;
  session.answering = { ...answering, step: 'install', child, payloads };
  // What we send stays on the authenticated child of the pair, or on the old one until the peer is ready (§2.8).
  const isShadowed = peerAuth.kind === 'anonymous' && host.authenticatedElsewhere(session);
  // What stands works; the new one does when our answer has come through. A peer that began anew has nothing else.
  const isExtra = host.hasFresh(session);
  const waits = isShadowed || child.isRedundant || offer.replaces !== undefined || isExtra;
  install(session, child, waits ? 'inbound' : 'both');
  return undefined;
}

/** The kernel has the child: the peer may know. */
export function answerInstalled(
  session: Session,
  secrets: Secrets,
  answering: Extract<Answering, { readonly step: 'install' }>,
): void {
  const { child, messageId, exchange, prefix, payloads } = answering;
  tell(session, `→ child: ${describeChild(child)}`);
  sendAnswer(session, secrets, messageId, exchange, [...prefix, ...payloads]);
}

/** The state of a child of which the kernel has what it was last given. */
export function settleChild(session: Session, child: Child): void {
  if (child.part !== 'inbound') {
    child.state = 'live';
    return;
  }
  if (child.isRedundant) {
    child.state = 'redundant';
    return;
  }
  const isShadowed = child.sa.peerAuth.kind === 'anonymous' && session.host.authenticatedElsewhere(session);
  child.state = isShadowed ? 'shadowed' : 'switching';
  if (isShadowed) return;
  const isOrphan = child.replaces !== undefined && !session.children.has(child.replaces);
  // The one that it replaces went while the kernel was busy.
  if (isOrphan) install(session, child, 'outbound');
  else startTimer(session, 'switch', session.host.limits.rekeySwitchMs);
}

/**
 * Outbound traffic moves to the children whose predecessor goes, or which nothing shadows any longer. `at`: it goes
 * now, so that even a child that may turn out to be redundant is better.
 */
export function switchOutbound(session: Session, at: 'once' | 'leisure' = 'leisure'): void {
  for (const child of session.children.values()) {
    // What has a successor by now has nothing to take over.
    if (child.leaving || isReplaced(session, child)) continue;
    const ready =
      (child.state === 'switching' && (at === 'once' || !isUndecided(session, child.replaces))) ||
      (child.state === 'shadowed' && !session.host.authenticatedElsewhere(session));
    if (ready) install(session, child, 'outbound');
    else if (child.state === 'switching') startTimer(session, 'switch', session.host.limits.rekeySwitchMs);
  }
}
