import type { ChildSa, PeerAuth } from '../ike/child.ts';
import type { EndpointInput } from '../ike/endpoint.ts';
import type { NameKey } from '../dns/name.ts';
import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { samePublicKey, type PublicKey } from '../net/public-key.ts';
import { later, type Deadline, type Instant, type WallSeconds } from '../time.ts';
import { duration } from './text.ts';

/**
 * What we know of each address that we have protected, tried to protect, or must not talk to in the clear: the
 * attempt under way, the SAs that stand, what failed and when it may be tried again, and the story of it.
 *
 * A peer is *protected for a name* when an SA stands whose other end proved one of that name's keys.
 */
export class Peers {
  readonly #doors: PeersDoors;
  readonly #limits: PeerLimits;
  readonly #peers = new Map<string, Peer>();
  readonly #attempts = new Map<number, Peer>();
  readonly #children = new Map<number, Peer>();
  #nextAttempt = 1;

  constructor(doors: PeersDoors, limits: PeerLimits = defaultPeerLimits) {
    this.#doors = doors;
    this.#limits = limits;
  }

  all(): IterableIterator<Peer> {
    return this.#peers.values();
  }

  find(address: IpAddress): Peer | undefined {
    return this.#peers.get(formatAddress(address));
  }

  /** Notes that `name` leads to the address. */
  named(address: IpAddress, name: NameKey, at: Moment): Peer {
    const peer = this.#of(address, at);
    if (peer.names[0] !== name) {
      peer.names = [name, ...peer.names.filter((n) => n !== name)].slice(0, namesPerPeer);
    }
    return peer;
  }

  /** Begins IKE_SA_INIT before the key is proved: it needs none, and IKE_AUTH will wait. */
  prepare(address: IpAddress, name: NameKey, at: Moment): void {
    const peer = this.named(address, name, at);
    if (peer.live.length > 0 || peer.attempt !== undefined || isBackedOff(peer, at.now)) return;
    this.#begin(peer, undefined, at);
  }

  /** The key that {@link prepare} waited for is not coming: nothing was proved. */
  giveUp(address: IpAddress, at: Moment, why: string): void {
    const peer = this.find(address);
    if (!peer?.attempt || peer.attempt.keys !== undefined) return;
    tell(peer, at.now, `negotiation given up: ${why}`);
    this.#endAttempt(peer);
    this.#doors.changed(peer.address);
  }

  /** Wants the way to the address protected by one of `keys`; says where that stands. */
  protect(address: IpAddress, name: NameKey, keys: readonly PublicKey[], insist: boolean, at: Moment): Standing {
    const peer = this.named(address, name, at);
    // Two names of one address may have different keys: the peer may prove either, each name counts its own only.
    for (const key of keys) {
      if (peer.keys.some((k) => samePublicKey(k, key))) continue;
      peer.keys = [key, ...peer.keys].slice(0, keysPerPeer);
      const { attempt } = peer;
      if (attempt?.keys !== undefined && attempt.begun) {
        attempt.keys = peer.keys;
        this.#doors.endpoint({ kind: 'keys', attempt: attempt.id, keys: peer.keys });
      }
    }
    if (insist) peer.insist = true;
    const standing = this.standing(peer, keys, at.now);
    if (standing.kind === 'protected' || standing.kind === 'failed') return standing;
    const { attempt } = peer;
    if (attempt === undefined) {
      this.#begin(peer, keys, at);
    } else if (attempt.keys === undefined) {
      attempt.keys = keys;
      if (attempt.begun) this.#doors.endpoint({ kind: 'keys', attempt: attempt.id, keys });
    }
    return { kind: 'negotiating' };
  }

  /** How the way to the peer is for a name with these keys. */
  standing(peer: Peer, keys: readonly PublicKey[], now: Instant): Standing {
    const live = peer.live.find((l) => provedBy(l.peerAuth, keys));
    if (live) return { kind: 'protected', live };
    if (peer.failure && isBackedOff(peer, now) && (peer.attempt === undefined || peer.failure.overdue)) {
      return { kind: 'failed', failure: peer.failure };
    }
    return peer.attempt === undefined ? { kind: 'none' } : { kind: 'negotiating' };
  }

  /** How long an answer may wait for this peer where clear is allowed. */
  budgetMs(peer: Peer): number {
    if (peer.failure) return Math.min(this.#limits.budgetMs, this.#limits.budgetAfterFailureMs);
    if (peer.tookMs === undefined) return this.#limits.budgetMs;
    return Math.min(this.#limits.budgetMs, Math.max(250, 6 * peer.tookMs + 100));
  }

  /** An answer went out without waiting longer; the attempt goes on, and the next lookup need not wait for it. */
  waitedOut(peer: Peer, at: Moment, waitedMs: number): void {
    if (!peer.attempt || peer.failure?.overdue) return;
    this.#remember(peer, at, {
      code: 'no-reply',
      why: `no protection within ${duration(waitedMs)}, the negotiation goes on in the background`,
      overdue: true,
    });
  }

