import { addressOf, type IpAddress } from '../net/address.ts';
import { concatOctets } from '../wire/octets.ts';
import type { Hosts } from './hosts.ts';
import type { Question } from './message.ts';
import {
  isBelow,
  labelsOf,
  nameOf,
  nameText,
  octetsOfName,
  parentOf,
  rootName,
  type NameKey,
} from './name.ts';
import type { Resolution } from './resolver.ts';
import type { RRset } from './rrset.ts';
import { Class, Ede, Rcode, Type } from './types.ts';

/** An answer that needs no resolver. Nothing signs it, so it is never secure (THREATS A.9). */
export interface LocalAnswer {
  /** Whose word it is: a stable code for scripts. */
  readonly source: 'hosts-file' | 'own-name' | 'special-name';
  /** A sentence. */
  readonly why: string;
  readonly resolution: Resolution;
}

/** What the host knows by itself. */
export interface LocalKnowledge {
  readonly hosts: Hosts;
  /** The host's own names of one label: no DNS has them. */
  readonly ownNames: readonly NameKey[];
  /** The addresses at which others reach the host, of both families; loopback is taken where there are none. */
  readonly ownAddresses: readonly IpAddress[];
  /** Whether the resolvers that `name` would be asked of may know names of this network alone; absent: they may. */
  readonly isNetworkAsked?: (name: NameKey) => boolean;
}

/**
 * What this host answers by itself, or undefined: then it is asked upstream.
 *
 * The order: `localhost` is loopback, whatever a file says (RFC 6761 §6.3). The hosts file comes before every other
 * special name, because there somebody of this host has said what a name under `local` or `test` shall be. Only
 * addresses are answered from it, and their absence: a name with an IPv4 address there has no IPv6 address, as for
 * libc. Other types (MX, HTTPS) are asked upstream.
 */
export function localAnswer(question: Question, known: LocalKnowledge): LocalAnswer | undefined {
  if (question.class !== Class.IN) return undefined;
  const zone = zoneOf(question.name);
  if (zone?.kind === 'localhost') return specialAnswer(question, zone);
  return (
    hostsAnswer(question, known.hosts) ??
    ownAnswer(question, known) ??
    (zone && !isAsked(question, zone, known) ? specialAnswer(question, zone) : undefined)
  );
}

/** Whether the DNS cannot know the name: what anybody claims of it cannot be proved, and asking would only tell. */
export function isSpecialName(name: NameKey): boolean {
  const zone = zoneOf(name);
  return zone !== undefined && zone.kind !== 'network';
}

/** Whether somebody in the network may know better, or the parent is asked, which proves that the zone is unsigned. */
function isAsked(question: Question, zone: SpecialZone, { isNetworkAsked }: LocalKnowledge): boolean {
  if (zone.kind !== 'network') return false;
  if (question.type === Type.DS && question.name === zone.apex) return true;
  return isNetworkAsked?.(question.name) ?? true;
}

function hostsAnswer(question: Question, hosts: Hosts): LocalAnswer | undefined {
  const { name, type } = question;
  if (type === Type.PTR) {
    const host = hosts.canonical.get(name);
    if (host === undefined) return undefined;
    const why = `The hosts file gives the name ${nameText(host)} to this address.`;
    return { source: 'hosts-file', why, resolution: answered([ptr(name, host, hostsTtl)], why) };
  }
  if (!isAddressType(type)) return undefined;
  const addresses = hosts.addresses.get(name);
  if (!addresses) return undefined;
  const why = `The address of ${nameText(name)} comes from the hosts file, and a key cannot be proved for it.`;
  return { source: 'hosts-file', why, resolution: answered(addressSets(question, addresses, hostsTtl), why) };
}

/**
 * Only names of one label: a full name is published in the DNS, perhaps with the address of a load balancer before
 * us, and its zone knows better than we do.
 */
function ownAnswer(question: Question, known: LocalKnowledge): LocalAnswer | undefined {
  const { name, type } = question;
  if (!isAddressType(type) || !known.ownNames.includes(name)) return undefined;
  if (parentOf(name) !== rootName) return undefined;
  const addresses = known.ownAddresses.length > 0 ? known.ownAddresses : loopback;
  const why = `${nameText(name)} is the name of this host.`;
  return { source: 'own-name', why, resolution: answered(addressSets(question, addresses, hostsTtl), why) };
}

/** How a subtree is answered. */
interface SpecialZone {
  readonly apex: NameKey;
  /**
   * `absent`: nothing exists, not even the apex. `empty`: the apex has SOA and NS, and nothing is below (RFC 6303 §3).
   * `network`: the same, but only where the resolvers that are asked cannot know the names of this network.
   * `silent`: every name exists and has no data. `localhost` and `loopback`: the two directions of 127.0.0.1 and ::1.
   */
  readonly kind: 'absent' | 'empty' | 'network' | 'silent' | 'localhost' | 'loopback';
  /** A sentence. */
  readonly why: string;
}

