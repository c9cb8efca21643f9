/**
 * The key tag of a DNSKEY's RDATA (RFC 4034 appendix B): a hint which key made a signature, not its identity. That
 * of algorithm 1 (RSA/MD5), which nobody may use, is computed differently and not supported.
 */
export function keyTag(rdata: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < rdata.length; i++) sum += (i & 1) === 0 ? (rdata[i] ?? 0) << 8 : (rdata[i] ?? 0);
  return (sum + ((sum >> 16) & 0xffff)) & 0xffff;
}
