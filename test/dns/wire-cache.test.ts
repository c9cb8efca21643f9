import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Secure } from '../../src/dns/dnssec/verdict.ts';
import { encodeMessage, type Message } from '../../src/dns/message.ts';
import { nameOf, octetsOfName, type NameKey } from '../../src/dns/name.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { decodeQuery, encodeAnswer } from '../../src/dns/stub.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { WireCache, type Keep } from '../../src/dns/wire-cache.ts';
import { concatOctets, fromHex } from '../../src/wire/octets.ts';
import { queryMessage } from './query.ts';

const limitOctets = 1_232;

test('an answer from the octets is the answer that would be made anew, octet for octet, whoever asks however', () => {
  let found = 0;
  const askings = fc.array(fc.tuple(anyQuery, fc.nat(700)), { minLength: 100, maxLength: 200 });
  fc.assert(
    fc.property(askings, (rows) => {
      const cache = new WireCache({ limitOctets, entries: 64, octets: 1 << 18, seed: 7 });
      let now = 0;
      for (const [octets, wait] of rows) {
        now += wait;
        const slow = madeAnew(octets, now);
        const fast = ask(cache, octets, now);
        if (fast) {
          found++;
          expect(fast.toHex()).toBe(slow?.octets.toHex());
        }
        if (slow?.keep) cache.put(octets, slow.octets, slow.keep, now);
      }
    }),
    { seed: 11, numRuns: 200 },
  );
  expect(found).toBeGreaterThan(2_000);
});

test('what decides about an answer keeps two of them apart', () => {
  const variants = [
    query({}),
    query({ recursionDesired: false }),
    query({ authenticData: true }),
    query({ checkingDisabled: true }),
    query({ edns: edns(1_232) }),
    query({ edns: edns(700) }),
    query({ edns: { ...edns(1_232), dnssecOk: true } }),
    query({ questions: [{ name: name('www.example.org'), type: Type.AAAA, class: 1 }] }),
    query({ questions: [{ name: name('www.example.com'), type: Type.A, class: 1 }] }),
  ];
  const cache = new WireCache({ limitOctets, seed: 1 });
  for (const [i, octets] of variants.entries()) {
    expect(ask(cache, octets, 0)).toBeUndefined();
    cache.put(octets, respond(octets, i), { seconds: 10, agedMs: undefined }, 0);
  }
  expect(variants.map((octets) => ask(cache, octets, 1)?.at(-1))).toEqual(variants.map((_, i) => i));
});

test('sizes that come to the same answer share it: 4096 is 1232, 100 is 512, and none is 512 without OPT', () => {
  const cache = new WireCache({ limitOctets, seed: 1 });
  const put = (octets: Uint8Array): void => {
    cache.put(octets, respond(octets, 1), { seconds: 10, agedMs: undefined }, 0);
  };
  put(query({ edns: edns(1_232) }));
  expect(ask(cache, query({ edns: edns(4_096) }), 0)).toBeDefined();
  expect(ask(cache, query({ edns: edns(1_231) }), 0)).toBeUndefined();
  put(query({ edns: edns(512) }));
  expect(ask(cache, query({ edns: edns(100) }), 0)).toBeDefined();
  expect(ask(cache, query({}), 0)).toBeUndefined();
});

test('a query that says more than a question is never found, and never kept', () => {
  const plain = query({ edns: edns(1_232) });
  const odd = [
    query({ edns: { ...edns(1_232), options: [{ code: 10, data: new Uint8Array(8) }] } }),
    query({ edns: { ...edns(1_232), version: 1 } }),
    query({ opcode: 4 }),
    query({ response: true }),
    query({ truncated: true }),
    query({ authoritative: true }),
    query({ recursionAvailable: true }),
    plain.with(3, 0x40),
    plain.with(plain.length - 3, 0x01), // A flag of EDNS that is not DO.
    plain.with(4, 1),
    plain.with(7, 1),
    plain.with(10, 1),
    concatOctets(plain, new Uint8Array(1)),
    plain.subarray(0, plain.length - 1),
    plain.subarray(0, 11),
    new Uint8Array(0),
  ];
  const cache = new WireCache({ limitOctets, seed: 1 });
  cache.put(plain, respond(plain, 1), { seconds: 10, agedMs: undefined }, 0);
  for (const octets of odd) {
    cache.put(octets, respond(plain, 2), { seconds: 10, agedMs: undefined }, 0);
    expect(ask(cache, octets, 0)).toBeUndefined();
  }
  expect(cache.size).toBe(1);
});

