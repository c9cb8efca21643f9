import type { WireError } from '../wire/error.ts';
import { concatOctets } from '../wire/octets.ts';
import { decoded } from '../wire/reader.ts';
import { encoded } from '../wire/writer.ts';
import type { Opener, Sealer } from './crypto/cipher.ts';
import { HEADER_OCTETS, encodeHeader, type Message, type MessageHead } from './message.ts';
import { PayloadType } from './numbers.ts';
import { decodePayloads, encodePayloads, typeOf, type InnerPayload, type SkfPayload } from './payloads.ts';

/**
 * What was inside. `forged`: the checksum is wrong or it was not an encrypted message: drop it, say nothing.
 * `malformed`: the peer itself sent something unreadable (INVALID_SYNTAX).
 */
export type Opened =
  | { readonly kind: 'opened'; readonly payloads: readonly InnerPayload[]; readonly plain: PlainForm }
  | { readonly kind: 'forged'; readonly why: string }
  | { readonly kind: 'malformed'; readonly error: WireError };

/** All that a message says apart from its encryption: what stands before, and what was inside. */
export interface PlainForm {
  /** IKE header to the generic header of the SK payload, as one message however many fragments there were. */
  readonly before: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** Opens the SK payload of a message (RFC 7296 §3.14, RFC 5282). The payloads own their octets. */
export function openEncrypted(message: Message, opener: Opener): Opened {
  const sk = message.payloads.at(-1);
  if (sk?.kind !== 'SK') return { kind: 'forged', why: 'no SK payload at the end' };
  const plaintext = opener.open(headerOf(message, sk.body), sk.body);
  if (!plaintext) return { kind: 'forged', why: 'the checksum is wrong' };
  return readInner(plaintext, sk.firstInner, headerOf(message, sk.body));
}

/**
 * The octets of an IKE_INTERMEDIATE message that AUTH covers (RFC 9242 §3.3.2): both lengths are as if there were no
 * IV, padding and checksum.
 */
export function authenticatedForm({ before, plaintext }: PlainForm): Uint8Array {
  const octets = concatOctets(before, plaintext);
  const view = new DataView(octets.buffer);
  view.setUint32(LENGTH_AT, octets.length);
  view.setUint16(before.length - 2, GENERIC_HEADER_OCTETS + plaintext.length);
  return octets;
}

/** The same of a message of ours. */
export function plainForm(head: MessageHead, payloads: readonly InnerPayload[]): PlainForm {
  const before = encoded((w) => {
    encodeHeader(w, head, PayloadType.SK, 0);
    w.u8(typeOf(payloads[0]));
    w.zeros(3);
  }, SK_BODY_AT);
  return { before, plaintext: plaintextOf(payloads) };
}

/** One message with all payloads in an SK payload. */
export function sealEncrypted(
  head: MessageHead,
  payloads: readonly InnerPayload[],
  sealer: Sealer,
): Uint8Array {
  return sealSk(head, typeOf(payloads[0]), plaintextOf(payloads), sealer);
}

/**
 * One SK message where it fits into `limitOctets` (of the IKE message, without UDP and IP), else SKF messages of
 * at most that size (RFC 7383). Only where the peer has announced IKEV2_FRAGMENTATION_SUPPORTED.
 */
export function fragmentMessage(
  head: MessageHead,
  payloads: readonly InnerPayload[],
  sealer: Sealer,
  limitOctets: number,
): Uint8Array[] {
  const plaintext = plaintextOf(payloads);
  const first = typeOf(payloads[0]);
  if (SK_BODY_AT + plaintext.length + sealer.overhead(plaintext.length) <= limitOctets) {
    return [sealSk(head, first, plaintext, sealer)];
  }
  const share = sealer.capacity(limitOctets - SKF_BODY_AT);
  if (share < 1) throw new RangeError(`no fragment fits into ${limitOctets} octets`);
  const total = Math.ceil(plaintext.length / share);
  return Array.from({ length: total }, (_, i) =>
    sealSkf(head, i === 0 ? first : 0, i + 1, total, plaintext.subarray(i * share, (i + 1) * share), sealer),
  );
}

/** `ignored`: forged, a repetition, or against the rules of RFC 7383; nothing changed. */
export type Reassembled =
  | { readonly kind: 'whole'; readonly payloads: readonly InnerPayload[]; readonly plain: PlainForm }
  | { readonly kind: 'partial'; readonly have: number; readonly total: number }
  | { readonly kind: 'ignored'; readonly why: string }
  | { readonly kind: 'malformed'; readonly error: WireError };

/** What a message in fragments may take. */
export interface ReassemblyLimits {
  readonly fragments: number;
  /** Of plaintext, all fragments together. */
  readonly octets: number;
}

/** A message of 64 KiB is the most that a payload's length can tell; ours have under 2 KiB. */
const defaultLimits: ReassemblyLimits = { fragments: 64, octets: 0xffff };

/**
 * Collects the fragments of one message (one exchange, message ID and direction: whose it is, is for the owner
 * to check). Each fragment is authenticated before it takes memory.
 */
export class Reassembly {
  readonly #limits: ReassemblyLimits;
  #total = 0;
  #octets = 0;
  #firstInner = 0;
  readonly #parts = new Map<number, Uint8Array>();

  constructor(limits: ReassemblyLimits = defaultLimits) {
    this.#limits = limits;
  }

