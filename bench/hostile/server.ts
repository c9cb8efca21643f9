/**
 * `node server.ts`: answers for all the zones of `attacks.ts`, at one port as a resolver would and at addresses of servers
 * for those who iterate. Tells its parent when it is ready, and how many queries came since it was asked last.
 */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import type { NameKey } from '../../src/dns/name.ts';
import { Type } from '../../src/dns/types.ts';
import { stageOf } from '../../test/dns/scenario/stage.ts';
import { key, signingDate, withCaseOf } from '../../test/dns/zone.ts';
import { attacks, countedZones, damage, linesOfAll, nameIn, servers, warmUpZones } from './attacks.ts';
import { resolverPort } from './ports.ts';
import { truncated } from './replies.ts';

const lines = linesOfAll().map((line, i) => ({ words: line.trim().split(/\s+/), at: `line ${i}` }));
const { world } = stageOf(lines, signingDate, 'forward');
damage(world);

const byHand = new Map<NameKey, (query: Uint8Array) => Uint8Array>();
for (const attack of attacks)
  for (let i = 0; i < warmUpZones + countedZones; i++)
    if (attack.reply) byHand.set(key(nameIn(attack, i)), attack.reply);
const zonesAt = world.servers;
let queries = 0;

type Reply = (query: Uint8Array, transport: 'udp' | 'tcp') => Uint8Array;

const asResolver: Reply = (query, transport) => {
  const question = questionOf(query);
  const make = question.type === Type.A ? byHand.get(question.name) : undefined;
  if (!make) return world.answer(query, transport);
  const reply = make(query);
  return transport === 'udp' && reply.length > 1232 ? truncated(query) : reply;
};

const asServerAt =
  (address: string): Reply =>
  (query, transport) => {
    const message = decodeMessage(query);
    if (!message.ok) throw message.error;
    const zones = zonesAt.get(address) ?? [];
    const edns = { version: 0, udpSize: 1232, dnssecOk: message.value.edns?.dnssecOk ?? false, options: [] };
    const said = world.serve(zones, questionOf(query), edns.dnssecOk);
    const reply = encodeMessage({
      ...message.value,
      response: true,
      ...said,
      ...(message.value.edns && { edns }),
    });
    return withCaseOf(query, transport === 'udp' && reply.length > 1232 ? truncated(query) : reply);
  };

await serve('127.0.0.1', resolverPort, asResolver);
for (const address of Object.values(servers)) await serve(address, 53, asServerAt(address));
// What is signed here is not to be waited for later.
for (const attack of attacks)
  for (let i = 0; i < warmUpZones + countedZones; i++)
    world.resolve({ name: key(nameIn(attack, i)), type: attack.type ?? Type.A, class: 1 });
process.on('message', () => {
  process.send?.(queries);
  queries = 0;
});
process.on('disconnect', () => {
  process.exit();
});
process.send?.(world.anchors().map((a) => [...a.rdata]));

function questionOf(query: Uint8Array) {
  const message = decodeMessage(query);
  const question = message.ok ? message.value.questions[0] : undefined;
  if (!question) throw new Error('a query without a question');
  return question;
}

async function serve(address: string, port: number, reply: Reply): Promise<void> {
  const answered = (query: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array | undefined => {
    queries++;
    try {
      return reply(query, transport);
    } catch {
      // Not to answer is an answer, too.
      return undefined;
    }
  };
  const udp = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  udp.on('message', (query, client) => {
    const octets = answered(query, 'udp');
    if (octets) udp.send(octets, client.port, client.address);
  });
  const tcp = createServer((socket) => {
    takeMessages(socket, (query) => answered(query, 'tcp'));
  });
  await new Promise<void>((resolve) => udp.bind(port, address, resolve));
  await new Promise<void>((resolve) => tcp.listen(port, address, resolve));
}

/** Two octets of length before each message (RFC 1035 §4.2.2). */
function takeMessages(socket: Socket, answered: (query: Uint8Array) => Uint8Array | undefined): void {
  let come = Buffer.alloc(0);
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    come = Buffer.concat([come, chunk]);
    while (come.length >= 2 && come.length >= 2 + come.readUInt16BE()) {
      const end = 2 + come.readUInt16BE();
      const octets = answered(come.subarray(2, end));
      come = come.subarray(end);
      if (!octets) continue;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(octets.length);
      socket.write(Buffer.concat([length, octets]));
    }
  });
}
