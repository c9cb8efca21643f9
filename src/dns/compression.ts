import { toLatin1 } from '../wire/octets.ts';
import type { Writer } from '../wire/writer.ts';
import { rootName, type NameKey } from './name.ts';
import { compressiblePieces } from './rdata-names.ts';

/** Offsets from here on do not fit a compression pointer (RFC 1035 §4.1.4: 14 bits). */
const pointerLimit = 0x4000;

/** Writes the names of one message, pointing at an ending that is already there (RFC 1035 §4.1.4). */
export class NameWriter {
  readonly #w: Writer;
  readonly #offsets = new Map<string, number>();

  /** `w` must begin where the message does. */
  constructor(w: Writer) {
    this.#w = w;
  }

  /** A name and its endings already stand at `offset`, uncompressed. */
  remember(name: NameKey, offset: number): void {
    for (let at = 0; name.charCodeAt(at) > 0 && offset + at < pointerLimit; at += 1 + name.charCodeAt(at)) {
      const ending = name.slice(at);
      if (!this.#offsets.has(ending)) this.#offsets.set(ending, offset + at);
    }
  }

  /** `name` is a {@link NameKey}, or wire octets as latin1 text in any case: case is kept, and told apart. */
  name(name: string): void {
    let at = 0;
    for (let length; (length = name.charCodeAt(at)) > 0; at += 1 + length) {
      const ending = name.slice(at);
      const offset = this.#offsets.get(ending);
      if (offset !== undefined) {
        this.#w.u16(0xc000 | offset);
        return;
      }
      if (this.#w.length < pointerLimit) this.#offsets.set(ending, this.#w.length);
      for (let i = at; i <= at + length; i++) this.#w.u8(name.charCodeAt(i));
    }
    this.#w.u8(rootName.charCodeAt(0));
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
