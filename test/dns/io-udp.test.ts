import { createSocket, type Socket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { UpstreamOptions } from '../../src/dns/io/upstream.ts';
import { asker, pause, query, replyTo, server, until, type Asker } from './upstreams.ts';

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

test('THREATS A.28: queries that are on their way at once leave from different ports, and replies come back under their numbers', async () => {
  const { port, ports } = await echo();
  const { upstreams, replies, failures } = open();
  const numbers = Array.from({ length: 50 }, (_, i) => i + 1);
  for (const ask of numbers)
    upstreams.ask({ kind: 'ask', ask, server: server('udp', port), octets: query(ask) });
  await until(() => replies.length === numbers.length);
  expect(new Map(replies)).toEqual(new Map(numbers.map((n) => [n, replyTo(query(n))])));
  expect(new Set(ports).size).toBe(numbers.length);
  expect(failures).toEqual([]);
});

test('THREATS A.28: queries one after the other leave from ports by lot, none of which is used for long', async () => {
  const { port, ports } = await echo();
  const { outcome } = open({ udp: { portsPerServer: 4, usesPerPort: 5 } });
  for (let ask = 1; ask <= 80; ask++) await outcome(ask, server('udp', port));
  const uses = Map.groupBy(ports, (p) => p);
  expect(uses.size).toBeGreaterThanOrEqual(16); // 80 queries, five from a port at most.
  for (const [, times] of uses) expect(times.length).toBeLessThanOrEqual(5);
  const [a, b, c, d] = ports;
  expect(new Set([a, b, c, d]).size).toBe(4);
  // The next one is not the one whose turn it would be: of 76 draws among four some repeat at once.
  const repeats = ports.filter((p, i) => i > 0 && p === ports[i - 1]).length;
  expect(repeats).toBeGreaterThan(0);
  expect(repeats).toBeLessThan(60);
});

test('ports towards one server are not used towards another', async () => {
  const one = await echo();
  const other = await echo();
  const { outcome } = open({ udp: { portsPerServer: 1 } });
  for (let ask = 1; ask <= 10; ask++) await outcome(ask, server('udp', ask % 2 ? one.port : other.port));
  expect(one.ports.filter((p) => other.ports.includes(p))).toEqual([]);
});

test('a port is given up after a query without a reply, and after one with two', async () => {
  const times = [0, 2, 1, 1];
  const ports: number[] = [];
  const port = await serve((socket, octets, from) => {
    ports.push(from);
    for (let n = times[ports.length - 1] ?? 1; n > 0; n--) socket.send(replyTo(octets), from, '127.0.0.1');
  });
  const { upstreams, replies, outcome } = open({ udp: { portsPerServer: 1 } });
  upstreams.ask({ kind: 'ask', ask: 1, server: server('udp', port), octets: query(1) });
  await until(() => ports.length === 1);
  upstreams.release(1);
  upstreams.ask({ kind: 'ask', ask: 2, server: server('udp', port), octets: query(2) });
  await until(() => replies.length === 2);
  upstreams.release(2);
  await outcome(3, server('udp', port));
  await outcome(4, server('udp', port));
  expect(new Set(ports.slice(0, 3)).size).toBe(3);
  expect(ports[3]).toBe(ports[2]);
});

test('sockets that were made before the host changed its addresses are not used after', async () => {
  const { port, ports } = await echo();
  const { upstreams, outcome } = open();
  await outcome(1, server('udp', port));
  await outcome(2, server('udp', port));
  expect(portsConnectedTo(port)).toHaveLength(2);
  upstreams.ask({ kind: 'ask', ask: 3, server: server('udp', port), octets: query(3) });
  upstreams.renew();
  upstreams.release(3);
  await until(() => portsConnectedTo(port).length === 0);
  await outcome(4, server('udp', port));
  expect(ports.slice(0, 2)).not.toContain(ports.at(-1));
});

test('sockets without a query are few, and close after a while', async () => {
  const { port } = await echo();
  const { upstreams, replies } = open({ udp: { idle: 5, portMs: 60 } });
  for (let ask = 1; ask <= 20; ask++)
    upstreams.ask({ kind: 'ask', ask, server: server('udp', port), octets: query(ask) });
  await until(() => replies.length === 20);
  for (let ask = 1; ask <= 20; ask++) upstreams.release(ask);
  await until(() => portsConnectedTo(port).length <= 5);
  await until(() => portsConnectedTo(port).length === 0);
});

test('THREATS A.28: a reply from elsewhere does not come through, nor does one after the release', async () => {
  const other = createSocket('udp4');
  cleanups.push(() => other.close());
  const ports: number[] = [];
  const port = await serve((_, octets, from) => {
    ports.push(from);
    other.send(octets, from, '127.0.0.1');
  });
  const { upstreams, replies } = open();
  upstreams.ask({ kind: 'ask', ask: 1, server: server('udp', port), octets: query(1) });
  await until(() => ports.length === 1);
  await pause(30);
  upstreams.release(1);
  upstreams.release(1);
  expect(replies).toEqual([]);
});

test('a server that does not listen fails the ask at once, over UDP and TCP', async () => {
  const { port } = await echo();
  await cleanups.pop()?.();
  const { upstreams, failures } = open();
  upstreams.ask({ kind: 'ask', ask: 1, server: server('udp', port), octets: query(1) });
  upstreams.ask({ kind: 'ask', ask: 2, server: server('tcp', port), octets: query(2) });
  upstreams.ask({ kind: 'ask', ask: 3, server: server('udp', 0), octets: query(3) });
  upstreams.ask({ kind: 'ask', ask: 4, server: server('tls', port), octets: query(4) });
  upstreams.ask({ kind: 'ask', ask: 5, server: server('https', port), octets: query(5) });
  expect(failures).toEqual([]);
  await until(() => failures.length === 5);
  const why = `nothing listens at 127.0.0.1:${port}`;
  for (const ask of [1, 2, 4, 5]) expect(failures).toContainEqual([ask, why]);
});

test('a server that goes away and comes back is asked again over the ports that are left', async () => {
  const first = await echo();
  const { outcome } = open({ udp: { portsPerServer: 1 } });
  await outcome(1, server('udp', first.port));
  await cleanups.splice(0, 1)[0]?.();
  expect(await outcome(2, server('udp', first.port))).toBe(`nothing listens at 127.0.0.1:${first.port}`);
  await serve((socket, octets, from) => {
    socket.send(replyTo(octets), from, '127.0.0.1');
  }, first.port);
  expect(await outcome(3, server('udp', first.port))).toEqual(replyTo(query(3)));
});

function open(options?: UpstreamOptions): Asker {
  const made = asker(options);
  cleanups.push(() => {
    made.upstreams.close();
  });
  return made;
}

/** A server that answers everything, and the ports that it was asked from. */
async function echo(): Promise<{ readonly port: number; readonly ports: number[] }> {
  const ports: number[] = [];
  const port = await serve((socket, octets, from) => {
    ports.push(from);
    socket.send(replyTo(octets), from, '127.0.0.1');
  });
  return { port, ports };
}

async function serve(
  onMessage: (socket: Socket, octets: Uint8Array, port: number) => void,
  at = 0,
): Promise<number> {
  const socket = createSocket('udp4', (octets, from) => {
    onMessage(socket, new Uint8Array(octets), from.port);
  });
  await new Promise<void>((resolve) => {
    socket.bind(at, '127.0.0.1', resolve);
  });
  cleanups.push(() => socket.close());
  return socket.address().port;
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
