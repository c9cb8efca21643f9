import type { Endpoint } from '../net/address.ts';
import { concatOctets } from '../wire/octets.ts';
import type { Opener } from './crypto/cipher.ts';
import { fragmentMessage, openEncrypted, Reassembly, sealEncrypted, type PlainForm } from './encrypted.ts';
import type { Message, MessageHead } from './message.ts';
import type { InnerPayload } from './payloads.ts';
import { patienceMs } from './retransmit.ts';
import { secretsOf, spiIOf, spiROf, startTimer, type Secrets, type Session } from './session.ts';
import { heardFrom } from './whereabouts.ts';

/**
 * The window of one request in each direction (RFC 7296 §2.1–2.3): our request is repeated until its response is
 * there, the peer's last request is answered from memory when it comes again, everything else is dropped.
 */

/** Puts the datagrams on the wire, with the non-ESP marker on the port where ESP may come too (RFC 3948 §2.2). */
export function transmit(
  session: Session,
  datagrams: readonly Uint8Array[],
  { local, remote }: { readonly local: Endpoint; readonly remote: Endpoint } = session,
): void {
  const { host } = session;
  session.sentAt = host.now;
  for (const datagram of datagrams) {
    host.emit({ kind: 'send', local, remote, octets: marked(datagram, local, host.options.ports) });
  }
}

/** The octets as they go out of `local`. */
export function marked(
  octets: Uint8Array,
  local: Endpoint,
  ports: { readonly ike: number; readonly natt: number },
): Uint8Array {
  return local.port === ports.natt && ports.natt !== ports.ike ? concatOctets(nonEspMarker, octets) : octets;
}

export const nonEspMarker = new Uint8Array(4);

/** Sends our next request and sees to its repetition. */
export function sendRequest(
  session: Session,
  secrets: Secrets,
  exchange: number,
  payloads: readonly InnerPayload[],
  limit: number,
  urgency: 'usual' | 'urgent' = 'usual',
): void {
  const messageId = session.nextRequest++;
  sendTransmission(
    session,
    messageId,
    exchange,
    sealed(session, secrets, head(session, exchange, messageId, false), payloads),
    limit,
    urgency,
  );
}

/** Sends what is already built, and sees to its repetition. */
export function sendTransmission(
  session: Session,
  messageId: number,
  exchange: number,
  datagrams: readonly Uint8Array[],
  limit: number,
  urgency: 'usual' | 'urgent' = 'usual',
): void {
  const urgent = urgency === 'urgent' ? { urgentSince: 1 } : {};
  session.outgoing = { messageId, exchange, datagrams, sent: 1, limit, ...urgent };
  startTimer(session, 'retransmit', patienceMs(session.outgoing, session.host.limits));
  transmit(session, datagrams);
}

/** What is on its way is repeated with short pauses for a while; it may just have been sent, or be due at once. */
export function hasten(session: Session, first: 'fresh' | 'due'): void {
  const { outgoing, host } = session;
  if (!outgoing || outgoing.urgentSince !== undefined) return;
  session.outgoing = { ...outgoing, urgentSince: outgoing.sent, limit: host.limits.transmissionsEstablished };
  startTimer(session, 'retransmit', first === 'due' ? 0 : patienceMs(session.outgoing, host.limits));
}

/** Sends the request again; false where it has been sent often enough. */
export function repeatRequest(session: Session): boolean {
  const { outgoing, host } = session;
  if (outgoing === undefined) return true;
  if (outgoing.sent >= outgoing.limit) return false;
  const sent = outgoing.sent + 1;
  session.outgoing = { ...outgoing, sent };
  startTimer(session, 'retransmit', patienceMs(session.outgoing, host.limits));
  transmit(session, outgoing.datagrams);
  return true;
}

/** Our request is answered, or of no interest any longer. */
export function settleRequest(session: Session): void {
  session.outgoing = undefined;
  session.timers.delete('retransmit');
  session.fragments.delete('response');
}

/** Answers the peer's request and keeps the answer for when it comes again. */
export function sendAnswer(
  session: Session,
  secrets: Secrets,
  messageId: number,
  exchange: number,
  payloads: readonly InnerPayload[],
): void {
  const datagrams = sealed(session, secrets, head(session, exchange, messageId, true), payloads);
  session.nextExpected = messageId + 1;
  session.lastAnswer = { messageId, datagrams, opener: secrets.opener };
  session.answering = undefined;
  session.timers.delete('peerKeys');
  session.fragments.delete('request');
  transmit(session, datagrams, session.asked);
}

/** One request outside the window that nobody waits for: the last word to a peer. */
export function sendLastWord(
  session: Session,
  secrets: Secrets,
  exchange: number,
  payloads: readonly InnerPayload[],
): void {
  const messageId = session.nextRequest++;
  transmit(session, sealed(session, secrets, head(session, exchange, messageId, false), payloads));
}

