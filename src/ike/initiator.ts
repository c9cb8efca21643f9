import { formatEndpoint } from '../net/address.ts';
import { later } from '../time.ts';
import { heedAuthLifetime } from './auth-lifetime.ts';
import { judgeProof, proveOurselves, wishesIn, type PeerProof } from './authenticate.ts';
import { announceMethods } from './auth-methods.ts';
import { acceptChild } from './create-child.ts';
import { generateDh, supportedGroups, type DhKey } from './crypto/dh.ts';
import { ikeKeys, skeyseed } from './crypto/prf.ts';
import { announcedHashes, decodeHashes, encodeHashes } from './crypto/signature.ts';
import { endSession, failSession, partWith } from './ending.ts';
import { sendRequest, sendTransmission, settleRequest, type Incoming } from './exchange.ts';
import { readIntermediateResponse, sendIntermediate } from './intermediate.ts';
import { logKeys } from './key-log.ts';
import { encodeMessage, type Message } from './message.ts';
import { natDetection, natVerdict } from './nat-detection.ts';
import { AuthMethod, CertEncoding, Exchange, groupName, NotifyType, notifyName } from './numbers.ts';
import { notify, type InnerPayload } from './payloads.ts';
import { acceptIke, describeIkeSuite, espProposals, firstGroup, ikeProposals } from './proposals.ts';
import { authoritiesWanted, groupNamed, type PrivateGroup } from './private-group.ts';
import type { Proof } from './proof.ts';
import { selectorsOf } from './selectors.ts';
import { protection } from './secrets.ts';
import {
  startTimer,
  tell,
  type AuthSent,
  type InitSent,
  type IntermediateSent,
  type Secrets,
  type Session,
} from './session.ts';
import { findNotify, firstError, shapes, take } from './shapes.ts';
import { describeOffer } from './story.ts';

/**
 * The initiator's way to a standing IKE SA (RFC 7296 §1.2): `initSent` → `intermediateSent` → `keysAwaited` →
 * `authSent` → `standing`. IKE_SA_INIT and IKE_INTERMEDIATE need no key of the peer, so they may be over long before
 * DNSSEC has proved one.
 *
 * What comes before IKE_AUTH is protected by nothing: whoever sees our SPI can answer. So a cookie or another group
 * is followed a few times only, and a refusal ends the attempt only when nothing better comes within a grace.
 */
export function beginInit(session: Session): void {
  const { host } = session;
  const nonceI = host.options.random.octets(nonceOctets);
  session.firstSpi = { state: 'asked' };
  host.askSpi(session, 'first');
  sendInit(session, {
    nonceI,
    dh: generateDh(firstGroup, host.options.random),
    cookie: undefined,
    cookieRounds: 0,
    groupsTried: [firstGroup],
    refusal: undefined,
  });
}

const nonceOctets = 32;

function sendInit(session: Session, state: Omit<InitSent, 'phase' | 'offered' | 'message'>): void {
  const { host, local, remote } = session;
  const { dh, nonceI, cookie } = state;
  const offered = ikeProposals({ group: dh.group, additional: host.kems });
  const payloads: InnerPayload[] = [
    // First of all (§2.6).
    ...(cookie ? [notify(NotifyType.COOKIE, cookie)] : []),
    { kind: 'SA', proposals: offered },
    { kind: 'KE', group: dh.group, data: dh.publicValue },
    { kind: 'Nonce', nonce: nonceI },
    notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, encodeHashes(announcedHashes)),
    ...(host.kems.length > 0 ? [notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED)] : []),
    ...natDetection(session.spi, session.peerSpi, local, remote),
  ];
  const message = encodeMessage(
    {
      spiI: session.spi,
      spiR: session.peerSpi,
      exchange: Exchange.IKE_SA_INIT,
      fromInitiator: true,
      response: false,
      messageId: 0,
    },
    payloads,
  );
  session.phase = { phase: 'initSent', ...state, offered, message };
  session.nextRequest = 1;
  tell(
    session,
    `→ IKE_SA_INIT to ${formatEndpoint(remote)}: offers ${describeOffer(offered)}, ${groupName(dh.group)}${cookie ? ', returns the cookie' : ''}`,
  );
  sendTransmission(session, 0, Exchange.IKE_SA_INIT, [message], host.limits.transmissions);
}

