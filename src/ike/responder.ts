import { formatEndpoint, sameAddress, addressOf, type Endpoint } from '../net/address.ts';
import { authLifetime, relyFor } from './auth-lifetime.ts';
import { answerInstalled, grantChild, judgeWish } from './answer-child.ts';
import type { PeerAuth } from './child.ts';
import { forgetCrossing } from './collisions.ts';
import { describeId, judgeProof, proveOurselves, wishesIn, type PeerProof } from './authenticate.ts';
import { announceMethods } from './auth-methods.ts';
import { generateDh } from './crypto/dh.ts';
import { ikeKeys, skeyseed } from './crypto/prf.ts';
import { announcedHashes, decodeHashes, encodeHashes, type AuthValue } from './crypto/signature.ts';
import { endSession } from './ending.ts';
import { sendAnswer, transmit, type Incoming } from './exchange.ts';
import { answerIntermediate } from './intermediate.ts';
import { logKeys } from './key-log.ts';
import { encodeMessage, type IkeSpi, type Message, type MessageHead } from './message.ts';
import { natDetection, natVerdict } from './nat-detection.ts';
import { AuthMethod, Exchange, exchangeName, IdType, NotifyType } from './numbers.ts';
import { notify, type IdPayload, type InnerPayload } from './payloads.ts';
import { authoritiesWanted, groupNamed, groupsAt } from './private-group.ts';
import { isAuthentic, type Proof } from './proof.ts';
import { chooseIke, describeIkeSuite } from './proposals.ts';
import { protection } from './secrets.ts';
import {
  newSession,
  startTimer,
  tell,
  type Answering,
  type AuthAwaited,
  type Host,
  type Secrets,
  type Session,
} from './session.ts';
import { findNotify, shapes, take, unknownCritical } from './shapes.ts';

/**
 * The responder's way to a standing IKE SA (RFC 7296 §1.2): `authAwaited` → `standing`, with IKE_INTERMEDIATE in
 * between where more than one key exchange was agreed on. IKE_AUTH is answered when the
 * initiator's key was looked up (where it claims an identity), an SPI was reserved and the kernel has the child.
 */

/** What is sent without keeping anything about the peer. */
export type InitAnswer =
  | { readonly kind: 'session'; readonly session: Session }
  | { readonly kind: 'reply'; readonly octets: Uint8Array }
  | { readonly kind: 'drop'; readonly why: string };

