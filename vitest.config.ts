import { defineConfig } from 'vitest/config';

export default defineConfig({
  // The default leaves one processor idle; the simulation is to use both of a small machine.
  test: { include: ['test/**/*.test.ts'], testTimeout: 120_000, pool: 'forks', maxWorkers: '100%' },
});
