/** `npm run bench -- hostile`: what zones and replies that were made to cost do cost, beside unbound. */
import { measuredApart } from './apart.ts';

/** Prints a table, or with `--json` the same for programs; the exit code. */
export function hostile(options: readonly string[]): Promise<number> {
  return measuredApart('hostile', options);
}
