/** `npm run bench -- steps`: what zones and messages that were made to cost us cost, and the longest single step. */
import { encodeMessage, decodeMessage, type ResourceRecord } from '../src/dns/message.ts';
import { Resolver, type ResolverEffect, type ResolverInput } from '../src/dns/resolver.ts';
import { Class, Type } from '../src/dns/types.ts';
import { parseEndpoint } from '../src/net/address.ts';
import { instant, type Instant } from '../src/time.ts';
import { concatOctets } from '../src/wire/octets.ts';
import { countingRandom } from '../test/dns/forwarding.ts';
import { readScenes } from '../test/dns/scenario/text.ts';
import { stageOf, type Stage } from '../test/dns/scenario/stage.ts';
import { key, signingDate } from '../test/dns/zone.ts';

interface Attack {
  readonly what: string;
  readonly zones: string;
  readonly name: string;
  readonly type?: number;
  /** Octets in place of the reply to the question itself. */
  readonly octets?: (query: Uint8Array) => Uint8Array;
}

const base = `
zone . alg=13
zone org alg=13
zone example.org
www.example.org A 192.0.2.80
`;
const slow = base.replaceAll('alg=13', 'alg=14').replace('zone example.org', 'zone example.org alg=14');
const types = Array.from({ length: 200 }, (_, i) => `www.example.org TYPE${65_000 + i} \\# 1 00`).join('\n');
const manyTypes = Array.from({ length: 600 }, (_, i) => `TYPE${1000 + i * 100}`).join(' ');

const attacks: readonly Attack[] = [
  { what: 'nothing special, for comparison', zones: base, name: 'www.example.org' },
  { what: 'P-384 in each zone', zones: slow, name: 'www.example.org' },
  {
    what: 'KeyTrap: 4 keys of one tag, 8 wrong signatures of each RRset, P-384',
    zones: `${slow}junk keys example.org 3 sametag\n${types}\n${Array.from({ length: 24 }, (_, i) => `spoil www.example.org TYPE${65_000 + i} forged=8`).join('\n')}`,
    name: 'www.example.org',
    type: Type.ANY,
  },
  {
    what: '200 RRsets with signatures in one answer',
    zones: `${base}${types}`,
    name: 'www.example.org',
    type: Type.ANY,
  },
  {
    what: 'NSEC3 of 100 iterations with a salt of 255 octets, a deep name',
    zones: `${base}zone example.org nsec3 iterations=100 salt=${'ab'.repeat(255)}`,
    name: `${'a.'.repeat(100)}example.org`,
  },
  {
    what: '256 records of 240 octets in one RRset',
    zones: `${base}${Array.from({ length: 256 }, (_, i) => `big.example.org TYPE65001 \\# 240 ${i.toString(16).padStart(4, '0').repeat(120)}`).join('\n')}`,
    name: 'big.example.org',
    type: 65_001,
  },
  {
    what: 'NSEC with 600 types in 235 windows',
    zones: `${base}reply www.example.org TXT\nclear\nadd authority signed www.example.org NSEC zzz.example.org ${manyTypes}\nend`,
    name: 'www.example.org',
    type: Type.TXT,
  },
  {
    what: '64 KiB of owners that point to a name of 127 labels',
    zones: base,
    name: 'www.example.org',
    octets: (query) => pointers(query, Uint8Array.of(0, 1, 0, 1, 0, 0, 0, 0, 0, 0)),
  },
  {
    what: '64 KiB of RRSIGs of one RRset',
    zones: base,
    name: 'www.example.org',
    octets: (query) => records(query, 3000, (i) => ({ type: Type.RRSIG, rdata: rrsig(i) })),
  },
  {
    what: '64 KiB of records of types of their own',
    zones: base,
    name: 'www.example.org',
    type: Type.ANY,
    octets: (query) => records(query, 4000, (i) => ({ type: 1000 + i, rdata: new Uint8Array(2) })),
  },
];

/** The measurement: each attack on a resolver of its own, several times; each step as long as the shortest time; 0. */
export function steps(): Promise<number> {
  console.log('longest step ms | all ms | steps | came to | what');
  for (const attack of attacks) {
    costOf(attack); // Compiles.
    const { steps, cameTo } = [1, 2, 3, 4].map(() => costOf(attack)).reduce(shorterOf);
    const all = steps.reduce((sum, step) => sum + step, 0);
    const figures = [Math.max(...steps).toFixed(2), all.toFixed(1), String(steps.length), cameTo];
    console.log(`${figures.join(' | ')} | ${attack.what}`);
  }
  return Promise.resolve(0);
}

/** What else the machine had to do counts for as little as can be: the steps are the same each time. */
function shorterOf(a: Cost, b: Cost): Cost {
  return { ...a, steps: a.steps.map((step, i) => Math.min(step, b.steps[i] ?? step)) };
}

