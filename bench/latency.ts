/** `npm run bench -- latency`: how long a first connection waits, `oe` and libreswan in the same kernel and run. */
import { outDirectory } from '../lab/out.ts';
import { ensureRoot } from '../lab/root.ts';
import { bootUml } from '../lab/uml.ts';

/** Prints a table; the exit code. */
export async function latency(): Promise<number> {
  const root = await ensureRoot(console.error);
  if (!root.ok) {
    console.log(`The measurement did not run: ${root.why}`);
    return 1;
  }
  const ran = await bootUml({
    root: root.directory,
    out: outDirectory('latency'),
    command: 'cd /tmp && exec /oe/node_modules/node/bin/node /oe/lab/guest/latency.ts\n',
    timeoutMs: 900_000,
    line: console.log,
  });
  if (ran.trouble !== undefined) console.error(ran.trouble);
  return ran.code ?? 1;
}
