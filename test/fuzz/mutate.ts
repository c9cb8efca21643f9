/** xorshift32: a quarter of a nanosecond a number, which is what millions of inputs want. */
export class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0 || 1;
  }

  below(n: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % n;
  }
}

/** Numbers at which lengths, counts and types turn. */
const odd = [0, 1, 2, 0x0c, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff];

/**
 * One to four changes of a copy of `seed`: flipped bits, odd octets, 16-bit numbers moved by one, octets taken out,
 * doubled or put in, the end cut off, a piece of another input, a compression pointer.
 */
export function mutated(seed: Uint8Array, corpus: readonly Uint8Array[], chance: Chance): Uint8Array {
  let octets: Uint8Array = seed.slice();
  for (let changes = 1 + chance.below(4); changes > 0; changes--) octets = changed(octets, corpus, chance);
  return octets;
}

function changed(octets: Uint8Array, corpus: readonly Uint8Array[], chance: Chance): Uint8Array {
  const { length } = octets;
  if (length === 0) return Uint8Array.of(chance.below(256));
  const at = chance.below(length);
  switch (chance.below(9)) {
    case 0:
    case 1:
      octets[at] = (octets[at] ?? 0) ^ (1 << chance.below(8));
      return octets;
    case 2:
      octets[at] = odd[chance.below(odd.length)] ?? 0;
      return octets;
    case 3: {
      const value = (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)) + (chance.below(2) === 0 ? 1 : -1);
      octets[at] = value >> 8;
      if (at + 1 < length) octets[at + 1] = value;
      return octets;
    }
    case 4:
      return octets.slice(0, at);
    case 5:
      return spliced(octets, at, Math.min(length, at + 1 + chance.below(16)), new Uint8Array());
    case 6:
      return spliced(octets, at, at, octets.subarray(at, at + 1 + chance.below(32)));
    case 7: {
      const other = corpus[chance.below(corpus.length)] ?? octets;
      const from = chance.below(other.length + 1);
      return spliced(octets, at, Math.min(length, at + chance.below(24)), other.subarray(from, from + 48));
    }
    default:
      octets[at] = 0xc0 | chance.below(2);
      if (at + 1 < length) octets[at + 1] = chance.below(length);
      return octets;
  }
}

/** `from` to `to` replaced by `piece`; never longer than a datagram can be. */
function spliced(octets: Uint8Array, from: number, to: number, piece: Uint8Array): Uint8Array {
  const result = new Uint8Array(Math.min(0xffff, octets.length - (to - from) + piece.length));
  result.set(octets.subarray(0, from));
  result.set(piece.subarray(0, result.length - from), from);
  const rest = octets.subarray(to);
  const after = from + piece.length;
  if (after < result.length) result.set(rest.subarray(0, result.length - after), after);
  return result;
}
