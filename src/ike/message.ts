import type { Brand } from '../brand.ts';
import type { Decoded } from '../wire/error.ts';
import type { InnerPayload, Payload } from './payloads.ts';

/** IKE SPI: 64 bits. Zero only as the responder's in the first message. */
export type IkeSpi = Brand<bigint, 'IkeSpi'>;

export declare function ikeSpi(value: bigint): IkeSpi;

/** From 8 octets, e.g. random ones. */
export declare function ikeSpiFrom(octets: Uint8Array): IkeSpi;

/** 8 octets, as in a REKEY proposal or the NAT detection hash. */
export declare function ikeSpiOctets(spi: IkeSpi): Uint8Array;

/** `0x` and 16 digits. */
export declare function formatIkeSpi(spi: IkeSpi): string;

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
export declare function decodeHeader(octets: Uint8Array): IkeHeader | undefined;

/** A whole message; SK and SKF stay closed. An error: answer INVALID_SYNTAX only where it is authenticated. */
export declare function decodeMessage(octets: Uint8Array): Decoded<Message>;

/** A message in the clear. */
export declare function encodeMessage(head: MessageHead, payloads: readonly InnerPayload[]): Uint8Array;
