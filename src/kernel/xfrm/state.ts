import type { IpAddress } from '../../net/address.ts';
import { hostPrefix } from '../../net/prefix.ts';
import type { Reader } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';
import { fromLatin1 } from '../../wire/octets.ts';
import { kernelAlgorithms, suiteName } from '../algorithms.ts';
import type { Encapsulation, EspState, InstalledState, Mode, StateCounters, StateId } from '../port.ts';
import { decodeAttributes, encodeAttribute, encodeU32 } from './netlink.ts';
import {
  AF_INET,
  AF_INET6,
  Attr,
  ENCAP_ESPINUDP,
  IPPROTO_ESP,
  Offload,
  STATE_AF_UNSPEC,
  STATE_ESN,
} from './numbers.ts';
import {
  decodeAddress,
  decodeSelector,
  decodeUse,
  encodeAddress,
  encodeLifetime,
  encodeNoSelector,
  encodeSelector,
  familyOf,
} from './structs.ts';

/**
 * Body of XFRM_MSG_NEWSA and XFRM_MSG_UPDSA. `directions`: whether this kernel binds states to a direction; an
 * outbound state then has no replay window, which older kernels want even there where it counts ESN. Attributes that
 * a kernel does not know it skips.
 * Throws RangeError for a suite or key length that {@link kernelAlgorithms} does not know.
 */
export function encodeState(w: Writer, state: EspState, directions: boolean): void {
  const outboundWindow = state.esn && !directions ? 1 : 0;
  const window = state.direction === 'in' ? state.replayWindow : outboundWindow;
  // One place or the other: the old one has no room for ESN, nor for more than 32 packets.
  const extended = state.esn || window > 32;
  const unspecific = state.mode === 'tunnel' ? STATE_AF_UNSPEC : 0;
  encodeStateInfo(w, {
    source: state.source,
    destination: state.destination,
    spi: state.spi,
    reqid: state.reqid,
    mode: state.mode,
    replayWindow: extended ? 0 : window,
    flags: unspecific | (state.esn ? STATE_ESN : 0),
    state,
  });
  encodeAlgorithms(w, state);
  if (extended) {
    const words = Math.ceil(window / 32);
    encodeAttribute(w, Attr.REPLAY_ESN_VAL, (a) => {
      a.u32le(words);
      a.zeros(16); // oseq, seq, oseq_hi, seq_hi: a state begins at 0
      a.u32le(window);
      a.zeros(words * 4);
    });
  }
  encodeEncapsulation(w, state);
  const { setMark, interfaceId, cpu, offload } = state;
  if (setMark) {
    encodeU32(w, Attr.SET_MARK, setMark.value);
    encodeU32(w, Attr.SET_MARK_MASK, setMark.mask);
  }
  if (interfaceId !== undefined) encodeU32(w, Attr.IF_ID, interfaceId);
  if (directions && cpu !== undefined) encodeU32(w, Attr.SA_PCPU, cpu);
  if (offload && !state.encapsulation) {
    const inbound = state.direction === 'in' ? Offload.INBOUND : 0;
    encodeAttribute(w, Attr.OFFLOAD_DEV, (a) => {
      a.u32le(offload.interfaceIndex);
      a.u8(inbound | (state.destination.family === 6 ? Offload.IPV6 : 0));
      a.zeros(3);
    });
  }
  if (directions) encodeDirection(w, state.direction);
}

/** ESP in UDP between these ports (RFC 3948). */
export function encodeUdpEncapsulation(w: Writer, ports: NonNullable<EspState['encapsulation']>): void {
  encodeAttribute(w, Attr.ENCAP, (a) => {
    a.u16le(ENCAP_ESPINUDP);
    a.u16(ports.sourcePort);
    a.u16(ports.destinationPort);
    a.zeros(2);
    // The original address, for correcting checksums: Linux does not look at those of what came in UDP.
    encodeAddress(a, undefined);
  });
}

function encodeEncapsulation(w: Writer, state: EspState): void {
  const { encapsulation, direction, keepaliveSeconds } = state;
  if (!encapsulation) return;
  encodeUdpEncapsulation(w, encapsulation);
  // Otherwise each packet from elsewhere is told until the ports are changed.
  if (direction === 'in') encodeU32(w, Attr.MTIMER_THRESH, MAPPING_TOLD_SECONDS);
  else if (keepaliveSeconds !== undefined) encodeU32(w, Attr.NAT_KEEPALIVE_INTERVAL, keepaliveSeconds);
}

