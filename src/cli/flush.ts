import { Exit, OeError } from '../errors.ts';
import { askAgent } from './client.ts';
import { printJson, socketFor } from './options.ts';

/** What the control API says of a flush. */
export interface Flushed {
  readonly version: 1;
  /** `all`, or the name. */
  readonly flushed: string;
  readonly entries: number;
}

/** Has the running agent forget what it knows of a name, or everything. */
export async function flush(
  name: string | undefined,
  options: {
    readonly config?: string;
    readonly json?: boolean;
    readonly type?: string;
    readonly tree?: boolean;
    readonly all?: boolean;
  },
): Promise<number> {
  if ((name === undefined) !== (options.all === true)) {
    throw new OeError(
      'flush-unclear',
      name === undefined ? 'It is not said what is to be forgotten.' : 'A name and --all exclude each other.',
      'Write `oe flush example.org`, `oe flush example.org --tree`, or `oe flush --all`.',
      Exit.usage,
    );
  }
  const query = new URLSearchParams({
    ...(name === undefined ? { all: '1' } : { name }),
    ...(options.type === undefined ? {} : { type: options.type }),
    ...(options.tree === true ? { tree: '1' } : {}),
  });
  const path = `/v1/flush?${query.toString()}`;
  const answer = (await askAgent(await socketFor(options.config), path, { method: 'POST' })) as Flushed;
  if (options.json === true) printJson(answer);
  else process.stdout.write(`${flushedText(answer)}\n`);
  return Exit.ok;
}

/** `example.org: 12 entries forgotten.` */
export function flushedText({ flushed, entries }: Flushed): string {
  const what = flushed === 'all' ? 'everything' : flushed;
  return `${what}: ${entries === 1 ? '1 entry' : `${entries} entries`} forgotten.`;
}
