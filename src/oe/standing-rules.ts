import { isOurs } from '../kernel/bands.ts';
import type { StandingRule } from '../kernel/ledger.ts';
import type { KernelSnapshot } from '../kernel/port.ts';
import type { IpAddress } from '../net/address.ts';
import { formatPrefix, hostPrefix } from '../net/prefix.ts';
import { portEnds } from './exception.ts';
import { insists, insistsByName, prefixRules, type Policy } from './policy.ts';

/** What the kernel has to hold whatever is negotiated. */
export interface Standing {
  readonly policy: Policy;
  /** Whom this host asks: always in reach. */
  readonly resolvers: readonly IpAddress[];
  readonly locals: readonly IpAddress[];
  /** Private for the sake of a name. */
  readonly blocks: Iterable<IpAddress>;
}

/** The rules of the kernel, of which the first that matches decides. */
export function standingRules({ policy, resolvers, locals, blocks }: Standing): StandingRule[] {
  const clear = (address: IpAddress): StandingRule => ({ prefix: hostPrefix(address), group: 'clear' });
  const byPrefix = prefixRules(policy);
  const rules = resolvers.map(clear);
  // What this host says to its own addresses meets policies as well; no block is meant for that.
  if (byPrefix.some(({ rule }) => insists(rule.group))) rules.push(...locals.map(clear));
  // Before the rules by prefix: a name that is private makes its addresses so, whatever a wider rule says.
  for (const address of blocks) rules.push({ prefix: hostPrefix(address), group: 'private' });
  for (const { prefix, rule } of byPrefix) {
    const ends = portEnds(rule.role ?? 'both');
    for (const { protocol, port } of rule.except ?? []) {
      const only = { protocol, ...(port !== undefined && { port }), ...ends };
      rules.push({ prefix, group: 'clear', only });
    }
    // For the two groups that may go either way the policies of an SA decide, where one stands.
    const isOpen = rule.group === 'private-or-clear' || rule.group === 'clear-or-private';
    rules.push({ prefix, group: isOpen ? 'open' : rule.group });
  }
  return rules;
}

/**
 * An agent that was killed has left its blocks in the kernel, and programs may still have connections to these
 * addresses: they stay blocked, though we do not know yet which name it was for (THREATS A.22).
 */
export function blocksIn(snapshot: KernelSnapshot, policy: Policy): IpAddress[] {
  if (!insistsByName(policy)) return [];
  const ruled = prefixRules(policy).map((r) => formatPrefix(r.prefix));
  return snapshot.policies.flatMap(({ direction, action, priority, destination }) => {
    const { address, length } = destination;
    const isHost = direction === 'out' && action === 'block' && length === 8 * address.octets.length;
    return isHost && isOurs(priority) && !ruled.includes(formatPrefix(destination)) ? [address] : [];
  });
}
