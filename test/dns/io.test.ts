import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { FrameReader, framed } from '../../src/dns/frames.ts';
import { DnsListener, type ListenLimits, type OnQuery } from '../../src/dns/io/listen.ts';
import { parseResolvConf, upstreamsOf } from '../../src/dns/io/resolv-conf.ts';
import { OeError } from '../../src/errors.ts';
import {
  formatAddress,
  formatEndpoint,
  parseAddress,
  parseEndpoint,
  type Endpoint,
} from '../../src/net/address.ts';
import { concatOctets } from '../../src/wire/octets.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('frames come out whole however the stream is cut', () => {
  const messages = [
    new Uint8Array([1]),
    new Uint8Array(0),
    new Uint8Array(700).fill(7),
    new Uint8Array([2, 3]),
  ];
  const stream = concatOctets(...messages.map(framed));
  for (const step of [1, 2, 3, 5, 699, 10_000]) {
    const frames = new FrameReader();
    const read: Uint8Array[] = [];
    for (let at = 0; at < stream.length; at += step)
      read.push(...frames.push(stream.subarray(at, at + step)));
    expect(read).toEqual(messages);
    expect(frames.isInside).toBe(false);
  }
  expect(() => framed(new Uint8Array(65_536))).toThrow(RangeError);
});

/** A loopback endpoint of each family that this machine has. */
const loopbacks = Object.values(networkInterfaces())
  .flat()
  .some((a) => a?.address === '::1')
  ? ['127.0.0.1:0', '[::1]:0']
  : ['127.0.0.1:0'];

test.each(loopbacks)('queries over UDP and TCP at %s are answered under their number', async (at) => {
  const seen: [number, string, number][] = [];
  const listener = await listen([at], (query, octets, limitOctets) => {
    seen.push([query, octets.toHex(), limitOctets]);
    listener.answer(query, reversed(octets));
  });
  const endpoint = first(listener);
  expect(await udpAnswer(endpoint, message(1))).toEqual(reversed(message(1)));
  const client = await tcpClient(endpoint);
  client.socket.write(framed(message(2)));
  expect(await client.next()).toEqual(reversed(message(2)));
  expect(seen).toEqual([
    [1, message(1).toHex(), 1_232],
    [2, message(2).toHex(), 65_535],
  ]);
});

test('queries of one TCP connection are answered in any order, and after the client has said that it is done', async () => {
  const queries: [number, Uint8Array][] = [];
  const listener = await listen(['127.0.0.1:0'], (query, octets) => queries.push([query, octets]));
  const client = await tcpClient(first(listener));
  client.socket.end(concatOctets(framed(message(1)), framed(message(2)), framed(message(3))));
  await until(() => queries.length === 3);
  for (const [query, octets] of [...queries].reverse()) listener.answer(query, octets);
  expect([await client.next(), await client.next(), await client.next()]).toEqual([
    message(3),
    message(2),
    message(1),
  ]);
  await client.closed;
});

test('no more queries are read from a connection than may wait', async () => {
  const queries: number[] = [];
  const listener = await listen(['127.0.0.1:0'], (query) => queries.push(query), { queriesPerConnection: 2 });
  const client = await tcpClient(first(listener));
  client.socket.write(concatOctets(...[1, 2, 3, 4].map((id) => framed(message(id)))));
  await until(() => queries.length === 2);
  await pause(30);
  expect(queries).toEqual([1, 2]);
  listener.answer(1, message(1));
  await until(() => queries.length === 3);
});

test('one connection more than allowed closes the idlest, and is refused where all are busy', async () => {
  const queries: number[] = [];
  const listener = await listen(['127.0.0.1:0'], (query) => queries.push(query), { connections: 2 });
  const busy = await tcpClient(first(listener));
  busy.socket.write(framed(message(1)));
  await until(() => queries.length === 1);
  const idle = await tcpClient(first(listener));
  const third = await tcpClient(first(listener));
  await idle.closed;
  third.socket.write(framed(message(2)));
  await until(() => queries.length === 2);
  const fourth = await tcpClient(first(listener));
  await fourth.closed;
  expect([busy.socket.destroyed, third.socket.destroyed]).toEqual([false, false]);
});

test('a silent connection is closed, and so is one that never ends its message or speaks no DNS', async () => {
  const listener = await listen(['127.0.0.1:0'], () => undefined, { idleMs: 60 });
  const silent = await tcpClient(first(listener));
  const dribbling = await tcpClient(first(listener));
  const timer = setInterval(() => dribbling.socket.write(new Uint8Array([0x10])), 15);
  cleanups.push(() => {
    clearInterval(timer);
  });
  await Promise.all([silent.closed, dribbling.closed]);
  const other = await tcpClient(first(listener));
  other.socket.write(framed(new Uint8Array(11)));
  await other.closed;
});

test('when too many queries wait the oldest gets no answer', async () => {
  const queries: number[] = [];
  const listener = await listen(['127.0.0.1:0'], (query) => queries.push(query), { queries: 1 });
  const client = await tcpClient(first(listener));
  client.socket.write(framed(message(1)));
  await until(() => queries.length === 1);
  const answer = udpAnswer(first(listener), message(2));
  await client.closed;
  listener.answer(1, message(1));
  listener.answer(2, message(2));
  expect(await answer).toEqual(message(2));
});

