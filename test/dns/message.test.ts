import dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalRdata, canonicalRdatas } from '../../src/dns/canonical.ts';
import {
  decodeMessage,
  encodeMessage,
  rrsetsOf,
  type Message,
  type ResourceRecord,
} from '../../src/dns/message.ts';
import { nameOf, octetsOfName, rootName, type NameKey } from '../../src/dns/name.ts';
import { Type } from '../../src/dns/types.ts';
import { concatOctets, fromHex, fromLatin1 } from '../../src/wire/octets.ts';
import { anyMessage } from './generated.ts';
import { queryMessage } from './query.ts';

test('what is written is read back the same', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      expect(decodeMessage(encodeMessage(message))).toEqual({ ok: true, value: message });
    }),
    { numRuns: 300 },
  );
});

test('every beginning of a message is an error, never an exception', () => {
  fc.assert(
    fc.property(anyMessage, (message) => {
      const octets = encodeMessage(message);
      for (let length = 0; length < octets.length; length++) {
        expect(decodeMessage(octets.subarray(0, length)).ok).toBe(false);
      }
    }),
    { numRuns: 50 },
  );
});

test('100 000 messages with damaged octets give a value or a WireError', () => {
  let errors = 0;
  fc.assert(
    fc.property(anyMessage, fc.infiniteStream(fc.nat()), (message, numbers) => {
      const octets = encodeMessage(message);
      for (let i = 0; i < 1_000; i++) {
        const damaged = octets.slice();
        for (let flips = 1 + (next(numbers) % 3); flips > 0; flips--) {
          const bit = next(numbers) % (octets.length * 8);
          damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        }
        if (!decodeMessage(damaged).ok) errors++;
      }
    }),
    { numRuns: 100 },
  );
  expect(errors).toBeGreaterThan(1_000);
});

test('dns-packet reads what we write', () => {
  const answer = [
    record('www.example.org', Type.CNAME, octetsOfName(name('host.example.org'))),
    record('host.example.org', Type.A, new Uint8Array([192, 0, 2, 1])),
    record(
      'example.org',
      Type.MX,
      concatOctets(new Uint8Array([0, 10]), octetsOfName(name('mail.example.org'))),
    ),
    record(
      '_sip._udp.example.org',
      Type.SRV,
      concatOctets(fromHex('00010002 13c4'.replaceAll(' ', '')), octetsOfName(name('host.example.org'))),
    ),
  ];
  const octets = encodeMessage({
    ...query('www.example.org', Type.ANY),
    response: true,
    authenticData: true,
    answer,
    edns: { version: 0, udpSize: 1_232, dnssecOk: true, options: [] },
  });
  const read = dnsPacket.decode(Buffer.from(octets));
  expect(read.questions).toEqual([{ name: 'www.example.org', type: 'ANY', class: 'IN' }]);
  expect(read.flag_ad).toBe(true);
  expect(read.answers?.map((a) => [a.name, a.type, 'data' in a ? a.data : undefined])).toEqual([
    ['www.example.org', 'CNAME', 'host.example.org'],
    ['host.example.org', 'A', '192.0.2.1'],
    ['example.org', 'MX', { preference: 10, exchange: 'mail.example.org' }],
    ['_sip._udp.example.org', 'SRV', { priority: 1, weight: 2, port: 5060, target: 'host.example.org' }],
  ]);
  expect(read.additionals).toMatchObject([{ type: 'OPT', udpPayloadSize: 1_232, flag_do: true }]);
  // Owners and the targets of RFC 1035's types are pointers, SRV's target is not (RFC 2782).
  expect(occurrences(octets, 'example')).toBe(2);
});

test('we read what dns-packet writes', () => {
  const octets = dnsPacket.encode({
    type: 'response',
    id: 4_711,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions: [{ type: 'A', name: 'a.example' }],
    answers: [
      { type: 'A', name: 'a.example', ttl: 60, data: '192.0.2.7' },
      { type: 'TXT', name: 'a.example', ttl: 60, data: ['x', 'y'] },
    ],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 4_096,
        flags: dnsPacket.DNSSEC_OK,
        options: [],
        extendedRcode: 0,
        ednsVersion: 0,
        flag_do: true,
      },
    ],
  });
  const message = value(octets);
  expect(message).toMatchObject({
    id: 4_711,
    response: true,
    recursionDesired: true,
    recursionAvailable: true,
    rcode: 0,
  });
  expect(message.answer).toEqual([
    { owner: name('a.example'), type: Type.A, class: 1, ttl: 60, rdata: new Uint8Array([192, 0, 2, 7]) },
    { owner: name('a.example'), type: Type.TXT, class: 1, ttl: 60, rdata: fromLatin1('\u0001x\u0001y') },
  ]);
  expect(message.edns).toEqual({ version: 0, udpSize: 4_096, dnssecOk: true, options: [] });
});

