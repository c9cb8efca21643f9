/**
 * `npm test`: the unit, property and simulation tests, then the lab where this machine allows it.
 * `npm test -- --unit` leaves the lab out. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Part {
  readonly passed: number;
  readonly failed: number;
}

const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'oe-test-'));
const parts: Part[] = [];

try {
  console.log('== Unit, property and simulation tests ==');
  parts.push(unitTests());
  if (process.argv.includes('--unit')) {
    console.log('\nThe lab did not run: --unit leaves it out.');
  } else {
    console.log('\n== The lab: a real kernel, real DNS servers, real peers ==');
    parts.push(lab());
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const passed = parts.reduce((sum, part) => sum + part.passed, 0);
const failed = parts.reduce((sum, part) => sum + part.failed, 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

function unitTests(): Part {
  const file = join(scratch, 'unit.json');
  const run = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules/vitest/vitest.mjs'),
      'run',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ],
    { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const report = readReport(file) as { numPassedTests?: number; numFailedTests?: number } | undefined;
  const counted = { passed: report?.numPassedTests ?? 0, failed: report?.numFailedTests ?? 0 };
  // A run that ended badly without a failing test (a file that did not load, say) still counts as one failure.
  return run.status === 0 || counted.failed > 0 ? counted : { ...counted, failed: 1 };
}

function lab(): Part {
  const file = join(scratch, 'lab.json');
  const run = spawnSync(process.execPath, [join(root, 'lab/run.ts'), '--report', file], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const report = readReport(file) as { passed: number; failed: number } | undefined;
  if (!report) return { passed: 0, failed: 1 };
  return run.status === 0 || report.failed > 0 ? report : { ...report, failed: 1 };
}

function readReport(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
