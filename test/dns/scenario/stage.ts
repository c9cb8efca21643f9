/** The world of a scene: zones, damage to them, and changes to replies, made anew from the lines so far. */
import type { TrustAnchor } from '../../../src/dns/anchors.ts';
import type { Message, Question, ResourceRecord } from '../../../src/dns/message.ts';
import { nameText } from '../../../src/dns/name.ts';
import { Class, Rcode, Type } from '../../../src/dns/types.ts';
import { dnskeyRdata } from '../signing.ts';
import { covers } from '../scenes.ts';
import { key, SignedWorld, type KeySpec, type Spoiled, type ZoneSpec } from '../zone.ts';
import { number, rdataOf, typeNamed } from './rdata.ts';
import { optionsOf, type Line } from './text.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** By asking another resolver, or by iterating from the root. */
export type Mode = 'forward' | 'recurse';

/** What a scene resolves against. */
export interface Stage {
  readonly world: SignedWorld;
  readonly anchors: readonly TrustAnchor[];
  /** Nothing is answered to the question, by the server at an address where there are several. */
  readonly isSilent: (question: Question, server?: string) => boolean;
}

/** `wall`: the scene's date, from which `expiration=+60` and the like are counted. */
export function stageOf(lines: readonly Line[], wall: number, mode: Mode): Stage {
  const specs = new Map<string, Mutable<ZoneSpec>>();
  for (const line of lines) located(line, () => specify(specs, line.words));
  // Who iterates has to find every zone somewhere.
  if (mode === 'recurse')
    for (const [i, spec] of [...specs.values()].entries()) spec.servers ??= [`10.53.0.${i + 1}`];
  const world = new SignedWorld([...specs.values()]);
  const anchors: TrustAnchor[] = [];
  let hasAnchors = false;
  let reply: ReplyChange | undefined;
  const replies: ReplyChange[] = [];
  for (const line of lines) {
    const [command = '', ...words] = line.words;
    located(line, () => {
      if (reply) {
        if (command === 'end') reply = undefined;
        else if (command === 'silence') reply.isSilent = true;
        else reply.changes.push(changeOf(world, command, words));
      } else if (command === 'reply') {
        reply = replyChange(world, words);
        replies.push(reply);
      } else if (command === 'anchor') {
        hasAnchors = true;
        anchors.push(...anchorsOf(world, words));
      } else if (command !== 'zone' && command !== 'key') change(world, command, words, wall);
    });
  }
  return {
    world,
    anchors: hasAnchors ? anchors : world.anchors(),
    isSilent: (question, server) => replies.some((r) => r.isSilent && r.matches(question, server)),
  };
}

/** An error names the line that it is about. */
export function located<T>(line: Line, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new Error(`${line.at}: ${(error as Error).message}`, { cause: error });
  }
}

const denials = { nsec: 'NSEC', nsec3: 'NSEC3' } as const;

function specify(
  specs: Map<string, Mutable<ZoneSpec>>,
  [command, name = '', ...words]: readonly string[],
): void {
  if (command !== 'zone' && command !== 'key') return;
  const spec = specs.get(name) ?? { name, signed: true };
  specs.set(name, spec);
  if (command === 'key') {
    const [id = '', ...rest] = words;
    spec.keys = [...(spec.keys ?? []).filter((k) => k.id !== id), keySpec(id, optionsOf(rest))];
    return;
  }
  for (const [option, value] of optionsOf(words)) {
    switch (option) {
      case 'unsigned':
      case 'signed':
        spec.signed = option === 'signed';
        break;
      case 'nsec':
      case 'nsec3':
        spec.denial = denials[option];
        break;
      case 'optout':
        spec.optOut = true;
        break;
      case 'undelegated':
        spec.undelegated = true;
        break;
      case 'narrow':
      case 'compact':
        spec[option] = true;
        break;
      case 'iterations':
      case 'ttl':
      case 'minimum':
        spec[option] = number(value);
        break;
      case 'alg':
        spec.algorithm = number(value);
        break;
      case 'flags':
        spec.keyFlags = number(value);
        break;
      case 'protocol':
        spec.keyProtocol = number(value);
        break;
      case 'salt':
        spec.salt = Uint8Array.fromHex(value);
        break;
      case 'digests':
        spec.digests = value.split(',').map(number);
        break;
      case 'server':
        spec.servers = value.split(',');
        break;
      default:
        throw new SyntaxError(`no option of a zone: ${option}`);
    }
  }
}

