import { Exit } from '../errors.ts';
import { reloadedText, type Reloaded } from '../oe/io/reload.ts';
import { printable } from '../oe/text.ts';
import { askAgent } from './client.ts';
import { printJson, socketFor } from './options.ts';

/** Has the running agent read its configuration again. */
export async function reload(options: {
  readonly config?: string;
  readonly json?: boolean;
}): Promise<number> {
  const answer = await askAgent(await socketFor(options.config), '/v1/reload', { method: 'POST' });
  if (options.json === true) printJson(answer);
  else
    process.stdout.write(
      `${reloadedText(answer as Reloaded)
        .split('\n')
        .map(printable)
        .join('\n')}\n`,
    );
  return Exit.ok;
}
