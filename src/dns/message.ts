import type { Decoded } from '../wire/error.ts';
import { decoded, type Reader } from '../wire/reader.ts';
import { Writer } from '../wire/writer.ts';
import { NameWriter } from './compression.ts';
import { readName, rootName, type NameKey } from './name.ts';
import { readRdata } from './rdata-names.ts';
import type { RRset } from './rrset.ts';
import { Rcode, Type } from './types.ts';

export interface Question {
  readonly name: NameKey;
  readonly type: number;
  readonly class: number;
}

/** One resource record. */
export interface ResourceRecord {
  readonly owner: NameKey;
  readonly type: number;
  readonly class: number;
  /** Seconds, 0–2^31-1; the top bit set counts as 0 (RFC 2181 §8). */
  readonly ttl: number;
  /** Names in types of RFC 1035 are uncompressed here; nothing else is touched (RFC 3597 §4). Owned. */
  readonly rdata: Uint8Array;
}

/** The OPT record (RFC 6891 §6.1), its extended RCODE aside, which is in {@link Message.rcode}. */
export interface Edns {
  readonly version: number;
  /** Octets that the sender takes in one UDP datagram. */
  readonly udpSize: number;
  readonly dnssecOk: boolean;
  /** The first 32 of those that came; owned. */
  readonly options: readonly EdnsOptionData[];
}

/** `code`: IANA "dns-parameters", see `EdnsOption`. */
export interface EdnsOptionData {
  readonly code: number;
  readonly data: Uint8Array;
}

/** RFC 1035 §4.1, RFC 4035 §3, RFC 6891. */
export interface Message {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
  /** With the extended bits of EDNS. */
  readonly rcode: number;
  readonly questions: readonly Question[];
  readonly answer: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additional: readonly ResourceRecord[];
  readonly edns?: Edns;
}

/** A query that asks nothing. */
export const emptyMessage: Message = {
  id: 0,
  response: false,
  opcode: 0,
  authoritative: false,
  truncated: false,
  recursionDesired: false,
  recursionAvailable: false,
  authenticData: false,
  checkingDisabled: false,
  rcode: 0,
  questions: [],
  answer: [],
  authority: [],
  additional: [],
};

/** What a reply with that rcode is to whoever asked with EDNS. */
export function replyKind(rcode: number): 'answer' | 'withoutEdns' | 'failure' {
  switch (rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
    case Rcode.YXDOMAIN: // a DNAME leads to a name that is too long (RFC 6672 §2.2)
      return 'answer';
    case Rcode.FORMERR: // RFC 6891 §7
    case Rcode.NOTIMP:
    case Rcode.BADVERS: // RFC 6891 §6.1.3
      return 'withoutEdns';
    default:
      return 'failure';
  }
}

/** The bits of the header's second word (RFC 1035 §4.1.1, RFC 4035 §3.2). */
export const HeaderBit = {
  QR: 0x8000,
  AA: 0x400,
  TC: 0x200,
  RD: 0x100,
  RA: 0x80,
  AD: 0x20,
  CD: 0x10,
} as const;

/** Where the first question of a message begins: after the header (RFC 1035 §4.1.1). */
export const questionAt = 12;
/** The DO bit of EDNS (RFC 3225 §3). */
const dnssecOkBit = 0x8000;

/** A list of options longer than this is padding for a parser's time (a denial of service in other resolvers). */
const maxOptions = 32;

/**
 * Records of a message: more would take longer to read and to sort than one step of the program may last. An RRset of
 * 256 records, its signatures and what goes with it are fewer.
 */
const maxRecords = 600;

/**
 * Reads a whole message. Errors: more than {@link maxRecords} records, a section that ends early, octets left over, RDLENGTH that does not fit the names
 * in RDATA, compression that does not lead backwards, more than one OPT or one that is out of place.
 */
export function decodeMessage(octets: Uint8Array): Decoded<Message> {
  return decoded(octets, readMessage);
}