/** The same port from which packets come is told once in so many seconds. */
const MAPPING_TOLD_SECONDS = 1;

/** Body of XFRM_MSG_ALLOCSPI: an inbound SPI between `min` and `max`, both included. */
export function encodeAllocateSpi(
  w: Writer,
  wish: {
    readonly local: IpAddress;
    readonly peer: IpAddress;
    readonly reqid: number;
    readonly min: number;
    readonly max: number;
  },
  directions: boolean,
): void {
  encodeStateInfo(w, {
    source: wish.peer,
    destination: wish.local,
    spi: 0,
    reqid: wish.reqid,
    mode: 'transport',
    replayWindow: 0,
    flags: 0,
    state: undefined,
  });
  w.u32le(wish.min);
  w.u32le(wish.max);
  if (directions) encodeDirection(w, 'in');
}

/** Body of XFRM_MSG_DELSA and XFRM_MSG_GETSA: struct xfrm_usersa_id. */
export function encodeStateId(w: Writer, id: StateId): void {
  encodeAddress(w, id.destination);
  w.u32(id.spi);
  w.u16le(familyOf(id.destination));
  w.u8(IPPROTO_ESP);
  w.u8(0);
}

/** Struct xfrm_usersa_id; undefined where it is not about ESP. */
export function decodeStateId(r: Reader): StateId | undefined {
  const octets = r.octets(16);
  const spi = r.u32();
  const family = r.u16le();
  const protocol = r.u8();
  r.skip(1);
  const destination = decodeAddress(r, family, octets);
  return protocol === IPPROTO_ESP ? { destination, spi } : undefined;
}

/** Attributes of a dump of states, so that the kernel tells of ESP alone. */
export function encodeEspOnly(w: Writer): void {
  encodeAttribute(w, Attr.PROTO, (a) => {
    a.u8(IPPROTO_ESP);
  });
}

/** What the kernel says of a state, in NEWSA, in answers to GETSA and ALLOCSPI and in dumps. */
export interface StateReport extends InstalledState {
  /** Undefined where the kernel does not bind states to a direction. */
  readonly direction: 'in' | 'out' | undefined;
  /** It keeps the way through a NAT open. */
  readonly keepalives: boolean;
}

/** Undefined for a state that is not ESP in transport or tunnel mode. */
export function decodeState(r: Reader): StateReport | undefined {
  const info = decodeStateInfo(r);
  const attributes = decodeAttributes(r);
  if (!info) return undefined;
  const direction = attributes.get(Attr.SA_DIR)?.[0];
  const encapsulation = encapsulationIn(attributes.get(Attr.ENCAP));
  const lastUsed = attributes.get(Attr.LASTUSED);
  const seconds = lastUsed?.length === 8 ? Number(view(lastUsed).getBigUint64(0, true)) : 0;
  const keyed = [Attr.ALG_AEAD, Attr.ALG_CRYPT, Attr.ALG_AUTH, Attr.ALG_AUTH_TRUNC];
  return {
    ...info.id,
    source: info.source,
    reqid: info.reqid,
    mode: info.mode,
    // The kernel does not say that a state is larval; one that has no algorithm yet is.
    larval: !keyed.some((type) => attributes.has(type)),
    esn: (info.flags & STATE_ESN) !== 0,
    ...(encapsulation && { encapsulation }),
    keepalives: attributes.has(Attr.NAT_KEEPALIVE_INTERVAL),
    counters: seconds > 0 ? { ...info.counters, lastUsed: seconds } : info.counters,
    direction: direction === 1 ? 'in' : direction === 2 ? 'out' : undefined,
  };
}

/** Struct xfrm_encap_tmpl. */
function encapsulationIn(octets: Uint8Array | undefined): Encapsulation | undefined {
  if (!octets || octets.length < 6) return undefined;
  const at = view(octets);
  if (at.getUint16(0, true) !== ENCAP_ESPINUDP) return undefined;
  return { sourcePort: at.getUint16(2), destinationPort: at.getUint16(4) };
}

/** Struct xfrm_usersa_info, as far as it concerns us; undefined as for {@link decodeState}. */
export interface StateInfo {
  readonly id: StateId;
  readonly source: IpAddress;
  readonly reqid: number;
  readonly mode: Mode;
  readonly flags: number;
  readonly counters: StateCounters;
}

