import { networkInterfaces } from 'node:os';
import { parseAddress, sameAddress, type Endpoint, type IpAddress } from '../../net/address.ts';
import { isOwn } from '../own.ts';

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
    .filter((endpoint) => !isOwn(endpoint, { listen, host }));
}

/** The addresses of this host. */
export function hostAddresses(): IpAddress[] {
  return Object.values(networkInterfaces()).flatMap(
    (interfaces) => interfaces?.flatMap(({ address }) => parseAddress(address) ?? []) ?? [],
  );
}
