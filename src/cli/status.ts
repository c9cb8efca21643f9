import { Exit } from '../errors.ts';
import type { Status } from '../oe/status.ts';
import { askAgent } from './client.ts';
import { printJson, socketFor } from './options.ts';
import { renderStatus } from './render-status.ts';
import { lookOf } from './terminal.ts';

/** Prints the state of the running agent. */
export async function status(options: {
  readonly config?: string;
  readonly json?: boolean;
}): Promise<number> {
  const answer = (await askAgent(await socketFor(options.config), '/v1/status')) as Status;
  if (options.json === true) printJson(answer);
  else process.stdout.write(renderStatus(answer, lookOf(process.stdout, process.env), Date.now()));
  return Exit.ok;
}
