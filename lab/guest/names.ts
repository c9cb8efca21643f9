/**
 * Who lives where in the lab. Documentation and private prefixes would be answered inside libreswan's own resolver
 * and never asked for, so the lab uses the benchmarking networks (RFC 2544, RFC 5180).
 */

/** The recursive resolver that everybody forwards to; it does not validate. */
export const resolver = '198.18.0.53';
/** Authoritative servers: the root, org, and everything below. */
export const authorities = { root: '198.18.0.1', org: '198.18.0.2', leaf: '198.18.0.3' } as const;

export const client = { v4: '198.18.1.2', v6: '2001:2:0:1::2' } as const;
/** The server: its first address, and more for peers whose keys differ. */
export const server = { v4: '198.18.2.10', v6: '2001:2:0:2::10' } as const;
export const oeServer = { v4: '198.18.2.20', v6: '2001:2:0:2::20' } as const;
/** `oe` with an RSA key, which is what libreswan as a client can look up. */
export const oeRsaServer = { v4: '198.18.2.21', v6: '2001:2:0:2::21' } as const;
/** A host that answers HTTP and knows nothing of IKE. */
export const plain = { v4: '198.18.3.30', v6: '2001:2:0:3::30' } as const;
/** The same host: UDP 500 unreachable here, swallowed there. */
export const noIke = { v4: '198.18.3.40' } as const;
export const blackhole = { v4: '198.18.3.41' } as const;

/** How many names there are for measuring look-ups without a key: p1.libreswan.org, u1.unsigned.org, … */
export const freshNames = 280;
/**
 * The server's addresses for measuring handshakes, each with names of its own: k1.libreswan.org with libreswan's RSA
 * key, j1.libreswan.org with oe's Ed25519 key, …
 */
export const manyAddresses: readonly string[] = Array.from({ length: 32 }, (_, i) => `198.18.2.${101 + i}`);
