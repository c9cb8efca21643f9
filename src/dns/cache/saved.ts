import { wallSeconds, type WallSeconds } from '../../time.ts';
import { decoded, Reader } from '../../wire/reader.ts';
import { WireError } from '../../wire/error.ts';
import { fromLatin1, sameOctets } from '../../wire/octets.ts';
import { Writer } from '../../wire/writer.ts';
import type { Answered } from '../dnssec/chain.ts';
import type { Link } from '../dnssec/validate.ts';
import { followsAliases } from '../links.ts';
import {
  decodeMessage,
  emptyMessage,
  encodeMessage,
  readQuestion,
  rrsetsOf,
  type Question,
  type ResourceRecord,
} from '../message.ts';
import { isBelow, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Class, Type } from '../types.ts';
import { octetsOfSets } from './size.ts';
import { Store } from './store.ts';

/**
 * The file begins with this; then come entries to its end: when the answer was got (seconds since 1970, 32 bits), the
 * length of a DNS message (16 bits), and the message.
 */
const magic = fromLatin1('oe cache 1\n');
/** What is about to lapse, or older than anything is kept, is not worth a place in the file: s. */
const [leastSeconds, longestSeconds] = [60, 86_400];
/** Octets of a message before its question (RFC 1035 §4.1.1). */
const headerOctets = 12;
/** What an entry costs in memory beside its octets. */
const perEntry = 300;

/** A reply from before: as the file had it, or as it came in this run. */
type Saved = { readonly at: WallSeconds } & (
  | { readonly kind: 'octets'; readonly octets: Uint8Array }
  | { readonly kind: 'reply'; readonly question: Question; readonly reply: Answered }
);

/**
 * Replies of an earlier run, and what proves keys of zones in this one, for the next. They are replies and nothing
 * more: whatever comes out of a file is validated like what comes from a network, since others may have written to it.
 * Only the way to the network is saved.
 */
export class SavedReplies {
  readonly #saved: Store<Saved>;

  constructor(limitOctets: number) {
    this.#saved = new Store(limitOctets);
  }

  get size(): number {
    return this.#saved.size;
  }

  get octets(): number {
    return this.#saved.octets;
  }

  /** Takes the entries of a file; what follows the first that is none is lost. Gives how many there were. */
  restore(octets: Uint8Array, wall: WallSeconds): number {
    const r = new Reader(octets);
    let count = 0;
    try {
      if (!sameOctets(r.octets(magic.length), magic)) return 0;
      while (r.remaining > 0) {
        const at = wallSeconds(r.u32());
        // Copied: one small entry would keep the whole file in memory.
        const message = new Uint8Array(r.octets(r.u16()));
        // What comes from the future tells that one of the clocks is wrong, so nobody knows how old it is.
        if (at > wall || wall - at > longestSeconds) continue;
        const question = questionAt(message);
        if (!question) continue;
        this.#saved.set(keyOf(question), { kind: 'octets', at, octets: message }, perEntry + message.length);
        count++;
      }
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
    }
    return count;
  }

  /** The reply to `question`, its TTLs as they are now, as far as one was saved whose time is not over. */
  reply(question: Question, wall: WallSeconds): Answered | undefined {
    if (this.#saved.size === 0) return undefined;
    const own = this.#replyAt(question, wall);
    if (own || !followsAliases(question.type)) return own;
    const alias = this.#replyAt({ ...question, type: Type.CNAME }, wall);
    // That there is no CNAME says nothing about other types.
    return alias && alias.answer.length > 0 ? alias : undefined;
  }

  /** A reply that proved something about a zone's keys, for the next run. */
  note(question: Question, reply: Answered, wall: WallSeconds): void {
    const octets = perEntry + octetsOfSets(reply.answer) + octetsOfSets(reply.authority);
    this.#saved.set(keyOf(question), { kind: 'reply', at: wall, question, reply }, octets);
  }

  forget(name: NameKey, type: number | undefined, tree: boolean): number {
    let dropped = 0;
    for (const [key] of this.#saved.entries()) {
      const owner = nameOfKey(key);
      if (owner !== name && !(tree && isBelow(owner, name))) continue;
      if (type !== undefined && Number.parseInt(key, 10) !== type) continue;
      this.#saved.delete(key);
      dropped++;
    }
    return dropped;
  }

  clear(): number {
    const dropped = this.#saved.size;
    this.#saved.clear();
    return dropped;
  }

  /** What was noted, and with `restored` what came from the last file and was not wanted yet, as entries of the next. */
  *entries(restored: boolean, wall: WallSeconds): Generator<SavedEntry> {
    for (const [key, saved] of this.#saved.entries()) {
      const age = wall - saved.at;
      if (age < 0 || age > longestSeconds || (saved.kind === 'octets') !== restored) continue;
      if (saved.kind === 'octets') yield { key, at: saved.at, octets: () => saved.octets };
      else if (ttlOf(saved.reply) - age > leastSeconds) {
        const { question, reply } = saved;
        yield { key, at: saved.at, octets: () => octetsOf(question, reply.message.rcode, reply) };
      }
    }
  }

  #replyAt(question: Question, wall: WallSeconds): Answered | undefined {
    const key = keyOf(question);
    const saved = this.#saved.get(key);
    if (!saved) return undefined;
    const age = wall - saved.at;
    const reply = saved.kind === 'reply' ? saved.reply : readReply(saved.octets);
    if (!reply || age < 0 || ttlOf(reply) <= age) {
      this.#saved.delete(key);
      return undefined;
    }
    return { ...reply, answer: aged(reply.answer, age), authority: aged(reply.authority, age) };
  }
}

