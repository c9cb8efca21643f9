import { describePublicKey, samePublicKey, type PublicKey } from '../net/public-key.ts';
import type { PeerAuth } from './child.ts';
import { bearsName } from './crypto/certificate.ts';

/** What we want of a peer: one of the keys that DNS publishes, or that it belongs to one of our private groups. */
export type Proof = PublicKey | MemberOf;

/** See {@link PrivateGroup}. */
export interface MemberOf {
  readonly kind: 'memberOf';
  readonly group: string;
  /** The host name that its certificate must bear, where it has one; undefined: any member will do. */
  readonly name?: string;
}

/** The host has proved more than that somebody is there. */
export function isAuthentic(peerAuth: PeerAuth): boolean {
  return peerAuth.kind !== 'anonymous';
}

/** Whether what the peer has proved is one of these. */
export function proves(peerAuth: PeerAuth, wanted: readonly Proof[]): boolean {
  switch (peerAuth.kind) {
    case 'anonymous':
      return false;
    case 'key':
      return wanted.some((w) => w.kind !== 'memberOf' && samePublicKey(w, peerAuth.key));
    case 'member': {
      const { group, names } = peerAuth;
      return wanted.some(
        (w) =>
          w.kind === 'memberOf' &&
          w.group === group &&
          (w.name === undefined || names === undefined || bearsName(names, w.name)),
      );
    }
    default:
      return peerAuth satisfies never;
  }
}

/** What the peer must prove again, when it is to prove what it has proved; none where that was nothing. */
export function proofsOf(peerAuth: PeerAuth): readonly Proof[] {
  switch (peerAuth.kind) {
    case 'anonymous':
      return [];
    case 'key':
      return [peerAuth.key];
    case 'member': {
      const { group, names = [] } = peerAuth;
      const [name] = names;
      return [{ kind: 'memberOf', group, ...(name !== undefined && { name }) }];
    }
    default:
      return peerAuth satisfies never;
  }
}

export function sameProof(a: Proof, b: Proof): boolean {
  if (a.kind === 'memberOf') return b.kind === 'memberOf' && a.group === b.group && a.name === b.name;
  return b.kind !== 'memberOf' && samePublicKey(a, b);
}

/** Whether two have proved the same. */
export function samePeerAuth(a: PeerAuth, b: PeerAuth): boolean {
  if (a.kind === 'key') return b.kind === 'key' && samePublicKey(a.key, b.key);
  if (a.kind !== 'member' || b.kind !== 'member' || a.group !== b.group) return false;
  return (a.names ?? []).join(' ') === (b.names ?? []).join(' ');
}

/** `RSA 3072`, `member of fleet`, `no key`: for people. */
export function describePeerAuth(peerAuth: PeerAuth): string {
  switch (peerAuth.kind) {
    case 'anonymous':
      return 'no key';
    case 'key':
      return describePublicKey(peerAuth.key);
    case 'member':
      return `member of ${peerAuth.group}`;
    default:
      return peerAuth satisfies never;
  }
}
