/**
 * A signed tree for comparing verdicts: a root, one zone for each make of name server, and below it zones in every
 * way of signing, in the middle of key roll-overs, and damaged.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  algorithms,
  denials,
  makes,
  rolls,
  sign,
  type DenialKind,
  type Make,
  type SignedZone,
  type Signing,
} from './signers.ts';

/** Where each make serves the zones that it has signed; the root is BIND's. */
export const servers: Readonly<Record<Make, string>> = {
  bind: '198.18.0.61',
  knot: '198.18.0.62',
  nsd: '198.18.0.63',
};

export interface TreeZone {
  /** `.` or a name without the dot at its end. */
  readonly name: string;
  readonly make: Make;
  readonly file: string;
  /** What is special about it, in words. */
  readonly what: string;
}

export interface Tree {
  readonly zones: readonly TreeZone[];
  /** Zone-file texts: the DS of the root, and its name server. */
  readonly anchor: string;
  readonly hints: string;
}

const ttl = 300;

/** One signed zone and what is done to it afterwards. */
interface Plan {
  readonly label: string;
  readonly what: string;
  readonly signing: Signing;
  readonly damage?: Damage;
}

interface Damage {
  readonly what: string;
  readonly zone?: (lines: readonly string[], zone: string) => readonly string[];
  readonly ds?: (ds: readonly string[]) => readonly string[];
}

const ecdsa = (denial: DenialKind): Signing => ({ algorithm: 13, denial });

/** The zones of one make: all ways of signing, and every third kind of damage, which nobody's signer has made. */
function plans(make: Make): Plan[] {
  const sound = algorithms.flatMap((algorithm) =>
    denials.map((denial) => ({
      label: `a${algorithm}-${denial}`,
      what: `algorithm ${algorithm}, ${denial}`,
      signing: { algorithm, denial },
    })),
  );
  const rolling = rolls.map((roll, i) => ({
    label: roll.toLowerCase(),
    what: `key roll-over, ${roll}`,
    signing: { ...ecdsa(denials[i % denials.length] ?? 'nsec'), roll },
  }));
  const turn = makes.indexOf(make);
  const damaged = Object.entries(damages).flatMap(([label, damage], i) =>
    (['nsec', 'nsec3'] as const)
      .filter((_, j) => (i + j) % makes.length === turn)
      .map((denial) => ({
        label: `${label}-${denial}`,
        what: `${damage.what}, ${denial}`,
        signing: ecdsa(denial),
        damage,
      })),
  );
  return [...sound, ...rolling, ...damaged];
}

/** Makes all zones in `directory`; `say` hears what is being done. */
export async function makeTree(directory: string, say: (text: string) => void): Promise<Tree> {
  mkdirSync(directory, { recursive: true });
  const zones: TreeZone[] = [];
  const keep = (signed: SignedZone, make: Make, what: string, lines: readonly string[]): void => {
    const file = join(directory, `${signed.name === '.' ? 'root' : signed.name}.${make}.zone`);
    writeFileSync(file, `$TTL ${ttl}\n${lines.join('\n')}\n`);
    zones.push({ name: signed.name, make, file, what });
  };
  let root = `${apex('.', 'ns.bind.')}\n`;
  for (const make of makes) {
    let above = apex(make, `ns.${make}.`);
    for (const { label, what, signing, damage } of plans(make)) {
      const name = `${label}.${make}`;
      const signed = await sign(make, directory, name, leaf(name, make), signing);
      keep(signed, make, what, damage?.zone?.(signed.lines, name) ?? signed.lines);
      above += `${name}. IN NS ns.${make}.\n${(damage?.ds?.(signed.ds) ?? signed.ds).join('\n')}\n`;
      const unsigned = { name: `sub.${name}`, ds: [], lines: unsignedZone(`sub.${name}`, make).split('\n') };
      keep(unsigned, make, `unsigned below ${name}`, unsigned.lines);
    }
    const open = { name: `open.${make}`, ds: [], lines: leaf(`open.${make}`, make).split('\n') };
    keep(open, make, 'unsigned', open.lines);
    above += `open.${make}. IN NS ns.${make}.\n`;
    const signed = await sign(make, directory, make, `${above}ns.${make}. IN A ${servers[make]}\n`, {
      algorithm: 13,
      denial: denials[makes.indexOf(make)] ?? 'nsec',
    });
    keep(signed, make, `the zone above those of ${make}`, signed.lines);
    root += `${make}. IN NS ns.${make}.\nns.${make}. IN A ${servers[make]}\n${signed.ds.join('\n')}\n`;
    say(`${zones.length} zones after those of ${make}`);
  }
  const signed = await sign('bind', directory, '.', root, { algorithm: 8, denial: 'nsec' });
  keep(signed, 'bind', 'the root', signed.lines);
  return {
    zones,
    anchor: `${signed.ds.join('\n')}\n`,
    hints: `. 3600 IN NS ns.bind.\nns.bind. 3600 IN A ${servers.bind}\n`,
  };
}

