import type { ClientRules } from '../clients.ts';
import { wayOctets, type BatchSocket } from './batch.ts';

/** Answers given from octets; datagrams of those who may not ask or ask too often; queries and answers that found no room. */
export const frontCounters = ['answersKept', 'datagramsTurnedAway', 'datagramsLost'] as const;
export type FrontCounter = (typeof frontCounters)[number];

/** What the thread of a batched front begins with. */
export interface ThreadData {
  readonly sockets: readonly BatchSocket[];
  readonly clients: ClientRules;
  readonly seed: number;
  /** {@link Shared}; a `SharedRing` to the thread, and one from it. */
  readonly shared: SharedArrayBuffer;
  readonly toThread: SharedArrayBuffer;
  readonly fromThread: SharedArrayBuffer;
  /** An eventfd(2): wakes the thread. */
  readonly wakeFd: number;
}

/** Words that both threads see. */
export const Shared = {
  /** 1: the thread waits in poll(2), and wants to be woken when there is something in its ring. */
  asleep: 0,
  /** 1: the main thread has been told that there is something in its ring, and has not looked yet. */
  told: 1,
  /** 1: the thread is to end. */
  stop: 2,
  /** How often all kept answers had to be forgotten; in no ring, since that could be full. */
  forgets: 3,
  /** From here on the counters, in the order of `frontCounters`. */
  counters: 4,
  words: 16,
} as const;

/** The kinds of messages between the two; each begins with a {@link Head}. */
export const MessageKind = {
  /** From the thread: a query that was not known. */
  query: 1,
  /** To the thread: the query if the answer may be kept, and the answer. */
  answer: 2,
  /** To the thread: the host's own addresses, each with its length before it. */
  locals: 4,
} as const;

/**
 * Where in a message's head each part stands: the kind, the index of the socket, octets of the query that follows, how
 * long the answer after it may be kept, and how long ago its TTLs were counted down.
 */
export const Head = { kind: 0, socket: 1, queryLength: 2, keepMs: 4, agedMs: 8, way: 12 } as const;
export const headOctets = Head.way + wayOctets;
/** As `agedMs`: the TTLs stay as they are. */
export const ageless = 0xffff;
