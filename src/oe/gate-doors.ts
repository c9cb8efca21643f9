import type { LocalAnswer } from '../dns/local-names.ts';
import type { Question } from '../dns/message.ts';
import type { NameKey } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import type { Keep } from '../dns/wire-cache.ts';
import type { IpAddress } from '../net/address.ts';
import type { Outcome } from './lookup.ts';
import type { Policy } from './policy.ts';

/** What the gate asks of the agent. Nothing of it calls back before it returns. */
export interface GateDoors {
  lookup(question: Question, checkingDisabled: boolean): number;
  cancel(id: number): void;
  /** What this host answers by itself, without a resolver. */
  local(question: Question): LocalAnswer | undefined;
  cached(question: Question, checkingDisabled: boolean): Resolution | undefined;
  /** The name lies in a zone that is known not to be signed. */
  knownInsecure(name: NameKey): boolean;
  /**
   * Has the kernel drop everything between us and the address; `Peer.block` says when it stands. `seconds`: for so long
   * a client may use the address that is told now. Said again, it holds for longer.
   */
  block(address: IpAddress, seconds: number): void;
  /** Ends the SAs with the address that the rules do not allow. */
  replace(address: IpAddress): void;
  /** With `keep` the same answer may be given again without the gate. */
  release(waiter: number, outcome: Outcome, keep: Keep | undefined): void;
  warn(event: string, fields: Readonly<Record<string, string>>): void;
}

/** `policy` and the budgets may be others the next time that they are read. */
export interface GateOptions {
  readonly policy: Policy;
  readonly budgetMs: number;
  readonly privateBudgetMs: number;
  /** Why an address is never protected, or undefined. */
  readonly exempt: (address: IpAddress) => string | undefined;
  /** A resolver that is asked in the clear; absent: none is. */
  readonly isResolver?: (address: IpAddress) => boolean;
  /** Why this host cannot protect traffic of the address's family, as a clause, or undefined. */
  readonly unavailable: (address: IpAddress) => string | undefined;
}
