import type { Brand } from '../brand.ts';
import type { Decoded } from '../wire/error.ts';
import { Reader, decoded } from '../wire/reader.ts';
import { encoded, type Writer } from '../wire/writer.ts';
import { decodePayloads, encodePayloads, typeOf, type InnerPayload, type Payload } from './payloads.ts';

/** IKE SPI: 64 bits. Zero only as the responder's in the first message. */
export type IkeSpi = Brand<bigint, 'IkeSpi'>;

export function ikeSpi(value: bigint): IkeSpi {
  if (value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new RangeError(`IKE SPI out of range: ${value}`);
  return value as IkeSpi;
}

/** From 8 octets, e.g. random ones. */
export function ikeSpiFrom(octets: Uint8Array): IkeSpi {
  if (octets.length !== 8) throw new RangeError(`IKE SPI of ${octets.length} octets`);
  return new DataView(octets.buffer, octets.byteOffset, 8).getBigUint64(0) as IkeSpi;
}

/** 8 octets, as in a REKEY proposal or the NAT detection hash. */
export function ikeSpiOctets(spi: IkeSpi): Uint8Array {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, spi);
  return octets;
}

/** `0x` and 16 digits. */
export function formatIkeSpi(spi: IkeSpi): string {
  return `0x${spi.toString(16).padStart(16, '0')}`;
}

/** What we say in the header of a message (RFC 7296 §3.1); lengths and types follow from the payloads. */
export interface MessageHead {
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
  /** A number of `Exchange`. */
  readonly exchange: number;
  /** The I flag: the sender is the original initiator of the IKE SA. */
  readonly fromInitiator: boolean;
  /** The R flag. */
  readonly response: boolean;
  readonly messageId: number;
}

/** A header as it came. */
export interface IkeHeader extends MessageHead {
  readonly nextPayload: number;
  readonly majorVersion: number;
  readonly minorVersion: number;
  /** Octets, header included; equal to the datagram's. */
  readonly length: number;
}

export interface Message {
  readonly header: IkeHeader;
  /** Where encrypted: all before the SK or SKF, and that one at the end. */
  readonly payloads: readonly Payload[];
  /** The whole message, borrowed: copy what is kept for AUTH. */
  readonly octets: Uint8Array;
}

/** Octets of the IKE header. */
export const HEADER_OCTETS = 28;

/**
 * The header, if `octets` (without a non-ESP marker) can be an IKE message at all: 28 octets or more and the
 * length that it says. Another major version is for the caller to answer. Cheap: it goes before everything else.
 */
export function decodeHeader(octets: Uint8Array): IkeHeader | undefined {
  if (octets.length < HEADER_OCTETS) return undefined;
  const header = readHeader(new Reader(octets));
  return header.length === octets.length ? header : undefined;
}

/**
 * A whole message; SK and SKF stay closed. The error of a message in the clear proves nothing about the peer:
 * anybody can send one.
 */
export function decodeMessage(octets: Uint8Array): Decoded<Message> {
  return decoded(octets, (r) => {
    const header = readHeader(r);
    if (header.majorVersion !== MAJOR_VERSION) r.fail(`IKE version ${header.majorVersion}`);
    if (header.length !== octets.length) r.fail(`length ${header.length} of ${octets.length} octets`);
    return { header, payloads: decodePayloads(r, header.nextPayload), octets };
  });
}

/** A message in the clear. */
export function encodeMessage(head: MessageHead, payloads: readonly InnerPayload[]): Uint8Array {
  return encoded((w) => {
    encodeHeader(w, head, typeOf(payloads[0]), 0);
    encodePayloads(w, payloads);
    w.patchU32(LENGTH_AT, w.length);
  }, 1024);
}

/** Writes the 28 octets of the header; `length` is of the whole message. */
export function encodeHeader(w: Writer, head: MessageHead, nextPayload: number, length: number): void {
  w.u64(head.spiI);
  w.u64(head.spiR);
  w.u8(nextPayload);
  w.u8(MAJOR_VERSION << 4);
  w.u8(head.exchange);
  w.u8((head.fromInitiator ? FLAG_INITIATOR : 0) | (head.response ? FLAG_RESPONSE : 0));
  w.u32(head.messageId);
  w.u32(length);
}

const MAJOR_VERSION = 2;
const FLAG_INITIATOR = 0x08;
const FLAG_RESPONSE = 0x20;
const LENGTH_AT = 24;

function readHeader(r: Reader): IkeHeader {
  const spiI = r.u64() as IkeSpi;
  const spiR = r.u64() as IkeSpi;
  const nextPayload = r.u8();
  const version = r.u8();
  const exchange = r.u8();
  const flags = r.u8();
  return {
    spiI,
    spiR,
    nextPayload,
    majorVersion: version >> 4,
    minorVersion: version & 0x0f,
    exchange,
    fromInitiator: (flags & FLAG_INITIATOR) !== 0,
    response: (flags & FLAG_RESPONSE) !== 0,
    messageId: r.u32(),
    length: r.u32(),
  };
}
