import type { Reader } from '../wire/reader.ts';
import type { Writer } from '../wire/writer.ts';
import type { SaPayload } from './sa-payload.ts';

/**
 * Key Exchange payload (RFC 7296 §3.4).
 *
 *     |   Diffie-Hellman Group Num    |           RESERVED            |
 *     ~                       Key Exchange Data                       ~
 */
export interface KePayload {
  readonly kind: 'KE';
  /** Transform Type 4 number, e.g. 31 for Curve25519. */
  readonly group: number;
  /** Public value: x | y for ECP, u for Curve25519, left-padded to the modulus for MODP. */
  readonly data: Uint8Array;
}

/** Identification payload (§3.5). */
export interface IdPayload {
  readonly kind: 'IDi' | 'IDr';
  /** A number of `IdType`. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** Certificate payload (§3.6). */
export interface CertPayload {
  readonly kind: 'CERT';
  readonly encoding: number;
  readonly data: Uint8Array;
}

/** Certificate Request payload (§3.7). libreswan sends it without even the encoding octet. */
export interface CertreqPayload {
  readonly kind: 'CERTREQ';
  readonly encoding: number | undefined;
  readonly data: Uint8Array;
}

/** Authentication payload (§3.8). */
export interface AuthPayload {
  readonly kind: 'AUTH';
  /** A number of `AuthMethod`. */
  readonly method: number;
  readonly data: Uint8Array;
}

/** Nonce payload (§3.9): 16 to 256 octets. */
export interface NoncePayload {
  readonly kind: 'Nonce';
  readonly nonce: Uint8Array;
}

/** Notify payload (§3.10). */
export interface NotifyPayload {
  readonly kind: 'Notify';
  /** A number of `Protocol`; 0 where there is no SPI. */
  readonly protocol: number;
  /** Empty, 4 octets (ESP, AH) or 8 (IKE). */
  readonly spi: Uint8Array;
  /** A number of `NotifyType`. */
  readonly type: number;
  readonly data: Uint8Array;
}

/** Delete payload (§3.11). */
export interface DeletePayload {
  readonly kind: 'Delete';
  /** IKE (then without SPIs), AH or ESP. */
  readonly protocol: number;
  /** The SPIs of the sender's inbound SAs, 4 octets each. */
  readonly spis: readonly number[];
}

/** Vendor ID payload (§3.12). */
export interface VendorPayload {
  readonly kind: 'Vendor';
  readonly data: Uint8Array;
}

/** One Traffic Selector (§3.13.1); of a type we do not know only the octets are told. */
export type TrafficSelector =
  | {
      readonly kind: 'range';
      /** IP protocol; 0 is any. */
      readonly protocol: number;
      readonly startPort: number;
      readonly endPort: number;
      /** 4 or 16 octets, as `end`. */
      readonly start: Uint8Array;
      readonly end: Uint8Array;
    }
  | {
      readonly kind: 'unknown';
      readonly type: number;
      readonly protocol: number;
      readonly body: Uint8Array;
    };

/** Traffic Selector payload (§3.13). */
export interface TsPayload {
  readonly kind: 'TSi' | 'TSr';
  readonly selectors: readonly TrafficSelector[];
}

/**
 * Encrypted payload (§3.14) before it is opened. It is the last of its message; `firstInner` is the type of the
 * first payload inside.
 */
export interface SkPayload {
  readonly kind: 'SK';
  readonly firstInner: number;
  /** IV, ciphertext and integrity checksum. */
  readonly body: Uint8Array;
}

/** Encrypted Fragment payload (RFC 7383 §2.5) before it is opened. */
export interface SkfPayload {
  readonly kind: 'SKF';
  /** Type of the first payload inside in fragment 1; 0 in the others. */
  readonly firstInner: number;
  /** From 1 to `total`. */
  readonly number: number;
  readonly total: number;
  /** IV, ciphertext and integrity checksum. */
  readonly body: Uint8Array;
}

/** A payload type that we do not read. */
export interface UnknownPayload {
  readonly kind: 'Unknown';
  readonly type: number;
  /** Set by the sender when it must not be skipped (RFC 7296 §2.5). */
  readonly critical: boolean;
  readonly body: Uint8Array;
}

/** A payload that stands in the clear or inside an Encrypted payload. */
export type InnerPayload =
  | SaPayload
  | KePayload
  | IdPayload
  | CertPayload
  | CertreqPayload
  | AuthPayload
  | NoncePayload
  | NotifyPayload
  | DeletePayload
  | VendorPayload
  | TsPayload
  | UnknownPayload;

export type Payload = InnerPayload | SkPayload | SkfPayload;

/** Reads a chain of payloads to the end of `r`; throws WireError. Borrowed octets. */
export declare function decodePayloads(r: Reader, first: number): Payload[];

/** Writes a chain; the generic header of each names the next, the last names none. */
export declare function encodePayloads(w: Writer, payloads: readonly InnerPayload[]): void;

/** The number of `PayloadType` under which the payload is sent; 0 for an empty chain. */
export declare function typeOf(payload: Payload | undefined): number;

/** A notification without SPI. */
export declare function notify(type: number, data?: Uint8Array): NotifyPayload;
