import {
  AF_NETLINK,
  bind,
  close,
  receive,
  setIntOption,
  socket,
  SOCK_RAW,
  SystemCallError,
} from '../../net/io/libc.ts';
import { decoded } from '../../wire/reader.ts';
import { encoded } from '../../wire/writer.ts';
import type { KernelEvent } from '../port.ts';
import { eventOf } from '../xfrm/events.ts';
import { decodeMessages } from '../xfrm/netlink.ts';
import { Group, NETLINK_XFRM } from '../xfrm/numbers.ts';

/**
 * Listens to the kernel's multicast groups, looking every {@link LOOK_MS}. Node lends its event loop to no file
 * descriptor of this kind, and the `netlink` package, which brings its own hold on the loop, ends the whole process
 * when the kernel has had more to tell than fits (ENOBUFS), which any local user can bring about.
 */
export class EventSocket {
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  readonly #tell: (event: KernelEvent) => void;
  readonly #buffer = new Uint8Array(BUFFER_OCTETS);
  #open = true;

  /** Throws `SystemCallError` where the groups may not be joined (EPERM: CAP_NET_ADMIN is missing). */
  constructor(tell: (event: KernelEvent) => void) {
    this.#tell = tell;
    this.#fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM, ABOUT);
    try {
      setIntOption(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_OCTETS, ABOUT);
      bind(this.#fd, groupsAddress(Object.values(Group)), ABOUT);
    } catch (error) {
      close(this.#fd);
      throw error;
    }
    this.#timer = setInterval(() => {
      this.#look();
    }, LOOK_MS).unref();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    clearInterval(this.#timer);
    close(this.#fd);
  }

  #look(): void {
    // Bounded, so that a flood of events leaves the event loop its turn; a listener may close us.
    for (let count = 0; count < DATAGRAMS_AT_ONCE && this.#open; count++) {
      let length: number | undefined;
      try {
        length = receive(this.#fd, this.#buffer, ABOUT);
      } catch (error) {
        if (!(error instanceof SystemCallError) || error.code !== 'ENOBUFS') throw error;
        this.#tell({ kind: 'overrun' });
        continue;
      }
      if (length === undefined) return;
      if (length > this.#buffer.length) continue;
      // A copy: events keep addresses, and the next datagram comes into the same buffer.
      const messages = decoded(this.#buffer.slice(0, length), decodeMessages);
      if (!messages.ok) continue;
      for (const message of messages.value) {
        const event = eventOf(message);
        if (event) this.#tell(event);
      }
    }
  }
}

/** Struct sockaddr_nl that joins groups 1–32. */
function groupsAddress(groups: readonly number[]): Uint8Array {
  return encoded((w) => {
    w.u16le(AF_NETLINK);
    w.u16le(0);
    w.u32le(0); // port: the kernel chooses one
    w.u32le(groups.reduce((mask, group) => mask | (1 << (group - 1)), 0));
  });
}

const ABOUT = 'NETLINK_XFRM events';
/** An expiry can wait; an acquire's packet is lost anyway and comes again after a second. */
const LOOK_MS = 50;
const DATAGRAMS_AT_ONCE = 256;
const BUFFER_OCTETS = 0x1000;
/** About a thousand acquires. */
const RECEIVE_BUFFER_OCTETS = 0x10_0000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
