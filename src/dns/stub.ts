import { toUtf8 } from '../wire/octets.ts';
import { Writer } from '../wire/writer.ts';
import { NameWriter } from './compression.ts';
import { nxname } from './dnssec/denial.ts';
import { decodeNsec } from './dnssec/rdata.ts';
import { decodeMessage, encodeOpt, HeaderBit, type EdnsOptionData, type Question } from './message.ts';
import { maxLabelOctets } from './name.ts';
import type { Resolution } from './resolver.ts';
import type { RRset } from './rrset.ts';
import { Class, EdnsOption, Rcode, Type } from './types.ts';

/** A client's question and how it wants the answer. */
export interface ClientQuery {
  readonly id: number;
  readonly question: Question;
  /** The question section as the client wrote it, to be echoed with its case; owned. */
  readonly questionOctets: Uint8Array;
  readonly rd: boolean;
  readonly ad: boolean;
  readonly cd: boolean;
  readonly edns:
    | {
        readonly udpSize: number;
        readonly dnssecOk: boolean;
        /** The client asks how long its TCP connection may be idle (RFC 7828). */
        readonly keepalive: boolean;
      }
    | undefined;
}

/** What a datagram or TCP message of a client is: to be answered, answered with an error at once, or not at all. */
export type DecodedQuery =
  | { readonly kind: 'query'; readonly query: ClientQuery }
  | { readonly kind: 'error'; readonly octets: Uint8Array }
  | { readonly kind: 'drop' };

export interface AnswerLimits {
  /** Octets that fit: of the transport (65535 for TCP); the client's EDNS size is heeded as well for UDP. */
  readonly limitOctets: number;
  /** Seconds; no TTL in the answer is longer. */
  readonly ttlLimit?: number;
}

/** Octets of the header (RFC 1035 §4.1.1). */
const headerOctets = 12;
/** The most that a message over TCP can hold. */
const tcpOctets = 0xffff;
/** What every client takes over UDP (RFC 1035 §4.2.1). */
const leastUdpOctets = 512;
/** What we say that we take over UDP: unfragmented nearly everywhere (RFC 9715 §3.1). */
const ourUdpOctets = 1_232;
/** How long we let a TCP connection be idle, ms: told to clients that ask for it (RFC 7828 §3.3.2). */
export const tcpIdleMs = 10_000;
/** Records beside a question that are read: OPT, TSIG or SIG(0), and some to spare. */
const maxAdditional = 8;
/** Octets of text in an Extended DNS Error; the rest is cut. */
const edeTextOctets = 240;

/**
 * Reads a client's message. Dropped: what is too short to be answered, and responses (two stubs would talk for ever).
 * Errors that come at once: FORMERR, NOTIMP for other opcodes, classes and for zone transfers, BADVERS (RFC 6891 §6.1.3).
 */
export function decodeQuery(octets: Uint8Array): DecodedQuery {
  if (octets.length < headerOctets) return { kind: 'drop' };
  const id = ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
  const flags = ((octets[2] ?? 0) << 8) | (octets[3] ?? 0);
  if ((flags & HeaderBit.QR) !== 0) return { kind: 'drop' };
  if ((flags & opcodeMask) !== 0) return errorFor(id, flags, Rcode.NOTIMP);

  // A query holds one question and next to nothing else: thousands of records are not read to find that out.
  const counts = [4, 6, 8, 10].map((at) => ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0));
  const [questionCount = 0, answerCount = 0, authorityCount = 0, additionalCount = 0] = counts;
  if (questionCount !== 1 || answerCount > 0 || authorityCount > 0 || additionalCount > maxAdditional)
    return errorFor(id, flags, Rcode.FORMERR);

  const message = decodeMessage(octets);
  const questionOctets = message.ok ? questionOctetsOf(octets) : undefined;
  if (!message.ok || questionOctets === undefined) return errorFor(id, flags, Rcode.FORMERR);
  const { questions, edns, recursionDesired: rd } = message.value;
  const [question] = questions;
  if (question === undefined) return errorFor(id, flags, Rcode.FORMERR);
  const query: ClientQuery = {
    id,
    question,
    questionOctets,
    rd,
    ad: message.value.authenticData,
    cd: message.value.checkingDisabled,
    edns: edns && {
      udpSize: edns.udpSize,
      dnssecOk: edns.dnssecOk,
      keepalive: edns.options.some((o) => o.code === EdnsOption.TCP_KEEPALIVE),
    },
  };
  if (edns !== undefined && edns.version !== 0) return errorTo(query, Rcode.BADVERS);
  // The mark of a name that is not there is no type to ask for (RFC 9824 §3.5).
  if (question.type === nxname) return errorTo(query, Rcode.FORMERR);
  if (question.class !== Class.IN || isMetaType(question.type)) return errorTo(query, Rcode.NOTIMP);
  return { kind: 'query', query };
}