function keySpec(id: string, options: ReadonlyMap<string, string>): KeySpec {
  const signs = options.get('signs') ?? 'all';
  if (signs !== 'keys' && signs !== 'rest' && signs !== 'all' && signs !== 'nothing')
    throw new SyntaxError(`a key signs keys, rest, all or nothing, not ${signs}`);
  return {
    id,
    algorithm: number(options.get('alg') ?? '15'),
    signs,
    unpublished: options.has('unpublished'),
    ...(options.has('flags') && { flags: number(options.get('flags')) }),
    ...(options.has('protocol') && { protocol: number(options.get('protocol')) }),
    ...(options.has('revoked') && { revoked: true }),
    ...(options.has('ds') && { inParent: true }),
    ...(options.has('nods') && { inParent: false }),
  };
}

/** A line that changes what the zones hold, or how they sign it. */
function change(world: SignedWorld, command: string, words: readonly string[], wall: number): void {
  const [first = '', second = '', ...rest] = words;
  switch (command) {
    case 'remove':
      world.remove(first, typeNamed(second));
      return;
    case 'replace':
      world.replace(first, typeNamed(second), [rdataOf(typeNamed(second), rest)]);
      return;
    case 'spoil':
      if (second === '*') world.spoilZone(first, spoiledBy(optionsOf(rest), wall));
      else world.spoil(first, typeNamed(second), spoiledBy(optionsOf(rest), wall), optionsOf(rest).get('of'));
      return;
    case 'junk':
      junk(world, first, second, rest);
      return;
    default: {
      const record = recordOf([command, ...words]);
      world.add(nameText(record.owner), record.type, record.rdata, record.ttl);
    }
  }
}

function spoiledBy(options: ReadonlyMap<string, string>, wall: number): Spoiled {
  const spoiled: Mutable<Spoiled> = {};
  const date = (value: string): number => (/^[+-]/.test(value) ? wall + Number(value) : Number(value));
  for (const [option, value] of options) {
    switch (option) {
      case 'missing':
      case 'flipped':
        spoiled[option] = true;
        break;
      case 'inception':
      case 'expiration':
        spoiled[option] = date(value);
        break;
      case 'of':
        break;
      case 'signer':
        spoiled.signer = value;
        break;
      case 'by':
        spoiled.keyOf = value;
        break;
      case 'only':
        spoiled.onlyKey = value;
        break;
      case 'tag':
        spoiled.keyTag = number(value);
        break;
      case 'ottl':
        spoiled.originalTtl = number(value);
        break;
      case 'alg':
        spoiled.algorithm = number(value);
        break;
      case 'labels':
      case 'forged':
        spoiled[option] = number(value);
        break;
      case 'covers':
        spoiled.typeCovered = typeNamed(value);
        break;
      default:
        throw new SyntaxError(`no way to spoil a signature: ${option}`);
    }
  }
  return spoiled;
}

/** `junk keys ZONE N [sametag]` and `junk ds ZONE N [othertags]`: records of no use before the true ones. */
function junk(world: SignedWorld, what: string, zone: string, [count, how]: readonly string[]): void {
  const { dnskey, dnskeys, ds } = world.keysOf(zone);
  const every = Array.from({ length: number(count) }, (_, i) => i + 1);
  if (what === 'ds') {
    const [first] = ds;
    if (!first) throw new SyntaxError(`${zone} has no DS`);
    world.replace(zone, Type.DS, [
      ...every.map((i) =>
        first
          .with(1, (first[1] ?? 0) ^ (how === 'othertags' ? i : 0))
          .with(20, i)
          .with(21, 0x55)
          .with(22, i >> 8),
      ),
      ...ds,
    ]);
    return;
  }
  const algorithm = dnskey[3] ?? 0;
  const others = every.map((i) => {
    const octets = new Uint8Array(32).fill(i).with(1, i >> 8);
    const rdata = dnskeyRdata(256, algorithm, octets);
    return how === 'sametag' ? withTagOf(rdata, dnskey) : rdata;
  });
  world.replace(zone, Type.DNSKEY, [...others, ...dnskeys]);
}

