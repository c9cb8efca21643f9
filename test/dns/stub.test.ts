import dnsPacket from 'dns-packet';
import { expect, test } from 'vitest';
import type { Secure } from '../../src/dns/dnssec/verdict.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { nameOf, octetsOfName, rootName, type NameKey } from '../../src/dns/name.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { decodeQuery, encodeAnswer, encodeRefusal, type ClientQuery } from '../../src/dns/stub.ts';
import { Ede, EdnsOption, Rcode, Type } from '../../src/dns/types.ts';
import { concatOctets, fromHex, toLatin1 } from '../../src/wire/octets.ts';
import { queryMessage } from './query.ts';

const limits = { limitOctets: 1_232 };
const edns = { version: 0, udpSize: 1_232, dnssecOk: false, options: [] };

test('AD is set where the data is secure and the client has AD or DO (RFC 6840 §5.7, §5.8)', () => {
  const rows: [string, boolean, boolean, boolean][] = [];
  for (const status of ['secure', 'insecure', 'indeterminate', 'bogus'] as const) {
    for (const ad of [false, true]) {
      for (const dnssecOk of [false, true]) {
        for (const checkingDisabled of [false, true]) {
          const query = asked({ authenticData: ad, checkingDisabled, edns: { ...edns, dnssecOk } });
          const answer = read(encodeAnswer(query, resolved([addresses], status), limits));
          expect(answer.checkingDisabled).toBe(checkingDisabled);
          expect(answer.edns?.dnssecOk).toBe(dnssecOk);
          if (answer.authenticData) rows.push([status, ad, dnssecOk, checkingDisabled]);
        }
      }
    }
  }
  expect(rows).toEqual([
    ['secure', false, true, false],
    ['secure', false, true, true],
    ['secure', true, false, false],
    ['secure', true, false, true],
    ['secure', true, true, false],
    ['secure', true, true, true],
  ]);
});

test('signatures come only with DO (RFC 4035 §3.2.1)', () => {
  const types = (dnssecOk: boolean): number[] =>
    read(encodeAnswer(asked({ edns: { ...edns, dnssecOk } }), resolved([addresses]), limits)).answer.map(
      (r) => r.type,
    );
  expect(types(false)).toEqual([Type.A, Type.A]);
  expect(types(true)).toEqual([Type.A, Type.A, Type.RRSIG]);
});

test('a negative answer has its SOA, and its proofs only with DO', () => {
  const types = (dnssecOk: boolean): number[] =>
    read(encodeAnswer(asked({ edns: { ...edns, dnssecOk } }), negative, limits)).authority.map((r) => r.type);
  expect(types(false)).toEqual([Type.SOA]);
  expect(types(true)).toEqual([Type.SOA, Type.RRSIG, Type.NSEC, Type.RRSIG]);
  expect(read(encodeAnswer(asked({}), negative, limits)).rcode).toBe(Rcode.NXDOMAIN);
});

test('who asks for NSEC or RRSIG by type gets them without DO', () => {
  const rrsig: RRset = { ...addresses, type: Type.RRSIG, rdatas: addresses.signatures, signatures: [] };
  for (const set of [nsec, rrsig]) {
    const answer = (type: number): number[] =>
      read(
        encodeAnswer(asked({ questions: [{ name: www, type, class: 1 }] }), resolved([set]), limits),
      ).answer.map((r) => r.type);
    expect(answer(set.type)).toEqual([set.type]);
    expect(answer(Type.ANY)).toEqual([set.type]);
    expect(answer(Type.A)).toEqual([]);
  }
});

test('the question is echoed in the client’s case, and the flags are a recursive server’s', () => {
  const octets = encodeMessage(query({ recursionDesired: true }));
  const mixed = octets.map((o) => (o === 0x77 ? 0x57 : o)); // www → WWW
  const decoded = decodeQuery(mixed);
  if (decoded.kind !== 'query') throw new Error(decoded.kind);
  expect(decoded.query.question.name).toBe(www);
  const answer = encodeAnswer(decoded.query, resolved([addresses]), limits);
  expect(answer.subarray(12, 12 + 21)).toEqual(mixed.subarray(12, 12 + 21));
  expect(read(answer)).toMatchObject({
    id: 7,
    response: true,
    authoritative: false,
    recursionDesired: true,
    recursionAvailable: true,
    truncated: false,
    rcode: 0,
  });
  // Owners are pointers to the question.
  expect(answer.length).toBe(12 + 21 + 2 * 16);
});

