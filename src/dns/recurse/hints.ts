import { addressOf, parseAddress, type IpAddress } from '../../net/address.ts';
import { isLocalOnly } from '../../net/scope.ts';
import { nameOf, rootName, type NameKey } from '../name.ts';

/** A name server and where it is. */
export interface Hint {
  readonly name: NameKey;
  readonly addresses: readonly IpAddress[];
}

/** A line of a hints file that cannot be used. */
export interface HintProblem {
  /** 1-based. */
  readonly line: number;
  /** A clause. */
  readonly problem: string;
}

/** The root's servers as IANA publishes them (named.root, the addresses of 2026). */
export const rootHints: readonly Hint[] = [
  ['a', '198.41.0.4', '2001:503:ba3e::2:30'],
  ['b', '170.247.170.2', '2801:1b8:10::b'],
  ['c', '192.33.4.12', '2001:500:2::c'],
  ['d', '199.7.91.13', '2001:500:2d::d'],
  ['e', '192.203.230.10', '2001:500:a8::e'],
  ['f', '192.5.5.241', '2001:500:2f::f'],
  ['g', '192.112.36.4', '2001:500:12::d0d'],
  ['h', '198.97.190.53', '2001:500:1::53'],
  ['i', '192.36.148.17', '2001:7fe::53'],
  ['j', '192.58.128.30', '2001:503:c27::2:30'],
  ['k', '193.0.14.129', '2001:7fd::1'],
  ['l', '199.7.83.42', '2001:500:9f::42'],
  ['m', '202.12.27.33', '2001:dc3::35'],
].map(([letter, ...addresses]) => ({
  name: literal(`${letter}.root-servers.net`),
  addresses: addresses.map((text) => parseAddress(text)).filter((a) => a !== undefined),
}));

/**
 * Reads root hints in zone-file form, one NS, A or AAAA record a line, with comments after `;`: the form of
 * named.root. TTL and class may be left out. An NS that is not the root's, an address of a name without an NS, and an NS
 * without any address are problems; so is a file without any server, at its last line.
 */
export function readHints(text: string): {
  readonly hints: readonly Hint[];
  readonly problems: readonly HintProblem[];
} {
  const problems: HintProblem[] = [];
  const servers = new Map<NameKey, number>();
  const addresses: { readonly line: number; readonly name: NameKey; readonly address: IpAddress }[] = [];
  const lines = text.split(/\r?\n/);
  for (const [i, content] of lines.entries()) {
    const line = i + 1;
    const stripped = content.replace(/;.*/, '').trim();
    if (stripped === '') continue;
    const record = recordOf(stripped);
    if (typeof record === 'string') problems.push({ line, problem: record });
    else if (record.kind === 'NS') servers.set(record.name, line);
    else addresses.push({ line, ...record });
  }
  for (const { line, name } of addresses) {
    if (!servers.has(name))
      problems.push({ line, problem: 'the address is of no name that has an NS record here' });
  }
  const hints = [...servers.keys()].map((name) => ({
    name,
    addresses: addresses.filter((a) => a.name === name).map((a) => a.address),
  }));
  for (const hint of hints) {
    if (hint.addresses.length === 0) {
      problems.push({
        line: servers.get(hint.name) ?? 1,
        problem: 'the name server has no A or AAAA record here',
      });
    }
  }
  if (hints.length === 0 && problems.length === 0) {
    problems.push({ line: lines.length, problem: 'there is no NS record in it' });
  }
  return { hints, problems: problems.sort((a, b) => a.line - b.line) };
}

type HintRecord =
  | { readonly kind: 'NS'; readonly name: NameKey }
  | { readonly kind: 'address'; readonly name: NameKey; readonly address: IpAddress };

/** The record, or what is wrong with it. */
function recordOf(line: string): HintRecord | string {
  const [ownerText = '', ...rest] = line.split(/\s+/);
  const owner = nameOf(ownerText);
  if (owner === undefined) return `${ownerText} is no domain name`;
  // TTL and class may stand in either order (RFC 1035 §5.1).
  while (/^(?:\d+|IN)$/i.test(rest[0] ?? '')) rest.shift();
  const [type = '', data = '', ...more] = rest;
  if (more.length > 0) return `${more[0] ?? ''} follows the record`;
  switch (type.toUpperCase()) {
    case 'NS': {
      const name = nameOf(data);
      if (name === undefined)
        return data === '' ? 'the name of the server is missing' : `${data} is no domain name`;
      return owner === rootName ? { kind: 'NS', name } : `${ownerText} is not the root`;
    }
    case 'A':
    case 'AAAA': {
      const address = parseAddress(data);
      const family = type.toUpperCase() === 'A' ? 4 : 6;
      if (address?.family !== family) return `${data === '' ? 'nothing' : data} is no IPv${family} address`;
      return { kind: 'address', name: owner, address };
    }
    default:
      return type === '' ? 'the record ends after the owner' : `${type} is neither NS, A nor AAAA`;
  }
}

/** The address in the RDATA of A or AAAA, unless nobody else can be reached there. */
export function serverAddress(rdata: Uint8Array): IpAddress | undefined {
  const address = addressOf(rdata);
  return address && !isNowhere(address) ? address : undefined;
}

/** This host and its link, multicast and reserved addresses: that would ask ourselves, or everybody. */
function isNowhere(address: IpAddress): boolean {
  const { family, octets } = address;
  const [first = 0] = octets;
  if (isLocalOnly(address)) return true;
  if (family === 4) return first >= 224;
  return first === 0xff || octets.subarray(0, 12).every((o) => o === 0);
}

function literal(text: string): NameKey {
  const name = nameOf(text);
  if (name === undefined) throw new RangeError(`not a name: ${text}`);
  return name;
}
