import type { Endpoint } from '../net/address.ts';
import { later, type Instant, type WallSeconds } from '../time.ts';
import type { PeerWishes } from './authenticate.ts';
import type { ChildSa, PeerAuth } from './child.ts';
import type { Opener, Sealer } from './crypto/cipher.ts';
import type { DhKey } from './crypto/dh.ts';
import type { IkeKeys } from './crypto/prf.ts';
import type { AuthValue } from './crypto/signature.ts';
import type { Reassembly } from './encrypted.ts';
import type { EndpointEffect, EndpointOptions } from './endpoint.ts';
import type { Limits } from './limits.ts';
import type { IkeSpi } from './message.ts';
import type { NatVerdict } from './nat-detection.ts';
import type { IdPayload, InnerPayload, KePayload, TsPayload } from './payloads.ts';
import type { Proof } from './proof.ts';
import type { IkeSuite } from './proposals.ts';
import type { Transmission } from './retransmit.ts';
import type { Proposal, SaPayload } from './sa-payload.ts';

/**
 * One IKE SA: a small mutable shell around an immutable {@link Phase}. The functions of `initiator.ts`,
 * `responder.ts`, `create-child.ts` and `informational.ts` read an input in the light of the phase and put the next
 * one in its place; `exchange.ts` keeps the window of one request in each direction (RFC 7296 §2.3).
 */
export interface Session {
  readonly host: Host;
  readonly role: Role;
  /** Ours: the initiator's where we began, else the responder's. */
  readonly spi: IkeSpi;
  /** Zero until the responder has answered. */
  peerSpi: IkeSpi;
  /** The ports move when a NAT is found (§2.23). */
  local: Endpoint;
  remote: Endpoint;
  /** Between which ends the peer's last request came: its answer goes the same way (§2.11). */
  asked: { readonly local: Endpoint; readonly remote: Endpoint } | undefined;
  readonly createdAt: Instant;
  phase: Phase;

  /** Initiator: what the peer must prove one of; undefined: not known yet. */
  trusted: readonly Proof[] | undefined;
  require: 'authenticated' | 'any';
  /** Initiator: not to be told who we are (the peer has refused that, or kept silent about it). */
  readonly anonymous: boolean;
  /** We have proved who we are in it. */
  identified: boolean;
  /** Whose attempts it serves. */
  readonly attempts: Set<Attempt>;
  /** Initiator: the inbound SPI of the first child, asked for early; `asked` until the kernel has answered. */
  firstSpi: FirstSpi;
  /** Nobody wants it any longer: it is deleted as soon as the peer can be told. */
  unwanted: boolean;
  /** A child is asked for though nobody outside waits for it: the peer has lost the one that there was. */
  wantsChild: boolean;
  /** Behind a NAT: the peer does not take our address for the one that it sees (§2.23.1), and is to say it itself. */
  asksWide: boolean;
  /** How often a child was asked for that the peer left out, and the IKE SA asked to be replaced. */
  childTries: number;
  rekeyTries: number;
  /** Since when the peer answers nothing but TEMPORARY_FAILURE (§2.25). */
  busySince: Instant | undefined;
  /** It was rekeyed: the children are in that one, and this one waits for its Delete. */
  successor: Session | undefined;
  /** Initiator: the IKE SA that it is to take the place of, and whether that one is only feared to be dead. */
  besides: { readonly session: Session; readonly isDoubt: boolean } | undefined;
  /** The IKE SA that it may come to replace, while it is not known which of two crossing ones stays (§2.8.2). */
  candidateFor: Session | undefined;

