import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { FrameReader, framed } from '../../src/dns/frames.ts';
import type { UpstreamOptions } from '../../src/dns/io/upstream.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { certificate, type Identity } from './certificate.ts';
import { asker, pause, query, replyTo, server, until, type Asker } from './upstreams.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('over TCP one connection serves several asks, and a new one is made when the server has closed it', async () => {
  const { port, sockets } = await tcp(answerAll);
  const { outcome, failures } = open();
  await outcome(1, server('tcp', port));
  await outcome(2, server('tcp', port));
  expect(sockets).toHaveLength(1);
  // Closed just as the next ask is written (RFC 7766 §6.2.4).
  sockets[0]?.destroy();
  await outcome(3, server('tcp', port));
  expect(sockets).toHaveLength(2);
  expect(failures).toEqual([]);
});

test('many asks go out at once on one connection, and replies come in any order (RFC 7766 §6.2.1.1)', async () => {
  const waiting: Uint8Array[] = [];
  const { port, sockets } = await tcp((socket, message) => {
    waiting.push(message);
    if (waiting.length === 300) for (const octets of waiting.reverse()) socket.write(framed(replyTo(octets)));
  });
  const { upstreams, replies } = open();
  const numbers = Array.from({ length: 300 }, (_, i) => i + 1);
  for (const ask of numbers)
    upstreams.ask({ kind: 'ask', ask, server: server('tcp', port), octets: query(ask) });
  await until(() => replies.length === 300);
  expect(new Map(replies)).toEqual(new Map(numbers.map((n) => [n, replyTo(query(n))])));
  expect(sockets).toHaveLength(1);
});

test('questions with equal ids have different ones on a connection, also after one was given up (RFC 7766 §6.2.1)', async () => {
  const seen: Uint8Array[] = [];
  const { port, sockets } = await tcp((_, message) => seen.push(message));
  const { upstreams, replies } = open();
  const octets = (mark: number): Uint8Array => query(7).fill(mark, 16);
  for (const ask of [1, 2])
    upstreams.ask({ kind: 'ask', ask, server: server('tcp', port), octets: octets(ask) });
  await until(() => seen.length === 2);
  upstreams.release(1);
  upstreams.ask({ kind: 'ask', ask: 3, server: server('tcp', port), octets: octets(3) });
  await until(() => seen.length === 3);
  expect(new Set(seen.map((m) => m.subarray(0, 2).toHex())).size).toBe(3);
  for (const message of seen) sockets[0]?.write(framed(replyTo(message)));
  await until(() => replies.length === 2);
  expect(new Map(replies)).toEqual(new Map([2, 3].map((n) => [n, replyTo(octets(n))])));
});

test('an ask that comes as another one gives the connection up gets its reply', async () => {
  const { port } = await tcp(answerAll);
  const { upstreams, outcome, replies } = open();
  upstreams.ask({ kind: 'ask', ask: 1, server: server('tcp', port), octets: query(1) });
  upstreams.release(1);
  expect(await outcome(2, server('tcp', port))).toEqual(replyTo(query(2)));
  expect(replies.map(([ask]) => ask)).toEqual([2]);
});

test('a server that takes the question and closes the connection fails the ask', async () => {
  const { port, sockets } = await tcp((socket) => socket.end());
  const { outcome } = open();
  expect(await outcome(1, server('tcp', port))).toBe(`127.0.0.1:${port} closed the connection`);
  expect(sockets).toHaveLength(1);
});

test('a server that closes after each reply is asked the rest over new connections, one at a time', async () => {
  const { port, sockets } = await tcp((socket, message) => {
    if (!socket.writableEnded) socket.end(framed(replyTo(message)));
  });
  const { upstreams, replies, failures } = open();
  for (let ask = 1; ask <= 5; ask++)
    upstreams.ask({ kind: 'ask', ask, server: server('tcp', port), octets: query(ask) });
  await until(() => replies.length === 5);
  expect(sockets).toHaveLength(5);
  expect(failures).toEqual([]);
});

