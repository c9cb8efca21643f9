import { readdir, readFile, stat } from 'node:fs/promises';
import { formatAddress, isLoopback, type Endpoint } from '../../net/address.ts';
import type { Server } from '../finder.ts';
import type { Routes } from '../finders.ts';
import { parseLinkState, routesOver, type LinkState } from '../link-state.ts';
import { isOwn } from '../own.ts';
import { hostAddresses, parseResolvConf, upstreamsOf } from './resolv-conf.ts';

/** Where resolvers that stand before others write down who the others are, by who knows best. */
const behindFiles = [
  'systemd/resolve/resolv.conf',
  'NetworkManager/no-stub-resolv.conf',
  'NetworkManager/resolv.conf',
];
/** Directories with one file for each link. */
const linkDirectories = ['systemd/resolve/netif', 'systemd/netif/links'];

/**
 * The resolvers that the system names, and their changes. Those of resolv.conf count, without those at which we listen
 * ourselves. Where it names only ourselves or the loopback address of a stub that stands before the real ones, that
 * stub's own list does. What the system knows of single links says which names are asked where.
 */
export class LearnedRoutes {
  readonly #resolvConf: string;
  readonly #listen: readonly Endpoint[];
  readonly #run: string;
  #seen = '';
  /** What came of it. */
  #known = '';

  constructor(resolvConf: string, listen: readonly Endpoint[], run = '/run') {
    this.#resolvConf = resolvConf;
    this.#listen = listen;
    this.#run = run;
  }

  /** Whom to ask now. Without any upstream where nobody is known. */
  async read(): Promise<Routes> {
    this.#seen = await this.#state();
    const links: LinkState[] = [];
    for (const path of await this.#linkFiles()) {
      const link = parseLinkState(await textOf(path));
      const servers = link?.servers.filter(
        (s) => !isOwn(s.endpoint, { listen: this.#listen, host: hostAddresses() }),
      );
      if (link && servers && servers.length > 0) links.push({ ...link, servers });
    }
    const routes = routesOver(links, await this.#general());
    this.#known = JSON.stringify(routes);
    return routes;
  }

  /** Whom to ask, if that is somebody else than at the last reading. */
  async changed(): Promise<Routes | undefined> {
    if ((await this.#state()) === this.#seen) return undefined;
    const before = this.#known;
    const routes = await this.read();
    return this.#known === before ? undefined : routes;
  }

  async #general(): Promise<readonly Server[]> {
    const found = await this.#serversIn(this.#resolvConf);
    if (found.some((s) => !isLoopback(s.endpoint.address))) return found;
    for (const file of behindFiles) {
      const behind = await this.#serversIn(`${this.#run}/${file}`);
      if (behind.length > 0) return behind;
    }
    return found;
  }

  async #serversIn(path: string): Promise<Server[]> {
    const conf = parseResolvConf(await textOf(path));
    return upstreamsOf(conf, this.#listen, hostAddresses()).map((endpoint) => ({
      endpoint,
      transport: 'udp',
    }));
  }

  /** One file for each link; where resolved and networkd both have one, that of resolved. */
  async #linkFiles(): Promise<string[]> {
    const byLink = new Map<string, string>();
    for (const directory of linkDirectories) {
      for (const name of await namesIn(`${this.#run}/${directory}`))
        if (!byLink.has(name)) byLink.set(name, `${this.#run}/${directory}/${name}`);
    }
    return [...byLink.values()].sort();
  }

  async #state(): Promise<string> {
    const files = [
      this.#resolvConf,
      ...behindFiles.map((f) => `${this.#run}/${f}`),
      ...(await this.#linkFiles()),
    ];
    const states = await Promise.all(
      files.map(async (path) => {
        try {
          const { mtimeMs, size, ino } = await stat(path);
          return `${path} ${mtimeMs} ${size} ${ino}`;
        } catch {
          return '';
        }
      }),
    );
    // At a wildcard we listen at every address of the host, and nobody else answers there.
    const isWild = this.#listen.some((l) => l.address.octets.every((o) => o === 0));
    return [...states, ...(isWild ? hostAddresses().map(formatAddress) : [])].join('\n');
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return '';
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}