test('without EDNS in the query there is none in the answer', () => {
  const refused = encodeRefusal(asked({}), Rcode.SERVFAIL, { code: Ede.BLOCKED, text: 'no' }, limits);
  expect(read(refused).edns).toBeUndefined();
  expect(read(refused).rcode).toBe(Rcode.SERVFAIL);
});

test('why something failed goes into an Extended DNS Error (RFC 8914)', () => {
  const refused = encodeRefusal(
    asked({ edns }),
    Rcode.SERVFAIL,
    { code: Ede.BLOCKED, text: 'kein Schlüssel' },
    limits,
  );
  const [option] = read(refused).edns?.options ?? [];
  expect(option?.code).toBe(EdnsOption.EDE);
  expect(option?.data).toEqual(
    concatOctets(new Uint8Array([0, 15]), new TextEncoder().encode('kein Schlüssel')),
  );
  expect(
    read(encodeAnswer(asked({ edns }), { ...negative, ede: { code: 6, text: 'x' } }, limits)).edns?.options,
  ).toEqual([{ code: EdnsOption.EDE, data: new Uint8Array([0, 6, 0x78]) }]);
  const long = encodeRefusal(asked({ edns }), Rcode.SERVFAIL, { code: 0, text: 'ü'.repeat(5_000) }, limits);
  expect(long.length).toBeLessThan(512);
});

test('no TTL is longer than the limit', () => {
  const answer = encodeAnswer(asked({ edns: { ...edns, dnssecOk: true } }), resolved([addresses]), {
    ...limits,
    ttlLimit: 60,
  });
  expect(read(answer).answer.map((r) => r.ttl)).toEqual([60, 60, 60]);
  expect(read(encodeAnswer(asked({}), resolved([addresses]), limits)).answer[0]?.ttl).toBe(300);
});

test.each([
  ['no EDNS', undefined, 1_232, 512],
  ['EDNS that takes less than 512', 100, 1_232, 512],
  ['EDNS that takes 900', 900, 1_232, 900],
  ['EDNS that takes more than we send', 4_096, 1_232, 1_232],
  ['TCP', 900, 65_535, 65_535],
  ['TCP without EDNS', undefined, 65_535, 65_535],
])(
  'an answer over UDP fits the client, or says TC and has what fits: %s',
  (_, udpSize, limitOctets, room) => {
    const client = asked(udpSize === undefined ? {} : { edns: { ...edns, udpSize } });
    for (const count of [1, 25, 28, 29, 53, 54, 73, 74, 75, 76, 77, 500]) {
      const octets = encodeAnswer(client, resolved([many(count)]), { limitOctets });
      const answer = read(octets);
      const whole = 12 + 21 + 16 * count + (udpSize === undefined ? 0 : 11);
      expect(octets.length).toBeLessThanOrEqual(room);
      expect(answer.truncated).toBe(whole > room);
      const opt = udpSize === undefined ? 0 : 11;
      expect(answer.answer).toHaveLength(Math.min(count, Math.floor((room - 33 - opt) / 16)));
      expect(answer.answer[0]?.rdata).toEqual(new Uint8Array([10, 0, 0, 0]));
      expect(answer.edns === undefined).toBe(udpSize === undefined);
    }
  },
);

test('a client with DO is never given a part of an RRset', () => {
  const client = asked({ edns: { ...edns, dnssecOk: true } });
  const answer = read(encodeAnswer(client, resolved([many(100)], 'secure'), limits));
  expect(answer).toMatchObject({
    truncated: true,
    answer: [],
    authenticData: false,
    edns: { dnssecOk: true },
  });
});

test('whoever asks over TCP how long it may stay is told, over UDP nobody is (RFC 7828 §3.3)', () => {
  const asking = { ...edns, options: [{ code: EdnsOption.TCP_KEEPALIVE, data: new Uint8Array(0) }] };
  const options = (client: ClientQuery, limitOctets: number) =>
    read(encodeAnswer(client, resolved([addresses]), { limitOctets })).edns?.options;
  expect(options(asked({ edns: asking }), 65_535)).toEqual([
    { code: EdnsOption.TCP_KEEPALIVE, data: new Uint8Array([0, 100]) },
  ]);
  expect(options(asked({ edns: asking }), 1_232)).toEqual([]);
  expect(options(asked({ edns }), 65_535)).toEqual([]);
});

