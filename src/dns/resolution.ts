import { verdictOf, worst, type Link, type LinkState } from './dnssec/validate.ts';
import type { Verdict } from './dnssec/verdict.ts';
import type { Indeterminate } from './dnssec/zones.ts';
import { followsAliases } from './links.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import type { RRset } from './rrset.ts';
import { Ede, Rcode, Type, typeName } from './types.ts';

/** What became of one question. */
export interface Resolution {
  readonly rcode: number;
  /**
   * CNAMEs and DNAMEs in order, then the RRset asked for; TTLs as they are now. Empty where the verdict is bogus,
   * with rcode SERVFAIL, unless the lookup had `checkingDisabled`: then the answer is there all the same.
   */
  readonly answer: readonly RRset[];
  /** SOA and NSEC or NSEC3 of a negative answer. */
  readonly authority: readonly RRset[];
  /** `data` is `answer`. */
  readonly verdict: Verdict<readonly RRset[]>;
  /** What an Extended DNS Error should say (RFC 8914), where something is wrong. */
  readonly ede: { readonly code: number; readonly text: string } | undefined;
  readonly fromCache: boolean;
  /** From the question to the verdict, ms; of a cached one, what it took then. */
  readonly tookMs: number;
  /** How the verdict came about, one sentence per link, for `oe why`: `org: DNSKEY 23456 signed by DS 1234 (secure)`. */
  readonly chain: readonly string[];
  /** What was asked for it, for `oe dig`; absent where all came from the cache. */
  readonly asked?: readonly AskedFor[];
  /** Its time is over, and it is given because nobody answers (RFC 8767): addresses only, and never a key. */
  readonly isStale?: true;
}

/** A question on the way to an answer. */
export interface AskedFor {
  readonly question: Question;
  /** Who answered; undefined: nobody did. */
  readonly from: string | undefined;
  /** What was asked of whom, where it took several servers. */
  readonly trace: readonly string[];
}

/** Nothing follows `link` on the way to `type`. */
export function ends(link: Link, type: number): boolean {
  if (link.target === undefined || !followsAliases(type)) return true;
  return link.state.status === 'bogus' || (link.state.status === 'indeterminate' && !link.state.unanchored);
}

/** Nobody answers, so that what was known before is better than nothing. */
export function isOutage(state: LinkState): boolean {
  return (
    state.status === 'indeterminate' &&
    (state.ede === Ede.NO_REACHABLE_AUTHORITY || state.ede === Ede.NETWORK_ERROR)
  );
}

/** A step that could not be made. */
export function failure(name: NameKey, state: Indeterminate): Link {
  return {
    name,
    target: undefined,
    rcode: Rcode.SERVFAIL,
    sets: [],
    authority: [],
    state,
    ttl: 0,
    validUntil: Infinity,
    chain: [`${state.why} (indeterminate)`],
  };
}

/** The answer that a chain of links is. */
export function resolutionOf(
  links: readonly Link[],
  checkingDisabled: boolean,
  fromCache: boolean,
  tookMs: number,
): Resolution {
  const state = worst(links.map((l) => l.state));
  const withheld =
    (state.status === 'bogus' || (state.status === 'indeterminate' && !state.unanchored)) &&
    !checkingDisabled;
  const answer = withheld ? [] : links.flatMap((l) => l.sets);
  return {
    rcode: withheld ? Rcode.SERVFAIL : (links.at(-1)?.rcode ?? Rcode.SERVFAIL),
    answer,
    authority: withheld ? [] : links.flatMap((l) => l.authority),
    verdict: verdictOf(state, answer),
    ede:
      state.status === 'secure'
        ? undefined
        : state.status === 'insecure'
          ? state.ede
          : { code: state.ede, text: state.why },
    fromCache,
    tookMs,
    chain: links.length === 1 && links[0] ? links[0].chain : withoutDoubles(links),
  };
}

/** Links of one zone say the same of it. */
function withoutDoubles(links: readonly Link[]): string[] {
  return [...new Set(links.flatMap((l) => l.chain))];
}

/** Types that ask for something else than records (RFC 6895 §3.1), ANY aside. */
export function isMeta(type: number): boolean {
  return type === 0 || type === Type.OPT || (type >= 128 && type < Type.ANY);
}

/** The answer that was true some time ago; it proves nothing any longer. */
export function staleResolution(links: readonly Link[], tookMs: number): Resolution {
  const why = 'nobody answers; this is what was known last';
  return {
    rcode: Rcode.NOERROR,
    answer: links.flatMap((l) => l.sets),
    authority: [],
    verdict: { status: 'indeterminate', ede: Ede.STALE_ANSWER, why },
    ede: { code: Ede.STALE_ANSWER, text: why },
    fromCache: true,
    tookMs,
    chain: [`${why} (stale)`],
    isStale: true,
  };
}

/** The answer to what is no question for records. */
export function refusal(question: Question): Resolution {
  const why = `questions for ${typeName(question.type)} in class ${question.class} are not answered`;
  return {
    rcode: Rcode.NOTIMP,
    answer: [],
    authority: [],
    verdict: { status: 'indeterminate', ede: Ede.NOT_SUPPORTED, why },
    ede: { code: Ede.NOT_SUPPORTED, text: why },
    fromCache: false,
    tookMs: 0,
    chain: [],
  };
}
