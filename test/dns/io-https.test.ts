import { createServer, type AddressInfo, type Socket } from 'node:net';
import {
  createSecureServer,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { TlsTrust } from '../../src/dns/io/tls-trust.ts';
import { HttpsCarrier } from '../../src/dns/io/upstream-https.ts';
import type { UpstreamOptions } from '../../src/dns/io/upstream.ts';
import { certificate, type Identity } from './certificate.ts';
import { asker, pause, query, replyTo, server, until, type Asker } from './upstreams.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const authority = certificate({ commonName: 'an authority', isAuthority: true });
const authorities = [authority.cert];
const authName = 'dns.example.net';
const good = certificate({ names: [authName], issuer: authority });
const message = 'application/dns-message';

test('RFC 8484: a question goes as POST over HTTP/2 with id 0, and the reply comes back with its own', async () => {
  const { port, requests, sockets } = await https(answer);
  const { outcome, failures } = open();
  for (const n of [1, 2]) {
    // What server gives is what the question had: only the id differs on the wire (§4.1).
    expect(await outcome(n, server('https', port, { authName, path: '/q' }))).toEqual(replyTo(query(n)));
  }
  expect(failures).toEqual([]);
  expect(requests.map((r) => r.body.toHex())).toEqual([1, 2].map((n) => withId0(query(n)).toHex()));
  expect(sockets).toHaveLength(1);
  expect(sockets[0]?.alpnProtocol).toBe('h2');
  expect(sockets[0]?.servername).toBe(authName);
});

test('RFC 8484 §8.2: the request says no more than it must', async () => {
  const { port, requests } = await https((stream, body) => {
    stream.respond({ ':status': 200, 'content-type': message, 'set-cookie': 'who=you' });
    stream.end(replyTo(body));
  });
  const { outcome } = open();
  for (const n of [1, 2]) await outcome(n, server('https', port, { authName }));
  expect(Object.fromEntries(Object.entries(requests[1]?.headers ?? {}))).toEqual({
    ':method': 'POST',
    ':scheme': 'https',
    ':authority': `${authName}:${port}`,
    ':path': '/dns-query',
    accept: message,
    'content-type': message,
    'content-length': '20',
  });
});

test('many questions at once share one connection, and replies come in any order', async () => {
  const waiting: (() => void)[] = [];
  const { port, sockets } = await https((stream, body) => {
    waiting.push(() => {
      answer(stream, body);
    });
    if (waiting.length === 60) for (const go of waiting.reverse()) go();
  });
  const { upstreams, replies, failures } = open();
  const numbers = Array.from({ length: 60 }, (_, i) => i + 1);
  for (const ask of numbers)
    upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
  await until(() => replies.length + failures.length === 60);
  expect(new Map(replies)).toEqual(new Map(numbers.map((n) => [n, replyTo(query(n))])));
  expect(sockets).toHaveLength(1);
});

test('more questions than the server allows streams wait for their turn', async () => {
  let most = 0;
  let now = 0;
  const { port } = await https(
    (stream, body) => {
      most = Math.max(most, ++now);
      setTimeout(() => {
        now--;
        answer(stream, body);
      }, 2);
    },
    good,
    { settings: { maxConcurrentStreams: 5 } },
  );
  const { upstreams, replies, outcome } = open();
  await outcome(1, server('https', port, { authName }));
  for (let ask = 2; ask <= 40; ask++)
    upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
  await until(() => replies.length === 40);
  expect(most).toBeLessThanOrEqual(5);
});

const responses: readonly (readonly [
  what: string,
  headers: Record<string, string | number>,
  body: string | Uint8Array,
  why: string,
])[] = [
  ['an error', { ':status': 503, 'content-type': 'text/html' }, 'later', 'answers HTTP 503'],
  [
    'a redirection',
    { ':status': 302, location: 'https://192.0.2.1/' },
    '',
    'answers HTTP 302, which sends us elsewhere',
  ],
  [
    'a page',
    { ':status': 200, 'content-type': 'text/html; charset=utf-8' },
    '<p>',
    'answers with text/html and no DNS message',
  ],
  ['a body without a type', { ':status': 200 }, 'x', 'answers with nothing and no DNS message'],
  [
    'too much, and says so',
    { ':status': 200, 'content-type': message, 'content-length': 70_000 },
    new Uint8Array(70_000),
    'answers with more than 65535 octets',
  ],
  [
    'too much',
    { ':status': 200, 'content-type': message },
    new Uint8Array(70_000),
    'answers with more than 65535 octets',
  ],
];

test.each(responses)(
  'a server that answers with %s fails the ask, and the next may do better',
  async (_, headers, body, why) => {
    const { port, requests, sockets } = await https((stream, octets) => {
      if (requests.length > 1) {
        answer(stream, octets);
        return;
      }
      stream.respond(headers);
      stream.end(body);
    });
    const { outcome } = open();
    expect(await outcome(1, server('https', port, { authName }))).toBe(`127.0.0.1:${port} ${why}`);
    expect(await outcome(2, server('https', port, { authName }))).toEqual(replyTo(query(2)));
    expect(sockets).toHaveLength(1);
  },
);

test('a reply with an id of its own keeps it, and no question takes it for its reply', async () => {
  const { port } = await https((stream, body) => {
    stream.respond({ ':status': 200, 'content-type': message });
    stream.end(replyTo(body).fill(9, 0, 2));
  });
  const { outcome } = open();
  const reply = await outcome(1, server('https', port, { authName }));
  expect(reply).toEqual(replyTo(query(1)).fill(9, 0, 2));
});

test('a connection that the server ended is made anew, with the session of the last', async () => {
  const { port, sockets } = await https(answer);
  const { outcome, failures, upstreams } = open();
  await outcome(1, server('https', port, { authName }));
  sockets[0]?.destroy();
  await outcome(2, server('https', port, { authName }));
  expect(failures).toEqual([]);
  expect(sockets).toHaveLength(2);
  expect(sockets[1]?.isSessionReused()).toBe(true);
  upstreams.renew();
  await until(() => sockets[1]?.destroyed === true);
  await outcome(3, server('https', port, { authName }));
  expect(sockets[2]?.isSessionReused()).toBe(false);
});

test('what a GOAWAY left undone is asked again', async () => {
  const { port, sockets } = await https((stream, body) => {
    if (sockets.length > 1) {
      answer(stream, body);
      return;
    }
    // RFC 9113 §6.8: of the others nothing has been looked at.
    if (stream.id !== 1) return;
    stream.session?.goaway(0, 1);
    answer(stream, body);
  });
  const { upstreams, replies, failures } = open();
  for (let ask = 1; ask <= 8; ask++)
    upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
  await until(() => replies.length + failures.length === 8);
  expect(failures).toEqual([]);
});

test.each([
  [
    'in the middle of the reply',
    (stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 200, 'content-type': message, 'content-length': 20 });
      stream.write(new Uint8Array(5), () => stream.session?.destroy());
    },
  ],
  ['at the question', (stream: ServerHttp2Stream) => stream.session?.destroy()],
  [
    'the stream',
    (stream: ServerHttp2Stream) => {
      stream.close(2);
    },
  ],
])(
  'a server that breaks off %s fails the asks, and does not make us connect for ever',
  async (_, breakOff) => {
    const { port, sockets } = await https((stream) => breakOff(stream));
    const { upstreams, failures } = open();
    for (let ask = 1; ask <= 8; ask++)
      upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
    await until(() => failures.length === 8);
    const connections = sockets.length;
    await pause(50);
    expect(sockets.length).toBe(connections);
    expect(connections).toBeLessThan(8);
  },
);

