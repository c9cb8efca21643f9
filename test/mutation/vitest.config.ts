/** The unit tests with the mutant of `OE_MUTANT` in the source. */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { mutated, type Mutant } from './mutants.ts';

const mutant = JSON.parse(process.env['OE_MUTANT'] ?? '') as Mutant;
const root = fileURLToPath(new URL('../../', import.meta.url));

// eslint-disable-next-line no-restricted-syntax -- vitest looks for it
export default defineConfig({
  root,
  plugins: [
    {
      name: 'mutant',
      enforce: 'pre',
      transform: (text, id) => (id === root + mutant.file ? mutated(text, mutant) : undefined),
    },
  ],
  test: { include: ['test/dns/*.test.ts'], fileParallelism: false },
});
