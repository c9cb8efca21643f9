import { createSocket, type Socket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { BatchedFront } from '../../src/dns/io/front-batched.ts';
import { PlainFront } from '../../src/dns/io/front-plain.ts';
import type { DatagramFront, FrontOptions, Reply } from '../../src/dns/io/front.ts';
import { SharedRing } from '../../src/dns/io/shared-ring.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { nameOf } from '../../src/dns/name.ts';
import { Ede, Rcode, Type } from '../../src/dns/types.ts';
import type { Keep } from '../../src/dns/wire-cache.ts';
import { formatAddress, parseEndpoint, type Endpoint } from '../../src/net/address.ts';
import { parsePrefix } from '../../src/net/prefix.ts';
import { queryMessage } from './query.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const addresses = Object.values(networkInterfaces())
  .flat()
  .flatMap((a) => a ?? []);
const loopbacks = addresses.some((a) => a.address === '::1') ? ['127.0.0.1', '[::1]'] : ['127.0.0.1'];
/** An address of this host that is not loopback, where it has one. */
const own = addresses.find((a) => a.family === 'IPv4' && !a.internal)?.address;

describe.each([
  ['in batches', (options: FrontOptions): DatagramFront => new BatchedFront(options)],
  ['one by one', (options: FrontOptions): DatagramFront => new PlainFront(options)],
])('datagrams %s', (_, make) => {
  test.each(loopbacks)('an answer comes back to who asked at %s', async (at) => {
    const { endpoint, front } = await open(make, [at], answering());
    const clients = Array.from({ length: 5 }, (_, i) => client(endpoint, i));
    const answers = await Promise.all(clients.map((c) => c.ask(query(`n${c.number}.example`))));
    expect(answers.map((a) => marks(a)[0])).toEqual(clients.map((c) => `n${c.number}.example`));
    expect(front.stats.answersKept).toBe(0);
  });

  test('a kept answer is given again without a query, with the new id and the letter case of who asks', async () => {
    const queries: Uint8Array[] = [];
    const { endpoint, front } = await open(make, ['127.0.0.1'], answering(keep, queries));
    const one = client(endpoint);
    expect(marks(await one.ask(query('www.example', { id: 1 })))).toEqual(['www.example', 1]);
    const again = await one.ask(query('www.example', { id: 0x1234 }, (text) => text.toUpperCase()));
    expect(again.subarray(0, 2).toHex()).toBe('1234');
    expect(Buffer.from(again.subarray(12, 25)).toString('latin1')).toBe('\x03WWW\x07EXAMPLE\0');
    expect([queries.length, front.stats.answersKept]).toEqual([1, 1]);

    // Another type, and the same with EDNS, are other answers.
    await one.ask(
      query('www.example', { questions: [{ name: name('www.example'), type: Type.MX, class: 1 }] }),
    );
    await one.ask(
      query('www.example', { edns: { version: 0, udpSize: 1_232, dnssecOk: true, options: [] } }),
    );
    expect(queries.length).toBe(3);
  });

  test('after forget() every question is heard again', async () => {
    const queries: Uint8Array[] = [];
    const { endpoint, front } = await open(make, ['127.0.0.1'], answering(keep, queries));
    const one = client(endpoint);
    for (let i = 0; i < 3; i++) await one.ask(query('www.example'));
    front.forget();
    // What was answered before forget() was called must not come back after it.
    expect(marks(await one.ask(query('www.example')))).toEqual(['www.example', 2]);
    expect(queries.length).toBe(2);
  });

  test('forget() is heard also where no more answers find room', async () => {
    const queries: Uint8Array[] = [];
    const replies: Reply[] = [];
    const answer = answering(keep, queries);
    const { endpoint, front } = await open(make, ['127.0.0.1'], (octets, reply) => {
      replies.push(reply);
      answer(octets, reply);
    });
    const one = client(endpoint);
    for (let i = 0; i < 2; i++) await one.ask(query('www.example'));
    expect(queries.length).toBe(1);
    const little = new Uint8Array(12);
    for (let i = 0; i < 50_000; i++) replies[0]?.(little);
    front.forget();
    const other = client(endpoint);
    expect(marks(await other.ask(query('www.example')))).toEqual(['www.example', 2]);
  });

  test.runIf(own !== undefined)('so are the own addresses of the host', async () => {
    const replies: Reply[] = [];
    const answer = answering();
    const hear: FrontOptions['onQuery'] = (octets, reply) => {
      replies.push(reply);
      answer(octets, reply);
    };
    const { front, endpoints } = await open(make, ['127.0.0.1', own ?? ''], hear);
    const [local, ours] = endpoints;
    if (!local || !ours) throw new Error('nothing is bound');
    await client(local).ask(query('www.example'));
    const little = new Uint8Array(12);
    for (let i = 0; i < 50_000; i++) replies[0]?.(little);
    front.setLocals([ours.address]);
    await pause(50);
    expect(marks(await client(ours).ask(query('www.example')))).toEqual(['www.example', 2]);
  });

  test('hundreds at once are all answered, those that are known and those that are not', async () => {
    const { endpoint } = await open(make, ['127.0.0.1'], answering(keep));
    const one = client(endpoint);
    const got = new Map<number, number>();
    one.socket.on('message', (m) => got.set(m.readUInt16BE(0), (got.get(m.readUInt16BE(0)) ?? 0) + 1));
    for (let i = 0; i < 200; i++) one.send(query(`n${i % 50}.example`, { id: i }));
    await until(() => got.size === 200);
    expect([...got.values()].every((n) => n === 1)).toBe(true);
  });

  test('hostile datagrams are not handed on or are harmless, and the next query is answered', async () => {
    const queries: Uint8Array[] = [];
    const { endpoint } = await open(make, ['127.0.0.1'], answering(keep, queries));
    const one = client(endpoint);
    await one.ask(query('www.example'));
    const whole = query('www.example');
    one.send(new Uint8Array(0));
    for (let end = 1; end < 12; end++) one.send(whole.subarray(0, end));
    one.send(whole.with(2, 0x80));
    one.send(new Uint8Array(9_000).fill(0x41).fill(0, 0, 12));
    let seed = 1;
    for (let i = 0; i < 300; i++) {
      seed = (seed * 48_271) % 0x7fff_ffff;
      one.send(whole.with(4 + (seed % (whole.length - 4)), (seed >> 8) & 0xff));
    }
    // Datagrams keep their order between two sockets of one host.
    expect(marks(await one.ask(query('after.example', { id: 77 }), 77))[0]).toBe('after.example');
    expect(queries.every((q) => q.length >= 12 && ((q[2] ?? 0) & 0x80) === 0)).toBe(true);
  });

  test.runIf(own !== undefined)('who may not ask is refused, and told so at a bounded rate', async () => {
    const queries: Uint8Array[] = [];
    const { endpoint, front } = await open(make, [own ?? ''], answering(undefined, queries));
    const one = client(endpoint);
    const edns = { version: 0, udpSize: 1_232, dnssecOk: false, options: [] };
    const answer = read(await one.ask(query('www.example', { edns })));
    expect([answer.rcode, answer.edns?.options[0]?.data[1]]).toEqual([Rcode.REFUSED, Ede.PROHIBITED]);
    let refused = 0;
    one.socket.on('message', () => refused++);
    for (let i = 0; i < 50; i++) one.send(query('www.example'));
    await until(() => front.stats.datagramsTurnedAway === 51);
    await pause(30);
    expect(refused).toBeLessThan(15);
    expect(queries).toEqual([]);

    front.setLocals([endpoint.address]);
    expect(marks(await one.ask(query('www.example', { id: 9 }), 9))).toEqual(['www.example', 1]);
  });

  test.runIf(own !== undefined)(
    'who asks too often gets TC, so that the address is proved over TCP',
    async () => {
      const prefix = parsePrefix(`${own ?? ''}/32`);
      if (!prefix) throw new Error(own);
      const clients = { allow: [prefix], rateLimit: 3 };
      const { endpoint, front } = await open(make, [own ?? ''], answering(keep), clients);
      const one = client(endpoint);
      const flags: number[] = [];
      one.socket.on('message', (m) => flags.push((m[2] ?? 0) & 2));
      for (let i = 0; i < 13; i++) one.send(query('www.example'));
      await until(() => front.stats.datagramsTurnedAway === 10 && flags.length === 8);
      expect(flags.filter((f) => f === 0)).toHaveLength(3);
    },
  );

  test('a port that is taken has its code, and after close() it is free', async () => {
    const { front, endpoint } = await open(make, ['127.0.0.1'], answering());
    const other = make(options(answering()));
    cleanups.push(() => other.close());
    await expect(other.bind(endpoint)).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await expect(other.bind(at('192.0.2.77'))).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
    await front.close();
    await other.bind(endpoint);
  });

  test('an answer that comes after close() goes nowhere', async () => {
    const replies: Reply[] = [];
    const { front, endpoint } = await open(make, ['127.0.0.1'], (_, reply) => replies.push(reply));
    client(endpoint).send(query('www.example'));
    await until(() => replies.length === 1);
    await front.close();
    replies[0]?.(query('www.example'), keep);
    await front.close();
  });
});

test.runIf(own !== undefined)(
  'where it listens at any address the answer leaves from the one that was asked',
  async () => {
    const { endpoint } = await open((o) => new BatchedFront(o), ['0.0.0.0'], answering(keep));
    // A connected socket takes datagrams from its peer alone.
    for (const text of ['127.0.0.1', '127.1.2.3']) {
      const one = client({ ...endpoint, address: at(text).address });
      await new Promise<void>((resolve) => {
        one.socket.connect(endpoint.port, text, resolve);
      });
      for (let i = 0; i < 2; i++) {
        const answer = new Promise((resolve) => one.socket.once('message', resolve));
        one.socket.send(query('www.example'));
        await answer;
      }
    }
  },
);

test.runIf(own !== undefined)(
  'where the thread ends by a fault, datagrams are taken one by one',
  async () => {
    const warnings: string[] = [];
    // Nobody but a test can break it: a list of clients that is none fails at the first stranger.
    const clients = { allow: undefined as never, rateLimit: 1 };
    const front = new BatchedFront({
      ...options(answering(keep), clients),
      warn: (why) => warnings.push(why),
    });
    cleanups.push(() => front.close());
    const here = await front.bind(at('127.0.0.1'));
    const there = await front.bind(at(own ?? ''));
    await front.start();
    expect(marks(await client(here.endpoint).ask(query('www.example')))).toEqual(['www.example', 1]);
    client(there.endpoint).send(query('www.example'));
    await until(() => warnings.length === 1);
    expect(warnings[0]).toMatch(/one by one/);
    expect(marks(await client(here.endpoint).ask(query('www.example')))).toEqual(['www.example', 2]);
    expect(marks(await client(here.endpoint).ask(query('www.example')))).toEqual(['www.example', 2]);
  },
);

test('messages between threads come in order, and what does not fit is not taken', () => {
  const ring = new SharedRing(SharedRing.allocate(1_024));
  const reader = new SharedRing(ring.memory);
  const expected: string[] = [];
  let seed = 3;
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
    seed = (seed * 48_271) % 0x7fff_ffff;
    if (seed % 5 < 3) {
      const octets = new Uint8Array((seed >> 5) % 200).fill(i);
      if (ring.write(octets.subarray(0, octets.length >> 1), octets.subarray(octets.length >> 1))) {
        expected.push(octets.toHex());
      } else {
        refused++;
      }
    } else if (expected.length > 0) {
      const message = reader.peek();
      if (message?.toHex() !== expected.shift()) throw new Error(`message ${i}`);
      reader.next();
    } else {
      expect([reader.isEmpty, reader.peek()]).toEqual([true, undefined]);
    }
  }
  expect(refused).toBeGreaterThan(100);
  expect(ring.write(new Uint8Array(1_024))).toBe(false);
});

