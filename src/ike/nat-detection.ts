import type { Endpoint } from '../net/address.ts';
import type { IkeSpi } from './message.ts';
import type { NotifyPayload, Payload } from './payloads.ts';

/** NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP of a message that goes from `local` to `remote`. */
export declare function natDetection(
  spiI: IkeSpi,
  spiR: IkeSpi,
  local: Endpoint,
  remote: Endpoint,
): [NotifyPayload, NotifyPayload];

/** `local`: we are behind a NAT; `peer`: the peer is. `supported`: the message had both notifications. */
export interface NatVerdict {
  readonly supported: boolean;
  readonly local: boolean;
  readonly peer: boolean;
}

/** Judges the notifications of a message that came from `remote` to `local` (RFC 7296 §2.23). */
export declare function natVerdict(
  payloads: readonly Payload[],
  spiI: IkeSpi,
  spiR: IkeSpi,
  local: Endpoint,
  remote: Endpoint,
): NatVerdict;
