import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Exit, OeError, messageOf } from '../../errors.ts';

/** The certificates of `ca-file`, each in PEM; none where no file is named. Throws an OeError where it is of no use. */
export function loadAuthorities(file: string | undefined): readonly string[] {
  if (file === undefined) return [];
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw unusable(`${file} cannot be read: ${messageOf(error)}.`, error);
  }
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) throw unusable(`${file} has no certificate in PEM.`);
  for (const [i, pem] of found.entries()) {
    try {
      new X509Certificate(pem);
    } catch (error) {
      throw unusable(`Certificate ${i + 1} in ${file} cannot be read: ${messageOf(error)}.`, error);
    }
  }
  return found;
}

function unusable(problem: string, cause?: unknown): OeError {
  return new OeError(
    'ca-file-unusable',
    problem,
    'Correct ca-file in [dns], or leave it out to trust the authorities of the system alone.',
    Exit.config,
    cause,
  );
}
