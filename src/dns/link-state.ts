import { parseAddress, parseEndpoint } from '../net/address.ts';
import type { Server } from './finder.ts';
import type { RoutedZone, Routes } from './finders.ts';
import { nameOf, rootName, type NameKey } from './name.ts';
import { formatServer } from './server-text.ts';

/** What the system says of the resolvers of one link. */
export interface LinkState {
  readonly servers: readonly Server[];
  /** Names that are asked there; the root stands for all that no other link claims (`~.`). */
  readonly domains: readonly NameKey[];
  /** Whether everything else may be asked there as well. */
  readonly isDefault: boolean;
}

/**
 * Reads the state of a link as systemd-networkd (`/run/systemd/netif/links/2`) and systemd-resolved
 * (`/run/systemd/resolve/netif/2`) write it. Servers whose address has a zone index, and names that are none, are
 * passed over. Undefined where it names no server.
 */
export function parseLinkState(text: string): LinkState | undefined {
  const values = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const [, key, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
    if (key !== undefined && value !== undefined) values.set(key, value.split(/\s+/).filter(Boolean));
  }
  const of = (...keys: string[]): readonly string[] => keys.flatMap((k) => values.get(k) ?? []);
  const isOverTls = of('DNS_OVER_TLS', 'DNSOVERTLS').includes('yes');
  const servers = of('DNS', 'SERVERS').flatMap((s) => linkServer(s, isOverTls) ?? []);
  if (servers.length === 0) return undefined;
  const [explicit] = of('DNS_DEFAULT_ROUTE', 'DEFAULT_ROUTE');
  const routeOnly = [...of('ROUTE_DOMAINS'), ...of('DOMAINS').filter((d) => d.startsWith('~'))];
  const search = of('DOMAINS').filter((d) => !d.startsWith('~'));
  const domains = [...routeOnly.map((d) => d.replace('~', '')), ...search].flatMap((d) => nameOf(d) ?? []);
  return {
    servers,
    domains,
    // As systemd-resolved does: a link that only wants certain names does not volunteer for the others.
    isDefault: explicit === undefined ? routeOnly.length === 0 : explicit === 'yes',
  };
}

/**
 * Whom to ask: `general` are the resolvers that the system names for everything. Those that belong to links which are
 * for certain names only are asked for these names alone.
 */
export function routesOver(links: readonly LinkState[], general: readonly Server[]): Routes {
  const forAll = links.filter((l) => l.domains.includes(rootName));
  const open = new Set(links.filter((l) => l.isDefault).flatMap((l) => l.servers.map(formatServer)));
  const closed = new Set(links.filter((l) => !l.isDefault).flatMap((l) => l.servers.map(formatServer)));
  const rest = general.filter((s) => open.has(formatServer(s)) || !closed.has(formatServer(s)));
  const upstreams = distinct(forAll.length > 0 ? forAll.flatMap((l) => l.servers) : rest);
  const names = new Set(links.flatMap((l) => l.domains).filter((d) => d !== rootName));
  const zones = [...names].map((name): RoutedZone => {
    const servers = distinct(links.filter((l) => l.domains.includes(name)).flatMap((l) => l.servers));
    return { name, kind: 'forward', servers };
  });
  const usual = keyOf(upstreams);
  return { upstreams, zones: zones.filter((z) => keyOf(z.servers) !== usual) };
}

/** `192.0.2.1`, `192.0.2.1:53`, `192.0.2.1#dns.example`, `[2001:db8::1]:53#dns.example`. */
function linkServer(text: string, isOverTls: boolean): Server | undefined {
  const [at = '', authName] = text.split('#');
  const bare = parseAddress(at);
  if (!isOverTls) {
    const endpoint = bare ? { address: bare, port: 53 } : parseEndpoint(at, 53);
    return endpoint && { endpoint, transport: 'udp' };
  }
  const endpoint = bare ? { address: bare, port: 853 } : parseEndpoint(at, 853);
  return endpoint && { endpoint, transport: 'tls', ...(authName !== undefined && { authName }) };
}

function distinct(servers: readonly Server[]): Server[] {
  return [...new Map(servers.map((s) => [formatServer(s), s])).values()];
}

function keyOf(servers: readonly Server[]): string {
  return servers.map(formatServer).sort().join(' ');
}
