/**
 * Puts questions to several resolvers and prints what each says of every one. Runs as a program in a host's
 * namespaces: `node verdict-ask.ts QUESTIONS.json RESULTS.json SERVER…`, questions as `[name, type]` pairs.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { FrameReader, framed } from '../../src/dns/frames.ts';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { nameOf } from '../../src/dns/name.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { Class, EdnsOption, rcodeName, Type, typeName, typeOf } from '../../src/dns/types.ts';

export type Verdict = 'secure' | 'insecure' | 'bogus' | 'silent';

export interface Said {
  readonly verdict: Verdict;
  readonly rcode: string;
  /** The records asked for, sorted, without TTLs and signatures. */
  readonly answer: readonly string[];
  /** What an Extended DNS Error says. */
  readonly why: string;
}

const limitMs = 12_000;
const atOnce = 8;

async function main(): Promise<void> {
  const [questionsFile = '', resultsFile = '', ...servers] = process.argv.slice(2);
  const questions = JSON.parse(readFileSync(questionsFile, 'utf8')) as [string, string][];
  const clients = await Promise.all(servers.map((server) => Client.open(server)));
  const results: Said[][] = questions.map(() => []);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < questions.length; i = next++) {
      const [name, type] = questions[i] ?? ['.', 'A'];
      results[i] = await Promise.all(clients.map((client) => client.ask(name, type)));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  writeFileSync(resultsFile, JSON.stringify(results));
  for (const client of clients) client.close();
}

class Client {
  readonly #server: string;
  readonly #udp: Socket;
  readonly #waiting = new Map<number, (octets: Uint8Array) => void>();
  #id = 1;

  private constructor(server: string, udp: Socket) {
    this.#server = server;
    this.#udp = udp;
    udp.on('message', (octets) => this.#waiting.get(octets.readUInt16BE(0))?.(octets));
  }

  static async open(server: string): Promise<Client> {
    const udp = createSocket('udp4');
    udp.connect(53, server);
    await once(udp, 'connect');
    return new Client(server, udp);
  }

  close(): void {
    this.#udp.close();
  }

  async ask(name: string, type: string): Promise<Said> {
    const id = this.#id++ & 0xffff;
    const query = queryOf(id, name, type);
    // Some are slow about servers that they have just found to be broken.
    let message = (await this.#overUdp(id, query)) ?? (await this.#overUdp(id, query));
    if (message?.truncated === true) message = await this.#overTcp(query);
    return described(message);
  }

  #overUdp(id: number, query: Uint8Array): Promise<Message | undefined> {
    return new Promise((resolve) => {
      const end = (octets: Uint8Array | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(id);
        resolve(octets && read(octets));
      };
      const timer = setTimeout(() => {
        end(undefined);
      }, limitMs);
      this.#waiting.set(id, end);
      this.#udp.send(query);
    });
  }

  #overTcp(query: Uint8Array): Promise<Message | undefined> {
    return new Promise((resolve) => {
      const socket = connect(53, this.#server);
      const frames = new FrameReader();
      socket.setTimeout(limitMs, () => socket.destroy());
      socket.on('data', (chunk) => {
        const [octets] = frames.push(new Uint8Array(chunk as Buffer));
        if (!octets) return;
        resolve(read(octets));
        socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        resolve(undefined);
      });
      socket.write(framed(query));
    });
  }
}

function queryOf(id: number, name: string, type: string): Uint8Array {
  const owner = nameOf(name);
  const number = typeOf(type);
  if (owner === undefined || number === undefined) throw new Error(`no question: ${name} ${type}`);
  return encodeMessage({
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: true,
    checkingDisabled: false,
    rcode: 0,
    questions: [{ name: owner, type: number, class: Class.IN }],
    answer: [],
    authority: [],
    additional: [],
    edns: { version: 0, udpSize: 1232, dnssecOk: true, options: [] },
  });
}

function read(octets: Uint8Array): Message | undefined {
  const message = decodeMessage(new Uint8Array(octets));
  return message.ok ? message.value : undefined;
}

function described(message: Message | undefined): Said {
  if (!message) return { verdict: 'silent', rcode: '', answer: [], why: '' };
  const rcode = rcodeName(message.rcode);
  const error = message.edns?.options.find((o) => o.code === EdnsOption.EDE);
  return {
    verdict: rcode === 'SERVFAIL' ? 'bogus' : message.authenticData ? 'secure' : 'insecure',
    rcode,
    answer: message.answer
      .filter((r) => r.type !== Type.RRSIG)
      .map((r) => `${r.owner} ${typeName(r.type)} ${rdataText(r.type, r.rdata)}`)
      .sort(),
    why: error
      ? `${((error.data[0] ?? 0) << 8) | (error.data[1] ?? 0)} ${new TextDecoder().decode(error.data.subarray(2))}`
      : '',
  };
}

if (import.meta.main) await main();
