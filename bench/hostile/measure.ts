/** `node measure.ts ROOT WORK [--json] [--only ID]`: measures in a network of its own, where `WORK` is `/lab/out` of the root. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startPinned, type Daemon } from '../dns/load.ts';
import { rcodeName, Type } from '../../src/dns/types.ts';
import { signingDate } from '../../test/dns/zone.ts';
import {
  attacks,
  countedZones,
  nameIn,
  warmUpHost,
  warmUpHosts,
  warmUpZones,
  type Attack,
} from './attacks.ts';
import { Client, type Answer } from './client.ts';
import { daemons, type Measured } from './daemons.ts';

const [root = '', work = '', ...options] = process.argv.slice(2);
const only = options.includes('--only') ? options[options.indexOf('--only') + 1] : undefined;
const [daemonCore, ourCore] = [0, 1];
/** Lookups that are under way at the same time, and how often the other client asks. */
const [atOnce, probeMs] = [4, 5];
/**
 * Other work on this machine waits for what is measured, where that is allowed, and the server for the one that holds
 * the clock.
 */
const isAhead = comesFirst(process.pid, 2);
if (!isAhead)
  process.stderr.write('Without the right to real-time priority the waits tell of this machine.\n');

interface Cost {
  /** ms of processor time, and queries to servers, for each name. */
  readonly cpuMs: number;
  readonly queries: number;
  /** The longest time that the other client waited for an answer from the cache, ms. */
  readonly waitMs: number;
  readonly verdict: string;
}

const { server, anchor } = await startServer();
const found = new Map<string, Map<string, Cost>>();
try {
  for (const one of daemons(root, work, join(import.meta.dirname, '../..'), anchor, signingDate))
    for (const recurses of [false, true]) await measureAll(one, recurses);
} finally {
  server.kill();
}
process.stdout.write(options.includes('--json') ? `${JSON.stringify(asObject(), null, 2)}\n` : table());

async function measureAll(one: Measured, recurses: boolean): Promise<void> {
  const wanted = attacks.filter((a) => (a.recurses ?? false) === recurses && (only ?? a.id) === a.id);
  if (wanted.length === 0) return;
  process.stderr.write(`${one.name}${recurses ? ', from the root' : ''} …\n`);
  const ahead = isAhead ? ['chrt', '-r', '1'] : [];
  const daemon = startPinned(daemonCore, [...ahead, ...one.command(recurses)]);
  const [client, other] = [await Client.open(one.port), await Client.open(one.port)];
  try {
    for (let tries = 0; (await client.ask(warmUpHost(0), Type.A, 500))?.rcode !== 0; tries++) {
      daemon.cpuSeconds(); // Throws where it has ended.
      if (tries > 100) throw new Error(`${one.name} answers nothing`);
      await pause(100);
    }
    for (let i = 1; i < warmUpHosts; i++) await client.ask(warmUpHost(i), Type.A, 5_000);
    await probed(other, () => pause(500));
    const before = cpuMs(daemon);
    const calm = await probed(other, () => pause(1_000));
    const probeCpuMs = (cpuMs(daemon) - before) / calm.count;
    for (const attack of wanted) {
      await lookUp(client, attack, 0, warmUpZones);
      const cost = await costOf(attack, daemon, client, other, probeCpuMs);
      const row = found.get(attack.id) ?? new Map<string, Cost>();
      found.set(attack.id, row.set(one.name, cost));
    }
  } finally {
    client.close();
    other.close();
    await daemon.stop();
  }
}

async function costOf(
  attack: Attack,
  daemon: Daemon,
  client: Client,
  other: Client,
  probeCpuMs: number,
): Promise<Cost> {
  await queriesSince();
  const before = cpuMs(daemon);
  let verdicts: string[] = [];
  const probes = await probed(other, async () => {
    verdicts = await lookUp(client, attack, warmUpZones, countedZones);
    await pause(50);
  });
  const spent = cpuMs(daemon) - before - probes.count * probeCpuMs;
  return {
    cpuMs: Math.max(0, spent) / countedZones,
    queries: (await queriesSince()) / countedZones,
    waitMs: probes.longest,
    verdict: [...new Set(verdicts)].sort().join(', '),
  };
}

