import type { IpAddress } from './address.ts';
import { parsePrefix, prefixContains, type Prefix } from './prefix.ts';

/** Whether the address is one of a private network, and means another host in the next one (RFC 1918, 4193, 6598). */
export function isPrivateUse(address: IpAddress): boolean {
  return privateUse.some((p) => prefixContains(p, address));
}

/** Whether the address leads no further than this host or its link. */
export function isLocalOnly(address: IpAddress): boolean {
  return localOnly.some((p) => prefixContains(p, address));
}

const prefixes = (...texts: string[]): readonly Prefix[] => texts.flatMap((t) => parsePrefix(t) ?? []);
const privateUse = prefixes('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7');
// 192.0.0.0/29 is what a translator on this host itself has (RFC 7335).
const localOnly = prefixes('0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '192.0.0.0/29', '::1', 'fe80::/10');