/** `cookie.wanted`: the peer must first show that its address is real (§2.6); `cookie.ok`: it has. */
export function onInitRequest(
  host: Host,
  message: Message,
  local: Endpoint,
  remote: Endpoint,
  cookie: { readonly ok: boolean; readonly wanted: boolean; make(): Uint8Array },
): InitAnswer {
  const critical = unknownCritical(message.payloads);
  if (critical !== undefined) {
    return reply(message, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, new Uint8Array([critical]));
  }
  const taken = take(message.payloads, shapes.saInit);
  if (!taken.ok) return { kind: 'drop', why: taken.why };
  const { SA, KE, Nonce } = taken.value;
  if (cookie.wanted && !cookie.ok) return reply(message, NotifyType.COOKIE, cookie.make());
  // RFC 9370 §2.2.1: more key exchanges only where both can do IKE_INTERMEDIATE.
  const takesMore = findNotify(message.payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) !== undefined;
  const choice = chooseIke(SA, { keGroup: KE.group, additional: takesMore ? host.additional : [] });
  if (!choice) return reply(message, NotifyType.NO_PROPOSAL_CHOSEN);
  const { suite } = choice;
  if (suite.group !== KE.group) {
    return reply(
      message,
      NotifyType.INVALID_KE_PAYLOAD,
      new Uint8Array([suite.group >> 8, suite.group & 0xff]),
    );
  }
  const dh = generateDh(suite.group, host.options.random);
  const shared = dh.sharedSecret(KE.data);
  if (!shared.ok) return { kind: 'drop', why: shared.why };

  const spi = host.newSpi();
  const { spiI } = message.header;
  const nonceI = Nonce.nonce.slice();
  const nonceR = host.options.random.octets(32);
  const groups = groupsAt(host.options.groups, remote.address);
  const answer: InnerPayload[] = [
    choice.answer,
    { kind: 'KE', group: dh.group, data: dh.publicValue },
    { kind: 'Nonce', nonce: nonceR },
    notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, encodeHashes(announcedHashes)),
    ...natDetection(spiI, spi, local, remote),
    notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED),
    ...(suite.additional.length > 0 ? [notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)] : []),
    ...authoritiesWanted(groups),
  ];
  const whole = encodeMessage(answerHead(spiI, spi), [
    ...answer,
    // Empty: the list comes in IKE_INTERMEDIATE, where there is room for it (RFC 9593 §3.1).
    suite.additional.length > 0
      ? notify(NotifyType.SUPPORTED_AUTH_METHODS)
      : announceMethods({ anonymous: true, groups }),
  ]);
  // The peer can do without what we prefer (RFC 9593 §3.1); a cookie would cost it more.
  const initR = whole.length > message.octets.length ? encodeMessage(answerHead(spiI, spi), answer) : whole;
  // No answer larger than what caused it before the address is known to be real: we are no amplifier.
  if (!cookie.ok && initR.length > message.octets.length)
    return reply(message, NotifyType.COOKIE, cookie.make());
  const exchange = { prf: suite.prf, nonceI, nonceR };
  const keys = ikeKeys(skeyseed({ ...exchange, sharedSecret: shared.secret }), {
    ...exchange,
    spiI,
    spiR: spi,
    cipher: suite.cipher,
  });
  const hashes = findNotify(message.payloads, NotifyType.SIGNATURE_HASH_ALGORITHMS);
  const secrets: Secrets = {
    suite,
    ...protection(host, 'responder', suite.cipher, keys),
    nonceI,
    nonceR,
    initI: message.octets.slice(),
    initR,
    // The request's hashes were made before our SPI was known (§2.23).
    nat: natVerdict(message.payloads, spiI, 0n as IkeSpi, local, remote),
    peerHashes: hashes && decodeHashes(hashes.data),
    peerWishes: wishesIn(message.payloads),
    peerFragments: findNotify(message.payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined,
    intAuth: undefined,
  };
  const session = newSession(
    host,
    'responder',
    spi,
    local,
    remote,
    { phase: 'authAwaited', secrets, left: suite.additional },
    { peerSpi: spiI },
  );
  session.nextExpected = 1;
  session.lastAnswer = { messageId: 0, datagrams: [initR], opener: secrets.opener };
  startTimer(session, 'halfOpen', host.limits.halfOpenMs);
  tell(session, `← IKE_SA_INIT from ${formatEndpoint(remote)}: we choose ${describeIkeSuite(suite)}`);
  logKeys(session, secrets);
  transmit(session, [initR]);
  return { kind: 'session', session };
}

function reply(message: Message, type: number, data?: Uint8Array): InitAnswer {
  const octets = encodeMessage(answerHead(message.header.spiI, 0n as IkeSpi), [notify(type, data)]);
  return { kind: 'reply', octets };
}

function answerHead(spiI: IkeSpi, spiR: IkeSpi): MessageHead {
  return { spiI, spiR, exchange: Exchange.IKE_SA_INIT, fromInitiator: false, response: true, messageId: 0 };
}

/** The initiator's IKE_INTERMEDIATE, or its IKE_AUTH when all of those are through. */
export function onHalfOpenRequest(session: Session, phase: AuthAwaited, incoming: Incoming): void {
  const { secrets, left } = phase;
  if (incoming.exchange === Exchange.IKE_INTERMEDIATE) {
    const refusal = answerIntermediate(session, phase, incoming);
    if (refusal) refuse(session, secrets, incoming, refusal.type, refusal.why, refusal.data);
  } else if (left.length > 0) {
    const why = `of the key exchanges that were agreed on ${left.length} have not come`;
    refuse(session, secrets, incoming, NotifyType.INVALID_SYNTAX, why);
  } else {
    onAuthRequest(session, secrets, incoming);
  }
}