/** The key tag is a sum of 16-bit words (RFC 4034 appendix B): the last word makes up for the others. */
function withTagOf(rdata: Uint8Array, model: Uint8Array): Uint8Array {
  const sum = (octets: Uint8Array): number =>
    octets.reduce((total, octet, i) => total + ((i & 1) === 0 ? octet << 8 : octet), 0);
  const folded = (n: number): number => (n + (n >> 16)) & 0xffff;
  const at = rdata.length - 2;
  for (let word = 0; word <= 0xffff; word++) {
    const tried = rdata.with(at, word >> 8).with(at + 1, word & 0xff);
    if (folded(sum(tried)) === folded(sum(model))) return tried;
  }
  throw new Error('no key with that tag');
}

/** `OWNER [TTL] TYPE RDATA`. */
export function recordOf(words: readonly string[]): ResourceRecord {
  const [owner = '', ...rest] = words;
  const hasTtl = /^\d+$/.test(rest[0] ?? '');
  const ttl = hasTtl ? number(rest.shift()) : 3600;
  const type = typeNamed(rest.shift() ?? '');
  return { owner: key(owner), type, class: Class.IN, ttl, rdata: rdataOf(type, rest) };
}

function anchorsOf(world: SignedWorld, [kind = '', zone = '.', ...words]: readonly string[]): TrustAnchor[] {
  switch (kind) {
    case 'none':
      return [];
    case 'ds':
      return words.length > 0
        ? [{ kind: 'DS', owner: key(zone), rdata: rdataOf(Type.DS, words) }]
        : world.anchors(zone);
    case 'dnskey':
      return words.length > 0
        ? [{ kind: 'DNSKEY', owner: key(zone), rdata: rdataOf(Type.DNSKEY, words) }]
        : world.dnskeyAnchors(zone);
    case 'key':
      return words.flatMap((id) => world.anchorsOfKey(zone, id));
    case 'wrong':
      return world.anchors(zone).map((a) => ({ ...a, rdata: a.rdata.with(9, (a.rdata[9] ?? 0) ^ 1) }));
    case 'alg':
      return world.anchors(zone).map((a) => ({ ...a, rdata: a.rdata.with(2, number(words[0])) }));
    default:
      throw new SyntaxError(`an anchor is ds, dnskey, key, wrong, alg or none, not ${kind}`);
  }
}

type Change = (message: Message) => Message;

/** What is done to the replies to one question. */
interface ReplyChange {
  readonly matches: (question: Question, server?: string) => boolean;
  readonly changes: Change[];
  isSilent: boolean;
}

/** `reply NAME TYPE [at ADDRESS]`, or `*` for any name or type. */
function replyChange(world: SignedWorld, [name = '', type = '', , at]: readonly string[]): ReplyChange {
  const matches = (q: Question, server?: string): boolean =>
    (name === '*' || q.name === key(name)) &&
    (type === '*' || q.type === typeNamed(type)) &&
    (at === undefined || at === server);
  const found: ReplyChange = { matches, changes: [], isSilent: false };
  world.tamper((message, question, server) =>
    matches(question, server) ? found.changes.reduce((m, change_) => change_(m), message) : message,
  );
  return found;
}

type Section = 'answer' | 'authority' | 'additional';

