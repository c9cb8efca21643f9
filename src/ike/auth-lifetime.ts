import { later } from '../time.ts';
import { NotifyType } from './numbers.ts';
import { notify, type NotifyPayload, type Payload } from './payloads.ts';
import type { Session } from './session.ts';
import { findNotify } from './shapes.ts';

/**
 * How long a responder relies on what the initiator has proved (RFC 4478): the initiator authenticates again in time,
 * with a new IKE SA beside the old one, or the responder deletes the old one.
 */

/** The notification for `lifetimeMs`. */
export function authLifetime(lifetimeMs: number): NotifyPayload {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, Math.floor(lifetimeMs / 1_000));
  return notify(NotifyType.AUTH_LIFETIME, octets);
}

/** We told the initiator `lifetimeMs`. */
export function relyFor(session: Session, lifetimeMs: number): void {
  session.timers.set('reauth', later(session.host.now, lifetimeMs + graceMs));
  session.host.touch(session);
}

/** The peer may say it in IKE_AUTH and again later (RFC 4478 §3). */
export function heedAuthLifetime(session: Session, payloads: readonly Payload[]): void {
  const data = findNotify(payloads, NotifyType.AUTH_LIFETIME)?.data;
  if (data?.length !== 4) return;
  const lifetimeMs = new DataView(data.buffer, data.byteOffset, 4).getUint32(0) * 1_000;
  // Early enough for a few retransmissions, and not so often that the peer keeps us busy.
  const due = Math.max(shortestMs, lifetimeMs * 0.9, lifetimeMs - 60_000);
  session.timers.set('reauth', later(session.host.now, due));
  session.host.touch(session);
}

const graceMs = 10_000;
const shortestMs = 10_000;