/** An answer to our IKE_SA_INIT, or what pretends to be one. */
export function onInitResponse(session: Session, phase: InitSent, message: Message): void {
  const { payloads } = message;
  if (message.header.messageId !== 0 || message.header.fromInitiator) return;
  const taken = take(payloads, shapes.saInit);
  if (!taken.ok) {
    onInitRefusal(session, phase, message, taken.why);
    return;
  }
  const { SA, KE, Nonce } = taken.value;
  const choice = acceptIke(phase.offered, SA);
  if (!choice || choice.suite.group !== phase.dh.group || KE.group !== phase.dh.group) {
    remember(session, phase, 'no-proposal', 'it chose what we did not offer');
    return;
  }
  const takesMore = findNotify(payloads, NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) !== undefined;
  if (choice.suite.additional.length > 0 && !takesMore) {
    // RFC 9370 §2.2.1: the one goes with the other.
    remember(session, phase, 'no-proposal', 'it chose more key exchanges and no IKE_INTERMEDIATE for them');
    return;
  }
  const shared = phase.dh.sharedSecret(KE.data);
  if (!shared.ok || message.header.spiR === 0n || Nonce.nonce.length < 16) {
    remember(session, phase, 'refused', shared.ok ? 'its answer is malformed' : shared.why);
    return;
  }
  session.peerSpi = message.header.spiR;
  const nat = natVerdict(payloads, session.spi, session.peerSpi, session.local, session.remote);
  const secrets = secretsFrom(session, message, phase, {
    suite: choice.suite,
    nonceR: Nonce.nonce.slice(),
    sharedSecret: shared.secret,
    nat,
  });
  settleRequest(session);
  session.timers.delete('refusal');
  session.heardAt = session.host.now;
  session.nextExpected = 0;
  const ms = Math.round(session.host.now - session.createdAt);
  tell(session, `← IKE_SA_INIT after ${ms} ms: chooses ${describeIkeSuite(choice.suite)}${natWords(nat)}`);
  logKeys(session, secrets);
  if (nat.local || nat.peer) {
    const { natt } = session.host.options.ports;
    session.local = { ...session.local, port: natt };
    session.remote = { ...session.remote, port: natt };
  }
  proceed(session, secrets, choice.suite.additional, session.host.now);
}

/** To the next key exchange, or to IKE_AUTH. */
function proceed(
  session: Session,
  secrets: Secrets,
  left: readonly number[],
  at: IntermediateSent['at'],
): void {
  if (left.length > 0) {
    sendIntermediate(session, secrets, left, at);
    return;
  }
  session.phase = { phase: 'keysAwaited', secrets, at };
  if (session.trusted === undefined) tell(session, 'IKE_AUTH waits for the key to be proved by DNSSEC');
  advance(session);
}

/** The answer to IKE_INTERMEDIATE. Only AUTH will show whether it came from the responder that we want. */
export function onIntermediateResponse(session: Session, phase: IntermediateSent, incoming: Incoming): void {
  const read = readIntermediateResponse(session, phase, incoming);
  if (read.ok) proceed(session, read.secrets, phase.left, phase.at);
  else failSession(session, 'refused', read.why);
}

function natWords(nat: Secrets['nat']): string {
  if (nat.local && nat.peer) return '; both ends are behind a NAT';
  if (nat.local) return '; we are behind a NAT';
  return nat.peer ? '; it is behind a NAT' : '';
}

