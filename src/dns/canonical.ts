import { compareOctets } from '../wire/octets.ts';
import { foldedPieces } from './rdata-names.ts';

/**
 * RDATA in canonical form: names of the types that RFC 4034 §6.2 lists, as RFC 6840 §5.1 amends it, in lower case
 * (NSEC not, RRSIG's signer is). Other RDATA, and RDATA not built as its type says, comes back as it is.
 */
export function canonicalRdata(type: number, rdata: Uint8Array): Uint8Array {
  const pieces = foldedPieces(type, rdata);
  if (pieces === undefined) return rdata;
  let folded: Uint8Array | undefined;
  for (const { start, end, isName } of pieces) {
    if (!isName) continue;
    // Length octets are below every letter, so the whole name can be folded alike.
    for (let i = start; i < end; i++) {
      const octet = rdata[i] ?? 0;
      if (octet < 0x41 || octet > 0x5a) continue;
      folded ??= rdata.slice();
      folded[i] = octet + 0x20;
    }
  }
  return folded ?? rdata;
}

/** The RDATAs of an RRset in canonical form and order, doubles taken out (RFC 4034 §6.3). */
export function canonicalRdatas(type: number, rdatas: readonly Uint8Array[]): Uint8Array[] {
  const sorted = rdatas.map((rdata) => canonicalRdata(type, rdata)).sort(compareOctets);
  return sorted.filter((rdata, i) => i === 0 || compareOctets(rdata, sorted[i - 1] ?? rdata) !== 0);
}