function specialAnswer(question: Question, zone: SpecialZone): LocalAnswer {
  return { source: 'special-name', why: zone.why, resolution: resolutionIn(question, zone) };
}

function resolutionIn({ name, type, class: dnsClass }: Question, zone: SpecialZone): Resolution {
  const { apex, kind, why } = zone;
  const soa = soaOf(apex);
  const noData = { ...answered([], why), authority: [soa] };
  const noName = { ...noData, rcode: Rcode.NXDOMAIN };
  if (kind === 'absent') return noName;
  if (kind === 'silent') return noData;
  if (name === apex && type === Type.SOA) return answered([soa], why);
  if (name === apex && type === Type.NS) {
    const ns = { ...soa, type: Type.NS, rdatas: [octetsOfName(apex)] };
    return answered([ns], why);
  }
  switch (kind) {
    case 'localhost': {
      if (!isAddressType(type)) return noData;
      return answered(addressSets({ name, type, class: dnsClass }, loopback, fixedTtl), why);
    }
    case 'loopback': {
      const is = loopbackName(name);
      if (is === 'none') return noName;
      if (is === 'between' || (type !== Type.PTR && type !== Type.ANY)) return noData;
      return answered([ptr(name, localhost, fixedTtl)], why);
    }
    case 'empty':
    case 'network':
      return name === apex ? noData : noName;
    default:
      return kind satisfies never;
  }
}

/** Whether a name in a reverse zone of loopback is that of an address, or lies on the way to one (127.in-addr.arpa). */
function loopbackName(name: NameKey): 'address' | 'between' | 'none' {
  if (!isBelow(name, literal('127.in-addr.arpa'))) {
    return name === literal(reverseOf('::1')) ? 'address' : 'none';
  }
  const numbers = labelsOf(name).slice(0, -2);
  const valid = numbers.every((n) => /^(0|[1-9]\d{0,2})$/.test(n) && Number(n) <= 255);
  if (!valid || numbers.length > 4) return 'none';
  return numbers.length === 4 ? 'address' : 'between';
}

function answered(answer: readonly RRset[], why: string): Resolution {
  return {
    rcode: Rcode.NOERROR,
    answer,
    authority: [],
    // Nothing else fits: there is no signature, and no proof that there need not be one (RFC 4033 §5).
    verdict: {
      status: 'indeterminate',
      ede: Ede.SYNTHESIZED,
      why: 'no signature covers what this host answers itself',
    },
    ede: { code: Ede.SYNTHESIZED, text: why },
    fromCache: false,
    tookMs: 0,
    chain: [],
  };
}

function addressSets(question: Question, addresses: readonly IpAddress[], ttl: number): RRset[] {
  return ([4, 6] as const).flatMap((family): RRset[] => {
    const type = family === 4 ? Type.A : Type.AAAA;
    if (question.type !== type && question.type !== Type.ANY) return [];
    const rdatas = addresses.flatMap((a) => (a.family === family ? [a.octets] : []));
    return rdatas.length === 0 ? [] : [record(question.name, type, ttl, rdatas)];
  });
}

function ptr(owner: NameKey, target: NameKey, ttl: number): RRset {
  return record(owner, Type.PTR, ttl, [octetsOfName(target)]);
}

function record(owner: NameKey, type: number, ttl: number, rdatas: readonly Uint8Array[]): RRset {
  return { owner, type, class: Class.IN, ttl, rdatas, signatures: [] };
}

/** The SOA of RFC 6303 §3. */
function soaOf(apex: NameKey): RRset {
  const numbers = new Uint8Array(20);
  const view = new DataView(numbers.buffer);
  [1, 3_600, 1_200, 604_800, fixedTtl].forEach((n, i) => {
    view.setUint32(4 * i, n);
  });
  const rdata = concatOctets(octetsOfName(apex), octetsOfName(literal('nobody.invalid')), numbers);
  return record(apex, Type.SOA, fixedTtl, [rdata]);
}

function isAddressType(type: number): boolean {
  return type === Type.A || type === Type.AAAA || type === Type.ANY;
}

function literal(text: string): NameKey {
  const name = nameOf(text);
  if (name === undefined) throw new RangeError(`not a name: ${text}`);
  return name;
}

/** The reverse name of `::` or `::1`. */
function reverseOf(text: '::' | '::1'): string {
  return `${text === '::' ? '0' : '1'}.${'0.'.repeat(31)}ip6.arpa`;
}

const localhost = literal('localhost');
const loopback: readonly IpAddress[] = [
  [127, 0, 0, 1],
  [...Array<number>(15).fill(0), 1],
].flatMap((octets) => addressOf(new Uint8Array(octets)) ?? []);

/** Seconds. The file may change at any moment, and asking us again costs nothing. */
const hostsTtl = 0;
/** Seconds, of what never changes: those of RFC 6303 §3. */
const fixedTtl = 10_800;

