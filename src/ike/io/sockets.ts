import { createSocket, type Socket } from 'node:dgram';
import { formatAddress, parseAddress, type Endpoint, type IpAddress } from '../../net/address.ts';
import { openUdpSocket, SystemCallError } from '../../net/io/libc.ts';

export interface IkeSocketsOptions {
  readonly ports: { readonly ike: number; readonly natt: number };
  /** `octets` is ours to keep. */
  readonly received: (local: Endpoint, remote: Endpoint, octets: Uint8Array) => void;
  /** A datagram that could not be sent, or an address that could not be bound; nothing ends by it. */
  readonly failed: (what: string, why: string) => void;
}

/**
 * Two UDP sockets for each of this host's addresses: one on the IKE port, one on that of NAT traversal, where the
 * kernel takes ESP in UDP for itself. One socket per address, so that a reply leaves from where the request came.
 * All pass beside every IPsec policy.
 */
export class IkeSockets {
  readonly #options: IkeSocketsOptions;
  readonly #sockets = new Map<string, { readonly socket: Socket; readonly local: Endpoint }>();
  readonly #reported = new Set<string>();
  #refused: Endpoint | undefined;

  constructor(options: IkeSocketsOptions) {
    this.#options = options;
  }

  /**
   * Opens what is missing and closes what is no longer ours. Throws {@link SystemCallError} with code `EADDRINUSE`
   * where another program has a port; an address that is not ready yet (IPv6 still looks for doubles) is tried
   * again at the next call.
   */
  follow(addresses: readonly IpAddress[]): void {
    const { ike, natt } = this.#options.ports;
    const wanted = new Map<string, { readonly local: Endpoint; readonly espInUdp: boolean }>();
    for (const address of addresses) {
      wanted.set(keyOf(address, ike), { local: { address, port: ike }, espInUdp: false });
      wanted.set(keyOf(address, natt), { local: { address, port: natt }, espInUdp: true });
    }
    for (const [key, { socket }] of this.#sockets) {
      if (wanted.has(key)) continue;
      this.#sockets.delete(key);
      socket.close();
    }
    for (const [key, { local, espInUdp }] of wanted) {
      if (!this.#sockets.has(key)) this.#open(key, local, espInUdp);
    }
  }

  /** Best effort: IKE repeats what is lost. */
  send(local: Endpoint, remote: Endpoint, octets: Uint8Array): void {
    const found = this.#sockets.get(keyOf(local.address, local.port));
    if (!found) {
      this.#options.failed('ike.send', `no socket on ${formatAddress(local.address)}`);
      return;
    }
    found.socket.send(octets, remote.port, formatAddress(remote.address), (error) => {
      if (error) this.#options.failed('ike.send', error.message);
    });
  }

  /** The endpoint at which {@link follow} threw last. */
  get refused(): Endpoint | undefined {
    return this.#refused;
  }

  get locals(): Endpoint[] {
    return [...this.#sockets.values()].map((s) => s.local);
  }

  close(): void {
    for (const { socket } of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  #open(key: string, local: Endpoint, espInUdp: boolean): void {
    let fd: number;
    try {
      ({ fd } = openUdpSocket({ local, bypassIpsec: true, espInUdp }));
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'EADDRNOTAVAIL') {
        this.#refused = local;
        throw error;
      }
      if (!this.#reported.has(key)) this.#options.failed('ike.bind', error.message);
      this.#reported.add(key);
      return;
    }
    this.#reported.delete(key);
    const { family } = local.address;
    // The default look-up would defer every send to a later turn, though addresses need none.
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      lookup: (host, _options, callback) => {
        callback(null, host, family);
      },
    });
    socket.on('error', (error) => {
      this.#options.failed('ike.socket', error.message);
    });
    socket.on('message', (octets, from) => {
      const address = parseAddress(from.address.split('%')[0] ?? '');
      if (address) this.#options.received(local, { address, port: from.port }, octets);
    });
    socket.bind({ fd });
    this.#sockets.set(key, { socket, local });
  }
}

function keyOf(address: IpAddress, port: number): string {
  return `${port} ${formatAddress(address)}`;
}
