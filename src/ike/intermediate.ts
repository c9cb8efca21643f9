import { announceMethods } from './auth-methods.ts';
import { wishesIn } from './authenticate.ts';
import { answerKeyExchange, beginKeyExchange } from './crypto/key-exchange.ts';
import { authenticatedForm, plainForm } from './encrypted.ts';
import { head, sendAnswer, sendRequest, settleRequest, type Incoming } from './exchange.ts';
import { logKeys } from './key-log.ts';
import { Exchange, NotifyType, notifyName } from './numbers.ts';
import type { InnerPayload } from './payloads.ts';
import { groupsAt } from './private-group.ts';
import { methodName } from './proposals.ts';
import { afterIntermediate } from './secrets.ts';
import { tell, type AuthAwaited, type IntermediateSent, type Secrets, type Session } from './session.ts';
import { firstError, shapes, take, unknownCritical } from './shapes.ts';

/**
 * IKE_INTERMEDIATE (RFC 9242), one for each key exchange that was agreed on beside the first (RFC 9370 §2.2.2). It comes
 * after IKE_SA_INIT and is encrypted, so its messages may be cut into fragments, and the initiator's address is proved
 * before the responder has any work with it. Nothing in it is authentic before AUTH, which covers it.
 */

/** The initiator asks for the next of `methods`, which are not none. */
export function sendIntermediate(
  session: Session,
  secrets: Secrets,
  methods: readonly number[],
  at: IntermediateSent['at'],
): void {
  const { host } = session;
  const [method = 0, ...left] = methods;
  const key = beginKeyExchange(method, host.options.random);
  const payloads: InnerPayload[] = [{ kind: 'KE', group: method, data: key.publicValue }];
  const header = head(session, Exchange.IKE_INTERMEDIATE, session.nextRequest, false);
  const request = authenticatedForm(plainForm(header, payloads));
  session.phase = { phase: 'intermediateSent', secrets, key, left, request, at };
  tell(session, `→ IKE_INTERMEDIATE: adds ${methodName(method)}`);
  sendRequest(session, secrets, Exchange.IKE_INTERMEDIATE, payloads, host.limits.transmissions);
}

export type IntermediateResult =
  { readonly ok: true; readonly secrets: Secrets } | { readonly ok: false; readonly why: string };

/** The responder's answer. Not ok: there will be no IKE SA; `why` is a clause. */
export function readIntermediateResponse(
  session: Session,
  phase: IntermediateSent,
  incoming: Incoming,
): IntermediateResult {
  settleRequest(session);
  const { payloads, plain } = incoming;
  if (!payloads || !plain) return { ok: false, why: incoming.why };
  const error = firstError(payloads);
  if (error) return { ok: false, why: `it says ${notifyName(error.type)} to IKE_INTERMEDIATE` };
  const taken = take(payloads, shapes.intermediate);
  if (!taken.ok) return taken;
  const { group, data } = taken.value.KE;
  if (group !== phase.key.group) return { ok: false, why: `it answers with ${methodName(group)}` };
  const shared = phase.key.sharedSecret(data);
  if (!shared.ok) return shared;
  const { methods = phase.secrets.peerWishes.methods } = wishesIn(payloads);
  const before = { ...phase.secrets, peerWishes: { ...phase.secrets.peerWishes, methods } };
  const secrets = afterIntermediate(session, before, {
    request: phase.request,
    response: authenticatedForm(plain),
    sharedSecret: shared.secret,
  });
  logKeys(session, secrets);
  return { ok: true, secrets };
}

/** What the responder refuses with. */
export interface IntermediateRefusal {
  readonly type: number;
  readonly why: string;
  readonly data?: Uint8Array;
}

/** The initiator's request: answered, unless it is refused, which ends the IKE SA. */
export function answerIntermediate(
  session: Session,
  phase: AuthAwaited,
  incoming: Incoming,
): IntermediateRefusal | undefined {
  const { secrets } = phase;
  const [method, ...left] = phase.left;
  const { payloads, plain, messageId } = incoming;
  if (!payloads || !plain) return { type: NotifyType.INVALID_SYNTAX, why: incoming.why };
  const critical = unknownCritical(payloads);
  if (critical !== undefined) {
    const why = `it has a critical payload of type ${critical}, which we do not know`;
    return { type: NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD, why, data: new Uint8Array([critical]) };
  }
  if (method === undefined)
    return { type: NotifyType.INVALID_SYNTAX, why: 'nothing is left to be agreed on' };
  const taken = take(payloads, shapes.intermediate);
  if (!taken.ok) return { type: NotifyType.INVALID_SYNTAX, why: taken.why };
  const { group, data } = taken.value.KE;
  if (group !== method) {
    return {
      type: NotifyType.INVALID_SYNTAX,
      why: `it sends ${methodName(group)}, not ${methodName(method)}`,
    };
  }
  const { random, groups: known } = session.host.options;
  const groups = groupsAt(known, session.remote.address);
  const answer = answerKeyExchange(method, data, random);
  if (!answer.ok) return { type: NotifyType.INVALID_SYNTAX, why: answer.why };
  const response: InnerPayload[] = [
    { kind: 'KE', group: method, data: answer.publicValue },
    // As our IKE_SA_INIT has said (RFC 9593 §3.1).
    ...(secrets.intAuth ? [] : [announceMethods({ anonymous: true, groups })]),
  ];
  const header = head(session, Exchange.IKE_INTERMEDIATE, messageId, true);
  tell(session, `← IKE_INTERMEDIATE: ${methodName(method)} is added`);
  sendAnswer(session, secrets, messageId, Exchange.IKE_INTERMEDIATE, response);
  const next = afterIntermediate(session, secrets, {
    request: authenticatedForm(plain),
    response: authenticatedForm(plainForm(header, response)),
    sharedSecret: answer.secret,
  });
  session.phase = { phase: 'authAwaited', secrets: next, left };
  logKeys(session, next);
  return undefined;
}
