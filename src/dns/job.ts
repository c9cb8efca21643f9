import { later, type Instant } from '../time.ts';
import { maybeStale } from './cache/cache.ts';
import { Budget } from './dnssec/budget.ts';
import type { Answered } from './dnssec/chain.ts';
import type { Link } from './dnssec/validate.ts';
import type { ZonesWithout } from './dnssec/zones.ts';
import type { Exchange, Origin } from './finder.ts';
import type { Limits } from './limits.ts';
import type { Step } from './links.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import type { ResolverEffect } from './resolver.ts';
import type { RRset } from './rrset.ts';

/** Milliseconds after which those who wait get an answer whose time is over, where there is one (RFC 8767 §5). */
export const patienceMs = 1800;

/** One who waits for a job. */
export interface Waiter {
  readonly id: number;
  readonly checkingDisabled: boolean;
  readonly at: Instant;
  arrived: boolean;
}

/** A step on the way to the answer: as it was found, and judged once its chain of trust is known. */
export interface Item {
  readonly found: { readonly step: Step; readonly reply: Answered } | undefined;
  link: Link | undefined;
  readonly cached: boolean;
}

/** The work for one question, shared by all who ask it at the same time. */
export interface Job {
  readonly key: string;
  readonly question: Question;
  readonly startedAt: Instant;
  readonly giveUpAt: Instant;
  readonly waiters: Map<number, Waiter>;
  readonly budget: Budget;
  /** All that was asked for it, by key. */
  readonly exchanges: Map<string, Exchange>;
  items: Item[];
  /** Names passed through, against loops. */
  passed: Set<NameKey>;
  /** Where the way stands; undefined at its end. */
  at: NameKey | undefined;
  /** Whose data turned out bogus: the others are asked once more. */
  avoided: Origin | undefined;
  retried: boolean;
  /** When those who wait are given what there is; undefined where nothing can be, or they were. */
  staleAt: Instant | undefined;
  /** It was begun for what lapses soon: what the cache has of it does not count. */
  readonly isRefresh: boolean;
  /** It is the proof of the zone's keys that is wanted; nothing is looked up. */
  readonly proving: ZonesWithout | undefined;
  /** It is judged as if there were no negative trust anchors, and nothing of it is kept. */
  readonly isTrial: boolean;
  /** Replies of an earlier run were of use. */
  usesSaved: boolean;
  /** They turned out wrong, and are not looked at any longer. */
  ignoresSaved: boolean;
}

/** The work for a question, before anything is done. */
export function newJob(
  question: Question,
  now: Instant,
  limits: Limits,
  { key = keyOf(question), isRefresh = false, proving, isTrial = false }: JobPurpose = {},
): Job {
  return {
    key,
    question,
    startedAt: now,
    giveUpAt: later(now, limits.seconds * 1000),
    waiters: new Map(),
    budget: new Budget(limits.validation),
    exchanges: new Map(),
    items: [],
    passed: new Set(),
    at: proving ? undefined : question.name,
    avoided: undefined,
    retried: false,
    staleAt: maybeStale(question.type) && !isRefresh ? later(now, patienceMs) : undefined,
    isRefresh,
    proving,
    isTrial,
    usesSaved: false,
    ignoresSaved: false,
  };
}

/** What a job is for, where it is not somebody's lookup. */
interface JobPurpose {
  readonly key?: string;
  readonly isRefresh?: boolean;
  readonly proving?: ZonesWithout | undefined;
  readonly isTrial?: boolean;
}

/** Equal questions have equal keys. */
export function keyOf(question: Question): string {
  return `${question.type} ${question.name}`;
}

/** Tells those who wait what has arrived, once each. */
export function tellArrived(job: Job, effects: ResolverEffect[]): void {
  const waiters = [...job.waiters.values()].filter((w) => !w.arrived);
  if (waiters.length === 0) return;
  const answer = job.items.flatMap(({ found, link }) => link?.sets ?? (found ? setsOf(found.step) : []));
  if (answer.length === 0) return;
  for (const waiter of waiters) {
    waiter.arrived = true;
    effects.push({ kind: 'arrived', id: waiter.id, answer });
  }
}

/** The RRsets of a step, as they came. */
export function setsOf(step: Step): readonly RRset[] {
  switch (step.kind) {
    case 'data':
      return step.sets;
    case 'alias':
      return step.synthesized ? [step.set, step.synthesized] : [step.set];
    case 'tooLong':
      return [step.set];
    case 'negative':
      return [];
    default:
      return step satisfies never;
  }
}
