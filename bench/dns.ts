/** `npm run bench -- dns`: answers per second and what each costs, beside other resolvers in the same run. */
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory, ensureRoot } from '../lab/root.ts';

/** Prints a table, or with `--json` the same for programs; the exit code. */
export async function dns(options: readonly string[]): Promise<number> {
  if (availableParallelism() < 2) {
    console.error(
      'The measurement did not run: it wants two processors, one for the servers and one for the load.',
    );
    return 1;
  }
  const root = await ensureRoot(console.error);
  if (!root.ok) {
    console.error(`The measurement did not run: ${root.why}`);
    return 1;
  }
  const work = join(cacheDirectory(), 'bench-dns');
  mkdirSync(work, { recursive: true });
  const measure = [process.execPath, join(import.meta.dirname, 'dns/measure.ts'), root.directory, work];
  // A network and mounts of its own: nothing of this host is in the way, and all of it is gone afterwards.
  const script =
    'ip link set lo up; mount --bind "$1" "$0/lab/out"; mount --bind /dev "$0/dev"; mount -t tmpfs tmpfs "$0/tmp"; shift; exec "$@"';
  const child = spawn(
    'unshare',
    ['--net', '--mount', 'sh', '-ec', script, root.directory, work, ...measure, ...options],
    { stdio: 'inherit' },
  );
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}