/**
 * The answer to `query`. AD where the data is secure and the client set AD or DO (RFC 6840 §5.7, §5.8). DNSSEC's own
 * records go only to clients with DO or that asked for their type (RFC 4035 §3.2.1).
 *
 * What does not fit is answered with TC: everything we write is a required part of its answer, so nothing can be left
 * out without it (RFC 2181 §9, RFC 4035 §3.1.1). With TC go the records that fit, from the first on: programs that know
 * no TCP (musl before 1.2.4) live on them. Whoever has DO cannot use a part of an RRset and gets none.
 */
export function encodeAnswer(query: ClientQuery, resolution: Resolution, limits: AnswerLimits): Uint8Array {
  const secure = resolution.verdict.status === 'secure' && (query.ad || query.edns?.dnssecOk === true);
  const answers = resolution.answer.filter((set) => isWanted(query, set) || isAskedFor(query, set));
  const authority = resolution.authority.filter((set) => isWanted(query, set));
  return encodeResponse(query, limits, {
    rcode: isCompactDenial(query, resolution) ? Rcode.NOERROR : resolution.rcode,
    secure,
    answer: answers,
    authority,
    ede: resolution.ede,
  });
}

/** Who checks the proof itself gets the rcode that goes with it (RFC 9824 §5): the record says that the name is there. */
function isCompactDenial(query: ClientQuery, { rcode, authority }: Resolution): boolean {
  if (rcode !== Rcode.NXDOMAIN || query.edns?.dnssecOk !== true) return false;
  return authority.some(({ type, rdatas }) => {
    const nsec = type === Type.NSEC && rdatas[0] ? decodeNsec(rdatas[0]) : undefined;
    return nsec?.ok === true && nsec.value.types.has(nxname);
  });
}

/** An answer without records: SERVFAIL, NXDOMAIN or REFUSED, and why (RFC 8914) where the client has EDNS. */
export function encodeRefusal(
  query: ClientQuery,
  rcode: number,
  ede: { readonly code: number; readonly text: string },
  limits: AnswerLimits,
): Uint8Array {
  return encodeResponse(query, limits, { rcode, secure: false, answer: [], authority: [], ede });
}

const opcodeMask = 0x7800;

interface Response {
  readonly rcode: number;
  readonly secure: boolean;
  readonly answer: readonly RRset[];
  readonly authority: readonly RRset[];
  readonly ede: { readonly code: number; readonly text: string } | undefined;
}

const nothing: Response = {
  rcode: Rcode.NOERROR,
  secure: false,
  answer: [],
  authority: [],
  ede: undefined,
};

function encodeResponse(query: ClientQuery, limits: AnswerLimits, response: Response): Uint8Array {
  const limit = limitFor(query, limits.limitOctets);
  const whole = writeResponse(query, limits, response, 0);
  if (whole.length <= limit) return whole;
  // Why something failed is worth less than the answer itself.
  const bare = { ...response, ede: response.ede && { code: response.ede.code, text: '' } };
  const shorter = writeResponse(query, limits, bare, 0);
  if (shorter.length <= limit) return shorter;
  const answer = query.edns?.dnssecOk === true ? [] : fitting(query, limits, bare, limit);
  return writeResponse(query, limits, { ...bare, secure: false, answer, authority: [] }, HeaderBit.TC);
}

/** As many records of the answer, from the first on, as fit. */
function fitting(query: ClientQuery, limits: AnswerLimits, bare: Response, limit: number): RRset[] {
  const records = bare.answer.flatMap((set) => set.rdatas.map((rdata) => ({ ...set, rdatas: [rdata] })));
  let [least, most] = [0, records.length];
  while (least < most) {
    const count = Math.ceil((least + most) / 2);
    const answer = records.slice(0, count);
    const octets = writeResponse(query, limits, { ...bare, secure: false, answer, authority: [] }, 0);
    if (octets.length <= limit) least = count;
    else most = count - 1;
  }
  return records.slice(0, least);
}

