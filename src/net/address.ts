import { compareOctets } from '../wire/octets.ts';

/** An IP address; `octets` has 4 or 16 octets in network order. Never an IPv4-mapped IPv6 address. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly octets: Uint8Array;
}

/** Where a datagram comes from or goes to. */
export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** From 4 or 16 octets, which are copied; an IPv4-mapped address becomes IPv4. Undefined for another length. */
export function addressOf(octets: Uint8Array): IpAddress | undefined {
  if (octets.length === 4) return { family: 4, octets: octets.slice() };
  if (octets.length !== 16) return undefined;
  if (isMapped(octets)) return { family: 4, octets: octets.slice(12) };
  return { family: 6, octets: octets.slice() };
}

/**
 * Reads `192.0.2.1` or an RFC 4291 §2.2 form. Undefined for anything else: no zone index, no prefix length,
 * no leading zeros in IPv4.
 */
export function parseAddress(text: string): IpAddress | undefined {
  const octets = text.includes(':') ? parseV6(text) : parseV4(text);
  return octets && addressOf(octets);
}

/** `192.0.2.1`, or the canonical text of RFC 5952. Equal addresses have equal texts: it serves as Map key. */
export function formatAddress(address: IpAddress): string {
  const { family, octets } = address;
  if (family === 6) return formatV6(octets);
  // Half of what join() takes.
  return `${octets[0] ?? 0}.${octets[1] ?? 0}.${octets[2] ?? 0}.${octets[3] ?? 0}`;
}

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && compareOctets(a.octets, b.octets) === 0;
}

/** An address at which this host only speaks to itself: 127.0.0.0/8 or ::1. */
export function isLoopback({ family, octets }: IpAddress): boolean {
  return family === 4 ? octets[0] === 127 : octets.every((o, i) => o === (i === 15 ? 1 : 0));
}

/** `192.0.2.1:500` or `[2001:db8::1]:500`. */
export function formatEndpoint(endpoint: Endpoint): string {
  const text = formatAddress(endpoint.address);
  return endpoint.address.family === 4 ? `${text}:${endpoint.port}` : `[${text}]:${endpoint.port}`;
}

/** Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`; undefined for anything else. */
export function parseEndpoint(text: string, defaultPort: number): Endpoint | undefined {
  const match = /^(?:\[([^\]]+)\](?::(\d{1,5}))?|([^:[\]]+):(\d{1,5})|([^[\]]+))$/.exec(text);
  if (!match) return undefined;
  const address = parseAddress(match[1] ?? match[3] ?? match[5] ?? '');
  const port = Number(match[2] ?? match[4] ?? defaultPort);
  return address && port <= 0xffff ? { address, port } : undefined;
}

function parseV4(text: string): Uint8Array | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  const octets = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    octets[i] = Number(part);
  }
  return octets;
}

function parseV6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '', true) : [];
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return new Uint8Array(groups.flatMap((g) => [g >> 8, g & 0xff]));
}

/** The 16-bit groups of a part of an IPv6 text; an IPv4 tail counts as two when the part ends the address. */
function groupsOf(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = isEnd && i === parts.length - 1 ? parseV4(part) : undefined;
    if (!v4) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    groups.push((a << 8) | b, (c << 8) | d);
  }
  return groups;
}

function formatV6(octets: Uint8Array): string {
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(((octets[i] ?? 0) << 8) | (octets[i + 1] ?? 0));
  // The longest run of two or more zero groups, the first of equals, becomes `::` (RFC 5952 §4.2).
  let runAt = -1;
  let runLength = 1;
  for (let i = 0; i < 8;) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > runLength) {
      runAt = i;
      runLength = end - i;
    }
    i = end + 1;
  }
  const text = (part: readonly number[]): string => part.map((g) => g.toString(16)).join(':');
  if (runAt < 0) return text(groups);
  return `${text(groups.slice(0, runAt))}::${text(groups.slice(runAt + runLength))}`;
}

function isMapped(octets: Uint8Array): boolean {
  return octets.subarray(0, 10).every((o) => o === 0) && octets[10] === 0xff && octets[11] === 0xff;
}
