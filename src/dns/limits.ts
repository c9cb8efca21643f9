import { validationDefaults, type ValidationLimits } from './dnssec/budget.ts';
import { maxAliases } from './links.ts';
import { recursionDefaults, type RecursionLimits } from './recurse/limits.ts';

/** What lookups may cost. */
export interface Limits {
  /** Different questions on their way at once. */
  readonly openLookups: number;
  /** Seconds after which a lookup ends, whatever is still missing. */
  readonly seconds: number;
  /** What may have to be found out for one lookup, keys and aliases included: names and types. */
  readonly questions: number;
  /** CNAMEs and DNAMEs that one lookup follows. */
  readonly aliases: number;
  readonly validation: ValidationLimits;
  readonly recursion: RecursionLimits;
}

export const limitDefaults: Limits = {
  openLookups: 1000,
  seconds: 10,
  questions: 100,
  aliases: maxAliases,
  validation: validationDefaults,
  recursion: recursionDefaults,
};
