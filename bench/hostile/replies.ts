/** Replies that no server sends who means well: up to 64 KiB, octet by octet. */
import type { ResourceRecord } from '../../src/dns/message.ts';
import { Type } from '../../src/dns/types.ts';
import { concatOctets } from '../../src/wire/octets.ts';

/** What follows the owner of an A record. */
const afterOwner = Uint8Array.of(0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1);

/** Records whose owner is a pointer to the question's name: as many as there is room for. */
export function records(
  query: Uint8Array,
  make: (i: number) => Pick<ResourceRecord, 'type' | 'rdata'>,
): Uint8Array {
  return filled(query, (i) => {
    const { type, rdata } = make(i);
    const head = [0xc0, 12, ...u16(type), 0, 1, 0, 0, 0, 60, ...u16(rdata.length)];
    return concatOctets(Uint8Array.from(head), rdata);
  });
}

/** One record with the longest name, and many whose owner points to it. */
export function pointersToLongName(query: Uint8Array): Uint8Array {
  const at = 12 + questionOf(query).length;
  const long = new Uint8Array(255);
  for (let i = 0; i < 254; i += 2) long.set([1, 0x61], i);
  return filled(query, (i) => concatOctets(i === 0 ? long : pointer(at), afterOwner));
}

/** Each owner is one label and a pointer to the owner before, up to 120, and again. */
export function pointersToPointers(query: Uint8Array): Uint8Array {
  let at = 12 + questionOf(query).length;
  let before = 12;
  return filled(query, (i) => {
    const owner = i % 100 === 0 ? pointer(12) : concatOctets(Uint8Array.of(1, 0x61), pointer(before));
    // Pointers have 14 bits: what is further on begins anew.
    before = at < 0x3fff ? at : 12;
    const record = concatOctets(owner, afterOwner);
    at += record.length;
    return record;
  });
}

/** An address, and an OPT record with so many empty options. */
export function manyOptions(query: Uint8Array, count: number): Uint8Array {
  const options = new Uint8Array(4 * count);
  for (let i = 0; i < count; i++) options.set([...u16(65_001), 0, 0], 4 * i);
  const opt = Uint8Array.of(0, 0, Type.OPT, 4, 0xd0, 0, 0, 0, 0, ...u16(options.length));
  const reply = concatOctets(header(query, 1), questionOf(query), pointer(12), afterOwner, opt, options);
  reply[11] = 1;
  return reply;
}

/** The same with TC and without records, where a reply does not go into a datagram. */
export function truncated(query: Uint8Array): Uint8Array {
  const reply = concatOctets(header(query, 0), questionOf(query));
  reply[2] = (reply[2] ?? 0) | 2;
  return reply;
}

function filled(query: Uint8Array, make: (i: number) => Uint8Array): Uint8Array {
  const question = questionOf(query);
  const made: Uint8Array[] = [];
  for (let left = 65_535 - 12 - question.length; ;) {
    const record = make(made.length);
    left -= record.length;
    if (left < 0) break;
    made.push(record);
  }
  return concatOctets(header(query, made.length), question, ...made);
}

function header(query: Uint8Array, answers: number): Uint8Array {
  return Uint8Array.of(query[0] ?? 0, query[1] ?? 0, 0x85, 0x80, 0, 1, ...u16(answers), 0, 0, 0, 0);
}

/** The question, with the letters as they came. */
function questionOf(query: Uint8Array): Uint8Array {
  const end = query.indexOf(0, 12) + 5;
  return query.slice(12, end);
}

function pointer(at: number): Uint8Array {
  return Uint8Array.from(u16(0xc000 | at));
}

function u16(n: number): [number, number] {
  return [(n >> 8) & 0xff, n & 0xff];
}
