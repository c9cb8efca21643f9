import type { Reader } from '../../wire/reader.ts';
import { Writer } from '../../wire/writer.ts';

/**
 * Netlink's framing (linux/netlink.h). Header and attributes are in the host's order, which is little-endian on
 * all that we support; everything is padded to 4 octets.
 */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** What the request was numbered; 0 in events. */
  readonly sequence: number;
  /** The family's struct and attributes, borrowed. */
  readonly body: Uint8Array;
}

/** Flags of requests, NLM_F_*. */
export const Flag = { REQUEST: 0x1, MULTI: 0x2, ACK: 0x4, DUMP: 0x300, DUMP_INTR: 0x10 } as const;

/** Control messages, below every family's types. */
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

/** One message with its header; `body` writes the family's struct and attributes. */
export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  body: (w: Writer) => void,
): Uint8Array {
  const w = new Writer(512);
  w.u32le(0); // length, known below
  w.u16le(type);
  w.u16le(flags | Flag.REQUEST);
  w.u32le(sequence);
  w.u32le(0); // port: the kernel knows whose socket it is
  body(w);
  w.patchU32le(0, w.length);
  return w.finish();
}

/** Every message of a datagram. */
export function decodeMessages(r: Reader): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  while (r.remaining > 0) {
    const length = r.u32le();
    if (length < HEADER_OCTETS) r.fail(`netlink message of ${length} octets`);
    const type = r.u16le();
    const flags = r.u16le();
    const sequence = r.u32le();
    r.u32le(); // port
    messages.push({ type, flags, sequence, body: r.octets(length - HEADER_OCTETS) });
    r.skip(Math.min(r.remaining, padding(length)));
  }
  return messages;
}

/** What NLMSG_ERROR or NLMSG_DONE says. */
export interface Outcome {
  /** A positive errno, or 0 where all went well. */
  readonly errno: number;
  /** The kernel's own words (NLMSGERR_ATTR_MSG), where it has some. */
  readonly text?: string;
}

/** Struct nlmsgerr, with the attributes of NETLINK_EXT_ACK behind it. */
export function decodeError(message: NetlinkMessage, r: Reader): Outcome {
  const errno = -r.i32le();
  if (r.remaining < HEADER_OCTETS) {
    r.skip(r.remaining);
    return { errno };
  }
  const requestLength = r.u32le();
  r.skip(HEADER_OCTETS - 4);
  // With NLM_F_CAPPED the request's header alone comes back, otherwise all of it.
  if ((message.flags & CAPPED) === 0) r.skip(padded(Math.max(requestLength, HEADER_OCTETS)) - HEADER_OCTETS);
  if ((message.flags & ACK_TLVS) === 0) {
    r.skip(r.remaining);
    return { errno };
  }
  const text = decodeAttributes(r).get(NLMSGERR_ATTR_MSG);
  return text ? { errno, text: textOf(text) } : { errno };
}

/** Struct nlattr and its content. */
export function encodeAttribute(w: Writer, type: number, content: (w: Writer) => void): void {
  const start = w.length;
  w.u16le(0);
  w.u16le(type);
  content(w);
  w.patchU16le(start, w.length - start);
  w.zeros(padding(w.length - start));
}

/** An attribute that is a number of 32 bits in the host's order. */
export function encodeU32(w: Writer, type: number, value: number): void {
  encodeAttribute(w, type, (a) => {
    a.u32le(value);
  });
}

/** All that is left, as attributes by type; of one that is repeated the last counts, as in the kernel. */
export function decodeAttributes(r: Reader): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  while (r.remaining > 0) {
    const length = r.u16le();
    const type = r.u16le() & TYPE_MASK;
    if (length < 4) r.fail(`netlink attribute of ${length} octets`);
    attributes.set(type, r.octets(length - 4));
    r.skip(Math.min(r.remaining, padding(length)));
  }
  return attributes;
}

/** A C string: what stands before the first NUL. */
export function textOf(octets: Uint8Array): string {
  const end = octets.indexOf(0);
  let text = '';
  for (const octet of end < 0 ? octets : octets.subarray(0, end)) text += String.fromCharCode(octet);
  return text;
}

const HEADER_OCTETS = 16;
const CAPPED = 0x100;
const ACK_TLVS = 0x200;
const NLMSGERR_ATTR_MSG = 1;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;

function padding(length: number): number {
  return -length & 3;
}

function padded(length: number): number {
  return length + padding(length);
}