/** Asks for the names of so many zones, some at once; what came of each. */
async function lookUp(client: Client, attack: Attack, from: number, count: number): Promise<string[]> {
  const verdicts: string[] = [];
  let next = from;
  const one = async (): Promise<void> => {
    while (next < from + count) {
      const answer = await client.ask(nameIn(attack, next++), attack.type ?? Type.A, 15_000);
      verdicts.push(verdictOf(answer));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, one));
  return verdicts;
}

function verdictOf(answer: Answer | undefined): string {
  if (!answer) return 'no answer';
  const { rcode, isAuthentic, isTruncated, ede } = answer;
  // Whether it is authentic is said in the whole answer.
  if (isTruncated) return `${rcodeName(rcode)} (truncated)`;
  const said = ede === undefined ? rcodeName(rcode) : `${rcodeName(rcode)} ${ede}`;
  return isAuthentic ? `${said} AD` : said;
}

/** Meanwhile another client asks for what is in the cache. */
async function probed(
  other: Client,
  meanwhile: () => Promise<void>,
): Promise<{ readonly longest: number; readonly count: number }> {
  let [longest, count] = [0, 0];
  const timer = setInterval(() => {
    const begin = performance.now();
    count++;
    void other.ask(warmUpHost(0), Type.A, 15_000).then(() => {
      longest = Math.max(longest, performance.now() - begin);
    });
  }, probeMs);
  await meanwhile();
  clearInterval(timer);
  await other.idle();
  return { longest, count };
}

/** All threads of a process. */
function cpuMs({ pid }: Daemon): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((t) => {
    return Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'latin1').split(' ')[0]);
  });
  return nanoseconds.reduce((sum, n) => sum + n, 0) / 1e6;
}

async function startServer(): Promise<{ readonly server: ChildProcess; readonly anchor: string }> {
  const child = spawn(
    'taskset',
    ['-c', String(ourCore), 'nice', process.execPath, join(import.meta.dirname, 'server.ts')],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  const [ds] = await new Promise<readonly (readonly number[])[]>((resolve, reject) => {
    child.once('message', (anchors) => {
      resolve(anchors as number[][]);
    });
    child.once('exit', () => {
      reject(new Error('the server of the attacks ends'));
    });
  });
  // Its zones are made: from here on it answers.
  if (isAhead && child.pid !== undefined) comesFirst(child.pid, 1);
  const [high = 0, low = 0, algorithm = 0, digestType = 0, ...digest] = ds ?? [];
  const words = [(high << 8) | low, algorithm, digestType, Uint8Array.from(digest).toHex()];
  return { server: child, anchor: words.join(' ') };
}

/** Whether the process may come before all others that share the processors by turns. */
function comesFirst(pid: number, priority: number): boolean {
  return spawnSync('chrt', ['-a', '-r', '-p', String(priority), String(pid)]).status === 0;
}

/** Since the last call. */
function queriesSince(): Promise<number> {
  return new Promise((resolve) => {
    server.once('message', resolve as (count: unknown) => void);
    server.send('count');
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function asObject(): object {
  return Object.fromEntries([...found].map(([id, row]) => [id, Object.fromEntries(row)]));
}

function table(): string {
  const rows = attacks.flatMap((attack) => {
    const row = found.get(attack.id);
    const [oe, resolver, unbound] = ['oe', 'resolver', 'unbound'].map((name) => row?.get(name));
    if (!oe || !resolver || !unbound) return [];
    const each = [oe, resolver, unbound];
    const times = (a: Cost): string => (a.cpuMs / unbound.cpuMs).toFixed(1);
    return [
      [
        attack.what,
        each.map((c) => c.cpuMs.toFixed(1)).join(' / '),
        `${times(oe)} / ${times(resolver)}`,
        each.map((c) => c.queries.toFixed(0)).join(' / '),
        `${resolver.waitMs.toFixed(0)} / ${unbound.waitMs.toFixed(0)}`,
        resolver.verdict,
        unbound.verdict,
      ],
    ];
  });
  const heads = [
    '',
    'ms: oe / its resolver / unbound',
    'times unbound',
    'queries',
    'wait ms: resolver / unbound',
    'oe says',
    'unbound says',
  ];
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
