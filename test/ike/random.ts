import type { Random } from '../../src/random.ts';

/** A seeded source (mulberry32): the same seed, the same octets. */
export function seeded(seed: number): Random & { below(limit: number): number } {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    octets: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    below: (limit) => next() % limit,
  };
}

/** Gives exactly the octets of `hex`, for private keys of test vectors. */
export function fixed(hex: string): Random {
  const octets = Uint8Array.fromHex(hex);
  return {
    octets: (count) => {
      if (count !== octets.length) throw new Error(`${count} octets wanted, ${octets.length} fixed`);
      return octets.slice();
    },
  };
}
