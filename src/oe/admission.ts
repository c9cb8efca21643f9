import type { ChildSa } from '../ike/child.ts';
import { proves } from '../ike/proof.ts';
import { decideInbound, type Policy } from './policy.ts';

/**
 * Why an SA does not do for the rule of its peer's address, as a clause: `private` wants a proof from whoever is there,
 * also where the peer begins. A key in DNS is none where the rule names a private group, nor is membership of another.
 */
export function unproved(policy: Policy, { peer, peerAuth }: ChildSa): string | undefined {
  const { rule, why } = decideInbound(policy, peer);
  if (rule?.group !== 'private') return undefined;
  if (rule.auth === undefined) {
    return peerAuth.kind === 'key' ? undefined : `${why}, and it proves no key of its own`;
  }
  return proves(peerAuth, [{ kind: 'memberOf', group: rule.auth }])
    ? undefined
    : `${why}, and it does not prove that it is a member of ${rule.auth}`;
}
