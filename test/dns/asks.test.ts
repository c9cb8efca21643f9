import { expect, test } from 'vitest';
import type { Exchange, FinderEffect, Server } from '../../src/dns/finder.ts';
import { Finders } from '../../src/dns/finders.ts';
import { decodeMessage, encodeMessage, type EdnsOptionData, type Message } from '../../src/dns/message.ts';
import { Class, EdnsOption, Rcode, Type } from '../../src/dns/types.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { instant, later, type Instant } from '../../src/time.ts';
import { concatOctets, sameOctets } from '../../src/wire/octets.ts';
import { countingRandom } from './forwarding.ts';
import { address, key, wire, withCaseOf } from './zone.ts';

const name = 'A-long-name-with-letters.example.org';
const serverCookie = Uint8Array.from({ length: 16 }, (_, i) => 200 + i);

test('the letters of a question over UDP have a random case, those of each question another', () => {
  const line = new Line(server('udp'));
  const seen = new Set<string>();
  for (let i = 0; i < 20; i++) {
    line.start();
    seen.add(line.questionText());
    line.answer();
    expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
  }
  expect([...new Set([...seen].map((s) => s.toLowerCase()))]).toEqual([name.toLowerCase()]);
  expect(seen.size).toBe(20);
});

test('a reply in another case is not taken: TCP tells whether it was a guess (draft-vixie-dnsext-dns0x20)', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { keepCase: false });
  expect(line.exchange?.reply).toBeUndefined();
  expect(line.transport).toBe('tcp');
  line.answer();
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
});

test('names in RDATA that point at the question come in small letters, whatever was sent (RFC 1035 §4.1.4)', () => {
  const line = new Line(server('udp'));
  line.start();
  const owner = key(name);
  const target = wire('ns.with-letters.example.org');
  const below = wire(`deeper.${name}`);
  const records = [
    { type: Type.CNAME, rdata: below },
    { type: Type.NS, rdata: wire(name) },
    { type: Type.MX, rdata: Uint8Array.from([0, 10, ...below]) },
    { type: Type.SOA, rdata: Uint8Array.from([...target, ...below, ...new Uint8Array(20)]) },
  ].map((r) => ({ ...r, owner, class: Class.IN, ttl: 60 }));
  expect(line.questionText()).not.toBe(name.toLowerCase());
  line.answer({ answer: records });
  const reply = line.exchange?.reply;
  if (reply?.kind !== 'message') throw new Error('no reply');
  expect(reply.message.answer).toEqual(records.map((r) => ({ ...r, rdata: r.rdata.map(smallLetter) })));
});

test('a server that changes the case, by the word of TCP, is asked over TCP from then on', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { keepCase: false });
  line.answer();
  line.start();
  expect(line.transport).toBe('tcp');
});

test('a server that changes the case and takes no TCP is asked in small letters', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { keepCase: false });
  expect(line.transport).toBe('tcp');
  line.fail('nothing listens there');
  expect([line.transport, line.questionText()]).toEqual(['udp', name.toLowerCase()]);
  line.answer({}, { keepCase: false });
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
  line.start();
  expect([line.transport, line.questionText()]).toEqual(['udp', name.toLowerCase()]);
});

test('a forged reply in the wrong case makes no server one that changes it', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { keepCase: false });
  line.fail('reset');
  line.start();
  // The failure of TCP was taken for the lack of it; the answers over UDP still have to fit in port and id.
  expect(line.transport).toBe('udp');
});

test('a server that changes the case is asked in a random case again after an hour', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { keepCase: false });
  line.fail('nothing listens there');
  line.answer({}, { keepCase: false });
  line.pass(3_590_000);
  line.start();
  expect([line.transport, line.questionText()]).toEqual(['udp', name.toLowerCase()]);
  line.answer({}, { keepCase: false });
  line.pass(20_000);
  line.start();
  expect(line.questionText()).not.toBe(name.toLowerCase());
  // It does still, and whether it takes TCP is found out anew as well.
  line.answer({}, { keepCase: false });
  expect(line.transport).toBe('tcp');
});

