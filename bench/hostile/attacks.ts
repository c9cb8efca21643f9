/** Zones and replies that were made to cost a resolver more than they cost their maker; each asked for has a zone of its own. */
import { keyTag } from '../../src/dns/dnssec/keytag.ts';
import type { Question } from '../../src/dns/message.ts';
import { Type } from '../../src/dns/types.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { dnskeyRdata, signingKey } from '../../test/dns/signing.ts';
import { key, type SignedWorld } from '../../test/dns/zone.ts';
import { manyOptions, pointersToPointers, pointersToLongName, records } from './replies.ts';

/** One class of them. */
export interface Attack {
  /** The label below `bench.` where all its zones are. */
  readonly id: string;
  readonly what: string;
  /** It is about finding the servers of a zone: the resolvers iterate from the root. */
  readonly recurses?: boolean;
  /** Lines of a scene (`test/dns/scenarios/README.md`) for the whole class. */
  readonly before?: readonly string[];
  /** The same for one zone. */
  readonly zone: (zone: string, i: number) => readonly string[];
  /** What is asked for; the address of `www` in the zone where nothing is said. */
  readonly name?: (zone: string) => string;
  readonly type?: number;
  /** What no line of a scene says. */
  readonly change?: (world: SignedWorld, zone: string) => void;
  /** Octets in place of the reply to the question itself. */
  readonly reply?: (query: Uint8Array) => Uint8Array;
}

/** Zones of each class: of these the first warm the programs up, the others are counted. */
export const [warmUpZones, countedZones] = [8, 24];

/** Addresses of servers, for those who iterate. The last of them knows no zone. */
export const servers = { root: '192.0.2.1', bench: '192.0.2.2', zones: '192.0.2.3', lame: '192.0.2.4' };

export function zoneOf(attack: Attack, i: number): string {
  return `v${i}.${attack.id}.bench`;
}

export function nameIn(attack: Attack, i: number): string {
  const zone = zoneOf(attack, i);
  return attack.name?.(zone) ?? `www.${zone}`;
}

/** The world of all attacks, as the lines of a scene; {@link damage} is to follow. */
export function linesOfAll(): string[] {
  const every = Array.from({ length: warmUpZones + countedZones }, (_, i) => i);
  return [
    `zone . alg=13 server=${servers.root}`,
    `zone bench alg=13 server=${servers.bench}`,
    `zone warm.bench alg=13 server=${servers.zones}`,
    ...Array.from({ length: warmUpHosts }, (_, i) => `${warmUpHost(i)} A 192.0.2.80`),
    ...attacks.flatMap((attack) => [
      `zone ${attack.id}.bench alg=13 server=${servers.zones}`,
      ...(attack.before ?? []),
      ...every.flatMap((i) => attack.zone(zoneOf(attack, i), i)),
    ]),
  ];
}

export function damage(world: SignedWorld): void {
  for (const attack of attacks)
    for (let i = 0; i < warmUpZones + countedZones; i++) attack.change?.(world, zoneOf(attack, i));
}

/** Hosts that are nothing special, to warm up with. */
export const warmUpHosts = 200;

export function warmUpHost(i: number): string {
  return `h${i}.warm.bench`;
}