function onAuthRequest(session: Session, secrets: Secrets, incoming: Incoming): void {
  const { host } = session;
  const { messageId } = incoming;
  const { payloads } = incoming;
  if (!payloads) {
    refuse(session, secrets, incoming, NotifyType.INVALID_SYNTAX, incoming.why);
    return;
  }
  const taken = take(payloads, shapes.authRequest);
  if (!taken.ok) {
    refuse(session, secrets, incoming, NotifyType.INVALID_SYNTAX, taken.why);
    return;
  }
  const critical = unknownCritical(payloads);
  if (critical !== undefined) {
    const why = `it has a critical payload of type ${critical}, which we do not know`;
    const data = new Uint8Array([critical]);
    refuse(session, secrets, incoming, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, why, data);
    return;
  }
  const { IDi, AUTH, IDr } = taken.value;
  if (IDr && isAnotherHost(session, secrets, IDr)) {
    const why = `it wants ${describeId(IDr)}, and that is not us`;
    refuse(session, secrets, incoming, NotifyType.AUTHENTICATION_FAILED, why);
    return;
  }
  if (AUTH.method === AuthMethod.NULL) {
    const proof = judged(session, secrets, IDi, AUTH, payloads, []);
    onProof(session, secrets, messageId, payloads, IDi, proof);
    return;
  }
  const query = IDi.type === IdType.ID_NULL ? undefined : host.askPeerKeys(session, IDi);
  if (query === undefined) {
    const why =
      IDi.type === IdType.ID_NULL ? 'it signs without an identity' : 'too many peers are being looked up';
    refuse(session, secrets, incoming, NotifyType.AUTHENTICATION_FAILED, why);
    return;
  }
  tell(session, `← IKE_AUTH: says it is ${describeId(IDi)}; its key is looked up`);
  session.answering = { step: 'keys', messageId, query, id: IDi, auth: AUTH, payloads };
  startTimer(session, 'peerKeys', host.limits.peerKeysMs);
}

/** The initiator may name whom it wants (§1.2). Only an address can be wrong: what names lead here we do not know. */
function isAnotherHost(session: Session, secrets: Secrets, id: IdPayload): boolean {
  if (id.type !== IdType.ID_IPV4_ADDR && id.type !== IdType.ID_IPV6_ADDR) return false;
  const address = addressOf(id.data);
  return !address || (!secrets.nat.local && !sameAddress(address, session.local.address));
}

/** The keys of the initiator are known, or known not to be (`keys` empty), or did not come in time (undefined). */
export function onPeerKeys(
  session: Session,
  secrets: Secrets,
  answering: Extract<Answering, { readonly step: 'keys' }>,
  keys: readonly Proof[] | undefined,
): void {
  const { messageId, id, auth, payloads } = answering;
  const proof: PeerProof = keys
    ? judged(session, secrets, id, auth, payloads, keys)
    : { ok: false, why: `the key of ${describeId(id)} was not found in time` };
  onProof(session, secrets, messageId, payloads, id, proof);
}

function judged(
  session: Session,
  secrets: Secrets,
  id: IdPayload,
  auth: AuthValue,
  payloads: readonly InnerPayload[],
  wanted: readonly Proof[],
): PeerProof {
  const { groups } = session.host.options;
  const { wall } = session.host;
  const peer = session.remote.address;
  return judgeProof(secrets, 'initiator', { id, auth, payloads, peer, wanted, groups, wall });
}