function writeResponse(
  query: ClientQuery,
  limits: AnswerLimits,
  response: Response,
  extra: number,
): Uint8Array {
  const { edns } = query;
  // Without EDNS there is no room for the upper bits.
  const rcode = response.rcode > 15 && edns === undefined ? Rcode.SERVFAIL : response.rcode;
  const w = new Writer();
  const names = new NameWriter(w);
  w.u16(query.id);
  w.u16(
    HeaderBit.QR |
      HeaderBit.RA |
      extra |
      (query.rd ? HeaderBit.RD : 0) |
      (query.cd ? HeaderBit.CD : 0) |
      (response.secure ? HeaderBit.AD : 0) |
      (rcode & 15),
  );
  w.u16(1);
  const countsAt = w.length;
  w.zeros(4);
  w.u16(edns ? 1 : 0);
  w.octets(query.questionOctets);
  names.remember(query.question.name, headerOctets);
  w.patchU16(countsAt, writeSets(w, names, query, response.answer, limits.ttlLimit));
  w.patchU16(countsAt + 2, writeSets(w, names, query, response.authority, limits.ttlLimit));
  if (edns) {
    const options = response.ede ? [edeOption(response.ede)] : [];
    // Only over TCP, and only to those who sent it (RFC 7828 §3.2.1, §3.3.2).
    if (edns.keepalive && limits.limitOctets >= tcpOctets) options.push(keepaliveOption);
    encodeOpt(w, { version: 0, udpSize: ourUdpOctets, dnssecOk: edns.dnssecOk, options }, rcode);
  }
  return w.finish();
}

/** Writes RRsets and returns how many records they are. */
function writeSets(
  w: Writer,
  names: NameWriter,
  query: ClientQuery,
  sets: readonly RRset[],
  ttlLimit = 0x7fff_ffff,
): number {
  let count = 0;
  const write = (set: RRset, type: number, rdata: Uint8Array): void => {
    names.name(set.owner);
    w.u16(type);
    w.u16(set.class);
    w.u32(Math.max(0, Math.min(set.ttl, ttlLimit)));
    names.rdata(type, rdata);
    count++;
  };
  for (const set of sets) {
    for (const rdata of set.rdatas) write(set, set.type, rdata);
    if (query.edns?.dnssecOk !== true) continue;
    for (const signature of set.signatures) write(set, Type.RRSIG, signature);
  }
  return count;
}

function limitFor(query: ClientQuery, limitOctets: number): number {
  if (limitOctets >= tcpOctets) return tcpOctets;
  return Math.min(limitOctets, Math.max(leastUdpOctets, query.edns?.udpSize ?? 0));
}

function isWanted(query: ClientQuery, set: RRset): boolean {
  const proves = set.type === Type.RRSIG || set.type === Type.NSEC || set.type === Type.NSEC3;
  return !proves || query.edns?.dnssecOk === true;
}

function isAskedFor(query: ClientQuery, set: RRset): boolean {
  return query.question.type === set.type || query.question.type === Type.ANY;
}

/** Types that name no data: OPT and what IANA sets apart as Q and Meta types, ANY aside (RFC 6895 §3.1). */
function isMetaType(type: number): boolean {
  return type === Type.OPT || (type >= 128 && type < Type.ANY);
}

/** INFO-CODE and EXTRA-TEXT, which is UTF-8 and ends without a zero octet (RFC 8914 §2). */
function edeOption(ede: { readonly code: number; readonly text: string }): EdnsOptionData {
  let text = ede.text;
  while (toUtf8(text).length > edeTextOctets) text = [...text].slice(0, -8).join('');
  const utf8 = toUtf8(text);
  const data = new Uint8Array(2 + utf8.length);
  data[0] = ede.code >> 8;
  data[1] = ede.code & 0xff;
  data.set(utf8, 2);
  return { code: EdnsOption.EDE, data };
}

/** In units of 100 ms (RFC 7828 §3.1). */
const keepaliveOption: EdnsOptionData = {
  code: EdnsOption.TCP_KEEPALIVE,
  data: new Uint8Array([tcpIdleMs / 100 / 256, (tcpIdleMs / 100) % 256]),
};

/** The question of a message that can be read, if its name is not compressed: there is nothing it could point at. */
function questionOctetsOf(octets: Uint8Array): Uint8Array | undefined {
  let end = headerOctets;
  for (let length; (length = octets[end] ?? 0) > 0; end += 1 + length)
    if (length > maxLabelOctets) return undefined;
  return new Uint8Array(octets.subarray(headerOctets, end + 5)); // The root's octet, type and class.
}

/** A bare header: the question is not known to be one. */
function errorFor(id: number, flags: number, rcode: number): DecodedQuery {
  const w = new Writer(headerOctets);
  w.u16(id);
  w.u16(HeaderBit.QR | HeaderBit.RA | (flags & (opcodeMask | HeaderBit.RD | HeaderBit.CD)) | rcode);
  w.zeros(8);
  return { kind: 'error', octets: w.finish() };
}

function errorTo(query: ClientQuery, rcode: number): DecodedQuery {
  const octets = encodeResponse(query, { limitOctets: leastUdpOctets }, { ...nothing, rcode });
  return { kind: 'error', octets };
}
