import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { readAnchors, rootAnchors, type TrustAnchor } from '../../dns/anchors.ts';
import { readSaved, type SavedAnchors } from '../../dns/anchors/saved.ts';
import type { TrustOptions } from '../../dns/anchors/trust.ts';
import type { NameKey } from '../../dns/name.ts';
import { timeServersIn } from '../../dns/time-servers.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';
import { wallSeconds, type WallSeconds } from '../../time.ts';
import { fetchRootList } from './root-list.ts';
import type { Log } from './log.ts';
import { anchorsPath, programDate, type Config, type Paths } from '../config.ts';

/** What the agent does with trust anchors beyond its own memory. */
export interface AnchorStore {
  /** Keeps the text for the next start; what goes wrong is logged. */
  keep(text: string): void;
  /** The root's anchors as IANA publishes them (RFC 9718), their signature checked; rejects with a sentence. */
  fetch(wall: WallSeconds): Promise<readonly TrustAnchor[]>;
}

/** What the resolver starts from, and what about it is not as it should be, as sentences. */
export interface LoadedTrust {
  readonly fixed: readonly TrustAnchor[];
  readonly trust: Omit<TrustOptions, 'fixed'>;
  readonly complaints: readonly string[];
}

/** Everything that the configuration, the state directory and this machine say of trust. Throws one OeError. */
export function loadTrust(dns: Config['dns'], paths: Paths): LoadedTrust {
  const { files, anchors, managed, negative, timeServers, signaling } = dns.trust;
  const configured = [...files.flatMap(loadAnchors), ...anchors];
  const shipped = files.length === 0 ? rootAnchors : [];
  const { saved, complaint } = loadSaved(anchorsPath(paths));
  const notBefore = Math.max(programDate, saved?.savedAt ?? 0);
  return {
    fixed: managed ? [] : configured,
    trust: {
      managed: managed ? [...shipped, ...configured] : shipped,
      saved,
      negative,
      // At a date that was set for validation the clock is right by definition.
      clockNotBefore: dns.validationDate === undefined ? wallSeconds(notBefore) : undefined,
      timeServers: [...timeServers, ...timeServersHere()],
      signalling: signaling,
    },
    complaints: complaint === undefined ? [] : [complaint],
  };
}

/** Keeps trust anchors in the state directory, and fetches IANA's list. */
export function anchorStore(dns: Config['dns'], paths: Paths, log: Log): AnchorStore {
  return {
    keep(text) {
      // A date that was set for a test must not become a time that has been.
      if (dns.validationDate !== undefined) return;
      const file = anchorsPath(paths);
      try {
        replaceFile(file, text);
      } catch (error) {
        log({ level: 'error', event: 'anchors.unwritable', file, why: messageOf(error) });
      }
    },
    fetch: (wall) => fetchRootList(dns.trust.rootList, dns.listen, wall),
  };
}

/** The trust anchors of a file. Throws one OeError with every problem. */
function loadAnchors(file: string): readonly TrustAnchor[] {
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

/** Names of time servers in the files of this machine's time service. */
function timeServersHere(): NameKey[] {
  return timeServiceFiles.flatMap((file) => {
    try {
      return timeServersIn(readFileSync(file, 'utf8'));
    } catch {
      return []; // Most machines have one of them at most.
    }
  });
}

const timeServiceFiles = [
  '/etc/systemd/timesyncd.conf',
  '/etc/chrony/chrony.conf',
  '/etc/chrony.conf',
  '/etc/ntpsec/ntp.conf',
  '/etc/ntp.conf',
];

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
