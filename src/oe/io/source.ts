import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { openUdpSocket } from '../../net/io/libc.ts';
import { formatAddress, parseAddress, sameAddress, type IpAddress } from '../../net/address.ts';

/** The address from which the kernel would send to `peer`, or undefined where there is no route. Nothing is sent. */
export function sourceFor(peer: IpAddress): Promise<IpAddress | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(peer.family === 4 ? 'udp4' : 'udp6');
    const end = (local: IpAddress | undefined): void => {
      socket.close();
      resolve(local);
    };
    socket.once('error', () => {
      end(undefined);
    });
    // A connected UDP socket has had its source chosen by the routing table. The discard port, should anybody ask.
    const choose = (): void => {
      socket.connect(9, formatAddress(peer), () => {
        const local = parseAddress(withoutZone(socket.address().address));
        end(local?.octets.every((o) => o === 0) === true ? undefined : local);
      });
    };
    try {
      // Beside every policy, as IKE itself is: under a `private` rule the kernel refuses to connect (EPERM).
      const local = { address: { ...peer, octets: peer.octets.map(() => 0) }, port: 0 };
      socket.bind({ fd: openUdpSocket({ local, bypassIpsec: true, espInUdp: false }).fd }, choose);
    } catch {
      // Without CAP_NET_ADMIN, or without XFRM in the kernel; then no policy of ours stands in the way either.
      choose();
    }
  });
}

/** This host's addresses that others can talk to: no loopback, no link-local. */
export function localAddresses(): IpAddress[] {
  const found: IpAddress[] = [];
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, internal } of addresses ?? []) {
      const parsed = internal ? undefined : parseAddress(withoutZone(address));
      if (!parsed || isLinkLocal(parsed) || found.some((f) => sameAddress(f, parsed))) continue;
      found.push(parsed);
    }
  }
  return found;
}

function isLinkLocal(address: IpAddress): boolean {
  const [a = 0, b = 0] = address.octets;
  return address.family === 6 && a === 0xfe && (b & 0xc0) === 0x80;
}

function withoutZone(text: string): string {
  return text.split('%')[0] ?? text;
}
