/** Processes of the lab: run one to its end, or keep a daemon with its output in a log. */
import { spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}

/** Runs a program to its end; after `timeoutMs` it is killed, and the code is 124. */
export function run(command: readonly string[], timeoutMs = 20_000, input?: string): Promise<Ran> {
  const begin = performance.now();
  const [program = 'true', ...rest] = command;
  const child = spawn(program, rest, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (input !== undefined) child.stdin?.end(input);
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
  }, timeoutMs);
  return new Promise((resolve) => {
    const end = (code: number): void => {
      clearTimeout(limit);
      resolve({ code: late ? 124 : code, stdout, stderr, tookMs: performance.now() - begin });
    };
    child.once('error', (error) => {
      stderr += error.message;
      end(127);
    });
    child.once('close', (code) => {
      end(code ?? 128);
    });
  });
}

/** The same, for steps that must succeed. */
export async function must(command: readonly string[], timeoutMs?: number, input?: string): Promise<string> {
  const ran = await run(command, timeoutMs, input);
  if (ran.code !== 0) {
    throw new Error(`${command.join(' ')} ended with ${ran.code}: ${ran.stderr.trim() || ran.stdout.trim()}`);
  }
  return ran.stdout;
}

/** A program that runs until it is stopped. */
export class Daemon {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #gone: Promise<void>;
  #code: number | undefined;

  constructor(command: readonly string[], log: string) {
    const [program = 'true', ...rest] = command;
    this.#log = log;
    appendFileSync(log, `# ${command.join(' ')}\n`);
    const output = openSync(log, 'a');
    this.#child = spawn(program, rest, { stdio: ['ignore', output, output] });
    closeSync(output);
    this.#gone = new Promise((resolve) => {
      this.#child.once('error', () => {
        this.#code = 127;
        resolve();
      });
      this.#child.once('exit', (code) => {
        this.#code = code ?? 128;
        resolve();
      });
    });
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The exit code; undefined while it runs, 128 where a signal ended it. */
  get code(): number | undefined {
    return this.#code;
  }

  /** Asks it to end, insists after `graceMs`; the exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 5_000): Promise<number> {
    if (this.#code === undefined) this.#child.kill(signal);
    const insist = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.#gone;
    clearTimeout(insist);
    return this.#code ?? 128;
  }
}

/** Asks again until `probe` says something other than undefined or false; undefined when the time is over. */
export async function until<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs: number,
  everyMs = 50,
): Promise<T | undefined> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) return undefined;
    await sleep(everyMs);
  }
}
