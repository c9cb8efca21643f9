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
  MAPPING: 0x26,
} as const;

/** Attribute types (enum xfrm_attr_type_t). */
export const Attr = {
  ALG_AUTH: 1,
  ALG_CRYPT: 2,
  ENCAP: 4,
  TMPL: 5,
  LASTUSED: 15,
  POLICY_TYPE: 16,
  ALG_AEAD: 18,
  ALG_AUTH_TRUNC: 20,
  MARK: 21,
  REPLAY_ESN_VAL: 23,
  SA_EXTRA_FLAGS: 24,
  PROTO: 25,
  IF_ID: 31,
  /** Linux 6.10; older kernels skip it. */
  SA_DIR: 33,
} as const;

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
/** XFRM_INF: no limit of octets or packets; for seconds that is 0. */
export const UNLIMITED = 0xffff_ffff_ffff_ffffn;
/** UDP_ENCAP_ESPINUDP. */
export const ENCAP_ESPINUDP = 2;
