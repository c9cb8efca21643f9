import { Type } from './types.ts';

/** How long an answer may be given again, to whoever asks the same in the same way. */
export interface Keep {
  /** From now on, however long its TTLs are. */
  readonly seconds: number;
  /**
   * Milliseconds since its TTLs were last counted down: they go on from there. Undefined: they stay as they are, and
   * the answer is made anew each time (what this host says by itself).
   */
  readonly agedMs: number | undefined;
}

/** What a {@link WireCache} takes on; both are fixed amounts of memory. */
export interface WireCacheOptions {
  /** Octets that the transport carries; the client's own limit is heeded as well. */
  readonly limitOctets: number;
  /** Answers at the most; a power of two. */
  readonly entries?: number;
  /** Octets of questions and answers at the most; a multiple of four. */
  readonly octets?: number;
  /** 32 random bits, so that nobody can choose names that meet in one place. */
  readonly seed: number;
}

/** Octets of an answer over UDP: unfragmented nearly everywhere (RFC 9715 §3.1). */
export const udpLimitOctets = 1_232;
const headerOctets = 12;
/** A root owner, OPT, size, version and flags, no options (RFC 6891 §6.1.2). */
const emptyOptOctets = 11;
/** What every client takes over UDP (RFC 1035 §4.2.1). */
const leastUdpOctets = 512;
/** Entries of one place that are looked at: chosen names must not make it slow. */
const longestChain = 16;
const maxNameOctets = 255;
const none = -1;

/** Bits of a variant above the octets that fit (at most 65535). */
const variantEdns = 1 << 16;
const variantDnssecOk = 1 << 17;
/** RD, AD and CD, as they stand in the header's second word, from here on. */
const variantFlagsShift = 18;

/** In queries only RD, AD and CD say something; a query with any other bit is looked at by those who know more. */
const otherFlags = 0xffff & ~0x0130;

/**
 * Answers as octets, found by the octets of the question: no message is decoded and none is built. The question's name
 * without regard to case, its type and class, RD, AD, CD, EDNS with DO, and how much fits make the key; the answer comes
 * back with the client's id and letter case and with its TTLs counted down. Queries that say anything else (EDNS
 * options, another opcode, more records) are never found.
 *
 * Octets lie in a ring: what was stored first goes first. Nothing is allocated after the constructor.
 */
export class WireCache {
  readonly #limitOctets: number;
  readonly #seed: number;

  /** By entry number modulo the count. */
  readonly #mask: number;
  readonly #hash: Int32Array;
  readonly #variant: Int32Array;
  readonly #next: Int32Array;
  /** 0 where the entry was replaced. */
  readonly #questionLength: Uint16Array;
  readonly #answerLength: Uint16Array;
  readonly #ttlCount: Uint16Array;
  readonly #until: Float64Array;
  /** When the age of the TTLs begins; Infinity: they have none. */
  readonly #since: Float64Array;
  /** Where its octets begin, counted from the ring's first day; the place is that modulo the ring's size. */
  readonly #start: Float64Array;
  readonly #heads: Int32Array;

  readonly #ring: Uint8Array;
  readonly #words: Int32Array;
  #end = 0;
  #first = 0;
  #count = 0;

  /** Of the query that was read last. */
  #keyHash = 0;
  #keyVariant = 0;
  #keyQuestion = 0;

  constructor({ limitOctets, entries = 1 << 15, octets = 1 << 24, seed }: WireCacheOptions) {
    if ((entries & (entries - 1)) !== 0 || octets % 4 !== 0 || octets < 4 * 0x1_0000)
      throw new RangeError(`a cache of ${entries} entries and ${octets} octets`);
    this.#limitOctets = limitOctets;
    this.#seed = seed | 0;
    this.#mask = entries - 1;
    this.#hash = new Int32Array(entries);
    this.#variant = new Int32Array(entries);
    this.#next = new Int32Array(entries);
    this.#questionLength = new Uint16Array(entries);
    this.#answerLength = new Uint16Array(entries);
    this.#ttlCount = new Uint16Array(entries);
    this.#until = new Float64Array(entries);
    this.#since = new Float64Array(entries);
    this.#start = new Float64Array(entries);
    this.#heads = new Int32Array(entries).fill(none);
    this.#ring = new Uint8Array(octets);
    this.#words = new Int32Array(this.#ring.buffer);
  }