  /** Message ID of our next request, and the one that the peer's next request must have. */
  nextRequest: number;
  nextExpected: number;
  /** Our request that is not answered yet, and what it is about once the IKE SA stands. */
  outgoing: Transmission | undefined;
  asking: Asking | undefined;
  readonly tasks: Task[];
  /** The answer to the peer's last request, for when it comes again (§2.1). */
  lastAnswer:
    | {
        readonly messageId: number;
        readonly datagrams: readonly Uint8Array[];
        /** Of the request: IKE_INTERMEDIATE gives the IKE SA other keys (RFC 9370 §2.2.2). */
        readonly opener: Opener;
      }
    | undefined;
  /** The peer's request that waits for a key, for an SPI, for the kernel. */
  answering: Answering | undefined;
  /** The IKE SA that the peer wants in the place of this one and has not added all key exchanges to. */
  following: Following | undefined;
  /** Responder: the IKE_AUTH that is being answered says that it is the peer's only one (§2.4). */
  initialContact: boolean;
  readonly fragments: Map<
    'request' | 'response',
    { readonly messageId: number; readonly of: Reassembly; readonly since: Instant }
  >;

  /** Deleted by the peer while its answer, which would have named them, is still on its way to us: outbound SPIs. */
  readonly goneEarly: Set<number>;
  /** By the SPI of the inbound SA. */
  readonly children: Map<number, Child>;
  /** When an authenticated message last came. */
  heardAt: Instant;
  /** When a message of it last left. */
  sentAt: Instant;
  readonly timers: Map<Timer, Instant>;
}

export type Role = 'initiator' | 'responder';

/** What is known, and what is awaited. */
export type Phase = InitSent | IntermediateSent | KeysAwaited | AuthSent | AuthAwaited | Standing | Dead;

/** Initiator, IKE_SA_INIT sent. */
export interface InitSent {
  readonly phase: 'initSent';
  readonly nonceI: Uint8Array;
  readonly dh: DhKey;
  readonly offered: readonly Proposal[];
  /** The message as sent last: it is what AUTH signs. */
  readonly message: Uint8Array;
  readonly cookie: Uint8Array | undefined;
  readonly cookieRounds: number;
  readonly groupsTried: readonly number[];
  /** An unprotected refusal that came: it ends nothing at once, anybody can forge it. */
  readonly refusal: { readonly code: string; readonly why: string } | undefined;
}

/** Initiator, IKE_INTERMEDIATE sent (RFC 9242) with one more key exchange (RFC 9370). */
export interface IntermediateSent {
  readonly phase: 'intermediateSent';
  /** What protects this exchange. */
  readonly secrets: Secrets;
  readonly key: DhKey;
  /** The methods that come after it. */
  readonly left: readonly number[];
  /** Our message, as AUTH covers it. */
  readonly request: Uint8Array;
  /** When the answer to IKE_SA_INIT came. */
  readonly at: Instant;
}

/** Initiator, IKE_SA_INIT done; IKE_AUTH waits for the keys or for the SPI. */
export interface KeysAwaited {
  readonly phase: 'keysAwaited';
  readonly secrets: Secrets;
  readonly at: Instant;
}

/** Initiator, IKE_AUTH sent. */
export interface AuthSent {
  readonly phase: 'authSent';
  readonly secrets: Secrets;
  readonly offered: readonly Proposal[];
  readonly spi: number;
  /** We have told who we are. */
  readonly identified: boolean;
  readonly at: Instant;
}

/** Responder, IKE_SA_INIT answered; what comes in IKE_AUTH is worked on in {@link Session.answering}. */
export interface AuthAwaited {
  readonly phase: 'authAwaited';
  readonly secrets: Secrets;
  /** The key exchanges that come in IKE_INTERMEDIATE before IKE_AUTH. */
  readonly left: readonly number[];
}

/** Both ends are authenticated, as far as they wanted to be. */
export interface Standing {
  readonly phase: 'standing';
  readonly secrets: Secrets;
  readonly peerAuth: PeerAuth;
  readonly since: Instant;
}

/** Over; kept a while so that the last answer can be repeated. */
export interface Dead {
  readonly phase: 'dead';
  readonly secrets: Secrets | undefined;
  readonly why: string;
}

