/**
 * Asks a DNS server one question after the other and prints what came, one JSON object a line. Runs as a program in
 * a host's namespaces: `node ask.ts SERVER[,SERVER…] TIMEOUT_MS TYPE NAME…`; the servers take turns.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import * as packet from 'dns-packet';

export interface Asked {
  readonly name: string;
  /** `TIMEOUT` where nothing came. */
  readonly rcode: string;
  readonly ms: number;
  readonly ad: boolean;
  readonly answers: readonly string[];
  /** Extended DNS Errors (RFC 8914). */
  readonly ede: readonly { readonly code: number; readonly text: string }[];
}

const extendedError = 15;

if (import.meta.main) await askAll();

async function askAll(): Promise<void> {
  const [servers = '127.0.0.1', limit = '5000', type = 'A', ...names] = process.argv.slice(2);
  const sockets = await Promise.all(servers.split(',').map(connected));
  let id = process.pid & 0x7fff;
  for (const [i, name] of names.entries()) {
    const socket = sockets[i % sockets.length];
    if (!socket) throw new Error('no server was named');
    id += 1;
    const query = packet.encode({
      type: 'query',
      id,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: type as 'A', name }],
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never],
    });
    const begin = performance.now();
    socket.send(query);
    const answer = await reply(socket, id, Number(limit));
    console.log(JSON.stringify(describe(name, answer, performance.now() - begin)));
  }
  for (const socket of sockets) socket.close();
}

async function connected(server: string): Promise<Socket> {
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
  socket.connect(53, server);
  await once(socket, 'connect');
  return socket;
}

function reply(socket: Socket, id: number, limitMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const end = (octets: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.off('message', hear);
      resolve(octets);
    };
    const hear = (octets: Buffer): void => {
      if (octets.readUInt16BE(0) === id) end(octets);
    };
    const timer = setTimeout(() => {
      end(undefined);
    }, limitMs);
    socket.on('message', hear);
  });
}

function describe(name: string, octets: Buffer | undefined, ms: number): Asked {
  if (!octets) return { name, rcode: 'TIMEOUT', ms, ad: false, answers: [], ede: [] };
  const message = packet.decode(octets) as packet.DecodedPacket & { readonly rcode: string };
  const options = message.additionals?.flatMap((r) =>
    r.type === 'OPT' ? (r.options as { code: number; data: Buffer }[]) : [],
  );
  return {
    name,
    rcode: message.rcode,
    ms,
    ad: message.flag_ad,
    answers: (message.answers ?? []).flatMap((r) => (r.type === 'A' || r.type === 'AAAA' ? [r.data] : [])),
    ede: (options ?? []).flatMap(({ code, data }) =>
      code === extendedError ? [{ code: data.readUInt16BE(0), text: data.subarray(2).toString('utf8') }] : [],
    ),
  };
}
