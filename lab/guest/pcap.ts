/** Reads what the middle recorded and says of each packet what it is. */
import { readFileSync } from 'node:fs';

export type PacketKind =
  | 'dns'
  | 'ike'
  | 'esp'
  /** Neighbour and router discovery, ARP, group membership: the link's own talk. */
  | 'link'
  /** Everything else: readable by whoever stands in the middle. */
  | 'clear';

export interface Packet {
  /** Seconds since 1970. */
  readonly at: number;
  readonly source: string;
  readonly destination: string;
  readonly kind: PacketKind;
  /** One word or two: `TCP 80`, `ESP 0x1234abcd`, `IKE_AUTH request`. */
  readonly what: string;
  readonly octets: number;
}

/** The packets of a classic pcap file with Ethernet frames; a last, half-written record is left out. */
export function readPcap(file: string): Packet[] {
  const data = readFileSync(file);
  if (data.length < 24) throw new Error(`${file} has no header yet`);
  const magic = data.readUInt32LE(0);
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error(`${file} is not a pcap file`);
  const fraction = magic === 0xa1b2c3d4 ? 1e6 : 1e9;
  const packets: Packet[] = [];
  let at = 24;
  while (at + 16 <= data.length) {
    const time = data.readUInt32LE(at) + data.readUInt32LE(at + 4) / fraction;
    const length = data.readUInt32LE(at + 8);
    if (at + 16 + length > data.length) break;
    packets.push(classify(data.subarray(at + 16, at + 16 + length), time));
    at += 16 + length;
  }
  return packets;
}

/** Those between the two addresses, in either direction. */
export function between(packets: readonly Packet[], a: string, b: string): Packet[] {
  return packets.filter(
    (p) => (p.source === a && p.destination === b) || (p.source === b && p.destination === a),
  );
}

/** `12 dns, 4 ike, 10 esp`. */
export function tally(packets: readonly Packet[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of packets) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts.size === 0 ? 'nothing' : [...counts].map(([kind, n]) => `${n} ${kind}`).join(', ');
}

function classify(frame: Buffer, at: number): Packet {
  const base = { at, octets: frame.length };
  const etherType = frame.readUInt16BE(12);
  if (etherType === 0x0806) return { ...base, source: '', destination: '', kind: 'link', what: 'ARP' };
  if (etherType === 0x0800) {
    const headerLength = ((frame[14] ?? 0) & 0x0f) * 4;
    const source = [...frame.subarray(26, 30)].join('.');
    const destination = [...frame.subarray(30, 34)].join('.');
    const offset = frame.readUInt16BE(20) & 0x1fff;
    const upper = frame.subarray(14 + headerLength);
    return { ...base, source, destination, ...judge(frame[23] ?? 0, upper, offset > 0) };
  }
  if (etherType === 0x86dd) {
    const source = ipv6Text(frame.subarray(22, 38));
    const destination = ipv6Text(frame.subarray(38, 54));
    let next = frame[20] ?? 0;
    let rest = frame.subarray(54);
    let later = false;
    // Hop-by-hop, routing, destination options and fragment headers come before what is carried.
    while ([0, 43, 44, 60].includes(next) && rest.length >= 8) {
      if (next === 44) later = later || rest.readUInt16BE(2) >> 3 > 0;
      const length = next === 44 ? 8 : ((rest[1] ?? 0) + 1) * 8;
      next = rest[0] ?? 59;
      rest = rest.subarray(length);
    }
    return { ...base, source, destination, ...judge(next, rest, later) };
  }
  return {
    ...base,
    source: '',
    destination: '',
    kind: 'link',
    what: `EtherType 0x${etherType.toString(16)}`,
  };
}

function judge(protocol: number, upper: Buffer, laterFragment: boolean): { kind: PacketKind; what: string } {
  if (laterFragment) return { kind: 'clear', what: `fragment of protocol ${protocol}` };
  switch (protocol) {
    case 50:
      return { kind: 'esp', what: `ESP 0x${upper.readUInt32BE(0).toString(16).padStart(8, '0')}` };
    case 17: {
      const [from, to] = [upper.readUInt16BE(0), upper.readUInt16BE(2)];
      if (from === 53 || to === 53) return { kind: 'dns', what: 'DNS' };
      if (from === 500 || to === 500) return { kind: 'ike', what: ikeWhat(upper.subarray(8)) };
      if (from === 4500 || to === 4500) {
        const marker = upper.length >= 12 ? upper.readUInt32BE(8) : 0;
        return marker === 0
          ? { kind: 'ike', what: ikeWhat(upper.subarray(12)) }
          : { kind: 'esp', what: `ESP 0x${marker.toString(16).padStart(8, '0')} in UDP` };
      }
      return { kind: 'clear', what: `UDP ${to}` };
    }
    case 6: {
      const [from, to] = [upper.readUInt16BE(0), upper.readUInt16BE(2)];
      if (from === 53 || to === 53) return { kind: 'dns', what: 'DNS over TCP' };
      return { kind: 'clear', what: `TCP ${Math.min(from, to)}` };
    }
    case 58: {
      const type = upper[0] ?? 0;
      return (type >= 130 && type <= 137) || type === 143
        ? { kind: 'link', what: `ICMPv6 ${type}` }
        : { kind: 'clear', what: `ICMPv6 ${type}` };
    }
    case 1:
      return { kind: 'clear', what: `ICMP ${upper[0] ?? 0}/${upper[1] ?? 0}` };
    case 2:
      return { kind: 'link', what: 'IGMP' };
    default:
      return { kind: 'clear', what: `protocol ${protocol}` };
  }
}

const exchanges = new Map([
  [34, 'IKE_SA_INIT'],
  [35, 'IKE_AUTH'],
  [36, 'CREATE_CHILD_SA'],
  [37, 'INFORMATIONAL'],
]);

function ikeWhat(message: Buffer): string {
  if (message.length < 28) return 'keepalive';
  const exchange = exchanges.get(message[18] ?? 0) ?? `exchange ${message[18] ?? 0}`;
  const fragment = message[16] === 53 ? ` ${message.readUInt16BE(32)}/${message.readUInt16BE(34)}` : '';
  return `${exchange} ${((message[19] ?? 0) & 0x20) === 0 ? 'request' : 'response'}${fragment}`;
}

/** Canonical text (RFC 5952). */
function ipv6Text(octets: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => octets.readUInt16BE(i * 2).toString(16));
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i += 1) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === '0') length += 1;
    if (length > best.length) best = { at: i, length };
  }
  if (best.at < 0) return groups.join(':');
  return `${groups.slice(0, best.at).join(':')}::${groups.slice(best.at + best.length).join(':')}`;
}
