import { formatAddress, sameAddress, type Endpoint, type IpAddress } from '../net/address.ts';
import type { PublicKey } from '../net/public-key.ts';
import type { LogEvent } from '../log.ts';
import { randomUnit, type Random } from '../random.ts';
import { later, type Deadline, type Instant, type WallSeconds } from '../time.ts';
import { sameOctets } from '../wire/octets.ts';
import { Attempts, isBeginning } from './attempts.ts';
import type { ChildSa, EspSuite, PeerAuth } from './child.ts';
import { supportedGroups } from './crypto/dh.ts';
import { supportedKems } from './crypto/kem.ts';
import type { PrivateKey } from './crypto/signature.ts';
import {
  onInstalled,
  onInstallFailed,
  onKeysOfPeer,
  onMessage,
  onNoSpi,
  onSpi,
  onTimer,
} from './dispatch.ts';
import { endSession, partWith } from './ending.ts';
import { marked, nonEspMarker, sendLastWord } from './exchange.ts';
import { HalfOpen, networkOf } from './half-open.ts';
import { isLossHint, OnceInAWhile, versionAnswer } from './hints.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { decodeHeader, decodeMessage, ikeSpiFrom, type IkeSpi } from './message.ts';
import { Exchange, Protocol } from './numbers.ts';
import type { PrivateGroup } from './private-group.ts';
import type { Proof } from './proof.ts';
import { isAuthenticated, liveChildOf, pairKey, pairOf, Pairs, takeLeave } from './pairs.ts';
import { secretsOf, startTimer, type Child, type Host, type Session, type SpiPurpose } from './session.ts';
import { mayMove, onMapping, startKeepalives } from './whereabouts.ts';
import { onExpired, probeAtOnce, renew, runTasks } from './standing.ts';
import { Timetable } from './timetable.ts';
import { viewOf, type SessionView } from './view.ts';

/** The key with which this host proves itself. */
export interface HostIdentity {
  readonly privateKey: PrivateKey;
  readonly publicKey: PublicKey;
}

export interface EndpointOptions {
  readonly random: Random;
  /** Undefined: we are anonymous, as initiator and as responder. */
  readonly identity: HostIdentity | undefined;
  /** What the kernel can do, in the order in which it is proposed. */
  readonly suites: readonly EspSuite[];
  /** Those whose members prove themselves without DNS; none, where it is not said. */
  readonly groups?: readonly PrivateGroup[];
  /** Whether `keyLog` effects are wanted. */
  readonly keyLog: boolean;
  readonly ports: { readonly ike: number; readonly natt: number };
  /** The kernel keeps our NAT from forgetting us while a child stands. */
  readonly kernelKeepalives?: boolean;
  /** Which ML-KEMs may follow the first key exchange, best first; none: there is but one. All, where it is not said. */
  readonly kems?: readonly number[];
  /** Where they differ from `defaultLimits`. */
  readonly limits?: Partial<Limits>;
}