/** The owners that {@link leaf} makes or denies, relative to the zone. */
export const owners: readonly string[] = [
  ...['', 'www', 'mail', 'txt', 'a.b.ent', 'b.ent', 'ent', 'alias', 'far', 'nowhere', 'loop', 'dn'],
  ...['x.dn', 'www.dn', 'wild', '*.wild', 'x.wild', 'x.y.wild', 'x.wc', 'sub', 'www.sub', 'x.sub', 'nosuch'],
  ...['x.nosuch', 'x.www', '*', 'zzz', 'aaa', 'into', 'mixed'],
];

/** What is asked about them. */
export const types = ['A', 'AAAA', 'TXT', 'MX', 'NS', 'SOA', 'DS', 'DNSKEY', 'CNAME', 'IPSECKEY', 'HTTPS'];

function leaf(zone: string, make: Make): string {
  const other = makes[(makes.indexOf(make) + 1) % makes.length] ?? make;
  const records = [
    'www A 198.18.3.1',
    'www A 198.18.3.2',
    'www AAAA 2001:2:0:3::1',
    'mail MX 10 www',
    'txt TXT "one" "two"',
    'a.b.ent TXT "deep"',
    'alias CNAME www',
    `far CNAME www.a13-nsec3.${other}.`,
    'nowhere CNAME nosuch',
    'loop CNAME pool',
    'pool CNAME loop',
    `dn DNAME a15-nsec.${other}.`,
    '*.wild A 198.18.3.3',
    '*.wild TXT "wild"',
    '*.wc CNAME www',
    `into CNAME x.wild.a14-optout.${other}.`,
    `mixed CNAME www.open.${other}.`,
    `sub NS ns.${make}.`,
  ];
  // Owners first, then relative names in the data, made absolute.
  const absolute = records.map((record) => {
    const [owner = '', type = '', ...data] = record.split(' ');
    const named = type === 'CNAME' || type === 'DNAME' || type === 'MX' || type === 'NS';
    const last = data.at(-1) ?? '';
    const rest = named && !last.endsWith('.') ? [...data.slice(0, -1), `${last}.${zone}.`] : data;
    return `${owner}.${zone}. IN ${type} ${rest.join(' ')}`;
  });
  return `${apex(zone, `ns.${make}.`)}${absolute.join('\n')}\n`;
}

function unsignedZone(zone: string, make: Make): string {
  return `${apex(zone, `ns.${make}.`)}www.${zone}. IN A 198.18.3.4\n`;
}

function apex(zone: string, ns: string): string {
  const owner = zone === '.' ? '.' : `${zone}.`;
  return `${owner} ${ttl} IN SOA ${ns} lab. 1 3600 600 86400 ${ttl}\n${owner} ${ttl} IN NS ${ns}\n`;
}

/** Fields of a line: owner, what stands before the type, type, data. */
function fields(line: string): { readonly owner: string; readonly type: string; readonly data: string[] } {
  const parts = line.split(/\s+/);
  const at = parts.findIndex((p, i) => i > 0 && !/^(?:\d+|IN)$/.test(p));
  return { owner: (parts[0] ?? '').toLowerCase(), type: parts[at] ?? '', data: parts.slice(at + 1) };
}

/** Whether the line is an RRSIG over `type`, of `owner` where that is said. */
function signs(line: string, type: string, owner?: string): boolean {
  const found = fields(line);
  return (
    found.type === 'RRSIG' && found.data[0] === type && (owner === undefined || found.owner === `${owner}.`)
  );
}

const without =
  (drop: (line: string, zone: string) => boolean) =>
  (lines: readonly string[], zone: string): string[] =>
    lines.filter((line) => !drop(line, zone));

