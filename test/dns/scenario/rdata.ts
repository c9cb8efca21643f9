/** RDATA from the words of a zone file, for the types that scenes are written with. */
import { fromBase32Hex } from '../../../src/dns/dnssec/base32.ts';
import { Type, typeOf } from '../../../src/dns/types.ts';
import { concatOctets, fromBase64, fromHex } from '../../../src/wire/octets.ts';
import { encoded, type Writer } from '../../../src/wire/writer.ts';
import { writeTypeBitmap } from '../bitmap.ts';
import { address, ipseckey, txt, wire } from '../zone.ts';

/** The octets of `words` as RDATA of `type`; `\# 4 C0000201` (RFC 3597 §5) is for any type. Throws SyntaxError. */
export function rdataOf(type: number, words: readonly string[]): Uint8Array {
  const [first = '', second = ''] = words;
  if (first === '\\#') return fromHex(words.slice(2).join(''));
  switch (type) {
    case Type.A:
    case Type.AAAA:
      return address(first);
    case Type.NS:
    case Type.CNAME:
    case Type.DNAME:
    case Type.PTR:
      return wire(first);
    case Type.MX:
      return encoded((w) => {
        w.u16(number(first));
        w.octets(wire(second));
      });
    case Type.SRV:
      return encoded((w) => {
        for (const n of words.slice(0, 3)) w.u16(number(n));
        w.octets(wire(words[3] ?? ''));
      });
    case Type.SOA:
      return encoded((w) => {
        w.octets(concatOctets(wire(first), wire(second)));
        for (const n of words.slice(2, 7)) w.u32(number(n));
      });
    case Type.TXT:
      return concatOctets(...words.map(txt));
    case Type.DS:
      return encoded((w) => {
        w.u16(number(first));
        w.u8(number(second));
        w.u8(number(words[2]));
        w.octets(fromHex(words.slice(3).join('')));
      });
    case Type.DNSKEY:
      return encoded((w) => {
        w.u16(number(first));
        w.u8(number(second));
        w.u8(number(words[2]));
        w.octets(fromBase64(words.slice(3).join('')));
      });
    case Type.IPSECKEY:
      return ipseckey(number(first));
    case Type.NSEC:
      return encoded((w) => {
        w.octets(wire(first));
        writeTypeBitmap(w, typesOf(words.slice(1)));
      });
    case Type.NSEC3:
      return encoded((w) => {
        w.u8(number(first));
        w.u8(number(second));
        w.u16(number(words[2]));
        short(w, words[3] === '-' ? new Uint8Array() : fromHex(words[3] ?? ''));
        short(w, fromBase32Hex(words[4] ?? '') ?? new Uint8Array());
        writeTypeBitmap(w, typesOf(words.slice(5)));
      });
    default:
      throw new SyntaxError(`RDATA of type ${type} has to be written as \\# octets`);
  }
}

/** A type that scenes may name, `TYPE65534` too. */
export function typeNamed(text: string): number {
  const type = typeOf(text);
  if (type === undefined) throw new SyntaxError(`${text} is no type`);
  return type;
}

function typesOf(words: readonly string[]): number[] {
  return words.map((word) => (word === 'NXNAME' ? 128 : typeNamed(word)));
}

function short(w: Writer, octets: Uint8Array): void {
  w.u8(octets.length);
  w.octets(octets);
}

export function number(text: string | undefined): number {
  if (text === undefined || !/^\d+$/.test(text)) throw new SyntaxError(`${text ?? 'nothing'} is no number`);
  return Number(text);
}