const www = (zone: string): string => `www.${zone} A 192.0.2.80`;
const plain = (zone: string, ...options: readonly string[]): string[] => [
  `zone ${zone} alg=13 server=${servers.zones} ${options.join(' ')}`,
  www(zone),
];
const unsigned = (zone: string): string[] => plain(zone, 'unsigned');
const deep = (labels: number) => (zone: string) => `${'a.'.repeat(labels)}${zone}`;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export const attacks: readonly Attack[] = [
  { id: 'plain', what: 'nothing special, for comparison', zone: (z) => plain(z) },
  { id: 'p384', what: 'a zone signed with P-384', zone: (z) => plain(z, 'alg=14') },
  {
    id: 'trap',
    what: 'KeyTrap: 6 P-384 keys of one tag, 30 signatures',
    zone: (z) => plain(z),
    change: (world, zone) => {
      const keys = trapIds.map((i) => signingKey(`trap#${i}`, 14));
      trap(
        world,
        zone,
        14,
        keys.map((k) => k.rdata),
        30,
        96,
      );
    },
  },
  {
    id: 'traprsa',
    what: 'KeyTrap: 30 RSA-2048 keys of one tag, 60 signatures',
    zone: (z) => plain(z),
    change: (world, zone) => {
      trap(world, zone, 8, rsaKeys(30, 256, Uint8Array.of(1, 0, 1)), 60, 256);
    },
  },
  {
    id: 'slowrsa',
    what: 'KeyTrap: 4 RSA-4096 keys with exponents of 64 bits, 30 signatures',
    zone: (z) => plain(z),
    change: (world, zone) => {
      trap(world, zone, 8, rsaKeys(4, 512, new Uint8Array(8).fill(0xff)), 30, 512);
    },
  },
  {
    id: 'exponent',
    what: 'RSA-3072 with an exponent as long, 8 signatures',
    zone: (z) => plain(z),
    change: (world, zone) => {
      trap(world, zone, 8, rsaKeys(1, 384, new Uint8Array(383).fill(0xff)), 8, 384);
    },
  },
  {
    id: 'keys',
    what: '100 keys, P-256',
    zone: (z) => plain(z),
    change: (world, zone) => {
      const others = upTo(100).map((i) => signingKey(`many#${i}`, 13).rdata);
      world.replace(zone, Type.DNSKEY, [...others, world.keysOf(zone).dnskey]);
    },
  },
  {
    id: 'ds',
    what: '60 DS of one tag with wrong digests, 20 keys of that tag',
    zone: (z) => plain(z),
    change: (world, zone) => {
      const { dnskey, ds } = world.keysOf(zone);
      const wrong = upTo(60).flatMap((i) => ds.map((d) => d.with(20, i).with(21, 0x55)));
      world.replace(zone, Type.DS, [...wrong, ...ds]);
      const others = upTo(20).map((i) => withTag(signingKey(`many#${i}`, 13).rdata, keyTag(dnskey)));
      world.replace(zone, Type.DNSKEY, [...others, dnskey]);
    },
  },
  {
    id: 'sigs',
    what: '100 signatures of one RRset, P-256, the last one good',
    zone: (z) => [...plain(z), `spoil www.${z} A forged=100`],
  },
  ...[
    { id: 'n100', iterations: 100, labels: 100 },
    { id: 'n150', iterations: 150, labels: 100 },
    { id: 'n500', iterations: 500, labels: 100 },
    { id: 'n2500', iterations: 2500, labels: 100 },
  ].map(({ id, iterations, labels }) => ({
    id,
    what: `NSEC3 of ${iterations} iterations, salt of 255 octets, a name of ${labels} labels`,
    zone: (z: string) => plain(z, `nsec3 iterations=${iterations} salt=${'ab'.repeat(255)}`),
    name: deep(labels),
  })),
  {
    id: 'n0',
    what: 'NSEC3 without iterations, a name of 110 labels (closest encloser)',
    zone: (z) => plain(z, 'nsec3'),
    name: deep(110),
  },
  {
    id: 'cname',
    what: '20 aliases in a row',
    zone: (z) => [
      ...plain(z),
      ...upTo(20).map((n) => `a${n}.${z} CNAME ${n === 19 ? 'www' : `a${n + 1}`}.${z}`),
    ],
    name: (z) => `a0.${z}`,
  },
  {
    id: 'zones',
    what: '10 aliases in a row through 10 zones',
    zone: (z) => [
      ...plain(z),
      ...upTo(10).flatMap((n) => [
        `zone z${n}.${z} alg=13 server=${servers.zones}`,
        `a.z${n}.${z} CNAME ${n === 9 ? `www.${z}` : `a.z${n + 1}.${z}`}`,
      ]),
    ],
    name: (z) => `a.z0.${z}`,
  },
  {
    id: 'circle',
    what: '10 aliases in a circle',
    zone: (z) => [...plain(z), ...upTo(10).map((n) => `a${n}.${z} CNAME a${(n + 1) % 10}.${z}`)],
    name: (z) => `a0.${z}`,
  },
  {
    id: 'pointer',
    what: '64 KiB: each owner points to a name of 127 labels',
    zone: unsigned,
    reply: pointersToLongName,
  },
  {
    id: 'chain',
    what: '64 KiB: each owner points to the one before',
    zone: unsigned,
    reply: pointersToPointers,
  },
  { id: 'options', what: '280 options of EDNS', zone: unsigned, reply: (query) => manyOptions(query, 280) },
  {
    id: 'set300',
    what: '300 addresses in an RRset, signed',
    zone: (z) => [...plain(z), ...upTo(300).map((i) => `www.${z} A 10.0.${i >> 8}.${i & 255}`)],
  },
  {
    id: 'set4000',
    what: '64 KiB of addresses in one RRset',
    zone: unsigned,
    reply: (query) => records(query, (i) => ({ type: Type.A, rdata: Uint8Array.of(10, 0, i >> 8, i & 255) })),
  },
  {
    id: 'sets',
    what: '64 KiB of RRsets',
    zone: unsigned,
    reply: (query) =>
      records(query, (i) => ({ type: i === 0 ? Type.A : 1000 + i, rdata: new Uint8Array(4) })),
  },
  {
    id: 'rrsigs',
    what: '64 KiB of signatures of one RRset',
    zone: (z) => plain(z),
    reply: (query) =>
      records(query, (i) =>
        i === 0
          ? { type: Type.A, rdata: new Uint8Array(4) }
          : {
              type: Type.RRSIG,
              rdata: Uint8Array.of(
                0,
                1,
                13,
                4,
                0,
                0,
                14,
                16,
                0xff,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                i >> 8,
                i & 255,
                0,
                1,
              ),
            },
      ),
  },
  {
    id: 'any',
    what: 'ANY of 200 signed RRsets, P-256',
    zone: (z) => [...plain(z), ...upTo(200).map((i) => `www.${z} TYPE${65_000 + i} \\# 1 00`)],
    type: Type.ANY,
  },
  { id: 'iplain', what: 'nothing special, from the root', recurses: true, zone: (z) => plain(z) },
  {
    id: 'nxns',
    what: 'NXNS: 100 name servers that are not there',
    recurses: true,
    before: [`zone nxns.bench unsigned`, `zone target.bench unsigned server=${servers.zones}`],
    zone: (z, i) => upTo(100).map((n) => `${z} NS t${n}.v${i}.target.bench`),
  },
  {
    id: 'tree',
    what: 'name servers in zones of name servers, 6 each, 3 deep, the last lame',
    recurses: true,
    before: [`zone tree.bench unsigned`, `lame.tree.bench A ${servers.lame}`],
    zone: (z, i) => branches(z, `${i}`, 3),
  },
];