test.each([Rcode.FORMERR, Rcode.NOTIMP])(
  'a reply with rcode %i and without the question proves nothing of its letters: TCP tells',
  (rcode) => {
    const line = new Line(server('udp'));
    line.start();
    const refusal = { rcode, questions: [], answer: [] };
    line.answer(refusal, { keepCase: false });
    expect(line.exchange?.reply).toBeUndefined();
    expect(line.transport).toBe('tcp');
    line.answer();
    expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
    // Nothing is known against the server for that.
    line.start();
    expect(line.transport).toBe('udp');
    expect(line.questionText()).not.toBe(name.toLowerCase());
  },
);

test('a server that leaves out the question and takes no TCP is believed', () => {
  const line = new Line(server('udp'));
  line.start();
  const refusal = { rcode: Rcode.FORMERR, questions: [], answer: [] };
  line.answer(refusal, { keepCase: false });
  line.fail('nothing listens there');
  expect([line.transport, line.exchange?.reply]).toEqual(['udp', undefined]);
  line.answer(refusal, { keepCase: false });
  expect(line.exchange?.reply).toMatchObject({ kind: 'failure' });
});

test('each server gets a client cookie of its own, and its own cookie back (RFC 7873 §5.1, §5.3)', () => {
  const line = new Line(server('udp'));
  line.start();
  const first = line.cookie();
  expect(first).toHaveLength(8);
  line.answer({}, { cookie: concatOctets(first, serverCookie) });
  line.start();
  expect(line.cookie()).toEqual(concatOctets(first, serverCookie));
  const other = new Line(server('udp', '192.0.2.2'), line.finders);
  other.start();
  expect(other.cookie()).not.toEqual(first);
});

test('a reply with the cookie of somebody else is ignored (RFC 7873 §5.3)', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer(
    {},
    {
      cookie: concatOctets(
        line.cookie().map((o) => o ^ 1),
        serverCookie,
      ),
    },
  );
  expect(line.exchange?.reply).toBeUndefined();
  line.answer({}, { cookie: concatOctets(line.cookie(), serverCookie.subarray(0, 3)) });
  expect(line.exchange?.reply).toBeUndefined();
  line.answer({}, { cookie: concatOctets(line.cookie(), serverCookie) });
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
});

test('after BADCOOKIE the question goes out once more with the new cookie, then over TCP (RFC 7873 §5.3)', () => {
  const line = new Line(server('udp'));
  line.start();
  const client = line.cookie();
  line.answer({ rcode: Rcode.BADCOOKIE }, { cookie: concatOctets(client, serverCookie) });
  expect(line.cookie()).toEqual(concatOctets(client, serverCookie));
  line.answer({ rcode: Rcode.BADCOOKIE }, { cookie: concatOctets(client, serverCookie) });
  expect([line.transport, line.cookie()]).toEqual(['tcp', new Uint8Array()]);
  line.answer();
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
});

test('a reply without a cookie from a server that gave one is not taken without TCP', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({}, { cookie: concatOctets(line.cookie(), serverCookie) });
  for (let lapse = 0; lapse < 3; lapse++) {
    line.start();
    line.answer();
    expect(line.transport).toBe('tcp');
    line.answer();
    expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
  }
  // Three times it was true: some of the servers behind the address know no cookies.
  line.start();
  line.answer();
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
});

test('a server that gives our own option back knows no cookies, and is believed', () => {
  const line = new Line(server('udp'));
  for (let i = 0; i < 2; i++) {
    line.start();
    line.answer({}, { cookie: line.cookie() });
    expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
  }
});

test('a host with other addresses shows other cookies (RFC 9018 §3)', () => {
  const line = new Line(server('udp'));
  line.start();
  const client = line.cookie();
  line.answer({}, { cookie: concatOctets(client, serverCookie) });
  line.finders.moved(line.now, []);
  line.start();
  expect(line.cookie()).toHaveLength(8);
  expect(sameOctets(line.cookie(), client)).toBe(false);
});

