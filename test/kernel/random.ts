import type { Random } from '../../src/random.ts';

/** xorshift32: the same seed gives the same octets. */
export function seeded(seed: number): Random {
  let x = seed | 1;
  const next = (): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  return { octets: (count) => Uint8Array.from({ length: count }, () => next() >>> 24) };
}