function secretsFrom(
  session: Session,
  message: Message,
  phase: InitSent,
  agreed: Pick<Secrets, 'suite' | 'nonceR' | 'nat'> & { readonly sharedSecret: Uint8Array },
): Secrets {
  const { suite, nonceR, sharedSecret, nat } = agreed;
  const exchange = { prf: suite.prf, nonceI: phase.nonceI, nonceR };
  const keys = ikeKeys(skeyseed({ ...exchange, sharedSecret }), {
    ...exchange,
    spiI: session.spi,
    spiR: session.peerSpi,
    cipher: suite.cipher,
  });
  const hashes = findNotify(message.payloads, NotifyType.SIGNATURE_HASH_ALGORITHMS);
  return {
    suite,
    ...protection(session.host, 'initiator', suite.cipher, keys),
    nonceI: phase.nonceI,
    nonceR,
    initI: phase.message,
    initR: message.octets.slice(),
    nat,
    peerHashes: hashes && decodeHashes(hashes.data),
    peerWishes: wishesIn(message.payloads),
    peerFragments: findNotify(message.payloads, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED) !== undefined,
    intAuth: undefined,
  };
}

/** COOKIE, INVALID_KE_PAYLOAD, or a refusal; none of them is protected. */
function onInitRefusal(session: Session, phase: InitSent, message: Message, why: string): void {
  const { limits } = session.host;
  const cookie = findNotify(message.payloads, NotifyType.COOKIE)?.data;
  if (cookie) {
    // 1 to 64 octets (§2.6); an attacker may not keep us running either.
    if (cookie.length === 0 || cookie.length > 64 || phase.cookieRounds >= limits.cookieRounds) return;
    tell(session, '← IKE_SA_INIT: wants a cookie returned first');
    sendInit(session, { ...phase, cookie: cookie.slice(), cookieRounds: phase.cookieRounds + 1 });
    return;
  }
  const wanted = findNotify(message.payloads, NotifyType.INVALID_KE_PAYLOAD)?.data;
  if (wanted) {
    const dh =
      wanted.length === 2
        ? anotherKey(session, phase, ((wanted[0] ?? 0) << 8) | (wanted[1] ?? 0))
        : undefined;
    if (!dh) {
      remember(session, phase, 'no-proposal', 'it wants a key exchange that we did not offer');
      return;
    }
    tell(session, `← IKE_SA_INIT: wants ${groupName(dh.group)} instead`);
    sendInit(session, { ...phase, dh, groupsTried: [...phase.groupsTried, dh.group] });
    return;
  }
  const error = firstError(message.payloads);
  if (error?.type === NotifyType.NO_PROPOSAL_CHOSEN) {
    remember(session, phase, 'no-proposal', 'it accepts none of the algorithms that we offer');
  } else {
    remember(session, phase, 'refused', error ? `it says ${notifyName(error.type)}` : why);
  }
}

/** A key of the group that the responder wants, if we have offered it and not tried it yet (§1.2, §2.7). */
function anotherKey(session: Session, phase: InitSent, group: number): DhKey | undefined {
  const { groupRounds } = session.host.limits;
  if (!supportedGroups.includes(group) || phase.groupsTried.includes(group)) return undefined;
  if (phase.groupsTried.length > groupRounds) return undefined;
  return generateDh(group, session.host.options.random);
}

/** Keeps in mind what an unprotected answer said, and goes on: the real answer may still come (§2.21.1). */
function remember(session: Session, phase: InitSent, code: string, why: string): void {
  if (phase.refusal && (phase.refusal.code === 'no-proposal' || code !== 'no-proposal')) return;
  tell(session, `← IKE_SA_INIT: ${why} (not protected, so a better answer is waited for)`);
  session.phase = { ...phase, refusal: { code, why } };
  if (code === 'no-proposal') startTimer(session, 'refusal', session.host.limits.refusalGraceMs);
}

/** No better answer has come. */
export function onRefusalGrace(session: Session): void {
  const { phase } = session;
  if (phase.phase !== 'initSent' || !phase.refusal) return;
  failSession(session, phase.refusal.code, phase.refusal.why);
}

