import { removeChild } from './child-sa.ts';
import { sendLastWord, sendRequest, settleRequest } from './exchange.ts';
import { Exchange, Protocol } from './numbers.ts';
import { notify, type InnerPayload } from './payloads.ts';
import { secretsOf, startTimer, tell, type Session } from './session.ts';

/** The session cannot do what it was begun for: its attempts hear `code` and `why`, then it is over. */
export function failSession(session: Session, code: string, why: string, lingers = false): void {
  tell(session, `IKE SA given up: ${why}`);
  session.host.failed(session, code, why);
  endSession(session, why, lingers);
}

/** The end: nothing is sent, children leave the kernel. `lingers`: its last answer can still be asked for again. */
export function endSession(session: Session, why: string, lingers = false): void {
  const { host } = session;
  if (session.phase.phase === 'dead') return;
  const secrets = secretsOf(session);
  session.phase = { phase: 'dead', secrets, why };
  settleRequest(session);
  session.timers.clear();
  session.tasks.length = 0;
  session.asking = undefined;
  session.answering = undefined;
  for (const child of [...session.children.values()]) removeChild(session, child, why);
  if (lingers) startTimer(session, 'linger', host.limits.lingerMs);
  host.failed(session, 'deleted', why);
  host.ended(session);
}

/**
 * The end, told to the peer by an INFORMATIONAL with Delete for the IKE SA (RFC 7296 §1.4.1), which is repeated a few
 * times; `notification` says why.
 */
export function partWith(session: Session, why: string, notification?: number): void {
  const secrets = secretsOf(session);
  const busy = session.outgoing !== undefined;
  endSession(session, why, true);
  if (!secrets) return;
  const payloads: InnerPayload[] = [
    ...(notification === undefined ? [] : [notify(notification)]),
    { kind: 'Delete', protocol: Protocol.IKE, spis: [] },
  ];
  // With a request open the window is shut (§2.3); a peer that has seen it takes the next one all the same.
  if (busy) sendLastWord(session, secrets, Exchange.INFORMATIONAL, payloads);
  else
    sendRequest(
      session,
      secrets,
      Exchange.INFORMATIONAL,
      payloads,
      session.host.limits.transmissionsIdentified,
    );
}
