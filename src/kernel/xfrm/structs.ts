import { addressOf, type IpAddress } from '../../net/address.ts';
import type { Prefix } from '../../net/prefix.ts';
import type { Reader } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';
import type { Lifetime } from '../port.ts';
import { AF_INET, AF_INET6, UNLIMITED } from './numbers.ts';

/**
 * The structs that several messages share (linux/xfrm.h), as 64-bit Linux lays them out. Addresses, ports and
 * SPIs are in network order, the rest is little-endian.
 */

/** Offsets and sizes in octets, which a test compares with the system's header. */
export const layout = {
  xfrm_selector: { size: 56, dport: 32, sport: 36, family: 40, prefixlen_d: 42, proto: 44, ifindex: 48 },
  xfrm_id: { size: 24, spi: 16, proto: 20 },
  xfrm_usersa_id: { size: 24, spi: 16, family: 20, proto: 22 },
  xfrm_usersa_info: {
    size: 224,
    id: 56,
    saddr: 80,
    lft: 96,
    curlft: 160,
    stats: 192,
    seq: 204,
    reqid: 208,
    family: 212,
    mode: 214,
    replay_window: 215,
    flags: 216,
  },
  xfrm_userspi_info: { size: 232, min: 224, max: 228 },
  xfrm_userpolicy_info: {
    size: 168,
    lft: 56,
    curlft: 120,
    priority: 152,
    index: 156,
    dir: 160,
    action: 161,
    flags: 162,
    share: 163,
  },
  xfrm_userpolicy_id: { size: 64, index: 56, dir: 60 },
  xfrm_user_tmpl: {
    size: 64,
    family: 24,
    saddr: 28,
    reqid: 44,
    mode: 48,
    optional: 50,
    aalgos: 52,
    calgos: 60,
  },
  xfrm_user_acquire: { size: 280, saddr: 24, sel: 40, policy: 96, aalgos: 264, seq: 276 },
  xfrm_user_expire: { size: 232, hard: 224 },
  xfrm_user_polexpire: { size: 176, hard: 168 },
  xfrm_usersa_flush: { size: 1, proto: 0 },
  xfrm_aevent_id: { size: 48, saddr: 24, flags: 40, reqid: 44 },
  xfrm_replay_state: { size: 12, oseq: 0, seq: 4, bitmap: 8 },
  xfrm_lifetime_cfg: {
    size: 64,
    hard_byte_limit: 8,
    soft_add_expires_seconds: 32,
    soft_use_expires_seconds: 48,
  },
  xfrm_lifetime_cur: { size: 32, packets: 8, add_time: 16, use_time: 24 },
  xfrm_user_migrate: {
    size: 76,
    old_saddr: 16,
    new_daddr: 32,
    new_saddr: 48,
    proto: 64,
    mode: 65,
    reqid: 68,
    old_family: 72,
    new_family: 74,
  },
  xfrm_user_offload: { size: 8, ifindex: 0, flags: 4 },
  xfrm_mark: { size: 8, v: 0, m: 4 },
  xfrmu_sadhinfo: { size: 8, sadhcnt: 0, sadhmcnt: 4 },
  xfrm_user_mapping: { size: 64, reqid: 24, old_saddr: 28, new_saddr: 44, old_sport: 60, new_sport: 62 },
  xfrm_encap_tmpl: { size: 24, encap_sport: 2, encap_dport: 4, encap_oa: 8 },
  xfrm_replay_state_esn: { size: 24, oseq: 4, seq: 8, oseq_hi: 12, seq_hi: 16, replay_window: 20 },
  xfrm_algo: { size: 68, alg_key_len: 64, alg_key: 68 },
  xfrm_algo_auth: { size: 72, alg_key_len: 64, alg_trunc_len: 68, alg_key: 72 },
  xfrm_algo_aead: { size: 72, alg_key_len: 64, alg_icv_len: 68, alg_key: 72 },
} as const;