/** Sends IKE_AUTH once the keys and the SPI are there. */
export function advance(session: Session): void {
  const { phase, firstSpi, host } = session;
  if (phase.phase !== 'keysAwaited' || session.trusted === undefined) return;
  if (firstSpi.state === 'refused') {
    failSession(session, 'kernel-refused', firstSpi.why);
    return;
  }
  if (firstSpi.state !== 'have') return;
  const { secrets } = phase;
  const identity = session.anonymous ? undefined : host.options.identity;
  const wanted = session.trusted;
  const groups = wanted.flatMap((w) =>
    w.kind === 'memberOf' ? (groupNamed(host.options.groups, w.group) ?? []) : [],
  );
  const proof = proveOurselves(secrets, 'initiator', {
    identity,
    group: groups[0],
    local: session.local.address,
    wishes: secrets.peerWishes,
  });
  const offered = espProposals(host.options.suites, firstSpi.spi);
  // Only where we prove who we are, and no other IKE SA with the peer stands (§2.4, RFC 7619 §2.4).
  const initialContact = proof.identified && !host.hasOther(session);
  session.identified = proof.identified;
  session.phase = {
    phase: 'authSent',
    secrets,
    offered,
    spi: firstSpi.spi,
    identified: proof.identified,
    at: host.now,
  };
  tell(
    session,
    `→ IKE_AUTH: ${proof.identified ? 'proves our key' : 'anonymous'}, offers transport mode, ${describeOffer(offered)}`,
  );
  sendRequest(
    session,
    secrets,
    Exchange.IKE_AUTH,
    [
      proof.id,
      ...proof.certificates,
      ...(initialContact ? [notify(NotifyType.INITIAL_CONTACT)] : []),
      ...certificatesWanted(wanted, groups),
      proof.auth,
      { kind: 'SA', proposals: offered },
      selectorsOf('TSi', session.local.address),
      selectorsOf('TSr', session.remote.address),
      notify(NotifyType.USE_TRANSPORT_MODE),
      methodsWanted(session, groups),
    ],
    host.limits.transmissions,
  );
}

/** Of several keys in DNS one that comes along says which to try first (RFC 7670 §3.2). */
function certificatesWanted(
  wanted: readonly Proof[],
  groups: readonly PrivateGroup[],
): readonly InnerPayload[] {
  const isUnsure = wanted.filter((w) => w.kind !== 'memberOf').length > 1;
  const rawKey = { kind: 'CERTREQ', encoding: CertEncoding.RAW_PUBLIC_KEY, data: new Uint8Array(0) } as const;
  return [...authoritiesWanted(groups), ...(isUnsure ? [rawKey] : [])];
}

/** RFC 9593 §3.1. */
function methodsWanted(session: Session, groups: readonly PrivateGroup[]): InnerPayload {
  return announceMethods({ anonymous: session.require === 'any', groups });
}

/** The responder's IKE_AUTH: nothing in it counts before its AUTH is verified. */
export function onAuthResponse(session: Session, phase: AuthSent, incoming: Incoming): void {
  const { host } = session;
  settleRequest(session);
  const payloads = incoming.payloads ?? [];
  const taken = take(payloads, shapes.authResponse);
  if (!taken.ok) {
    onAuthRefusal(session, phase, payloads, incoming.payloads ? taken.why : incoming.why);
    return;
  }
  const { IDr, AUTH, SA, TSi, TSr } = taken.value;
  const judged = judgeProof(phase.secrets, 'responder', {
    id: IDr,
    auth: AUTH,
    payloads,
    peer: session.remote.address,
    wanted: session.trusted ?? [],
    groups: host.options.groups,
    wall: host.wall,
  });
  // Where anybody will do, a signature that we cannot verify proves as much as none.
  const proof: PeerProof =
    !judged.ok && session.require === 'any' && AUTH.method !== AuthMethod.NULL
      ? { ok: true, peerAuth: { kind: 'anonymous' }, scheme: `nothing to us: ${judged.why}` }
      : judged;
  const problem = !proof.ok
    ? proof.why
    : proof.peerAuth.kind === 'anonymous' && session.require === 'authenticated'
      ? 'it proves nothing about itself (anonymous), though DNS publishes a key'
      : undefined;
  if (!proof.ok || problem !== undefined) {
    const why = problem ?? '';
    tell(session, `← IKE_AUTH: ${why}`);
    host.failed(session, 'authentication-failed', why);
    partWith(session, why, NotifyType.AUTHENTICATION_FAILED);
    return;
  }
  const how = AUTH.method === AuthMethod.NULL ? 'anonymous' : `proves ${proof.scheme}`;
  tell(session, `← IKE_AUTH after ${Math.round(host.now - phase.at)} ms: ${how}`);
  session.phase = { phase: 'standing', secrets: phase.secrets, peerAuth: proof.peerAuth, since: host.now };
  host.stands(session, false);
  heedAuthLifetime(session, payloads);
  if (session.unwanted) {
    partWith(session, 'nobody wants it any longer');
    return;
  }
  acceptChild(session, session.phase, {
    task: { what: 'createChild', mode: 'transport', rekeys: undefined, notBefore: host.now },
    spi: phase.spi,
    offered: phase.offered,
    nonceI: phase.secrets.nonceI,
    nonceR: phase.secrets.nonceR,
    sharedSecret: undefined,
    answer: SA && TSi && TSr ? { SA, TSi, TSr } : undefined,
    payloads,
  });
}

