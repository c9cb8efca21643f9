/**
 * Has the kernel tell more than fits between two turns of the event loop: a child process sends to thousands of
 * addresses, each of which asks for an SA. Prints how many events of each kind came, and how many of three more.
 */
import { spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { larvalReqid, Priority } from '../../src/kernel/bands.ts';
import { openXfrm } from '../../src/kernel/io/xfrm.ts';
import type { Policy } from '../../src/kernel/port.ts';
import { parsePrefix } from '../../src/net/prefix.ts';

const [, script = '', first, last] = process.argv;
if (first !== undefined) await flood(Number(first), Number(last));
else await listen();

async function listen(): Promise<void> {
  const [source, destination] = [parsePrefix('0.0.0.0/0'), parsePrefix('198.19.0.0/16')];
  if (!source || !destination) throw new Error('no prefix');
  const template = { reqid: larvalReqid + 1, mode: 'transport' } as const;
  const policy: Policy = {
    direction: 'out',
    source,
    destination,
    priority: Priority.protect,
    action: 'allow',
    template,
  };
  const kernel = openXfrm();
  const counts = { acquire: 0, expire: 0, mapping: 0, overrun: 0 };
  kernel.events((event) => {
    counts[event.kind]++;
  });
  await kernel.apply([{ op: 'addPolicy', policy }]);
  spawnSync(process.execPath, [script, '0', '3000']);
  await sleep(1000);
  const before = counts.acquire;
  spawnSync(process.execPath, [script, '4000', '4003']);
  await sleep(500);
  await kernel.apply([{ op: 'removePolicy', policy }]);
  console.log(
    JSON.stringify({ overruns: counts.overrun, acquires: before, afterwards: counts.acquire - before }),
  );
  kernel.close();
}

async function flood(from: number, to: number): Promise<void> {
  const socket = createSocket('udp4');
  socket.bind();
  await once(socket, 'listening');
  for (let i = from; i < to; i++) {
    await new Promise((sent) => {
      socket.send('x', 9, `198.19.${i >> 8}.${i & 255}`, sent);
    });
  }
  socket.close();
}