test('cookies, client subnets and options that nobody knows change nothing (RFC 6891 §6.1.2)', () => {
  const data = new Uint8Array(8);
  const options = [10, 8, 3, 65_001].map((code) => ({ code, data }));
  const answer = read(encodeAnswer(asked({ edns: { ...edns, options } }), resolved([addresses]), limits));
  expect(answer).toMatchObject({ rcode: Rcode.NOERROR, edns: { options: [] } });
  expect(answer.answer).toHaveLength(2);
});

test('a second OPT record is FORMERR (RFC 6891 §6.1.1), one with options without number is read as far as needed', () => {
  const whole = encodeMessage(query({ edns }));
  const twice = concatOctets(whole.with(11, 2), whole.subarray(whole.length - 11));
  const decoded = decodeQuery(twice);
  if (decoded.kind !== 'error') throw new Error(decoded.kind);
  expect(read(decoded.octets).rcode).toBe(Rcode.FORMERR);
  const options = Array.from({ length: 5_000 }, () => ({ code: 65_001, data: new Uint8Array(0) }));
  expect(decodeQuery(encodeMessage(query({ edns: { ...edns, options } }))).kind).toBe('query');
});

test('the text of an Extended DNS Error gives way before the answer does', () => {
  const ede = { code: 4, text: 'x'.repeat(200) };
  const octets = encodeAnswer(
    asked({ edns: { ...edns, udpSize: 512 } }),
    { ...resolved([many(25)]), ede },
    limits,
  );
  expect(read(octets)).toMatchObject({
    truncated: false,
    edns: { options: [{ code: EdnsOption.EDE, data: new Uint8Array([0, 4]) }] },
  });
  expect(read(octets).answer).toHaveLength(25);
});

test('dns-packet reads our answers', () => {
  const octets = encodeAnswer(asked({ edns }), resolved([alias, { ...addresses, owner: host }]), limits);
  expect(dnsPacket.decode(Buffer.from(octets)).answers).toMatchObject([
    { name: 'www.example.org', type: 'CNAME', data: 'host.example.org' },
    { name: 'host.example.org', type: 'A', data: '192.0.2.1' },
    { name: 'host.example.org', type: 'A', data: '192.0.2.2' },
  ]);
});

test('what cannot or must not be answered is dropped', () => {
  expect(decodeQuery(new Uint8Array(0))).toEqual({ kind: 'drop' });
  expect(decodeQuery(new Uint8Array(11))).toEqual({ kind: 'drop' });
  expect(decodeQuery(encodeMessage(query({ response: true })))).toEqual({ kind: 'drop' });
});

test.each([
  ['an opcode other than QUERY', query({ opcode: 5 }), Rcode.NOTIMP],
  ['no question', query({ questions: [] }), Rcode.FORMERR],
  ['two questions', query({ questions: [question(Type.A), question(Type.AAAA)] }), Rcode.FORMERR],
  [
    'an answer in a query',
    query({ answer: [{ owner: rootName, type: 1, class: 1, ttl: 0, rdata: new Uint8Array(4) }] }),
    Rcode.FORMERR,
  ],
  ['EDNS version 1', query({ edns: { ...edns, version: 1 } }), Rcode.BADVERS],
  ['a zone transfer', query({ questions: [question(Type.AXFR)] }), Rcode.NOTIMP],
  ['a question for OPT', query({ questions: [question(Type.OPT)] }), Rcode.NOTIMP],
  ['a question for NXNAME (RFC 9824 §3.5)', query({ questions: [question(128)] }), Rcode.FORMERR],
  ['class CH', query({ questions: [{ ...question(Type.TXT), class: 3 }] }), Rcode.NOTIMP],
])('%s is answered with an error at once', (_, message, rcode) => {
  const decoded = decodeQuery(encodeMessage(message));
  if (decoded.kind !== 'error') throw new Error(decoded.kind);
  expect(read(decoded.octets)).toMatchObject({
    id: 7,
    response: true,
    recursionAvailable: true,
    opcode: message.opcode,
    rcode,
  });
  expect(decoded.octets.length).toBeLessThanOrEqual(encodeMessage(message).length);
});

test('a query that breaks off, has a pointer in its name or octets behind it is FORMERR', () => {
  const whole = encodeMessage(query({}));
  const pointer = concatOctets(whole.subarray(0, 12), fromHex('c00400010001'));
  for (const octets of [
    ...Array.from({ length: whole.length - 12 }, (_, i) => whole.subarray(0, 12 + i)),
    pointer,
    concatOctets(whole, new Uint8Array(1)),
  ]) {
    const decoded = decodeQuery(octets);
    if (decoded.kind !== 'error') throw new Error(decoded.kind);
    expect(read(decoded.octets)).toMatchObject({ id: 7, rcode: Rcode.FORMERR, questions: [] });
  }
});