/** Struct xfrm_selector: which packets. */
export interface Selector {
  readonly source: Prefix;
  readonly destination: Prefix;
  /** IP protocol number, 0 for all. */
  readonly protocol: number;
  /** A port (or the ICMP type in `sourcePort`, its code in `destinationPort`); undefined: all. */
  readonly sourcePort: number | undefined;
  readonly destinationPort: number | undefined;
  /** Interface, 0 for all. */
  readonly ifindex: number;
}

export function encodeSelector(w: Writer, s: Selector): void {
  encodeAddress(w, s.destination.address);
  encodeAddress(w, s.source.address);
  encodePort(w, s.destinationPort);
  encodePort(w, s.sourcePort);
  w.u16le(familyOf(s.source.address));
  w.u8(s.destination.length);
  w.u8(s.source.length);
  w.u8(s.protocol);
  w.zeros(3);
  w.u32le(s.ifindex);
  w.u32le(0); // user: the kernel ignores it
}

/** Undefined where the selector names no family: it is empty. */
export function decodeSelector(r: Reader): Selector | undefined {
  const destination = r.octets(16);
  const source = r.octets(16);
  const destinationPort = decodePort(r);
  const sourcePort = decodePort(r);
  const family = r.u16le();
  const destinationLength = r.u8();
  const sourceLength = r.u8();
  const protocol = r.u8();
  r.skip(3);
  const ifindex = r.u32le();
  r.u32le();
  if (family === 0) return undefined;
  return {
    source: prefixIn(r, family, source, sourceLength),
    destination: prefixIn(r, family, destination, destinationLength),
    protocol,
    sourcePort,
    destinationPort,
    ifindex,
  };
}

/** An empty selector, which names no family. */
export function encodeNoSelector(w: Writer): void {
  w.zeros(layout.xfrm_selector.size);
}

/** Union xfrm_address_t: 16 octets, an IPv4 address in the first four. */
export function encodeAddress(w: Writer, address: IpAddress | undefined): void {
  if (address) w.octets(address.octets);
  w.zeros(16 - (address?.octets.length ?? 0));
}

export function decodeAddress(r: Reader, family: number, octets: Uint8Array): IpAddress {
  if (family === AF_INET) return { family: 4, octets: octets.slice(0, 4) };
  if (family === AF_INET6) return addressOf(octets) ?? r.fail('address of another length');
  return r.fail(`address family ${family}`);
}

export function familyOf(address: IpAddress): number {
  return address.family === 4 ? AF_INET : AF_INET6;
}

/** Struct xfrm_lifetime_cfg. The kernel's limits that count from the first use are not for us. */
export function encodeLifetime(w: Writer, lifetime: Lifetime): void {
  w.u64le(lifetime.softOctets ?? UNLIMITED);
  w.u64le(lifetime.hardOctets ?? UNLIMITED);
  w.u64le(lifetime.softPackets ?? UNLIMITED);
  w.u64le(lifetime.hardPackets ?? UNLIMITED);
  w.u64le(BigInt(lifetime.softSeconds ?? 0));
  w.u64le(BigInt(lifetime.hardSeconds ?? 0));
  w.u64le(0n);
  w.u64le(0n);
}

/** Struct xfrm_lifetime_cur. */
export interface Use {
  readonly octets: bigint;
  readonly packets: bigint;
}

export function decodeUse(r: Reader): Use {
  const octets = r.u64le();
  const packets = r.u64le();
  r.skip(16); // add_time, use_time (of the first packet, not the last)
  return { octets, packets };
}

function encodePort(w: Writer, port: number | undefined): void {
  w.u16(port ?? 0);
  w.u16(port === undefined ? 0 : 0xffff);
}

function decodePort(r: Reader): number | undefined {
  const port = r.u16();
  return r.u16() === 0 ? undefined : port;
}

function prefixIn(r: Reader, family: number, octets: Uint8Array, length: number): Prefix {
  const address = decodeAddress(r, family, octets);
  if (length > address.octets.length * 8) r.fail(`prefix length ${length}`);
  return { address, length };
}
