import { Exit } from '../errors.ts';
import type { Why } from '../oe/why.ts';
import { askAgent } from './client.ts';
import { printJson, socketFor } from './options.ts';
import { renderWhy } from './render-why.ts';
import { lookOf } from './terminal.ts';

export async function why(
  name: string,
  options: { readonly config?: string; readonly json?: boolean; readonly fresh?: boolean },
): Promise<number> {
  const query = new URLSearchParams({ name, ...(options.fresh === true ? { fresh: '1' } : {}) });
  const answer = (await askAgent(await socketFor(options.config), `/v1/why?${query.toString()}`)) as Why;
  if (options.json === true) printJson(answer);
  else process.stdout.write(renderWhy(answer, lookOf(process.stdout, process.env)));
  return Exit.ok;
}
