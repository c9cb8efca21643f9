/**
 * The application's side of the latency measurement, a program in the client's namespaces:
 * `node wait.ts plain|hook RESOLVER NAME…`. With `hook` it does between answer and release what unbound's ipsecmod
 * does: asks for IPSECKEY when the address is there, calls libreswan's hook and waits for its end.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import * as packet from 'dns-packet';

export interface Measured {
  readonly name: string;
  readonly address: string;
  /** From the query to the answer that the application would get. */
  readonly answeredMs: number;
  /** From the query to an established TCP connection. */
  readonly connectedMs: number;
}

if (import.meta.main) await measure();

async function measure(): Promise<void> {
  const [how, resolver = '127.0.0.1', ...names] = process.argv.slice(2);
  const ask = await asker(resolver);
  // A shell that waits, since a fork of this large process would cost more than unbound's does.
  const shell = spawn('sh', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = createInterface({ input: shell.stdout });
  const hook = async (name: string, address: string, key: string): Promise<void> => {
    shell.stdin.write(`/etc/lab/hook ${name} 3600 ${address} '${key}' >/dev/null 2>&1; echo done\n`);
    await once(said, 'line');
  };
  // The zones' keys, the code of this program and of the resolver become warm.
  for (const warm of ['plain.libreswan.org', 'client.libreswan.org', 'plain.libreswan.org'])
    await ask(warm, 'A');

  for (const name of names) {
    const begin = performance.now();
    const answer = await ask(name, 'A');
    const address = (answer.answers ?? []).flatMap((r) => (r.type === 'A' ? [r.data] : []))[0] ?? '';
    if (how === 'hook') {
      const keys = await ask(name, 'IPSECKEY');
      const record = keys.answers?.find(
        (r) => (r.type as string) === 'UNKNOWN_45' || (r.type as string) === 'IPSECKEY',
      );
      const rdata = (record as { data?: unknown } | undefined)?.data;
      if (!(rdata instanceof Uint8Array))
        throw new Error(`${name} has no key: ${JSON.stringify(keys.answers)}`);
      const key = Buffer.from(rdata.subarray(3)).toString('base64');
      await hook(name, address, `${rdata[0]} ${rdata[1]} ${rdata[2]} . ${key}`);
    }
    const answeredMs = performance.now() - begin;
    await connected(address);
    const connectedMs = performance.now() - begin;
    console.log(JSON.stringify({ name, address, answeredMs, connectedMs } satisfies Measured));
    await sleep(100);
  }
  shell.stdin.end();
  process.exit(0);
}

async function asker(
  resolver: string,
): Promise<(name: string, type: string) => Promise<packet.DecodedPacket>> {
  const socket = createSocket('udp4');
  socket.connect(53, resolver);
  await once(socket, 'connect');
  let id = 1;
  return async (name, type) => {
    id += 1;
    const query = packet.encode({
      type: 'query',
      id,
      flags: packet.RECURSION_DESIRED,
      questions: [{ type: 'A', name }],
      additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0, options: [] } as never],
    });
    // The library has no name for IPSECKEY (45): its number is written over that of A, after the name.
    if (type === 'IPSECKEY') query.writeUInt16BE(45, 12 + name.length + 2);
    socket.send(query);
    for (;;) {
      const [octets] = (await once(socket, 'message', { signal: AbortSignal.timeout(60_000) })) as [Buffer];
      if (octets.readUInt16BE(0) === id) return packet.decode(octets);
    }
  };
}

async function connected(address: string): Promise<void> {
  const socket = connect(80, address);
  await once(socket, 'connect', { signal: AbortSignal.timeout(30_000) });
  socket.destroy();
}
