import type { Random } from '../../src/random.ts';

/** xoshiro128** (Blackman, Vigna): fast, and the same seed gives the same run. Not for secrets. */
export class SeededRandom implements Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: number) {
    // splitmix32 fills the state, so that neighbouring seeds have nothing in common.
    let x = seed >>> 0;
    for (let i = 0; i < 4; i++) {
      x = (x + 0x9e37_79b9) >>> 0;
      let z = x;
      z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
      this.#state[i] = z ^ (z >>> 16);
    }
  }

  u32(): number {
    const s = this.#state;
    const [a = 0, b = 0, c = 0, d = 0] = s;
    const turned = Math.imul(b, 5);
    const result = Math.imul((turned << 7) | (turned >>> 25), 9) >>> 0;
    const t = b << 9;
    const [c1, d1] = [c ^ a, d ^ b];
    s[1] = b ^ c1;
    s[0] = a ^ d1;
    s[2] = c1 ^ t;
    s[3] = (d1 << 11) | (d1 >>> 21);
    return result;
  }

  octets(count: number): Uint8Array {
    const octets = new Uint8Array(count);
    for (let i = 0; i < count; i += 4) {
      const word = this.u32();
      for (let j = 0; j < 4 && i + j < count; j++) octets[i + j] = word >>> (8 * j);
    }
    return octets;
  }

  /** In [0, 1). */
  unit(): number {
    return this.u32() / 0x1_0000_0000;
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  between(least: number, most: number): number {
    return least + this.unit() * (most - least);
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[Math.floor(this.unit() * choices.length)] ?? choices[0];
  }
}
