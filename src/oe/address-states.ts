import { formatAddress, type IpAddress } from '../net/address.ts';
import type { Moment, Peer } from './peer.ts';
import type { Peers } from './peers.ts';
import type { AddressPlan, Plan, Reason } from './plan.ts';
import { blockRefused, remedyFor, sharedWithPrivate } from './reasons.ts';

/** How the way to an address of an answer is at the moment. */
export type AddressState =
  | { readonly kind: 'protected'; readonly address: IpAddress }
  | { readonly kind: 'clear'; readonly address: IpAddress; readonly reason: Reason }
  | { readonly kind: 'refused'; readonly address: IpAddress; readonly reason: Reason }
  | {
      readonly kind: 'waiting';
      readonly address: IpAddress;
      readonly peer: Peer | undefined;
      readonly insist: boolean;
    };

/** Addresses of one answer that are negotiated with at the same time. */
export const addressesAtOnce = 8;

/** How the ways to the addresses of `plan` are, in its order; begins what is not tried yet. */
export function addressStates(peers: Peers, plan: Plan, at: Moment): AddressState[] {
  return plan.addresses.map((a, i) => stateOf(peers, a, at, i < addressesAtOnce));
}

function stateOf(peers: Peers, a: AddressPlan, at: Moment, isTried: boolean): AddressState {
  const { address, fate } = a;
  const peer = peers.find(address);
  switch (fate.kind) {
    case 'clear':
      // Another name of the same address may insist; the kernel knows only the address.
      if (peer?.insist === true && peer.live.length === 0 && fate.reason.code !== 'exempt') {
        return { kind: 'refused', address, reason: sharedWithPrivate(peer) };
      }
      return { kind: 'clear', address, reason: fate.reason };
    case 'refuse':
      return { kind: 'refused', address, reason: fate.reason };
    case 'protect': {
      if (peer?.insist === true && (peer.block === 'refused' || peer.block === 'full'))
        return { kind: 'refused', address, reason: blockRefused(peer) };
      const standing =
        fate.begins && (isTried || !peer)
          ? peers.protect(address, fate.proofs, at)
          : peer
            ? peers.standing(peer, fate.proofs, at.now)
            : ({ kind: 'none' } as const);
      if (standing.kind === 'protected') return { kind: 'protected', address };
      if (standing.kind === 'failed') {
        const { code, why } = standing.failure;
        const text = formatAddress(address);
        const reason: Reason = { code, why: `${text}: ${why}.`, remedy: remedyFor(code, text) };
        return fate.insist ? { kind: 'refused', address, reason } : { kind: 'clear', address, reason };
      }
      if (standing.kind === 'none' && !fate.begins) return { kind: 'waiting', address, peer, insist: true };
      if (standing.kind === 'none') {
        const why = `Only the first ${addressesAtOnce} addresses of an answer are tried.`;
        const reason: Reason = { code: 'too-many-addresses', why };
        return fate.insist ? { kind: 'refused', address, reason } : { kind: 'clear', address, reason };
      }
      const now = peers.find(address);
      return { kind: 'waiting', address, peer: now, insist: fate.insist };
    }
    default:
      return fate satisfies never;
  }
}
