import { readFileSync } from 'node:fs';
import { readHints, type Hint } from '../../dns/recurse/hints.ts';
import { Exit, messageOf, OeError } from '../../errors.ts';

/** The root's servers in a file of the form of named.root. Throws one OeError with every line that is wrong. */
export function loadRootHints(path: string): readonly Hint[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new OeError(
      'root-hints-unreadable',
      `The root hints cannot be read: ${messageOf(error)}.`,
      'Correct root-hints in [dns], or leave it out: the root servers are known without it.',
      Exit.config,
      error,
    );
  }
  const { hints, problems } = readHints(text);
  if (problems.length === 0) return hints;
  throw new OeError(
    'root-hints-invalid',
    problems.map(({ line, problem }) => `${path}:${line}: ${problem}.`).join('\n'),
    'Write the root servers as IANA does in named.root, or leave root-hints in [dns] out.',
    Exit.config,
  );
}
