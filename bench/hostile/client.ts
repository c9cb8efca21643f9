import { createSocket, type Socket } from 'node:dgram';
import { decodeMessage, encodeMessage, type Message } from '../../src/dns/message.ts';
import { Class, EdnsOption } from '../../src/dns/types.ts';
import { queryMessage } from '../../test/dns/query.ts';
import { key } from '../../test/dns/zone.ts';

/** What a client reads in an answer. */
export interface Answer {
  readonly rcode: number;
  readonly isAuthentic: boolean;
  readonly isTruncated: boolean;
  /** Extended error, the first of them. */
  readonly ede: number | undefined;
}

/** Asks over UDP with DO, as often at once as one likes. */
export class Client {
  readonly #socket: Socket;
  readonly #open = new Map<number, (answer: Answer | undefined) => void>();
  #id = 0;

  static async open(port: number): Promise<Client> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => {
      socket.connect(port, '127.0.0.1', resolve);
    });
    return new Client(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    // Nobody listens yet: the question is asked again.
    socket.on('error', () => undefined);
    socket.on('message', (octets) => {
      const message = decodeMessage(octets);
      if (message.ok) this.#open.get(message.value.id)?.(answerOf(message.value));
    });
  }

  /** Undefined: nothing came in time. */
  ask(name: string, type: number, limitMs: number): Promise<Answer | undefined> {
    const id = (this.#id = (this.#id + 1) & 0xffff);
    const question = { name: key(name), type, class: Class.IN };
    const edns = { version: 0, udpSize: 1232, dnssecOk: true, options: [] };
    const query = encodeMessage(queryMessage({ id, questions: [question], edns }));
    return new Promise((resolve) => {
      const end = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        this.#open.delete(id);
        resolve(answer);
      };
      const timer = setTimeout(end, limitMs, undefined);
      this.#open.set(id, end);
      this.#socket.send(query);
    });
  }

  /** Until everything is answered. */
  async idle(): Promise<void> {
    while (this.#open.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  close(): void {
    this.#socket.close();
  }
}

function answerOf(message: Message): Answer {
  const ede = message.edns?.options.find((o) => o.code === EdnsOption.EDE)?.data;
  return {
    rcode: message.rcode,
    isAuthentic: message.authenticData,
    isTruncated: message.truncated,
    ede: ede && ((ede[0] ?? 0) << 8) | (ede[1] ?? 0),
  };
}
