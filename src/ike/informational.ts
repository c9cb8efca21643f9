import { switchOutbound } from './answer-child.ts';
import { heedAuthLifetime } from './auth-lifetime.ts';
import { removeChild } from './child-sa.ts';
import { endSession } from './ending.ts';
import { sendAnswer, sendRequest, type Incoming } from './exchange.ts';
import { Exchange, NotifyType, Protocol } from './numbers.ts';
import { notify, type DeletePayload, type InnerPayload } from './payloads.ts';
import { handOver } from './rekey-ike.ts';
import { tell, type Asking, type Secrets, type Session, type Standing } from './session.ts';
import { findNotify } from './shapes.ts';

/** INFORMATIONAL (RFC 7296 §1.4): deletes, and the empty message that asks whether the other is alive. */

export function onInformationalRequest(session: Session, phase: Standing, incoming: Incoming): void {
  const { secrets } = phase;
  const { messageId, payloads = [] } = incoming;
  const deletes = payloads.filter((p): p is DeletePayload => p.kind === 'Delete');
  const isRefused = findNotify(payloads, NotifyType.AUTHENTICATION_FAILED) !== undefined;
  if (isRefused || deletes.some((d) => d.protocol === Protocol.IKE)) {
    const why = isRefused
      ? 'the peer does not accept how we proved ourselves'
      : 'the peer deleted the IKE SA';
    tell(session, `← ${why}`);
    sendAnswer(session, secrets, messageId, Exchange.INFORMATIONAL, []);
    // It has rekeyed it and has not noticed that we were about to: ours is forgotten (§2.8.2).
    if (!isRefused && session.asking?.what === 'rekeyIke' && session.asking.crossed) {
      handOver(session, session.asking.crossed.session);
    }
    endSession(session, why, true);
    return;
  }
  heedAuthLifetime(session, payloads);
  const gone: number[] = [];
  for (const d of deletes) {
    if (d.protocol !== Protocol.ESP) continue;
    for (const spi of d.spis) {
      // It names the SAs with which it receives: those are ours to send with (§1.4.1).
      const child = [...session.children.values()].find((c) => c.sa.outbound.spi === spi);
      if (!child) {
        const mayCome = session.asking?.what === 'createChild' && session.goneEarly.size < goneEarlyAtMost;
        if (mayCome) session.goneEarly.add(spi);
        continue;
      }
      const isOursToo = child.leaving;
      switchOutbound(session, 'once');
      removeChild(session, child, 'the peer deleted it');
      // Where both delete the same child, neither names it again (§1.4.1).
      if (!isOursToo) gone.push(child.sa.inbound.spi);
    }
  }
  if (gone.length > 0) tell(session, '← the peer deleted the child');
  const answer: InnerPayload[] =
    gone.length > 0 ? [{ kind: 'Delete', protocol: Protocol.ESP, spis: gone }] : [];
  sendAnswer(session, secrets, messageId, Exchange.INFORMATIONAL, answer);
}

/** A peer makes one child of one request, and may repeat itself. */
const goneEarlyAtMost = 4;

type Informational = Exclude<Asking, { readonly what: 'createChild' | 'childSpi' | 'rekeyIke' | 'followUp' }>;

/** Sends one of our own. */
export function sendInformational(session: Session, phase: Standing, asking: Informational): void {
  session.asking = asking;
  const { limits } = session.host;
  sendRequest(
    session,
    phase.secrets,
    Exchange.INFORMATIONAL,
    payloadsOf(session, asking),
    limits.transmissionsEstablished,
    asking.what === 'liveness' && asking.isUrgent === true ? 'urgent' : 'usual',
  );
}

function payloadsOf(session: Session, asking: Informational): readonly InnerPayload[] {
  switch (asking.what) {
    case 'liveness':
      return [];
    case 'deleteChild':
      tell(session, `→ deletes the child: ${asking.why}`);
      return [{ kind: 'Delete', protocol: Protocol.ESP, spis: [asking.spi] }];
    case 'deleteIke':
      tell(session, `→ deletes the IKE SA: ${asking.why}`);
      return [
        ...(asking.notify === undefined ? [] : [notify(asking.notify)]),
        { kind: 'Delete', protocol: Protocol.IKE, spis: [] },
      ];
    default:
      return asking satisfies never;
  }
}

/** The peer has answered one of our own. */
export function onInformationalResponse(session: Session, asking: Informational): void {
  switch (asking.what) {
    case 'liveness':
      session.host.proved(session);
      return;
    case 'deleteChild': {
      const child = session.children.get(asking.spi);
      if (child) removeChild(session, child, asking.why);
      return;
    }
    case 'deleteIke':
      endSession(session, asking.why);
      return;
    default:
      asking satisfies never;
  }
}

/**
 * A dead IKE SA still acknowledges a Delete. It leaves everything else without an answer: any would say that it lives
 * (RFC 7296 §2.4), and a responder whose AUTH we never saw would keep its half for good.
 */
export function answerWhileDead(session: Session, secrets: Secrets, incoming: Incoming): void {
  if (incoming.response || !incoming.payloads?.some((p) => p.kind === 'Delete')) return;
  sendAnswer(session, secrets, incoming.messageId, incoming.exchange, []);
}
