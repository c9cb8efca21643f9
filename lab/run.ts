/**
 * `npm run lab`: boots the lab's kernel and runs the scenarios in it; exits 1 when one fails.
 *
 *   npm run lab                          every scenario
 *   npm run lab -- a b                   those whose file begins with these letters
 *   npm run lab -- --report FILE         writes {"passed": N, "failed": N} as well
 *   npm run lab -- --exec 'COMMAND'      runs COMMAND in the kernel instead, from the checkout's root
 *   … --out DIRECTORY --timeout SECONDS  where the logs go, and when the kernel is stopped
 *   … --kernels N                        so many kernels take from the list side by side, one for each of up to two
 *                                        processors where nothing is said
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { outDirectory } from './out.ts';
import { ensureBrowser, ensureRoot } from './root.ts';
import { bootUml, type BootResult } from './uml.ts';

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
    kernels: { type: 'string', default: String(Math.min(2, availableParallelism())) },
  },
});

/** They begin first, so that no kernel is left with one of them at the end. */
const long = ['verdicts', 'kernel', 'transports'];
/** They measure, and are played when nothing else is. */
const measuring = ['e-without-key'];

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
    .sort((a, b) => Number(long.includes(b)) - Number(long.includes(a)) || (a < b ? -1 : 1));
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
  for (const name of names) rmSync(join(out, name), { recursive: true, force: true });
  const together = names.filter((name) => !measuring.includes(name));
  const kernels = Math.max(1, Math.min(Number(values.kernels), together.length));
  const scenarios = `${names.length} scenario${names.length === 1 ? '' : 's'}`;
  console.log(
    `Booting ${kernels === 1 ? 'a kernel' : `${kernels} kernels`} for ${scenarios} (logs and recordings in ${out}) …`,
  );
  const begin = performance.now();
  const apart = names.filter((name) => measuring.includes(name));
  const own = (i: number): string => (kernels === 1 ? out : join(out, `kernel-${i + 1}`));
  const results =
    together.length === 0
      ? []
      : await Promise.all(Array.from({ length: kernels }, (_, i) => play(view, together, out, own(i))));
  if (apart.length > 0) results.push(await play(view, apart, out, join(out, 'apart')));
  for (const { ran } of results) if (ran.trouble !== undefined) console.error(ran.trouble);
  const passed = results.reduce((sum, r) => sum + r.passed, 0);
  // A scenario that no kernel came to the end of counts as failed.
  const failed = names.length - passed;
  report({ passed, failed });
  console.log(
    `The lab: ${passed} passed, ${failed} failed (${Math.round((performance.now() - begin) / 1000)} s).`,
  );
  return failed === 0 ? 0 : 1;
}

/** One kernel, and what it plays of `names`; of several, each tells its lines a scenario at a time. */
async function play(
  view: string,
  names: readonly string[],
  out: string,
  own: string,
): Promise<Report & { readonly ran: BootResult }> {
  let lines: string[] = [];
  const tell = (): void => {
    if (lines.length > 0) console.log(lines.join('\n'));
    lines = [];
  };
  const ran = await bootUml({
    root: view,
    out,
    own,
    command: `cd /tmp && exec /oe/node_modules/node/bin/node /oe/lab/guest/main.ts ${names.join(' ')}\n`,
    timeoutMs: Number(values.timeout) * 1000,
    line: (text) => {
      lines.push(text);
      if (own === out || /^ {2}(passed|FAILED) in /.test(text)) tell();
    },
  });
  tell();
  return { ...readReport(join(own, 'result.json')), ran };
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
