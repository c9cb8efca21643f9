import { nameText } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import { Type } from '../dns/types.ts';
import type { IpAddress } from '../net/address.ts';
import type { Lookup } from './lookup.ts';
import { keysFrom, unsignedZone, type KeyFinding } from './plan.ts';
import { localReason } from './reasons.ts';

/** What is known of the keys of the name that was asked; undefined: no rule wants them. */
export function findingOf(
  lookup: Lookup,
  addresses: readonly IpAddress[],
): KeyFinding | 'asking' | undefined {
  const { name } = lookup.question;
  switch (lookup.keyState) {
    case 'notWanted':
      return undefined;
    case 'local':
      return { kind: 'none', reason: localReason(lookup.local) };
    case 'knownInsecure':
      return { kind: 'none', reason: unsignedZone(nameText(name), insecureZone(lookup.resolution)) };
    case 'asking':
      return 'asking';
    case 'late':
      return {
        kind: 'none',
        reason: {
          code: 'key-indeterminate',
          why: `The resolvers answer the address question for ${nameText(name)}, and not the IPSECKEY question.`,
          remedy:
            'Try `oe doctor`: it asks the resolvers; some drop questions of types that they do not know.',
        },
      };
    case 'known': {
      if (!lookup.keyResolution) return undefined;
      const owners = [
        name,
        ...lookup.keyResolution.answer.flatMap((s) => (s.type === Type.IPSECKEY ? [s.owner] : [])),
      ];
      return keysFrom(name, lookup.keyResolution.verdict, { owners, addresses, evidence: lookup.evidence });
    }
    default:
      return lookup.keyState satisfies never;
  }
}

/** Whether it takes another answer to know what came of asking for keys. */
export function isOpen(
  finding: KeyFinding | 'asking' | undefined,
): finding is 'asking' | Extract<KeyFinding, { kind: 'wanting' }> {
  return finding === 'asking' || finding?.kind === 'wanting';
}

function insecureZone(resolution: Resolution | undefined): string {
  return resolution?.verdict.status === 'insecure' ? resolution.verdict.from : 'it lies in';
}
