import { readFileSync } from 'node:fs';
import { readAnchors, rootAnchors, type TrustAnchor } from '../../dns/anchors.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';

/** The trust anchors of a file, or the root's own where none is named. Throws one OeError with every problem. */
export function loadAnchors(file: string | undefined): readonly TrustAnchor[] {
  if (file === undefined) return rootAnchors;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new OeError(
      'anchors-unreadable',
      `The trust anchors cannot be read: ${messageOf(error)}.`,
      'Correct trust-anchor-file in [dns], or leave it out to trust the keys of the DNS root that oe brings along.',
      Exit.config,
      error,
    );
  }
  const { anchors, problems } = readAnchors(text);
  if (problems.length === 0) return anchors;
  throw new OeError(
    'anchors-invalid',
    problems.map((p) => `${file}:${p.line}: ${p.problem}.`).join('\n'),
    'Write one DS or DNSKEY record a line, as unbound-anchor does.',
    Exit.config,
  );
}
