import type { ChildSa, PeerAuth } from '../ike/child.ts';
import type { NameKey } from '../dns/name.ts';
import type { IpAddress } from '../net/address.ts';
import type { Instant, WallSeconds } from '../time.ts';
import type { Stance } from './policy.ts';
import type { Want } from './want.ts';

/** Monotonic and wall-clock time of one input. */
export interface Moment {
  readonly now: Instant;
  readonly wall: WallSeconds;
}

/** One address; owned by {@link Peers}, read by status and why. */
export interface Peer {
  readonly address: IpAddress;
  readonly text: string;
  /** The names that led here, latest first. */
  claims: readonly Claim[];
  /** A rule says that nothing may pass unprotected. */
  insist: boolean;
  /**
   * How far the kernel's block is that `insist` wants. `refused`: the kernel does not take it; `full`: as many stand as
   * there may be; `prefix`: a rule by prefix has it stand, whatever becomes of this host.
   */
  block: 'none' | 'asked' | 'stands' | 'refused' | 'full' | 'prefix';
  /** The edge is finding the source address. */
  asking: boolean;
  /** From which address packets to it leave. */
  source: { readonly local: IpAddress; readonly until: Instant } | undefined;
  attempt: Attempt | undefined;
  /** The first of them carries what we send. */
  live: readonly LiveChild[];
  failure: Failure | undefined;
  /** How long a handshake with it takes, ms, averaged. */
  tookMs: number | undefined;
  /** Until then nobody asks whether the SAs still have their other end. */
  sureUntil: Instant;
  /** When its present state began. */
  since: WallSeconds;
  /** Keys that its names had and have no longer. */
  withdrawn: readonly Want[];
  readonly story: PeerStep[];
}

/** What a name says of an address that it leads to. */
export interface Claim {
  readonly name: NameKey;
  /** Proved by DNSSEC, or what a rule wants instead; empty: it publishes none that can be used. */
  readonly keys: readonly Want[];
  /** The keys are worth nothing from then on: TTL and signatures have run out. */
  readonly until: Instant;
  /** Its rule is `private`. */
  readonly insist: boolean;
  /** See {@link Rule.require}. */
  readonly require?: Stance | undefined;
  /** The names that it is an alias of; their rules count as well. */
  readonly aliases?: readonly NameKey[] | undefined;
}

/** One negotiation that we began. */
export interface Attempt {
  readonly id: number;
  readonly at: Instant;
  /** Undefined: IKE_AUTH waits for them. */
  keys: readonly Want[] | undefined;
  /** The endpoint has it; before that the source address is being found. */
  begun: boolean;
}

/** An SA that stands in the kernel. */
export interface LiveChild {
  readonly child: ChildSa;
  readonly peerAuth: PeerAuth;
  readonly suite: string;
  readonly since: WallSeconds;
}

/** Why the last negotiation came to nothing. */
export interface Failure {
  readonly code: string;
  readonly why: string;
  /** The attempt still runs, but nobody waits for it any longer. */
  readonly overdue: boolean;
  /** With which keys it was tried. */
  readonly keys: readonly Want[] | undefined;
  readonly count: number;
  readonly at: WallSeconds;
  /** Until then nobody waits, and nothing new is tried. */
  readonly until: Instant;
}

/** One step of the peer's story, for `oe why`. */
export interface PeerStep {
  readonly at: Instant;
  readonly text: string;
}

/** How the way to a peer is, for a name. */
export type Standing =
  | { readonly kind: 'protected'; readonly live: LiveChild }
  | { readonly kind: 'negotiating' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'none' };