export type EndpointInput =
  /**
   * Begin with a peer. Without `keys` only IKE_SA_INIT is done, and IKE_AUTH waits for `keys` or `abandon`.
   * `require: 'authenticated'`: the responder must prove one of the keys; an anonymous one does not do.
   * Where an IKE SA with the pair already stands that has proved one of the keys, its child is reported again
   * (`established` with this attempt), and nothing is negotiated.
   */
  | {
      readonly kind: 'initiate';
      readonly attempt: number;
      readonly local: IpAddress;
      readonly peer: IpAddress;
      readonly require: 'authenticated' | 'any';
      readonly keys?: readonly Proof[];
    }
  /** The keys of the attempt are proved by DNSSEC (or there are more of them now). */
  | { readonly kind: 'keys'; readonly attempt: number; readonly keys: readonly Proof[] }
  /** Nobody wants the attempt any longer; no `failed` follows. */
  | { readonly kind: 'abandon'; readonly attempt: number }
  /** On port `natt` with the non-ESP marker, as it came. */
  | {
      readonly kind: 'datagram';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  | { readonly kind: 'spiAllocated'; readonly request: number; readonly spi: number }
  | { readonly kind: 'spiRefused'; readonly request: number; readonly why: string }
  /** The kernel has what the last `install` of this child wanted. */
  | { readonly kind: 'installed'; readonly child: ChildSa }
  /** The kernel (or a rule) refused it; nothing of the child is in the kernel any longer. */
  | { readonly kind: 'installFailed'; readonly child: ChildSa; readonly why: string }
  /** The keys with which the peer of `askPeerKeys` may prove itself; empty: none. */
  | { readonly kind: 'peerKeys'; readonly query: number; readonly keys: readonly Proof[] }
  /** Replaces, before it is due, what stands between two addresses: keys of children, of IKE SAs, or the proofs. */
  | {
      readonly kind: 'renew';
      readonly local: IpAddress;
      readonly peer: IpAddress;
      readonly what: 'children' | 'ike' | 'proofs';
    }
  /** Deletes the IKE SAs between two addresses. */
  | { readonly kind: 'leave'; readonly local: IpAddress; readonly peer: IpAddress; readonly why: string }
  /** What is sent to the peer of the child gets no answer: is it still there? */
  | { readonly kind: 'unanswered'; readonly child: ChildSa }
  /** The key with which the peer has proved itself is published no longer: once another IKE SA stands, its own go. */
  | {
      readonly kind: 'withdrawn';
      readonly local: IpAddress;
      readonly peer: IpAddress;
      readonly proof: Proof;
    }
  /** The kernel's lifetime of an inbound or outbound state is reached. */
  | { readonly kind: 'expired'; readonly spi: number; readonly hard: boolean }
  /** Authenticated packets of the inbound SA come from there now. */
  | {
      readonly kind: 'mapping';
      readonly local: IpAddress;
      readonly peer: IpAddress;
      readonly spi: number;
      readonly port: number;
    }
  /** Delete everything with the peers, best effort, and take nothing new. */
  | { readonly kind: 'close' }
  | { readonly kind: 'tick' };

export type EndpointEffect =
  | {
      readonly kind: 'send';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  /** Reserve an inbound SPI for packets from `peer` to `local`; answered by `spiAllocated` or `spiRefused`. */
  | {
      readonly kind: 'allocateSpi';
      readonly request: number;
      readonly local: IpAddress;
      readonly peer: IpAddress;
    }
  /** Answered by `installed` or `installFailed`. `both`: inbound state, outbound state, then the policies. */
  | { readonly kind: 'install'; readonly child: ChildSa; readonly part: 'inbound' | 'outbound' | 'both' }
  | { readonly kind: 'remove'; readonly child: ChildSa; readonly why: string }
  /** The ports of the child are others now: `child` has them. */
  | { readonly kind: 'move'; readonly child: ChildSa }
  /** Which keys may the peer that calls itself `id` prove? Answered by `peerKeys`. */
  | {
      readonly kind: 'askPeerKeys';
      readonly query: number;
      readonly peer: IpAddress;
      readonly id: { readonly type: number; readonly octets: Uint8Array };
    }
  /** A child stands, in the kernel too. `attempt`: whose it is; undefined where the peer began. */
  | {
      readonly kind: 'established';
      readonly child: ChildSa;
      readonly peerAuth: PeerAuth;
      readonly attempt: number | undefined;
      /** For people: `AES-GCM-16-256`. */
      readonly suite: string;
    }
  /** `code` is stable: `no-reply`, `no-proposal`, `authentication-failed`, `refused`, `kernel-refused`, … `why`: a clause. */
  | { readonly kind: 'failed'; readonly attempt: number; readonly code: string; readonly why: string }
  /** One step of the negotiation in words, for `oe why`. */
  | { readonly kind: 'story'; readonly peer: IpAddress; readonly at: Instant; readonly text: string }
  /** A line of Wireshark's `ikev2_decryption_table`. */
  | { readonly kind: 'keyLog'; readonly line: string }
  | { readonly kind: 'log'; readonly event: LogEvent };

/**
 * All IKE SAs of this host. `handle` takes one input at the time `now` and answers with effects in the order in which
 * they must be performed; nothing that a peer sends makes it throw. What an IKE SA does is in `dispatch.ts` and the
 * files that it leads to; here are the tables, and what concerns more than one of them.
 */
export class IkeEndpoint {
  readonly #options: EndpointOptions;
  readonly #host: Host;
  readonly #attempts: Attempts;
  readonly #halfOpen: HalfOpen;
  readonly #pairs = new Pairs();
  readonly #timetable = new Timetable();
  #effects: EndpointEffect[] = [];
  #now = 0 as Instant;
  #wall = 0 as WallSeconds;
  #nextId = 1;
  #closed = false;

  /** By our SPI. */
  readonly #sessions = new Map<IkeSpi, Session>();
  /** Those that the input under way has to do with. */
  readonly #touched = new Set<Session>();
  readonly #spiRequests = new Map<number, { readonly session: Session; readonly purpose: SpiPurpose }>();
  readonly #queries = new Map<number, Session>();
  readonly #versionsTold = new OnceInAWhile(60_000, 256);
  readonly #hintsHeeded = new OnceInAWhile(10_000, 256);

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#host = this.#hostOf({ ...defaultLimits, ...options.limits });
    this.#attempts = new Attempts(this.#host, this.#pairs, (session) => this.#admit(session));
    this.#halfOpen = new HalfOpen(this.#host);
  }

  /** `wall`: for certificates; where it is not said, none is valid. */
  handle(
    input: EndpointInput,
    now: Instant,
    wall: WallSeconds = 0 as WallSeconds,
  ): readonly EndpointEffect[] {
    this.#now = now;
    this.#wall = wall;
    this.#take(input);
    this.#follow();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `{ kind: 'tick' }` is next wanted, or undefined when nothing is due. */
  get deadline(): Deadline | undefined {
    return this.#timetable.first;
  }

  /** How many IKE SAs there are, and how many of them are not authenticated. */
  get counts(): { readonly sessions: number; readonly halfOpen: number } {
    return { sessions: this.#sessions.size, halfOpen: this.#halfOpen.size };
  }

  /** Every IKE SA as it is now. */
  get sessions(): readonly SessionView[] {
    return [...this.#sessions.values()].map(viewOf);
  }

  #take(input: EndpointInput): void {
    switch (input.kind) {
      case 'initiate':
        if (this.#closed) {
          this.#emit({
            kind: 'failed',
            attempt: input.attempt,
            code: 'closing',
            why: 'the agent is stopping',
          });
          return;
        }
        this.#attempts.initiate(input);
        this.#touchPair(pairKey(input.local, input.peer));
        return;
      case 'keys':
        this.#attempts.keys(input.attempt, input.keys);
        return;
      case 'abandon':
        this.#attempts.abandon(input.attempt);
        return;
      case 'datagram':
        if (!this.#closed) this.#datagram(input.local, input.remote, input.octets);
        return;
      case 'spiAllocated':
      case 'spiRefused': {
        const request = this.#spiRequests.get(input.request);
        this.#spiRequests.delete(input.request);
        if (!request || request.session.phase.phase === 'dead') return;
        this.#touched.add(request.session);
        if (input.kind === 'spiAllocated') onSpi(request.session, request.purpose, input.spi);
        else onNoSpi(request.session, request.purpose, input.why);
        return;
      }
      case 'installed':
      case 'installFailed': {
        const found = this.#childOf(input.child);
        if (!found) return;
        this.#touched.add(found.session);
        if (input.kind === 'installed') onInstalled(found.session, found.child);
        else onInstallFailed(found.session, found.child, input.why);
        return;
      }
      case 'peerKeys': {
        const session = this.#queries.get(input.query);
        this.#queries.delete(input.query);
        if (!session) return;
        this.#touched.add(session);
        onKeysOfPeer(session, input.query, input.keys);
        return;
      }
      case 'renew':
        this.#touchPair(pairKey(input.local, input.peer));
        for (const session of this.#pairs.of(pairKey(input.local, input.peer))) renew(session, input.what);
        return;
      case 'leave':
        for (const session of this.#pairs.of(pairKey(input.local, input.peer))) takeLeave(session, input.why);
        return;
      case 'unanswered': {
        const found = this.#childOf(input.child);
        if (!found) return;
        this.#touched.add(found.session);
        probeAtOnce(found.session, 'what is sent to it is not answered');
        return;
      }
      case 'withdrawn':
        this.#pairs.withdraw(pairKey(input.local, input.peer), input.proof);
        this.#touchPair(pairKey(input.local, input.peer));
        return;
      case 'expired':
        for (const session of this.#sessions.values()) {
          if (onExpired(session, input.spi, input.hard)) this.#touched.add(session);
        }
        return;
      case 'mapping':
        for (const session of this.#pairs.of(pairKey(input.local, input.peer))) {
          if (!session.children.has(input.spi)) continue;
          this.#touched.add(session);
          onMapping(session, input.port);
        }
        return;
      case 'close':
        this.#close();
        return;
      case 'tick':
        for (const session of this.#timetable.due(this.#now)) {
          this.#touched.add(session);
          this.#tick(session);
        }
        return;
      default:
        input satisfies never;
    }
  }

  #touchPair(pair: string): void {
    for (const session of this.#pairs.of(pair)) this.#touched.add(session);
  }

  /** An input to one IKE SA may give it, and others of its pair, something to ask and other times to wait for. */
  #follow(): void {
    for (const session of [...this.#touched]) this.#touchPair(pairOf(session));
    for (const session of this.#touched) {
      runTasks(session);
      if (this.#sessions.get(session.spi) === session) this.#timetable.update(session);
      else this.#timetable.remove(session);
    }
    this.#touched.clear();
  }

  #tick(session: Session): void {
    for (const [timer, at] of [...session.timers]) {
      if (at > this.#now || session.timers.get(timer) !== at) continue;
      session.timers.delete(timer);
      onTimer(session, timer);
    }
  }

  #datagram(local: Endpoint, remote: Endpoint, datagram: Uint8Array): void {
    const octets = unmarked(datagram, local, this.#options.ports);
    const header = octets && decodeHeader(octets);
    if (!octets || !header) return;
    if (header.majorVersion !== 2) {
      const answer = versionAnswer(header);
      if (!answer || !this.#versionsTold.passes(formatAddress(remote.address), this.#now)) return;
      this.#emit({ kind: 'send', local, remote, octets: marked(answer, local, this.#options.ports) });
      return;
    }
    const session = this.#sessions.get(header.fromInitiator ? header.spiR : header.spiI);
    const isFirst = header.exchange === Exchange.IKE_SA_INIT && header.spiR === 0n && !header.response;
    if (!isFirst && header.exchange === Exchange.INFORMATIONAL) this.#hint(octets, local, remote);
    if (isFirst ? !header.fromInitiator || header.messageId !== 0 : !session) return;
    // Addresses stay what they were when the IKE SA began; only ports move.
    if (!isFirst && session && !isBetween(session, local, remote)) return;
    const message = decodeMessage(octets);
    if (!message.ok) return;
    if (!isFirst) {
      if (!session) return;
      this.#touched.add(session);
      onMessage(session, message.value, local, remote);
      return;
    }
    if (this.#sessions.size >= this.#host.limits.sessions) return;
    const begun = this.#halfOpen.take(message.value, local, remote);
    if (begun) this.#admit(begun);
  }

  /** Unprotected, so that all it can do is to have us ask (RFC 7296 §2.4). */
  #hint(octets: Uint8Array, local: Endpoint, remote: Endpoint): void {
    const pair = pairKey(local.address, remote.address);
    const doubted = this.#pairs.of(pair).filter((s) => liveChildOf(s) !== undefined);
    if (doubted.length === 0) return;
    const message = decodeMessage(octets);
    if (!message.ok || !isLossHint(message.value) || !this.#hintsHeeded.passes(pair, this.#now)) return;
    for (const session of doubted) {
      this.#touched.add(session);
      probeAtOnce(session, 'somebody says that it has lost our SA');
    }
  }

  #admit(session: Session): boolean {
    if (this.#sessions.size >= this.#host.limits.sessions) return false;
    this.#sessions.set(session.spi, session);
    this.#pairs.add(session);
    this.#touched.add(session);
    return true;
  }

  #childOf(sa: ChildSa): { readonly session: Session; readonly child: Child } | undefined {
    for (const session of this.#pairs.of(pairKey(sa.local, sa.peer))) {
      const child = session.children.get(sa.inbound.spi);
      if (child?.sa.id === sa.id) return { session, child };
    }
    return undefined;
  }

  #close(): void {
    this.#closed = true;
    this.#attempts.close();
    for (const session of [...this.#sessions.values()]) {
      this.#touched.add(session);
      const secrets = secretsOf(session);
      const isKnown = session.phase.phase === 'standing' || session.phase.phase === 'authSent';
      endSession(session, 'the agent is stopping');
      if (secrets && isKnown) {
        sendLastWord(session, secrets, Exchange.INFORMATIONAL, [
          { kind: 'Delete', protocol: Protocol.IKE, spis: [] },
        ]);
      }
    }
    this.#sessions.clear();
  }

  #emit(effect: EndpointEffect): void {
    this.#effects.push(effect);
  }

  #newSpi(): IkeSpi {
    for (;;) {
      const spi = ikeSpiFrom(this.#options.random.octets(8));
      if (spi !== 0n && !this.#sessions.has(spi)) return spi;
    }
  }

  /** The IKE SA's view of the endpoint. */
  #hostOf(limits: Limits): Host {
    const now = (): Instant => this.#now;
    const wall = (): WallSeconds => this.#wall;
    const kems = this.#options.kems ?? supportedKems;
    return {
      options: this.#options,
      limits,
      kems,
      // Who asks for more than one gets whatever we can do.
      additional: kems.length > 0 ? [...kems, ...supportedGroups] : [],
      get now() {
        return now();
      },
      get wall() {
        return wall();
      },
      emit: (effect) => {
        this.#emit(effect);
      },
      touch: (session) => {
        this.#touched.add(session);
      },
      nextId: () => this.#nextId++,
      newSpi: () => this.#newSpi(),
      askSpi: (session, purpose) => {
        const request = this.#nextId++;
        this.#spiRequests.set(request, { session, purpose });
        const { local, remote } = session;
        this.#emit({ kind: 'allocateSpi', request, local: local.address, peer: remote.address });
      },
      askPeerKeys: (session, id) => {
        // Who names itself after zones that never answer must not keep others from being looked up.
        const network = networkOf(session.remote.address);
        const near = [...this.#queries.values()].filter((s) => networkOf(s.remote.address) === network);
        if (this.#queries.size >= limits.peerKeysAtOnce || near.length >= limits.peerKeysPerNetwork) {
          return undefined;
        }
        const query = this.#nextId++;
        this.#queries.set(query, session);
        const { address } = session.remote;
        this.#emit({ kind: 'askPeerKeys', query, peer: address, id: { type: id.type, octets: id.data } });
        return query;
      },
      mayReassemble: (session) => {
        // Strangers share what there is; they must not keep those whom we asked, or know, from answering.
        if (!isStranger(session)) return true;
        let busy = 0;
        for (const other of this.#sessions.values()) {
          if (!isStranger(other)) continue;
          for (const [direction, { since }] of other.fragments) {
            if (later(since, limits.reassemblyMs) < this.#now) other.fragments.delete(direction);
          }
          if (other.fragments.size > 0) busy++;
        }
        return busy < limits.reassemblies;
      },
      mayRekey: (session) =>
        this.#sessions.size < limits.sessions &&
        this.#pairs.others(session).filter((s) => s.phase.phase === 'standing').length <
          limits.sessionsPerPair,
      adopt: (session) => {
        this.#sessions.set(session.spi, session);
        this.#pairs.add(session);
        this.#touched.add(session);
        if (session.children.size === 0) startTimer(session, 'childless', limits.childlessMs);
        this.#armLifetime(session);
        startKeepalives(session);
      },
      reauthenticate: (session, why) => {
        this.#attempts.beginBeside(session, false, why);
      },
      doubt: (session) => {
        this.#attempts.beginBeside(session, true, 'it may have lost what it had');
      },
      proved: (session) => {
        for (const other of this.#pairs.others(session)) {
          if (other.besides?.session !== session || !other.besides.isDoubt) continue;
          if (isBeginning(other) && other.attempts.size === 0 && other.phase.phase !== 'authSent') {
            endSession(other, 'the peer has what it had');
          }
          other.besides = undefined;
          this.#pairs.settle(session);
        }
      },
      retryAnonymously: (session) => {
        this.#attempts.retryAnonymously(session);
      },
      authenticatedElsewhere: (session) => this.#pairs.authenticatedElsewhere(session),
      hasCrossed: (session) =>
        this.#pairs
          .others(session)
          .some((s) => s.role === 'responder' && later(s.createdAt, crossingMs) > session.createdAt),
      hasFresh: (session) => this.#pairs.hasFresh(session),
      hasOther: (session) => this.#pairs.others(session).some((s) => s.phase.phase === 'standing'),
      doubtOthers: (session) => {
        this.#pairs.doubtOthers(session);
      },
      stands: (session, initialContact) => {
        this.#stands(session, initialContact);
      },
      established: (session, child) => {
        session.timers.delete('childless');
        this.#attempts.established(session, child);
        this.#pairs.settle(session);
      },
      removed: (session) => {
        if (session.phase.phase === 'standing' && session.children.size === 0) {
          startTimer(session, 'childless', limits.childlessMs);
        }
        this.#pairs.unshadow(session);
      },
      failed: (session, code, why) => {
        this.#attempts.failed(session, code, why);
      },
      ended: (session) => {
        this.#ended(session);
      },
    };
  }

  #stands(session: Session, initialContact: boolean): void {
    const { childlessMs, sessionsPerPair } = this.#host.limits;
    this.#halfOpen.close(session);
    startTimer(session, 'childless', childlessMs);
    this.#armLifetime(session);
    startKeepalives(session);
    if (initialContact) this.#pairs.initialContact(session);
    // Behind one NAT there may be many hosts; those of one network are counted in all.
    if (mayMove(session)) return;
    const standing = this.#pairs.others(session).filter((s) => s.phase.phase === 'standing');
    if (standing.length < sessionsPerPair) return;
    // A stranger that comes anew does not push out an authenticated peer.
    const newcomer = isStranger(session) ? session : undefined;
    const oldest = standing.find((s) => !isAuthenticated(s)) ?? newcomer ?? standing[0];
    if (oldest) partWith(oldest, 'there are too many IKE SAs with the peer');
  }

  /** The initiator is the first to rekey, so that both seldom do (RFC 7296 §2.8). */
  #armLifetime(session: Session): void {
    const share = session.role === 'initiator' ? 0.85 : 0.95;
    const jitter = 0.05 * randomUnit(this.#options.random);
    startTimer(session, 'lifetime', this.#host.limits.ikeLifetimeMs * (share + jitter));
  }

  #ended(session: Session): void {
    this.#touched.add(session);
    this.#halfOpen.close(session);
    this.#pairs.remove(session);
    for (const [query, asker] of this.#queries) if (asker === session) this.#queries.delete(query);
    if (session.timers.has('linger')) return;
    this.#sessions.delete(session.spi);
    this.#halfOpen.forget(session);
  }
}

/** Negotiations that begin within this time of each other can be in each other's way. */
const crossingMs = 5_000;

/** It began, and has not proved who it is. */
function isStranger(session: Session): boolean {
  return session.role === 'responder' && !isAuthenticated(session);
}

function isBetween(session: Session, local: Endpoint, remote: Endpoint): boolean {
  return (
    sameAddress(session.remote.address, remote.address) && sameAddress(session.local.address, local.address)
  );
}

/** Without the non-ESP marker where there is one; undefined for what is no IKE on that port (RFC 3948 §2.2). */
function unmarked(
  octets: Uint8Array,
  local: Endpoint,
  ports: { readonly ike: number; readonly natt: number },
): Uint8Array | undefined {
  if (local.port !== ports.natt || ports.natt === ports.ike) return octets;
  if (octets.length < 4 || !sameOctets(octets.subarray(0, 4), nonEspMarker)) return undefined;
  return octets.subarray(4);
}
