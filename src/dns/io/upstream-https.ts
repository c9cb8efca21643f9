import type { TLSSocket } from 'node:tls';
import type * as Undici from 'undici';
import { messageOf } from '../../errors.ts';
import { formatAddress, formatEndpoint } from '../../net/address.ts';
import type { Server } from '../finder.ts';
import { loadTls, serverKey, tlsFailure, type TlsTrust } from './tls-trust.ts';
import { doubtMs, type Ask, type Carrier, type UpstreamEvents } from './upstream-events.ts';

/** How HTTP connections are used. */
export interface HttpsLimits {
  /** Servers with a connection; one more closes the one that is idle longest, or is not asked. */
  readonly servers: number;
  /** From the first packet to the end of the handshake, ms. */
  readonly connectMs: number;
  /** How long a connection without a question is kept, ms. */
  readonly idleMs: number;
}

export const defaultHttpsLimits: HttpsLimits = { servers: 32, connectMs: 5_000, idleMs: 30_000 };

/** What a DNS message can have at most. */
const maxReplyOctets = 0xffff;
/** Questions at once; servers allow about as many streams (RFC 9113 §6.5.2). */
const maxStreams = 100;
/** How often one question is sent again because its connection ended. */
const maxTries = 2;
/** Connections in a row that bring no reply. */
const maxVainConnections = 3;
const messageType = 'application/dns-message';

/**
 * Queries over HTTPS (RFC 8484), by POST over HTTP/2. The address is the one that the server was given with: its name
 * is never looked up, and stands only in the certificate and in the request. Nothing tells who asks: no cookie, no
 * user agent, no cache (§8.2).
 */
export class HttpsCarrier implements Carrier {
  readonly #events: UpstreamEvents;
  readonly #trust: TlsTrust;
  readonly #limits: HttpsLimits;
  readonly #load: () => Promise<typeof Undici>;
  readonly #asked = new Map<number, HttpServer>();
  readonly #servers = new Map<string, HttpServer>();
  readonly #retired = new Set<HttpServer>();
  /** 0.1 s and 20 MB that a host without such a server does not spend. */
  #undici: Promise<typeof Undici> | undefined;