const privateWhy =
  'The address is private, and the resolver of its network is not asked (RFC 6303 §4.1, RFC 7793).';

/** Of RFC 1918, of 100.64.0.0/10 and of fd00::/8 (RFC 6303 §4.1, §4.4, RFC 7793 §2.2). */
const privateZones: readonly string[] = [
  '10.in-addr.arpa',
  ...Array.from({ length: 16 }, (_, i) => `${16 + i}.172.in-addr.arpa`),
  '168.192.in-addr.arpa',
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100.in-addr.arpa`),
  'd.f.ip6.arpa',
];

const noSuchAddress = (prefix: string): string => `No host of the internet has an address in ${prefix}`;

/**
 * The names that are answered here. Of the `network` kind are those that only the resolver of this network, the VPN or
 * the container host can know: `home.arpa` (RFC 8375 §4) and the reverse zones of private addresses. They are asked
 * where that one is asked, and answered here where the questions would go to the internet, to which they would only tell
 * what is in this network (RFC 6303 §1).
 *
 * What is missing on purpose and asked upstream:
 *
 * - `ipv4only.arpa`, from whose answer programs learn of NAT64 in the network (RFC 8880 §7.1).
 * - `example` and the like, which are not special to resolvers (RFC 6761 §6.5).
 */
const zones: ReadonlyMap<NameKey, SpecialZone> = new Map(
  (
    [
      ['localhost', 'localhost', 'What lies at or below localhost is this host itself (RFC 6761 §6.3).'],
      ['127.in-addr.arpa', 'loopback', 'The loopback addresses are this host itself (RFC 6761 §6.3).'],
      [reverseOf('::1'), 'loopback', 'The loopback address is this host itself (RFC 6761 §6.3).'],
      ['invalid', 'absent', 'Names under invalid never exist (RFC 6761 §6.4).'],
      ['test', 'absent', 'Names under test exist only where a host is told of them (RFC 6761 §6.2).'],
      ['onion', 'absent', 'Names under onion are found by Tor alone, never in the DNS (RFC 7686).'],
      ['local', 'absent', 'Names under local are found by multicast on the link, not in the DNS (RFC 6762).'],
      ['alt', 'absent', 'Names under alt belong to other systems than the DNS (RFC 9476).'],
      // Firefox and others that follow it leave DNS over HTTPS to the resolver where this name does not exist.
      ['use-application-dns.net', 'absent', 'The absence of this name tells browsers to keep asking oe.'],
      // RFC 9462 §6.4: never forwarded, and without data where there is nothing to designate. An upstream's answer
      // would send programs straight to the upstream.
      ['resolver.arpa', 'silent', 'The programs of this host are to keep asking oe (RFC 9462 §6.4).'],
      [
        'home.arpa',
        'network',
        'Names under home.arpa belong to a home, and its resolver is not asked (RFC 8375 §4).',
      ],
      ...privateZones.map((apex) => [apex, 'network', privateWhy] as const),
      ['0.in-addr.arpa', 'empty', `${noSuchAddress('0.0.0.0/8')} (RFC 6303 §4.2).`],
      ['254.169.in-addr.arpa', 'empty', 'The DNS cannot know addresses of the link (RFC 6303 §4.2).'],
      ['2.0.192.in-addr.arpa', 'empty', `${noSuchAddress('192.0.2.0/24')} (RFC 6303 §4.2).`],
      ['100.51.198.in-addr.arpa', 'empty', `${noSuchAddress('198.51.100.0/24')} (RFC 6303 §4.2).`],
      ['113.0.203.in-addr.arpa', 'empty', `${noSuchAddress('203.0.113.0/24')} (RFC 6303 §4.2).`],
      ['255.255.255.255.in-addr.arpa', 'empty', 'The broadcast address is no host (RFC 6303 §4.2).'],
      [reverseOf('::'), 'empty', 'The unspecified address is no host (RFC 6303 §4.3).'],
      ['8.b.d.0.1.0.0.2.ip6.arpa', 'empty', `${noSuchAddress('2001:db8::/32')} (RFC 6303 §4.6).`],
      ...['8', '9', 'a', 'b'].map(
        (nibble) =>
          [
            `${nibble}.e.f.ip6.arpa`,
            'empty',
            'The DNS cannot know addresses of the link (RFC 6303 §4.5).',
          ] as const,
      ),
    ] as const
  ).map(([text, kind, why]) => {
    const apex = literal(text);
    return [apex, { apex, kind, why }];
  }),
);

/** The special zone at or above `name`. */
function zoneOf(name: NameKey): SpecialZone | undefined {
  for (let at: NameKey | undefined = name; at !== undefined; at = parentOf(at)) {
    const zone = zones.get(at);
    if (zone) return zone;
  }
  return undefined;
}
