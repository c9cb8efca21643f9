import { randomFillSync } from 'node:crypto';
import type { Random } from '../../random.ts';

/** The operating system's random numbers, fetched many at a time: each DNS question takes a few octets. */
export const systemRandom: Random = {
  octets: (count) => {
    if (count > longestFromPool) return randomFillSync(new Uint8Array(count));
    if (used + count > pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const octets = pool.slice(used, used + count);
    pool.fill(0, used, used + count); // Given out once, and then nowhere but there.
    used += count;
    return octets;
  },
};

const pool = new Uint8Array(4_096);
const longestFromPool = 64;
let used = pool.length;