function onProof(
  session: Session,
  secrets: Secrets,
  messageId: number,
  payloads: readonly InnerPayload[],
  id: IdPayload,
  proof: PeerProof,
): void {
  const { host } = session;
  if (!proof.ok) {
    const asked = { messageId, exchange: Exchange.IKE_AUTH };
    refuse(session, secrets, asked, NotifyType.AUTHENTICATION_FAILED, proof.why);
    return;
  }
  const { peerAuth } = proof;
  session.initialContact = findNotify(payloads, NotifyType.INITIAL_CONTACT) !== undefined;
  tell(
    session,
    peerAuth.kind === 'anonymous'
      ? '← IKE_AUTH: anonymous'
      : `← IKE_AUTH: ${describeId(id)} proves ${proof.scheme}`,
  );
  const own = proveOurselves(secrets, 'responder', {
    identity: host.options.identity,
    group: peerAuth.kind === 'member' ? groupNamed(host.options.groups, peerAuth.group) : undefined,
    local: session.local.address,
    wishes: wishesIn(payloads),
  });
  const taken = take(payloads, shapes.authRequest);
  const { SA, TSi, TSr } = taken.ok ? taken.value : {};
  session.identified = own.identified;
  const { authLifetimeMs } = host.limits;
  const isLimited = authLifetimeMs > 0 && isAuthentic(peerAuth);
  const prefix: InnerPayload[] = [
    own.id,
    ...own.certificates,
    own.auth,
    ...(isLimited ? [authLifetime(authLifetimeMs)] : []),
  ];
  const { nonceI, nonceR } = secrets;
  const verdict =
    SA && TSi && TSr
      ? judgeWish(session, secrets, {
          SA,
          TSi,
          TSr,
          KE: undefined,
          nonceI,
          nonceR,
          replaces: undefined,
          payloads,
        })
      : undefined;
  if (verdict?.ok) {
    const { offer } = verdict;
    grantChild(session, { messageId, exchange: Exchange.IKE_AUTH, prefix, peerAuth, offer });
    return;
  }
  // No child, but the IKE SA stands (§2.21.2, RFC 6023).
  sendAnswer(session, secrets, messageId, Exchange.IKE_AUTH, [
    ...prefix,
    ...(verdict ? [verdict.refusal] : []),
  ]);
  stand(session, secrets, peerAuth);
}

/** The IKE SA stands from the moment on when our IKE_AUTH is out. */
export function stand(session: Session, secrets: Secrets, peerAuth: PeerAuth): void {
  session.timers.delete('halfOpen');
  session.phase = { phase: 'standing', secrets, peerAuth, since: session.host.now };
  const { authLifetimeMs, confirmMs } = session.host.limits;
  startTimer(session, 'confirm', confirmMs);
  if (authLifetimeMs > 0 && isAuthentic(peerAuth)) relyFor(session, authLifetimeMs);
  // An anonymous peer has no identity of which there could be another contact (RFC 7619 §2.4).
  session.host.stands(session, isAuthentic(peerAuth) && session.initialContact);
}

/** The kernel has the child of the peer's request: the answer goes out, and in IKE_AUTH the IKE SA stands. */
export function onAnswerInstalled(
  session: Session,
  secrets: Secrets,
  answering: Extract<Answering, { readonly step: 'install' }>,
): void {
  answerInstalled(session, secrets, answering);
  if (answering.peerAuth) stand(session, secrets, answering.peerAuth);
}

/** There is no child after all (no SPI, the kernel or a rule refused it); in IKE_AUTH the IKE SA stands without. */
export function onAnswerRefused(
  session: Session,
  secrets: Secrets,
  answering: Extract<Answering, { readonly step: 'spi' | 'install' }>,
  refusal = notify(NotifyType.TEMPORARY_FAILURE),
): void {
  const { messageId, exchange, prefix, peerAuth, offer } = answering;
  forgetCrossing(session, offer);
  sendAnswer(session, secrets, messageId, exchange, [...prefix, refusal]);
  if (peerAuth) stand(session, secrets, peerAuth);
}

/** Says in the protection of the IKE SA why there will be none (§2.21.2), and forgets it. */
function refuse(
  session: Session,
  secrets: Secrets,
  asked: Pick<Incoming, 'messageId' | 'exchange'>,
  type: number,
  why: string,
  data?: Uint8Array,
): void {
  tell(session, `→ ${exchangeName(asked.exchange)} refused: ${why}`);
  sendAnswer(session, secrets, asked.messageId, asked.exchange, [notify(type, data)]);
  endSession(session, why, true);
}
