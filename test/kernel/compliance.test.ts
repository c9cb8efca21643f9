import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FakeKernel } from '../../src/kernel/fake.ts';
import { complianceTests } from './compliance.ts';
import { seeded } from './random.ts';

describe('the fake kernel keeps the promises of the port:', () => {
  for (const { name, run } of complianceTests(() => new FakeKernel({ random: seeded(1) }))) test(name, run);
});

describe('the real kernel keeps the promises of the port, as far as it has ESP:', () => {
  const namespace = spawnSync('unshare', ['--net', 'true']);
  const why =
    namespace.status === 0 ? undefined : 'no network namespace can be made (root is needed, and unshare)';

  test.skipIf(why !== undefined)(`in a network namespace of its own${why ? ` (${why})` : ''}`, () => {
    const script = join(import.meta.dirname, 'compliance-run.ts');
    const ran = spawnSync('unshare', ['--net', process.execPath, script], { encoding: 'utf8' });
    expect(`${ran.stdout}${ran.stderr}`).not.toMatch(/^failed/m);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^\d+ passed, 0 failed/m);
  });
});
