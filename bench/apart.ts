import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { cacheDirectory, ensureRoot } from '../lab/root.ts';

/**
 * Runs `NAME/measure.ts ROOT WORK [OPTION…]` in a network of its own, which has 192.0.2.0/24 to itself, beside the
 * programs of the lab's root: `WORK` is `/lab/out` there. The exit code.
 */
export async function measuredApart(name: string, options: readonly string[]): Promise<number> {
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
  const work = join(cacheDirectory(), `bench-${name}`);
  mkdirSync(work, { recursive: true });
  const measure = [
    process.execPath,
    join(import.meta.dirname, name, 'measure.ts'),
    root.directory,
    work,
    ...options,
  ];
  // A network and mounts of its own: nothing of this host is in the way, and all of it is gone afterwards.
  const script = [
    'ip link set lo up; ip address add 192.0.2.0/24 dev lo',
    'mount --bind "$1" "$0/lab/out"; mount --bind /dev "$0/dev"; mount -t tmpfs tmpfs "$0/tmp"',
    'shift; exec "$@"',
  ].join('; ');
  const child = spawn(
    'unshare',
    ['--net', '--mount', 'sh', '-ec', script, root.directory, work, ...measure],
    {
      stdio: 'inherit',
    },
  );
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      resolve(code ?? 1);
    });
  });
}
