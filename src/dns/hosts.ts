import { formatAddress, parseAddress, type IpAddress } from '../net/address.ts';
import { nameOf, reverseName, type NameKey } from './name.ts';

/** What a hosts file says (hosts(5)). */
export interface Hosts {
  /** The addresses of each name, of both families, in the order of the file and without doubles. */
  readonly addresses: ReadonlyMap<NameKey, readonly IpAddress[]>;
  /** The canonical name of each address, under the reverse name of the address. */
  readonly canonical: ReadonlyMap<NameKey, NameKey>;
}

export const noHosts: Hosts = { addresses: new Map(), canonical: new Map() };

/**
 * Reads the text of a hosts file: an address, its canonical name, aliases, `#` before a comment. Lines and names that
 * cannot be read are passed over, as libc does; among them addresses with a zone index, which no A or AAAA record
 * can hold. Where an address has several lines, the first gives its canonical name.
 */
export function parseHosts(text: string): Hosts {
  const addresses = new Map<NameKey, IpAddress[]>();
  const canonical = new Map<NameKey, NameKey>();
  // Lists against advertisements repeat one address on a hundred thousand lines.
  const seen = new Map<string, { readonly address: IpAddress; readonly text: string } | undefined>();
  const named = new Set<string>();
  for (const line of text.split('\n')) {
    const [first = '', ...words] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words.length === 0) continue;
    if (!seen.has(first)) {
      const parsed = parseAddress(first);
      seen.set(first, parsed && { address: parsed, text: formatAddress(parsed) });
    }
    const entry = seen.get(first);
    if (!entry) continue;
    const names = words.flatMap((word) => nameOf(word) ?? []);
    for (const name of names) {
      const known = addresses.get(name);
      if (known === undefined) addresses.set(name, [entry.address]);
      else if (!known.some((a) => formatAddress(a) === entry.text)) known.push(entry.address);
    }
    const [host] = names;
    if (host === undefined || named.has(entry.text)) continue;
    named.add(entry.text);
    canonical.set(reverseName(entry.address), host);
  }
  return { addresses, canonical };
}