const keep: Keep = { seconds: 100, agedMs: 0 };

/** Answers each query with a record that says how many queries there have been. */
function answering(kept?: Keep, queries: Uint8Array[] = []): FrontOptions['onQuery'] {
  return (octets, reply) => {
    queries.push(octets);
    const message = decodeMessage(octets);
    if (!message.ok) {
      reply(undefined);
      return;
    }
    const { id, questions, edns } = message.value;
    const [question] = questions;
    const answer = encodeMessage(
      queryMessage({
        id,
        response: true,
        questions,
        answer: question
          ? [
              {
                owner: question.name,
                type: 1,
                class: 1,
                ttl: 300,
                rdata: new Uint8Array([192, 0, 2, queries.length]),
              },
            ]
          : [],
        ...(edns ? { edns } : {}),
      }),
    );
    // The question as it was asked.
    answer.set(octets.subarray(12, Math.min(octets.length, answer.length)).subarray(0, 5), 12);
    reply(answer, kept);
  };
}

/** The name in the answer, and which query it was. */
function marks(octets: Uint8Array): [string, number] {
  const { questions, answer } = read(octets);
  const owner = [...(questions[0]?.name ?? '')].map((c) => (c < ' ' ? '.' : c)).join('');
  return [owner.slice(1, -1), answer[0]?.rdata[3] ?? 0];
}