test.each([
  ['NS', 2, ''],
  ['MX', 15, '000a'],
  ['SRV', 33, '000100020003'],
  ['AFSDB', 18, '0001'],
  ['DNAME', 39, ''],
  ['NAPTR', 35, '0001000201610162 0163'.replaceAll(' ', '')],
])('a compressed name in %s is expanded (RFC 3597 §4) and keeps its case', (_, type, before) => {
  const message = value(answerOctets(type, `${before}c00c`));
  expect(message.answer[0]?.rdata).toEqual(concatOctets(fromHex(before), fromLatin1('\u0001A\u0001b\0')));
});

test.each([
  ['RRSIG', Type.RRSIG, '00'.repeat(18)],
  ['NSEC', Type.NSEC, ''],
  ['IPSECKEY', Type.IPSECKEY, '0a0302'],
  ['TYPE65534', 65_534, ''],
])('what looks like a pointer in %s stays as it is', (_, type, before) => {
  expect(value(answerOctets(type, `${before}c00c`)).answer[0]?.rdata).toEqual(fromHex(`${before}c00c`));
});

test.each([
  ['an octet behind the name of an NS', 2, 'c00c00'],
  ['an MX without a name', 15, '000a'],
  ['a SOA that ends early', 6, 'c00cc00c00000001'],
  ['an NS whose name goes on past RDLENGTH', 2, '0161'],
])('%s is an error', (_, type, rdata) => {
  expect(decodeMessage(answerOctets(type, rdata)).ok).toBe(false);
});

test('octets behind the last record are an error', () => {
  const octets = encodeMessage(query('a.example', Type.A));
  expect(decodeMessage(concatOctets(octets, new Uint8Array(1))).ok).toBe(false);
});

test('a TTL with the top bit set is 0 (RFC 2181 §8)', () => {
  expect(value(answerOctets(Type.A, 'c0000201', 0x8000_0000)).answer[0]?.ttl).toBe(0);
  expect(value(answerOctets(Type.A, 'c0000201', 0x7fff_ffff)).answer[0]?.ttl).toBe(0x7fff_ffff);
});

test('a second OPT, one outside the additional section and one below the root are errors (RFC 6891 §6.1.1)', () => {
  const head = '000001000000';
  const opt = '0000290200000000000000';
  expect(decodeMessage(fromHex(`${head}000000000001${opt}`)).ok).toBe(true);
  expect(decodeMessage(fromHex(`${head}000000000002${opt}${opt}`)).ok).toBe(false);
  expect(decodeMessage(fromHex(`${head}000100000000${opt}`)).ok).toBe(false);
  expect(decodeMessage(fromHex(`${head}0000000000010161${opt}`)).ok).toBe(false);
});

test('THREATS B: of a long list of EDNS options the first 32 are read', () => {
  const options = Array.from({ length: 5_000 }, (_, code) => ({ code, data: new Uint8Array(1) }));
  const edns = { version: 0, udpSize: 512, dnssecOk: false, options };
  const message = value(encodeMessage({ ...query('a.example', Type.A), edns }));
  expect(message.edns?.options).toHaveLength(32);
});

test('an RCODE above 15 needs EDNS', () => {
  const edns = { version: 0, udpSize: 512, dnssecOk: false, options: [] };
  expect(value(encodeMessage({ ...query('a.example', Type.A), rcode: 16, edns })).rcode).toBe(16);
  expect(() => encodeMessage({ ...query('a.example', Type.A), rcode: 16 })).toThrow(RangeError);
});

