import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Server } from '../../dns/finder.ts';
import type { Routes } from '../../dns/finders.ts';
import { LearnedRoutes } from '../../dns/io/learned.ts';
import { hostAddresses } from '../../dns/io/resolv-conf.ts';
import { isOwn } from '../../dns/own.ts';
import { formatServer, parseServer } from '../../dns/server-text.ts';
import { Exit, OeError } from '../../errors.ts';
import { formatEndpoint } from '../../net/address.ts';
import type { Config } from '../config.ts';

/** Whom to ask: what the configuration says, else what the system does, which may change while we run. */
export class RouteSource {
  readonly #config: Config;
  /** Undefined: the configuration says all. */
  readonly #learned: LearnedRoutes | undefined;

  constructor(config: Config, run = '/run') {
    const { upstreams, resolvConf, listen } = config.dns;
    this.#config = config;
    this.#learned = upstreams === undefined ? new LearnedRoutes(resolvConf, listen, run) : undefined;
  }

  /**
   * Whom to ask. Where the system names nobody but ourselves, those that it named before count, of which a copy is kept
   * in the state directory. Throws an OeError where nobody is known, or we would ask ourselves.
   */
  async read(): Promise<Routes> {
    const { mode, upstreams = [], zones, listen, resolvConf } = this.#config.dns;
    const here = { listen, host: hostAddresses() };
    const own = [...upstreams, ...zones.flatMap((z) => z.servers)].find((s) => isOwn(s.endpoint, here));
    if (own) {
      throw new OeError(
        'upstream-loop',
        `oe would ask itself: it listens at ${formatEndpoint(own.endpoint)}, which is in upstreams or a zone.`,
        'Give the address of another resolver in upstreams or the zone in [dns].',
        Exit.config,
      );
    }
    if (!this.#learned) return { upstreams, zones };
    const routes = this.#withZones(await this.#learned.read());
    if (mode === 'recurse') return routes;
    if (routes.upstreams.length > 0) {
      this.#remember(routes.upstreams);
      return routes;
    }
    const remembered = this.#recall().filter((s) => !isOwn(s.endpoint, here));
    if (remembered.length > 0) return { ...routes, upstreams: remembered };
    throw new OeError(
      'no-upstream',
      existsSync(resolvConf)
        ? `No resolver is known: ${resolvConf} names none that oe can ask; its own and link-local addresses do not count.`
        : `No resolver is known: there is no ${resolvConf}.`,
      'Write one or more under upstreams in [dns] of /etc/oe/oe.toml, for example upstreams = ["9.9.9.9"].',
      Exit.config,
    );
  }

  /** Whom to ask, where the system says something else than before. Nobody at all is no news: the former stay. */
  async changed(): Promise<Routes | undefined> {
    const learned = await this.#learned?.changed();
    if (!learned || learned.upstreams.length === 0) return undefined;
    this.#remember(learned.upstreams);
    return this.#withZones(learned);
  }

  /** With the zones of the configuration, which come before those of the system. */
  #withZones({ upstreams, zones = [] }: Routes): Routes {
    const own = this.#config.dns.zones;
    // Who iterates asks nobody else for anything but the zones.
    const asked = this.#config.dns.mode === 'recurse' ? [] : upstreams;
    return { upstreams: asked, zones: [...own, ...zones.filter((z) => !own.some((o) => o.name === z.name))] };
  }

  get #file(): string {
    return `${this.#config.paths.stateDirectory}/upstreams`;
  }

  /** Best effort: without a state directory the next start must find them by itself. */
  #remember(upstreams: readonly Server[]): void {
    try {
      mkdirSync(this.#config.paths.stateDirectory, { recursive: true, mode: 0o755 });
      const text = upstreams.map((u) => `${formatServer(u)}\n`).join('');
      writeFileSync(`${this.#file}.new`, text, { mode: 0o644 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch {
      // Not writable; nothing depends on it now.
    }
  }

  #recall(): Server[] {
    try {
      return readFileSync(this.#file, 'utf8')
        .split('\n')
        .flatMap((line) => parseServer(line.trim()) ?? []);
    } catch {
      return [];
    }
  }
}