const withEach =
  (which: (line: string, zone: string) => boolean, change: (line: string) => string) =>
  (lines: readonly string[], zone: string): string[] =>
    lines.map((line) => (which(line, zone) ? change(line) : line));

/** One character of the signature, in its middle, becomes another. */
function spoil(line: string): string {
  const at = line.length - 30;
  return line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1);
}

/** Expiration and inception are the fifth and sixth field of an RRSIG's data. */
function dated(expiration: string, inception: string): (line: string) => string {
  return (line) =>
    line.replace(/(RRSIG\s+\S+\s+\d+\s+\d+\s+\d+\s+)\d{14}(\s+)\d{14}/, `$1${expiration}$2${inception}`);
}

const isDenial = (type: string): boolean => type === 'NSEC' || type === 'NSEC3';

const damages: Readonly<Record<string, Damage>> = {
  spoilt: {
    what: 'the signature of www A is spoilt',
    zone: withEach((line, zone) => signs(line, 'A', `www.${zone}`), spoil),
  },
  stripped: {
    what: 'www A has no signature',
    zone: without((line, zone) => signs(line, 'A', `www.${zone}`)),
  },
  bare: { what: 'no signature at all', zone: without((line) => fields(line).type === 'RRSIG') },
  dates: {
    what: 'the dates in all signatures of A are in the past',
    zone: withEach((line) => signs(line, 'A'), dated('20200201000000', '20200101000000')),
  },
  future: {
    what: 'the dates in all signatures of TXT are in the future',
    zone: withEach((line) => signs(line, 'TXT'), dated('20360201000000', '20360101000000')),
  },
  keyless: { what: 'no DNSKEY', zone: without((line) => fields(line).type === 'DNSKEY') },
  keysig: {
    what: 'the signatures of DNSKEY are spoilt',
    zone: withEach((line) => signs(line, 'DNSKEY'), spoil),
  },
  nodeny: {
    what: 'no NSEC or NSEC3',
    zone: without((line) => isDenial(fields(line).type) || signs(line, 'NSEC') || signs(line, 'NSEC3')),
  },
  denysig: {
    what: 'the signatures of NSEC and NSEC3 are spoilt',
    zone: withEach((line) => signs(line, 'NSEC') || signs(line, 'NSEC3'), spoil),
  },
  soasig: { what: 'the signature of SOA is spoilt', zone: withEach((line) => signs(line, 'SOA'), spoil) },
  wildsig: {
    what: 'the signature of the wildcard is spoilt',
    zone: withEach((line, zone) => signs(line, 'A', `*.wild.${zone}`), spoil),
  },
  cnamesig: {
    what: 'the signature of a CNAME is spoilt',
    zone: withEach((line, zone) => signs(line, 'CNAME', `alias.${zone}`), spoil),
  },
  dnamesig: {
    what: 'the signature of DNAME is spoilt',
    zone: withEach((line) => signs(line, 'DNAME'), spoil),
  },
  ttls: {
    what: 'the data has a TTL above the original one',
    zone: withEach(
      (line) => fields(line).type === 'A',
      (line) => line.replace(/(\s)(?:\d+\s+)?(IN\s+)?A(\s)/, '$17200 IN A$3'),
    ),
  },
  dsdigest: {
    what: 'the digest of the DS is another',
    ds: (ds) =>
      ds.map((line) => line.replace(/[0-9a-f]{4}$/i, (end) => (/^0+$/.test(end) ? '1111' : '0000'))),
  },
  dstag: {
    what: 'the key tag of the DS is another',
    ds: (ds) => ds.map((line) => line.replace(/DS\s+\d+/, 'DS 12345')),
  },
  dsalgorithm: {
    what: 'the DS is of an algorithm that nobody knows',
    ds: (ds) => ds.map((line) => line.replace(/(DS\s+\d+\s+)\d+/, '$1200')),
  },
  dstype: {
    what: 'the DS has a digest type that nobody knows',
    ds: (ds) => ds.map((line) => line.replace(/(DS\s+\d+\s+\d+\s+)2/, '$1200')),
  },
  dsmore: {
    what: 'a second DS leads nowhere',
    ds: (ds) => [...ds, ...ds.map((line) => line.replace(/DS\s+\d+/, 'DS 12345'))],
  },
  nods: { what: 'no DS in the zone above', ds: () => [] },
};
