import type { ChildSa, PeerAuth } from '../ike/child.ts';
import type { EndpointInput } from '../ike/endpoint.ts';
import { isAuthentic, proofsOf, samePeerAuth } from '../ike/proof.ts';
import { nameText, type NameKey } from '../dns/name.ts';
import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { later, type Instant, type WallSeconds } from '../time.ts';
import { type Attempt, type Claim, type Failure, type Moment, type Peer, type Standing } from './peer.ts';
import { duration } from './text.ts';
import { isPostQuantum, meets, notPostQuantum, proofsIn, sameWant, takesAnyone, type Want } from './want.ts';

/**
 * What we know of each address that we have protected, tried to protect, or must not talk to in the clear: which
 * names lead to it and the keys that they prove, the attempt under way, the SAs that stand, what failed and when it
 * may be tried again, and the story of it.
 *
 * A peer is *protected for a name* when the other end of the SA that carries its traffic proved one of that name's
 * keys. Two names of one address may publish different keys; neither vouches for the other (THREATS A.8).
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

  /** Notes that `name` leads to the address, and what it proves. What it proved before is withdrawn. */
  claim(address: IpAddress, name: NameKey, claim: Omit<Claim, 'name'>, at: Moment): Peer {
    const peer = this.#of(address, at);
    const others = peer.claims.filter((c) => c.name !== name);
    const before = peer.claims.find((c) => c.name === name);
    const stays = [claim, ...others].flatMap((c) => c.keys);
    const gone = [...(before?.keys ?? []), ...peer.withdrawn];
    peer.withdrawn = gone.filter((k) => !stays.some((s) => sameWant(s, k))).slice(0, keysPerAttempt);
    // A name that insists is never pushed out by others that lead to the same address.
    const kept = others.length < claimsPerPeer ? others : dropOne(others);
    peer.claims = [{ name, ...claim }, ...kept];
    return peer;
  }

  /** A rule says `private` of the name: the address may not be reached unprotected, whatever keys there are. */
  insist(address: IpAddress, name: NameKey, at: Moment): Peer {
    const peer = this.#of(address, at);
    const known = peer.claims.find((c) => c.name === name);
    if (known?.insist !== true) {
      this.claim(address, name, { keys: [], until: at.now, ...known, insist: true }, at);
    }
    peer.insist = true;
    return peer;
  }

  /** The kernel blocks the address since before we began, for a name that we do not know. */
  takeOver(address: IpAddress, at: Moment): void {
    const peer = this.#of(address, at);
    peer.insist = true;
    peer.block = 'stands';
  }

  /** The name publishes no key (any longer): it vouches for nothing. */
  withdraw(address: IpAddress, name: NameKey): void {
    const peer = this.find(address);
    if (peer) peer.claims = peer.claims.map((c) => (c.name === name ? { ...c, keys: [] } : c));
  }

  /** Begins IKE_SA_INIT before the key is proved: it needs none, and IKE_AUTH will wait. */
  prepare(address: IpAddress, at: Moment): void {
    const peer = this.#of(address, at);
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

  /** Wants the way to the address protected by one of `keys`, which {@link claim} has noted; says where that stands. */
  protect(address: IpAddress, keys: readonly Want[], at: Moment): Standing {
    const peer = this.#of(address, at);
    const standing = this.standing(peer, keys, at.now);
    if (standing.kind === 'protected') this.#makeSure(peer, keys, at);
    if (standing.kind === 'protected' || standing.kind === 'failed') {
      // What began before the key was proved has no keys to go on with; the peer may have been faster.
      if (peer.attempt && peer.attempt.keys === undefined) this.#endAttempt(peer);
      return standing;
    }
    const { attempt } = peer;
    if (attempt === undefined) {
      this.#begin(peer, keys, at);
    } else {
      // Another name may have begun it: the peer may prove a key of either, and each counts its own only.
      const known = attempt.keys ?? [];
      const fresh = keys.filter((k) => !known.some((o) => sameWant(o, k)));
      if (fresh.length > 0 && known.length < keysPerAttempt) {
        attempt.keys = [...known, ...fresh];
        if (attempt.begun)
          this.#doors.endpoint({ kind: 'keys', attempt: attempt.id, keys: proofsIn(attempt.keys) });
      }
    }
    return { kind: 'negotiating' };
  }

  /** How the way to the peer is for a name with these keys. */
  standing(peer: Peer, keys: readonly Want[], now: Instant): Standing {
    const [live] = peer.live;
    if (live && isTooWeak(peer, live.child, now)) {
      return { kind: 'failed', failure: standingFailure('not-post-quantum', notPostQuantum, now) };
    }
    if (live && meets(live.peerAuth, keys)) return { kind: 'protected', live };
    const conflict = live && this.#conflict(peer, keys, now);
    if (conflict !== undefined)
      return { kind: 'failed', failure: standingFailure('address-shared', conflict, now) };
    const { failure, attempt } = peer;
    if (failure && isBackedOff(peer, now) && concerns(failure, keys) && (!attempt || failure.overdue)) {
      return { kind: 'failed', failure };
    }
    return attempt === undefined ? { kind: 'none' } : { kind: 'negotiating' };
  }

  /** How long an answer may wait for this peer where clear is allowed. */
  budgetMs(peer: Peer): number {
    if (peer.failure) return Math.min(this.#limits.budgetMs, this.#limits.budgetAfterFailureMs);
    if (peer.tookMs === undefined) return this.#limits.budgetMs;
    return Math.min(this.#limits.budgetMs, Math.max(250, 6 * peer.tookMs + 100));
  }

  /** An answer went out without waiting longer; the attempt goes on, and the next lookup need not wait for it. */
  waitedOut(peer: Peer, at: Moment, waitedMs: number): void {
    if (!peer.attempt || (peer.failure?.overdue === true && isBackedOff(peer, at.now))) return;
    this.#remember(peer, at, {
      code: 'no-reply',
      why: `no protection within ${duration(waitedMs)}, the negotiation goes on in the background`,
      overdue: true,
      keys: peer.attempt.keys,
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
      this.#fail(peer, attempt, at, 'no-route', `there is no route to ${peer.text} from this host`);
      return;
    }
    this.#start(peer, attempt, local);
  }

  failed(attemptId: number, code: string, why: string, at: Moment): void {
    const peer = this.#attempts.get(attemptId);
    if (peer?.attempt?.id === attemptId) this.#fail(peer, peer.attempt, at, code, why);
  }

  established(
    child: ChildSa,
    peerAuth: PeerAuth,
    attemptId: number | undefined,
    suite: string,
    at: Moment,
  ): void {
    const peer = this.#of(child.peer, at);
    const isNew = !peer.live.some((l) => l.child.id === child.id);
    if (isNew) {
      if (peer.live.length === 0) peer.since = at.wall;
      // The kernel's policies send through the SA that came last; an anonymous one is kept behind those with a proof.
      const ahead = isAuthentic(peerAuth) ? [] : peer.live.filter((l) => isAuthentic(l.peerAuth));
      const behind = peer.live.filter((l) => !ahead.includes(l));
      peer.live = [...ahead, { child, peerAuth, suite, since: at.wall }, ...behind];
      this.#children.set(child.id, peer);
      this.#partFromOldKeys(peer, child);
    }
    peer.source = { local: child.local, until: later(at.now, this.#limits.sourceMs) };
    peer.sureUntil = later(at.now, this.#limits.sureMs);
    const { attempt, failure } = peer;
    // A crossing attempt of our own is left to the endpoint, which keeps one of the two.
    if (attempt !== undefined && attempt.id === attemptId) {
      const took = at.now - attempt.at;
      // An SA that is only reported again says nothing about how long a handshake takes.
      if (isNew) peer.tookMs = peer.tookMs === undefined ? took : 0.7 * peer.tookMs + 0.3 * took;
      this.#endAttempt(peer, true);
    }
    // An anonymous peer proves nothing, so it does not undo what is known of the one that the names mean either.
    if (failure && (isAuthentic(peerAuth) || attempt?.id === attemptId)) peer.failure = undefined;
    this.#doors.changed(peer.address);
  }

  /** The name has another key now, and the peer has proved that: what proved the old one goes, now that it can. */
  #partFromOldKeys(peer: Peer, { local, peerAuth }: ChildSa): void {
    const gone = proofsIn(peer.withdrawn);
    if (!isAuthentic(peerAuth) || meets(peerAuth, gone)) return;
    for (const proof of gone) {
      if (!peer.live.some((l) => meets(l.peerAuth, [proof]))) continue;
      this.#doors.endpoint({ kind: 'withdrawn', local, peer: peer.address, proof });
    }
    peer.withdrawn = [];
  }

  removed(child: ChildSa, at: Moment): void {
    const peer = this.#children.get(child.id);
    this.#children.delete(child.id);
    if (!peer) return;
    peer.live = peer.live.filter((l) => l.child.id !== child.id);
    if (peer.live.length === 0) peer.since = at.wall;
    this.#doors.changed(peer.address);
  }

  /** Why an SA may not carry the traffic of its peer, as a clause; undefined where it may (THREATS A.1, A.8). */
  refusal(child: ChildSa, now: Instant): string | undefined {
    const peer = this.find(child.peer);
    if (!peer || peer.live.some((l) => l.child.id === child.id)) return undefined;
    const { peerAuth } = child;
    if (isTooWeak(peer, child, now)) return notPostQuantum;
    const insisting = peer.claims.filter((c) => c.insist);
    if (peer.insist) {
      // Keys that were proved when the attempt or the SA began may run out while it lasts.
      const own = peer.attempt?.keys ?? [];
      const keys = insisting.flatMap((c) =>
        c.keys.filter(
          (k) =>
            c.until > now || own.some((o) => sameWant(o, k)) || peer.live.some((l) => meets(l.peerAuth, [k])),
        ),
      );
      if (!meets(peerAuth, keys)) {
        return `a rule wants ${peer.text} to prove the key that DNS publishes, and it did not`;
      }
      return undefined;
    }
    const [live] = peer.live;
    if (!live || !isAuthentic(live.peerAuth)) return undefined;
    if (peerAuth.kind === 'anonymous')
      return 'an SA with a proved peer stands, and an anonymous one does not replace it';
    // One that proves what stands already is that peer anew.
    if (samePeerAuth(live.peerAuth, peerAuth)) return undefined;
    return this.#conflict(peer, proofsOf(peerAuth), now) ?? unwanted(peer, live.peerAuth, peerAuth, now);
  }

  /** SAs that stand though the rules that have come up for the address do not allow them. */
  unfit(address: IpAddress, now: Instant): readonly ChildSa[] {
    const peer = this.find(address);
    if (!peer) return [];
    const keys = peer.claims.flatMap((c) => (c.insist ? c.keys : []));
    return peer.live.flatMap((l) => {
      const isFit = (!peer.insist || meets(l.peerAuth, keys)) && !isTooWeak(peer, l.child, now);
      return isFit ? [] : [l.child];
    });
  }

  /** No rule insists on protection of the address any longer. */
  release(address: IpAddress): void {
    const peer = this.find(address);
    if (!peer) return;
    peer.insist = false;
    peer.block = 'none';
    peer.claims = peer.claims.map((c) => ({ ...c, insist: false }));
    this.#doors.changed(address);
  }

  story(address: IpAddress, text: string, at: Moment): void {
    tell(this.#of(address, at), at.now, text);
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

  /**
   * Why traffic may not move to an SA that proves one of `keys` alone: the SA that carries it proves a key of
   * another name, which does not vouch for them. A name under `private` has its way.
   */
  #conflict(peer: Peer, keys: readonly Want[], now: Instant): string | undefined {
    const live = peer.live[0];
    if (!live || !isAuthentic(live.peerAuth) || peer.insist) return undefined;
    for (const claim of peer.claims) {
      if (claim.until <= now || !meets(live.peerAuth, claim.keys)) continue;
      if (keys.some((k) => claim.keys.some((c) => sameWant(c, k)))) continue;
      return `the SA with ${peer.text} carries the traffic of ${nameText(claim.name)}, which publishes another key for the same address`;
    }
    return undefined;
  }

  /**
   * Has the endpoint look whether an SA that stood for a while still has its other end: the answer goes out at once,
   * and a peer that has lost its SA is negotiated with before the lookup after this one.
   */
  #makeSure(peer: Peer, keys: readonly Want[], at: Moment): void {
    if (peer.attempt !== undefined || peer.sureUntil > at.now) return;
    peer.sureUntil = later(at.now, this.#limits.sureMs);
    this.#begin(peer, keys, at);
  }

  #begin(peer: Peer, keys: readonly Want[] | undefined, at: Moment): void {
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
      require: attempt.keys !== undefined && takesAnyone(attempt.keys) ? 'any' : 'authenticated',
      ...(attempt.keys === undefined ? {} : { keys: proofsIn(attempt.keys) }),
    });
  }

  #fail(peer: Peer, attempt: Attempt, at: Moment, code: string, why: string): void {
    this.#endAttempt(peer, true);
    const [live] = peer.live;
    // What a crossing negotiation has brought about meanwhile is no failure.
    if (!live || attempt.keys === undefined || !meets(live.peerAuth, attempt.keys)) {
      this.#remember(peer, at, { code, why, overdue: false, keys: attempt.keys });
    }
    this.#doors.changed(peer.address);
  }

  #remember(peer: Peer, at: Moment, failure: Pick<Failure, 'code' | 'why' | 'overdue' | 'keys'>): void {
    const before = peer.failure;
    // An attempt that outlived its budget and then failed is one failure, not two.
    const count = before === undefined ? 1 : before.overdue ? before.count : before.count + 1;
    const longest = peer.insist ? this.#limits.longestInsistedBackOffMs : this.#limits.longestBackOffMs;
    const pause = Math.min(longest, this.#limits.firstBackOffMs * 2 ** Math.min(count - 1, 20));
    peer.failure = { ...failure, count, at: at.wall, until: later(at.now, pause) };
    if (peer.live.length === 0) peer.since = at.wall;
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
      claims: [],
      insist: false,
      block: 'none',
      asking: false,
      source: undefined,
      attempt: undefined,
      live: [],
      failure: undefined,
      tookMs: undefined,
      sureUntil: at.now,
      since: at.wall,
      withdrawn: [],
      story: [],
    };
    this.#peers.set(text, peer);
    return peer;
  }

  /** Makes room: the oldest that nothing depends on; first those that no name of ours leads to. */
  #forgetOne(): void {
    let oldest: string | undefined;
    for (const [text, peer] of this.#peers) {
      // What a rule by prefix blocks stays so, whatever is known of the host.
      const isHeld = peer.insist && peer.block !== 'prefix';
      if (peer.live.length > 0 || peer.attempt || isHeld || peer.asking) continue;
      oldest ??= text;
      if (peer.claims.length > 0) continue;
      oldest = text;
      break;
    }
    if (oldest !== undefined) this.#peers.delete(oldest);
  }
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
  /** How long an SA is believed to have its other end. */
  readonly sureMs: number;
  readonly peers: number;
}

