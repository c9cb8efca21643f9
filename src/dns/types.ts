/** DNS CLASS, IANA "dns-parameters". */
export const Class = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** DNS RR TYPE, IANA "dns-parameters"; those that something here treats specially, or that people often see. */
export const Type = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  SIG: 24,
  KEY: 25,
  AAAA: 28,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  CDS: 59,
  CDNSKEY: 60,
  SVCB: 64,
  HTTPS: 65,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

/** DNS RCODE, IANA "dns-parameters"; above 15 with the bits of EDNS. */
export const Rcode = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  BADVERS: 16,
  BADCOOKIE: 23,
} as const;

/** EDNS option codes, IANA "dns-parameters". */
export const EdnsOption = { COOKIE: 10, TCP_KEEPALIVE: 11, PADDING: 12, EDE: 15 } as const;

/** Extended DNS Error codes (RFC 8914), IANA "dns-parameters". */
export const Ede = {
  OTHER: 0,
  UNSUPPORTED_DNSKEY_ALGORITHM: 1,
  UNSUPPORTED_DS_DIGEST_TYPE: 2,
  STALE_ANSWER: 3,
  FORGED_ANSWER: 4,
  DNSSEC_INDETERMINATE: 5,
  DNSSEC_BOGUS: 6,
  SIGNATURE_EXPIRED: 7,
  SIGNATURE_NOT_YET_VALID: 8,
  DNSKEY_MISSING: 9,
  RRSIGS_MISSING: 10,
  NO_ZONE_KEY_BIT_SET: 11,
  NSEC_MISSING: 12,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  PROHIBITED: 18,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  UNSUPPORTED_NSEC3_ITERATIONS: 27,
  SYNTHESIZED: 29,
} as const;

const typeNames = new Map<number, string>(Object.entries(Type).map(([name, number]) => [number, name]));
const edeNames = new Map<number, string>(Object.entries(Ede).map(([name, number]) => [number, name]));
const rcodeNames = new Map<number, string>(Object.entries(Rcode).map(([name, number]) => [number, name]));

/** `AAAA`, or `TYPE65534` for a number that is not in the table (RFC 3597 §5). */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `TYPE${type}`;
}

/** `NXDOMAIN`, or `RCODE11`. */
export function rcodeName(rcode: number): string {
  return rcodeNames.get(rcode) ?? `RCODE${rcode}`;
}

/** `DNSSEC_BOGUS`, or `EDE99`. */
export function edeName(code: number): string {
  return edeNames.get(code) ?? `EDE${code}`;
}

/** The inverse of {@link typeName}, in any case of letters. */
export function typeOf(text: string): number | undefined {
  const upper = text.toUpperCase();
  if (Object.hasOwn(Type, upper)) return Type[upper as keyof typeof Type];
  const match = /^TYPE(\d{1,5})$/.exec(upper);
  return match && Number(match[1]) <= 0xffff ? Number(match[1]) : undefined;
}