test('a server that answers one and closes on all others does not make us connect for ever', async () => {
  const { port, sockets } = await tcp((socket, message) => {
    if (socket.writableEnded) return;
    // A reply to what is not asked any more: something came, and nothing was answered.
    if (sockets.length === 1) socket.end(framed(replyTo(message)));
    else socket.end();
  });
  const { upstreams, replies, failures } = open();
  for (let ask = 1; ask <= 5; ask++)
    upstreams.ask({ kind: 'ask', ask, server: server('tcp', port), octets: query(ask) });
  await until(() => replies.length + failures.length === 5);
  expect(replies).toHaveLength(1);
  expect(sockets).toHaveLength(2);
});

test('a connection stays for as long as the server says, and no longer (RFC 7828 §3.2.2)', async () => {
  const { port, sockets } = await tcp(answerAll);
  const { outcome } = open({ stream: { idleMs: 30, maxIdleMs: 150 } });
  const isOpen = (n: number): boolean => sockets[n] !== undefined && !sockets[n].destroyed;
  await outcome(1, server('tcp', port));
  await until(() => sockets.length === 1 && !isOpen(0)); // It did not say.
  await outcome(2, server('tcp', port), query(2), 0); // It wants us gone.
  await until(() => sockets.length === 2 && !isOpen(1));
  await outcome(3, server('tcp', port), query(3), 80);
  await pause(50);
  expect(isOpen(2)).toBe(true);
  await outcome(4, server('tcp', port));
  expect(sockets).toHaveLength(3);
  await until(() => !isOpen(2));
  const before = performance.now();
  await outcome(5, server('tcp', port), query(5), 3_600_000);
  await until(() => !isOpen(3));
  expect(performance.now() - before).toBeGreaterThan(140);
});

test.each([
  ['frames too short for a message', framed(new Uint8Array(5)), 'sends what is no DNS message'],
  ['empty frames', new Uint8Array(40), 'sends what is no DNS message'],
  [
    'replies to nobody',
    concatOctets(...Array(16).fill(framed(new Uint8Array(12)))),
    'sends replies that nobody asked for',
  ],
])('a connection that brings %s is closed', async (_, octets, what) => {
  const { port } = await tcp((socket) => socket.write(octets));
  const { outcome } = open();
  expect(await outcome(1, server('tcp', port))).toBe(`127.0.0.1:${port} ${what}`);
});

test('a server that dribbles is left alone by the next question, and its connection ends with the last', async () => {
  const { port, sockets } = await tcp((socket, message) => {
    if (sockets.length > 1) {
      socket.write(framed(replyTo(message)));
      return;
    }
    const timer = setInterval(() => socket.write(new Uint8Array([0])), 20);
    cleanups.push(() => {
      clearInterval(timer);
    });
  });
  const { upstreams, outcome } = open();
  upstreams.ask({ kind: 'ask', ask: 1, server: server('tcp', port), octets: query(1) });
  await pause(1_600); // The resolver gives up at some time.
  upstreams.release(1);
  expect(await outcome(2, server('tcp', port))).toEqual(replyTo(query(2)));
  expect(sockets).toHaveLength(2);
  await until(() => sockets[0]?.destroyed === true);
});

test('connections are bounded: the idlest goes first, and where all are busy none is made', async () => {
  const silent = await tcp(() => undefined);
  const servers = [await tcp(answerAll), await tcp(answerAll), silent, await tcp(() => undefined)];
  const ports = servers.map((s) => s.port);
  const { upstreams, outcome, failures } = open({ stream: { connections: 2 } });
  await outcome(1, server('tcp', ports[0] ?? 0));
  await outcome(2, server('tcp', ports[1] ?? 0));
  upstreams.ask({ kind: 'ask', ask: 3, server: server('tcp', silent.port), octets: query(3) });
  await until(() => servers[0]?.sockets[0]?.destroyed === true);
  expect(servers[1]?.sockets[0]?.destroyed).toBe(false);
  upstreams.ask({ kind: 'ask', ask: 4, server: server('tcp', ports[3] ?? 0), octets: query(4) });
  await until(() => servers[1]?.sockets[0]?.destroyed === true);
  upstreams.ask({ kind: 'ask', ask: 5, server: server('tcp', ports[0] ?? 0), octets: query(5) });
  await until(() => failures.length === 1);
  expect(failures).toEqual([[5, 'there are 2 connections to other servers already']]);
});

