import type { NameKey } from './name.ts';

/** The records of one owner, type and class (RFC 2181 §5), with the signatures that came along. */
export interface RRset {
  readonly owner: NameKey;
  readonly type: number;
  readonly class: number;
  /** Seconds; of records that disagree, the smallest (RFC 2181 §5.2). */
  readonly ttl: number;
  /** In the order of the message, without doubles; names in them are uncompressed and keep their case. */
  readonly rdatas: readonly Uint8Array[];
  /** RDATA of the RRSIGs that cover it; not judged. */
  readonly signatures: readonly Uint8Array[];
}
