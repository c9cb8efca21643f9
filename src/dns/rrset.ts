import { nameText, type NameKey } from './name.ts';
import { typeName } from './types.ts';

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

/** Records of one RRset: each costs everybody who handles it, and no honest one comes near. */
const maxRecords = 256;

/** `sends more than 256 records of example.org A`, of whoever sent `sets`; undefined where none is too large. */
export function excessIn(sets: readonly RRset[]): string | undefined {
  const large = sets.find((s) => s.rdatas.length > maxRecords);
  return large && `sends more than ${maxRecords} records of ${nameText(large.owner)} ${typeName(large.type)}`;
}
