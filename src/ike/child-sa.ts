import type { ChildSa, EspSuite, PeerAuth } from './child.ts';
import { lowerNonce } from './collisions.ts';
import { isPostQuantum } from './crypto/kem.ts';
import { childKeys } from './crypto/prf.ts';
import { describeEspSuite, keyExchangesOf } from './proposals.ts';
import type { Child, Mode, Role, Secrets, Session } from './session.ts';

/** What both ends have agreed on for a child. */
export interface Agreement {
  readonly suite: EspSuite;
  readonly esn: boolean;
  readonly mode: Mode;
  /** Of our inbound SA, and of the peer's. */
  readonly spi: number;
  readonly peerSpi: number;
  /** Of the exchange that makes the child, as `exchangeRole` is. */
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** Of its own key exchange (PFS). */
  readonly sharedSecret: Uint8Array | undefined;
  /** Our part in that exchange; not always our part in the IKE SA. */
  readonly exchangeRole: Role;
  readonly replaces: number | undefined;
}

/** The pair of ESP SAs with its keys (RFC 7296 §2.17), still unknown to the kernel. */
export function childOf(session: Session, secrets: Secrets, peerAuth: PeerAuth, agreed: Agreement): Child {
  const { suite, nonceI, nonceR, sharedSecret } = agreed;
  const keys = childKeys({
    prf: secrets.suite.prf,
    skD: secrets.keys.skD,
    nonceI,
    nonceR,
    suite,
    ...(sharedSecret && { sharedSecret }),
  });
  const weBegan = agreed.exchangeRole === 'initiator';
  const { nat } = secrets;
  const sa: ChildSa = {
    id: session.host.nextId(),
    local: session.local.address,
    peer: session.remote.address,
    mode: agreed.mode,
    suite,
    esn: agreed.esn,
    inbound: { spi: agreed.spi, ...(weBegan ? keys.fromResponder : keys.fromInitiator) },
    outbound: { spi: agreed.peerSpi, ...(weBegan ? keys.fromInitiator : keys.fromResponder) },
    ...((nat.local || nat.peer) && {
      encapsulation: {
        localPort: session.local.port,
        peerPort: session.remote.port,
        hidden: nat.local && nat.peer ? 'both' : nat.local ? 'local' : 'peer',
      },
    }),
    peerAuth,
    keyExchange: {
      methods: keyExchangesOf(secrets.suite),
      postQuantum: secrets.suite.additional.some(isPostQuantum),
    },
  };
  return {
    sa,
    suite: describeEspSuite(suite),
    state: 'installing',
    part: 'both',
    replaces: agreed.replaces,
    madeBy: weBegan ? 'us' : 'peer',
    nonce: lowerNonce(nonceI, nonceR),
    isRedundant: false,
    told: false,
    leaving: false,
  };
}

/** Hands the child (or the part of it that is missing) to the kernel. */
export function install(session: Session, child: Child, part: Child['part']): void {
  child.part = part;
  child.state = 'installing';
  session.children.set(child.sa.inbound.spi, child);
  session.host.emit({ kind: 'install', child: child.sa, part });
}

/** Takes the child out of the kernel. */
export function removeChild(session: Session, child: Child, why: string): void {
  if (!session.children.delete(child.sa.inbound.spi)) return;
  session.host.emit({ kind: 'remove', child: child.sa, why });
  session.host.removed(session, child);
}

/** Whether there is another that takes its place already. */
export function isReplaced(session: Session, old: Child): boolean {
  return [...session.children.values()].some((c) => c.replaces === old.sa.inbound.spi && !c.isRedundant);
}

/** `transport mode, AES-GCM-16-256, 64-bit sequence numbers`. */
export function describeChild(child: Child): string {
  return `${child.sa.mode} mode, ${child.suite}${child.sa.esn ? ', 64-bit sequence numbers' : ''}`;
}
