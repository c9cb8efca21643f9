/**
 * Boots the lab's kernel as an ordinary process (User-Mode Linux) on a disposable view of the root, and runs one
 * command in it. Everything it mounts lives in a mount namespace that ends with it, so nothing can be left behind.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { cacheDirectory, modules } from './root.ts';

export interface Boot {
  /** The root file system, after what lies over it and a colon where there is anything; it is not written to. */
  readonly root: string;
  /** Shared with the guest as /lab/out: logs and recordings. */
  readonly out: string;
  /** Shared as /lab/kernel: the command, its exit code, the console; `out` where nothing is said. */
  readonly own?: string;
  /** A shell script. The checkout is at /oe, read-only. */
  readonly command: string;
  readonly timeoutMs: number;
  /** Gets each line that the command prints. */
  readonly line: (text: string) => void;
  /** Memory of the guest in MiB. */
  readonly memory?: number;
}

export interface BootResult {
  /** The command's exit code; undefined where the kernel never got to its end. */
  readonly code: number | undefined;
  /** What went wrong with the kernel itself, as a sentence. */
  readonly trouble: string | undefined;
  readonly tookMs: number;
}

const checkout = join(import.meta.dirname, '..');

/** Runs `boot.command` in a kernel of its own; returns when that kernel is gone. */
export async function bootUml(boot: Boot): Promise<BootResult> {
  const begin = Date.now();
  const memory = boot.memory ?? 1536;
  const own = boot.own ?? boot.out;
  for (const directory of [boot.out, own]) mkdirSync(directory, { recursive: true });
  writeFileSync(join(own, 'command'), boot.command);
  const exitCode = join(own, 'exit-code');
  rmSync(exitCode, { force: true });
  rmSync(join(own, 'result.json'), { force: true });
  // Covered in a mount namespace of each kernel's own: several may use it at once.
  const mountPoint = join(cacheDirectory(), 'mount');
  mkdirSync(mountPoint, { recursive: true });
  const kernel = spawn(
    'unshare',
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--propagation',
      'private',
      'sh',
      '-ec',
      host,
      'sh',
      boot.root,
      checkout,
      boot.out,
      own,
      String(memory),
      modules.join(','),
      mountPoint,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  );
  const running = new Promise<void>((resolve) => {
    kernel.once('error', () => {
      resolve();
    });
    kernel.once('close', () => {
      resolve();
    });
  });
  let timedOut = false;
  const stop = (): void => {
    kernel.kill('SIGKILL');
  };
  const limit = setTimeout(() => {
    timedOut = true;
    stop();
  }, boot.timeoutMs);
  process.once('exit', stop);

  const console = createWriteStream(join(own, 'console.log'));
  let begun = false;
  createInterface({ input: kernel.stdout }).on('line', (raw) => {
    const text = raw.replace(/\r/g, '');
    console.write(`${text}\n`);
    if (text === '#lab begin') begun = true;
    else if (text === '#lab end') begun = false;
    else if (begun) boot.line(text);
  });
  let complaint = '';
  kernel.stderr.on('data', (octets: Buffer) => {
    complaint = `${complaint}${octets.toString('latin1')}`.slice(-2_000);
    console.write(octets);
  });
  await running;
  clearTimeout(limit);
  process.off('exit', stop);
  console.end();

  const code = existsSync(exitCode) ? Number(readFileSync(exitCode, 'utf8')) : undefined;
  let trouble: string | undefined;
  if (timedOut) trouble = `The lab's kernel was stopped after ${boot.timeoutMs / 1000} s.`;
  else if (code === undefined) {
    const last = complaint.trim().split('\n').at(-1) ?? '';
    trouble = `The lab's kernel ended before its command did${last === '' ? '' : ` (${last})`}; its console is in ${own}/console.log.`;
  }
  return { code, trouble, tookMs: Date.now() - begin };
}

/** Arguments: the root, the checkout, the two shared directories, MiB of memory, modules, an empty directory to mount on. */
const host = `
base=$7
mount -t tmpfs tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay -o "lowerdir=$1,upperdir=$base/upper,workdir=$base/work" overlay "$base/root"
root=$base/root
mkdir -p "$root/oe" "$root/lab/out" "$root/lab/kernel" "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -t tmpfs -o "size=$(($5 + 256))m" tmpfs "$root/dev/shm"
mount --bind "$2" "$root/oe"
mount -o remount,bind,ro "$root/oe"
mount --bind "$3" "$root/lab/out"
mount --bind "$4" "$root/lab/kernel"
chroot "$root" /usr/bin/env -i TMPDIR=/dev/shm HOME=/dev/shm PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/linux.uml seccomp=on "mem=$5M" \\
  rootfstype=hostfs rootflags=/ rw init=/oe/lab/guest/init.sh con=null con0=fd:0,fd:1 quiet "MODULES=$6"
`;