export function decodeStateInfo(r: Reader): StateInfo | undefined {
  decodeSelector(r);
  const destination = r.octets(16);
  const spi = r.u32();
  const protocol = r.u8();
  r.skip(3);
  const source = r.octets(16);
  r.skip(64); // lifetime limits: we know what we asked for
  const use = decodeUse(r);
  const outsideWindow = r.u32le();
  const replayed = r.u32le();
  const failed = r.u32le();
  r.u32le(); // seq, of acquires
  const reqid = r.u32le();
  const family = r.u16le();
  const mode = r.u8();
  r.u8(); // replay_window
  const flags = r.u8();
  r.skip(7);
  if (protocol !== IPPROTO_ESP || (family !== AF_INET && family !== AF_INET6) || mode > 1) return undefined;
  return {
    id: { destination: decodeAddress(r, family, destination), spi },
    source: decodeAddress(r, family, source),
    reqid,
    mode: mode === 0 ? 'transport' : 'tunnel',
    flags,
    counters: { ...use, outsideWindow, replayed, failed },
  };
}

interface StateInfoFields {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly spi: number;
  readonly reqid: number;
  readonly mode: Mode;
  readonly replayWindow: number;
  readonly flags: number;
  readonly state: EspState | undefined;
}

function encodeStateInfo(w: Writer, info: StateInfoFields): void {
  const selector = info.state?.selector;
  if (selector) {
    encodeSelector(w, { ...selector, ...allPackets });
  } else if (info.mode === 'transport') {
    const [source, destination] = [hostPrefix(info.source), hostPrefix(info.destination)];
    encodeSelector(w, { source, destination, ...allPackets });
  } else {
    encodeNoSelector(w);
  }
  encodeAddress(w, info.destination);
  w.u32(info.spi);
  w.u8(IPPROTO_ESP);
  w.zeros(3);
  encodeAddress(w, info.source);
  encodeLifetime(w, info.state?.lifetime ?? {});
  w.zeros(32 + 12); // curlft, stats: the kernel counts
  w.u32le(0); // seq
  w.u32le(info.reqid);
  w.u16le(familyOf(info.destination));
  w.u8(info.mode === 'transport' ? 0 : 1);
  w.u8(info.replayWindow);
  w.u8(info.flags);
  w.zeros(7);
}

function encodeAlgorithms(w: Writer, state: EspState): void {
  const algorithms = kernelAlgorithms(state);
  if (!algorithms) throw new RangeError(`${suiteName(state)} is not known to the kernel port`);
  const { encryptionKey, integrityKey } = state;
  if (encryptionKey.length !== algorithms.keyOctets) {
    throw new RangeError(`a key of ${encryptionKey.length} octets for ${suiteName(state)}`);
  }
  if (algorithms.kind === 'aead') {
    if (integrityKey) throw new RangeError(`an integrity key for ${suiteName(state)}`);
    encodeAttribute(w, Attr.ALG_AEAD, (a) => {
      encodeName(a, algorithms.name);
      a.u32le(encryptionKey.length * 8);
      a.u32le(algorithms.icvBits);
      a.octets(encryptionKey);
    });
    return;
  }
  if (integrityKey?.length !== algorithms.authKeyOctets) {
    throw new RangeError(`an integrity key of ${integrityKey?.length ?? 0} octets for ${suiteName(state)}`);
  }
  encodeAttribute(w, Attr.ALG_AUTH_TRUNC, (a) => {
    encodeName(a, algorithms.authName);
    a.u32le(integrityKey.length * 8);
    a.u32le(algorithms.truncatedBits);
    a.octets(integrityKey);
  });
  encodeAttribute(w, Attr.ALG_CRYPT, (a) => {
    encodeName(a, algorithms.name);
    a.u32le(encryptionKey.length * 8);
    a.octets(encryptionKey);
  });
}

function encodeName(w: Writer, name: string): void {
  w.octets(fromLatin1(name));
  w.zeros(64 - name.length);
}

function encodeDirection(w: Writer, direction: 'in' | 'out'): void {
  encodeAttribute(w, Attr.SA_DIR, (a) => {
    a.u8(direction === 'in' ? 1 : 2);
  });
}

const allPackets = { protocol: 0, sourcePort: undefined, destinationPort: undefined, ifindex: 0 };

function view(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