function onAuthRefusal(
  session: Session,
  phase: AuthSent,
  payloads: readonly InnerPayload[],
  why: string,
): void {
  const error = firstError(payloads);
  if (error?.type === NotifyType.AUTHENTICATION_FAILED && isIdentityOptional(session, phase)) {
    tell(session, '← IKE_AUTH: does not accept our key; once more, without telling who we are');
    session.host.retryAnonymously(session);
    endSession(session, 'it does not accept our key');
    return;
  }
  const said = error ? `it says ${notifyName(error.type)}` : why;
  const code = error?.type === NotifyType.AUTHENTICATION_FAILED ? 'authentication-failed' : 'refused';
  // The responder has no IKE SA after such an answer (§2.21.2); after an unreadable one it has.
  session.host.failed(session, code, said);
  tell(session, `← IKE_AUTH: ${said}`);
  if (error) endSession(session, said);
  else partWith(session, said, NotifyType.INVALID_SYNTAX);
}

/** A request that begins an IKE SA has been sent often enough. */
export function onSilence(session: Session, phase: InitSent | IntermediateSent | AuthSent): void {
  if (phase.phase === 'initSent') {
    if (phase.refusal) failSession(session, phase.refusal.code, phase.refusal.why);
    else failSession(session, 'no-reply', `no answer from ${formatEndpoint(session.remote)} to IKE_SA_INIT`);
    return;
  }
  if (phase.phase === 'intermediateSent') {
    failSession(session, 'no-reply', 'it answered IKE_SA_INIT but not IKE_INTERMEDIATE');
    return;
  }
  const why = 'it answered IKE_SA_INIT but not IKE_AUTH';
  session.host.failed(session, 'no-reply', why);
  tell(session, `IKE SA given up: ${why}`);
  // It may have answered, and the answer be lost: then it hears that we are gone.
  partWith(session, why);
}

/** Whether IKE_AUTH is so long without an answer that our telling who we are may be the reason. */
export function isIdentityDoubtful(session: Session): boolean {
  const { phase, outgoing, host } = session;
  return (
    phase.phase === 'authSent' &&
    isIdentityOptional(session, phase) &&
    outgoing?.sent === host.limits.transmissionsIdentified
  );
}

/** Whether it can be tried without telling who we are; a private group has no place for such. */
function isIdentityOptional(session: Session, phase: AuthSent): boolean {
  return phase.identified && !session.unwanted && !session.trusted?.some((w) => w.kind === 'memberOf');
}

/** Whether an IKE_SA_INIT is so old that the responder will have forgotten it. */
export function isStale(session: Session): boolean {
  const { phase, host } = session;
  return phase.phase === 'keysAwaited' && later(phase.at, host.limits.staleInitMs) < host.now;
}
