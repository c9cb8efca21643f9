/** Message types of NETLINK_XFRM (linux/xfrm.h). */
export const Msg = {
  NEWSA: 0x10,
  DELSA: 0x11,
  GETSA: 0x12,
  NEWPOLICY: 0x13,
  DELPOLICY: 0x14,
  GETPOLICY: 0x15,
  ALLOCSPI: 0x16,
  ACQUIRE: 0x17,
  EXPIRE: 0x18,
  UPDPOLICY: 0x19,
  UPDSA: 0x1a,
  POLEXPIRE: 0x1b,
  FLUSHSA: 0x1c,
  FLUSHPOLICY: 0x1d,
  NEWAE: 0x1e,
  GETAE: 0x1f,
  MIGRATE: 0x21,
  NEWSADINFO: 0x22,
  GETSADINFO: 0x23,
  MAPPING: 0x26,
} as const;

/** Attribute types (enum xfrm_attr_type_t). */
export const Attr = {
  ALG_AUTH: 1,
  ALG_CRYPT: 2,
  ENCAP: 4,
  TMPL: 5,
  LTIME_VAL: 9,
  REPLAY_VAL: 10,
  REPLAY_THRESH: 11,
  ETIMER_THRESH: 12,
  LASTUSED: 15,
  POLICY_TYPE: 16,
  MIGRATE: 17,
  ALG_AEAD: 18,
  ALG_AUTH_TRUNC: 20,
  MARK: 21,
  REPLAY_ESN_VAL: 23,
  SA_EXTRA_FLAGS: 24,
  PROTO: 25,
  OFFLOAD_DEV: 28,
  SET_MARK: 29,
  SET_MARK_MASK: 30,
  IF_ID: 31,
  /** Linux 5.17. */
  MTIMER_THRESH: 32,
  /** Linux 6.10; older kernels skip it, as they do what comes after. */
  SA_DIR: 33,
  /** Linux 6.11. */
  NAT_KEEPALIVE_INTERVAL: 34,
  /** Linux 6.13. */
  SA_PCPU: 35,
} as const;

/** Attributes of XFRM_MSG_NEWSADINFO (enum xfrm_sadattr_type_t). */
export const SadAttr = { CNT: 1, HINFO: 2 } as const;

/** Multicast groups (enum xfrm_nlgroups). */
export const Group = { ACQUIRE: 1, EXPIRE: 2, MAPPING: 8 } as const;

export const NETLINK_XFRM = 6;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const IPPROTO_ESP = 50;
export const IPPROTO_ICMP = 1;
export const IPPROTO_ICMPV6 = 58;

/** XFRM_STATE_AF_UNSPEC: a tunnel's state carries packets of either family, whatever its selector says. */
export const STATE_AF_UNSPEC = 32;
/** XFRM_STATE_ESN. */
export const STATE_ESN = 128;
/** XFRM_POLICY_CPU_ACQUIRE (Linux 6.13). */
export const POLICY_CPU_ACQUIRE = 4;
/** XFRM_OFFLOAD_IPV6, XFRM_OFFLOAD_INBOUND. */
export const Offload = { IPV6: 1, INBOUND: 2 } as const;
/** XFRM_INF: no limit of octets or packets; for seconds that is 0. */
export const UNLIMITED = 0xffff_ffff_ffff_ffffn;
/** UDP_ENCAP_ESPINUDP. */
export const ENCAP_ESPINUDP = 2;
