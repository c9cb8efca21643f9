import { isLoopback, sameAddress, type Endpoint, type IpAddress } from '../net/address.ts';
import { isPrivateUse } from '../net/scope.ts';

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

/**
 * Whether a query to `endpoint`, which a zone has named, may come back to ourselves: we listen there, or it is a private
 * address of this host, where a forwarder for its virtual machines hands on to us what it is asked. A public one may be
 * that of a name server on this host, and then it is the one to ask.
 */
export function mayLeadHome(endpoint: Endpoint, own: Own): boolean {
  const { address } = endpoint;
  return isOwn(endpoint, own) || (isPrivateUse(address) && own.host.some((h) => sameAddress(h, address)));
}
