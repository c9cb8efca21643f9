/** DNSSEC algorithm numbers, IANA "dns-sec-alg-numbers". */
export const Algorithm = {
  RSASHA1: 5,
  'RSASHA1-NSEC3-SHA1': 7,
  RSASHA256: 8,
  RSASHA512: 10,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
  ED448: 16,
} as const;

/** Digest types of DS, IANA "ds-rr-types". */
export const Digest = { SHA1: 1, SHA256: 2, SHA384: 4 } as const;

/** The only hash of NSEC3, IANA "dnssec-nsec3-parameters". */
export const nsec3Sha1 = 1;

/** Signatures with SHA-1 are left out: a zone that has nothing else counts as insecure (RFC 9905 §3). */
const supported = new Set<number>([
  Algorithm.RSASHA256,
  Algorithm.RSASHA512,
  Algorithm.ECDSAP256SHA256,
  Algorithm.ECDSAP384SHA384,
  Algorithm.ED25519,
  Algorithm.ED448,
]);

export function isSupportedAlgorithm(algorithm: number): boolean {
  return supported.has(algorithm);
}

export function isSupportedDigest(digestType: number): boolean {
  return digestType === Digest.SHA1 || digestType === Digest.SHA256 || digestType === Digest.SHA384;
}

const names = new Map<number, string>(Object.entries(Algorithm).map(([name, number]) => [number, name]));

/** `ED25519`, or `algorithm 253`. */
export function algorithmName(algorithm: number): string {
  return names.get(algorithm) ?? `algorithm ${algorithm}`;
}
