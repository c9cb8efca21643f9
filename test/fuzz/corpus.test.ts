import { expect, test } from 'vitest';
import { Chance, mutated } from './mutate.ts';
import { targets } from './targets.ts';

test.each(targets)('$name: whatever comes is a value or a WireError', ({ corpus, decode }) => {
  expect(corpus.length).toBeGreaterThan(0);
  expect(corpus.some((octets) => decode(octets.slice()))).toBe(true);
  const chance = new Chance(2026);
  for (let i = 0; i < 3_000; i++) {
    const octets = mutated(corpus[i % corpus.length] ?? new Uint8Array(), corpus, chance);
    const text = octets.toHex();
    expect(() => decode(octets), text).not.toThrow();
  }
});