  /** Answers that it holds, outdated ones too. */
  get size(): number {
    return this.#count;
  }

  /**
   * Writes the answer to the query in `octets` from `at` on to `out` from `outAt` on, and returns its length; 0: it is
   * not known. Both arrays begin on a word and have room to its end.
   */
  answer(
    octets: Uint8Array,
    at: number,
    length: number,
    out: Uint8Array,
    outWords: Int32Array,
    outAt: number,
    now: number,
  ): number {
    if (!this.#readKey(octets, at, length)) return 0;
    const entry = this.#find(octets, at);
    if (entry === none || now >= (this.#until[entry] ?? 0)) return 0;
    const answerLength = this.#answerLength[entry] ?? 0;
    const question = this.#questionLength[entry] ?? 0;
    const start = (this.#start[entry] ?? 0) % this.#ring.length;
    const words = this.#words;
    const from = (start >> 2) + ((question + 3) >> 2);
    const to = outAt >> 2;
    const count = (answerLength + 3) >> 2;
    for (let i = 0; i < count; i++) outWords[to + i] = words[from + i] ?? 0;

    out[outAt] = octets[at] ?? 0;
    out[outAt + 1] = octets[at + 1] ?? 0;
    // The name as the client wrote it: some make sure by its case that they are answered by whom they asked.
    const name = question - 4;
    for (let i = headerOctets; i < headerOctets + name; i++) out[outAt + i] = octets[at + i] ?? 0;
    const age = Math.floor((now - (this.#since[entry] ?? 0)) / 1_000);
    if (age > 0) {
      const ttls = from + count;
      for (let i = 0, n = this.#ttlCount[entry] ?? 0; i < n; i++) {
        countDown(out, outAt + (words[ttls + i] ?? 0), age);
      }
    }
    return answerLength;
  }

  /** Keeps `answer` to `query`, if it is of a kind that is ever found again. */
  put(query: Uint8Array, answer: Uint8Array, keep: Keep, now: number): void {
    if (!this.#readKey(query, 0, query.length)) return;
    if (answer.length > this.#limitOctets || answer.length < headerOctets + this.#keyQuestion) return;
    const ttls = ttlOffsets(answer);
    if (!ttls) return;
    let until = now + 1_000 * keep.seconds;
    let since = Number.POSITIVE_INFINITY;
    const lowest = lowestTtl(answer, ttls);
    if (lowest === 0) return; // For this transaction only (RFC 1035 §3.2.1).
    if (keep.agedMs !== undefined) {
      since = now - keep.agedMs;
      until = Math.min(until, since + 1_000 * lowest);
    }
    if (!(until > now)) return;
    const old = this.#find(query, 0);
    if (old !== none) this.#unlink(old);
    const question = this.#keyQuestion;
    const ttlsAt = ((question + 3) & ~3) + ((answer.length + 3) & ~3);
    const entry = this.#allocate(ttlsAt + 4 * ttls.length);
    const place = (this.#start[entry] ?? 0) % this.#ring.length;
    for (let i = 0; i < question; i++) {
      const octet = query[headerOctets + i] ?? 0;
      this.#ring[place + i] = i < question - 4 ? (lowerCase[octet] ?? 0) : octet;
    }
    this.#ring.set(answer, place + ((question + 3) & ~3));
    this.#words.set(ttls, (place + ttlsAt) >> 2);
    this.#hash[entry] = this.#keyHash;
    this.#variant[entry] = this.#keyVariant;
    this.#questionLength[entry] = question;
    this.#answerLength[entry] = answer.length;
    this.#ttlCount[entry] = ttls.length;
    this.#until[entry] = until;
    this.#since[entry] = since;
    const head = this.#keyHash & this.#mask;
    this.#next[entry] = this.#heads[head] ?? none;
    this.#heads[head] = entry;
  }

  /** Nothing of it holds any longer. */
  clear(): void {
    this.#heads.fill(none);
    this.#questionLength.fill(0);
    this.#count = 0;
    this.#first = 0;
    this.#end = 0;
  }

  /** Reads what makes the key of a query; false where such a query is never answered from here. */
  #readKey(octets: Uint8Array, at: number, length: number): boolean {
    if (length < headerOctets + 5) return false;
    const flags = ((octets[at + 2] ?? 0) << 8) | (octets[at + 3] ?? 0);
    if ((flags & otherFlags) !== 0) return false;
    // One question, no answer, no authority, at most one additional record.
    if (octets[at + 4] !== 0 || octets[at + 5] !== 1) return false;
    for (let i = 6; i < 11; i++) if (octets[at + i] !== 0) return false;
    const additional = octets[at + 11] ?? 0;
    if (additional > 1) return false;
    const end = at + length;
    let hash = this.#seed;
    let p = at + headerOctets;
    for (;;) {
      const label = octets[p] ?? 0;
      if (label > 63 || p + label + 5 > end) return false;
      hash = Math.imul(hash ^ label, 0x0100_0193);
      p++;
      if (label === 0) break;
      for (const labelEnd = p + label; p < labelEnd; p++)
        hash = Math.imul(hash ^ (lowerCase[octets[p] ?? 0] ?? 0), 0x0100_0193);
    }
    const question = p + 4 - at - headerOctets;
    if (question - 4 > maxNameOctets || p + 4 > end) return false;
    for (const typeEnd = p + 4; p < typeEnd; p++) hash = Math.imul(hash ^ (octets[p] ?? 0), 0x0100_0193);
    let variant = ((flags >> 4) & 0x13) << variantFlagsShift;
    if (additional === 0) {
      if (p !== end) return false;
      variant |= Math.min(this.#limitOctets, leastUdpOctets);
    } else {
      // Exactly an OPT record of version 0 without options; no flag but DO.
      if (end - p !== emptyOptOctets || octets[p] !== 0 || octets[p + 1] !== 0 || octets[p + 2] !== Type.OPT)
        return false;
      const ednsFlags = octets[p + 7] ?? 0;
      const rest = (octets[p + 5] ?? 0) | (octets[p + 6] ?? 0) | (ednsFlags & 0x7f) | (octets[p + 8] ?? 0);
      if (rest !== 0 || octets[p + 9] !== 0 || octets[p + 10] !== 0) return false;
      const size = ((octets[p + 3] ?? 0) << 8) | (octets[p + 4] ?? 0);
      variant |= variantEdns | Math.min(this.#limitOctets, Math.max(leastUdpOctets, size));
      if (ednsFlags !== 0) variant |= variantDnssecOk;
    }
    hash = Math.imul(hash ^ variant, 0x0100_0193);
    this.#keyHash = hash ^ (hash >>> 15);
    this.#keyVariant = variant;
    this.#keyQuestion = question;
    return true;
  }

  /** The entry of the key that was read last; `octets` from `at` on is its query. */
  #find(octets: Uint8Array, at: number): number {
    let entry = this.#heads[this.#keyHash & this.#mask] ?? none;
    for (let tries = longestChain; entry !== none && tries > 0; tries--) {
      if (this.#isKey(entry, octets, at)) return entry;
      entry = this.#next[entry] ?? none;
    }
    return none;
  }

  #isKey(entry: number, octets: Uint8Array, at: number): boolean {
    if (this.#hash[entry] !== this.#keyHash || this.#variant[entry] !== this.#keyVariant) return false;
    if (this.#questionLength[entry] !== this.#keyQuestion) return false;
    const place = (this.#start[entry] ?? 0) % this.#ring.length;
    const name = this.#keyQuestion - 4;
    const ring = this.#ring;
    const from = at + headerOctets;
    for (let i = 0; i < name; i++) if (ring[place + i] !== lowerCase[octets[from + i] ?? 0]) return false;
    for (let i = name; i < name + 4; i++) if (ring[place + i] !== octets[from + i]) return false;
    return true;
  }

  /** A new entry with so many octets in the ring; what lay there is forgotten. */
  #allocate(length: number): number {
    const size = this.#ring.length;
    let start = this.#end;
    // An entry does not go round the ring's end.
    if ((start % size) + length > size) start += size - (start % size);
    this.#end = start + length;
    while (
      this.#count > 0 &&
      (this.#count > this.#mask || (this.#start[this.#first] ?? 0) < this.#end - size)
    ) {
      this.#unlink(this.#first);
      this.#first = (this.#first + 1) & this.#mask;
      this.#count--;
    }
    const entry = (this.#first + this.#count) & this.#mask;
    this.#count++;
    this.#start[entry] = start;
    return entry;
  }

  /** Takes an entry out of its chain; its place in the ring stays until its turn comes. */
  #unlink(entry: number): void {
    if (this.#questionLength[entry] === 0) return;
    this.#questionLength[entry] = 0;
    const head = (this.#hash[entry] ?? 0) & this.#mask;
    const next = this.#next[entry] ?? none;
    let at = this.#heads[head] ?? none;
    if (at === entry) {
      this.#heads[head] = next;
      return;
    }
    while (at !== none) {
      const after = this.#next[at] ?? none;
      if (after === entry) {
        this.#next[at] = next;
        return;
      }
      at = after;
    }
  }
}

/** Octets of a name to lower case; the lengths of labels are below the letters and stay as they are. */
const lowerCase = new Uint8Array(256).map((_, i) => (i >= 0x41 && i <= 0x5a ? i + 0x20 : i));

function countDown(octets: Uint8Array, at: number, seconds: number): void {
  const ttl = Math.max(0, ttlAt(octets, at) - seconds);
  octets[at] = ttl >>> 24;
  octets[at + 1] = ttl >>> 16;
  octets[at + 2] = ttl >>> 8;
  octets[at + 3] = ttl;
}

function ttlAt(octets: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [octets[at], octets[at + 1], octets[at + 2], octets[at + 3]];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

function lowestTtl(answer: Uint8Array, ttls: readonly number[]): number {
  let lowest = 0x7fff_ffff;
  for (const at of ttls) lowest = Math.min(lowest, ttlAt(answer, at));
  return lowest;
}

/** Where the TTLs of a message stand, OPT aside; undefined where its sections do not add up. */
function ttlOffsets(octets: Uint8Array): number[] | undefined {
  const u16 = (at: number): number => ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
  const records = u16(6) + u16(8) + u16(10);
  let p = afterName(octets, headerOctets) + 4;
  const ttls: number[] = [];
  for (let i = 0; i < records; i++) {
    p = afterName(octets, p);
    if (p + 10 > octets.length) return undefined;
    if (u16(p) !== Type.OPT) ttls.push(p + 4);
    p += 10 + u16(p + 8);
  }
  return p === octets.length ? ttls : undefined;
}

/** The end of a name that may end in a pointer (RFC 1035 §4.1.4); past the message where it has none. */
function afterName(octets: Uint8Array, at: number): number {
  for (let p = at; p < octets.length;) {
    const label = octets[p] ?? 0;
    if (label >= 0xc0) return p + 2;
    p += 1 + label;
    if (label === 0) return p;
  }
  return octets.length + 1;
}