export const defaultPeerLimits: PeerLimits = {
  budgetMs: 1_500,
  budgetAfterFailureMs: 500,
  firstBackOffMs: 30_000,
  longestBackOffMs: 3_600_000,
  longestInsistedBackOffMs: 5_000,
  sourceMs: 10_000,
  sureMs: 30_000,
  peers: 20_000,
};

const claimsPerPeer = 8;
const keysPerAttempt = 32;
const storySteps = 64;

/** A rule for the address wants a key exchange that the SA did not have. */
function isTooWeak(peer: Peer, child: ChildSa, now: Instant): boolean {
  const wanted = peer.claims.some((c) => c.require === 'post-quantum' && (c.insist || c.until > now));
  return wanted && !isPostQuantum(child);
}

function isBackedOff(peer: Peer, now: Instant): boolean {
  return peer.failure !== undefined && peer.failure.until > now;
}

/**
 * Whether what failed would fail for these keys too. A name with a wrong key for somebody else's address must not
 * keep that address's own name from being protected (THREATS A.8).
 */
function concerns(failure: Failure, keys: readonly Want[]): boolean {
  const { keys: tried } = failure;
  if (failure.code !== 'authentication-failed' || tried === undefined) return true;
  return keys.every((k) => tried.some((t) => sameWant(t, k)));
}

