import type { Reader } from '../wire/reader.ts';
import type { Writer } from '../wire/writer.ts';
import { PayloadType, Protocol, TsType, payloadName, protocolName } from './numbers.ts';
import { decodeSa, encodeSa, type SaPayload } from './sa-payload.ts';

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

/** Certificate Request payload (§3.7). libreswan sends it with an encoding and no authority. */
export interface CertreqPayload {
  readonly kind: 'CERTREQ';
  readonly encoding: number;
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

/** The number of `PayloadType` under which the payload is sent; 0 where there is none. */
export function typeOf(payload: Payload | undefined): number {
  if (payload === undefined) return PayloadType.None;
  return payload.kind === 'Unknown' ? payload.type : PayloadType[payload.kind];
}

/** A notification without SPI. */
export function notify(type: number, data: Uint8Array = new Uint8Array(0)): NotifyPayload {
  return { kind: 'Notify', protocol: Protocol.NONE, spi: new Uint8Array(0), type, data };
}

/**
 * Reads a chain of payloads to the end of `r`, `first` being the type of its first; throws WireError. The
 * payloads borrow their octets. RESERVED fields are ignored on receipt, as is the critical bit of what we read.
 */
export function decodePayloads(r: Reader, first: number): Payload[] {
  const payloads: Payload[] = [];
  let type = first;
  while (type !== PayloadType.None) {
    const next = r.u8();
    const critical = (r.u8() & CRITICAL) !== 0;
    const length = r.u16();
    if (length < GENERIC_HEADER_OCTETS) r.fail(`payload length ${length}`);
    const body = r.sub(length - GENERIC_HEADER_OCTETS);
    if (type === PayloadType.SK || type === PayloadType.SKF) {
      // Nothing follows an Encrypted payload: its next-payload field tells of the first one inside (§3.14).
      if (r.remaining > 0) r.fail(`${payloadName(type)} is not the last payload`);
      payloads.push(type === PayloadType.SK ? decodeSk(body, next) : decodeSkf(body, next));
      return payloads;
    }
    payloads.push(decodeBody(body, type, critical));
    body.done();
    type = next;
  }
  r.done();
  return payloads;
}

/** Writes a chain: the generic header of each names the next, the last names none. */
export function encodePayloads(w: Writer, payloads: readonly InnerPayload[]): void {
  for (const [i, payload] of payloads.entries()) {
    const start = w.length;
    w.u8(typeOf(payloads[i + 1]));
    w.u8(payload.kind === 'Unknown' && payload.critical ? CRITICAL : 0);
    w.u16(0);
    encodeBody(w, payload);
    const length = w.length - start;
    if (length > 0xffff) throw new RangeError(`${payload.kind} payload of ${length} octets`);
    w.patchU16(start + 2, length);
  }
}

const GENERIC_HEADER_OCTETS = 4;
const CRITICAL = 0x80;

function decodeBody(r: Reader, type: number, critical: boolean): InnerPayload {
  switch (type) {
    case PayloadType.SA:
      return decodeSa(r);
    case PayloadType.KE:
      return decodeKe(r);
    case PayloadType.IDi:
      return decodeId(r, 'IDi');
    case PayloadType.IDr:
      return decodeId(r, 'IDr');
    case PayloadType.CERT:
      return { kind: 'CERT', encoding: r.u8(), data: r.rest() };
    case PayloadType.CERTREQ:
      return { kind: 'CERTREQ', encoding: r.u8(), data: r.rest() };
    case PayloadType.AUTH:
      return decodeAuth(r);
    case PayloadType.Nonce:
      return decodeNonce(r);
    case PayloadType.Notify:
      return decodeNotify(r);
    case PayloadType.Delete:
      return decodeDelete(r);
    case PayloadType.Vendor:
      return { kind: 'Vendor', data: r.rest() };
    case PayloadType.TSi:
      return { kind: 'TSi', selectors: decodeSelectors(r) };
    case PayloadType.TSr:
      return { kind: 'TSr', selectors: decodeSelectors(r) };
    default:
      return { kind: 'Unknown', type, critical, body: r.rest() };
  }
}

function encodeBody(w: Writer, payload: InnerPayload): void {
  switch (payload.kind) {
    case 'SA':
      return encodeSa(w, payload);
    case 'KE':
      w.u16(payload.group);
      w.u16(0);
      return w.octets(payload.data);
    case 'IDi':
    case 'IDr':
      return encodeIdBody(w, payload);
    case 'CERT':
    case 'CERTREQ':
      w.u8(payload.encoding);
      return w.octets(payload.data);
    case 'AUTH':
      w.u8(payload.method);
      w.zeros(3);
      return w.octets(payload.data);
    case 'Nonce':
      return w.octets(payload.nonce);
    case 'Notify':
      w.u8(payload.protocol);
      w.u8(payload.spi.length);
      w.u16(payload.type);
      w.octets(payload.spi);
      return w.octets(payload.data);
    case 'Delete':
      w.u8(payload.protocol);
      w.u8(payload.protocol === Protocol.IKE ? 0 : ESP_SPI_OCTETS);
      w.u16(payload.spis.length);
      for (const spi of payload.spis) w.u32(spi);
      return;
    case 'Vendor':
      return w.octets(payload.data);
    case 'TSi':
    case 'TSr':
      return encodeSelectors(w, payload.selectors);
    case 'Unknown':
      return w.octets(payload.body);
    default:
      payload satisfies never;
  }
}

const ESP_SPI_OCTETS = 4;

function decodeKe(r: Reader): KePayload {
  const group = r.u16();
  r.skip(2); // RESERVED
  return { kind: 'KE', group, data: r.rest() };
}

function decodeId(r: Reader, kind: IdPayload['kind']): IdPayload {
  const type = r.u8();
  r.skip(3); // RESERVED
  return { kind, type, data: r.rest() };
}

/** The body of an ID payload, which is also what AUTH is computed over (RestOfInitIDPayload, §2.15). */
export function encodeIdBody(w: Writer, id: IdPayload): void {
  w.u8(id.type);
  w.zeros(3);
  w.octets(id.data);
}

function decodeAuth(r: Reader): AuthPayload {
  const method = r.u8();
  r.skip(3); // RESERVED
  return { kind: 'AUTH', method, data: r.rest() };
}

function decodeNonce(r: Reader): NoncePayload {
  // §3.9: between 16 and 256 octets.
  if (r.remaining < 16 || r.remaining > 256) r.fail(`nonce of ${r.remaining} octets`);
  return { kind: 'Nonce', nonce: r.rest() };
}

function decodeNotify(r: Reader): NotifyPayload {
  const protocol = r.u8();
  const spiOctets = r.u8();
  const type = r.u16();
  const spi = r.octets(spiOctets);
  return { kind: 'Notify', protocol, spi, type, data: r.rest() };
}

function decodeDelete(r: Reader): DeletePayload {
  const protocol = r.u8();
  const spiOctets = r.u8();
  const count = r.u16();
  // §3.11: an IKE SA is the one that carries the message, so no SPI names it.
  const wanted = protocol === Protocol.IKE ? 0 : ESP_SPI_OCTETS;
  if (spiOctets !== wanted) r.fail(`Delete with SPIs of ${spiOctets} octets for ${protocolName(protocol)}`);
  if (protocol === Protocol.IKE && count !== 0) r.fail(`Delete of IKE with ${count} SPIs`);
  if (r.remaining !== count * spiOctets) r.fail(`Delete of ${count} SPIs with ${r.remaining} octets`);
  return { kind: 'Delete', protocol, spis: Array.from({ length: count }, () => r.u32()) };
}

function decodeSelectors(r: Reader): TrafficSelector[] {
  const count = r.u8();
  r.skip(3); // RESERVED
  if (count === 0) r.fail('no traffic selector');
  const selectors: TrafficSelector[] = [];
  for (let i = 0; i < count; i++) selectors.push(decodeSelector(r));
  return selectors;
}

function decodeSelector(r: Reader): TrafficSelector {
  const type = r.u8();
  const protocol = r.u8();
  const length = r.u16();
  if (length < 4) r.fail(`traffic selector length ${length}`);
  const s = r.sub(length - 4);
  const addressOctets = selectorAddressOctets.get(type);
  if (addressOctets === undefined) return { kind: 'unknown', type, protocol, body: s.rest() };
  const startPort = s.u16();
  const endPort = s.u16();
  const start = s.octets(addressOctets);
  const end = s.octets(addressOctets);
  s.done();
  return { kind: 'range', protocol, startPort, endPort, start, end };
}

const selectorAddressOctets = new Map<number, number>([
  [TsType.TS_IPV4_ADDR_RANGE, 4],
  [TsType.TS_IPV6_ADDR_RANGE, 16],
]);

function encodeSelectors(w: Writer, selectors: readonly TrafficSelector[]): void {
  if (selectors.length === 0 || selectors.length > 255) throw new RangeError(`${selectors.length} selectors`);
  w.u8(selectors.length);
  w.zeros(3);
  for (const s of selectors) {
    if (s.kind === 'unknown') {
      w.u8(s.type);
      w.u8(s.protocol);
      w.u16(4 + s.body.length);
      w.octets(s.body);
      continue;
    }
    w.u8(s.start.length === 4 ? TsType.TS_IPV4_ADDR_RANGE : TsType.TS_IPV6_ADDR_RANGE);
    w.u8(s.protocol);
    w.u16(8 + s.start.length + s.end.length);
    w.u16(s.startPort);
    w.u16(s.endPort);
    w.octets(s.start);
    w.octets(s.end);
  }
}

function decodeSk(r: Reader, firstInner: number): SkPayload {
  return { kind: 'SK', firstInner, body: r.rest() };
}

function decodeSkf(r: Reader, firstInner: number): SkfPayload {
  const number = r.u16();
  const total = r.u16();
  // RFC 7383 §2.5: both are at least 1, and the number is no more than the total.
  if (number === 0 || number > total) r.fail(`fragment ${number} of ${total}`);
  return { kind: 'SKF', firstInner, number, total, body: r.rest() };
}
