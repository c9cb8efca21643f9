import { RawNetlinkSocket } from 'netlink';
import { decoded } from '../../wire/reader.ts';
import type { KernelEvent } from '../port.ts';
import { eventOf } from '../xfrm/events.ts';
import { decodeMessages } from '../xfrm/netlink.ts';
import { Group, NETLINK_XFRM } from '../xfrm/numbers.ts';

/** Listens to the kernel's multicast groups inside the event loop. */
export class EventSocket {
  readonly #tell: (event: KernelEvent) => void;
  #socket: RawNetlinkSocket | undefined;

  /** Throws where the groups may not be joined (CAP_NET_ADMIN). */
  constructor(tell: (event: KernelEvent) => void) {
    this.#tell = tell;
    this.#open();
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket) closed(socket);
  }

  #open(): void {
    const socket = new RawNetlinkSocket(NETLINK_XFRM, {
      recvBufferSize: RECEIVE_BUFFER_OCTETS,
      sendBufferSize: 0x1000,
    });
    this.#socket = socket;
    socket.on('message', (octets) => {
      const messages = decoded(octets, decodeMessages);
      if (!messages.ok) return;
      for (const message of messages.value) {
        const event = eventOf(message);
        if (event) this.#tell(event);
      }
    });
    socket.on('error', () => {
      this.#again(socket);
    });
    for (const group of Object.values(Group)) socket.addMembership(group);
    socket.unref();
  }

  /**
   * ENOBUFS: the kernel had more to tell than fits. libuv gives up a socket in error (it reports EBADF), so a new
   * one takes its place; what was lost in between is one with what did not fit.
   */
  #again(socket: RawNetlinkSocket): void {
    if (this.#socket !== socket) return;
    closed(socket);
    this.#open();
    this.#tell({ kind: 'overrun' });
  }
}

/** The package may have closed it already, after an error of its own. */
function closed(socket: RawNetlinkSocket): void {
  try {
    socket.close();
  } catch {
    // closed already
  }
}

/** About a thousand acquires; the kernel caps it at net.core.rmem_max. */
const RECEIVE_BUFFER_OCTETS = 0x10_0000;
