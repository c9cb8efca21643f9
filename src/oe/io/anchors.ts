import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readAnchors, rootAnchors, type TrustAnchor } from '../../dns/anchors.ts';
import { readSaved, type SavedAnchors } from '../../dns/anchors/saved.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';
import type { WallSeconds } from '../../time.ts';

/** What the agent does with trust anchors beyond its own memory. */
export interface AnchorStore {
  /** Keeps the text for the next start; what goes wrong is logged. */
  keep(text: string): void;
  /** The root's anchors as IANA publishes them (RFC 9718), their signature checked; rejects with a sentence. */
  fetch(wall: WallSeconds): Promise<readonly TrustAnchor[]>;
}

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

/** What an earlier run kept in `file`, or why that is of no use; neither where there is no file yet. */
export function loadSaved(file: string): {
  readonly saved?: SavedAnchors;
  readonly complaint?: string;
} {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    return { complaint: unusable(file, messageOf(error)) };
  }
  const saved = readSaved(text);
  return typeof saved === 'string' ? { complaint: unusable(file, saved) } : { saved };
}

function unusable(file: string, why: string): string {
  return `The trust anchors kept in ${file} are of no use: ${why}. Trust begins with the keys that oe brings along; a new file is written at the next look at the root.`;
}

/** Puts `text` into `file`: at any moment there is the old text or the new one, also after a power cut. */
export function replaceFile(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
  const fresh = `${file}.new`;
  const fd = openSync(fresh, 'w', 0o644);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, file);
  const directory = openSync(dirname(file), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