  /** The address from which packets to the peer leave, or undefined where there is no way to it. */
  source(address: IpAddress, local: IpAddress | undefined, at: Moment): void {
    const peer = this.find(address);
    if (!peer) return;
    peer.asking = false;
    peer.source = local === undefined ? undefined : { local, until: later(at.now, this.#limits.sourceMs) };
    const { attempt } = peer;
    if (!attempt || attempt.begun) return;
    if (local === undefined) {
      this.#fail(peer, at, 'no-route', `there is no route to ${peer.text} from this host`);
      return;
    }
    this.#start(peer, attempt, local);
  }

  failed(attemptId: number, code: string, why: string, at: Moment): void {
    const peer = this.#attempts.get(attemptId);
    if (peer?.attempt?.id === attemptId) this.#fail(peer, at, code, why);
  }

  established(child: ChildSa, peerAuth: PeerAuth, attemptId: number | undefined, suite: string, at: Moment): void {
    const peer = this.#of(child.peer, at);
    if (!peer.live.some((l) => l.child.id === child.id)) {
      peer.live = [{ child, peerAuth, suite, since: at.wall }, ...peer.live];
      this.#children.set(child.id, peer);
    }
    peer.source = { local: child.local, until: later(at.now, this.#limits.sourceMs) };
    const { attempt } = peer;
    // A crossing attempt of our own is left to the endpoint, which keeps one of the two.
    if (attempt !== undefined && attempt.id === attemptId) {
      const took = at.now - attempt.at;
      peer.tookMs = peer.tookMs === undefined ? took : 0.7 * peer.tookMs + 0.3 * took;
      this.#endAttempt(peer, true);
    }
    peer.failure = undefined;
    peer.since = at.wall;
    this.#doors.changed(peer.address);
  }

  removed(child: ChildSa, at: Moment): void {
    const peer = this.#children.get(child.id);
    this.#children.delete(child.id);
    if (!peer) return;
    peer.live = peer.live.filter((l) => l.child.id !== child.id);
    peer.since = at.wall;
    this.#doors.changed(peer.address);
  }

  /** Whether an SA whose other end proved this much may carry traffic of the peer (THREATS A.1, A.8). */
  admits(address: IpAddress, peerAuth: PeerAuth): boolean {
    const peer = this.find(address);
    return peer === undefined || !peer.insist || provedBy(peerAuth, peer.keys);
  }

  story(address: IpAddress, now: Instant, text: string, at: Moment): void {
    tell(this.#of(address, at), now, text);
  }

  get deadline(): Deadline | undefined {
    return undefined;
  }

  get attemptCount(): number {
    return this.#attempts.size;
  }

  /** Forgets what failed, so that the next lookup tries again. */
  forgive(address?: IpAddress): void {
    for (const peer of this.#peers.values()) {
      if (address === undefined || sameAddress(peer.address, address)) peer.failure = undefined;
    }
  }

  #begin(peer: Peer, keys: readonly PublicKey[] | undefined, at: Moment): void {
    const attempt: Attempt = { id: this.#nextAttempt++, at: at.now, keys, begun: false };
    peer.attempt = attempt;
    this.#attempts.set(attempt.id, peer);
    if (peer.live.length === 0) peer.since = at.wall;
    if (peer.source !== undefined && peer.source.until > at.now) {
      this.#start(peer, attempt, peer.source.local);
    } else if (!peer.asking) {
      peer.asking = true;
      this.#doors.findSource(peer.address);
    }
  }

  #start(peer: Peer, attempt: Attempt, local: IpAddress): void {
    attempt.begun = true;
    this.#doors.endpoint({
      kind: 'initiate',
      attempt: attempt.id,
      local,
      peer: peer.address,
      require: 'authenticated',
      ...(attempt.keys === undefined ? {} : { keys: attempt.keys }),
    });
  }

  #fail(peer: Peer, at: Moment, code: string, why: string): void {
    this.#endAttempt(peer, true);
    // What a crossing negotiation has brought about meanwhile is no failure.
    if (!peer.live.some((l) => provedBy(l.peerAuth, peer.keys))) {
      this.#remember(peer, at, { code, why, overdue: false });
    }
    this.#doors.changed(peer.address);
  }

  #remember(peer: Peer, at: Moment, failure: Pick<Failure, 'code' | 'why' | 'overdue'>): void {
    const before = peer.failure;
    // An attempt that outlived its budget and then failed is one failure, not two.
    const count = before === undefined ? 1 : before.overdue ? before.count : before.count + 1;
    const longest = peer.insist ? this.#limits.longestInsistedBackOffMs : this.#limits.longestBackOffMs;
    const pause = Math.min(longest, this.#limits.firstBackOffMs * 2 ** Math.min(count - 1, 20));
    peer.failure = { ...failure, count, at: at.wall, until: later(at.now, pause) };
    peer.since = at.wall;
  }

  /** `isOver`: the endpoint has ended it already. */
  #endAttempt(peer: Peer, isOver = false): void {
    const { attempt } = peer;
    if (!attempt) return;
    peer.attempt = undefined;
    this.#attempts.delete(attempt.id);
    if (attempt.begun && !isOver) this.#doors.endpoint({ kind: 'abandon', attempt: attempt.id });
  }