/** An encrypted message of the peer that is in the window and was opened. */
export interface Incoming {
  readonly response: boolean;
  readonly exchange: number;
  readonly messageId: number;
  /** Undefined where it was authentic but unreadable; `why` says how. */
  readonly payloads: readonly InnerPayload[] | undefined;
  readonly why: string;
  /** What it says apart from its encryption; undefined where it is unreadable. */
  readonly plain: PlainForm | undefined;
}

/** Opens what is in the window; undefined where nothing is to be done (any longer). */
export function receive(
  session: Session,
  message: Message,
  local: Endpoint,
  remote: Endpoint,
): Incoming | undefined {
  const { header } = message;
  const secrets = secretsOf(session);
  if (!secrets || !isOfSession(session, message)) return undefined;
  const { messageId, exchange, response } = header;
  if (response) {
    if (session.outgoing?.messageId !== messageId || session.outgoing.exchange !== exchange) return undefined;
  } else if (messageId !== session.nextExpected) {
    if (messageId === session.lastAnswer?.messageId && isAuthentic(message, session.lastAnswer.opener)) {
      transmit(session, session.lastAnswer.datagrams, { local, remote });
    }
    return undefined;
  } else if (session.answering !== undefined) {
    return undefined;
  }
  const opened = open(session, secrets, message);
  if (!opened) return undefined;
  session.heardAt = session.host.now;
  // Answers go where the request came from (§2.11); what we begin ourselves follows the peer only where it may.
  if (!response) session.asked = { local, remote };
  if (session.phase.phase === 'authAwaited') {
    // The initiator moves to the other port when it has found a NAT, and may do so without one (§2.23).
    session.local = local;
    session.remote = remote;
  } else {
    heardFrom(session, local, remote);
  }
  return { response, exchange, messageId, ...opened };
}

function isOfSession(session: Session, { header }: Message): boolean {
  return (
    header.spiI === spiIOf(session) &&
    header.spiR === spiROf(session) &&
    header.fromInitiator === (session.role === 'responder')
  );
}

function open(
  session: Session,
  secrets: Secrets,
  message: Message,
): Pick<Incoming, 'payloads' | 'why' | 'plain'> | undefined {
  if (message.payloads.at(-1)?.kind !== 'SKF') {
    const opened = openEncrypted(message, secrets.opener);
    switch (opened.kind) {
      case 'opened':
        return { payloads: opened.payloads, why: '', plain: opened.plain };
      case 'malformed':
        return { payloads: undefined, why: opened.error.message, plain: undefined };
      case 'forged':
        return undefined;
      default:
        return opened satisfies never;
    }
  }
  // We announce fragmentation, so only a peer that does not may not use it (RFC 7383 §2.3).
  if (!secrets.peerFragments) return undefined;
  const reassembly = reassemblyOf(session, message);
  const added = reassembly?.add(message, secrets.opener);
  switch (added?.kind) {
    case 'whole':
      return { payloads: added.payloads, why: '', plain: added.plain };
    case 'malformed':
      return { payloads: undefined, why: added.error.message, plain: undefined };
    case 'partial':
    case 'ignored':
    case undefined:
      return undefined;
    default:
      return added satisfies never;
  }
}

function reassemblyOf(session: Session, { header }: Message): Reassembly | undefined {
  const direction = header.response ? 'response' : 'request';
  const present = session.fragments.get(direction);
  if (present?.messageId === header.messageId) return present.of;
  if (!present && !session.host.mayReassemble(session)) return undefined;
  const of = new Reassembly();
  session.fragments.set(direction, { messageId: header.messageId, of, since: session.host.now });
  return of;
}

/** Only an authentic repetition gets the answer again; of a fragmented one the first fragment (RFC 7383 §2.6.1). */
function isAuthentic(message: Message, opener: Opener): boolean {
  const last = message.payloads.at(-1);
  if (last?.kind !== 'SKF') return openEncrypted(message, opener).kind !== 'forged';
  return last.number === 1 && new Reassembly().add(message, opener).kind !== 'ignored';
}

/** The header of a message of ours. */
export function head(session: Session, exchange: number, messageId: number, response: boolean): MessageHead {
  return {
    spiI: spiIOf(session),
    spiR: spiROf(session),
    exchange,
    fromInitiator: session.role === 'initiator',
    response,
    messageId,
  };
}

function sealed(
  session: Session,
  secrets: Secrets,
  messageHead: MessageHead,
  payloads: readonly InnerPayload[],
): readonly Uint8Array[] {
  if (!secrets.peerFragments) return [sealEncrypted(messageHead, payloads, secrets.sealer)];
  const { fragmentOctets } = session.host.limits;
  return fragmentMessage(messageHead, payloads, secrets.sealer, fragmentOctets);
}
