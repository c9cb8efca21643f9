import type { Endpoint } from '../net/address.ts';
import { later } from '../time.ts';
import { secretsOf, startTimer, tell, type Session } from './session.ts';

/**
 * Where the peer is, as far as a NAT has a say in it (RFC 7296 §2.23), and keeping our own NAT from forgetting us
 * (RFC 3948 §2.3).
 *
 * A NAT may give its host another port at any time. What is sent follows the last authenticated packet, but only
 * where the peer is behind a NAT and we are not: a host that is behind one itself would let anybody who can repeat a
 * packet from elsewhere lead its traffic away. Another address is another pair of hosts for rules and policies, so
 * only ports move.
 */
export function mayMove(session: Session): boolean {
  const nat = secretsOf(session)?.nat;
  return nat !== undefined && nat.peer && !nat.local;
}

/** An authenticated message of a peer whose IKE SA stands came from `remote` to `local`. */
export function heardFrom(session: Session, local: Endpoint, remote: Endpoint): void {
  if (!mayMove(session) || local.port !== session.local.port) return;
  moveTo(session, remote.port);
}

/** The kernel has authenticated a packet of one of the session's children that came from the port. */
export function onMapping(session: Session, port: number): void {
  if (session.phase.phase === 'standing' && mayMove(session)) moveTo(session, port);
}

function moveTo(session: Session, port: number): void {
  if (port === session.remote.port) return;
  tell(session, `the peer's NAT has moved it from port ${session.remote.port} to ${port}`);
  session.remote = { address: session.remote.address, port };
  for (const child of session.children.values()) {
    const { encapsulation } = child.sa;
    if (!encapsulation) continue;
    child.sa = { ...child.sa, encapsulation: { ...encapsulation, peerPort: port } };
    session.host.emit({ kind: 'move', child: child.sa });
  }
}

/** The IKE SA stands: from now on our NAT is reminded of us. */
export function startKeepalives(session: Session): void {
  if (secretsOf(session)?.nat.local === true)
    startTimer(session, 'keepalive', session.host.limits.keepaliveMs);
}

export function onKeepalive(session: Session): void {
  const { host, local, remote, phase } = session;
  if (phase.phase !== 'standing') return;
  const { keepaliveMs } = host.limits;
  const due = later(session.sentAt, keepaliveMs);
  if (due > host.now) {
    startTimer(session, 'keepalive', due - host.now);
    return;
  }
  // The kernel does it for each state that sends, and knows when something was sent.
  const isKept = host.options.kernelKeepalives === true && [...session.children.values()].some((c) => c.told);
  if (!isKept) host.emit({ kind: 'send', local, remote, octets: keepalive });
  startTimer(session, 'keepalive', keepaliveMs);
}

/** One octet and no non-ESP marker (RFC 3948 §2.3). */
const keepalive = Uint8Array.of(0xff);
