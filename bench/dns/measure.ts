/** `node measure.ts ROOT WORK [--json] [--seconds N]`: measures in a network of its own, where `WORK` is `/lab/out` of the root. */
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { dnsperf, onceFile, startPinned, writeQuestions, warmUpFile, zipfFile, type Daemon } from './load.ts';
import { measured, type Measured } from './resolvers.ts';
import { authorityPort, hostName, inside, makeZones, zoneCount } from './zones.ts';

const [root = '', work = '', ...options] = process.argv.slice(2);
const asJson = options.includes('--json');
const seconds = options.includes('--seconds') ? (options[options.indexOf('--seconds') + 1] ?? '8') : '8';
const only = options.includes('--only') ? options[options.indexOf('--only') + 1] : undefined;
const checkout = join(import.meta.dirname, '../..');
const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const [serverCore, loadCore] = [0, 1];
const relayPort = 5401;
const oneWayMs = 20;
/** Queries per second at which latency is measured: a small part of what any of them takes. */
const calm = '5000';

interface Row {
  readonly name: string;
  /** Answers per second, cached. */
  readonly perSecond: number;
  /** Microseconds of processor time per cached answer. */
  readonly cpuUs: number;
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
  /** Milliseconds of processor time per name that was looked up and validated. */
  readonly coldCpuMs: number;
  readonly coldPerSecond: number;
  readonly coldFailures: number;
  /** Round trips of 20 ms for the first name of a zone, and for the next (median). */
  readonly firstRounds: number;
  readonly nextRounds: number;
}

makeZones(root, work, say);
writeQuestions(work);
const authority = startPinned(loadCore, ['chroot', root, 'nsd', '-d', '-c', `${inside}/nsd.conf`]);
const relay = startPinned(loadCore, [
  process.execPath,
  join(import.meta.dirname, 'delay.ts'),
  ...[relayPort, authorityPort, oneWayMs].map(String),
]);
try {
  await answered(authorityPort, hostName(0, 0));
  const rows: Row[] = [];
  for (const one of measured(root, work, checkout)) {
    if (only !== undefined && !one.name.startsWith(only)) continue;
    const row = await measure(one);
    rows.push(row);
    say(table([row]));
  }
  process.stdout.write(asJson ? `${JSON.stringify(rows, null, 2)}\n` : table(rows));
} finally {
  await Promise.all([authority.stop(), relay.stop()]);
}

async function measure(one: Measured): Promise<Row> {
  say(`${one.name}: cold …`);
  let daemon = await started(one, authorityPort);
  const once = ['-n', '1', '-q', '20', '-e', '-D', '-d'];
  dnsperf(root, loadCore, one.port, ...once, warmUpFile);
  const before = daemon.cpuSeconds();
  const cold = dnsperf(root, loadCore, one.port, ...once, onceFile);
  const coldCpu = daemon.cpuSeconds() - before;

  say(`${one.name}: cached, ${seconds} s …`);
  const load = ['-d', zipfFile, '-c', '20', '-q', '1000', '-l'];
  dnsperf(root, loadCore, one.port, '-d', onceFile, '-n', '1');
  dnsperf(root, loadCore, one.port, ...load, '2');
  const warm = daemon.cpuSeconds();
  const cached = dnsperf(root, loadCore, one.port, ...load, seconds);
  const cachedCpu = daemon.cpuSeconds() - warm;
  const latency = dnsperf(root, loadCore, one.port, '-d', zipfFile, '-c', '20', '-Q', calm, '-l', '4');
  await daemon.stop();

  say(`${one.name}: round trips …`);
  daemon = await started(one, relayPort);
  const [first, next] = await rounds(one.port);
  await daemon.stop();
  return {
    name: one.name,
    perSecond: Math.round(cached.perSecond),
    cpuUs: (1e6 * cachedCpu) / cached.answered,
    p50: latency.p50,
    p99: latency.p99,
    lost: cached.lost,
    coldCpuMs: (1e3 * coldCpu) / cold.answered,
    coldPerSecond: Math.round(cold.perSecond),
    coldFailures: cold.failures,
    firstRounds: first,
    nextRounds: next,
  };
}

/** Starts it and waits until it answers; the keys of the root and of `bench.` are known then. */
async function started(one: Measured, upstream: number): Promise<Daemon> {
  const daemon = startPinned(serverCore, one.command(upstream));
  await answered(one.port, hostName(zoneCount - 1, 0), daemon);
  return daemon;
}

async function answered(port: number, name: string, daemon?: Daemon): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    daemon?.cpuSeconds(); // Throws where it has ended.
    if ((await ask(port, name, 500)) === 0) {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing answers at port ${port}`);
}

async function rounds(port: number): Promise<[number, number]> {
  const took = async (name: string): Promise<number> => {
    const begin = performance.now();
    const rcode = await ask(port, name, 5_000);
    if (rcode !== 0) throw new Error(`${name}: ${rcode === undefined ? 'no answer' : `RCODE ${rcode}`}`);
    return performance.now() - begin;
  };
  const first: number[] = [];
  const next: number[] = [];
  for (let zone = 0; zone < 30; zone++) {
    first.push(await took(hostName(zone, 0)));
    next.push(await took(hostName(zone, 1)));
  }
  return [median(first) / oneWayMs, median(next) / oneWayMs];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** Asks for the address; the RCODE, or undefined where nothing came. */
function ask(port: number, name: string, limitMs: number): Promise<number | undefined> {
  const labels = name.split('.').flatMap((l) => [l.length, ...Buffer.from(l)]);
  const query = Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const end = (rcode: number | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(rcode);
    };
    const timer = setTimeout(end, limitMs, undefined);
    socket.once('message', (answer) => {
      end((answer[3] ?? 0) & 15);
    });
    socket.on('error', () => undefined);
    socket.send(query, port, '127.0.0.1');
  });
}

function table(rows: readonly Row[]): string {
  const cells = rows.map((r) => [
    r.name,
    r.perSecond.toLocaleString('en'),
    r.cpuUs.toFixed(2),
    r.p50.toFixed(2),
    r.p99.toFixed(2),
    String(r.lost),
    r.coldCpuMs.toFixed(3),
    r.coldFailures === 0 ? '' : `${r.coldFailures} failed`,
    `${r.firstRounds.toFixed(1)} / ${r.nextRounds.toFixed(1)}`,
  ]);
  const heads = [
    '',
    'cached answers/s',
    'µs each',
    'p50 ms',
    'p99 ms',
    'lost',
    'cold ms each',
    '',
    'round trips first / next',
  ];
  const widths = heads.map((head, i) => Math.max(head.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  ');
  return `${[heads, ...cells].map(line).join('\n')}\n`;
}
