import { toLatin1 } from '../wire/octets.ts';
import type { Writer } from '../wire/writer.ts';
import { rootName, type NameKey } from './name.ts';
import { compressiblePieces } from './rdata-names.ts';

/** Offsets from here on do not fit a compression pointer (RFC 1035 §4.1.4: 14 bits). */
const pointerLimit = 0x4000;

/** Writes the names of one message, pointing at an ending that is already there (RFC 1035 §4.1.4). */
export class NameWriter {
  readonly #w: Writer;
  /** The one that stands whole in the message, and most others equal: where nothing else is written no ending is wanted. */
  #first: { readonly name: string; readonly offset: number } | undefined;
  readonly #offsets = new Map<string, number>();

  /** `w` must begin where the message does. */
  constructor(w: Writer) {
    this.#w = w;
  }

  /** The first name of the message stands at `offset`, uncompressed. */
  remember(name: NameKey, offset: number): void {
    this.#first = { name, offset };
  }

  /** `name` is a {@link NameKey}, or wire octets as latin1 text in any case: case is kept, and told apart. */
  name(name: string): void {
    const first = this.#first;
    if (name === first?.name && name !== rootName) {
      this.#w.u16(0xc000 | first.offset);
      return;
    }
    const begin = this.#w.length;
    let end = 0;
    let pointer: number | undefined;
    if (first) {
      if (this.#offsets.size === 0) this.#note(first.name, first.offset, first.name.length);
      for (let length; (length = name.charCodeAt(end)) > 0; end += 1 + length) {
        pointer = this.#offsets.get(name.slice(end));
        if (pointer !== undefined) break;
      }
    } else {
      end = name.length - 1;
      if (begin < pointerLimit) this.#first = { name, offset: begin };
    }
    for (let i = 0; i < end; i++) this.#w.u8(name.charCodeAt(i));
    if (pointer === undefined) this.#w.u8(0);
    else this.#w.u16(0xc000 | pointer);
    if (first) this.#note(name, begin, end);
  }

  /** The endings of `name` that begin before `end`. */
  #note(name: string, offset: number, end: number): void {
    for (let at = 0; at < end && offset + at < pointerLimit; at += 1 + name.charCodeAt(at))
      if (name.charCodeAt(at) > 0) this.#offsets.set(name.slice(at), offset + at);
  }

  /** RDLENGTH and RDATA; only names in types of RFC 1035 are compressed (RFC 3597 §4). */
  rdata(type: number, rdata: Uint8Array): void {
    this.#w.lengthPrefixed16(() => {
      const pieces = compressiblePieces(type, rdata);
      if (pieces === undefined) {
        this.#w.octets(rdata);
        return;
      }
      for (const { start, end, isName } of pieces) {
        const piece = rdata.subarray(start, end);
        if (isName) this.name(toLatin1(piece));
        else this.#w.octets(piece);
      }
    });
  }
}