/** What both ends share after IKE_SA_INIT. */
export interface Secrets {
  readonly suite: IkeSuite;
  readonly keys: IkeKeys;
  readonly sealer: Sealer;
  readonly opener: Opener;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** The IKE_SA_INIT messages that AUTH covers; empty in an IKE SA that was rekeyed. */
  readonly initI: Uint8Array;
  readonly initR: Uint8Array;
  readonly nat: NatVerdict;
  readonly peerHashes: readonly number[] | undefined;
  /** What the IKE_SA_INIT of the peer says of the proofs that it wants; a peer that begins says it in IKE_AUTH. */
  readonly peerWishes: PeerWishes;
  readonly peerFragments: boolean;
  /** Of the IKE_INTERMEDIATE exchanges until now; undefined: there was none. */
  readonly intAuth: IntAuth | undefined;
}

/** What AUTH covers of IKE_INTERMEDIATE: IntAuth_iN and IntAuth_rN of RFC 9242 §3.3.2, and N. */
export interface IntAuth {
  readonly initiator: Uint8Array;
  readonly responder: Uint8Array;
  readonly exchanges: number;
}

export interface Child {
  /** Another one where the peer's NAT has moved it. */
  sa: ChildSa;
  readonly suite: string;
  /**
   * `installing`: the kernel is at it. `shadowed`: it stands inbound only, because an authenticated child of the pair
   * carries what we send. `switching`: it stands inbound and replaces a child that is about to go. `redundant`: it
   * stands inbound and is about to go itself, as two rekeys have crossed.
   */
  state: 'installing' | 'shadowed' | 'switching' | 'redundant' | 'live';
  /** Which part the last `install` wanted. */
  part: 'both' | 'inbound' | 'outbound';
  /** Set when it replaces another. */
  readonly replaces: number | undefined;
  /** Who asked for it, and the lower nonce of that exchange. */
  readonly madeBy: 'us' | 'peer';
  readonly nonce: Uint8Array;
  /** Of two that replace the same child, the one that goes (RFC 7296 §2.8.1). */
  isRedundant: boolean;
  /** Whether `established` was said. */
  told: boolean;
  /** Our request that removes it is queued or on its way. */
  leaving: boolean;
}

/** Something to ask of the peer once the request before is answered. */
export type Task =
  | {
      readonly what: 'createChild';
      readonly mode: Mode;
      readonly rekeys: number | undefined;
      readonly notBefore: Instant;
      /** Of the key exchange; absent: that of the IKE SA. */
      readonly group?: number;
    }
  /** `notBefore`: only if it is still there by then, as it is for the peer to delete it. */
  | { readonly what: 'deleteChild'; readonly spi: number; readonly why: string; readonly notBefore?: Instant }
  | { readonly what: 'deleteIke'; readonly why: string; readonly notify: number | undefined }
  | { readonly what: 'rekeyIke'; readonly group?: number }
  /** `isUrgent`: with short pauses, and soon a new IKE SA beside it. */
  | { readonly what: 'liveness'; readonly isUrgent?: boolean };

export type Mode = 'transport' | 'tunnel';

/** The request of ours that is under way in a standing IKE SA. */
export type Asking =
  | { readonly what: 'childSpi'; readonly task: CreateChild }
  | {
      readonly what: 'createChild';
      readonly task: CreateChild;
      readonly spi: number;
      readonly nonce: Uint8Array;
      readonly dh: DhKey;
      readonly offered: readonly Proposal[];
      /** The peer asks for the same: the lower nonce of its exchange (`collisions.ts`). */
      readonly crossed?: Uint8Array | undefined;
    }
  | {
      readonly what: 'rekeyIke';
      readonly spi: IkeSpi;
      readonly nonce: Uint8Array;
      readonly dh: DhKey;
      readonly offered: readonly Proposal[];
      /** The peer asks for the same: what its exchange has made, and the lower nonce of it. */
      readonly crossed?: { readonly session: Session; readonly nonce: Uint8Array };
    }
  /** One more key exchange of the rekeying of the IKE SA (RFC 9370 §2.2.4). */
  | { readonly what: 'followUp'; readonly agreed: Omit<Following, 'link'>; readonly key: DhKey }
  | Exclude<Task, { readonly what: 'createChild' | 'rekeyIke' }>;

