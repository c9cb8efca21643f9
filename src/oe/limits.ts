import { limitDefaults, type Limits } from '../dns/limits.ts';

/** A limit as `[dns.limits]` has it. */
export interface LimitSetting {
  readonly usual: number;
  /** With less, honest names would not resolve. */
  readonly least: number;
  /** With more, it would be no defence any longer. */
  readonly most: number;
}

const { validation, recursion } = limitDefaults;

/** The limits that may be set, by their keys. */
export const limitSettings = {
  'open-lookups': { usual: limitDefaults.openLookups, least: 10, most: 4000 },
  seconds: { usual: limitDefaults.seconds, least: 1, most: 10 },
  questions: { usual: limitDefaults.questions, least: 20, most: 200 },
  aliases: { usual: limitDefaults.aliases, least: 1, most: 16 },
  signatures: { usual: validation.signatures, least: 16, most: 256 },
  'wrong-signatures': { usual: validation.wrongSignatures, least: 4, most: 64 },
  'nsec3-hashes': { usual: validation.hashes, least: 8, most: 128 },
  'nsec3-iterations': { usual: validation.iterations, least: 0, most: 150 },
  'server-questions': { usual: recursion.questions, least: 20, most: 400 },
  'server-questions-per-name': { usual: recursion.questionsPerName, least: 8, most: 64 },
  'name-servers': { usual: recursion.targets, least: 4, most: 128 },
  'missing-name-servers': { usual: recursion.missingTargets, least: 1, most: 16 },
  'name-servers-per-zone': { usual: recursion.serversPerDelegation, least: 2, most: 26 },
  'addresses-per-name-server': { usual: recursion.addressesPerServer, least: 1, most: 8 },
  'name-server-depth': { usual: recursion.depth, least: 1, most: 8 },
} as const satisfies Record<string, LimitSetting>;

export type LimitKey = keyof typeof limitSettings;

/** The usual limits, with those that are `given` in their place. */
export function limitsOf(given: Readonly<Partial<Record<LimitKey, number | undefined>>>): Limits {
  const of = (key: LimitKey): number => given[key] ?? limitSettings[key].usual;
  return {
    openLookups: of('open-lookups'),
    seconds: of('seconds'),
    questions: of('questions'),
    aliases: of('aliases'),
    validation: {
      signatures: of('signatures'),
      wrongSignatures: of('wrong-signatures'),
      hashes: of('nsec3-hashes'),
      iterations: of('nsec3-iterations'),
    },
    recursion: {
      ...recursion,
      questions: of('server-questions'),
      questionsPerName: of('server-questions-per-name'),
      targets: of('name-servers'),
      missingTargets: of('missing-name-servers'),
      serversPerDelegation: of('name-servers-per-zone'),
      addressesPerServer: of('addresses-per-name-server'),
      depth: of('name-server-depth'),
    },
  };
}
