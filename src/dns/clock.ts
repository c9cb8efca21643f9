import type { Instant, WallSeconds } from '../time.ts';
import type { Validity } from './anchors/sighting.ts';

/** What is wrong with the wall clock. */
export interface ClockFault {
  /** `the clock of this host is slow by about 3 years`. */
  readonly why: string;
}

/** A clock may differ by this much from the one that signed or saved, seconds. */
const tolerance = 3_600;
/** So long a clock that was proved right is taken for right, as long as it does not jump, ms. */
const provedMs = 86_400_000;

/**
 * Whether the wall clock can be right. It is not where it stands before a time that certainly has been: that of this
 * program, or of the state it saved. And it is taken for wrong where the signatures of a trust point, right otherwise,
 * are all of another time. An old answer that somebody repeats looks the same, so such evidence does not count against
 * a clock that was proved right and has not jumped since. As soon as the clock stands within the signatures' time it is
 * right again, without anything being asked.
 */
export class Clock {
  readonly #earliest: WallSeconds | undefined;
  #untimely: readonly Validity[] = [];
  #proved: { readonly now: Instant; readonly wall: WallSeconds } | undefined;

  /** `earliest`: a time that has been. */
  constructor(earliest: WallSeconds | undefined) {
    this.#earliest = earliest;
  }

  /** Keys of a trust point came with a good signature that is in force. */
  right(now: Instant, wall: WallSeconds): void {
    this.#untimely = [];
    this.#proved = { now, wall };
  }

  /** The same, but all good signatures are of another time. */
  doubtful(untimely: readonly Validity[], now: Instant, wall: WallSeconds): void {
    const proved = this.#proved;
    const isProved =
      proved !== undefined &&
      now - proved.now < provedMs &&
      Math.abs(wall - proved.wall - (now - proved.now) / 1000) < tolerance;
    if (!isProved) this.#untimely = untimely;
  }

  /** Undefined as long as nothing speaks against the clock. */
  fault(wall: WallSeconds): ClockFault | undefined {
    if (this.#earliest !== undefined && wall < this.#earliest - tolerance) return slow(this.#earliest - wall);
    if (this.#untimely.length === 0) return undefined;
    const offs = this.#untimely.map(({ inception, expiration }) =>
      wall < inception ? inception - wall : Math.min(0, expiration - wall),
    );
    const off = offs.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a));
    if (off === 0) return undefined;
    return off > 0 ? slow(off) : { why: `the clock of this host is fast by about ${spanText(-off)}` };
  }
}

function slow(seconds: number): ClockFault {
  return { why: `the clock of this host is slow by about ${spanText(seconds)}` };
}

/** `3 years`, `2 days`, `1 hour`. */
function spanText(seconds: number): string {
  for (const [unit, length] of [
    ['year', 31_556_952],
    ['day', 86_400],
    ['hour', 3_600],
  ] as const) {
    const count = Math.round(seconds / length);
    if (count >= 1) return `${count} ${unit}${count === 1 ? '' : 's'}`;
  }
  return 'less than an hour';
}