export type CreateChild = Extract<Task, { readonly what: 'createChild' }>;

/** A new IKE SA that is agreed on but for the key exchanges that are left. */
export interface Following {
  readonly to: Successor;
  readonly left: readonly number[];
  /** SK(0), SK(1), … of RFC 9370 §2.2.4. */
  readonly secrets: readonly Uint8Array[];
  readonly link: Uint8Array;
}

/** What an IKE SA will be that takes the place of another. */
export interface Successor {
  readonly role: Role;
  readonly spi: IkeSpi;
  readonly peerSpi: IkeSpi;
  readonly suite: IkeSuite;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
}

/** How far the answer to the peer's request is. */
export type Answering =
  | {
      readonly step: 'keys';
      readonly messageId: number;
      readonly query: number;
      readonly id: IdPayload;
      readonly auth: AuthValue;
      readonly payloads: readonly InnerPayload[];
    }
  | ({ readonly step: 'spi' } & ChildAnswer)
  | ({
      readonly step: 'install';
      readonly child: Child;
      readonly payloads: readonly InnerPayload[];
    } & ChildAnswer);

/** A child that the peer wants and that we are willing to have. */
export interface ChildAnswer {
  readonly messageId: number;
  readonly exchange: number;
  /** What the answer begins with: IDr and AUTH, or nothing. */
  readonly prefix: readonly InnerPayload[];
  /** Set in IKE_AUTH: who the peer is once the answer is out. */
  readonly peerAuth: PeerAuth | undefined;
  readonly offer: ChildOffer;
  /** It has crossed with one of ours that stays. */
  readonly isRedundant?: boolean;
}

/** The peer's wish, as far as it does not depend on our SPI. */
export interface ChildOffer {
  readonly sa: SaPayload;
  readonly mode: Mode;
  readonly tsI: TsPayload;
  readonly tsR: TsPayload;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly ke: KePayload | undefined;
  readonly replaces: number | undefined;
}

export type FirstSpi =
  | { readonly state: 'none' }
  | { readonly state: 'asked' }
  | { readonly state: 'have'; readonly spi: number; readonly at: Instant }
  | { readonly state: 'refused'; readonly why: string };

/** What `initiate` wanted. */
export interface Attempt {
  readonly id: number;
  readonly pair: string;
  readonly require: 'authenticated' | 'any';
  keys: readonly Proof[] | undefined;
  /** The IKE SAs that work for it. */
  readonly sessions: Set<Session>;
}

export type Timer =
  | 'retransmit'
  | 'task'
  | 'halfOpen'
  | 'followUp'
  | 'peerKeys'
  | 'refusal'
  | 'childless'
  | 'retire'
  | 'confirm'
  | 'linger'
  | 'switch'
  | 'keepalive'
  | 'lifetime'
  | 'reauth';

/** What an inbound SPI is for: the child of IKE_AUTH, one that we ask for later, one that the peer asks for. */
export type SpiPurpose = 'first' | 'child' | 'answer';