test('an answer goes with its lowest TTL, or when it was to go, and TTL 0 never stays', () => {
  const octets = query({});
  const last = (ttls: readonly number[], keep: Keep): number => {
    const cache = new WireCache({ limitOctets, seed: 1 });
    cache.put(octets, respond(octets, 1, ttls), keep, 0);
    let at = -1;
    while (at < 20_000 && ask(cache, octets, at + 1) !== undefined) at++;
    return at;
  };
  expect(last([300, 3], { seconds: 100, agedMs: 0 })).toBe(2_999);
  expect(last([300, 3], { seconds: 100, agedMs: 400 })).toBe(2_599);
  expect(last([300, 3], { seconds: 2, agedMs: 0 })).toBe(1_999);
  expect(last([300], { seconds: 7, agedMs: undefined })).toBe(6_999);
  expect(last([300, 0], { seconds: 100, agedMs: 0 })).toBe(-1);
  expect(last([300, 0], { seconds: 100, agedMs: undefined })).toBe(-1);
  expect(last([], { seconds: 1, agedMs: 0 })).toBe(999);
});

test('what was stored first goes first, and memory stays what it was', () => {
  const cache = new WireCache({ limitOctets, entries: 64, octets: 1 << 18, seed: 1 });
  const queries = Array.from({ length: 1_000 }, (_, i) =>
    query({ questions: [{ name: name(`n${i}.example.org`), type: Type.A, class: 1 }] }),
  );
  for (const [i, octets] of queries.entries())
    cache.put(octets, respond(octets, i & 0xff), { seconds: 9, agedMs: 0 }, 0);
  expect(cache.size).toBe(64);
  const known = queries.map((octets) => ask(cache, octets, 0) !== undefined);
  expect(known.indexOf(true)).toBe(936);
  expect(known.lastIndexOf(false)).toBe(935);

  // Large answers fill the octets before the entries are used up.
  const large = new WireCache({ limitOctets, entries: 1_024, octets: 1 << 18, seed: 1 });
  for (const octets of queries)
    large.put(octets, respond(octets, 1, Array<number>(60).fill(9)), { seconds: 9, agedMs: 0 }, 0);
  expect(large.size).toBeLessThan(230);
  expect(large.size).toBeGreaterThan(150);
  const still = queries.filter((octets) => ask(large, octets, 0) !== undefined);
  expect(still).toEqual(queries.slice(-large.size));
});

test('what was pushed out is not found again, whatever octets lie in its place now', () => {
  const keep: Keep = { seconds: 1_000, agedMs: undefined };
  const asked = (text: string): Uint8Array =>
    query({ questions: [{ name: name(text), type: Type.A, class: 1 }] });
  // Its question has 20 octets, so that of as many shifts of copies in a row one stands where it stood.
  const victim = asked('victim.example');
  const question = victim.subarray(12);
  expect(question).toHaveLength(20);
  for (let shift = 0; shift < question.length; shift++) {
    const cache = new WireCache({ limitOctets: 60_000, entries: 64, octets: 1 << 18, seed: 3 });
    cache.put(asked('first.example'), respond(asked('first.example'), 1), keep, 0);
    cache.put(victim, respond(victim, 1), keep, 0);
    expect(ask(cache, victim, 1)).toBeDefined();
    for (const [i, text] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      const other = asked(`${text}.example`);
      // The last one lies where the first two were, and is full of the victim's question.
      const copies = concatOctets(new Uint8Array(shift), ...Array.from({ length: 2_500 }, () => question));
      const owner = name(`${text}.example`);
      const answer = {
        owner,
        type: 999,
        class: 1,
        ttl: 300,
        rdata: i === 4 ? copies : new Uint8Array(59_900),
      };
      const response = queryMessage({
        response: true,
        questions: [{ name: owner, type: Type.A, class: 1 }],
        answer: [answer],
      });
      cache.put(other, encodeMessage(response), keep, 0);
    }
    expect(ask(cache, victim, 1)).toBeUndefined();
  }
});

