import type { Endpoint } from '../net/address.ts';
import { sameOctets } from '../wire/octets.ts';
import { sha1 } from './crypto/hash.ts';
import { ikeSpiOctets, type IkeSpi } from './message.ts';
import { NotifyType } from './numbers.ts';
import { notify, type NotifyPayload, type Payload } from './payloads.ts';

/** NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP of a message that goes from `local` to `remote`. */
export function natDetection(
  spiI: IkeSpi,
  spiR: IkeSpi,
  local: Endpoint,
  remote: Endpoint,
): [NotifyPayload, NotifyPayload] {
  return [
    notify(NotifyType.NAT_DETECTION_SOURCE_IP, natHash(spiI, spiR, local)),
    notify(NotifyType.NAT_DETECTION_DESTINATION_IP, natHash(spiI, spiR, remote)),
  ];
}

/** `local`: we are behind a NAT; `peer`: the peer is. `supported`: the message had both notifications. */
export interface NatVerdict {
  readonly supported: boolean;
  readonly local: boolean;
  readonly peer: boolean;
}

/** Judges the notifications of a message that came from `remote` to `local` (RFC 7296 §2.23). */
export function natVerdict(
  payloads: readonly Payload[],
  spiI: IkeSpi,
  spiR: IkeSpi,
  local: Endpoint,
  remote: Endpoint,
): NatVerdict {
  const hashes = (type: number): Uint8Array[] =>
    payloads.flatMap((p) => (p.kind === 'Notify' && p.type === type ? [p.data] : []));
  const sources = hashes(NotifyType.NAT_DETECTION_SOURCE_IP);
  const destinations = hashes(NotifyType.NAT_DETECTION_DESTINATION_IP);
  if (sources.length === 0 || destinations.length === 0)
    return { supported: false, local: false, peer: false };
  // A peer that does not know which of its addresses is used may send several source hashes.
  const isOf = (endpoint: Endpoint) => {
    const wanted = natHash(spiI, spiR, endpoint);
    return (hash: Uint8Array): boolean => sameOctets(hash, wanted);
  };
  return { supported: true, local: !destinations.some(isOf(local)), peer: !sources.some(isOf(remote)) };
}

/** SHA-1 of SPIi | SPIr | address | port. */
export function natHash(spiI: IkeSpi, spiR: IkeSpi, endpoint: Endpoint): Uint8Array {
  const port = Uint8Array.of(endpoint.port >> 8, endpoint.port & 0xff);
  return sha1(ikeSpiOctets(spiI), ikeSpiOctets(spiR), endpoint.address.octets, port);
}
