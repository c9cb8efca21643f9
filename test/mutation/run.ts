/**
 * Mutation check of the validator: puts one thing wrong at a time in `src/dns/dnssec`, plays all scenes, and tells
 * which mutants nobody noticed. Those of `equivalent.txt` change no verdict, for the reason that stands there.
 *
 *     npm run mutation -- [words in the names of files] [--workers=2] [--units] [--equivalent] [--again=OUTPUT] [--first=OUTPUT]
 *
 * With `--units` the unit tests have a look at what the scenes did not notice; it takes long. With `--equivalent` those
 * of `equivalent.txt` are played as well, alone. With `--again` only those are played that the output of an earlier run
 * says nobody noticed; with `--first` that run says which scene to play first, and thus sooner ends.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { mutantsOf, type Mutant } from './mutants.ts';
import type { Begun, Noticed, Played } from './worker.ts';

const root = new URL('../../', import.meta.url);
const directory = 'src/dns/dnssec/';
/** Seconds after which a mutant that has not come to an end counts as noticed: it goes round for ever. */
const patience = 45;
/** Mutants of one worker: each leaves its modules behind. */
const perWorker = 150;
/** The likeliest first. */
const unitTests = [
  'zones',
  'aggressive',
  'routes',
  'limits',
  'denial',
  'positive',
  'dnssec-vectors',
  'chain',
  'real-world',
  'resolver',
];

const args = process.argv.slice(2);
const words = args.filter((a) => !a.startsWith('--'));
const names = readdirSync(new URL(directory, root));
// In the order of the words: whoever stops a run has those that came first.
const files = [
  ...new Set(words.length === 0 ? names : words.flatMap((w) => names.filter((n) => n.includes(w)))),
].map((name) => directory + name);
const earlier = outputOf('again');
const firstScenes = new Map(
  [...(outputOf('first') ?? '').matchAll(/^scene "(.*)" notices (.*) \(line \d+\)$/gm)].map(
    ([, title = '', id = '']) => [id, title] as const,
  ),
);
const mutants = files.flatMap((file) => mutantsOf(file, readFileSync(new URL(file, root), 'utf8')));
const equivalent = readEquivalent();
const queue = mutants
  .filter((m) => equivalent.has(m.id) === args.includes('--equivalent'))
  .filter((m) => earlier === undefined || earlier.includes(`unnoticed by scenes: ${m.id} (line`))
  // What works while a module is loaded is played in all scenes, which takes longest.
  .sort((x, y) => Number(x.isTop) - Number(y.isTop));
const wanted = queue.length;
const known = mutants.filter((m) => equivalent.has(m.id)).length;
console.log(`${mutants.length} mutants of ${files.length} files, ${known} equivalent, ${wanted} to play`);
if (words.length === 0) {
  const ids = new Set(mutants.map((m) => m.id));
  for (const id of equivalent) if (!ids.has(id)) console.log(`no such mutant any more: ${id}`);
}

/** What each worker is waited for with. */
const settles = new Map<Worker, (by: Noticed | undefined) => void>();
const timers = new Map<Worker, NodeJS.Timeout>();
const survivors: Mutant[] = [];
const noticed = { octets: 0, scene: 0, units: 0 };
const untouched = started();
const alive = await played(untouched, 0, undefined);
await untouched.terminate();
if (alive !== undefined) throw new Error(`without any mutant there is something wrong: ${alive.what}`);
const workers = Number(args.find((a) => a.startsWith('--workers='))?.slice('--workers='.length) ?? 1);
await Promise.all(Array.from({ length: workers }, playAll));

const unnoticed = args.includes('--units') ? survivors.filter((m) => !unitsNotice(m)) : survivors;
console.log(
  `\n${wanted} mutants played: ${noticed.octets} noticed by octets, ${noticed.scene} by scenes, ${noticed.units} by unit tests`,
);
for (const mutant of unnoticed) console.log(`survives: ${mutant.id} (line ${mutant.line})`);
process.exitCode = unnoticed.length > 0 ? 1 : 0;

function outputOf(option: string): string | undefined {
  const file = args.find((a) => a.startsWith(`--${option}=`))?.slice(`--${option}=`.length);
  return file === undefined ? undefined : readFileSync(file, 'utf8');
}

function started(): Worker {
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  worker.on('message', (message: Played | Begun) => {
    const settle = settles.get(worker);
    if ('noticed' in message) settle?.(message.noticed);
    else {
      const act = (): void => settle?.({ by: 'scene', what: 'it goes on for ever', isEnd: true });
      timers.set(worker, setTimeout(act, patience * 1000));
    }
  });
  worker.on('error', (error) => {
    settles.get(worker)?.({ by: 'scene', what: `it ends the process: ${String(error)}`, isEnd: true });
  });
  return worker;
}

/** Who notices the mutant, of the octets and scenes. */
async function played(worker: Worker, id: number, mutant: Mutant | undefined): Promise<Noticed | undefined> {
  const by = await new Promise<Noticed | undefined>((resolve) => {
    settles.set(worker, resolve);
    worker.postMessage({ id, mutant, first: mutant && firstScenes.get(mutant.id) });
  });
  clearTimeout(timers.get(worker));
  return by;
}

/** Takes one mutant after the other from the queue. */
async function playAll(): Promise<void> {
  let worker = started();
  for (let count = 1; ; count++) {
    const mutant = queue.shift();
    if (!mutant) break;
    const by = await played(worker, count, mutant);
    if (by) {
      noticed[by.by]++;
      console.log(`${by.by} "${by.what}" notices ${mutant.id} (line ${mutant.line})`);
    } else {
      survivors.push(mutant);
      console.log(`unnoticed by scenes: ${mutant.id} (line ${mutant.line})`);
    }
    if (by?.isEnd || count % perWorker === 0) {
      void worker.terminate();
      worker = started();
    }
  }
  await worker.terminate();
}

function unitsNotice(mutant: Mutant): boolean {
  const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', root));
  const config = fileURLToPath(new URL('vitest.config.ts', import.meta.url));
  const notices = (name: string): boolean =>
    spawnSync(
      process.execPath,
      [vitest, 'run', '--bail=1', `--config=${config}`, `test/dns/${name}.test.ts`],
      {
        cwd: fileURLToPath(root),
        env: { ...process.env, OE_MUTANT: JSON.stringify(mutant) },
        timeout: patience * 6000,
      },
    ).status !== 0;
  if (!unitTests.some(notices)) return false;
  noticed.units++;
  console.log(`units notice ${mutant.id} (line ${mutant.line})`);
  return true;
}

/** Lines of `equivalent.txt`: a mutant, then a line with the reason, indented. */
function readEquivalent(): Set<string> {
  const text = readFileSync(new URL('equivalent.txt', import.meta.url), 'utf8');
  return new Set(text.split('\n').filter((line) => line.startsWith('src/')));
}