/**
 * Why a peer with another key than the one that is there does not take over: it has a name and an address in DNS that
 * fit together, but nobody here has asked for that name, and anybody can have a name lead to this address
 * (THREATS A.7).
 */
function unwanted(peer: Peer, has: PeerAuth, proved: PeerAuth, now: Instant): string | undefined {
  const asked = [
    ...proofsOf(has),
    ...(peer.attempt?.keys ?? []),
    ...peer.claims.flatMap((c) => (c.until > now ? c.keys : [])),
  ];
  if (meets(proved, asked)) return undefined;
  return `an SA with ${peer.text} stands that proved another key, and no name that was looked up has this one`;
}

/** What fails because of the SA that stands, and as long as it does. */
function standingFailure(code: string, why: string, now: Instant): Failure {
  return {
    code,
    why,
    overdue: false,
    keys: undefined,
    count: 0,
    at: 0 as WallSeconds,
    until: now,
  };
}

/** Without the oldest that does not insist. */
function dropOne(claims: readonly Claim[]): Claim[] {
  const index = claims.findLastIndex((c) => !c.insist);
  return claims.toSpliced(index < 0 ? claims.length - 1 : index, 1);
}

function tell(peer: Peer, at: Instant, text: string): void {
  peer.story.push({ at, text });
  if (peer.story.length > storySteps) peer.story.splice(0, peer.story.length - storySteps);
}