interface Cost {
  /** ms. */
  readonly steps: readonly number[];
  readonly cameTo: string;
}

/** Plays one attack and times each step; signing and serving are not counted. */
function costOf(attack: Attack): Cost {
  const [scene] = readScenes(`scene ${attack.what}\n${attack.zones}`, 'attack', () => '');
  if (!scene) throw new Error('no scene');
  const stage = stageOf(scene.lines, signingDate, 'forward');
  const endpoint = parseEndpoint('192.0.2.1:53', 53);
  if (!endpoint) throw new Error('no endpoint');
  const resolver = new Resolver({
    upstreams: [{ endpoint, transport: 'udp' }],
    anchors: stage.anchors,
    random: countingRandom(),
  });
  let now: Instant = instant(1000);
  const steps: number[] = [];
  let cameTo = '';
  const coming: ResolverInput[] = [];
  const handle = (input: ResolverInput): void => {
    const begin = performance.now();
    const effects = resolver.handle(input, now, signingDate);
    steps.push(performance.now() - begin);
    for (const effect of effects) cameTo = perform(attack, stage, effect, coming) ?? cameTo;
  };
  handle({
    kind: 'lookup',
    id: 1,
    question: { name: key(attack.name), type: attack.type ?? Type.A, class: Class.IN },
    checkingDisabled: false,
  });
  while (cameTo === '') {
    const next = coming.shift();
    if (next) handle(next);
    else {
      now = instant(Math.max(now, resolver.deadline?.at ?? Infinity));
      if (now === Infinity) break;
      handle({ kind: 'tick' });
    }
  }
  return { steps, cameTo };
}

function perform(
  attack: Attack,
  { world }: Stage,
  effect: ResolverEffect,
  coming: ResolverInput[],
): string | undefined {
  if (effect.kind === 'resolved') return effect.resolution.verdict.status;
  if (effect.kind !== 'ask') return undefined;
  const query = decodeMessage(effect.octets);
  const isIt = query.ok && query.value.questions[0]?.name === key(attack.name);
  const octets = isIt && attack.octets ? attack.octets(effect.octets) : world.answer(effect.octets, 'tcp');
  coming.push({ kind: 'reply', ask: effect.ask, octets });
  return undefined;
}

/** A reply that repeats a record whose owner is the question's name, as often as 64 KiB hold. */
function pointers(query: Uint8Array, rest: Uint8Array): Uint8Array {
  // The question stays as it was asked; the long name stands in the first record.
  const question = questionOf(query);
  const long = new Uint8Array(255);
  for (let i = 0; i < 254; i += 2) long.set([1, 0x61], i);
  const at = 12 + question.length;
  const first = concatOctets(long, rest);
  const other = concatOctets(Uint8Array.of(0xc0 | (at >> 8), at & 0xff), rest);
  const count = Math.floor((65_535 - at - first.length) / other.length);
  return concatOctets(
    header(query, count + 1),
    question,
    first,
    ...Array.from({ length: count }, () => other),
  );
}

function records(
  query: Uint8Array,
  most: number,
  make: (i: number) => Pick<ResourceRecord, 'type' | 'rdata'>,
): Uint8Array {
  const question = questionOf(query);
  const made: Uint8Array[] = [];
  let left = 65_535 - 12 - question.length;
  for (let i = 0; i < most; i++) {
    const { type, rdata } = make(i);
    const record = concatOctets(
      Uint8Array.of(
        0xc0,
        12,
        type >> 8,
        type & 0xff,
        0,
        1,
        0,
        0,
        0,
        60,
        rdata.length >> 8,
        rdata.length & 0xff,
      ),
      rdata,
    );
    if (left < record.length) break;
    left -= record.length;
    made.push(record);
  }
  return concatOctets(header(query, made.length), question, ...made);
}

/** Of the length of an RRSIG with a signature of one octet, all different. */
function rrsig(i: number): Uint8Array {
  return Uint8Array.of(0, 1, 15, 3, 0, 0, 0, 60, 0xff, 0, 0, 0, 0, 0, 0, 0, i >> 8, i & 0xff, 0, 1);
}

function header(query: Uint8Array, answers: number): Uint8Array {
  return Uint8Array.of(
    query[0] ?? 0,
    query[1] ?? 0,
    0x85,
    0x80,
    0,
    1,
    answers >> 8,
    answers & 0xff,
    0,
    0,
    0,
    0,
  );
}

function questionOf(query: Uint8Array): Uint8Array {
  const message = decodeMessage(query);
  if (!message.ok) throw message.error;
  const { edns: _, ...plain } = message.value;
  return encodeMessage({ ...plain, additional: [] }).subarray(12);
}