  #of(address: IpAddress, at: Moment): Peer {
    const text = formatAddress(address);
    const known = this.#peers.get(text);
    if (known) return known;
    if (this.#peers.size >= this.#limits.peers) this.#forgetOne();
    const peer: Peer = {
      address,
      text,
      names: [],
      keys: [],
      insist: false,
      block: 'none',
      asking: false,
      source: undefined,
      attempt: undefined,
      live: [],
      failure: undefined,
      tookMs: undefined,
      since: at.wall,
      story: [],
    };
    this.#peers.set(text, peer);
    return peer;
  }

  /** Makes room: the oldest that nothing depends on. */
  #forgetOne(): void {
    for (const [text, peer] of this.#peers) {
      if (peer.live.length > 0 || peer.attempt || peer.insist || peer.asking) continue;
      this.#peers.delete(text);
      return;
    }
  }
}

/** Monotonic and wall-clock time of one input. */
export interface Moment {
  readonly now: Instant;
  readonly wall: WallSeconds;
}

/** What the table asks of the agent. */
export interface PeersDoors {
  endpoint(input: EndpointInput): void;
  findSource(peer: IpAddress): void;
  /** Something about this peer is different now. */
  changed(peer: IpAddress): void;
}

export interface PeerLimits {
  readonly budgetMs: number;
  readonly budgetAfterFailureMs: number;
  readonly firstBackOffMs: number;
  readonly longestBackOffMs: number;
  /** A peer that may not be reached in the clear is tried again sooner: nobody gets anything meanwhile. */
  readonly longestInsistedBackOffMs: number;
  /** How long a source address is believed. */
  readonly sourceMs: number;
  readonly peers: number;
}

export const defaultPeerLimits: PeerLimits = {
  budgetMs: 1_500,
  budgetAfterFailureMs: 500,
  firstBackOffMs: 30_000,
  longestBackOffMs: 3_600_000,
  longestInsistedBackOffMs: 5_000,
  sourceMs: 10_000,
  peers: 20_000,
};

const namesPerPeer = 8;
const keysPerPeer = 32;
const storySteps = 64;

/** One address; owned by {@link Peers}, read by status and why. */
export interface Peer {
  readonly address: IpAddress;
  readonly text: string;
  /** Latest first. */
  names: readonly NameKey[];
  /** Every key that a name of this address has proved. */
  keys: readonly PublicKey[];
  /** A rule says that nothing may pass unprotected. */
  insist: boolean;
  /** How far the kernel's block is that `insist` wants. */
  block: 'none' | 'asked' | 'stands' | 'refused';
  asking: boolean;
  source: { readonly local: IpAddress; readonly until: Instant } | undefined;
  attempt: Attempt | undefined;
  live: readonly LiveChild[];
  failure: Failure | undefined;
  /** How long a handshake with it takes, averaged. */
  tookMs: number | undefined;
  /** When its present state began. */
  since: WallSeconds;
  readonly story: PeerStep[];
}

export interface Attempt {
  readonly id: number;
  readonly at: Instant;
  /** Undefined: IKE_AUTH waits for them. */
  keys: readonly PublicKey[] | undefined;
  begun: boolean;
}

export interface LiveChild {
  readonly child: ChildSa;
  readonly peerAuth: PeerAuth;
  readonly suite: string;
  readonly since: WallSeconds;
}

export interface Failure {
  readonly code: string;
  readonly why: string;
  /** The attempt still runs, but nobody waits for it any longer. */
  readonly overdue: boolean;
  readonly count: number;
  readonly at: WallSeconds;
  /** Until then nobody waits, and nothing new is tried. */
  readonly until: Instant;
}

export interface PeerStep {
  readonly at: Instant;
  readonly text: string;
}

export type Standing =
  | { readonly kind: 'protected'; readonly live: LiveChild }
  | { readonly kind: 'negotiating' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'none' };

export function provedBy(peerAuth: PeerAuth, keys: readonly PublicKey[]): boolean {
  return peerAuth.kind === 'key' && keys.some((k) => samePublicKey(k, peerAuth.key));
}

function isBackedOff(peer: Peer, now: Instant): boolean {
  return peer.failure !== undefined && peer.failure.until > now;
}

function tell(peer: Peer, at: Instant, text: string): void {
  peer.story.push({ at, text });
  if (peer.story.length > storySteps) peer.story.splice(0, peer.story.length - storySteps);
}