test('a server that closes each connection after the handshake fails the ask', async () => {
  const { port, sockets } = await https(answer, good, {}, (socket) => socket.destroy());
  const { outcome } = open();
  expect(await outcome(1, server('https', port, { authName }))).toMatch(/^127\.0\.0\.1:\d+ /);
  expect(sockets.length).toBeLessThan(8);
});

test.each([
  ['octets at random', new Uint8Array(500).fill(0x41)],
  ['a frame of 16 MB', Uint8Array.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, ...new Uint8Array(100))],
  ['HTTP/1.1', new TextEncoder().encode('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')],
])('where HTTP/2 is agreed on and %s come, the ask fails', async (_, octets) => {
  let connections = 0;
  const { cert, key } = good;
  const port = await listen(
    createTlsServer({ cert, key, ALPNProtocols: ['h2'] }, (socket) => {
      connections++;
      socket.on('error', () => undefined);
      socket.write(octets);
    }),
  );
  const { outcome } = open();
  expect(await outcome(1, server('https', port, { authName }))).toMatch(/^127\.0\.0\.1:\d+ /);
  expect(connections).toBeLessThan(8);
});

test('whoever asks again as soon as an ask fails is heard, however it failed', async () => {
  const wrongName = await https(answer, certificate({ names: ['other.example'], issuer: authority }));
  const breaksOff = await https((stream) => stream.session?.destroy());
  const resets = await https((stream) => {
    stream.close(2);
  });
  const goesAway = await https((stream) => stream.session?.goaway(1, 0));
  const refuses = await https((stream) => {
    stream.respond({ ':status': 500 }, { endStream: true });
  });
  const closes = await https(answer, good, {}, (socket) => socket.destroy());
  const { port: gone } = await https(answer);
  await cleanups.splice(-1)[0]?.();
  const ports = [...[wrongName, breaksOff, resets, goesAway, refuses, closes].map((s) => s.port), gone];
  const again = (ask: number): void => {
    made.upstreams.release(ask);
    if (ask < 1_000) send(ask + 1_000);
  };
  const made: Asker = asker({ authorities }, again);
  const send = (ask: number): void => {
    const port = ports[ask % 10] ?? 0;
    made.upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
  };
  cleanups.push(() => {
    made.upstreams.close();
  });
  for (let n = 10; n < 60; n++) if (n % 10 < ports.length) send(n);
  await until(() => made.failures.length === 5 * ports.length * 2);
  expect(made.replies).toEqual([]);
});

