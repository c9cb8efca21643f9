import { decoded } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';
import {
  AF_NETLINK,
  bind,
  close,
  errnoName,
  receive,
  send,
  setIntOption,
  socket,
  SOCK_RAW,
} from '../../net/io/libc.ts';
import {
  decodeError,
  decodeMessages,
  encodeMessage,
  Flag,
  NLMSG_DONE,
  NLMSG_ERROR,
  type NetlinkMessage,
} from '../xfrm/netlink.ts';

/** The kernel's answer to one request: messages, or the errno with which it refused. */
export type Reply =
  | { readonly ok: true; readonly messages: readonly NetlinkMessage[] }
  /** `code`: the errno's name; `text`: the kernel's own words, where it has some. */
  | { readonly ok: false; readonly code: string; readonly text: string | undefined };

/**
 * Requests over a netlink socket. The kernel performs a request inside `send`, so the answer is there when that
 * returns and nothing needs to be awaited: a request costs about as much as the system calls.
 */
export class NetlinkSocket {
  readonly #fd: number;
  readonly #about: string;
  #sequence = 0;

  /** Throws `SystemCallError`, e.g. EPROTONOSUPPORT where the kernel lacks the protocol. */
  constructor(protocol: number, about: string) {
    this.#about = about;
    this.#fd = socket(AF_NETLINK, SOCK_RAW, protocol, about);
    try {
      bind(this.#fd, anyNetlinkAddress, about);
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK]) {
        setIntOption(this.#fd, SOL_NETLINK, option, 1, about);
      }
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  request(type: number, flags: number, body: (w: Writer) => void): Reply {
    const sequence = ++this.#sequence;
    const request = encodeMessage(type, flags | Flag.ACK, sequence, body);
    send(this.#fd, request, this.#about);
    request.fill(0); // it may hold keys
    return this.#collect(sequence);
  }

  /** All that there is of a kind; asked again where it changed while the kernel told it (NLM_F_DUMP_INTR). */
  dump(type: number, body: (w: Writer) => void): Reply {
    for (let attempt = 1; ; attempt++) {
      const sequence = ++this.#sequence;
      send(this.#fd, encodeMessage(type, Flag.DUMP, sequence, body), this.#about);
      const reply = this.#collect(sequence);
      const interrupted = reply.ok && reply.messages.some((m) => (m.flags & Flag.DUMP_INTR) !== 0);
      if (!interrupted || attempt === DUMP_ATTEMPTS) return reply;
    }
  }

  close(): void {
    close(this.#fd);
  }

  #collect(sequence: number): Reply {
    const messages: NetlinkMessage[] = [];
    for (;;) {
      // A buffer for each datagram: the messages point into it.
      const buffer = new Uint8Array(BUFFER_OCTETS);
      const length = receive(this.#fd, buffer, this.#about);
      if (length === undefined || length > buffer.length) {
        return { ok: false, code: 'EIO', text: `no whole answer from ${this.#about}` };
      }
      const datagram = decoded(buffer.subarray(0, length), decodeMessages);
      if (!datagram.ok) return { ok: false, code: 'EBADMSG', text: datagram.error.message };
      for (const message of datagram.value) {
        // Left over from a request whose answer could not be read.
        if (message.sequence !== sequence) continue;
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          messages.push(message);
          continue;
        }
        const outcome = decoded(message.body, (r) =>
          message.type === NLMSG_ERROR ? decodeError(message, r) : { errno: -r.i32le(), rest: r.rest() },
        );
        if (!outcome.ok) return { ok: false, code: 'EBADMSG', text: outcome.error.message };
        const { errno } = outcome.value;
        if (errno === 0) return { ok: true, messages };
        const text = 'text' in outcome.value ? outcome.value.text : undefined;
        return { ok: false, code: errnoName(errno), text };
      }
    }
  }
}

/** Struct sockaddr_nl: no port (the kernel chooses one), no groups. */
const anyNetlinkAddress = new Uint8Array([AF_NETLINK, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const DUMP_ATTEMPTS = 5;
/** The kernel fills up to 32 KiB with a dump's messages, and more only with a larger one. */
const BUFFER_OCTETS = 0x1_0000;
