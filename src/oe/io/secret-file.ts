import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { messageOf } from '../../errors.ts';

/** `exposed`: others than its owner may read or write it; `mode` is in octal. */
export type SecretFile =
  | { readonly kind: 'read'; readonly text: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'exposed'; readonly mode: string }
  | { readonly kind: 'unreadable'; readonly why: string; readonly cause: unknown };

/** Reads a file that nobody but its owner may read; the mode is that of the very file that is read. */
export function readSecretFile(path: string): SecretFile {
  try {
    const fd = openSync(path, 'r');
    try {
      const { mode } = fstatSync(fd);
      if ((mode & 0o077) !== 0) return { kind: 'exposed', mode: (mode & 0o777).toString(8) };
      return { kind: 'read', text: readFileSync(fd, 'utf8') };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'absent' };
    return { kind: 'unreadable', why: messageOf(error), cause: error };
  }
}
