import { Exit } from '../errors.ts';
import type { Dig } from '../oe/dig.ts';
import { askAgent } from './client.ts';
import { printJson, socketFor } from './options.ts';
import { renderDig } from './render-dig.ts';
import { lookOf } from './terminal.ts';

/** Asks as a program would, and prints what it gets and how that came about. */
export async function dig(
  name: string,
  type: string | undefined,
  options: { readonly config?: string; readonly json?: boolean; readonly cd?: boolean },
): Promise<number> {
  const query = new URLSearchParams({
    name,
    ...(type === undefined ? {} : { type }),
    ...(options.cd === true ? { cd: '1' } : {}),
  });
  const answer = (await askAgent(await socketFor(options.config), `/v1/dig?${query.toString()}`)) as Dig;
  if (options.json === true) printJson(answer);
  else process.stdout.write(renderDig(answer, lookOf(process.stdout, process.env)));
  return exitOf(answer);
}

/** 0: there are records; 1: there are none; 75: there is no answer, or it is held back. */
export function exitOf({ rcode, answer }: Dig): number {
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return Exit.tempFail;
  return rcode === 'NOERROR' && answer.length > 0 ? Exit.ok : Exit.no;
}
