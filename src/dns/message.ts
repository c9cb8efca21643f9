import type { Decoded } from '../wire/error.ts';
import type { NameKey } from './name.ts';
import type { RRset } from './rrset.ts';

export interface Question {
  readonly name: NameKey;
  readonly type: number;
  readonly class: number;
}

/** One resource record. */
export interface ResourceRecord {
  readonly owner: NameKey;
  readonly type: number;
  readonly class: number;
  /** Seconds, 0–2^31-1; the top bit set counts as 0 (RFC 2181 §8). */
  readonly ttl: number;
  /** Names in types of RFC 1035 are uncompressed here; nothing else is touched (RFC 3597 §4). Owned. */
  readonly rdata: Uint8Array;
}

/** The OPT record (RFC 6891 §6.1), its extended RCODE aside, which is in {@link Message.rcode}. */
export interface Edns {
  readonly version: number;
  /** Octets that the sender takes in one UDP datagram. */
  readonly udpSize: number;
  readonly dnssecOk: boolean;
  readonly options: readonly { readonly code: number; readonly data: Uint8Array }[];
}

/** RFC 1035 §4.1, RFC 4035 §3, RFC 6891. */
export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the extended bits of EDNS. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answer: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additional: readonly ResourceRecord[];
  readonly edns?: Edns;
}

export declare function decodeMessage(octets: Uint8Array): Decoded<Message>;
export declare function encodeMessage(message: Message): Uint8Array;
/** Groups records into RRsets in order of appearance, with their RRSIGs. */
export declare function rrsetsOf(records: readonly ResourceRecord[]): RRset[];
