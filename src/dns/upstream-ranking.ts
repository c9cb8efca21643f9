import { formatEndpoint, type Endpoint } from '../net/address.ts';
import { later, type Instant } from '../time.ts';

/** What is known of a resolver that we forward to. */
export interface Upstream {
  readonly endpoint: Endpoint;
  readonly text: string;
  /** Smoothed round trip and its deviation, ms (RFC 6298 §2); undefined before the first reply. */
  rttMs: number | undefined;
  deviationMs: number;
  /** Questions in a row that went unanswered. */
  silences: number;
  /** Until then others go first. */
  shunnedUntil: Instant;
}

/** Milliseconds to wait for the reply of a resolver that is not known yet, and the bounds of what is learned. */
const [firstWaitMs, shortestWaitMs, longestWaitMs] = [400, 150, 1500];
/** Silences in a row after which others go first, and for how long, ms. */
const [silencesShunned, shunnedMs] = [2, 30_000];

/** The resolvers in the order in which they should be asked, learned from how they answer. */
export class UpstreamRanking {
  readonly #all: readonly Upstream[];

  constructor(endpoints: readonly Endpoint[]) {
    this.#all = endpoints.map((endpoint) => ({
      endpoint,
      text: formatEndpoint(endpoint),
      rttMs: undefined,
      deviationMs: 0,
      silences: 0,
      shunnedUntil: 0 as Instant,
    }));
  }

  /** Those that answer, in the configured order, before those that have been silent. */
  order(now: Instant): Upstream[] {
    const shunned = (u: Upstream): boolean => u.silences >= silencesShunned && now < u.shunnedUntil;
    return [...this.#all.filter((u) => !shunned(u)), ...this.#all.filter(shunned)];
  }

  /** A reply came `tookMs` after the only question that it can belong to. */
  answered(upstream: Upstream, tookMs: number): void {
    upstream.silences = 0;
    if (upstream.rttMs === undefined) {
      upstream.rttMs = tookMs;
      upstream.deviationMs = tookMs / 2;
      return;
    }
    upstream.deviationMs += (Math.abs(tookMs - upstream.rttMs) - upstream.deviationMs) / 4;
    upstream.rttMs += (tookMs - upstream.rttMs) / 8;
  }

  silent(upstream: Upstream, now: Instant): void {
    upstream.silences++;
    upstream.shunnedUntil = later(now, shunnedMs);
  }
}

/** Milliseconds to wait before a question is sent again. A resolver may have to recurse: it gets time beyond its round trip. */
export function waitMs(upstream: Upstream): number {
  if (upstream.rttMs === undefined) return firstWaitMs;
  const learned = 2 * upstream.rttMs + 4 * upstream.deviationMs + 100;
  return Math.min(longestWaitMs, Math.max(shortestWaitMs, learned));
}