function changeOf(world: SignedWorld, command: string, words: readonly string[]): Change {
  switch (command) {
    case 'rcode': {
      const rcode = rcodeNamed(words[0]);
      return (m) => ({ ...m, rcode });
    }
    case 'clear':
      return words[0] === undefined
        ? (m) => ({ ...m, answer: [], authority: [], additional: [] })
        : (m) => ({ ...m, [section(words[0])]: [] });
    case 'ad':
      return (m) => ({ ...m, authenticData: true });
    case 'noaa':
      return (m) => ({ ...m, authoritative: false });
    case 'drop':
      return dropping(words);
    case 'add':
    case 'put': {
      const into = section(words[0]);
      const records = recordsOf(world, words.slice(1));
      return (m) => ({
        ...m,
        [into]: command === 'put' ? [...records, ...m[into]] : [...m[into], ...records],
      });
    }
    case 'rename': {
      const [into, from, to] = [section(words[0]), key(words[1] ?? ''), key(words[2] ?? '')];
      return (m) => ({ ...m, [into]: m[into].map((r) => (r.owner === from ? { ...r, owner: to } : r)) });
    }
    case 'ttl': {
      const [into, ttl] = [section(words[0]), number(words[1])];
      return (m) => ({ ...m, [into]: m[into].map((r) => ({ ...r, ttl })) });
    }
    case 'octet': {
      // octet SECTION TYPE AT VALUE: one octet of the RDATA of that type.
      const [into, type, at, value] = [section(words[0]), words[1] ?? '', number(words[2]), number(words[3])];
      return (m) => ({
        ...m,
        [into]: m[into].map((r) => (isOf(r, type) ? { ...r, rdata: r.rdata.with(at, value) } : r)),
      });
    }
    default:
      throw new SyntaxError(`no change of a reply: ${command}`);
  }
}

/** `drop SECTION [TYPE|sig:TYPE|*] [OWNER]`. */
function dropping([into, type = '*', owner]: readonly string[]): Change {
  const from = section(into);
  const name = owner === undefined ? undefined : key(owner);
  return (m) => ({
    ...m,
    [from]: m[from].filter((r) => !(isOf(r, type) && (name === undefined || r.owner === name))),
  });
}

/** `A`, `sig:A` for the signatures of an A, `A+` for both, `*` for anything. */
function isOf(record: ResourceRecord, type: string): boolean {
  if (type === '*') return true;
  if (type.startsWith('sig:')) return covers(record, typeNamed(type.slice(4)));
  if (type.endsWith('+')) {
    const plain = typeNamed(type.slice(0, -1));
    return record.type === plain || covers(record, plain);
  }
  return record.type === typeNamed(type);
}

/**
 * A record as it is, or: `signed [by ZONE] RECORD`, as the zone would sign it; `denial NAME [of ZONE]`, the NSEC or
 * NSEC3 that matches or spans a name, signed anew with `set AT VALUE` in its RDATA or `under NAME` in its owner; `copy NAME TYPE SECTION [as NAME]`, what the reply to another question has.
 */
function recordsOf(world: SignedWorld, words: readonly string[]): readonly ResourceRecord[] {
  const [how, ...rest] = words;
  switch (how) {
    case 'signed': {
      const by = rest[0] === 'by' ? rest[1] : undefined;
      const { owner, type, rdata } = recordOf(by === undefined ? rest : rest.slice(2));
      return world.signed(nameText(owner), type, [rdata], by);
    }
    case 'denial': {
      const [name = '', , zone, change_, ...values] = rest;
      const records = world.denialAt(name, zone);
      const [denying] = records;
      if (!denying || change_ === undefined) return records;
      const owner = nameText(denying.owner);
      if (change_ === 'under')
        return world.signed(
          `${owner.split('.')[0] ?? ''}.${values[0] ?? ''}`,
          denying.type,
          [denying.rdata],
          zone,
        );
      const rdata = denying.rdata.with(number(values[0]), number(values[1]));
      return world.signed(owner, denying.type, [rdata], zone);
    }
    case 'copy': {
      const [name = '', type = '', from, , as] = rest;
      const parts = world.resolve({ name: key(name), type: typeNamed(type), class: Class.IN });
      const records = parts[section(from) as 'answer' | 'authority'];
      return as === undefined ? records : records.map((r) => ({ ...r, owner: key(as) }));
    }
    default:
      return [recordOf(words)];
  }
}

function section(word: string | undefined): Section {
  if (word !== 'answer' && word !== 'authority' && word !== 'additional')
    throw new SyntaxError(`no section: ${word ?? 'nothing'}`);
  return word;
}

/** `NXDOMAIN` and the like. */
export function rcodeNamed(word: string | undefined): number {
  const rcode = Object.entries(Rcode).find(([name]) => name === word)?.[1];
  if (rcode === undefined) throw new SyntaxError(`no rcode: ${word ?? 'nothing'}`);
  return rcode;
}
