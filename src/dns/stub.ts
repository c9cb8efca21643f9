import type { Question } from './message.ts';
import type { Resolution } from './resolver.ts';

/** A client's question and how it wants the answer. */
export interface ClientQuery {
  readonly id: number;
  readonly question: Question;
  /** The question section as the client wrote it, to be echoed with its case. */
  readonly questionOctets: Uint8Array;
  readonly rd: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
  readonly edns: { readonly udpSize: number; readonly dnssecOk: boolean } | undefined;
}

/** What a datagram or TCP message of a client is: to be answered, answered with an error at once, or not at all. */
export type DecodedQuery =
  | { readonly kind: 'query'; readonly query: ClientQuery }
  | { readonly kind: 'error'; readonly octets: Uint8Array }
  | { readonly kind: 'drop' };

export interface AnswerLimits {
  /** Octets that fit: of the transport (65535 for TCP); the client's EDNS size is heeded as well for UDP. */
  readonly limitOctets: number;
  /** Seconds; no TTL in the answer is longer. */
  readonly ttlLimit?: number;
}

export declare function decodeQuery(octets: Uint8Array): DecodedQuery;
export declare function encodeAnswer(query: ClientQuery, resolution: Resolution, limits: AnswerLimits): Uint8Array;
export declare function encodeRefusal(
  query: ClientQuery,
  rcode: number,
  ede: { readonly code: number; readonly text: string },
  limits: AnswerLimits,
): Uint8Array;
