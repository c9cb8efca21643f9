import type { Endpoint } from '../net/address.ts';
import type { Random } from '../random.ts';
import type { Deadline, Instant, WallSeconds } from '../time.ts';
import type { TrustAnchor } from './anchors.ts';
import type { Verdict } from './dnssec/verdict.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import type { RRset } from './rrset.ts';

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
}

export type ResolverInput =
  | { readonly kind: 'lookup'; readonly id: number; readonly question: Question; readonly checkingDisabled: boolean }
  /** Nobody waits for it any longer; no `resolved` follows. What is on its way still fills the cache. */
  | { readonly kind: 'cancel'; readonly id: number }
  /** What came back for `ask`, as it came. A datagram that does not fit the question is ignored. */
  | { readonly kind: 'reply'; readonly ask: number; readonly octets: Uint8Array }
  | { readonly kind: 'failed'; readonly ask: number; readonly why: string }
  | { readonly kind: 'tick' };

export type ResolverEffect =
  /** Send it from a fresh random port (UDP) or over a connection; replies come back under the same number. */
  | {
      readonly kind: 'ask';
      readonly ask: number;
      readonly upstream: Endpoint;
      readonly transport: 'udp' | 'tcp';
      readonly octets: Uint8Array;
    }
  /** No reply to `ask` is wanted any longer: its socket can go. */
  | { readonly kind: 'release'; readonly ask: number }
  /** The answer to the lookup is here, *not validated*; comes at most once, before `resolved`. */
  | { readonly kind: 'arrived'; readonly id: number; readonly answer: readonly RRset[] }
  | { readonly kind: 'resolved'; readonly id: number; readonly resolution: Resolution };

export interface ResolverOptions {
  readonly upstreams: readonly Endpoint[];
  readonly anchors: readonly TrustAnchor[];
  readonly random: Random;
}

export declare class Resolver {
  constructor(options: ResolverOptions);
  handle(input: ResolverInput, now: Instant, wall: WallSeconds): readonly ResolverEffect[];
  get deadline(): Deadline | undefined;
  /** The answer from the cache, at no cost, or undefined. */
  cached(question: Question, checkingDisabled: boolean, now: Instant, wall: WallSeconds): Resolution | undefined;
  /** The name lies in a zone that is known (from the cache) not to be signed. */
  knownInsecure(name: NameKey, now: Instant, wall: WallSeconds): boolean;
  /** Counters for status and metrics. */
  get stats(): Readonly<Record<string, number>>;
}