test('a newer answer takes the place of the older, and after clear() there is none', () => {
  const cache = new WireCache({ limitOctets, seed: 1 });
  const octets = query({});
  for (const i of [1, 2, 3]) cache.put(octets, respond(octets, i), { seconds: 9, agedMs: 0 }, 0);
  expect(ask(cache, octets, 0)?.at(-1)).toBe(3);
  cache.clear();
  expect([cache.size, ask(cache, octets, 0)]).toEqual([0, undefined]);
  cache.put(octets, respond(octets, 4), { seconds: 9, agedMs: 0 }, 0);
  expect(ask(cache, octets, 0)?.at(-1)).toBe(4);
});

test('octets of any kind are looked up and kept without an exception', () => {
  const cache = new WireCache({ limitOctets, entries: 64, octets: 1 << 18, seed: 1 });
  const base = query({ edns: edns(1_232) });
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 1_500 }),
    fc
      .tuple(fc.nat(base.length - 1), fc.nat(255), fc.nat(base.length))
      .map(([at, octet, end]) => base.with(at, octet).subarray(0, end)),
  );
  fc.assert(
    fc.property(hostile, hostile, (octets, answer) => {
      ask(cache, octets, 0);
      cache.put(octets, answer, { seconds: 10, agedMs: 0 }, 0);
      ask(cache, octets, 1);
    }),
    { seed: 5, numRuns: 3_000 },
  );
});

/** The answer from the cache; its octets lie among others, as those of a datagram do. */
function ask(cache: WireCache, octets: Uint8Array, now: number): Uint8Array | undefined {
  const at = 8;
  const input = concatOctets(new Uint8Array(at).fill(0xee), octets, new Uint8Array(4).fill(0xee));
  const out = new Uint8Array(2_048).fill(0xaa);
  const length = cache.answer(input, at, octets.length, out, new Int32Array(out.buffer), 64, now);
  return length === 0 ? undefined : out.slice(64, 64 + length);
}

/** A response of the question of `octets` with one record per TTL; its last octet is `mark`. */
function respond(octets: Uint8Array, mark: number, ttls: readonly number[] = [300]): Uint8Array {
  const decoded = decodeQuery(octets);
  if (decoded.kind !== 'query') throw new Error(decoded.kind);
  const { question } = decoded.query;
  const message = queryMessage({
    response: true,
    questions: [question],
    answer: ttls.map((ttl) => ({ owner: question.name, type: 1, class: 1, ttl, rdata: fromHex('c0000200') })),
  });
  const whole = encodeMessage(message);
  return ttls.length === 0 ? whole : whole.with(whole.length - 1, mark);
}

/** What a zone of the test says; the TTLs of each name have been counting since another moment. */
const zone = new Map<NameKey, { readonly set: RRset; readonly since: number; readonly keep: boolean }>();
for (const [i, text] of ['www.example.org', 'a.example.org', 'example.org', '.', 'big.example'].entries()) {
  const owner = name(text);
  const rdatas = Array.from({ length: text === 'big.example' ? 50 : 2 }, (_, n) =>
    fromHex('c00002').with(2, n),
  );
  zone.set(owner, {
    since: -130 * i,
    keep: i !== 1,
    set: {
      owner,
      type: Type.TXT,
      class: 1,
      ttl: [4, 9, 30, 1, 60][i] ?? 0,
      rdatas,
      signatures: [concatOctets(fromHex('0010080300000e10'), new Uint8Array(10), octetsOfName(owner))],
    },
  });
}