function readMessage(r: Reader): Message {
  const id = r.u16();
  const flags = r.u16();
  const [questionCount, answerCount, authorityCount, additionalCount] = [r.u16(), r.u16(), r.u16(), r.u16()];
  const count = questionCount + answerCount + authorityCount + additionalCount;
  if (count > maxRecords) r.fail(`${count} records`);
  const questions: Question[] = [];
  for (let i = 0; i < questionCount; i++) questions.push(readQuestion(r));
  const answer = readRecords(r, answerCount, questions[0]);
  const authority = readRecords(r, authorityCount, questions[0]);
  const additional: ResourceRecord[] = [];
  let opt: { readonly edns: Edns; readonly rcodeHigh: number } | undefined;
  for (let i = 0; i < additionalCount; i++) {
    const head = readRecordHead(r, questions[0]);
    if (head.type !== Type.OPT) {
      additional.push(withRdata(r, head));
      continue;
    }
    if (opt !== undefined) r.fail('a second OPT record'); // RFC 6891 §6.1.1
    if (head.owner !== rootName) r.fail('an OPT record that is not at the root');
    opt = readOpt(r, head);
  }
  return {
    id,
    response: (flags & HeaderBit.QR) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & HeaderBit.AA) !== 0,
    truncated: (flags & HeaderBit.TC) !== 0,
    recursionDesired: (flags & HeaderBit.RD) !== 0,
    recursionAvailable: (flags & HeaderBit.RA) !== 0,
    authenticData: (flags & HeaderBit.AD) !== 0,
    checkingDisabled: (flags & HeaderBit.CD) !== 0,
    rcode: (flags & 15) | ((opt?.rcodeHigh ?? 0) << 4),
    questions,
    answer,
    authority,
    additional,
    ...(opt && { edns: opt.edns }),
  };
}

/** A question of the question section (RFC 1035 §4.1.2). */
export function readQuestion(r: Reader): Question {
  return { name: readName(r), type: r.u16(), class: r.u16() };
}

interface RecordHead {
  readonly owner: NameKey;
  readonly type: number;
  readonly class: number;
  readonly ttl: number;
}

function readRecordHead(r: Reader, question: Question | undefined): RecordHead {
  return { owner: readOwner(r, question), type: r.u16(), class: r.u16(), ttl: r.u32() };
}

/** Most owners point at the question's name: one string for all of them is hashed once, not each time that it is a key. */
function readOwner(r: Reader, question: Question | undefined): NameKey {
  const { octetsAll, offset } = r;
  if (question === undefined || octetsAll[offset] !== 0xc0 || octetsAll[offset + 1] !== questionAt)
    return readName(r);
  r.skip(2);
  return question.name;
}

function readRecords(r: Reader, count: number, question: Question | undefined): ResourceRecord[] {
  const records: ResourceRecord[] = [];
  for (let i = 0; i < count; i++) {
    const head = readRecordHead(r, question);
    if (head.type === Type.OPT) r.fail('an OPT record outside the additional section');
    records.push(withRdata(r, head));
  }
  return records;
}

function withRdata(r: Reader, head: RecordHead): ResourceRecord {
  const { owner, type, class: class_, ttl } = head;
  return { owner, type, class: class_, ttl: ttl > 0x7fff_ffff ? 0 : ttl, rdata: readRdata(r, type) };
}

function readOpt(r: Reader, head: RecordHead): { readonly edns: Edns; readonly rcodeHigh: number } {
  const body = r.sub(r.u16());
  const options: EdnsOptionData[] = [];
  while (body.remaining > 0 && options.length < maxOptions) {
    options.push({ code: body.u16(), data: new Uint8Array(body.octets(body.u16())) });
  }
  return {
    edns: {
      version: (head.ttl >>> 16) & 0xff,
      udpSize: head.class,
      dnssecOk: (head.ttl & dnssecOkBit) !== 0,
      options,
    },
    rcodeHigh: head.ttl >>> 24,
  };
}

