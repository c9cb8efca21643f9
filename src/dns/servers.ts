import { formatEndpoint } from '../net/address.ts';
import type { Random } from '../random.ts';
import { later, type Instant } from '../time.ts';
import type { Server } from './finder.ts';

/** What is known of a server, learned from how it answers. UDP and TCP at one endpoint are one server. */
export interface ServerState {
  /** Smoothed round trip and its deviation, ms (RFC 6298 §2); undefined before the first reply. */
  rttMs: number | undefined;
  deviationMs: number;
  /** Questions in a row that went unanswered. */
  silences: number;
  /** Our cookie for this server alone (RFC 9018 §3), and until when it serves. */
  clientCookie: Uint8Array;
  renewCookieAt: Instant;
  /** The last one that it gave us (RFC 7873 §5.3). */
  serverCookie: Uint8Array | undefined;
  /** Replies without a cookie after it had given one, that turned out to be true. */
  cookieLapses: number;
  /** It gives the question back in the case of letters in which it came. */
  keepsCase: boolean;
  /** It answers over TCP, as far as is known. */
  takesTcp: boolean;
  /** When the last two are to be found out anew. */
  caseAgainAt: Instant;
}

/** Servers that are remembered: those asked last. */
const maxServers = 4096;
/** How long one client cookie serves at most, ms; RFC 7873 §7.1 has 26 hours for a secret. */
const cookieMs = 3_600_000;
/** Octets of a client cookie (RFC 7873 §4). */
export const clientCookieOctets = 8;
/** Replies without a cookie, each found true over TCP, after which no cookie is expected any longer. */
const maxCookieLapses = 3;
/** How long a server that changes the case of letters is asked without it, ms: it may be another one by then. */
const caseLapseMs = 3_600_000;

/** Milliseconds to wait for the reply of a server that is not known yet, and the bounds of what is learned. */
const [firstWaitMs, shortestWaitMs, longestWaitMs] = [400, 150, 1500];
/** Milliseconds to wait over a connection, which may have to be made first. */
const connectedWaitMs = 3000;

/** What is known of the servers that were asked; of the {@link maxServers} asked last. */
export class Servers {
  readonly #all = new Map<string, ServerState>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  get size(): number {
    return this.#all.size;
  }

  /** What is known of `server`, from now on among those asked last. */
  of(server: Server, now: Instant): ServerState {
    const key = serverKey(server);
    let state = this.#all.get(key);
    if (state) {
      this.#all.delete(key);
      if (!state.keepsCase && now >= state.caseAgainAt) state.keepsCase = state.takesTcp = true;
    } else {
      state = {
        rttMs: undefined,
        deviationMs: 0,
        silences: 0,
        clientCookie: new Uint8Array(),
        renewCookieAt: now,
        serverCookie: undefined,
        cookieLapses: 0,
        keepsCase: true,
        takesTcp: true,
        caseAgainAt: now,
      };
    }
    this.#all.set(key, state);
    for (const oldest of this.#all.keys()) {
      if (this.#all.size <= maxServers) break;
      this.#all.delete(oldest);
    }
    return state;
  }

  /** As {@link of}, but only where it was asked before. */
  find(server: Server): ServerState | undefined {
    return this.#all.get(serverKey(server));
  }

  /** The octets of our COOKIE option: our cookie, and the server's where it gave one (RFC 7873 §4). */
  cookieFor(state: ServerState, now: Instant): Uint8Array {
    if (now >= state.renewCookieAt) {
      state.clientCookie = this.#random.octets(clientCookieOctets);
      state.renewCookieAt = later(now, cookieMs);
      state.serverCookie = undefined;
    }
    const { clientCookie, serverCookie } = state;
    const option = new Uint8Array(clientCookie.length + (serverCookie?.length ?? 0));
    option.set(clientCookie);
    if (serverCookie) option.set(serverCookie, clientCookie.length);
    return option;
  }

  /** This host's addresses are others: a cookie must not tell that it is the same host (RFC 9018 §3). */
  forgetCookies(): void {
    for (const state of this.#all.values()) {
      state.renewCookieAt = 0 as Instant;
      state.serverCookie = undefined;
    }
  }
}

/** A reply came `tookMs` after the only question that it can belong to (RFC 6298 §2.3). */
export function learnRoundTrip(state: ServerState, tookMs: number): void {
  state.silences = 0;
  if (state.rttMs === undefined) {
    state.rttMs = tookMs;
    state.deviationMs = tookMs / 2;
    return;
  }
  state.deviationMs += (Math.abs(tookMs - state.rttMs) - state.deviationMs) / 4;
  state.rttMs += (tookMs - state.rttMs) / 8;
}

/** A reply without a cookie from a server that had given one came over TCP as well: it is true. */
export function learnCookieLapse(state: ServerState): void {
  state.cookieLapses++;
  if (state.cookieLapses >= maxCookieLapses) state.serverCookie = undefined;
}

/** The question came back in other letters, and not from a forger. */
export function learnCaseLapse(state: ServerState, now: Instant): void {
  state.keepsCase = false;
  state.caseAgainAt = later(now, caseLapseMs);
}

/** Whether a reply without a cookie would be a surprise. */
export function expectsCookie(state: ServerState): boolean {
  return state.serverCookie !== undefined && state.cookieLapses < maxCookieLapses;
}

/**
 * Milliseconds to wait for a reply over UDP. A resolver may have to recurse: it gets time beyond its round trip.
 * An authoritative server that stays silent gets more each time (RFC 6298 §5.5).
 */
export function waitMs(state: ServerState | undefined, toResolver: boolean): number {
  const learned =
    state?.rttMs === undefined
      ? firstWaitMs
      : (toResolver ? 2 * state.rttMs + 100 : state.rttMs + 50) + 4 * state.deviationMs;
  const backoff = toResolver ? 1 : 2 ** Math.min(3, state?.silences ?? 0);
  return Math.min(longestWaitMs, Math.max(shortestWaitMs, learned) * backoff);
}

/** Milliseconds to wait for a reply over `server`'s transport. */
export function waitOverMs(server: Server, state: ServerState | undefined, toResolver: boolean): number {
  const { transport } = server;
  if (transport === 'udp') return waitMs(state, toResolver);
  // What is known of TCP is known of UDP. A connection that stands answers at once, one that went has to be made anew.
  if (transport === 'tcp' || state?.rttMs === undefined) return connectedWaitMs;
  return Math.min(connectedWaitMs, 500 + 3 * state.rttMs + 4 * state.deviationMs);
}

/** Equal for servers that are one to us: UDP and TCP of one endpoint, or one name over TLS or HTTPS. */
export function serverKey(server: Server): string {
  const at = formatEndpoint(server.endpoint);
  if (server.transport === 'udp' || server.transport === 'tcp') return at;
  return `${server.transport} ${at} ${server.authName ?? ''} ${server.path ?? ''}`;
}

/** For sentences: `192.0.2.53:53`, `192.0.2.53:853 over TLS`. */
export function serverText(server: Server): string {
  const at = formatEndpoint(server.endpoint);
  switch (server.transport) {
    case 'udp':
      return at;
    case 'tcp':
      return `${at} over TCP`;
    case 'tls':
      return `${at} over TLS`;
    case 'https':
      return `${at} over HTTPS`;
    default:
      return server.transport satisfies never;
  }
}
