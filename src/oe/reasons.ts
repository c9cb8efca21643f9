import type { LocalAnswer } from '../dns/local-names.ts';
import { nameText } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import { Ede, Rcode, rcodeName } from '../dns/types.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import type { Lookup, LookupVerdict } from './lookup.ts';
import type { Peer } from './peer.ts';
import type { Reason } from './plan.ts';

/** What to do about a failed negotiation. */
export function remedyFor(code: string, address: string): string {
  switch (code) {
    case 'no-reply':
      return `Check that ${address} runs an IKE daemon and that UDP 500 and 4500 pass on the way; \`oe doctor\` checks this side.`;
    case 'no-route':
      return 'Check the routes of this host (`ip route get`).';
    default:
      return `See \`oe why ${address}\` for the negotiation, and the log of the peer.`;
  }
}

/** The time for the negotiation is up. */
export function overdueReason(address: IpAddress | undefined): Reason {
  const text = address === undefined ? 'The peer' : formatAddress(address);
  return {
    code: 'no-reply',
    why: `${text} publishes a key, and no protection came about in time.`,
    remedy: remedyFor('no-reply', text),
  };
}

/** The answer is this host's own, so nobody can prove a key for it. */
export function localReason(local: LocalAnswer | undefined): Reason {
  const { source, why } = local ?? { source: 'special-name', why: 'This host answers by itself.' };
  switch (source) {
    case 'hosts-file':
      return {
        code: source,
        why,
        remedy: 'Take the name out of the hosts file, and the DNS is asked for it.',
      };
    case 'own-name':
      return { code: source, why };
    case 'special-name':
      return {
        code: source,
        why,
        remedy: 'Where the name must lead somewhere, write it into the hosts file.',
      };
    default:
      return source satisfies never;
  }
}

/** Under `private` no address is given out that the kernel does not block. */
export function blockRefused(peer: Peer): Reason {
  if (peer.block === 'full') {
    return {
      code: 'blocks-full',
      why: `As many hosts are blocked for the sake of private names as may be, so nothing is said about ${peer.text}.`,
      remedy: 'Wait an hour, or write a rule by prefix for the hosts of these names.',
    };
  }
  return {
    code: 'block-refused',
    why: `The kernel took no block for ${peer.text}, so nothing is said about it.`,
    remedy: 'See the log and `oe doctor`.',
  };
}

/** Another name of the address is `private`, and the kernel knows only addresses. */
export function sharedWithPrivate(peer: Peer): Reason {
  const claim = peer.claims.find((c) => c.insist);
  return {
    code: 'address-private',
    why: `${peer.text} is also the address of ${claim === undefined ? 'a name' : nameText(claim.name)} to which nothing may pass in the clear.`,
    remedy: 'Make the rules of both names agree.',
    ede: Ede.BLOCKED,
  };
}

/** How a lookup ends in whose answer there is nothing to protect. */
export function plainVerdict(
  { checkingDisabled, local }: Pick<Lookup, 'checkingDisabled' | 'local'>,
  { rcode, verdict, ede }: Resolution,
): LookupVerdict {
  if (verdict.status === 'bogus' && !checkingDisabled) {
    const reason = {
      code: 'address-bogus',
      why: `The answer fails DNSSEC validation: ${verdict.why}.`,
      remedy: 'Ask from another network; if it fails there too, tell whoever runs the zone.',
      ede: verdict.ede,
    };
    return { state: 'failed', reason };
  }
  if (local && rcode === Rcode.NXDOMAIN) return { state: 'failed', reason: localReason(local) };
  if (rcode === Rcode.NOERROR || rcode === Rcode.NXDOMAIN) return { state: 'empty' };
  const reason = {
    code: 'resolver-failed',
    why: `The resolvers gave no answer (${rcodeName(rcode)}${ede?.text ? `: ${ede.text}` : ''}).`,
    remedy: 'Try `oe doctor`: it asks the resolvers.',
  };
  return { state: 'failed', reason };
}