test('THREATS B: a query with more records than queries have is FORMERR, and none of them is read', () => {
  const whole = encodeMessage(query({}));
  // The counts say so; what they count is not even there.
  for (const at of [4, 6, 8, 10]) {
    const decoded = decodeQuery(whole.with(at, 0x15));
    if (decoded.kind !== 'error') throw new Error(decoded.kind);
    expect(read(decoded.octets)).toMatchObject({ id: 7, rcode: Rcode.FORMERR });
  }
  const records = Array.from({ length: 9 }, () => ({
    owner: name('a.example'),
    type: Type.A,
    class: 1,
    ttl: 0,
    rdata: new Uint8Array(4),
  }));
  expect(decodeQuery(encodeMessage(query({ additional: records.slice(0, 7) }))).kind).toBe('query');
  expect(decodeQuery(encodeMessage(query({ additional: records }))).kind).toBe('error');
});

test('octets from one of Node’s Buffers are not shared', () => {
  const octets = Buffer.from(encodeMessage(query({})));
  const decoded = decodeQuery(octets);
  if (decoded.kind !== 'query') throw new Error(decoded.kind);
  octets.fill(0xff);
  expect(toLatin1(decoded.query.questionOctets)).toBe(`${www}\0\u0001\0\u0001`);
});

const www = name('www.example.org');
const host = name('host.example.org');
const zone = name('example.org');
const signature = concatOctets(
  fromHex('0001080300000e10'),
  new Uint8Array(10),
  octetsOfName(zone),
  new Uint8Array(64),
);

const addresses: RRset = {
  owner: www,
  type: Type.A,
  class: 1,
  ttl: 300,
  rdatas: [fromHex('c0000201'), fromHex('c0000202')],
  signatures: [signature],
};
const alias: RRset = { ...addresses, type: Type.CNAME, rdatas: [octetsOfName(host)], signatures: [] };
const nsec: RRset = {
  ...addresses,
  type: Type.NSEC,
  rdatas: [concatOctets(octetsOfName(host), fromHex('000140'))],
};
const soa: RRset = {
  ...addresses,
  owner: zone,
  type: Type.SOA,
  rdatas: [concatOctets(octetsOfName(host), octetsOfName(host), new Uint8Array(20))],
};
const negative: Resolution = { ...resolved([]), rcode: Rcode.NXDOMAIN, authority: [soa, nsec] };

function many(count: number): RRset {
  const rdatas = Array.from({ length: count }, (_, i) => new Uint8Array([10, 0, i >> 8, i & 0xff]));
  return { ...addresses, rdatas, signatures: [] };
}

function resolved(
  answer: readonly RRset[],
  status: 'secure' | 'insecure' | 'bogus' | 'indeterminate' = 'insecure',
): Resolution {
  const verdicts = {
    secure: { status: 'secure', data: answer as Secure<readonly RRset[]> },
    insecure: { status: 'insecure', data: answer, from: 'org' },
    bogus: { status: 'bogus', ede: Ede.DNSSEC_BOGUS, why: 'the signature is wrong' },
    indeterminate: { status: 'indeterminate', ede: Ede.DNSSEC_INDETERMINATE, why: 'there is no anchor' },
  } as const;
  return {
    rcode: Rcode.NOERROR,
    answer,
    authority: [],
    verdict: verdicts[status],
    ede: undefined,
    fromCache: false,
    tookMs: 1,
    chain: [],
  };
}

function question(type: number): Message['questions'][number] {
  return { name: name('www.example.org'), type, class: 1 };
}

function query(changes: Partial<Message>): Message {
  return queryMessage({ id: 7, questions: [question(Type.A)], ...changes });
}

function asked(changes: Partial<Message>): ClientQuery {
  const decoded = decodeQuery(encodeMessage(query(changes)));
  if (decoded.kind !== 'query') throw new Error(decoded.kind);
  return decoded.query;
}

function read(octets: Uint8Array): Message {
  const message = decodeMessage(octets);
  if (!message.ok) throw message.error;
  return message.value;
}

function name(text: string): NameKey {
  const found = nameOf(text);
  if (found === undefined) throw new Error(`no name: ${text}`);
  return found;
}
