/** `npm run bench -- dns`: answers per second and what each costs, beside other resolvers in the same run. */
import { measuredApart } from './apart.ts';

/** Prints a table, or with `--json` the same for programs; the exit code. */
export function dns(options: readonly string[]): Promise<number> {
  return measuredApart('dns', options);
}
