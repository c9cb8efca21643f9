import { ancestorOf, labelCount, type NameKey } from '../name.ts';

/** `relaxed`: where a shortened name leads nowhere, the whole name is asked (RFC 9156 §2.3 leaves that open). */
export type QnameMinimisation = 'relaxed' | 'strict' | 'off';

/** Questions with shortened names on the way to one name, and how many of them add one label (RFC 9156 §2.3). */
const [maxMinimiseCount, minimiseOneLabel] = [10, 4];

/** An underscore begins names of services, at which there is no zone cut as a rule (RFC 8552). */
const underscore = '_';

/**
 * The name to ask after `known`, an ancestor of `name` below which nothing is known yet: one label more or several, so
 * that no more than ten questions come before the whole name (RFC 9156 §2.3). `asked`: how many there were.
 */
export function nextName(name: NameKey, known: NameKey, asked: number): NameKey {
  const have = labelCount(known);
  const missing = labelCount(name) - have;
  const left = maxMinimiseCount - asked;
  if (missing <= 1 || left <= 0) return name;
  const add = asked < minimiseOneLabel ? 1 : Math.max(1, Math.floor(missing / left));
  const next = ancestorOf(name, have + add);
  return next.charAt(1) === underscore ? name : next;
}