/** The slow way: decode, look up with the TTLs as they are, encode. */
function madeAnew(
  octets: Uint8Array,
  now: number,
): { readonly octets: Uint8Array; readonly keep?: Keep } | undefined {
  const decoded = decodeQuery(octets);
  if (decoded.kind === 'drop') return undefined;
  if (decoded.kind === 'error') return { octets: decoded.octets };
  const { query } = decoded;
  const known = zone.get(query.question.name);
  if (!known) return { octets: encodeAnswer(query, resolved([], Rcode.NXDOMAIN), { limitOctets }) };
  // The resolver's cache would ask again at the end; here it only starts over.
  const lifeMs = 1_000 * known.set.ttl;
  const agedMs = (now - known.since) % lifeMs;
  const set = { ...known.set, ttl: known.set.ttl - Math.floor(agedMs / 1_000) };
  return {
    octets: encodeAnswer(query, resolved([set], Rcode.NOERROR), { limitOctets }),
    ...(known.keep ? { keep: { seconds: 10_000, agedMs: agedMs % 1_000 } } : {}),
  };
}

function resolved(answer: readonly RRset[], rcode: number): Resolution {
  return {
    rcode,
    answer,
    authority: [],
    verdict: { status: 'secure', data: answer as Secure<readonly RRset[]> },
    ede: undefined,
    fromCache: false,
    tookMs: 1,
    chain: [],
  };
}

/** Mostly what clients send, sometimes what none does. */
const anyQuery: fc.Arbitrary<Uint8Array> = fc
  .record({
    id: fc.nat(0xffff),
    name: seldom(name('nowhere.example'), ...zone.keys()),
    upper: fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
    type: seldom<number>(Type.ANY, Type.TXT),
    rd: seldom(false, true),
    ad: seldom(true, false),
    cd: seldom(true, false),
    edns: fc.option(
      fc.record({
        udpSize: fc.constantFrom(0, 512, 700, 1_232, 4_096),
        dnssecOk: fc.boolean(),
        version: seldom(1, 0),
        options: seldom([{ code: 3, data: new Uint8Array(0) }], []),
      }),
    ),
    flip: rarely(fc.tuple(fc.nat(60), fc.nat(255))),
    cut: rarely(fc.nat(60)),
  })
  .map((q) => {
    const octets = encodeMessage(
      queryMessage({
        id: q.id,
        recursionDesired: q.rd,
        authenticData: q.ad,
        checkingDisabled: q.cd,
        questions: [{ name: q.name, type: q.type, class: 1 }],
        ...(q.edns ? { edns: q.edns } : {}),
      }),
    ).map((o, i) => (i > 12 && o >= 0x61 && o <= 0x7a && q.upper[i % 20] === true ? o - 0x20 : o));
    const flipped = q.flip === null ? octets : octets.with(q.flip[0] % octets.length, q.flip[1]);
    return q.cut === null ? flipped : flipped.subarray(0, q.cut);
  });

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.oneof({ weight: 1, arbitrary }, { weight: 19, arbitrary: fc.constant(null) });
}

function seldom<T>(one: T, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(one) },
    { weight: 9, arbitrary: fc.constantFrom(...others) },
  );
}

function query(changes: Partial<Message>): Uint8Array {
  return encodeMessage(
    queryMessage({
      id: 7,
      questions: [{ name: name('www.example.org'), type: Type.A, class: 1 }],
      ...changes,
    }),
  );
}

function edns(udpSize: number): NonNullable<Message['edns']> {
  return { version: 0, udpSize, dnssecOk: false, options: [] };
}

function name(text: string): NameKey {
  const found = nameOf(text);
  if (found === undefined) throw new Error(`no name: ${text}`);
  return found;
}