test('responses and junk over UDP are not handed on', async () => {
  const queries: number[] = [];
  const listener = await listen(['127.0.0.1:0'], (query, octets) => {
    queries.push(query);
    listener.answer(query, octets);
  });
  const socket = createSocket('udp4');
  cleanups.push(() => socket.close());
  const { port, address } = first(listener);
  const response = message(1);
  response[2] = 0x80;
  for (const octets of [response, new Uint8Array(0), new Uint8Array(11)]) {
    await new Promise((resolve) => {
      socket.send(octets, port, formatAddress(address), resolve);
    });
  }
  await udpAnswer(first(listener), message(2));
  expect(queries).toEqual([1]);
});

test('a taken port is named together with who has it', async () => {
  const listener = await listen(['127.0.0.1:0'], () => undefined);
  const taken = first(listener);
  const error = await failureOf(DnsListener.open([taken], () => undefined));
  expect(error).toMatchObject({ code: 'dns-port-busy' });
  expect(error.message).toContain(`UDP ${formatEndpoint(taken)} is taken by`);
  expect(error.message).toContain(`(process ${process.pid})`);

  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const tcp = await failureOf(DnsListener.open([{ ...taken, port }], () => undefined));
  expect(tcp.message).toContain(`TCP 127.0.0.1:${port} is taken by`);
});

test('an address that the host does not have is named, and nothing stays open', async () => {
  const free = await listen(['127.0.0.1:0'], () => undefined);
  const endpoint = first(free);
  await free.close();
  const error = await failureOf(DnsListener.open([endpoint, endpointOf('192.0.2.77:0')], () => undefined));
  expect(error).toMatchObject({ code: 'dns-address-missing' });
  expect(error.message).toContain('192.0.2.77');
  await listen([formatEndpoint(endpoint)], () => undefined);
});

test('resolv.conf is read, comments and doubles aside', () => {
  const conf = parseResolvConf(
    '# made by hand\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 ; near\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\n' +
      'domain example.org\nsearch a.example b.example\noptions edns0 trust-ad\nsortlist 1\n',
  );
  expect(conf.nameservers.map(formatAddress)).toEqual(['192.0.2.1', '2001:db8::1']);
  expect(conf.search).toEqual(['a.example', 'b.example']);
  expect(conf.options).toEqual(['edns0', 'trust-ad']);
});

test('our own addresses are not our upstreams', () => {
  const conf = parseResolvConf(
    'nameserver 127.0.0.1\nnameserver ::1\nnameserver 127.0.0.53\nnameserver 192.0.2.1\n',
  );
  const learned = (...own: string[]): string[] => upstreamsOf(conf, own.map(endpointOf)).map(formatEndpoint);
  expect(learned('127.0.0.1:53', '[::1]:53')).toEqual(['127.0.0.53:53', '192.0.2.1:53']);
  expect(learned('0.0.0.0:53')).toEqual(['[::1]:53', '192.0.2.1:53']);
  expect(learned('127.0.0.1:5353')).toHaveLength(4);
  // A wildcard listens at the host's own addresses as well.
  const host = [endpointOf('192.0.2.1:53').address];
  const own = upstreamsOf(conf, [endpointOf('0.0.0.0:53')], host);
  expect(own.map(formatEndpoint)).toEqual(['[::1]:53']);
});

async function listen(
  at: readonly string[],
  onQuery: OnQuery,
  limits?: Partial<ListenLimits>,
): Promise<DnsListener> {
  const listener = await DnsListener.open(at.map(endpointOf), onQuery, { limits: limits ?? {} });
  cleanups.push(() => listener.close());
  return listener;
}

function udpAnswer({ address, port }: Endpoint, octets: Uint8Array): Promise<Uint8Array> {
  const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
  cleanups.push(() => socket.close());
  return new Promise((resolve) => {
    socket.once('message', (answer) => {
      resolve(new Uint8Array(answer));
    });
    socket.send(octets, port, formatAddress(address));
  });
}

interface TcpClient {
  readonly socket: Socket;
  readonly next: () => Promise<Uint8Array>;
  readonly closed: Promise<void>;
}

async function tcpClient({ address, port }: Endpoint): Promise<TcpClient> {
  const socket = connect({ host: formatAddress(address), port });
  const frames = new FrameReader();
  const messages: Uint8Array[] = [];
  socket.on('data', (chunk) => messages.push(...frames.push(chunk as Uint8Array)));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      resolve();
    });
  });
  await new Promise((resolve) => socket.once('connect', resolve));
  cleanups.push(() => socket.destroy());
  const next = async (): Promise<Uint8Array> => {
    await until(() => messages.length > 0);
    return messages.shift() ?? new Uint8Array(0);
  };
  return { socket, next, closed };
}

async function failureOf(opening: Promise<DnsListener>): Promise<OeError> {
  try {
    cleanups.push(async () => (await opening).close());
    await opening;
  } catch (error) {
    cleanups.pop();
    if (error instanceof OeError) return error;
    throw error;
  }
  throw new Error('it opened');
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 500) throw new Error('it does not come about');
    await pause(4);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** 16 octets that pass for a query. */
function message(id: number): Uint8Array {
  const octets = new Uint8Array(16);
  octets[1] = id;
  octets[15] = 0xee;
  return octets;
}

function reversed(octets: Uint8Array): Uint8Array {
  return new Uint8Array([...octets].reverse());
}

function first(listener: DnsListener): Endpoint {
  const [endpoint] = listener.endpoints;
  if (!endpoint) throw new Error('it listens nowhere');
  return endpoint;
}

function endpointOf(text: string): Endpoint {
  const endpoint = parseEndpoint(text, 53);
  if (!endpoint || !parseAddress(formatAddress(endpoint.address))) throw new Error(`no endpoint: ${text}`);
  return endpoint;
}
