/** Where a run puts its logs and recordings: a directory of its own, since several may run at once. */
import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './root.ts';

/** Runs of one kind that are kept, beside those that still go on. */
const kept = 4;

/** A new, empty directory; `KIND` in the cache directory is a link to the newest. */
export function outDirectory(kind: 'last' | 'demo' | 'latency' | 'exec'): string {
  const runs = join(cacheDirectory(), 'runs');
  mkdirSync(runs, { recursive: true });
  const ended = readdirSync(runs)
    .filter((run) => run.startsWith(`${kind}-`) && !existsSync(`/proc/${run.split('-').at(-1) ?? ''}`))
    .sort();
  for (const run of ended.slice(0, -kept)) rmSync(join(runs, run), { recursive: true, force: true });

  const name = `${kind}-${new Date().toISOString().slice(0, 19).replace(/\D/g, '')}-${process.pid}`;
  mkdirSync(join(runs, name));
  const link = join(cacheDirectory(), kind);
  if (lstatSync(link, { throwIfNoEntry: false })?.isDirectory() === true) rmSync(link, { recursive: true });
  symlinkSync(join('runs', name), `${link}.${process.pid}`);
  renameSync(`${link}.${process.pid}`, link);
  return join(runs, name);
}
