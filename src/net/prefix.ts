import { formatAddress, parseAddress, type IpAddress } from './address.ts';

/** An address prefix; the bits of `address` beyond `length` are zero. */
export interface Prefix {
  readonly address: IpAddress;
  /** 0–32 or 0–128. */
  readonly length: number;
}

/** The `/32` or `/128` of an address. */
export function hostPrefix(address: IpAddress): Prefix {
  return { address, length: address.octets.length * 8 };
}

/** Reads `192.0.2.0/24` or a single address; undefined where it is neither or has bits set beyond its length. */
export function parsePrefix(text: string): Prefix | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = parseAddress(match?.[1] ?? '');
  if (!address) return undefined;
  const length = match?.[2] === undefined ? address.octets.length * 8 : Number(match[2]);
  if (length > address.octets.length * 8) return undefined;
  const masked = maskedTo(address.octets, length);
  return masked.every((o, i) => o === address.octets[i]) ? { address, length } : undefined;
}

/** `192.0.2.0/24`. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false;
  const whole = prefix.length >> 3;
  const differs = (i: number): number => (prefix.address.octets[i] ?? 0) ^ (address.octets[i] ?? 0);
  for (let i = 0; i < whole; i++) if (differs(i) !== 0) return false;
  const bits = prefix.length & 7;
  return bits === 0 || differs(whole) >> (8 - bits) === 0;
}

function maskedTo(octets: Uint8Array, length: number): Uint8Array {
  return octets.map((o, i) => {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    return o & (0xff << (8 - bits)) & 0xff;
  });
}
