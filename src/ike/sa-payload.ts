import type { Reader } from '../wire/reader.ts';
import type { Writer } from '../wire/writer.ts';
import { Protocol, protocolName } from './numbers.ts';

/** A transform attribute that we do not know; `short`: of two octets, without a length (AF bit, §3.3.5). */
export interface UnknownAttribute {
  readonly type: number;
  readonly value: Uint8Array;
  readonly short: boolean;
}

/** One algorithm (RFC 7296 §3.3.2). */
export interface Transform {
  /** A number of `TransformType`. */
  readonly type: number;
  readonly id: number;
  /** The Key Length attribute (§3.3.5), bits; absent where the algorithm has one length only. */
  readonly keyBits?: number;
  /** Has an attribute that we do not know: it must not be chosen (§3.3.6). */
  readonly unknownAttributes?: readonly UnknownAttribute[];
}

/** Algorithms of which one of each type is to be chosen (§3.3.1). */
export interface Proposal {
  /** 1, 2, … in the order of preference. */
  readonly number: number;
  /** IKE, AH or ESP. */
  readonly protocol: number;
  /** Empty in IKE_SA_INIT, 8 octets when an IKE SA is rekeyed, 4 for ESP and AH. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

/** Security Association payload (§3.3). */
export interface SaPayload {
  readonly kind: 'SA';
  readonly proposals: readonly Proposal[];
}

/**
 * Reads an SA payload, strictly: lengths, counts and "last" flags must agree. An offer numbers its proposals 1, 2,
 * …; an answer has one proposal with the number that it answers (§3.3.1).
 */
export function decodeSa(r: Reader): SaPayload {
  const proposals: Proposal[] = [];
  do {
    const last = r.u8();
    r.skip(1); // RESERVED
    const length = r.u16();
    if (length < PROPOSAL_HEADER_OCTETS) r.fail(`proposal length ${length}`);
    proposals.push(decodeProposal(r.sub(length - 4)));
    if (last !== (r.remaining > 0 ? MORE_PROPOSALS : LAST)) r.fail(`last-proposal flag ${last}`);
  } while (r.remaining > 0);
  if (proposals.length > 1 && proposals.some((p, i) => p.number !== i + 1)) r.fail('proposals out of order');
  return { kind: 'SA', proposals };
}

export function encodeSa(w: Writer, sa: SaPayload): void {
  for (const [i, proposal] of sa.proposals.entries()) {
    const start = w.length;
    w.u8(i < sa.proposals.length - 1 ? MORE_PROPOSALS : LAST);
    w.u8(0);
    w.u16(0);
    w.u8(proposal.number);
    w.u8(proposal.protocol);
    w.u8(proposal.spi.length);
    w.u8(proposal.transforms.length);
    w.octets(proposal.spi);
    for (const [j, transform] of proposal.transforms.entries()) {
      encodeTransform(w, transform, j < proposal.transforms.length - 1);
    }
    w.patchU16(start + 2, w.length - start);
  }
}

const LAST = 0;
const MORE_PROPOSALS = 2;
const MORE_TRANSFORMS = 3;
const PROPOSAL_HEADER_OCTETS = 8;
const TRANSFORM_HEADER_OCTETS = 8;
/** The one attribute there is (§3.3.5), always in the short form. */
const KEY_LENGTH = 14;
const SHORT_FORM = 0x8000;

/** All after the length of the Proposal Substructure. */
function decodeProposal(r: Reader): Proposal {
  const number = r.u8();
  const protocol = r.u8();
  const spiOctets = r.u8();
  const count = r.u8();
  if (!spiOctetsAllowed(protocol, spiOctets))
    r.fail(`SPI of ${spiOctets} octets for ${protocolName(protocol)}`);
  const spi = r.octets(spiOctets);
  const transforms: Transform[] = [];
  for (let i = 0; i < count; i++) {
    const last = r.u8();
    r.skip(1); // RESERVED
    const length = r.u16();
    if (length < TRANSFORM_HEADER_OCTETS) r.fail(`transform length ${length}`);
    transforms.push(decodeTransform(r.sub(length - 4)));
    if (last !== (i < count - 1 ? MORE_TRANSFORMS : LAST)) r.fail(`last-transform flag ${last}`);
  }
  r.done();
  return { number, protocol, spi, transforms };
}

function spiOctetsAllowed(protocol: number, octets: number): boolean {
  switch (protocol) {
    case Protocol.IKE:
      return octets === 0 || octets === 8;
    case Protocol.AH:
    case Protocol.ESP:
      return octets === 4;
    default:
      return true;
  }
}

/** All after the length of the Transform Substructure. */
function decodeTransform(r: Reader): Transform {
  const type = r.u8();
  r.skip(1); // RESERVED
  const id = r.u16();
  let keyBits: number | undefined;
  const unknown: { type: number; value: Uint8Array; short: boolean }[] = [];
  while (r.remaining > 0) {
    const tag = r.u16();
    const short = (tag & SHORT_FORM) !== 0;
    const attribute = tag & ~SHORT_FORM;
    if (attribute !== KEY_LENGTH) {
      unknown.push({ type: attribute, value: r.octets(short ? 2 : r.u16()), short });
      continue;
    }
    if (!short) r.fail('Key Length in the long form');
    if (keyBits !== undefined) r.fail('two Key Lengths');
    keyBits = r.u16();
  }
  return {
    type,
    id,
    ...(keyBits !== undefined && { keyBits }),
    ...(unknown.length > 0 && { unknownAttributes: unknown }),
  };
}

function encodeTransform(w: Writer, transform: Transform, more: boolean): void {
  const start = w.length;
  w.u8(more ? MORE_TRANSFORMS : LAST);
  w.u8(0);
  w.u16(0);
  w.u8(transform.type);
  w.u8(0);
  w.u16(transform.id);
  if (transform.keyBits !== undefined) {
    w.u16(SHORT_FORM | KEY_LENGTH);
    w.u16(transform.keyBits);
  }
  for (const { type, value, short } of transform.unknownAttributes ?? []) {
    w.u16(short ? SHORT_FORM | type : type);
    if (!short) w.u16(value.length);
    w.octets(value);
  }
  w.patchU16(start + 2, w.length - start);
}
