import { readFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { parseAddress, sameAddress, type Endpoint, type IpAddress } from '../../net/address.ts';

/** What resolv.conf(5) says. */
export interface ResolvConf {
  readonly nameservers: readonly IpAddress[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

/** Reads the text of a resolv.conf. Lines that say nothing, and addresses with a zone index, are passed over. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: IpAddress[] = [];
  let search: string[] = [];
  const options: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    switch (keyword) {
      case 'nameserver': {
        const address = parseAddress(values[0] ?? '');
        if (address && !nameservers.some((n) => sameAddress(n, address))) nameservers.push(address);
        break;
      }
      case 'domain':
      case 'search':
        search = values; // The last of the two counts (resolv.conf(5)).
        break;
      case 'options':
        options.push(...values);
        break;
      default:
        break;
    }
  }
  return { nameservers, search, options };
}

/**
 * The upstream resolvers that the system's resolv.conf names, without those at which we listen ourselves. Where it
 * names only ourselves or a loopback address of a stub that stands before the real ones, that stub's own list of
 * resolvers is used if there is one (systemd-resolved). Empty where none is known.
 */
export async function learnUpstreams(resolvConf: string, listen: readonly Endpoint[]): Promise<Endpoint[]> {
  const found = await upstreamsIn(resolvConf, listen);
  const remote = found.filter((endpoint) => !isLoopback(endpoint.address));
  if (remote.length > 0) return found;
  const behind = await upstreamsIn(resolvedConf, listen);
  return behind.length > 0 ? behind : found;
}

/** Where systemd-resolved writes the resolvers that it learned itself. */
const resolvedConf = '/run/systemd/resolve/resolv.conf';
const dnsPort = 53;

async function upstreamsIn(path: string, listen: readonly Endpoint[]): Promise<Endpoint[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return [];
  }
  return upstreamsOf(parseResolvConf(text), listen, hostAddresses());
}

/** Port 53 of each nameserver, except where that is one of `listen`: a stub must not ask itself. */
export function upstreamsOf(
  conf: ResolvConf,
  listen: readonly Endpoint[],
  host: readonly IpAddress[] = [],
): Endpoint[] {
  return conf.nameservers
    .map((address) => ({ address, port: dnsPort }))
    .filter((endpoint) => !isOwn(endpoint, listen, host));
}

/**
 * Whether a query to `endpoint` comes back to one who listens at `listen`: a wildcard address listens at loopback and
 * at every address of the host too, which `host` lists.
 */
export function isOwn(
  endpoint: Endpoint,
  listen: readonly Endpoint[],
  host: readonly IpAddress[] = hostAddresses(),
): boolean {
  const { address, port } = endpoint;
  const isHere = isLoopback(address) || host.some((h) => sameAddress(h, address));
  return listen.some(
    (own) =>
      own.port === port &&
      own.address.family === address.family &&
      (sameAddress(own.address, address) || (isHere && own.address.octets.every((o) => o === 0))),
  );
}

function hostAddresses(): IpAddress[] {
  return Object.values(networkInterfaces()).flatMap(
    (interfaces) => interfaces?.flatMap(({ address }) => parseAddress(address) ?? []) ?? [],
  );
}

function isLoopback({ family, octets }: IpAddress): boolean {
  return family === 4 ? octets[0] === 127 : octets.every((o, i) => o === (i === 15 ? 1 : 0));
}