test('over TLS and HTTPS queries are multiples of 128 octets, whatever the name (RFC 8467 §4.1)', () => {
  for (const transport of ['tls', 'https'] as const) {
    for (const text of ['a.example', name, `${'x'.repeat(60)}.${'y'.repeat(60)}.example.org`]) {
      const line = new Line(server(transport));
      line.start(text);
      expect(line.sent.octets.length % 128).toBe(0);
      expect(line.cookie()).toHaveLength(0);
    }
  }
});

test('over HTTPS every query has the id 0 (RFC 8484 §4.1)', () => {
  const line = new Line(server('https'));
  line.start();
  expect([...line.sent.octets.subarray(0, 2)]).toEqual([0, 0]);
});

test('over TCP and TLS the server is asked how long the connection may stand, and its word is handed on (RFC 7828)', () => {
  for (const transport of ['tcp', 'tls'] as const) {
    const line = new Line(server(transport));
    line.start();
    expect(line.option(EdnsOption.TCP_KEEPALIVE)).toEqual(new Uint8Array());
    line.answer({}, { keepalive: new Uint8Array([0x01, 0x2c]) });
    expect(line.released).toContainEqual({ kind: 'release', ask: line.sent.ask, keepMs: 30_000 });
  }
  const udp = new Line(server('udp'));
  udp.start();
  expect(udp.option(EdnsOption.TCP_KEEPALIVE)).toBeUndefined();
});

test('a reply that is truncated over TCP as well is a failure that says so', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({ truncated: true });
  expect(line.transport).toBe('tcp');
  line.answer({ truncated: true });
  expect(line.exchange?.reply).toMatchObject({
    kind: 'failure',
    why: '192.0.2.1:53 over TCP truncates its reply',
  });
});

test('THREATS B: a reply over TCP that cannot be read is a failure at once, and nobody waits for another', () => {
  const line = new Line(server('udp'));
  line.start();
  line.answer({ truncated: true });
  expect(line.transport).toBe('tcp');
  const record = { owner: key(name), type: Type.A, class: Class.IN, ttl: 60, rdata: address('192.0.2.80') };
  line.answer({ answer: Array.from({ length: 700 }, () => record) });
  expect(line.exchange?.reply).toMatchObject({
    kind: 'failure',
    why: '192.0.2.1:53 over TCP sends what cannot be read (702 records at octet 12)',
  });
});

test('a question that went over to TCP is not asked again elsewhere before TCP had its time', () => {
  const line = new Line(server('udp'), undefined, server('udp', '192.0.2.2'));
  line.start();
  line.answer({ truncated: true });
  const before = line.count;
  line.pass(2_000);
  expect(line.count).toBe(before);
  line.pass(1_100);
  expect(line.count).toBe(before + 1);
});

test('THREATS B: 40 options in a reply are no more than 32 to look at, and client subnet is none of them (RFC 7871)', () => {
  const line = new Line(server('udp'));
  line.start();
  const padding = Array.from({ length: 40 }, (_, i): EdnsOptionData => ({ code: 8, data: Uint8Array.of(i) }));
  line.answer({}, { options: [...padding, { code: EdnsOption.COOKIE, data: new Uint8Array(3) }] });
  expect(line.exchange?.reply).toMatchObject({ kind: 'message' });
});

test('THREATS B: no more than 4096 servers are remembered, those asked last', () => {
  const first = server('udp', '198.51.100.1');
  const line = new Line(first);
  line.start();
  line.answer({}, { cookie: concatOctets(line.cookie(), serverCookie) });
  for (let i = 0; i < 4096; i++) {
    const other = new Line(server('udp', `10.0.${i >> 8}.${i & 255}`), line.finders);
    other.start();
    other.answer();
  }
  expect(line.finders.stats['servers']).toBe(4096);
  const again = new Line(first, line.finders);
  again.start();
  expect(again.cookie()).toHaveLength(8);
});