test('after a change of addresses questions go over new connections, and the old ones end', async () => {
  const { port, sockets } = await tcp(answerAll);
  const { upstreams, outcome } = open();
  await outcome(1, server('tcp', port));
  upstreams.renew();
  await until(() => sockets[0]?.destroyed === true);
  await outcome(2, server('tcp', port));
  expect(sockets).toHaveLength(2);
});

const authority = certificate({ commonName: 'an authority', isAuthority: true });
const authorities = [authority.cert];
const name = 'dns.example.net';
const good = certificate({ names: [name, '192.0.2.1'], issuer: authority });

test('RFC 7858: asks go over TLS, many on one connection, and the next connection resumes the session', async () => {
  const { port, sockets } = await tls(good);
  const { upstreams, outcome } = open({ authorities });
  const dot = server('tls', port, { authName: name });
  const outcomes = await Promise.all([1, 2, 3].map((n) => outcome(n, dot)));
  expect(outcomes).toEqual([1, 2, 3].map((n) => replyTo(query(n))));
  expect(sockets).toHaveLength(1);
  expect(sockets[0]?.alpnProtocol).toBe('dot');
  expect(sockets[0]?.servername).toBe(name);
  await pause(10); // The tickets come after the handshake.
  sockets[0]?.destroy();
  await pause(10);
  expect(await outcome(4, dot)).toEqual(replyTo(query(4)));
  expect(sockets[1]?.isSessionReused()).toBe(true);
  // Another network does not learn that we are the same.
  upstreams.renew();
  expect(await outcome(5, dot)).toEqual(replyTo(query(5)));
  expect(sockets[2]?.isSessionReused()).toBe(false);
});

test('RFC 8310 §8.1: an address can be what the certificate must bear', async () => {
  const { port } = await tls(good);
  const { outcome } = open({ authorities });
  expect(await outcome(1, server('tls', port, { authName: '192.0.2.1' }))).toEqual(replyTo(query(1)));
});

const day = 86_400_000;
const faults: readonly (readonly [what: string, identity: Identity, why: RegExp])[] = [
  [
    'another name',
    certificate({ names: ['other.example', '*.example.org'], issuer: authority }),
    /^the certificate of \S+ is for other\.example, \*\.example\.org and not for dns\.example\.net$/,
  ],
  [
    'a common name only',
    certificate({ commonName: name, issuer: authority }),
    /^the certificate of \S+ is for no name, and dns\.example\.net is wanted$/,
  ],
  [
    'a date that has passed',
    certificate({ names: [name], issuer: authority, notAfter: new Date(Date.now() - day / 2) }),
    /^the certificate of \S+ has expired, or the clock of this host is wrong$/,
  ],
  [
    'a date to come',
    certificate({ names: [name], issuer: authority, notBefore: new Date(Date.now() + day / 2) }),
    /^the certificate of \S+ is not valid yet, or the clock of this host is wrong$/,
  ],
  [
    'its own signature',
    certificate({ names: [name] }),
    /^the certificate of \S+ is self-signed: no authority that this host knows says that it is dns\.example\.net$/,
  ],
  [
    'the signature of a stranger',
    certificate({ names: [name], issuer: certificate({ commonName: 'stranger', isAuthority: true }) }),
    /^the certificate of \S+ is from an authority that this host does not know$/,
  ],
];

test.each(faults)('a certificate with %s is refused before anything is asked', async (_, identity, why) => {
  const { port, messages } = await tls(identity);
  const { outcome } = open({ authorities });
  expect(await outcome(1, server('tls', port, { authName: name }))).toMatch(why);
  await pause(20);
  expect(messages).toEqual([]);
});

test.each(faults)(
  'RFC 7858 §4.1: without a name to prove, a certificate with %s does',
  async (_, identity) => {
    const { port } = await tls(identity);
    const { outcome } = open();
    expect(await outcome(1, server('tls', port))).toEqual(replyTo(query(1)));
  },
);

