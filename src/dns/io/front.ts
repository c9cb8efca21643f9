import type { Endpoint, IpAddress } from '../../net/address.ts';
import type { ClientRules } from '../clients.ts';
import type { Keep } from '../wire-cache.ts';
import { noBatches } from './batch.ts';
import { BatchedFront } from './front-batched.ts';
import { PlainFront } from './front-plain.ts';
import type { FrontCounter } from './front-thread.ts';

/** Takes the answer to the client, and keeps it for others where that may be; undefined where there will be none. */
export type Reply = (octets: Uint8Array | undefined, keep?: Keep) => void;

export interface FrontOptions {
  /** A query that has no kept answer, from a client that may ask; `octets` is ours to keep. */
  readonly onQuery: (octets: Uint8Array, reply: Reply) => void;
  readonly clients: ClientRules;
  /** 32 random bits. */
  readonly seed: number;
  /** Something is not as it should be and goes on all the same; a sentence. */
  readonly warn: (why: string) => void;
}

/** A bound UDP socket of a front. */
export interface FrontSocket {
  /** With the port that port 0 became. */
  readonly endpoint: Endpoint;
  /** Before {@link DatagramFront.start}: gives the port back. */
  close(): Promise<void>;
}

/**
 * Where the datagrams of clients come in and the answers go out. It turns away who may not ask or asks too often, and
 * gives kept answers by itself.
 */
export interface DatagramFront {
  /** Throws an error whose `code` is an errno's name. */
  bind(endpoint: Endpoint): Promise<FrontSocket>;
  /** From here on queries come. */
  start(): Promise<void>;
  /** This host's own addresses, all of them, as they are now. */
  setLocals(addresses: readonly IpAddress[]): void;
  /** No kept answer holds any longer. */
  forget(): void;
  readonly stats: Readonly<Record<FrontCounter, number>>;
  close(): Promise<void>;
}

/** `auto`: in batches by a thread of its own where that can be, through Node otherwise. */
export type FrontKind = 'auto' | 'plain';

export function newFront(kind: FrontKind, options: FrontOptions): DatagramFront {
  if (kind === 'plain') return new PlainFront(options);
  const why = noBatches();
  if (why === undefined) return new BatchedFront(options);
  options.warn(`DNS datagrams are taken one by one: ${why}.`);
  return new PlainFront(options);
}
