import type { ChildSa } from '../ike/child.ts';
import { isAuthentic, proves } from '../ike/proof.ts';
import { decideInbound, type Policy } from './policy.ts';
import { isPostQuantum, notPostQuantum } from './want.ts';

/**
 * Why an SA does not do for the rule of its peer's address, as a clause: what a rule requires, it requires of whoever is
 * there, also where the peer begins, and `private` wants a proof unless its rule says that it does not. A key in DNS is
 * none where the rule names a private group, nor is membership of another.
 */
export function unproved(policy: Policy, child: ChildSa): string | undefined {
  const { peer, peerAuth } = child;
  const { rule, why } = decideInbound(policy, peer);
  if (!rule || rule.require === 'anonymous') return undefined;
  if (rule.require === undefined && rule.group !== 'private') return undefined;
  if (rule.auth !== undefined) {
    if (!proves(peerAuth, [{ kind: 'memberOf', group: rule.auth }]))
      return `${why}, and it does not prove that it is a member of ${rule.auth}`;
  } else if (rule.group === 'private' ? peerAuth.kind !== 'key' : !isAuthentic(peerAuth)) {
    return `${why}, and it proves no key of its own`;
  }
  return rule.require === 'post-quantum' && !isPostQuantum(child) ? notPostQuantum : undefined;
}
