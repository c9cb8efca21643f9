import { networkInterfaces } from 'node:os';
import { isLoopback, parseAddress, sameAddress, type Endpoint, type IpAddress } from '../../net/address.ts';

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

const dnsPort = 53;

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

/** The addresses of this host. */
export function hostAddresses(): IpAddress[] {
  return Object.values(networkInterfaces()).flatMap(
    (interfaces) => interfaces?.flatMap(({ address }) => parseAddress(address) ?? []) ?? [],
  );
}
