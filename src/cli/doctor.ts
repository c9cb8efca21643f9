import { Exit, OeError } from '../errors.ts';
import { socketPath } from '../oe/config.ts';
import { loadConfig } from '../oe/io/config-file.ts';
import { examine, type Check } from '../oe/io/doctor.ts';
import { counted, printable } from '../oe/text.ts';
import { askAgent } from './client.ts';
import { printJson } from './options.ts';
import { lookOf, paint, wrapped, type Look } from './terminal.ts';

/** Looks for what stands in the way; exit code 1 where something does. */
export async function doctor(options: {
  readonly config?: string;
  readonly json?: boolean;
}): Promise<number> {
  const { config } = loadConfig(options.config);
  const checks = await examine(config, await isRunning(socketPath(config.paths)));
  const isWell = checks.every((c) => c.state !== 'problem');
  if (options.json === true) printJson({ version: 1, ok: isWell, checks });
  else process.stdout.write(renderChecks(checks, lookOf(process.stdout, process.env)));
  return isWell ? Exit.ok : Exit.no;
}

/** A line for each check; below each problem what to do. */
export function renderChecks(checks: readonly Check[], look: Look): string {
  const words = { ok: ['ok', 'green'], problem: ['PROBLEM', 'red'], unknown: ['unknown', 'yellow'] } as const;
  const lines = checks.flatMap((c) => {
    const [word, colour] = words[c.state];
    return [
      `${paint(look, colour, word.padEnd(7))}  ${wrapped(look, printable(c.sentence), 9)}`,
      ...(c.remedy === null ? [] : [`         ${wrapped(look, printable(c.remedy), 9)}`]),
    ];
  });
  const problems = checks.filter((c) => c.state === 'problem').length;
  lines.push('', problems === 0 ? 'Nothing stands in the way.' : `${counted(problems, 'problem')} found.`);
  return `${lines.join('\n')}\n`;
}

async function isRunning(socket: string): Promise<boolean> {
  try {
    await askAgent(socket, '/v1/status', { timeoutMs: 2_000 });
    return true;
  } catch (error) {
    // Somebody who may not ask it does not know its state; the ports then tell.
    if (error instanceof OeError) return error.code === 'not-allowed';
    throw error;
  }
}
