/**
 * Mutation check of the validator: puts one thing wrong at a time in `src/dns/dnssec`, plays all scenes, and tells
 * which mutants nobody noticed. Those of `equivalent.txt` change no verdict, for the reason that stands there.
 *
 *     npm run mutation -- [words in the names of files] [--units] [--again=OUTPUT]
 *
 * With `--units` the unit tests have a look at what the scenes did not notice; it takes long. With `--again` only those
 * are played that the output of an earlier run says nobody noticed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { mutantsOf, mutated, type Mutant } from './mutants.ts';

const root = new URL('../../', import.meta.url);
const directory = 'src/dns/dnssec/';
/** Seconds after which a mutant that has not come to an end counts as noticed: it goes round for ever. */
const patience = 150;
/** Mutants of one process: each leaves its modules behind. */
const perWorker = 150;
const unitTests = ['chain', 'denial', 'positive', 'dnssec-vectors', 'limits', 'real-world', 'resolver'];

const args = process.argv.slice(2);
const words = args.filter((a) => !a.startsWith('--'));
const names = readdirSync(new URL(directory, root));
// In the order of the words: whoever stops a run has those that came first.
const files = [
  ...new Set(words.length === 0 ? names : words.flatMap((w) => names.filter((n) => n.includes(w)))),
].map((name) => directory + name);
const again = args.find((a) => a.startsWith('--again='))?.slice('--again='.length);
const earlier = again === undefined ? undefined : readFileSync(again, 'utf8');
const mutants = files
  .flatMap((file) => mutantsOf(file, readFileSync(new URL(file, root), 'utf8')))
  .filter((m) => earlier === undefined || earlier.includes(`unnoticed by scenes: ${m.id} (line`))
  // What works while a module is loaded is played in all scenes, which takes longest.
  .sort((x, y) => Number(x.isTop) - Number(y.isTop));
const equivalent = readEquivalent();
console.log(`${mutants.length} mutants of ${files.length} files`);

const survivors: Mutant[] = [];
let known = 0;
const alive = await firstKiller(started());
if (alive !== undefined) throw new Error(`without any mutant there is something wrong: ${alive}`);
for (let from = 0; from < mutants.length; from += perWorker)
  await playAll(mutants.slice(from, from + perWorker), from);

const unnoticed = args.includes('--units') ? survivors.filter((m) => !unitsNotice(m)) : survivors;
console.log(
  `\n${mutants.length} mutants, ${mutants.length - unnoticed.length - known} noticed, ${known} equivalent`,
);
for (const mutant of unnoticed) console.log(`survives: ${mutant.id} (line ${mutant.line})`);
process.exitCode = unnoticed.length > 0 ? 1 : 0;

function started(): Worker {
  return new Worker(new URL('worker.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
}

/** What is wrong without any mutant. */
async function firstKiller(worker: Worker): Promise<string | undefined> {
  const killer = await new Promise<string | undefined>((resolve, reject) => {
    worker.on('message', (message: { readonly kind: string; readonly killer?: string }) => {
      if (message.kind === 'done') resolve(message.killer);
    });
    worker.on('error', reject);
    worker.postMessage({ id: 0, mutant: undefined });
  });
  await worker.terminate();
  return killer;
}

async function playAll(some: readonly Mutant[], offset: number): Promise<void> {
  let worker = started();
  for (const [i, mutant] of some.entries()) {
    if (equivalent.has(mutant.id)) {
      known++;
      continue;
    }
    const killer = await new Promise<string | undefined>((resolve) => {
      const timer = setTimeout(() => {
        void worker.terminate();
        worker = started();
        resolve('it goes on for ever');
      }, patience * 1000);
      worker.removeAllListeners();
      worker.on('message', (message: { readonly kind: string; readonly killer?: string }) => {
        if (message.kind !== 'done') return;
        clearTimeout(timer);
        resolve(message.killer);
      });
      worker.on('error', () => {
        clearTimeout(timer);
        worker = started();
        resolve('it ends the process');
      });
      worker.postMessage({ id: offset + i + 1, mutant });
    });
    if (killer === undefined) {
      survivors.push(mutant);
      console.log(`unnoticed by scenes: ${mutant.id} (line ${mutant.line})`);
    }
    if ((offset + i + 1) % 50 === 0) console.log(`${offset + i + 1} of ${mutants.length}`);
  }
  await worker.terminate();
}

/** The unit tests in a copy of the source, or rather in the source itself for a moment, put right again at once. */
function unitsNotice(mutant: Mutant): boolean {
  const file = new URL(mutant.file, root);
  const text = readFileSync(file, 'utf8');
  try {
    writeFileSync(file, mutated(text, mutant));
    const tests = unitTests.map((name) => `test/dns/${name}.test.ts`);
    const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', root));
    const run = spawnSync(process.execPath, [vitest, 'run', '--bail=1', ...tests], {
      cwd: fileURLToPath(root),
      timeout: patience * 2000,
    });
    return run.status !== 0;
  } finally {
    writeFileSync(file, text);
  }
}

/** Lines of `equivalent.txt`: a mutant, then a line with the reason, indented. */
function readEquivalent(): Set<string> {
  const file = new URL('equivalent.txt', import.meta.url);
  if (!existsSync(file)) return new Set();
  return new Set(
    readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('src/')),
  );
}
