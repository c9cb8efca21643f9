import { readFileSync } from 'node:fs';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, expect, test } from 'vitest';
import { FrameReader, framed } from '../../src/dns/frames.ts';
import { DnsListener, type ListenLimits, type OnQuery } from '../../src/dns/io/listen.ts';
import { parseResolvConf, upstreamsOf } from '../../src/dns/io/resolv-conf.ts';
import { Upstreams, type Ask } from '../../src/dns/io/upstream.ts';
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

test('THREATS A.28: each query over UDP leaves from another port, and its replies come back under its number', async () => {
  const ports = new Set<number>();
  const server = await udpServer((socket, octets, port) => {
    ports.add(port);
    socket.send(reversed(octets), port, '127.0.0.1');
  });
  const log = record();
  for (const ask of [1, 2, 3]) log.upstreams.ask(query(ask, server, 'udp', message(ask)));
  await until(() => log.replies.length === 3);
  expect(new Map(log.replies)).toEqual(
    new Map([1, 2, 3].map((ask) => [ask, reversed(message(ask)).toHex()])),
  );
  expect(ports.size).toBe(3);
  expect(log.failures).toEqual([]);
});

test('sockets that were made before the host changed its addresses are not used after', async () => {
  const ports: number[] = [];
  const upstream = await udpServer((socket, octets, port) => {
    ports.push(port);
    socket.send(reversed(octets), port, '127.0.0.1');
  });
  const log = record();
  const ask = async (number: number): Promise<void> => {
    log.upstreams.ask(query(number, upstream, 'udp', message(number)));
    await until(() => log.replies.some(([n]) => n === number));
    log.upstreams.release(number);
  };
  await ask(1);
  const before = new Set(portsConnectedTo(upstream.port));
  await until(() => portsConnectedTo(upstream.port).length > before.size);
  const spares = portsConnectedTo(upstream.port);
  log.upstreams.renew();
  await ask(2);
  expect(spares).not.toContain(ports[1]);
});

test('THREATS A.28: a reply from elsewhere does not come through, nor does one after the release', async () => {
  const other = createSocket('udp4');
  cleanups.push(() => other.close());
  const ports: number[] = [];
  const server = await udpServer((_, octets, port) => {
    ports.push(port);
    other.send(octets, port, '127.0.0.1');
  });
  const log = record();
  log.upstreams.ask(query(1, server, 'udp', message(1)));
  await until(() => ports.length === 1);
  await pause(30);
  log.upstreams.release(1);
  log.upstreams.release(1);
  expect(log.replies).toEqual([]);
});

test('an upstream that does not listen fails the ask at once, over UDP and TCP', async () => {
  const server = await udpServer(() => undefined);
  await cleanups.pop()?.();
  const log = record();
  log.upstreams.ask(query(1, server, 'udp', message(1)));
  log.upstreams.ask(query(2, server, 'tcp', message(2)));
  const nowhere = { endpoint: { ...server, port: 0 }, transport: 'udp' } as const;
  log.upstreams.ask({ kind: 'ask', ask: 3, server: nowhere, octets: message(3) });
  expect(log.failures).toEqual([]);
  await until(() => log.failures.length === 3);
  const why = `nothing listens at ${formatEndpoint(server)}`;
  expect(log.failures).toContainEqual([1, why]);
  expect(log.failures).toContainEqual([2, why]);
});

test('over TCP one connection serves several asks, and a new one is made when the server has closed it', async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    const frames = new FrameReader();
    socket.on('data', (chunk) => {
      for (const octets of frames.push(chunk as Uint8Array)) socket.write(framed(reversed(octets)));
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const upstream = endpointOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const log = record();
  const ask = async (number: number): Promise<void> => {
    log.upstreams.ask(query(number, upstream, 'tcp', palindrome(number)));
    await until(() => log.replies.some(([n]) => n === number));
    log.upstreams.release(number);
  };
  await ask(1);
  await ask(2);
  expect(sockets).toHaveLength(1);
  // Closed just as the next ask is written (RFC 7766 §6.2.4).
  sockets[0]?.destroy();
  await ask(3);
  expect(sockets).toHaveLength(2);
  expect(log.replies).toHaveLength(3);
  expect(log.failures).toEqual([]);
});

test('an ask that comes as another one gives the connection up gets one of its own', async () => {
  const server = createServer((socket) => {
    const frames = new FrameReader();
    socket.on('data', (chunk) => {
      for (const octets of frames.push(chunk as Uint8Array)) socket.write(framed(reversed(octets)));
    });
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = endpointOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const log = record();
  cleanups.push(() => server.close());
  log.upstreams.ask(query(1, upstream, 'tcp', palindrome(1)));
  log.upstreams.release(1); // Not connected yet: the connection is closed.
  log.upstreams.ask(query(2, upstream, 'tcp', palindrome(2)));
  await until(() => log.replies.length + log.failures.length > 0);
  expect(log.failures).toEqual([]);
  expect(log.replies.map(([ask]) => ask)).toEqual([2]);
});

test('a server that takes the question and closes the connection fails the ask', async () => {
  const server = createServer((socket) => {
    socket.on('data', () => socket.end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  const upstream = endpointOf(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  const log = record();
  log.upstreams.ask(query(1, upstream, 'tcp', message(1)));
  await until(() => log.failures.length === 1);
  expect(log.failures).toEqual([[1, `${formatEndpoint(upstream)} closed the connection`]]);
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

function query(ask: number, endpoint: Endpoint, transport: 'udp' | 'tcp', octets: Uint8Array): Ask {
  return { kind: 'ask', ask, server: { endpoint, transport }, octets };
}

interface Record_ {
  readonly upstreams: Upstreams;
  readonly replies: [number, string][];
  readonly failures: [number, string][];
}

function record(): Record_ {
  const replies: [number, string][] = [];
  const failures: [number, string][] = [];
  const upstreams = new Upstreams({
    reply: (ask, octets) => replies.push([ask, octets.toHex()]),
    failed: (ask, why) => failures.push([ask, why]),
  });
  cleanups.push(() => {
    upstreams.close();
  });
  return { upstreams, replies, failures };
}

async function listen(
  at: readonly string[],
  onQuery: OnQuery,
  limits?: Partial<ListenLimits>,
): Promise<DnsListener> {
  const listener = await DnsListener.open(at.map(endpointOf), onQuery, limits);
  cleanups.push(() => listener.close());
  return listener;
}

/** Local ports of this host's UDP sockets that are connected to a port of 127.0.0.1. */
function portsConnectedTo(port: number): number[] {
  const remote = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/udp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[2] === remote)
    .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16));
}

async function udpServer(
  onMessage: (socket: UdpSocket, octets: Uint8Array, port: number) => void,
): Promise<Endpoint> {
  const socket = createSocket('udp4', (octets, from) => {
    onMessage(socket, octets, from.port);
  });
  await new Promise<void>((resolve) => {
    socket.bind(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => socket.close());
  return endpointOf(`127.0.0.1:${socket.address().port}`);
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

/** The same from both ends, so that the reversed one has the same message id. */
function palindrome(id: number): Uint8Array {
  const octets = new Uint8Array(16);
  octets[0] = id;
  octets[15] = id;
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
