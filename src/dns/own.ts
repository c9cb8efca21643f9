import { isLoopback, sameAddress, type Endpoint, type IpAddress } from '../net/address.ts';

/** Where we listen ourselves. */
export interface Own {
  readonly listen: readonly Endpoint[];
  /** All addresses of this host: a wildcard in `listen` stands for them. */
  readonly host: readonly IpAddress[];
}

/** Whether a query to `endpoint` would come to ourselves: a wildcard listens at loopback addresses too. */
export function isOwn({ address, port }: Endpoint, { listen, host }: Own): boolean {
  return listen.some((own) => {
    if (own.port !== port || own.address.family !== address.family) return false;
    if (sameAddress(own.address, address)) return true;
    const isWildcard = own.address.octets.every((o) => o === 0);
    return isWildcard && (isLoopback(address) || host.some((h) => sameAddress(h, address)));
  });
}
