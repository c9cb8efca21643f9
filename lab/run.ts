/**
 * `npm run lab`: boots the lab's kernel and runs the scenarios in it; exits 1 when one fails.
 *
 *   npm run lab                          every scenario
 *   npm run lab -- a b                   those whose file begins with these letters
 *   npm run lab -- --report FILE         writes {"passed": N, "failed": N} as well
 *   npm run lab -- --exec 'COMMAND'      runs COMMAND in the kernel instead, from the checkout's root
 *   … --out DIRECTORY --timeout SECONDS  where the logs go, and when the kernel is stopped
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { outDirectory } from './out.ts';
import { ensureBrowser, ensureRoot } from './root.ts';
import { bootUml } from './uml.ts';

interface Report {
  readonly passed: number;
  readonly failed: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    report: { type: 'string' },
    exec: { type: 'string' },
    out: { type: 'string' },
    timeout: { type: 'string', default: '2400' },
  },
});

const root = await ensureRoot(console.log);
if (!root.ok) {
  console.log(`The lab did not run: ${root.why}`);
  report({ passed: 0, failed: 0 });
  process.exitCode = values.exec === undefined ? 0 : 1;
} else if (values.exec !== undefined) {
  const ran = await bootUml({
    root: root.directory,
    out: outOf('exec'),
    command: `cd /oe && export PATH="/oe/node_modules/node/bin:$PATH"\n${values.exec}\n`,
    timeoutMs: Number(values.timeout) * 1000,
    line: console.log,
  });
  if (ran.trouble !== undefined) console.error(ran.trouble);
  process.exitCode = ran.code ?? 1;
} else {
  process.exitCode = await scenarios(root.directory);
}

async function scenarios(directory: string): Promise<number> {
  const names = readdirSync(join(import.meta.dirname, 'scenarios'))
    .filter(
      (file) =>
        file.endsWith('.ts') && (positionals.length === 0 || positionals.some((p) => file.startsWith(p))),
    )
    .map((file) => file.slice(0, -3))
    .sort();
  if (names.length === 0) {
    console.error(`No scenario begins with ${positionals.join(' or ')}.`);
    return 64;
  }
  const out = outOf('last');
  let view = directory;
  if (names.includes('programs')) {
    const browser = await ensureBrowser(directory, console.log);
    if (browser.ok) view = `${browser.directory}:${directory}`;
    else console.log(`${browser.why} It is left out.`);
  }
  console.log(`Booting the lab's kernel for ${names.length} scenarios (logs and recordings in ${out}) …`);
  const ran = await bootUml({
    root: view,
    out,
    command: `cd /tmp && exec /oe/node_modules/node/bin/node /oe/lab/guest/main.ts ${names.join(' ')}\n`,
    timeoutMs: Number(values.timeout) * 1000,
    line: console.log,
  });
  if (ran.trouble !== undefined) console.error(ran.trouble);
  const result = readReport(join(out, 'result.json'));
  // A scenario that the kernel never came to counts as failed.
  const failed = Math.max(result.failed, names.length - result.passed);
  report({ passed: result.passed, failed });
  console.log(`The lab: ${result.passed} passed, ${failed} failed (${Math.round(ran.tookMs / 1000)} s).`);
  return failed === 0 ? 0 : 1;
}

function outOf(kind: 'last' | 'exec'): string {
  return values.out === undefined ? outDirectory(kind) : resolve(values.out);
}

function readReport(file: string): Report {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } catch {
    return { passed: 0, failed: 0 };
  }
}

function report(result: Report): void {
  if (values.report !== undefined) writeFileSync(values.report, JSON.stringify(result));
}
