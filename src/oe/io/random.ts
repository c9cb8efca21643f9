import { randomFillSync } from 'node:crypto';
import type { Random } from '../../random.ts';

/** The operating system's random numbers. */
export const systemRandom: Random = { octets: (count) => randomFillSync(new Uint8Array(count)) };