function options(
  onQuery: FrontOptions['onQuery'],
  clients: FrontOptions['clients'] = { allow: [], rateLimit: 0 },
): FrontOptions {
  const warn = (why: string): void => {
    throw new Error(why);
  };
  return { onQuery, clients, seed: 1, warn };
}

async function open(
  make: (options: FrontOptions) => DatagramFront,
  listen: readonly string[],
  onQuery: FrontOptions['onQuery'],
  clients?: FrontOptions['clients'],
): Promise<{
  readonly front: DatagramFront;
  readonly endpoint: Endpoint;
  readonly endpoints: readonly Endpoint[];
}> {
  const front = make(options(onQuery, clients));
  cleanups.push(() => front.close());
  const sockets = await Promise.all(listen.map((text) => front.bind(at(text))));
  await front.start();
  const endpoints = sockets.map((socket) => socket.endpoint);
  const [endpoint] = endpoints;
  if (!endpoint) throw new Error('nothing is bound');
  return { front, endpoint, endpoints };
}

interface Client {
  readonly number: number;
  readonly socket: Socket;
  send(octets: Uint8Array): void;
  /** The next answer, or the next with this id. */
  ask(octets: Uint8Array, id?: number): Promise<Uint8Array>;
}

function client({ address, port }: Endpoint, number = 0): Client {
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  cleanups.push(() => socket.close());
  const send = (octets: Uint8Array): void => {
    socket.send(octets, port, formatAddress(address));
  };
  const ask = (octets: Uint8Array, id?: number): Promise<Uint8Array> =>
    new Promise((resolve) => {
      const hear = (answer: Buffer): void => {
        if (id !== undefined && answer.readUInt16BE(0) !== id) return;
        socket.off('message', hear);
        resolve(new Uint8Array(answer));
      };
      socket.on('message', hear);
      send(octets);
    });
  return { number, socket, send, ask };
}

function query(
  text: string,
  changes: Partial<Message> = {},
  spelled: (text: string) => string = (t) => t,
): Uint8Array {
  const octets = encodeMessage(
    queryMessage({ id: 7, questions: [{ name: name(text), type: Type.A, class: 1 }], ...changes }),
  );
  const end = 12 + name(text).length;
  const spelling = spelled(Buffer.from(octets.subarray(12, end)).toString('latin1'));
  octets.set(Buffer.from(spelling, 'latin1'), 12);
  return octets;
}

function read(octets: Uint8Array): Message {
  const message = decodeMessage(octets);
  if (!message.ok) throw message.error;
  return message.value;
}

function name(text: string): NonNullable<ReturnType<typeof nameOf>> {
  const found = nameOf(text);
  if (found === undefined) throw new Error(`no name: ${text}`);
  return found;
}

function at(text: string): Endpoint {
  const endpoint = parseEndpoint(`${text}:0`, 0);
  if (!endpoint) throw new Error(text);
  return endpoint;
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await pause(2);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
