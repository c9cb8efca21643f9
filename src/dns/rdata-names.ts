import { readNameOctets } from './name.ts';
import { Type } from './types.ts';
import { concatOctets } from '../wire/octets.ts';
import type { Reader } from '../wire/reader.ts';

/** A field of RDATA: a domain name, a character-string (RFC 1035 §3.3), or so many octets of anything else. */
type Field = 'name' | 'string' | number;

interface Layout {
  readonly fields: readonly Field[];
  /** More octets may follow the last field. */
  readonly open: boolean;
  /** One of RFC 1035's own types: the only ones whose names a sender may compress (RFC 3597 §4). */
  readonly compressible: boolean;
}

const rfc1035 = (...fields: readonly Field[]): Layout => ({ fields, open: false, compressible: true });
const newer = (...fields: readonly Field[]): Layout => ({ fields, open: false, compressible: false });

/**
 * The types whose names are expanded when they come compressed (RFC 3597 §4) and count in lower case for DNSSEC
 * (RFC 4034 §6.2 as amended by RFC 6840 §5.1). RRSIG belongs to the second set alone, NSEC to neither. A6 is
 * left out: it is historic (RFC 6563).
 */
const layouts = new Map<number, Layout>([
  [Type.NS, rfc1035('name')],
  [3 /* MD */, rfc1035('name')],
  [4 /* MF */, rfc1035('name')],
  [Type.CNAME, rfc1035('name')],
  [Type.SOA, rfc1035('name', 'name', 20)],
  [7 /* MB */, rfc1035('name')],
  [8 /* MG */, rfc1035('name')],
  [9 /* MR */, rfc1035('name')],
  [Type.PTR, rfc1035('name')],
  [14 /* MINFO */, rfc1035('name', 'name')],
  [Type.MX, rfc1035(2, 'name')],
  [Type.RP, newer('name', 'name')],
  [Type.AFSDB, newer(2, 'name')],
  [21 /* RT */, newer(2, 'name')],
  [Type.SIG, { fields: [18, 'name'], open: true, compressible: false }],
  [26 /* PX */, newer(2, 'name', 'name')],
  [30 /* NXT */, { fields: ['name'], open: true, compressible: false }],
  [Type.SRV, newer(6, 'name')],
  [Type.NAPTR, newer(4, 'string', 'string', 'string', 'name')],
  [Type.KX, newer(2, 'name')],
  [Type.DNAME, newer('name')],
]);

const rrsigLayout: Layout = { fields: [18, 'name'], open: true, compressible: false };

/** A piece of RDATA without compression; offsets in octets. */
interface Piece {
  readonly start: number;
  readonly end: number;
  readonly isName: boolean;
}

/**
 * RDLENGTH and the RDATA of `type`, names expanded and in the case they came in; owned. A name that does not end
 * where RDLENGTH says is a WireError.
 */
export function readRdata(reader: Reader, type: number): Uint8Array {
  const length = reader.u16();
  const layout = layouts.get(type);
  // Not slice(), which does not copy where Node gave us one of its Buffers.
  if (layout === undefined) return new Uint8Array(reader.octets(length));
  const r = reader.sub(length);
  const parts = layout.fields.map((field) => {
    if (field === 'name') return readNameOctets(r);
    return r.octets(field === 'string' ? 1 + (r.octetsAll[r.offset] ?? 0) : field);
  });
  if (layout.open) parts.push(r.rest());
  r.done();
  return concatOctets(...parts);
}

/** Where the names in `rdata` are that a sender may compress; undefined where there are none. */
export function compressiblePieces(type: number, rdata: Uint8Array): readonly Piece[] | undefined {
  const layout = layouts.get(type);
  return layout?.compressible === true ? piecesOf(layout, rdata) : undefined;
}

/** Where the names in `rdata` are that DNSSEC takes in lower case; undefined where there are none. */
export function foldedPieces(type: number, rdata: Uint8Array): readonly Piece[] | undefined {
  const layout = type === Type.RRSIG ? rrsigLayout : layouts.get(type);
  return layout && piecesOf(layout, rdata);
}

/** Undefined where `rdata` is not built as its type says. */
function piecesOf(layout: Layout, rdata: Uint8Array): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  let at = 0;
  for (const field of layout.fields) {
    const start = at;
    if (field === 'name') at = endOfName(rdata, at);
    else at += field === 'string' ? 1 + (rdata[at] ?? 0) : field;
    if (at > rdata.length) return undefined;
    pieces.push({ start, end: at, isName: field === 'name' });
  }
  if (at < rdata.length) {
    if (!layout.open) return undefined;
    pieces.push({ start: at, end: rdata.length, isName: false });
  }
  return pieces;
}

/** Beyond the end of `octets` where the name does not end. */
function endOfName(octets: Uint8Array, start: number): number {
  let at = start;
  for (;;) {
    const length = octets[at];
    if (length === undefined || length > 63) return octets.length + 1;
    at += 1 + length;
    if (length === 0) return at;
  }
}