  constructor(
    events: UpstreamEvents,
    trust: TlsTrust,
    limits: Partial<HttpsLimits> = {},
    load = (): Promise<typeof Undici> => import('undici'),
  ) {
    // Later than undici's own call: it asserts that nobody asks while it tells of a failure.
    this.#events = {
      reply: (ask, octets) => {
        this.#later(ask, () => {
          events.reply(ask, octets);
        });
      },
      failed: (ask, why) => {
        this.#later(ask, () => {
          events.failed(ask, why);
        });
      },
    };
    this.#trust = trust;
    this.#limits = { ...defaultHttpsLimits, ...limits };
    this.#load = load;
  }

  /** Loads what asking wants, so that no question waits for it. */
  async prepare(): Promise<void> {
    await (this.#undici ??= this.#load());
  }

  ask(ask: Ask): void {
    const key = serverKey(ask.server);
    let server = this.#servers.get(key);
    if (server?.isRetired === true) this.#retire(key, server);
    server = this.#servers.get(key);
    if (server === undefined) {
      if (this.#servers.size >= this.#limits.servers && !this.#closeIdlest()) {
        setImmediate(() => {
          this.#events.failed(
            ask.ask,
            `there are connections to ${this.#servers.size} other servers already`,
          );
        });
        return;
      }
      this.#undici ??= this.#load();
      server = new HttpServer(ask.server, this.#trust, this.#limits, this.#undici, this.#events);
      this.#servers.set(key, server);
    }
    this.#asked.set(ask.ask, server);
    server.ask(ask);
  }

  release(ask: number): boolean {
    const server = this.#asked.get(ask);
    this.#asked.delete(ask);
    server?.release(ask);
    if (server?.isRetired === true && server.isIdle) this.#retired.delete(server);
    return server !== undefined;
  }

  renew(): void {
    for (const [key, server] of [...this.#servers]) this.#retire(key, server);
  }

  close(): void {
    for (const server of [...this.#servers.values(), ...this.#retired]) server.close();
    this.#asked.clear();
    this.#servers.clear();
    this.#retired.clear();
  }

  #later(ask: number, tell: () => void): void {
    const server = this.#asked.get(ask);
    queueMicrotask(() => {
      if (server === undefined || this.#asked.get(ask) === server) tell();
    });
  }

  #retire(key: string, server: HttpServer): void {
    this.#servers.delete(key);
    server.retire();
    if (!server.isIdle) this.#retired.add(server);
  }

  #closeIdlest(): boolean {
    let idlest: [string, HttpServer] | undefined;
    for (const entry of this.#servers)
      if (entry[1].isIdle && (idlest === undefined || entry[1].lastActive < idlest[1].lastActive))
        idlest = entry;
    if (idlest !== undefined) this.#retire(...idlest);
    return idlest !== undefined;
  }
}

interface Open {
  readonly ask: Ask;
  /** Monotonic ms. */
  readonly at: number;
  tries: number;
  stop: ((why: Error) => void) | undefined;
}

/** One server and the connection to it, which is made anew when a question finds none. */
class HttpServer {
  readonly #server: Server;
  readonly #trust: TlsTrust;
  readonly #limits: HttpsLimits;
  readonly #events: UpstreamEvents;
  readonly #undici: Promise<typeof Undici>;
  readonly #open = new Map<number, Open>();
  #client: Undici.Client | undefined;
  #idle: NodeJS.Timeout | undefined;
  #isRetired = false;
  #lastReply = 0;
  #vainConnections = 0;

  constructor(
    server: Server,
    trust: TlsTrust,
    limits: HttpsLimits,
    undici: Promise<typeof Undici>,
    events: UpstreamEvents,
  ) {
    this.#server = server;
    this.#trust = trust;
    this.#limits = limits;
    this.#undici = undici;
    this.#events = events;
  }

  /** It takes no more questions. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** Monotonic, ms. */
  get lastActive(): number {
    return this.#lastReply;
  }

  ask(ask: Ask): void {
    clearTimeout(this.#idle);
    const open: Open = { ask, at: performance.now(), tries: 0, stop: undefined };
    this.#open.set(ask.ask, open);
    if (this.#client !== undefined) {
      this.#send(this.#client, open);
      return;
    }
    const isWanted = (): boolean => this.#open.get(ask.ask) === open;
    this.#undici
      .then((undici) => {
        if (!isWanted()) return;
        this.#client ??= this.#connected(undici);
        this.#send(this.#client, open);
      })
      .catch((error: unknown) => {
        if (!isWanted()) return;
        this.#open.delete(ask.ask);
        const who = formatEndpoint(this.#server.endpoint);
        this.#events.failed(ask.ask, `${who} cannot be asked over HTTPS: ${messageOf(error)}`);
      });
  }

  release(ask: number): void {
    const open = this.#open.get(ask);
    if (open === undefined) {
      this.#restIfIdle();
      return;
    }
    this.#open.delete(ask);
    if (performance.now() - Math.max(open.at, this.#lastReply) >= doubtMs) this.#isRetired = true;
    open.stop?.(new Error('no reply is wanted any more'));
    this.#restIfIdle();
  }

  retire(): void {
    this.#isRetired = true;
    this.#restIfIdle();
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#isRetired = true;
    this.#open.clear();
    const client = this.#client;
    this.#client = undefined;
    client?.destroy().catch(() => undefined);
  }

  #restIfIdle(): void {
    clearTimeout(this.#idle);
    if (this.#open.size > 0) return;
    if (this.#isRetired) {
      this.close();
      return;
    }
    this.#idle = setTimeout(() => {
      const client = this.#client;
      this.#client = undefined;
      client?.destroy().catch(() => undefined);
    }, this.#limits.idleMs).unref();
  }

  #connected({ Client }: typeof Undici): Undici.Client {
    const { endpoint, authName } = this.#server;
    const address = formatAddress(endpoint.address);
    const host = authName ?? (endpoint.address.family === 4 ? address : `[${address}]`);
    return new Client(`https://${host}:${endpoint.port}`, {
      allowH2: true,
      pipelining: maxStreams,
      maxConcurrentStreams: maxStreams,
      pingInterval: 0,
      // The timeouts of questions are the resolver's.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_, done) => {
        this.#connect(done);
      },
    });
  }

  #connect(done: Undici.buildConnector.Callback): void {
    const who = formatEndpoint(this.#server.endpoint);
    if (++this.#vainConnections > maxVainConnections) {
      done(new Error(`${who} closes its connections without a reply`), null);
      return;
    }
    const socket: TLSSocket = loadTls().connect(this.#trust.options(this.#server, 'h2'));
    socket.setNoDelay(true);
    this.#trust.keepSession(this.#server, socket);
    let isDone = false;
    const fail = (why: string): void => {
      clearTimeout(limit);
      socket.destroy();
      if (isDone) return;
      isDone = true;
      done(new Error(why), null);
    };
    const limit = setTimeout(
      fail,
      this.#limits.connectMs,
      `${who} does not finish the TLS handshake`,
    ).unref();
    socket.on('error', (error) => {
      if (!isDone) fail(tlsFailure(this.#server, error));
    });
    socket.once('close', () => {
      if (!isDone) fail(`${who} closes the connection in the TLS handshake`);
    });
    socket.once('secureConnect', () => {
      clearTimeout(limit);
      if (socket.alpnProtocol !== 'h2') {
        fail(`${who} does not speak HTTP/2`); // RFC 8484 §5.2
        return;
      }
      isDone = true;
      done(null, socket);
    });
  }

  #send(client: Undici.Client, open: Open): void {
    const { ask, server, octets } = open.ask;
    open.tries++;
    const body = octets.slice();
    body.fill(0, 0, 2); // The same question has the same octets (RFC 8484 §4.1).
    const parts: Uint8Array[] = [];
    let length = 0;
    const isWanted = (): boolean => this.#open.get(ask) === open;
    const fail = (why: string): void => {
      if (!isWanted()) return;
      this.#open.delete(ask);
      this.#events.failed(ask, why);
    };
    const who = formatEndpoint(server.endpoint);
    const handler: Undici.Dispatcher.DispatchHandler = {
      onRequestStart: (controller) => {
        open.stop = (why) => {
          controller.abort(why);
        };
        if (!isWanted()) controller.abort(new Error('no reply is wanted any more'));
      },
      onResponseStart: (controller, status, headers) => {
        this.#vainConnections = 0;
        this.#lastReply = performance.now();
        const fault = responseFault(status, headers);
        if (fault === undefined) return;
        fail(`${who} ${fault}`);
        controller.abort(new Error(fault));
      },
      onResponseData: (controller, chunk) => {
        length += chunk.length;
        parts.push(chunk);
        if (length <= maxReplyOctets) return;
        fail(`${who} answers with more than ${maxReplyOctets} octets`);
        controller.abort(new Error('too long'));
      },
      onResponseEnd: () => {
        if (!isWanted()) return;
        this.#lastReply = performance.now();
        this.#open.delete(ask);
        this.#events.reply(ask, replyOf(parts, length, octets));
      },
      onResponseError: (_, error) => {
        if (!isWanted()) return;
        open.stop = undefined;
        // A server may end a connection just as we ask (RFC 9113 §9.1); another attempt harms nobody.
        const isLost = 'code' in error && error.code !== undefined;
        if (isLost && open.tries < maxTries && this.#client === client)
          setImmediate(() => {
            if (isWanted() && this.#client === client) this.#send(client, open);
            else fail(messageOf(error));
          });
        else fail(isLost ? `${who} ended the connection: ${messageOf(error)}` : messageOf(error));
      },
    };
    client.dispatch(
      {
        method: 'POST',
        path: server.path ?? '/dns-query',
        headers: { accept: messageType, 'content-type': messageType },
        body,
      },
      handler,
    );
  }
}

/** Why a response is no DNS message (RFC 8484 §4.2.1); no redirection is followed. */
function responseFault(
  status: number,
  headers: Record<string, string | string[] | undefined>,
): string | undefined {
  if (status >= 300 && status < 400) return `answers HTTP ${status}, which sends us elsewhere`;
  if (status < 200 || status >= 300) return `answers HTTP ${status}`;
  const type =
    String(headers['content-type'] ?? 'nothing')
      .split(';')[0]
      ?.trim()
      .toLowerCase() ?? '';
  if (type !== messageType)
    return `answers with ${type.replaceAll(/[^!-~]/g, '?').slice(0, 60)} and no DNS message`;
  if (Number(headers['content-length'] ?? 0) > maxReplyOctets)
    return `answers with more than ${maxReplyOctets} octets`;
  return undefined;
}

/** The message with the id of the question, where the server gave back the one that was sent. */
function replyOf(parts: readonly Uint8Array[], length: number, question: Uint8Array): Uint8Array {
  const reply = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    reply.set(part, at);
    at += part.length;
  }
  if (length >= 2 && reply[0] === 0 && reply[1] === 0) reply.set(question.subarray(0, 2));
  return reply;
}
