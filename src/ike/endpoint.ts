import { formatEndpoint, parseAddress, sameAddress, type Endpoint, type IpAddress } from '../net/address.ts';
import type { PublicKey } from '../net/public-key.ts';
import type { LogEvent } from '../log.ts';
import { randomUnit, type Random } from '../random.ts';
import type { Deadline, Instant } from '../time.ts';
import { sameOctets } from '../wire/octets.ts';
import type { ChildSa, EspSuite, PeerAuth } from './child.ts';
import { CookieJar } from './cookies.ts';
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
import { marked, nonEspMarker, sendLastWord, transmit } from './exchange.ts';
import { advance, beginInit, isStale } from './initiator.ts';
import { defaultLimits, type Limits } from './limits.ts';
import { decodeHeader, decodeMessage, ikeSpiFrom, type IkeSpi, type Message } from './message.ts';
import { Exchange, NotifyType, Protocol } from './numbers.ts';
import { isAuthenticated, liveChildOf, pairKey, pairOf, Pairs, serves } from './pairs.ts';
import { onInitRequest } from './responder.ts';
import {
  newSession,
  secretsOf,
  startTimer,
  type Attempt,
  type Child,
  type Host,
  type Phase,
  type Session,
  type SpiPurpose,
} from './session.ts';
import { findNotify } from './shapes.ts';
import { isQuiet, onExpired, probe, runTasks } from './standing.ts';

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
  /** Whether `keyLog` effects are wanted. */
  readonly keyLog: boolean;
  readonly ports: { readonly ike: number; readonly natt: number };
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
      readonly keys?: readonly PublicKey[];
    }
  /** The keys of the attempt are proved by DNSSEC (or there are more of them now). */
  | { readonly kind: 'keys'; readonly attempt: number; readonly keys: readonly PublicKey[] }
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
  | { readonly kind: 'peerKeys'; readonly query: number; readonly keys: readonly PublicKey[] }
  /** The kernel's lifetime of an inbound or outbound state is reached. */
  | { readonly kind: 'expired'; readonly spi: number; readonly hard: boolean }
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
  readonly #limits: Limits;
  readonly #host: Host;
  readonly #cookies: CookieJar;
  #effects: EndpointEffect[] = [];
  #now = 0 as Instant;
  #nextId = 1;
  #closed = false;

  /** By our SPI. */
  readonly #sessions = new Map<IkeSpi, Session>();
  /** Responders by what a repeated IKE_SA_INIT has in common with the first. */
  readonly #inits = new Map<string, Session>();
  readonly #halfOpen = new Set<Session>();
  readonly #pairs = new Pairs();
  readonly #attempts = new Map<number, Attempt>();
  readonly #spiRequests = new Map<number, { readonly session: Session; readonly purpose: SpiPurpose }>();
  readonly #queries = new Map<number, Session>();

  constructor(options: EndpointOptions) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#cookies = new CookieJar(options.random);
    this.#host = this.#hostOf();
  }

  handle(input: EndpointInput, now: Instant): readonly EndpointEffect[] {
    this.#now = now;
    this.#take(input);
    // An input to one IKE SA may give others something to ask.
    for (const session of this.#sessions.values()) if (session.tasks.length > 0) runTasks(session);
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** When `{ kind: 'tick' }` is next wanted, or undefined when nothing is due. */
  get deadline(): Deadline | undefined {
    let first: Deadline | undefined;
    for (const { timers } of this.#sessions.values()) {
      for (const [why, at] of timers) if (first === undefined || at < first.at) first = { at, why };
    }
    return first;
  }

  /** How many IKE SAs there are, and how many of them are not authenticated. */
  get counts(): { readonly sessions: number; readonly halfOpen: number } {
    return { sessions: this.#sessions.size, halfOpen: this.#halfOpen.size };
  }

  #take(input: EndpointInput): void {
    switch (input.kind) {
      case 'initiate':
        this.#initiate(input);
        return;
      case 'keys':
        this.#keys(input.attempt, input.keys);
        return;
      case 'abandon':
        this.#abandon(input.attempt);
        return;
      case 'datagram':
        if (!this.#closed) this.#datagram(input.local, input.remote, input.octets);
        return;
      case 'spiAllocated':
      case 'spiRefused': {
        const request = this.#spiRequests.get(input.request);
        this.#spiRequests.delete(input.request);
        if (!request || request.session.phase.phase === 'dead') return;
        if (input.kind === 'spiAllocated') onSpi(request.session, request.purpose, input.spi);
        else onNoSpi(request.session, request.purpose, input.why);
        return;
      }
      case 'installed':
      case 'installFailed': {
        const found = this.#childOf(input.child);
        if (!found) return;
        if (input.kind === 'installed') onInstalled(found.session, found.child);
        else onInstallFailed(found.session, found.child, input.why);
        return;
      }
      case 'peerKeys': {
        const session = this.#queries.get(input.query);
        this.#queries.delete(input.query);
        if (session) onKeysOfPeer(session, input.query, input.keys);
        return;
      }
      case 'expired':
        for (const session of this.#sessions.values()) onExpired(session, input.spi, input.hard);
        return;
      case 'close':
        this.#close();
        return;
      case 'tick':
        this.#tick();
        return;
      default:
        input satisfies never;
    }
  }

  #initiate(input: Extract<EndpointInput, { readonly kind: 'initiate' }>): void {
    const attempt: Attempt = {
      id: input.attempt,
      pair: pairKey(input.local, input.peer),
      require: input.require,
      keys: input.keys,
      sessions: new Set(),
    };
    if (this.#closed) {
      this.#fail(attempt, 'closing', 'the agent is stopping');
      return;
    }
    this.#attempts.set(attempt.id, attempt);
    if (!this.#serve(attempt)) this.#work(attempt, input.local, input.peer);
  }

  /** Where a child already stands that does for the attempt, it is reported again. */
  #serve(attempt: Attempt): boolean {
    const serving = this.#pairs.serving(attempt);
    if (!serving) return false;
    this.#satisfy(attempt, serving.child);
    if (isQuiet(serving.session)) probe(serving.session);
    return true;
  }

  /** Finds an IKE SA that works for the attempt, or begins one. */
  #work(attempt: Attempt, local: IpAddress, peer: IpAddress): void {
    const there = this.#pairs.of(attempt.pair);
    const waits = attempt.require === 'authenticated' && attempt.keys === undefined;
    // It may well be that one; that is known when the keys are.
    if (waits && there.some((s) => isAuthenticated(s) && liveChildOf(s))) return;
    const open = there.find((s) => s.role === 'initiator' && isBeginning(s) && !s.unwanted && !s.anonymous);
    const standing = there.find((s) => s.phase.phase === 'standing' && serves(attempt, s.phase.peerAuth));
    const joined = open ?? standing;
    if (joined) {
      this.#join(attempt, joined);
      if (joined === standing) askChildOnce(joined);
      return;
    }
    if (this.#sessions.size >= this.#limits.sessions) {
      this.#fail(attempt, 'refused', `there are ${this.#sessions.size} IKE SAs already`);
      return;
    }
    const { ike } = this.#options.ports;
    this.#begin([attempt], { address: local, port: ike }, { address: peer, port: ike }, false);
  }

  #join(attempt: Attempt, session: Session): void {
    attempt.sessions.add(session);
    session.attempts.add(attempt);
    if (attempt.require === 'authenticated' && session.phase.phase !== 'standing')
      session.require = 'authenticated';
    if (attempt.keys) session.trusted = [...(session.trusted ?? []), ...attempt.keys];
  }

  #begin(attempts: Iterable<Attempt>, local: Endpoint, remote: Endpoint, anonymous: boolean): void {
    const session = newSession(this.#host, 'initiator', this.#newSpi(), local, remote, startingPhase, {
      anonymous,
    });
    for (const attempt of attempts) this.#join(attempt, session);
    this.#sessions.set(session.spi, session);
    this.#pairs.add(session);
    beginInit(session);
  }

  #keys(id: number, keys: readonly PublicKey[]): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    attempt.keys = keys;
    if (this.#serve(attempt)) return;
    if (attempt.sessions.size === 0) {
      const [local, peer] = attempt.pair.split(' ').map((text) => parseAddress(text));
      if (local && peer) this.#work(attempt, local, peer);
      return;
    }
    for (const session of [...attempt.sessions]) {
      session.trusted = [...(session.trusted ?? []), ...keys];
      if (isStale(session)) {
        const { ike } = this.#options.ports;
        const { local, remote } = session;
        this.#begin(session.attempts, { ...local, port: ike }, { ...remote, port: ike }, session.anonymous);
        endSession(session, 'the responder will have forgotten it');
      } else {
        advance(session);
      }
    }
  }

  #abandon(id: number): void {
    const attempt = this.#attempts.get(id);
    if (!attempt) return;
    this.#attempts.delete(id);
    for (const session of this.#detach(attempt)) {
      if (session.attempts.size > 0) continue;
      if (session.phase.phase === 'authSent') session.unwanted = true;
      else if (isBeginning(session)) endSession(session, 'nobody wants it any longer');
    }
  }

  #detach(attempt: Attempt): readonly Session[] {
    const sessions = [...attempt.sessions];
    attempt.sessions.clear();
    for (const session of sessions) session.attempts.delete(attempt);
    return sessions;
  }

  #satisfy(attempt: Attempt, child: Child): void {
    this.#attempts.delete(attempt.id);
    for (const session of this.#detach(attempt)) {
      // One that was to wait for keys now waits for nothing.
      if (session.attempts.size === 0 && session.trusted === undefined && isBeginning(session)) {
        endSession(session, 'it is not needed any longer');
      }
    }
    const { sa, suite } = child;
    this.#emit({ kind: 'established', child: sa, peerAuth: sa.peerAuth, attempt: attempt.id, suite });
  }

  #fail(attempt: Attempt, code: string, why: string): void {
    this.#attempts.delete(attempt.id);
    this.#detach(attempt);
    this.#emit({ kind: 'failed', attempt: attempt.id, code, why });
  }

  #datagram(local: Endpoint, remote: Endpoint, datagram: Uint8Array): void {
    const octets = unmarked(datagram, local, this.#options.ports);
    const header = octets && decodeHeader(octets);
    if (!octets || header?.majorVersion !== 2) return;
    const session = this.#sessions.get(header.fromInitiator ? header.spiR : header.spiI);
    const isFirst = header.exchange === Exchange.IKE_SA_INIT && header.spiR === 0n && !header.response;
    if (isFirst ? !header.fromInitiator || header.messageId !== 0 : !session) return;
    // Addresses stay what they were when the IKE SA began; only ports move.
    if (!isFirst && session && !isBetween(session, local, remote)) return;
    const message = decodeMessage(octets);
    if (!message.ok) return;
    if (isFirst) this.#initRequest(message.value, local, remote);
    else if (session) onMessage(session, message.value, local, remote);
  }

  #initRequest(message: Message, local: Endpoint, remote: Endpoint): void {
    const { spiI } = message.header;
    const key = `${formatEndpoint(remote)} ${formatEndpoint(local)} ${spiI}`;
    const before = this.#inits.get(key);
    if (before) {
      // The same again is answered again (§2.1); anything else under this SPI is not from whom it was.
      const isSame = sameOctets(secretsOf(before)?.initI ?? noOctets, message.octets);
      if (isSame && before.phase.phase === 'authAwaited' && before.lastAnswer?.messageId === 0) {
        transmit(before, before.lastAnswer.datagrams);
      }
      return;
    }
    if (this.#halfOpen.size >= this.#limits.halfOpen || this.#sessions.size >= this.#limits.sessions) return;
    const nonceI = message.payloads.find((p) => p.kind === 'Nonce')?.nonce;
    if (!nonceI) return;
    const subject = { address: remote.address, spiI, nonceI };
    const cookie = findNotify(message.payloads, NotifyType.COOKIE)?.data;
    const answer = onInitRequest(this.#host, message, local, remote, {
      ok: cookie !== undefined && this.#cookies.check(subject, cookie, this.#now),
      wanted: this.#halfOpen.size >= this.#limits.halfOpenCookies,
      make: () => this.#cookies.make(subject, this.#now),
    });
    switch (answer.kind) {
      case 'drop':
        return;
      case 'reply':
        this.#emit({
          kind: 'send',
          local,
          remote,
          octets: marked(answer.octets, local, this.#options.ports),
        });
        return;
      case 'session':
        this.#sessions.set(answer.session.spi, answer.session);
        this.#inits.set(key, answer.session);
        this.#halfOpen.add(answer.session);
        this.#pairs.add(answer.session);
        return;
      default:
        answer satisfies never;
    }
  }

  #childOf(sa: ChildSa): { readonly session: Session; readonly child: Child } | undefined {
    for (const session of this.#pairs.of(pairKey(sa.local, sa.peer))) {
      const child = session.children.get(sa.inbound.spi);
      if (child?.sa.id === sa.id) return { session, child };
    }
    return undefined;
  }

  #tick(): void {
    for (const session of [...this.#sessions.values()]) {
      for (const [timer, at] of [...session.timers]) {
        if (at > this.#now || session.timers.get(timer) !== at) continue;
        session.timers.delete(timer);
        onTimer(session, timer);
      }
    }
  }

  #close(): void {
    this.#closed = true;
    for (const attempt of [...this.#attempts.values()])
      this.#fail(attempt, 'closing', 'the agent is stopping');
    for (const session of [...this.#sessions.values()]) {
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
  #hostOf(): Host {
    const endpoint = this;
    return {
      options: this.#options,
      limits: this.#limits,
      get now() {
        return endpoint.#now;
      },
      emit: (effect) => {
        this.#emit(effect);
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
        if (this.#queries.size >= this.#limits.peerKeysAtOnce) return undefined;
        const query = this.#nextId++;
        this.#queries.set(query, session);
        const { address } = session.remote;
        this.#emit({ kind: 'askPeerKeys', query, peer: address, id: { type: id.type, octets: id.data } });
        return query;
      },
      mayReassemble: () => {
        let busy = 0;
        for (const session of this.#sessions.values()) if (session.fragments.size > 0) busy++;
        return busy < this.#limits.reassemblies;
      },
      adopt: (session) => {
        this.#sessions.set(session.spi, session);
        this.#pairs.add(session);
        this.#armLifetime(session);
      },
      retryAnonymously: (session) => {
        const { ike } = this.#options.ports;
        const { local, remote, attempts } = session;
        if (attempts.size > 0) this.#begin(attempts, { ...local, port: ike }, { ...remote, port: ike }, true);
      },
      authenticatedElsewhere: (session) => this.#pairs.authenticatedElsewhere(session),
      hasOther: (session) => this.#pairs.others(session).some((s) => s.phase.phase === 'standing'),
      stands: (session, initialContact) => {
        this.#stands(session, initialContact);
      },
      established: (session, child) => {
        this.#established(session, child);
      },
      removed: (session) => {
        if (session.phase.phase === 'standing' && session.children.size === 0) {
          startTimer(session, 'childless', this.#limits.childlessMs);
        }
        this.#pairs.unshadow(session);
      },
      failed: (session, code, why) => {
        for (const attempt of [...session.attempts]) {
          attempt.sessions.delete(session);
          session.attempts.delete(attempt);
          if (attempt.sessions.size === 0) this.#fail(attempt, code, why);
        }
      },
      ended: (session) => {
        this.#ended(session);
      },
    };
  }

  #stands(session: Session, initialContact: boolean): void {
    this.#halfOpen.delete(session);
    startTimer(session, 'childless', this.#limits.childlessMs);
    this.#armLifetime(session);
    if (initialContact) this.#pairs.initialContact(session);
    const standing = this.#pairs.others(session).filter((s) => s.phase.phase === 'standing');
    const oldest = standing.find((s) => !isAuthenticated(s)) ?? standing[0];
    if (oldest && standing.length >= this.#limits.sessionsPerPair) {
      partWith(oldest, 'there are too many IKE SAs with the peer');
    }
  }

  /** The initiator is the first to rekey, so that both seldom do (§2.8). */
  #armLifetime(session: Session): void {
    const share = session.role === 'initiator' ? 0.85 : 0.95;
    const jitter = 0.05 * randomUnit(this.#options.random);
    startTimer(session, 'lifetime', this.#limits.ikeLifetimeMs * (share + jitter));
  }

  #established(session: Session, child: Child): void {
    const { sa, suite } = child;
    session.timers.delete('childless');
    const served = [...this.#attempts.values()].filter(
      (a) => a.pair === pairOf(session) && serves(a, sa.peerAuth),
    );
    if (served.length === 0) {
      this.#emit({ kind: 'established', child: sa, peerAuth: sa.peerAuth, attempt: undefined, suite });
    }
    for (const attempt of served) this.#satisfy(attempt, child);
    const proved = 'it proves another key than the one that DNS publishes';
    this.#host.failed(session, 'authentication-failed', proved);
    if (session.role === 'initiator') this.#dropTwins(session);
    this.#pairs.settle(session);
  }

  /** What was begun beside it for the same attempts is not needed. */
  #dropTwins(session: Session): void {
    for (const other of this.#pairs.others(session)) {
      if (other.role !== 'initiator' || other.attempts.size > 0) continue;
      if (other.phase.phase === 'authSent') other.unwanted = true;
      else if (isBeginning(other)) endSession(other, 'it is not needed any longer');
    }
  }

  #ended(session: Session): void {
    this.#halfOpen.delete(session);
    this.#pairs.remove(session);
    for (const [query, asker] of this.#queries) if (asker === session) this.#queries.delete(query);
    if (session.timers.has('linger')) return;
    this.#sessions.delete(session.spi);
    for (const [key, other] of this.#inits) if (other === session) this.#inits.delete(key);
  }
}

const noOctets = new Uint8Array(0);

/** Before the first message is built there is nothing to know. */
const startingPhase: Phase = { phase: 'dead', secrets: undefined, why: 'not begun' };

function isBeginning({ phase }: Session): boolean {
  return phase.phase === 'initSent' || phase.phase === 'keysAwaited' || phase.phase === 'authSent';
}

function isBetween(session: Session, local: Endpoint, remote: Endpoint): boolean {
  return (
    sameAddress(session.remote.address, remote.address) && sameAddress(session.local.address, local.address)
  );
}

/** Asks for a child in an IKE SA that has none and gets none. */
function askChildOnce(session: Session): void {
  const isUnderWay =
    session.children.size > 0 ||
    session.asking !== undefined ||
    session.answering !== undefined ||
    session.tasks.some((t) => t.what === 'createChild');
  if (isUnderWay) return;
  session.tasks.push({
    what: 'createChild',
    mode: 'transport',
    rekeys: undefined,
    notBefore: session.host.now,
  });
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