/** What a session asks of the endpoint that owns it. */
export interface Host {
  readonly options: EndpointOptions;
  readonly limits: Limits;
  /** The ML-KEMs that we ask for, best first; what we do as another key exchange where the peer asks for it. */
  readonly kems: readonly number[];
  readonly additional: readonly number[];
  /** The time of the input that is being handled; by the wall clock it counts for certificates. */
  readonly now: Instant;
  readonly wall: WallSeconds;
  emit(effect: EndpointEffect): void;
  /** The session's timers or tasks are others now. */
  touch(session: Session): void;
  /** A number that no child, request or query has had before. */
  nextId(): number;
  newSpi(): IkeSpi;
  /** Emits `allocateSpi`; the answer comes back to the session, for the same purpose. */
  askSpi(session: Session, purpose: SpiPurpose): void;
  /** Emits `askPeerKeys`; undefined where too many are waited for already. */
  askPeerKeys(session: Session, id: IdPayload): number | undefined;
  /** Whether the session may begin to collect fragments. */
  mayReassemble(session: Session): boolean;
  /** Whether the peer may have one more IKE SA out of this one; it need not delete those from before. */
  mayRekey(session: Session): boolean;
  /** Takes in an IKE SA that was rekeyed out of another. */
  adopt(session: Session): void;
  /** Begins anew with the peer; once that stands `session` goes (§2.8.3). */
  reauthenticate(session: Session, why: string): void;
  /** The peer may have lost this IKE SA: begins anew beside it. */
  doubt(session: Session): void;
  /** The peer has answered in it. */
  proved(session: Session): void;
  /** Begins anew without telling who we are, for the attempts of `session`. */
  retryAnonymously(session: Session): void;
  /** Whether the peer began with us at about the same time. */
  hasCrossed(session: Session): boolean;
  /** Whether the pair has a live child whose peer is authenticated, in another IKE SA. */
  authenticatedElsewhere(session: Session): boolean;
  /** Whether the pair has a live child whose peer was heard of a moment ago. */
  hasFresh(session: Session): boolean;
  /** Whether the pair has any other standing IKE SA. */
  hasOther(session: Session): boolean;
  /** Sees whether the pair's other IKE SAs still have their other end: the peer begins anew beside them. */
  doubtOthers(session: Session): void;
  /** IKE_AUTH is through. */
  stands(session: Session, initialContact: boolean): void;
  /** A child is in the kernel. */
  established(session: Session, child: Child): void;
  /** A child has gone. */
  removed(session: Session, child: Child): void;
  /** The session cannot serve its attempts. */
  failed(session: Session, code: string, why: string): void;
  /** The session is over; lingering for `ms`. */
  ended(session: Session): void;
}

/** A session before its first message. */
export function newSession(
  host: Host,
  role: Role,
  spi: IkeSpi,
  local: Endpoint,
  remote: Endpoint,
  phase: Phase,
  options: {
    readonly anonymous?: boolean;
    readonly require?: 'authenticated' | 'any';
    readonly peerSpi?: IkeSpi;
  } = {},
): Session {
  return {
    host,
    role,
    spi,
    peerSpi: options.peerSpi ?? (0n as IkeSpi),
    local,
    remote,
    asked: undefined,
    createdAt: host.now,
    phase,
    trusted: undefined,
    require: options.require ?? 'any',
    anonymous: options.anonymous ?? false,
    identified: false,
    attempts: new Set(),
    firstSpi: { state: 'none' },
    unwanted: false,
    wantsChild: false,
    asksWide: false,
    childTries: 0,
    rekeyTries: 0,
    busySince: undefined,
    successor: undefined,
    besides: undefined,
    candidateFor: undefined,
    nextRequest: 0,
    nextExpected: 0,
    outgoing: undefined,
    asking: undefined,
    tasks: [],
    lastAnswer: undefined,
    answering: undefined,
    following: undefined,
    initialContact: false,
    fragments: new Map(),
    goneEarly: new Set(),
    children: new Map(),
    heardAt: host.now,
    sentAt: host.now,
    timers: new Map(),
  };
}

/** Has `timer` go off `ms` from now, whenever it was due before. */
export function startTimer(session: Session, timer: Timer, ms: number): void {
  session.timers.set(timer, later(session.host.now, ms));
  session.host.touch(session);
}

export function spiIOf(session: Session): IkeSpi {
  return session.role === 'initiator' ? session.spi : session.peerSpi;
}

export function spiROf(session: Session): IkeSpi {
  return session.role === 'initiator' ? session.peerSpi : session.spi;
}

export function secretsOf(session: Session): Secrets | undefined {
  return session.phase.phase === 'initSent' ? undefined : session.phase.secrets;
}

/** One step in words, for `oe why`. */
export function tell(session: Session, text: string): void {
  session.host.emit({ kind: 'story', peer: session.remote.address, at: session.host.now, text });
}
