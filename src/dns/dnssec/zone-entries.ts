import { later, type Instant } from '../../time.ts';
import type { Question } from '../message.ts';
import { nameText, type NameKey } from '../name.ts';
import { Ede, typeName } from '../types.ts';
import type { Reply } from './chain.ts';
import type { Bogus, Indeterminate, Insecure, ZoneEntry, ZoneState } from './zones.ts';

/** Seconds that a zone is kept at most, and at least: less could end within the lookup that wants it. */
export const [longestSeconds, shortestSeconds] = [86_400, 10];
/** Seconds for which a broken chain is remembered (RFC 9520 §3.2). */
const brokenSeconds = 5;

/** What is kept of a name for `ttl` seconds, within what is reasonable. */
export function entryOf(
  now: Instant,
  name: NameKey,
  state: ZoneState,
  ttl: number,
  validUntil: number,
  sentence?: string,
): ZoneEntry {
  const broken = state.status === 'bogus' || state.status === 'indeterminate';
  const seconds = broken ? ttl : Math.min(longestSeconds, Math.max(shortestSeconds, ttl));
  return {
    name,
    state,
    sentence: sentence ?? sentenceOf(name, state),
    since: now,
    until: later(now, Math.max(brokenSeconds, seconds) * 1000),
    validUntil,
  };
}

/** A zone that could not be proved, or was proved to be unsigned on the way there. */
export function broken(
  now: Instant,
  name: NameKey,
  state: Insecure | Bogus | Indeterminate,
  question: Question,
  ttl: number,
): ZoneEntry {
  if (state.status === 'insecure') return entryOf(now, name, state, ttl, Infinity);
  if (state.status === 'indeterminate') return entryOf(now, name, state, brokenSeconds, Infinity);
  return entryOf(now, name, { ...state, culprits: [...state.culprits, question] }, brokenSeconds, Infinity);
}

/** A question that the chain depends on was not answered. */
export function failed(
  now: Instant,
  name: NameKey,
  question: Question,
  reply: Extract<Reply, { readonly kind: 'failure' }>,
): ZoneEntry {
  const why = `${typeName(question.type)} of ${nameText(name)}: ${reply.why}`;
  return entryOf(
    now,
    name,
    { status: 'indeterminate', ede: reply.ede, why, unanchored: false },
    brokenSeconds,
    Infinity,
  );
}

/** Seconds for which `entry` is kept still. */
export function secondsLeft(now: Instant, entry: ZoneEntry): number {
  return (entry.until - now) / 1000;
}

/** Nothing is trusted above `name`. */
export function unanchored(name: NameKey): Indeterminate {
  const why = `no trust anchor is above ${nameText(name)}`;
  return { status: 'indeterminate', ede: Ede.DNSSEC_INDETERMINATE, why, unanchored: true };
}

/** Something is wrong; `culprits`: questions whose answers are to blame. */
export function bogus(ede: number, why: string, culprits: readonly Question[]): Bogus {
  return { status: 'bogus', ede, why, culprits };
}

/** None of what the parent, or we, know of the keys of a zone can be checked. */
export function unsupported(name: NameKey, code: number, what: string): Insecure {
  const kind = code === Ede.UNSUPPORTED_DNSKEY_ALGORITHM ? 'algorithm' : 'digest';
  return {
    status: 'insecure',
    from: nameText(name),
    ede: { code, text: `no ${what} of ${nameText(name)} has a supported ${kind}` },
  };
}

function sentenceOf(name: NameKey, state: ZoneState): string {
  const owner = nameText(name);
  switch (state.status) {
    case 'secure':
      return `${owner}: secure`;
    case 'insecure':
      return `${owner}: ${state.ede?.text ?? `below ${state.from}, which is not signed`} (insecure)`;
    case 'notCut':
      return `${owner}: no zone of its own`;
    case 'bogus':
      return `${owner}: ${state.why} (bogus)`;
    case 'indeterminate':
      return `${owner}: ${state.why} (indeterminate)`;
    default:
      return state satisfies never;
  }
}