  /** `message` ends with an SKF payload. */
  add(message: Message, opener: Opener): Reassembled {
    const skf = message.payloads.at(-1);
    if (skf?.kind !== 'SKF') return ignored('no SKF payload at the end');
    const refusal = this.#refuse(skf);
    if (refusal !== undefined) return ignored(refusal);
    const plaintext = opener.open(headerOf(message, skf.body), skf.body);
    if (!plaintext) return ignored('the checksum is wrong');
    if (skf.total > this.#total) {
      // The peer has cut the message anew, into smaller pieces: what we have is of no use (RFC 7383 §2.6).
      this.#parts.clear();
      this.#octets = 0;
      this.#total = skf.total;
    }
    if (this.#octets + plaintext.length > this.#limits.octets) return ignored('fragments too large together');
    this.#parts.set(skf.number, plaintext);
    this.#octets += plaintext.length;
    if (skf.number === 1) this.#firstInner = skf.firstInner;
    if (this.#parts.size < this.#total)
      return { kind: 'partial', have: this.#parts.size, total: this.#total };
    return this.#whole(message);
  }

  /** Why a fragment is not even worth its checksum. */
  #refuse(skf: SkfPayload): string | undefined {
    if (skf.total > this.#limits.fragments) return `${skf.total} fragments`;
    if (skf.total < this.#total) return `a total of ${skf.total} after ${this.#total}`;
    if (skf.total === this.#total && this.#parts.has(skf.number)) return `fragment ${skf.number} again`;
    // RFC 7383 §2.5: only the first fragment says what is inside.
    if (skf.number > 1 && skf.firstInner !== PayloadType.None) {
      return `fragment ${skf.number} names a first payload`;
    }
    return undefined;
  }

  #whole({ octets }: Message): Reassembled {
    const parts: Uint8Array[] = [];
    for (let number = 1; number <= this.#total; number++)
      parts.push(this.#parts.get(number) ?? new Uint8Array(0));
    // As it was before it was cut (RFC 9242 §3.3.2); nobody puts other payloads before the SK payload.
    const before = new Uint8Array(SK_BODY_AT);
    before.set(octets.subarray(0, HEADER_OCTETS));
    before[NEXT_PAYLOAD_AT] = PayloadType.SK;
    before[HEADER_OCTETS] = this.#firstInner;
    const opened = readInner(concatOctets(...parts), this.#firstInner, before);
    return opened.kind === 'opened' ? { ...opened, kind: 'whole' } : opened;
  }
}

const NEXT_PAYLOAD_AT = 16;
const LENGTH_AT = 24;
const GENERIC_HEADER_OCTETS = 4;
const SK_BODY_AT = HEADER_OCTETS + GENERIC_HEADER_OCTETS;
const SKF_BODY_AT = SK_BODY_AT + 4;

function ignored(why: string): Reassembled {
  return { kind: 'ignored', why };
}

/** All before the body, which the checksum covers too: IKE header to the end of the SK or SKF header. */
function headerOf(message: Message, body: Uint8Array): Uint8Array {
  return message.octets.subarray(0, message.octets.length - body.length);
}

function readInner(
  plaintext: Uint8Array,
  first: number,
  before: Uint8Array,
): { kind: 'opened'; payloads: InnerPayload[]; plain: PlainForm } | { kind: 'malformed'; error: WireError } {
  const result = decoded(plaintext, (r) => {
    const payloads: InnerPayload[] = [];
    for (const payload of decodePayloads(r, first)) {
      if (payload.kind === 'SK' || payload.kind === 'SKF') r.fail(`${payload.kind} payload inside another`);
      else payloads.push(payload);
    }
    return payloads;
  });
  return result.ok
    ? { kind: 'opened', payloads: result.value, plain: { before, plaintext } }
    : { kind: 'malformed', error: result.error };
}

function plaintextOf(payloads: readonly InnerPayload[]): Uint8Array {
  return encoded((w) => {
    encodePayloads(w, payloads);
  }, 1024);
}

function sealSk(head: MessageHead, first: number, plaintext: Uint8Array, sealer: Sealer): Uint8Array {
  const bodyOctets = plaintext.length + sealer.overhead(plaintext.length);
  const header = encoded((w) => {
    encodeHeader(w, head, PayloadType.SK, SK_BODY_AT + bodyOctets);
    w.u8(first);
    w.u8(0);
    w.u16(payloadLength(GENERIC_HEADER_OCTETS + bodyOctets));
  }, SK_BODY_AT);
  return concatOctets(header, sealer.seal(header, plaintext));
}

function sealSkf(
  head: MessageHead,
  first: number,
  number: number,
  total: number,
  part: Uint8Array,
  sealer: Sealer,
): Uint8Array {
  const bodyOctets = part.length + sealer.overhead(part.length);
  const header = encoded((w) => {
    encodeHeader(w, head, PayloadType.SKF, SKF_BODY_AT + bodyOctets);
    w.u8(first);
    w.u8(0);
    w.u16(payloadLength(GENERIC_HEADER_OCTETS + 4 + bodyOctets));
    w.u16(number);
    w.u16(total);
  }, SKF_BODY_AT);
  return concatOctets(header, sealer.seal(header, part));
}

function payloadLength(octets: number): number {
  if (octets > 0xffff) throw new RangeError(`encrypted payload of ${octets} octets`);
  return octets;
}
