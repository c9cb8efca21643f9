import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isOwn, learnUpstreams } from '../../dns/io/resolv-conf.ts';
import { Exit, OeError } from '../../errors.ts';
import type { Server } from '../../dns/finder.ts';
import { formatServer, parseServer } from '../../dns/server-text.ts';
import { formatEndpoint, type Endpoint } from '../../net/address.ts';
import type { Config } from '../config.ts';

/**
 * The resolvers to ask: those of the configuration, else those of the system. Where resolv.conf names nobody but
 * ourselves, those that it named before count, of which a copy is kept in the state directory.
 */
export async function upstreamsFor(config: Config): Promise<readonly Server[]> {
  const { mode, upstreams, resolvConf, listen } = config.dns;
  if (upstreams) {
    const own = upstreams.find((u) => isOwn(u.endpoint, listen));
    if (own) {
      throw new OeError(
        'upstream-loop',
        `oe would ask itself: it listens at ${formatEndpoint(own.endpoint)}, which is in upstreams.`,
        'Give the address of a resolver in upstreams in [dns].',
        Exit.config,
      );
    }
    return upstreams;
  }
  if (mode === 'recurse') return [];
  const learned = (await learnUpstreams(resolvConf, listen)).map(overUdp);
  if (learned.length > 0) {
    remember(config.paths.stateDirectory, learned);
    return learned;
  }
  const remembered = recall(config.paths.stateDirectory).filter((u) => !isOwn(u.endpoint, listen));
  if (remembered.length > 0) return remembered;
  throw new OeError(
    'no-upstream',
    existsSync(resolvConf)
      ? `No resolver is known: ${resolvConf} names none that oe can ask; its own and link-local addresses do not count.`
      : `No resolver is known: there is no ${resolvConf}.`,
    'Write one or more under upstreams in [dns] of /etc/oe/oe.toml, for example upstreams = ["9.9.9.9"].',
    Exit.config,
  );
}

function overUdp(endpoint: Endpoint): Server {
  return { endpoint, transport: 'udp' };
}

function fileIn(stateDirectory: string): string {
  return `${stateDirectory}/upstreams`;
}

/** Best effort: without a state directory the next start must find them by itself. */
function remember(stateDirectory: string, upstreams: readonly Server[]): void {
  const path = fileIn(stateDirectory);
  try {
    mkdirSync(stateDirectory, { recursive: true, mode: 0o755 });
    writeFileSync(`${path}.new`, upstreams.map((u) => `${formatServer(u)}\n`).join(''), { mode: 0o644 });
    renameSync(`${path}.new`, path);
  } catch {
    // Not writable; nothing depends on it now.
  }
}

function recall(stateDirectory: string): Server[] {
  try {
    return readFileSync(fileIn(stateDirectory), 'utf8')
      .split('\n')
      .flatMap((line) => parseServer(line.trim()) ?? []);
  } catch {
    return [];
  }
}
