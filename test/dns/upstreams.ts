import type { Endpoint } from '../../src/net/address.ts';
import type { Server } from '../../src/dns/finder.ts';
import { Upstreams, type UpstreamOptions } from '../../src/dns/io/upstream.ts';

/** Sockets towards servers, and what came of the asks. */
export interface Asker {
  readonly upstreams: Upstreams;
  readonly replies: (readonly [ask: number, octets: Uint8Array])[];
  readonly failures: (readonly [ask: number, why: string])[];
  /** Asks, and waits for the reply or the reason why there is none; the ask is released then. */
  readonly outcome: (
    ask: number,
    server: Server,
    octets?: Uint8Array,
    keepMs?: number,
  ) => Promise<Uint8Array | string>;
}

/** An {@link Asker}; whoever makes it closes its upstreams. `failed` hears of failures as they come. */
export function asker(options?: UpstreamOptions, failed?: (ask: number) => void): Asker {
  const replies: (readonly [number, Uint8Array])[] = [];
  const failures: (readonly [number, string])[] = [];
  const upstreams = new Upstreams(
    {
      reply: (ask, octets) => replies.push([ask, octets]),
      failed: (ask, why) => {
        failures.push([ask, why]);
        failed?.(ask);
      },
    },
    options,
  );
  const outcome = async (
    ask: number,
    server: Server,
    octets = query(ask),
    keepMs?: number,
  ): Promise<Uint8Array | string> => {
    upstreams.ask({ kind: 'ask', ask, server, octets });
    const find = (): Uint8Array | string | undefined =>
      (replies.find(([n]) => n === ask) ?? failures.find(([n]) => n === ask))?.[1];
    await until(() => find() !== undefined);
    upstreams.release(ask, keepMs);
    return find() ?? '';
  };
  return { upstreams, replies, failures, outcome };
}

/** Octets that pass for a query, with an id that nobody guesses from the number. */
export function query(number: number): Uint8Array {
  const octets = new Uint8Array(20);
  new DataView(octets.buffer).setUint16(0, 0x4000 + number);
  new DataView(octets.buffer).setUint32(16, number);
  return octets;
}

/** The reply to {@link query}. */
export function replyTo(octets: Uint8Array): Uint8Array {
  const reply = octets.slice();
  reply[2] = 0x80;
  return reply;
}

export function server(transport: Server['transport'], port: number, more: Partial<Server> = {}): Server {
  return { endpoint: loopback(port), transport, ...more };
}

export function loopback(port: number): Endpoint {
  return { address: { family: 4, octets: Uint8Array.of(127, 0, 0, 1) }, port };
}

export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 1_000) throw new Error('it does not come about');
    await pause(4);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
