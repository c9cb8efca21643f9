import type { Endpoint } from '../net/address.ts';
import type { Deadline, Instant } from '../time.ts';
import type { Reply } from './dnssec/chain.ts';
import type { Message, Question } from './message.ts';

/** How octets reach a server: TCP is what UDP falls back to, TLS is RFC 7858, HTTPS is RFC 8484. */
export type Transport = 'udp' | 'tcp' | 'tls' | 'https';

/** A DNS server and how it is reached. */
export interface Server {
  readonly endpoint: Endpoint;
  readonly transport: Transport;
  /** The name that its certificate must bear; undefined: encryption without a proof of who it is (RFC 7858 §4.1). */
  readonly authName?: string;
  /** Of `https`: the path of its URI template, `/dns-query` for most. */
  readonly path?: string;
}

/** What has to be done for a question that is on its way: the same as the resolver's effects of these kinds. */
export type FinderEffect =
  /** Send it from a fresh random port (UDP) or over a connection; replies come back under the same number. */
  | { readonly kind: 'ask'; readonly ask: number; readonly server: Server; readonly octets: Uint8Array }
  /**
   * No reply to `ask` is wanted any longer: its socket can go. `keepMs`: how long the server lets its connection stand
   * idle, where it said so (RFC 7828 §3.2.2).
   */
  | { readonly kind: 'release'; readonly ask: number; readonly keepMs?: number };

/** Where effects go, in order: an array of these or of a wider kind. */
export interface EffectSink {
  push(effect: FinderEffect): unknown;
}

/** Who gave a reply: compared by identity, so that somebody else can be asked when it turns out bogus. */
export interface Origin {
  /** For sentences: `192.0.2.53` or `192.0.2.53 over TLS`. */
  readonly text: string;
}

/** One question on its way, until a reply is there or all has been tried. */
export interface Exchange {
  readonly question: Question;
  /** Set once; nothing is on its way any longer then. */
  reply: Reply | undefined;
  /** Who gave the reply. */
  from: Origin | undefined;
  /** Short sentences of what was asked of whom and what came of it, for `oe dig`; the first few dozen. */
  readonly trace?: readonly string[];
}

/** One question to one server: made by {@link Asks}, and known by its identity to the finder that asked. */
export interface Asked {
  readonly question: Question;
  readonly server: Server;
  /** How it is on its way now: over TCP after truncation, for example. */
  readonly transport: Transport;
  /** Who wants the outcome. */
  readonly finder: Finder;
}

/** What became of an {@link Asked}. */
export type Outcome =
  /** It fits the question: id, name, type, class, and the letter case where that was checked. Never truncated. */
  | { readonly kind: 'reply'; readonly message: Message; readonly tookMs: number }
  /** Nothing came in time. */
  | { readonly kind: 'silent' }
  /** It could not be asked: no route, connection refused; `why` is a clause that names the server. */
  | { readonly kind: 'failed'; readonly why: string };

/** One way of finding out what the DNS says: by asking other resolvers, or by iterating from the root. */
export interface Finder {
  /**
   * Asks `question`. After bogus data from `avoided` it asks somebody else where there is anybody. The reply may be
   * there at once (a failure, say). What it costs is on `payer`, one for all that is asked for one lookup: its limits
   * are not filled up again by a second question or a second try.
   */
  start(
    question: Question,
    avoided: Origin | undefined,
    now: Instant,
    effects: EffectSink,
    payer?: object,
  ): Exchange;
  /** What became of something that this finder asked; the exchanges that have their reply now. */
  heard(asked: Asked, outcome: Outcome, now: Instant, effects: EffectSink): readonly Exchange[];
  /** Whether somebody else than the one who replied could be asked. */
  hasOther(exchange: Exchange, now: Instant): boolean;
  /** Gives the exchange up: no reply is wanted. */
  abandon(exchange: Exchange, effects: EffectSink): void;
  /** Does what is due; the exchanges that have their reply now. */
  tick(now: Instant, effects: EffectSink): readonly Exchange[];
  readonly deadline: Deadline | undefined;
  readonly stats: Readonly<Record<string, number>>;
}

/** What a finder asks one server. */
export interface AskRequest {
  readonly question: Question;
  readonly server: Server;
  /** RD and CD: set towards resolvers, clear towards authoritative servers. */
  readonly toResolver: boolean;
  readonly finder: Finder;
  /** Without EDNS, as after FORMERR (RFC 6891 §7): then there is no DNSSEC either. */
  readonly plain?: boolean;
  /** Milliseconds after which the outcome is `silent`; absent: as the server's round trip suggests. */
  readonly patienceMs?: number;
}

/** The part of `asks.ts` that finders use. */
export interface AskDoor {
  /** One transaction: an id of its own, 0x20, cookies, TCP after truncation. Its outcome comes through `finder.heard`. */
  ask(request: AskRequest, now: Instant, effects: EffectSink): Asked;
  /** No outcome is wanted. */
  cancel(asked: Asked, effects: EffectSink): void;
  /** Smoothed round trip of a server in ms, or undefined where it has not been asked. */
  roundTripMs(server: Server): number | undefined;
  /** Milliseconds after which a reply of the server is late. */
  waitMs(server: Server, toResolver: boolean): number;
  /** Outcomes `silent` in a row. */
  silences(server: Server): number;
}
