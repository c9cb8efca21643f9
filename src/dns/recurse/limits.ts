/** What iteration may cost. Where nothing else is said, a limit holds for one lookup, with all that is asked on its behalf. */
export interface RecursionLimits {
  /** Questions sent to servers for one name: the question itself, or the address of one name server. */
  readonly questionsPerName: number;
  /** Questions sent in all, those for the addresses of name servers included. Never reset on the way. */
  readonly questions: number;
  /** Name servers whose addresses are looked up (NXNS, CVE-2020-12662). */
  readonly targets: number;
  /** Of these, how many may turn out to have no address. */
  readonly missingTargets: number;
  /** Name servers of one delegation that are looked at: those with glue first, the others by chance. */
  readonly serversPerDelegation: number;
  /** Addresses of one name server that are taken, of each family. */
  readonly addressesPerServer: number;
  /** How often a name server's address may hang on the address of another. */
  readonly depth: number;
  /** Name servers looked up at once where no address is known, by depth. */
  readonly targetsAtOnce: readonly number[];
}

export const recursionDefaults: RecursionLimits = {
  questionsPerName: 32,
  questions: 200,
  targets: 64,
  missingTargets: 5,
  serversPerDelegation: 13,
  addressesPerServer: 4,
  depth: 5,
  targetsAtOnce: [3, 2, 1, 1, 1],
};

/** What is left to one lookup; shared by all that is asked on its behalf, and never filled up again. */
export class Quota {
  readonly #limits: RecursionLimits;
  #questions = 0;
  #targets = 0;
  #missing = 0;

  constructor(limits: RecursionLimits) {
    this.#limits = limits;
  }

  /** What is used up, as a clause; undefined: one more question may be sent. */
  takeQuestion(): string | undefined {
    if (this.#questions >= this.#limits.questions) {
      return `it would take more than ${this.#limits.questions} questions to servers`;
    }
    this.#questions++;
    return undefined;
  }

  /** What is used up, as a clause; undefined: one more name server may be looked up. */
  takeTarget(): string | undefined {
    if (this.#targets >= this.#limits.targets) {
      return `it would take the addresses of more than ${this.#limits.targets} name servers`;
    }
    if (this.#missing >= this.#limits.missingTargets) {
      return `${this.#missing} name servers have no address`;
    }
    this.#targets++;
    return undefined;
  }

  /** A name server that was looked up has no address. */
  missedTarget(): void {
    this.#missing++;
  }
}
