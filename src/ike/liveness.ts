import { later, type Instant } from '../time.ts';

/**
 * Whether a peer has lost its SA, as far as traffic tells: what goes out is usually answered, and now nothing comes
 * back. A peer that was killed and has begun anew says nothing about packets of an SA that it does not know. The rule
 * is pure: samples of counters in, what to do out. A check costs two small messages; one that the peer answers
 * (traffic that goes one way only) makes the next wait longer.
 */

/** Packets through the SAs of a pair until `at`. */
export interface Sample {
  readonly at: Instant;
  readonly packetsIn: bigint;
  readonly packetsOut: bigint;
}

/** What is known of a pair's traffic, and when it is to be sampled next. */
export interface Watch {
  readonly sample: Sample;
  readonly verdict: 'check' | 'quiet';
  readonly lookAt: Instant;
  /** Since when something goes out and nothing comes in. */
  readonly waitingSince: Instant | undefined;
  /** Something has come in, so that an answer can be expected. */
  readonly isAnswered: boolean;
  /** No check before, and how long after the next one. */
  readonly checkFrom: Instant;
  readonly pauseMs: number;
  /** Nothing has gone through for a while; the time to the next sample. */
  readonly isIdle: boolean;
  readonly idleMs: number;
}

/** The first sample of a pair. */
export function beginWatch(sample: Sample): Watch {
  return {
    sample,
    verdict: 'quiet',
    lookAt: later(sample.at, activeMs),
    waitingSince: undefined,
    isAnswered: sample.packetsIn > 0n,
    checkFrom: sample.at,
    pauseMs: firstPauseMs,
    isIdle: false,
    idleMs: activeMs,
  };
}

/** The next one. */
export function observe(before: Watch, sample: Sample): Watch {
  const { at } = sample;
  const outGrew = sample.packetsOut > before.sample.packetsOut;
  if (sample.packetsIn > before.sample.packetsIn) {
    return {
      ...before,
      sample,
      verdict: 'quiet',
      lookAt: later(at, activeMs),
      waitingSince: undefined,
      isAnswered: true,
      checkFrom: at,
      pauseMs: firstPauseMs,
      isIdle: false,
      idleMs: activeMs,
    };
  }
  const waitingSince = before.waitingSince ?? (outGrew ? at : undefined);
  if (waitingSince === undefined) {
    const idleMs = Math.min(longestIdleMs, before.idleMs * 2);
    return { ...before, sample, verdict: 'quiet', lookAt: later(at, before.idleMs), isIdle: true, idleMs };
  }
  const due = Math.max(
    later(waitingSince, before.isAnswered ? patienceMs : patienceWithStrangerMs),
    before.checkFrom,
  ) as Instant;
  if (due > at) {
    return {
      ...before,
      sample,
      verdict: 'quiet',
      lookAt: due,
      waitingSince,
      isIdle: false,
      idleMs: activeMs,
    };
  }
  return {
    ...before,
    sample,
    verdict: 'check',
    lookAt: later(at, activeMs),
    // Only what goes out from now on asks again.
    waitingSince: undefined,
    checkFrom: later(at, before.pauseMs),
    pauseMs: Math.min(longestPauseMs, before.pauseMs * 2),
    isIdle: false,
    idleMs: activeMs,
  };
}

const activeMs = 1_000;
const longestIdleMs = 4_000;
/** A look between a packet and its answer sees a packet without one: so long it has still to come. */
const patienceMs = 300;
const patienceWithStrangerMs = 2_000;
const firstPauseMs = 5_000;
const longestPauseMs = 120_000;