test('records are grouped into RRsets with their signatures, in order, without doubles, with the least TTL', () => {
  const signature = concatOctets(new Uint8Array([0, 1]), new Uint8Array(30));
  const other = concatOctets(new Uint8Array([0, 28]), new Uint8Array(30));
  const sets = rrsetsOf([
    record('b.example', Type.A, new Uint8Array([1, 1, 1, 1]), 300),
    record('b.example', Type.RRSIG, signature, 300),
    record('a.example', Type.A, new Uint8Array([2, 2, 2, 2]), 300),
    record('b.example', Type.A, new Uint8Array([3, 3, 3, 3]), 60),
    record('b.example', Type.A, new Uint8Array([1, 1, 1, 1]), 300),
    record('b.example', Type.RRSIG, signature, 300),
    record('b.example', Type.RRSIG, other, 300),
  ]);
  expect(sets).toEqual([
    {
      owner: name('b.example'),
      type: Type.A,
      class: 1,
      ttl: 60,
      rdatas: [new Uint8Array([1, 1, 1, 1]), new Uint8Array([3, 3, 3, 3])],
      signatures: [signature],
    },
    {
      owner: name('a.example'),
      type: Type.A,
      class: 1,
      ttl: 300,
      rdatas: [new Uint8Array([2, 2, 2, 2])],
      signatures: [],
    },
    // It covers nothing here: as in the answer to a question for RRSIG.
    { owner: name('b.example'), type: Type.RRSIG, class: 1, ttl: 300, rdatas: [other], signatures: [] },
  ]);
});

test('canonical RDATA folds names in the types of RFC 4034 §6.2, RRSIG’s signer too, NSEC’s and IPSECKEY’s not', () => {
  const upper = fromLatin1('\u0001A\u0001B\0');
  const lower = fromLatin1('\u0001a\u0001b\0');
  const within = (before: string, n: Uint8Array, after = ''): Uint8Array =>
    concatOctets(fromHex(before), n, fromHex(after));
  const cases: [number, string, string][] = [
    [Type.NS, '', ''],
    [Type.MX, '4141', ''],
    [Type.SRV, '414141414141', ''],
    [Type.NAPTR, '41414141014101410141', ''],
    [Type.RRSIG, '41'.repeat(18), '4141'],
    [Type.DNAME, '', ''],
  ];
  for (const [type, before, after] of cases) {
    expect(canonicalRdata(type, within(before, upper, after))).toEqual(within(before, lower, after));
  }
  const soa = concatOctets(upper, upper, fromHex('41'.repeat(20)));
  expect(canonicalRdata(Type.SOA, soa)).toEqual(concatOctets(lower, lower, fromHex('41'.repeat(20))));
  for (const type of [Type.NSEC, Type.IPSECKEY, Type.TXT, Type.SVCB, 65_534]) {
    expect(canonicalRdata(type, upper)).toEqual(upper);
  }
  // Not built as its type says.
  expect(canonicalRdata(Type.MX, fromHex('4141'))).toEqual(fromHex('4141'));
  expect(canonicalRdatas(Type.NS, [upper, fromLatin1('\u0001a\0'), lower])).toEqual([
    fromLatin1('\u0001a\0'),
    lower,
  ]);
});

function name(text: string): NameKey {
  return nameOf(text) ?? rootName;
}

function query(text: string, type: number): Message {
  return queryMessage({ id: 1, questions: [{ name: name(text), type, class: 1 }] });
}

function record(owner: string, type: number, rdata: Uint8Array, ttl = 300): ResourceRecord {
  return { owner: name(owner), type, class: 1, ttl, rdata };
}

/** A response to a question for `A.b` with one answer record, whose RDATA is hexadecimal. */
function answerOctets(type: number, rdata: string, ttl = 60): Uint8Array {
  const u16 = (n: number): string => n.toString(16).padStart(4, '0');
  return fromHex(
    `0001818000010001000000000141016200${u16(type)}0001` +
      `c00c${u16(type)}0001${ttl.toString(16).padStart(8, '0')}${u16(rdata.length / 2)}${rdata}`,
  );
}

function value(octets: Uint8Array): Message {
  const message = decodeMessage(octets);
  if (!message.ok) throw message.error;
  return message.value;
}

function next(numbers: { next(): IteratorResult<number> }): number {
  return Number(numbers.next().value);
}

function occurrences(octets: Uint8Array, text: string): number {
  return Buffer.from(octets).toString('latin1').split(text).length - 1;
}
