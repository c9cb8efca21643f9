import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAnchors } from '../../src/dns/anchors.ts';
import { readSaved } from '../../src/dns/anchors/saved.ts';
import { decodeDnskey, decodeDs, decodeNsec, decodeNsec3, decodeRrsig } from '../../src/dns/dnssec/rdata.ts';
import { importKey } from '../../src/dns/dnssec/crypto.ts';
import { FrameReader } from '../../src/dns/frames.ts';
import { parseHosts } from '../../src/dns/hosts.ts';
import { decodeIpseckey } from '../../src/dns/ipseckey.ts';
import { decodeMessage, encodeMessage, rrsetsOf } from '../../src/dns/message.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { readHints } from '../../src/dns/recurse/hints.ts';
import { decodeQuery } from '../../src/dns/stub.ts';
import { decodeSvcb } from '../../src/dns/svcb.ts';
import { decodeAuthMethods } from '../../src/ike/auth-methods.ts';
import { judgePath, readCertificate } from '../../src/ike/crypto/certificate.ts';
import { decodeAlgorithm } from '../../src/ike/crypto/algorithm-identifier.ts';
import { decodeHeader, decodeMessage as decodeIke } from '../../src/ike/message.ts';
import { decodePayloads } from '../../src/ike/payloads.ts';
import { eventOf } from '../../src/kernel/xfrm/events.ts';
import { decodeMessages } from '../../src/kernel/xfrm/netlink.ts';
import type { Decoded } from '../../src/wire/error.ts';
import { wallSeconds } from '../../src/time.ts';
import { decoded } from '../../src/wire/reader.ts';

/** One decoder, and the octets from which the inputs for it are made. */
export interface Target {
  readonly name: string;
  readonly corpus: readonly Uint8Array[];
  /** Whether the octets were understood. Whatever it throws is a finding. */
  readonly decode: (octets: Uint8Array) => boolean;
}

/** Where the octets are kept: one input a line, in hexadecimal. */
export const corpusDirectory = join(import.meta.dirname, '../fixtures/corpus');

const decoders: Readonly<Record<string, (octets: Uint8Array) => boolean>> = {
  'dns-message': dnsMessage,
  'dns-query': (octets) => decodeQuery(octets).kind === 'query',
  'dns-frames': dnsFrames,
  dnskey: (octets) => {
    const key = decodeDnskey(octets);
    // Every thousandth, for its price: what OpenSSL thinks of a key is not to be an exception either.
    if (key.ok && (octets.at(-1) ?? 0) % 64 === 0) importKey(key.value);
    return key.ok;
  },
  ds: (octets) => decodeDs(octets).ok,
  rrsig: (octets) => decodeRrsig(octets).ok,
  nsec: (octets) => decodeNsec(octets).ok,
  nsec3: (octets) => decodeNsec3(octets).ok,
  ipseckey: (octets) => decodeIpseckey(octets).ok,
  svcb: (octets) => decodeSvcb(octets).ok,
  'rdata-text': (octets) => rdataText(((octets[0] ?? 0) << 8) | (octets[1] ?? 0), octets.subarray(2)) !== '',
  anchors: (octets) => readAnchors(textOf(octets)).problems.length === 0,
  'saved-anchors': (octets) => typeof readSaved(textOf(octets)) !== 'string',
  hints: (octets) => readHints(textOf(octets)).problems.length === 0,
  hosts: (octets) => parseHosts(textOf(octets)) !== undefined,
  'ike-message': (octets) => {
    decodeHeader(octets);
    // A wrong length of the whole is found at once: set right, so that the rest is read as well.
    if (octets.length >= 28) new DataView(octets.buffer, octets.byteOffset).setUint32(24, octets.length);
    return decodeIke(octets).ok;
  },
  'ike-payloads': (octets) => decoded(octets.subarray(1), (r) => decodePayloads(r, octets[0] ?? 0)).ok,
  'auth-methods': (octets) => decodeAuthMethods(octets) !== undefined,
  certificate: (octets) => {
    const read = readCertificate(octets);
    if (read.ok)
      judgePath(read.certificate, [read.certificate], [read.certificate], wallSeconds(1_795_000_000));
    return read.ok;
  },
  'signature-algorithm': (octets) => decodeAlgorithm(octets) !== undefined,
  netlink: (octets) => understood(decoded(octets, (r) => decodeMessages(r).map(eventOf))),
};

export const targets: readonly Target[] = Object.entries(decoders).map(([name, decode]) => ({
  name,
  corpus: readCorpus(name),
  decode,
}));

function readCorpus(name: string): Uint8Array[] {
  const lines = readFileSync(join(corpusDirectory, `${name}.hex`), 'utf8').split('\n');
  return lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => Uint8Array.fromHex(line));
}

/** What was read can be written, and reads the same again. */
function dnsMessage(octets: Uint8Array): boolean {
  const message = decodeMessage(octets);
  if (!message.ok) return false;
  rrsetsOf(message.value.answer);
  const written = encodeMessage(message.value);
  const again = decodeMessage(written);
  if (!again.ok) throw new Error(`what was written cannot be read: ${again.error.message}`);
  if (encodeMessage(again.value).toHex() !== written.toHex())
    throw new Error('it reads otherwise the second time');
  return true;
}

/** In two pieces, cut where the last octet says. */
function dnsFrames(octets: Uint8Array): boolean {
  const frames = new FrameReader();
  const cut = (octets.at(-1) ?? 0) % (octets.length + 1);
  return frames.push(octets.slice(0, cut)).length + frames.push(octets.slice(cut)).length > 0;
}

function understood<T>(result: Decoded<T>): boolean {
  return result.ok;
}

function textOf(octets: Uint8Array): string {
  return new TextDecoder().decode(octets);
}
