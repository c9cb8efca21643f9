import { formatEndpoint, parseEndpoint } from '../net/address.ts';
import type { Server, Transport } from './finder.ts';

const ports: Readonly<Record<Transport, number>> = { udp: 53, tcp: 53, tls: 853, https: 443 };

/**
 * Reads a server as configuration writes it: `192.0.2.1`, `192.0.2.1:5353`, `tcp://192.0.2.1`,
 * `tls://192.0.2.1#dns.example`, `https://192.0.2.1/dns-query#dns.example`. The address must be there: a name of a
 * resolver would have to be resolved first. After `#` stands the name in its certificate. Undefined for anything else.
 */
export function parseServer(text: string): Server | undefined {
  const match = /^(?:(tcp|tls|https):\/\/)?([^/#]+)(\/[^#]*)?(?:#(.+))?$/.exec(text);
  if (!match) return undefined;
  const [, scheme, at = '', path, authName] = match;
  const transport = (scheme ?? 'udp') as Transport;
  const endpoint = parseEndpoint(at, ports[transport]);
  if (!endpoint) return undefined;
  const isEncrypted = transport === 'tls' || transport === 'https';
  if (authName !== undefined && !(isEncrypted && hostName.test(authName))) return undefined;
  if (path !== undefined && (transport !== 'https' || !/^[!-~]+$/.test(path))) return undefined;
  return {
    endpoint,
    transport,
    ...(authName !== undefined && { authName }),
    ...(transport === 'https' && { path: path ?? '/dns-query' }),
  };
}

/** The inverse of {@link parseServer}. */
export function formatServer(server: Server): string {
  const at = formatEndpoint(server.endpoint);
  if (server.transport === 'udp') return at;
  const name = server.authName === undefined ? '' : `#${server.authName}`;
  return `${server.transport}://${at}${server.path ?? ''}${name}`;
}

const hostName = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
