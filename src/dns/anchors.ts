import { fromBase64, fromHex } from '../wire/octets.ts';
import { encoded } from '../wire/writer.ts';
import { DnskeyFlag } from './dnssec/rdata.ts';
import { nameOf, rootName, type NameKey } from './name.ts';

/** A key that is trusted as such (RFC 4033 §2): a DS or a DNSKEY of the zone `owner`. */
export type TrustAnchor =
  | { readonly kind: 'DS'; readonly owner: NameKey; readonly rdata: Uint8Array }
  | { readonly kind: 'DNSKEY'; readonly owner: NameKey; readonly rdata: Uint8Array };

/** A line of a trust-anchor file that cannot be used. */
export interface AnchorProblem {
  /** 1-based. */
  readonly line: number;
  /** A clause. */
  readonly problem: string;
}

/** DNSSEC algorithm and DS digest type of {@link rootAnchors}, IANA "dns-sec-alg-numbers" and "ds-rr-types". */
const RSASHA256 = 8;
const SHA256 = 2;

/** The root's keys of 2017 and 2024, as IANA publishes them (RFC 9718) under data.iana.org/root-anchors. */
export const rootAnchors: readonly TrustAnchor[] = [
  { keyTag: 20_326, digest: 'e06d44b80b8f1d39a95c0b0d7c65d08458e880409bbc683457104237c7f8ec8d' },
  { keyTag: 38_696, digest: '683d2d0acb8c9b712a1948b27f741219298d0a450d612c483af444a4c0fb2b16' },
].map(({ keyTag, digest }) => ({
  kind: 'DS',
  owner: rootName,
  rdata: dsRdata(keyTag, RSASHA256, SHA256, fromHex(digest)),
}));

/**
 * Reads trust anchors in zone-file form, one DS or DNSKEY record a line, with comments after `;`:
 * `. 172800 IN DS 20326 8 2 E06D44B8…`. TTL and class may be left out. DNSKEYs without the zone key bit, or
 * revoked ones, are problems; so is a file without any anchor, at its last line. This is the form that unbound-anchor,
 * BIND's and Knot's tools write.
 */
export function readAnchors(text: string): {
  readonly anchors: readonly TrustAnchor[];
  readonly problems: readonly AnchorProblem[];
} {
  const anchors: TrustAnchor[] = [];
  const problems: AnchorProblem[] = [];
  const lines = text.split(/\r?\n/);
  for (const [i, line] of lines.entries()) {
    const content = line.replace(/;.*/, '').trim();
    if (content === '') continue;
    const anchor = anchorOf(content);
    if (typeof anchor === 'string') problems.push({ line: i + 1, problem: anchor });
    else anchors.push(anchor);
  }
  if (anchors.length === 0 && problems.length === 0) {
    problems.push({ line: lines.length, problem: 'there is no DS or DNSKEY record in it' });
  }
  return { anchors, problems };
}

/** The anchor, or what is wrong with the record. */
function anchorOf(line: string): TrustAnchor | string {
  const [ownerText = '', ...rest] = line.split(/\s+/);
  const owner = nameOf(ownerText);
  if (owner === undefined) return `${ownerText} is no domain name`;
  // TTL and class may stand in either order (RFC 1035 §5.1).
  while (/^(?:\d+|IN)$/i.test(rest[0] ?? '')) rest.shift();
  const [type = '', ...fields] = rest.filter((field) => field !== '(' && field !== ')');
  switch (type.toUpperCase()) {
    case 'DS':
      return dsOf(owner, fields);
    case 'DNSKEY':
      return dnskeyOf(owner, fields);
    default:
      return type === '' ? 'the record ends after the owner' : `${type} is neither DS nor DNSKEY`;
  }
}

function dsOf(owner: NameKey, fields: readonly string[]): TrustAnchor | string {
  const [keyTag, algorithm, digestType] = numbersOf(fields, [0xffff, 0xff, 0xff]);
  if (keyTag === undefined || algorithm === undefined || digestType === undefined) {
    return 'a DS record is key tag, algorithm, digest type and digest';
  }
  const digest = octetsOrNothing(() => fromHex(fields.slice(3).join('')));
  if (digest === undefined || digest.length === 0)
    return 'the digest is not an even number of hexadecimal digits';
  const wanted = digestOctets.get(digestType);
  if (wanted !== undefined && digest.length !== wanted) {
    return `a digest of type ${digestType} has ${wanted} octets, this one ${digest.length}`;
  }
  return { kind: 'DS', owner, rdata: dsRdata(keyTag, algorithm, digestType, digest) };
}

function dnskeyOf(owner: NameKey, fields: readonly string[]): TrustAnchor | string {
  const [flags, protocol, algorithm] = numbersOf(fields, [0xffff, 0xff, 0xff]);
  if (flags === undefined || protocol === undefined || algorithm === undefined) {
    return 'a DNSKEY record is flags, protocol, algorithm and key';
  }
  if ((flags & DnskeyFlag.ZONE) === 0) return `flags ${flags} are not those of a zone key (256 or 257)`;
  if ((flags & DnskeyFlag.REVOKE) !== 0) return 'the key is revoked';
  if (protocol !== 3) return `the protocol is ${protocol}; it must be 3`; // RFC 4034 §2.1.2
  const key = octetsOrNothing(() => fromBase64(fields.slice(3).join('')));
  if (key === undefined || key.length === 0) return 'the key is not base64';
  const rdata = encoded((w) => {
    w.u16(flags);
    w.u8(protocol);
    w.u8(algorithm);
    w.octets(key);
  });
  return { kind: 'DNSKEY', owner, rdata };
}

/** Octets by DS digest type. */
const digestOctets = new Map([
  [1, 20],
  [2, 32],
  [4, 48],
]);

function dsRdata(keyTag: number, algorithm: number, digestType: number, digest: Uint8Array): Uint8Array {
  return encoded((w) => {
    w.u16(keyTag);
    w.u8(algorithm);
    w.u8(digestType);
    w.octets(digest);
  });
}

/** The first fields as numbers up to `most`; undefined where one is none. */
function numbersOf(fields: readonly string[], most: readonly number[]): (number | undefined)[] {
  return most.map((limit, i) => {
    const field = fields[i] ?? '';
    return /^\d{1,5}$/.test(field) && Number(field) <= limit ? Number(field) : undefined;
  });
}

function octetsOrNothing(read: () => Uint8Array): Uint8Array | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
