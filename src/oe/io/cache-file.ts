import { mkdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../../errors.ts';
import { cachePath, type Paths } from '../config.ts';
import type { Log } from './log.ts';

/** Where the cache waits for the next start. What is in it is not trusted: it is validated again. */
export interface CacheFile {
  /** What an earlier run left; undefined where there is nothing that can be read. */
  load(): Uint8Array | undefined;
  /** Takes the place of what is there, as a whole; what goes wrong is logged. */
  keep(octets: Uint8Array): void;
}

/** The cache's file in the state directory; `limitOctets`: a larger one is none of ours. */
export function cacheFile(paths: Paths, limitOctets: number, log: Log): CacheFile {
  const file = cachePath(paths);
  return {
    load() {
      try {
        const { size } = statSync(file);
        if (size <= limitOctets) return readFileSync(file);
        log({ level: 'warn', event: 'cache.unusable', file, why: `it has ${size} octets` });
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
          log({ level: 'warn', event: 'cache.unusable', file, why: messageOf(error) });
      }
      return undefined;
    },
    keep(octets) {
      const next = `${file}.new`;
      try {
        mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
        rmIfThere(next);
        // Whom somebody has talked to is nobody else's business. A file that a power cut leaves half is no harm.
        writeFileSync(next, octets, { mode: 0o600, flag: 'wx' });
        renameSync(next, file);
      } catch (error) {
        log({ level: 'warn', event: 'cache.unwritable', file, why: messageOf(error) });
      }
    },
  };
}

function rmIfThere(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
