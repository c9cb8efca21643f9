import { addressOf, formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { isLocalOnly, isPrivateUse } from '../net/scope.ts';
import type { Server } from './finder.ts';
import type { Message, Question } from './message.ts';
import { nameOf, rootName } from './name.ts';
import { serverAddress } from './recurse/hints.ts';
import { decodeSvcb, isUsable, SvcParam, type Svcb } from './svcb.ts';
import { Class, Type } from './types.ts';

/** What a resolver is asked for how it can be reached in private (RFC 9462 §4). */
export const designationQuestion: Question = {
  name: nameOf('_dns.resolver.arpa') ?? rootName,
  type: Type.SVCB,
  class: Class.IN,
};

const knownParams = [
  SvcParam.ALPN,
  SvcParam.NO_DEFAULT_ALPN,
  SvcParam.PORT,
  SvcParam.IPV4HINT,
  SvcParam.IPV6HINT,
  SvcParam.DOHPATH,
];
/** Records and addresses that are looked at. */
const [maxRecords, maxAddresses] = [16, 8];

/**
 * The best way of reaching `resolver` in private, of those that it names in its reply. Its certificate must be valid
 * for the address of `resolver` (RFC 9462 §4.2); one that stands at that very address, where the address is a private
 * one that no authority can vouch for, is taken without (§4.3). Undefined: it names none that we can use.
 */
export function designated(resolver: Server, reply: Message): Server | undefined {
  const services = reply.answer
    .filter((r) => r.owner === designationQuestion.name && r.type === Type.SVCB)
    .slice(0, maxRecords)
    .flatMap(({ rdata }): Svcb[] => {
      const service = decodeSvcb(rdata);
      // An alias would have to be looked up, and is not for this (§4).
      return service.ok && service.value.priority > 0 && isUsable(service.value, knownParams)
        ? [service.value]
        : [];
    })
    .sort((a, b) => a.priority - b.priority);
  for (const service of services) {
    const server = serverOf(service, resolver, reply);
    if (server) return server;
  }
  return undefined;
}

function serverOf(service: Svcb, resolver: Server, reply: Message): Server | undefined {
  const own = resolver.endpoint.address;
  const allowed = addressesOf(service, reply).filter((a) => mayStandAt(a, own));
  const address = nearest(allowed, own);
  if (!address) return undefined;
  const isOpportunistic = (isPrivateUse(own) || isLocalOnly(own)) && sameAddress(address, own);
  const proof = isOpportunistic ? {} : { authName: formatAddress(own) };
  if (service.alpn.includes('dot'))
    return { endpoint: { address, port: service.port ?? 853 }, transport: 'tls', ...proof };
  const path = service.dohpath?.replace(/\{.*/, '');
  // Without HTTP/2 there is HTTP/3 alone, which we do not speak. Names of hosts cannot be IPv6 addresses.
  if (!service.alpn.includes('h2') || path === undefined || own.family === 6) return undefined;
  return { endpoint: { address, port: service.port ?? 443 }, transport: 'https', path, ...proof };
}

/** Where the service is: its hints, and what the reply says of its name besides (RFC 9460 §4.2). */
function addressesOf({ target, ipv4hint, ipv6hint }: Svcb, reply: Message): IpAddress[] {
  const besides = reply.additional
    .filter((r) => r.owner === target && (r.type === Type.A || r.type === Type.AAAA))
    .flatMap((r) => addressOf(r.rdata) ?? []);
  return [...ipv4hint, ...ipv6hint, ...besides].slice(0, maxAddresses);
}

/**
 * A resolver may offer itself where it stands; elsewhere only in the internet, or in a private network if it is in one:
 * nobody outside is to have us knock at doors in here, though no certificate there would be taken.
 */
function mayStandAt(address: IpAddress, own: IpAddress): boolean {
  if (sameAddress(address, own)) return true;
  if (serverAddress(address.octets) === undefined) return false;
  return !isPrivateUse(address) || isPrivateUse(own) || isLocalOnly(own);
}

/** The resolver's own address where that is among them, else one of its family: the way there is known to exist. */
function nearest(addresses: readonly IpAddress[], own: IpAddress): IpAddress | undefined {
  return addresses.find((a) => sameAddress(a, own)) ?? addresses.find((a) => a.family === own.family);
}
