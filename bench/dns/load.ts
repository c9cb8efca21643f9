import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostName, hostsPerZone, inside, warmUpHosts, zoneCount } from './zones.ts';

/** Runs in the foreground on one processor until {@link Daemon.stop}. */
export interface Daemon {
  readonly pid: number;
  /** Processor time that it has taken so far, all threads, s. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export function startPinned(core: number, command: readonly string[]): Daemon {
  const child = spawn('taskset', ['-c', String(core), ...command], { stdio: ['ignore', 'ignore', 'pipe'] });
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const { pid } = child;
  if (pid === undefined) throw new Error(`${command.join(' ')} does not start`);
  return {
    pid,
    cpuSeconds: () => {
      if (child.exitCode !== null) {
        throw new Error(`${command.join(' ')} has ended: ${Buffer.concat(said).toString()}`);
      }
      return cpuSecondsOf(pid);
    },
    stop: () => stopped(child),
  };
}

function stopped(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => {
      resolve();
    });
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 5_000).unref();
  });
}

/** utime and stime (proc_pid_stat(5)), in hundredths of a second. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export interface Loaded {
  readonly answered: number;
  readonly lost: number;
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** RCODEs but NOERROR. */
  readonly failures: number;
}

/** Runs dnsperf on `core` with its arguments. */
export function dnsperf(root: string, core: number, port: number, ...more: readonly string[]): Loaded {
  const command = [
    root,
    'dnsperf',
    '-s',
    '127.0.0.1',
    '-p',
    String(port),
    '-O',
    'latency-histogram',
    ...more,
  ];
  const ran = spawnSync('taskset', ['-c', String(core), 'chroot', ...command], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const number = (pattern: RegExp): number => Number(pattern.exec(ran.stdout)?.[1] ?? Number.NaN);
  const answered = number(/Queries completed:\s+(\d+)/);
  if (!(answered > 0)) throw new Error(`dnsperf got no answer from port ${port}: ${ran.stdout}${ran.stderr}`);
  const noError = number(/NOERROR (\d+)/);
  const buckets = [...ran.stdout.matchAll(/^\s+([\d.]+) - ([\d.]+):\s+(\d+)/gm)].map((m) => ({
    ms: 1_000 * Number(m[2]),
    count: Number(m[3]),
  }));
  return {
    answered,
    lost: number(/Queries lost:\s+(\d+)/),
    perSecond: number(/Queries per second:\s+([\d.]+)/),
    p50: quantile(buckets, 0.5),
    p99: quantile(buckets, 0.99),
    failures: answered - (noError || 0),
  };
}

function quantile(buckets: readonly { readonly ms: number; readonly count: number }[], part: number): number {
  const all = buckets.reduce((sum, b) => sum + b.count, 0);
  let seen = 0;
  for (const { ms, count } of buckets) {
    seen += count;
    if (seen >= part * all) return ms;
  }
  return Number.NaN;
}

/** Files of questions: hosts to warm up with; every other host once, the zones in turns; and a Zipf mix of them. */
export function writeQuestions(work: string): void {
  const namesOf = (from: number, to: number): string[] =>
    Array.from({ length: (to - from) * zoneCount }, (_, i) =>
      hostName(i % zoneCount, from + Math.floor(i / zoneCount)),
    );
  const names = namesOf(warmUpHosts, warmUpHosts + hostsPerZone);
  const warmUp = namesOf(0, warmUpHosts);
  writeFileSync(join(work, 'warm-up'), warmUp.map((n) => `${n} A\n`).join(''));
  writeFileSync(join(work, 'once'), names.map((n) => `${n} A\n`).join(''));
  // The n-th name is asked for as often as 1/n says.
  const sums: number[] = [];
  names.reduce((sum, _, i) => (sums[i] = sum + 1 / (i + 1)), 0);
  const random = seeded(1);
  const mix = Array.from({ length: 200_000 }, () => {
    const wanted = random() * (sums.at(-1) ?? 0);
    let [low, high] = [0, names.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return `${names[low] ?? ''} A\n`;
  });
  writeFileSync(join(work, 'zipf'), mix.join(''));
}

export const warmUpFile = `${inside}/warm-up`;
export const onceFile = `${inside}/once`;
export const zipfFile = `${inside}/zipf`;

/** Numbers from 0 to 1 that are the same each time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}
