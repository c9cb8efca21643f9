import type { ChildSa } from '../ike/child.ts';
import type { PrivateGroup } from '../ike/private-group.ts';
import type { KernelSnapshot } from '../kernel/port.ts';
import type { IpAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { Rules } from './agent-types.ts';
import { Blocks } from './blocks.ts';
import type { Moment } from './peer.ts';
import type { Peers } from './peers.ts';
import { prefixesOf } from './policy.ts';
import { judgeAnew, type ChangeContext, type PolicyChange } from './policy-change.ts';
import { blocksIn } from './standing-rules.ts';

/** What {@link RuleKeeper} asks of the agent. */
export interface RuleDoors {
  readonly peers: Peers;
  /** Has the kernel take the rules as they are; for `addresses` its word is waited for. */
  apply(addresses: readonly IpAddress[], changed?: Changed): void;
  /** What was told before may not be told again without the gate. */
  forget(): void;
  /** As many hosts are blocked as may be. */
  full(address: IpAddress): void;
  /** `whole`: with everything that was agreed with the peer. */
  end(child: ChildSa, why: string, whole: boolean): void;
}

/** Other rules, whose effect the kernel is to confirm. */
export interface Changed {
  readonly request: number;
  readonly change: PolicyChange;
}

/** The rules that hold, and the hosts that are blocked for the sake of names; both change while the agent runs. */
export class RuleKeeper {
  readonly blocks = new Blocks();
  readonly #doors: RuleDoors;
  #rules: Rules;

  constructor(rules: Rules, doors: RuleDoors) {
    this.#rules = rules;
    this.#doors = doors;
  }

  get rules(): Rules {
    return this.#rules;
  }

  /** What an agent that was killed has left stays blocked. */
  takeOver(snapshot: KernelSnapshot, at: Moment): void {
    for (const address of blocksIn(snapshot, this.#rules.policy)) {
      this.blocks.add(address, 0, at.now, () => true, true);
      this.#doors.peers.takeOver(address, at);
    }
  }

  /** Nothing may pass to the address unprotected; `seconds`: for so long a client may use it. */
  block(address: IpAddress, seconds: number, at: Moment): void {
    const { peers, full, forget, apply, end } = this.#doors;
    const added = this.blocks.add(address, seconds, at.now, this.#isInUse);
    switch (added.kind) {
      case 'known':
        return;
      case 'full':
        full(address);
        break;
      case 'new':
        if (added.gone) peers.release(added.gone);
        forget(); // Other names may have led there in the clear.
        apply([address]);
        break;
      default:
        added satisfies never;
    }
    // The policies of an SA stand above the block: one that proved nothing, or something else, would pass by it.
    for (const child of peers.unfit(address, at.now))
      end(child, 'a rule wants the peer to prove the key that DNS publishes', false);
  }

  /** Ends the blocks whose time is over. */
  tick(at: Moment): void {
    const over = this.blocks.expire(at.now, this.#isInUse);
    for (const address of over) this.#doors.peers.release(address);
    if (over.length > 0) this.#doors.apply([]);
  }

  /** Blocks come first, then the SAs go that the rules do not allow, then others are begun. */
  change(request: number, rules: Rules, context: Pick<ChangeContext, 'plans' | 'exempt'>, at: Moment): void {
    const { peers, forget, apply, end } = this.#doors;
    const before = this.#rules.policy;
    this.#rules = rules;
    forget();
    const change = judgeAnew({ ...context, before, after: rules.policy, peers }, at);
    for (const address of change.unblock) this.blocks.remove(address);
    const blocked = change.block.flatMap(({ address, seconds }): IpAddress[] => {
      // Clients have the address already: there is no refusing it any longer.
      const added = this.blocks.add(address, seconds, at.now, this.#isInUse, true);
      return added.kind === 'new' ? [address] : [];
    });
    apply(blocked, { request, change });
    for (const { child, why, whole } of change.end) end(child, why, whole);
    for (const { address, wants } of change.begin) peers.protect(address, wants, at);
  }

  /** `more`, with the rules and budgets as they are when they are read. */
  live<T extends object>(more: T): T & Rules {
    const rules = (): Rules => this.#rules;
    return Object.defineProperties(
      { ...more },
      {
        policy: { get: () => rules().policy },
        budgetMs: { get: () => rules().budgetMs },
        privateBudgetMs: { get: () => rules().privateBudgetMs },
      },
    ) as T & Rules;
  }

  readonly #isInUse = (address: IpAddress): boolean => {
    const peer = this.#doors.peers.find(address);
    return peer !== undefined && (peer.live.length > 0 || peer.attempt !== undefined);
  };
}

/** What rules by prefix say of the members of a group is so from now on, whatever it was at the start. */
export function followed(group: PrivateGroup, rules: () => Rules): PrivateGroup {
  const prefixes = (): readonly Prefix[] => prefixesOf(rules().policy, group.name);
  return Object.defineProperty({ ...group }, 'prefixes', { get: prefixes });
}