test('the authorities of the system do not vouch for a private one', async () => {
  const { port, messages } = await tls(good);
  const { outcome } = open();
  expect(await outcome(1, server('tls', port, { authName: name }))).toMatch(
    /an authority that this host does not know$/,
  );
  expect(messages).toEqual([]);
});

test('a session of a server that nobody vouches for is not resumed where its name must be proven', async () => {
  const { port } = await tls(certificate({ names: [name] }));
  const { outcome } = open({ authorities });
  expect(await outcome(1, server('tls', port))).toEqual(replyTo(query(1)));
  expect(await outcome(2, server('tls', port, { authName: name }))).toMatch(/is self-signed/);
});

test('a server that speaks no TLS, or never ends the handshake, is told apart', async () => {
  const clear = await tcp(
    () => undefined,
    (socket) => socket.write('220 mail.example.net\r\n'),
  );
  const mute = await tcp(() => undefined);
  const closing = await tcp(
    () => undefined,
    (socket) => socket.end(),
  );
  const { outcome } = open({ stream: { connectMs: 100 } });
  expect(await outcome(1, server('tls', clear.port))).toMatch(/^\S+ speaks no TLS that we understand: /);
  expect(await outcome(2, server('tls', mute.port))).toBe(
    `127.0.0.1:${mute.port} does not finish the TLS handshake`,
  );
  expect(await outcome(3, server('tls', closing.port))).toMatch(/in the TLS handshake|reset the connection/);
});

test('a server with other protocols and one that knows only an old TLS are refused in words', async () => {
  const web = await tls(good, { ALPNProtocols: ['http/1.1'] });
  const old = await tls(good, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' });
  const { outcome } = open({ authorities });
  expect(await outcome(1, server('tls', web.port, { authName: name }))).toBe(
    `127.0.0.1:${web.port} does not speak DNS over TLS`,
  );
  expect(await outcome(2, server('tls', old.port, { authName: name }))).toMatch(
    /^\S+ speaks no TLS that we understand: /,
  );
});

function answerAll(socket: Socket, message: Uint8Array): void {
  socket.write(framed(replyTo(message)));
}

interface Served<S extends Socket> {
  readonly port: number;
  readonly sockets: S[];
  readonly messages: Uint8Array[];
}

async function tcp(
  onMessage: (socket: Socket, message: Uint8Array) => void,
  onSocket?: (socket: Socket) => void,
): Promise<Served<Socket>> {
  const served: Omit<Served<Socket>, 'port'> = { sockets: [], messages: [] };
  const listener = createServer((socket) => {
    follow(socket, served, onMessage);
    onSocket?.(socket);
  });
  return { ...served, port: await listen(listener) };
}

async function tls(identity: Identity, options: TlsOptions = {}): Promise<Served<TLSSocket>> {
  const served: Omit<Served<TLSSocket>, 'port'> = { sockets: [], messages: [] };
  const { cert, key } = identity;
  const listener = createTlsServer({ ALPNProtocols: ['dot'], ...options, cert, key }, (socket) => {
    follow(socket, served, answerAll);
  });
  listener.on('tlsClientError', () => undefined);
  return { ...served, port: await listen(listener) };
}

function follow<S extends Socket>(
  socket: S,
  served: Omit<Served<S>, 'port'>,
  onMessage: (socket: S, message: Uint8Array) => void,
): void {
  served.sockets.push(socket);
  const frames = new FrameReader();
  socket.on('data', (chunk: Uint8Array) => {
    for (const message of frames.push(chunk)) {
      served.messages.push(message);
      onMessage(socket, message);
    }
  });
  socket.on('error', () => undefined);
  cleanups.push(() => socket.destroy());
}

async function listen(listener: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => listener.close());
  return (listener.address() as AddressInfo).port;
}

function open(options?: UpstreamOptions): Asker {
  const made = asker(options);
  cleanups.push(() => {
    made.upstreams.close();
  });
  return made;
}
