import type { Instant } from '../time.ts';
import type { IkeSpi } from './message.ts';
import type { Child, Phase, Role, Session, Timer } from './session.ts';

/** How an IKE SA is at this moment, without its keys: for people, and for tests that compare states. */
export interface SessionView {
  readonly role: Role;
  readonly spi: IkeSpi;
  readonly peerSpi: IkeSpi;
  readonly phase: Phase['phase'];
  /** Message ID of our next request, and the one that the peer's next request must have. */
  readonly nextRequest: number;
  readonly nextExpected: number;
  /** What of ours is not answered yet, and whether the peer asks for the same. */
  readonly asking: string | undefined;
  readonly isCrossed: boolean;
  /** How often our request was sent. */
  readonly sent: number;
  /** How far the answer to the peer's request is. */
  readonly answering: string | undefined;
  readonly tasks: readonly string[];
  readonly hasSuccessor: boolean;
  readonly isCandidate: boolean;
  readonly children: readonly ChildView[];
  readonly timers: ReadonlyMap<Timer, Instant>;
}

/** One pair of ESP SAs. */
export interface ChildView {
  readonly inbound: number;
  readonly outbound: number;
  readonly state: Child['state'];
  readonly part: Child['part'];
  /** Inbound SPI of the child that it replaces. */
  readonly replaces: number | undefined;
  readonly isRedundant: boolean;
  readonly isLeaving: boolean;
}

export function viewOf(session: Session): SessionView {
  const { asking, answering } = session;
  return {
    role: session.role,
    spi: session.spi,
    peerSpi: session.peerSpi,
    phase: session.phase.phase,
    nextRequest: session.nextRequest,
    nextExpected: session.nextExpected,
    asking: asking?.what,
    isCrossed: asking !== undefined && 'crossed' in asking && asking.crossed !== undefined,
    sent: session.outgoing?.sent ?? 0,
    answering: answering?.step,
    tasks: session.tasks.map((t) => t.what),
    hasSuccessor: session.successor !== undefined,
    isCandidate: session.candidateFor !== undefined,
    children: [...session.children.values()].map((c) => ({
      inbound: c.sa.inbound.spi,
      outbound: c.sa.outbound.spi,
      state: c.state,
      part: c.part,
      replaces: c.replaces,
      isRedundant: c.isRedundant,
      isLeaving: c.leaving,
    })),
    timers: session.timers,
  };
}
