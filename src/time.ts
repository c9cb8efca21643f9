import type { Brand } from './brand.ts';

/** Monotonic time, milliseconds since an arbitrary start (may have a fraction); never wall-clock time. */
export type Instant = Brand<number, 'Instant'>;

/** Seconds since 1970 UTC, used only where a standard wants wall-clock time (RRSIG validity, RFC 4034 §3.1.5). */
export type WallSeconds = Brand<number, 'WallSeconds'>;

export function instant(milliseconds: number): Instant {
  return milliseconds as Instant;
}

export function wallSeconds(seconds: number): WallSeconds {
  return seconds as WallSeconds;
}

export function later(from: Instant, milliseconds: number): Instant {
  return (from + milliseconds) as Instant;
}

/** When a core next wants `{ kind: 'tick' }`, and for what. */
export interface Deadline {
  readonly at: Instant;
  readonly why: string;
}

/** The first of the deadlines that are set. */
export function earliest(deadlines: Iterable<Deadline | undefined>): Deadline | undefined {
  let first: Deadline | undefined;
  for (const d of deadlines) if (d !== undefined && (first === undefined || d.at < first.at)) first = d;
  return first;
}