/** Writes a message, its names compressed. Throws RangeError for an RCODE above 15 without `edns`. */
export function encodeMessage(message: Message): Uint8Array {
  const { edns } = message;
  if (message.rcode > 15 && edns === undefined) throw new RangeError(`RCODE ${message.rcode} wants EDNS`);
  const w = new Writer();
  const names = new NameWriter(w);
  w.u16(message.id);
  w.u16(
    (message.response ? HeaderBit.QR : 0) |
      (message.opcode << 11) |
      (message.authoritative ? HeaderBit.AA : 0) |
      (message.truncated ? HeaderBit.TC : 0) |
      (message.recursionDesired ? HeaderBit.RD : 0) |
      (message.recursionAvailable ? HeaderBit.RA : 0) |
      (message.authenticData ? HeaderBit.AD : 0) |
      (message.checkingDisabled ? HeaderBit.CD : 0) |
      (message.rcode & 15),
  );
  w.u16(message.questions.length);
  w.u16(message.answer.length);
  w.u16(message.authority.length);
  w.u16(message.additional.length + (edns ? 1 : 0));
  for (const question of message.questions) {
    names.name(question.name);
    w.u16(question.type);
    w.u16(question.class);
  }
  for (const record of [...message.answer, ...message.authority, ...message.additional]) {
    names.name(record.owner);
    w.u16(record.type);
    w.u16(record.class);
    w.u32(record.ttl);
    names.rdata(record.type, record.rdata);
  }
  if (edns) encodeOpt(w, edns, message.rcode);
  return w.finish();
}

/** The OPT record (RFC 6891 §6.1.2) with the upper bits of `rcode`. */
export function encodeOpt(w: Writer, edns: Edns, rcode: number): void {
  w.u8(0);
  w.u16(Type.OPT);
  w.u16(edns.udpSize);
  w.u32((((rcode >> 4) << 24) | (edns.version << 16) | (edns.dnssecOk ? dnssecOkBit : 0)) >>> 0);
  w.lengthPrefixed16(() => {
    for (const { code, data } of edns.options) {
      w.u16(code);
      w.lengthPrefixed16(() => {
        w.octets(data);
      });
    }
  });
}

/**
 * Groups records into RRsets in order of appearance, with their RRSIGs. RRSIGs that cover nothing here form sets of
 * type RRSIG, as in the answer to a question for that type.
 */
export function rrsetsOf(records: readonly ResourceRecord[]): RRset[] {
  const sets: GrowingSet[] = [];
  // By owner, then by class and type.
  const byOwner = new Map<NameKey, Map<number, GrowingSet>>();
  const find = (record: ResourceRecord, type: number): GrowingSet | undefined =>
    byOwner.get(record.owner)?.get(record.class * 0x1_0000 + type);
  const add = (record: ResourceRecord): void => {
    let set = find(record, record.type);
    if (set === undefined) {
      const { owner, type, class: class_, ttl } = record;
      set = { owner, type, class: class_, ttl, rdatas: new OnceEach(), signatures: new OnceEach() };
      sets.push(set);
      const ofOwner = byOwner.get(owner) ?? new Map<number, GrowingSet>();
      byOwner.set(owner, ofOwner.set(class_ * 0x1_0000 + type, set));
    }
    set.ttl = Math.min(set.ttl, record.ttl);
    set.rdatas.add(record.rdata);
  };
  for (const record of records) if (record.type !== Type.RRSIG) add(record);
  for (const record of records) {
    if (record.type !== Type.RRSIG) continue;
    const covered = ((record.rdata[0] ?? 0) << 8) | (record.rdata[1] ?? 0);
    const set = covered === Type.RRSIG ? undefined : find(record, covered);
    if (set === undefined) add(record);
    else set.signatures.add(record.rdata);
  }
  return sets.map(({ owner, type, class: class_, ttl, rdatas, signatures }) => ({
    owner,
    type,
    class: class_,
    ttl,
    rdatas: rdatas.all,
    signatures: signatures.all,
  }));
}

/** RDATA without doubles; most often it is one alone, which is not compared with anything. */
class OnceEach {
  readonly all: Uint8Array[] = [];
  #seen: Set<string> | undefined;

  add(rdata: Uint8Array): void {
    if (this.all.length > 0) {
      this.#seen ??= new Set(this.all.map((r) => r.toHex()));
      const text = rdata.toHex();
      if (this.#seen.has(text)) return;
      this.#seen.add(text);
    }
    this.all.push(rdata);
  }
}

interface GrowingSet {
  readonly owner: NameKey;
  readonly type: number;
  readonly class: number;
  ttl: number;
  readonly rdatas: OnceEach;
  readonly signatures: OnceEach;
}
