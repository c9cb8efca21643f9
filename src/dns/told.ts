import type { WallSeconds } from '../time.ts';
import type { Trust } from './anchors/trust.ts';
import type { Link } from './dnssec/validate.ts';
import type { Question } from './message.ts';
import { resolutionOf, type Resolution } from './resolution.ts';
import { Ede, Rcode } from './types.ts';

/**
 * What is told of the links of an answer: what they are worth, unless the clock is wrong. Then nothing is known to be
 * secure, nor to be insecure, and no answer is given; only time services are let through, which can set the clock right.
 */
export function toldOf(
  trust: Trust,
  question: Question,
  links: readonly Link[],
  { checkingDisabled, fromCache, tookMs }: TellHow,
  wall: WallSeconds,
): Resolution {
  const fault = trust.clockFault(wall);
  if (fault === undefined) {
    const resolution = resolutionOf(links, checkingDisabled, fromCache, tookMs);
    const isRefused =
      resolution.verdict.status === 'secure' && !checkingDisabled && trust.sentinelRefuses(question);
    return isRefused
      ? withheld(resolution, Ede.OTHER, 'the root keys that are trusted here are not as the name asks')
      : resolution;
  }
  const all = resolutionOf(links, true, fromCache, tookMs);
  if (trust.isTimeServer(question.name))
    return { ...all, verdict: { status: 'insecure', data: all.answer, from: 'the time service' } };
  const told = withheld(all, Ede.DNSSEC_INDETERMINATE, fault);
  return checkingDisabled ? { ...all, verdict: told.verdict, ede: told.ede } : told;
}

export interface TellHow {
  readonly checkingDisabled: boolean;
  readonly fromCache: boolean;
  readonly tookMs: number;
}

/** It was found out, but is not to be told. */
function withheld(resolution: Resolution, ede: number, why: string): Resolution {
  return {
    ...resolution,
    rcode: Rcode.SERVFAIL,
    answer: [],
    authority: [],
    verdict: { status: 'indeterminate', ede, why },
    ede: { code: ede, text: why },
  };
}
