import { addressOf, type IpAddress } from '../net/address.ts';
import { parsePrefix, prefixContains, type Prefix } from '../net/prefix.ts';
import { nameOf, rootName } from './name.ts';

/** A name that has only IPv4 addresses: what else is said of it tells the prefix of a translator (RFC 7050 §2.2). */
export const ipv4onlyName = nameOf('ipv4only.arpa') ?? rootName;

/** Reads a NAT64 prefix: IPv6, of one of the lengths of RFC 6052 §2.2. */
export function nat64Prefix(text: string): Prefix | undefined {
  const prefix = parsePrefix(text);
  return prefix?.address.family === 6 && lengths.includes(prefix.length) ? prefix : undefined;
}

/** The address under which a translator with `prefix` shows an IPv4 host (RFC 6052 §2.2). */
export function embedded(prefix: Prefix, v4: IpAddress): IpAddress | undefined {
  const octets = prefix.address.octets.slice();
  for (const [i, at] of placesOf(prefix.length).entries()) octets[at] = v4.octets[i] ?? 0;
  return addressOf(octets);
}

/** The prefixes with which an AAAA of `ipv4only.arpa` was made (RFC 7050 §3): those under which its address stands. */
export function prefixesIn(addresses: readonly IpAddress[]): Prefix[] {
  const found: Prefix[] = [];
  for (const { octets } of addresses.filter((a) => a.family === 6)) {
    for (const length of lengths) {
      const v4 = placesOf(length).map((at) => octets[at] ?? 0);
      const isWellKnown = v4[0] === 192 && v4[1] === 0 && v4[2] === 0 && (v4[3] === 170 || v4[3] === 171);
      const isWhole = length === 96 || octets[8] === 0;
      if (!isWellKnown || !isWhole) continue;
      const address = addressOf(octets.map((o, i) => (i < length / 8 ? o : 0)));
      if (address && !found.some((p) => p.length === length && prefixContains(p, address)))
        found.push({ address, length });
    }
  }
  return found;
}

const lengths: readonly number[] = [32, 40, 48, 56, 64, 96];

/** Where the four octets go; octet 8 (bits 64 to 71) is always zero. */
function placesOf(length: number): number[] {
  const places: number[] = [];
  for (let at = length / 8; places.length < 4; at++) if (at !== 8 || length === 96) places.push(at);
  return places;
}