test('a server that is silent is left alone by the next question', async () => {
  const { port, sockets } = await https((stream, body) => {
    if (sockets.length > 1) answer(stream, body);
  });
  const { upstreams, outcome, failures } = open();
  upstreams.ask({ kind: 'ask', ask: 1, server: server('https', port, { authName }), octets: query(1) });
  await pause(1_600);
  upstreams.release(1);
  expect(await outcome(2, server('https', port, { authName }))).toEqual(replyTo(query(2)));
  await until(() => sockets[0]?.destroyed === true);
  expect(failures).toEqual([]);
});

test('a connection without questions ends after a while, and the next question makes one', async () => {
  const { port, sockets } = await https(answer);
  const { outcome } = open({ https: { idleMs: 40 } });
  await outcome(1, server('https', port, { authName }));
  await until(() => sockets[0]?.destroyed === true);
  expect(await outcome(2, server('https', port, { authName }))).toEqual(replyTo(query(2)));
});

test('connections are bounded: the idlest goes first, and where all are busy none is made', async () => {
  const idle = await https(answer);
  const busy = await https(() => undefined);
  const { upstreams, outcome, failures } = open({ https: { servers: 1 } });
  await outcome(1, server('https', idle.port, { authName }));
  upstreams.ask({ kind: 'ask', ask: 2, server: server('https', busy.port, { authName }), octets: query(2) });
  await until(() => idle.sockets[0]?.destroyed === true && busy.requests.length === 1);
  upstreams.ask({ kind: 'ask', ask: 3, server: server('https', idle.port, { authName }), octets: query(3) });
  await until(() => failures.length === 1);
  expect(failures).toEqual([[3, 'there are connections to 1 other servers already']]);
});

const faults: readonly (readonly [what: string, identity: Identity, why: RegExp])[] = [
  [
    'another name',
    certificate({ names: ['other.example'], issuer: authority }),
    /is for other\.example and not for dns\.example\.net$/,
  ],
  [
    'a date that has passed',
    certificate({ names: [authName], issuer: authority, notAfter: new Date(Date.now() - 1e7) }),
    /has expired/,
  ],
  ['its own signature', certificate({ names: [authName] }), /is self-signed/],
];

test.each(faults)('a certificate with %s is refused before anything is asked', async (_, identity, why) => {
  const { port, requests, sockets } = await https(answer, identity);
  const { outcome } = open();
  expect(await outcome(1, server('https', port, { authName }))).toMatch(why);
  expect(requests).toEqual([]);
  expect(sockets.length).toBeLessThan(3);
});

test('without a name to prove, any certificate does', async () => {
  const { port, requests } = await https(answer, certificate({}));
  const { outcome } = open();
  expect(await outcome(1, server('https', port))).toEqual(replyTo(query(1)));
  expect(requests[0]?.headers[':authority']).toBe(`127.0.0.1:${port}`);
});