/** Six name servers, each in a zone that has six name servers, until `depth` is used up. */
function branches(zone: string, path: string, depth: number): string[] {
  if (depth === 0) return [`${zone} NS lame.tree.bench`];
  return upTo(6).flatMap((n) => {
    const below = `b${path}-${n}.tree.bench`;
    return [`${zone} NS ns.${below}`, ...branches(below, `${path}-${n}`, depth - 1)];
  });
}

/** Numbers for which `trap#N` has a P-384 key of tag 24354, found by trying. */
const trapIds = [1977, 3831, 8352, 10_134, 14_379, 27_354];

/** Adds keys of one tag to a zone, and gives its `www` signatures that name them. */
function trap(
  world: SignedWorld,
  zone: string,
  algorithm: number,
  keys: readonly Uint8Array[],
  signatures: number,
  octets: number,
): void {
  const tag = keyTag(keys[0] ?? new Uint8Array());
  world.replace(zone, Type.DNSKEY, [...keys, world.keysOf(zone).dnskey]);
  const asked = key(`www.${zone}`);
  const isIt = ({ name, type }: Question): boolean => name === asked && type === Type.A;
  world.tamper((message, question) => {
    if (!isIt(question)) return message;
    const answer = message.answer.flatMap((record) => {
      if (record.type !== Type.RRSIG) return [record];
      const fixed = record.rdata
        .slice(0, 18)
        .with(2, algorithm)
        .with(16, tag >> 8)
        .with(17, tag & 0xff);
      const end = record.rdata.indexOf(0, 18) + 1;
      const signer = record.rdata.subarray(18, end);
      return upTo(signatures).map((i) => ({
        ...record,
        rdata: concatOctets(fixed, signer, new Uint8Array(octets).fill(0x55).with(-1, i)),
      }));
    });
    return { ...message, answer };
  });
}

/** RSA keys of one tag that nobody has the secret of. */
function rsaKeys(count: number, modulusOctets: number, exponent: Uint8Array): Uint8Array[] {
  const length =
    exponent.length < 256
      ? Uint8Array.of(exponent.length)
      : Uint8Array.of(0, exponent.length >> 8, exponent.length & 0xff);
  return upTo(count).map((i) => {
    const modulus = Uint8Array.from({ length: modulusOctets }, (_, at) => (at * 167 + i * 59 + 13) & 0xff);
    const odd = modulus.with(0, 0xd5).with(-1, 0x01);
    return withTag(dnskeyRdata(256, 8, concatOctets(length, exponent, odd)), 0x1234);
  });
}

/** The key tag is a sum of 16-bit words (RFC 4034 appendix B): a word in the middle makes up for the others. */
function withTag(rdata: Uint8Array, tag: number): Uint8Array {
  const at = (rdata.length >> 1) & ~1;
  for (let word = 0; word <= 0xffff; word++) {
    rdata = rdata.slice();
    rdata[at] = word >> 8;
    rdata[at + 1] = word & 0xff;
    const found = keyTag(rdata);
    if (found === tag) return rdata;
    // One more makes the tag one more, but for a carry.
    word += Math.max(0, ((tag - found) & 0xffff) - 2);
  }
  throw new Error('no key with that tag');
}
