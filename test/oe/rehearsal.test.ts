import { expect, test } from 'vitest';
import { espSuites } from '../../src/kernel/algorithms.ts';
import { scratchKey } from '../../src/oe/io/host-key.ts';
import { systemRandom } from '../../src/oe/io/random.ts';
import { rehearse } from '../../src/oe/rehearsal.ts';
import { instant } from '../../src/time.ts';

test('the rehearsal is a whole handshake', () => {
  expect(rehearse(systemRandom, scratchKey(), espSuites, instant(5))).toBe(true);
});

test('a rehearsal that cannot succeed ends all the same', () => {
  expect(rehearse(systemRandom, scratchKey(), [], instant(5))).toBe(false);
});