/** An entry of the file to be; its octets are made when it is its turn. */
export interface SavedEntry {
  readonly key: string;
  readonly at: WallSeconds;
  readonly octets: () => Uint8Array | undefined;
}

/** A judged link as the reply that it came from, near enough to be judged again. */
export function entryOfLink(
  link: Link,
  type: number,
  ageSeconds: number,
  wall: WallSeconds,
): SavedEntry | undefined {
  if (link.ttl - ageSeconds < leastSeconds) return undefined;
  const question = { name: link.name, type, class: Class.IN };
  return {
    key: keyOf(question),
    at: wallSeconds(Math.floor(wall) - ageSeconds),
    octets: () => octetsOf(question, link.rcode, { answer: link.sets, authority: link.authority }),
  };
}

/** Writes the file, some entries at a time: all at once would take too long for whoever asks meanwhile. */
export class SavedWriter {
  readonly #writer = new Writer(1 << 16);
  readonly #entries: readonly SavedEntry[];
  readonly #limitOctets: number;
  #next = 0;

  /** Of entries with one key the first counts; beyond `limitOctets` the last are left out. */
  constructor(entries: Iterable<SavedEntry>, limitOctets: number) {
    const byKey = new Map<string, SavedEntry>();
    for (const entry of entries) if (!byKey.has(entry.key)) byKey.set(entry.key, entry);
    this.#entries = [...byKey.values()];
    this.#limitOctets = limitOctets;
    this.#writer.octets(magic);
  }

  /** Writes up to `count` more; the whole file once it is done. */
  write(count: number): Uint8Array | undefined {
    const end = Math.min(this.#entries.length, this.#next + count);
    for (; this.#next < end; this.#next++) {
      const entry = this.#entries[this.#next];
      const octets = entry?.octets();
      if (!entry || !octets || octets.length > 0xffff) continue;
      if (this.#writer.length + octets.length > this.#limitOctets) {
        this.#next = this.#entries.length;
        break;
      }
      this.#writer.u32(Math.floor(entry.at));
      this.#writer.u16(octets.length);
      this.#writer.octets(octets);
    }
    return this.#next >= this.#entries.length ? this.#writer.finish() : undefined;
  }
}

/** Undefined for what no message can hold. */
function octetsOf(
  question: Question,
  rcode: number,
  { answer, authority }: Pick<Answered, 'answer' | 'authority'>,
): Uint8Array | undefined {
  if (rcode > 15) return undefined;
  return encodeMessage({
    ...emptyMessage,
    response: true,
    rcode,
    questions: [question],
    answer: answer.flatMap(recordsOf),
    authority: authority.flatMap(recordsOf),
  });
}

function recordsOf({ owner, type, class: class_, ttl, rdatas, signatures }: RRset): ResourceRecord[] {
  const record = (t: number, rdata: Uint8Array): ResourceRecord => ({
    owner,
    type: t,
    class: class_,
    ttl,
    rdata,
  });
  return [...rdatas.map((r) => record(type, r)), ...signatures.map((r) => record(Type.RRSIG, r))];
}

function questionAt(octets: Uint8Array): Question | undefined {
  const question = decoded(octets, (r) => {
    r.skip(headerOctets);
    const read = readQuestion(r);
    r.rest();
    return read;
  });
  return question.ok && question.value.class === Class.IN ? question.value : undefined;
}

function readReply(octets: Uint8Array): Answered | undefined {
  const message = decodeMessage(octets);
  if (!message.ok) return undefined;
  const { answer, authority } = message.value;
  return {
    kind: 'message',
    message: message.value,
    answer: rrsetsOf(answer),
    authority: rrsetsOf(authority),
    upstream: 'an earlier run',
  };
}

/** The smallest TTL among its RRsets; 0 for none. */
function ttlOf({ answer, authority }: Answered): number {
  const sets = [...answer, ...authority];
  return sets.length === 0 ? 0 : Math.min(...sets.map((s) => s.ttl));
}

function aged(sets: readonly RRset[], seconds: number): RRset[] {
  return sets.map((set) => ({ ...set, ttl: Math.max(0, set.ttl - Math.floor(seconds)) }));
}

/** The name in the key of a {@link SavedEntry}. */
export function nameOfKey(key: string): NameKey {
  return key.slice(key.indexOf(' ') + 1) as NameKey;
}

function keyOf(question: Question): string {
  return `${question.type} ${question.name}`;
}