test('a server without HTTP/2, one without TLS, and one that never ends the handshake are told apart', async () => {
  const old = await listen(createTlsServer({ ...good, ALPNProtocols: ['http/1.1'] }, () => undefined));
  const older = await listen(createTlsServer(good, () => undefined));
  const clear = await tcp((socket) => socket.write('220 mail.example.net\r\n'));
  const mute = await tcp(() => undefined);
  const { outcome } = open({ https: { connectMs: 100 } });
  const why = (n: number, port: number): Promise<unknown> => outcome(n, server('https', port, { authName }));
  expect(await why(1, old)).toBe(`127.0.0.1:${old} does not speak HTTP/2`);
  expect(await why(4, older)).toBe(`127.0.0.1:${older} does not speak HTTP/2`);
  expect(await why(2, clear)).toMatch(/^\S+ speaks no TLS that we understand: /);
  expect(await why(3, mute)).toBe(`127.0.0.1:${mute} does not finish the TLS handshake`);
});

test('asks that are released while the connection is made are not sent, and others are', async () => {
  const { port, requests } = await https(answer);
  const { upstreams, replies } = open();
  for (const ask of [1, 2, 3])
    upstreams.ask({ kind: 'ask', ask, server: server('https', port, { authName }), octets: query(ask) });
  upstreams.release(1);
  await pause(0);
  upstreams.release(3);
  await until(() => replies.length === 1);
  expect(replies).toEqual([[2, replyTo(query(2))]]);
  expect(requests).toHaveLength(1);
});

test('where the module for HTTPS cannot be loaded, or not be used, each ask fails with the reason', async () => {
  const failures: (readonly [number, string])[] = [];
  const events = {
    reply: () => undefined,
    failed: (ask: number, why: string) => failures.push([ask, why]),
  };
  const load = (): Promise<never> => Promise.reject(new Error('no such module'));
  const carrier = new HttpsCarrier(events, new TlsTrust([]), {}, load);
  for (const ask of [1, 2]) carrier.ask({ kind: 'ask', ask, server: server('https', 1), octets: query(ask) });
  carrier.release(2);
  await until(() => failures.length > 0);
  await pause(5);
  expect(failures).toEqual([[1, '127.0.0.1:1 cannot be asked over HTTPS: no such module']]);
  carrier.close();

  const { outcome } = open();
  const nameless = server('https', 1, { authName: 'no name' });
  expect(await outcome(3, nameless)).toContain('127.0.0.1:1 cannot be asked over HTTPS: ');
});

function answer(stream: ServerHttp2Stream, body: Uint8Array): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': 200, 'content-type': message });
  stream.end(replyTo(body));
}

function withId0(octets: Uint8Array): Uint8Array {
  return octets.slice().fill(0, 0, 2);
}

interface Served {
  readonly port: number;
  readonly sockets: TLSSocket[];
  readonly requests: { readonly headers: IncomingHttpHeaders; readonly body: Uint8Array }[];
}

async function https(
  onRequest: (stream: ServerHttp2Stream, body: Uint8Array) => unknown,
  { cert, key }: Identity = good,
  options: SecureServerOptions = {},
  onSocket?: (socket: TLSSocket) => unknown,
): Promise<Served> {
  const served: Omit<Served, 'port'> = { sockets: [], requests: [] };
  const listener = createSecureServer({ ...options, cert, key });
  listener.on('secureConnection', (socket: TLSSocket) => {
    served.sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket?.(socket);
  });
  listener.on('session', (session) => {
    session.on('error', () => undefined);
    cleanups.push(() => {
      session.destroy();
    });
  });
  listener.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => undefined);
    const parts: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => {
      const body = new Uint8Array(Buffer.concat(parts));
      served.requests.push({ headers, body });
      onRequest(stream, body);
    });
  });
  listener.on('tlsClientError', () => undefined);
  return { ...served, port: await listen(listener) };
}

async function tcp(onSocket: (socket: Socket) => unknown): Promise<number> {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    cleanups.push(() => socket.destroy());
    onSocket(socket);
  });
  return listen(listener);
}

async function listen(listener: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => listener.close());
  return (listener.address() as AddressInfo).port;
}

function open(options?: UpstreamOptions): Asker {
  const made = asker({ authorities, ...options });
  cleanups.push(() => {
    made.upstreams.close();
  });
  return made;
}
