import type { Role } from './policy.ts';

/** Traffic that passes in the clear beside a rule for its prefix: `tcp/22`, `icmp`. */
export interface Exception {
  /** IP protocol number. */
  readonly protocol: number;
  /** Of the service; absent: the whole protocol. */
  readonly port?: number;
  readonly text: string;
}

/** More than that for one rule would be a packet filter, which others do better. */
export const exceptionsPerRule = 8;

/** Reads `tcp/22`, `udp/53`, `icmp`, `47`. Undefined where it is none of these. */
export function parseException(text: string): Exception | undefined {
  const [, word = '', portText] = /^([a-z0-9]+)(?:\/(\d{1,5}))?$/.exec(text) ?? [];
  const protocol = /^\d{1,3}$/.test(word) ? Number(word) : protocols[word];
  if (protocol === undefined || protocol < 1 || protocol > 255) return undefined;
  if (portText === undefined) return { protocol, text };
  const port = Number(portText);
  const hasPorts = portProtocols.includes(protocol);
  return hasPorts && port >= 1 && port <= 65_535 ? { protocol, port, text } : undefined;
}

/** At whose end the port of an exception is: the peer's where this host is the client. */
export function portEnds(role: Role): { readonly here: boolean; readonly there: boolean } {
  return { here: role !== 'client', there: role !== 'server' };
}

/** IANA "protocol-numbers". */
const protocols: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  gre: 47,
  icmpv6: 58,
  sctp: 132,
};
const portProtocols: readonly number[] = [6, 17, 132];
