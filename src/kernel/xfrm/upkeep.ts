import type { IpAddress } from '../../net/address.ts';
import type { Reader } from '../../wire/reader.ts';
import { Reader as OctetReader } from '../../wire/reader.ts';
import type { Writer } from '../../wire/writer.ts';
import type { Encapsulation, Mode, Policy, PolicyId, StateId } from '../port.ts';
import { decodeAttributes, encodeAttribute } from './netlink.ts';
import { Attr, IPPROTO_ESP, SadAttr } from './numbers.ts';
import { decodePolicyInfo, encodePolicyId, reported } from './policy.ts';
import { decodeStateId, encodeStateId, encodeUdpEncapsulation } from './state.ts';
import { decodeUse, encodeAddress, familyOf } from './structs.ts';

/** Messages about what stands already: its sequence numbers, its addresses, how much there is of it, its end. */

/** Body of XFRM_MSG_GETAE: asks for the sequence numbers and counters of a state. */
export function encodeGetReplay(w: Writer, id: StateId): void {
  encodeEventId(w, id, XFRM_AE_RVAL | XFRM_AE_LVAL);
}

/** Body of XFRM_MSG_NEWAE: a state goes on with these sequence numbers; to be sent with NLM_F_REPLACE. */
export function encodeSetReplay(w: Writer, id: StateId, replay: Replay): void {
  encodeEventId(w, id, XFRM_AE_RVAL);
  encodeAttribute(w, Attr.REPLAY_ESN_VAL, (a) => {
    const { bitmap } = replay;
    a.u32le(bitmap.length / 4);
    for (const half of [low, high]) {
      a.u32le(half(replay.outbound));
      a.u32le(half(replay.inbound));
    }
    a.u32le(replay.window);
    a.octets(bitmap);
  });
}

/** Where a state stands: the last sequence number sent, the highest received, and which below it were received. */
export interface Replay {
  readonly outbound: bigint;
  readonly inbound: bigint;
  readonly window: number;
  /** 32-bit words of the kernel, as they are. */
  readonly bitmap: Uint8Array;
}

export interface ReplayReport {
  readonly state: StateId;
  readonly reqid: number;
  /** Undefined where the kernel has not said it. */
  readonly replay: Replay | undefined;
  readonly octets: bigint | undefined;
  readonly packets: bigint | undefined;
}

/** XFRM_MSG_NEWAE, as an answer or as news; undefined where it is not about ESP. */
export function decodeReplay(r: Reader): ReplayReport | undefined {
  const state = decodeStateId(r);
  r.skip(16 + 4); // saddr, flags
  const reqid = r.u32le();
  const attributes = decodeAttributes(r);
  const use = attributes.get(Attr.LTIME_VAL);
  const counted = use?.length === 32 ? decodeUse(new OctetReader(use)) : undefined;
  return (
    state && {
      state,
      reqid,
      replay: replayIn(attributes),
      octets: counted?.octets,
      packets: counted?.packets,
    }
  );
}

function replayIn(attributes: ReadonlyMap<number, Uint8Array>): Replay | undefined {
  const extended = attributes.get(Attr.REPLAY_ESN_VAL);
  if (extended && extended.length >= 24) {
    const r = new OctetReader(extended);
    const words = r.u32le();
    const [oseq, seq, oseqHigh, seqHigh] = [r.u32le(), r.u32le(), r.u32le(), r.u32le()];
    const window = r.u32le();
    if (r.remaining !== words * 4) return undefined;
    return {
      outbound: joined(oseqHigh, oseq),
      inbound: joined(seqHigh, seq),
      window,
      bitmap: r.rest().slice(),
    };
  }
  const old = attributes.get(Attr.REPLAY_VAL);
  if (old?.length !== 12) return undefined;
  const r = new OctetReader(old);
  const [oseq, seq] = [r.u32le(), r.u32le()];
  return { outbound: BigInt(oseq), inbound: BigInt(seq), window: 32, bitmap: r.rest().slice() };
}

/** What XFRM_MSG_MIGRATE moves: the states of a policy, with their keys and sequence numbers, to other addresses. */
export interface Migration {
  readonly policy: PolicyId;
  readonly reqid: number;
  readonly mode: Mode;
  readonly from: { readonly source: IpAddress; readonly destination: IpAddress };
  readonly to: { readonly source: IpAddress; readonly destination: IpAddress };
  /** Ports of the states afterwards; absent: not in UDP. */
  readonly encapsulation?: Encapsulation;
}

export function encodeMigrate(w: Writer, migration: Migration): void {
  const { policy, reqid, mode, from, to, encapsulation } = migration;
  encodePolicyId(w, policy);
  encodeAttribute(w, Attr.MIGRATE, (a) => {
    encodeAddress(a, from.destination);
    encodeAddress(a, from.source);
    encodeAddress(a, to.destination);
    encodeAddress(a, to.source);
    a.u8(IPPROTO_ESP);
    a.u8(mode === 'transport' ? 0 : 1);
    a.u16le(0);
    a.u32le(reqid);
    a.u16le(familyOf(from.destination));
    a.u16le(familyOf(to.destination));
  });
  if (!encapsulation) return;
  encodeUdpEncapsulation(w, encapsulation);
}

/** Body of XFRM_MSG_FLUSHSA: every state of ESP, whoever's it is. XFRM_MSG_FLUSHPOLICY has no body. */
export function encodeFlushStates(w: Writer): void {
  w.u8(IPPROTO_ESP);
  w.zeros(3);
}

/** Body of XFRM_MSG_GETSADINFO. */
export function encodeGetTableInfo(w: Writer): void {
  w.u32le(0xffff_ffff); // flags, of which the kernel heeds none
}

export interface TableInfo {
  readonly states: number;
  /** Of the kernel's hash table, now and at the most. */
  readonly buckets: number;
  readonly bucketsAtMost: number;
}

/** XFRM_MSG_NEWSADINFO. */
export function decodeTableInfo(r: Reader): TableInfo {
  r.skip(4);
  const attributes = decodeAttributes(r);
  const number = (type: number, at: number): number => {
    const octets = attributes.get(type);
    if (!octets || octets.length < at + 4) return 0;
    return new DataView(octets.buffer, octets.byteOffset).getUint32(at, true);
  };
  return {
    states: number(SadAttr.CNT, 0),
    buckets: number(SadAttr.HINFO, 0),
    bucketsAtMost: number(SadAttr.HINFO, 4),
  };
}

/** XFRM_MSG_POLEXPIRE: a policy has reached a limit; undefined where our words do not do for it. */
export function decodePolicyExpiry(
  r: Reader,
): { readonly policy: Policy; readonly hard: boolean } | undefined {
  const info = decodePolicyInfo(r);
  const hard = r.u8() !== 0;
  r.skip(7);
  const { policy } = reported(info, decodeAttributes(r));
  return policy && { policy, hard };
}

/** Struct xfrm_aevent_id. */
function encodeEventId(w: Writer, id: StateId, flags: number): void {
  encodeStateId(w, id);
  encodeAddress(w, undefined); // saddr: the state has it
  w.u32le(flags);
  w.u32le(0); // reqid: the state has it
}

function joined(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}

function low(number: bigint): number {
  return Number(number & 0xffff_ffffn);
}

function high(number: bigint): number {
  return Number(number >> 32n);
}

const XFRM_AE_RVAL = 2;
const XFRM_AE_LVAL = 4;
