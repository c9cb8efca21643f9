import { sameOctets } from '../wire/octets.ts';
import { answerKeyExchange, beginKeyExchange } from './crypto/key-exchange.ts';
import { sendAnswer, sendRequest, type Incoming } from './exchange.ts';
import { Exchange, NotifyType } from './numbers.ts';
import { notify, type InnerPayload } from './payloads.ts';
import { methodName } from './proposals.ts';
import { startTimer, tell, type Asking, type Following, type Session, type Standing } from './session.ts';
import { findNotify, shapes, take } from './shapes.ts';

/**
 * IKE_FOLLOWUP_KE (RFC 9370 §2.2.4): the key exchanges that come after the CREATE_CHILD_SA which rekeys an IKE SA. What
 * has been agreed on waits for them under a link that the responder chooses; nothing is made before the last one.
 */

type Asked = Extract<Asking, { readonly what: 'followUp' }>;

/** Responder: keeps what was agreed on until the other key exchanges come; the notification that goes out with it. */
export function follow(session: Session, agreed: Omit<Following, 'link'>): InnerPayload {
  const { host } = session;
  const link = host.options.random.octets(8);
  session.following = { ...agreed, link };
  startTimer(session, 'followUp', host.limits.followUpMs);
  return notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link);
}

/** Responder: forgets it. */
export function unfollow(session: Session): void {
  session.following = undefined;
  session.timers.delete('followUp');
}

/** The initiator's next key exchange; what is agreed on once there are no more. */
export function answerFollowUp(session: Session, phase: Standing, incoming: Incoming): Following | undefined {
  const { host, following } = session;
  const { messageId, payloads = [] } = incoming;
  const answer = (list: readonly InnerPayload[]): void => {
    sendAnswer(session, phase.secrets, messageId, Exchange.IKE_FOLLOWUP_KE, list);
  };
  const link = findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE)?.data;
  const [method, ...left] = following?.left ?? [];
  if (!following || method === undefined || !link || !sameOctets(link, following.link)) {
    answer([notify(NotifyType.STATE_NOT_FOUND)]);
    return undefined;
  }
  const taken = take(payloads, shapes.followUp);
  const made =
    taken.ok && taken.value.KE.group === method
      ? answerKeyExchange(method, taken.value.KE.data, host.options.random)
      : undefined;
  if (!made?.ok) {
    unfollow(session);
    answer([notify(NotifyType.INVALID_SYNTAX)]);
    return undefined;
  }
  tell(session, `← IKE_FOLLOWUP_KE: ${methodName(method)} is added`);
  const next = { ...following, left, secrets: [...following.secrets, made.secret] };
  const key: InnerPayload = { kind: 'KE', group: method, data: made.publicValue };
  if (left.length === 0) {
    unfollow(session);
    answer([key]);
    return next;
  }
  answer([key, follow(session, next)]);
  return undefined;
}

/** Initiator: asks for the next of the key exchanges that are left, which are not none. */
export function askFollowUp(
  session: Session,
  phase: Standing,
  agreed: Omit<Following, 'link'>,
  link: Uint8Array,
): void {
  const { host } = session;
  const [method = 0, ...left] = agreed.left;
  const key = beginKeyExchange(method, host.options.random);
  session.asking = { what: 'followUp', agreed: { ...agreed, left }, key };
  tell(session, `→ IKE_FOLLOWUP_KE: adds ${methodName(method)}`);
  sendRequest(
    session,
    phase.secrets,
    Exchange.IKE_FOLLOWUP_KE,
    [
      { kind: 'KE', group: method, data: key.publicValue },
      notify(NotifyType.ADDITIONAL_KEY_EXCHANGE, link.slice()),
    ],
    host.limits.transmissionsEstablished,
  );
}

/** Initiator: the answer. `done`: there are no more; `asked`: the next is on its way; `refused`: nothing comes of it. */
export function onFollowUpAnswer(
  session: Session,
  phase: Standing,
  asked: Asked,
  incoming: Incoming,
): { readonly kind: 'done'; readonly agreed: Asked['agreed'] } | { readonly kind: 'asked' | 'refused' } {
  const payloads = incoming.payloads ?? [];
  const taken = take(payloads, shapes.followUp);
  const shared =
    taken.ok && taken.value.KE.group === asked.key.group
      ? asked.key.sharedSecret(taken.value.KE.data)
      : undefined;
  if (!shared?.ok) return { kind: 'refused' };
  const agreed = { ...asked.agreed, secrets: [...asked.agreed.secrets, shared.secret] };
  if (agreed.left.length === 0) return { kind: 'done', agreed };
  const link = findNotify(payloads, NotifyType.ADDITIONAL_KEY_EXCHANGE)?.data;
  if (!link) return { kind: 'refused' };
  askFollowUp(session, phase, agreed, link);
  return { kind: 'asked' };
}
