import { sameAddress, type IpAddress } from '../net/address.ts';
import { parsePrefix, prefixContains, type Prefix } from '../net/prefix.ts';

/**
 * Why an address is never protected, or undefined: ourselves, what is no single host, what the host needs to find
 * its neighbours, and the resolvers, whose answers must not wait for what they are asked for.
 */
export function exemption(
  address: IpAddress,
  locals: readonly IpAddress[],
  resolvers: readonly IpAddress[],
): string | undefined {
  if (locals.some((l) => sameAddress(l, address))) return 'this host itself';
  if (resolvers.some((r) => sameAddress(r, address))) return 'a resolver that oe asks';
  return ranges.find((r) => prefixContains(r.prefix, address))?.what;
}

const ranges: readonly { readonly prefix: Prefix; readonly what: string }[] = (
  [
    ['127.0.0.0/8', 'this host itself'],
    ['::1', 'this host itself'],
    ['0.0.0.0/8', 'no host'],
    ['::', 'no host'],
    ['169.254.0.0/16', 'an address of the local link'],
    ['fe80::/10', 'an address of the local link'],
    ['224.0.0.0/4', 'a multicast address'],
    ['ff00::/8', 'a multicast address'],
    ['240.0.0.0/4', 'no host'],
  ] as const
).flatMap(([text, what]) => {
  const prefix = parsePrefix(text);
  return prefix ? [{ prefix, what }] : [];
});