/** One who asks one question after another, and the server. */
class Line {
  readonly finders: Finders;
  readonly released: FinderEffect[] = [];
  exchange: Exchange | undefined;
  count = 0;
  now: Instant = instant(5_000);
  #sent: Extract<FinderEffect, { kind: 'ask' }> | undefined;

  constructor(first: Server, finders?: Finders, ...more: Server[]) {
    this.finders = finders ?? new Finders({ upstreams: [first, ...more], random: countingRandom() });
    this.#first = finders ? first : undefined;
  }
  readonly #first: Server | undefined;

  /** The query that went out last. */
  get sent(): Extract<FinderEffect, { kind: 'ask' }> {
    if (!this.#sent) throw new Error('nothing was sent');
    return this.#sent;
  }

  get transport(): string {
    return this.sent.server.transport;
  }

  start(text = name): void {
    this.#perform((effects) => {
      if (this.#first) this.finders.use({ upstreams: [this.#first] }, this.now, effects);
      const question = { name: key(text), type: Type.A, class: Class.IN };
      this.exchange = this.finders.start(question, undefined, this.now, effects);
    });
  }

  /** The server answers the query that went out last. */
  answer(
    changes: Partial<Message> = {},
    how: {
      readonly keepCase?: boolean;
      readonly cookie?: Uint8Array;
      readonly keepalive?: Uint8Array;
      readonly options?: readonly EdnsOptionData[];
    } = {},
  ): void {
    const { ask, octets } = this.sent;
    const query = decodeMessage(octets);
    if (!query.ok) throw query.error;
    const options = [...(how.options ?? [])];
    if (how.cookie) options.push({ code: EdnsOption.COOKIE, data: how.cookie });
    if (how.keepalive) options.push({ code: EdnsOption.TCP_KEEPALIVE, data: how.keepalive });
    const owner = query.value.questions[0]?.name ?? key('.');
    const record = { owner, type: Type.A, class: Class.IN, ttl: 60, rdata: address('192.0.2.80') };
    const reply = encodeMessage({
      ...query.value,
      response: true,
      answer: [record],
      edns: { version: 0, udpSize: 1232, dnssecOk: true, options },
      ...changes,
    });
    const inCase = how.keepCase === false ? reply : withCaseOf(octets, reply);
    this.#perform((effects) => this.finders.received(ask, inCase, this.now, effects));
  }

  fail(why: string): void {
    this.#perform((effects) => this.finders.failed(this.sent.ask, why, this.now, effects));
  }

  pass(milliseconds: number): void {
    const end = later(this.now, milliseconds);
    for (;;) {
      const due = this.finders.deadline;
      if (!due || due.at > end) break;
      this.now = due.at > this.now ? due.at : this.now;
      this.#perform((effects) => this.finders.tick(this.now, effects));
    }
    this.now = end;
  }

  /** The name as it stands in the query, in its case. */
  questionText(): string {
    const { octets } = this.sent;
    const end = octets.indexOf(0, 12);
    return [...octets.subarray(13, end)]
      .map((o) => (o < 64 && o !== 45 ? '.' : String.fromCharCode(o)))
      .join('');
  }

  option(code: number): Uint8Array | undefined {
    const query = decodeMessage(this.sent.octets);
    return query.ok ? query.value.edns?.options.find((o) => o.code === code)?.data : undefined;
  }

  /** The COOKIE option that went out; empty for none. */
  cookie(): Uint8Array {
    return this.option(EdnsOption.COOKIE) ?? new Uint8Array();
  }

  #perform(act: (effects: FinderEffect[]) => unknown): void {
    const effects: FinderEffect[] = [];
    act(effects);
    for (const effect of effects) {
      if (effect.kind === 'release') this.released.push(effect);
      else {
        this.#sent = effect;
        this.count++;
      }
    }
  }
}

function smallLetter(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}

function server(transport: Server['transport'], text = '192.0.2.1'): Server {
  const endpoint = parseEndpoint(text, 53);
  if (!endpoint) throw new Error(text);
  return { endpoint, transport };
}
