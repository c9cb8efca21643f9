import { isOurs, larvalReqid } from '../bands.ts';
import type { KernelEvent } from '../port.ts';
import { decoded, type Reader } from '../../wire/reader.ts';
import { decodeAttributes, type NetlinkMessage } from './netlink.ts';
import { Msg } from './numbers.ts';
import { decodePolicyInfo, reported } from './policy.ts';
import { decodeStateId, decodeStateInfo } from './state.ts';
import { decodeAddress, decodeSelector, familyOf } from './structs.ts';

/** The event that a multicast message tells, where it is about ours and can be read. */
export function eventOf(message: NetlinkMessage): KernelEvent | undefined {
  const read = readers.get(message.type);
  if (!read) return undefined;
  const event = decoded(message.body, read);
  return event.ok ? event.value : undefined;
}

const readers = new Map([
  [Msg.ACQUIRE as number, decodeAcquire],
  [Msg.EXPIRE, decodeExpire],
  [Msg.MAPPING, decodeMapping],
]);

/** Struct xfrm_user_acquire and the policy's templates. */
function decodeAcquire(r: Reader): KernelEvent | undefined {
  r.skip(24 + 16); // id and saddr: the template's, which in transport mode are the packet's
  const packet = decodeSelector(r);
  const info = decodePolicyInfo(r);
  r.skip(16); // aalgos, ealgos, calgos, seq
  const { policy, priority } = reported(info, decodeAttributes(r));
  if (!packet || !policy || !isOurs(priority)) return undefined;
  return {
    kind: 'acquire',
    source: packet.source.address,
    destination: packet.destination.address,
    protocol: packet.protocol,
    sourcePort: packet.sourcePort ?? 0,
    destinationPort: packet.destinationPort ?? 0,
    policy,
  };
}

/** Struct xfrm_user_expire. That a reserved SPI or a packet's wish has lapsed is no news. */
function decodeExpire(r: Reader): KernelEvent | undefined {
  const info = decodeStateInfo(r);
  const hard = r.u8() !== 0;
  r.skip(7);
  decodeAttributes(r);
  if (!info || !isOurs(info.reqid) || info.reqid === larvalReqid || info.id.spi === 0) return undefined;
  return { kind: 'expire', state: info.id, reqid: info.reqid, hard };
}

/** Struct xfrm_user_mapping. */
function decodeMapping(r: Reader): KernelEvent | undefined {
  const state = decodeStateId(r);
  const reqid = r.u32le();
  r.skip(16); // the address before
  const address = r.octets(16);
  r.u16();
  const port = r.u16();
  decodeAttributes(r);
  if (!state || !isOurs(reqid)) return undefined;
  return {
    kind: 'mapping',
    state,
    reqid,
    address: decodeAddress(r, familyOf(state.destination), address),
    port,
  };
}
