import type { HealthNote } from '../health.ts';
import { counted } from './text.ts';

/**
 * What `GET /v1/status` and `oe status --json` say. Fields are only ever added within a version; `state`,
 * `verified` and `code` are stable words for scripts, everything else is for people.
 */
export interface Status {
  readonly version: 1;
  /** One sentence: the state of things. */
  readonly summary: string;
  readonly peers: readonly PeerStatus[];
  readonly health: Health;
}

export type PeerState = 'encrypted' | 'clear' | 'blocked' | 'negotiating';

export interface PeerStatus {
  readonly address: string;
  /** Names that led here, latest first. */
  readonly names: readonly string[];
  readonly state: PeerState;
  /** Who vouches for the peer: a key in signed DNS, nobody, or there is nothing to vouch for. */
  readonly verified: 'dns' | 'group' | 'anonymous' | null;
  /** Why it is so, e.g. `no-reply`; null while all is well. */
  readonly code: string | null;
  /** The same as a sentence. */
  readonly reason: string;
  readonly mode: 'transport' | 'tunnel' | null;
  /** Algorithms of the ESP pair, e.g. `AES-GCM-256`. */
  readonly suite: string | null;
  /** What the keys come from, e.g. `CURVE25519` and `ML-KEM-768`; and whether that withstands a quantum computer. */
  readonly keyExchanges: readonly string[] | null;
  readonly postQuantum: boolean | null;
  readonly spiIn: string | null;
  readonly spiOut: string | null;
  /** ISO 8601, when the present state began. */
  readonly since: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Health {
  readonly upSeconds: number;
  readonly listening: readonly string[];
  readonly upstreams: readonly string[];
  readonly localAddresses: readonly string[];
  /** The kind of our host key, or null where peers can only meet us anonymously. */
  readonly hostKey: string | null;
  readonly esp: { readonly ipv4: boolean; readonly ipv6: boolean };
  readonly policyDefault: string;
  readonly counters: Readonly<Record<string, number>>;
  /** Each thing that is not as it should be, as a sentence with its remedy. */
  readonly complaints: readonly string[];
  /** What the parts say of themselves (resolvers, trust anchors, the clock), in the order in which it is shown. */
  readonly notes: readonly HealthNote[];
}

/** What the edge knows of the agent's health; the agent itself knows the rest. */
export type EdgeHealth = Omit<Health, 'counters' | 'localAddresses' | 'policyDefault'> & {
  /** What the edge counts: answers that were given again, clients that were turned away. */
  readonly counters?: Readonly<Record<string, number>>;
};

/** Worst first: what needs a look before what is well. */
export function worstFirst(peers: readonly PeerStatus[]): PeerStatus[] {
  const rank: Record<PeerState, number> = { blocked: 0, clear: 1, negotiating: 2, encrypted: 3 };
  return peers.toSorted((a, b) => rank[a.state] - rank[b.state] || a.address.localeCompare(b.address));
}

export function summarise(peers: readonly PeerStatus[], clearNames: number): string {
  const count = (state: PeerState): number => peers.filter((p) => p.state === state).length;
  const parts: string[] = [];
  const encrypted = count('encrypted');
  if (encrypted > 0) {
    const proved = peers.filter((p) => p.state === 'encrypted' && p.verified === 'dns').length;
    parts.push(
      `${counted(encrypted, 'peer')} encrypted` +
        (proved === encrypted ? ' and verified by DNS' : ` (${proved} verified by DNS)`),
    );
  }
  if (count('blocked') > 0) parts.push(`${count('blocked')} BLOCKED`);
  if (count('clear') > 0) parts.push(`${count('clear')} in the clear although a key is published`);
  if (count('negotiating') > 0) parts.push(`${count('negotiating')} negotiating`);
  if (parts.length === 0) parts.push('No encrypted peers yet');
  if (clearNames > 0) parts.push(`${counted(clearNames, 'name')} without a key reached in the clear`);
  return `${parts.join('; ')}.`;
}
