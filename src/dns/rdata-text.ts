import { addressOf, formatAddress } from '../net/address.ts';
import { decoded, type Reader } from '../wire/reader.ts';
import { toBase32Hex } from './dnssec/base32.ts';
import { readTypeBitmap } from './dnssec/bitmap.ts';
import { keyTag } from './dnssec/keytag.ts';
import { decodeIpseckey, ipseckeyText } from './ipseckey.ts';
import { nameText, readPlainName, rootName } from './name.ts';
import { Type, typeName } from './types.ts';

/**
 * RDATA for people, as a zone file has it (names with the last dot). What is of an unknown type, or not built as its
 * type says, comes as RFC 3597 §5 writes it: `\# 4 0A000001`. Only printable ASCII comes out.
 */
export function rdataText(type: number, rdata: Uint8Array): string {
  const write = writers.get(type);
  if (write !== undefined) {
    const text = decoded(rdata, write);
    if (text.ok) return text.value;
  }
  return `\\# ${rdata.length}${rdata.length > 0 ? ` ${hex(rdata)}` : ''}`;
}

type Write = (r: Reader) => string;

const oneName: Write = (r) => absolute(r);
const preferenceAndName: Write = (r) => `${r.u16()} ${absolute(r)}`;

const writers = new Map<number, Write>([
  [Type.A, (r) => address(r.octets(4))],
  [Type.AAAA, (r) => address(r.octets(16))],
  [Type.NS, oneName],
  [Type.CNAME, oneName],
  [Type.DNAME, oneName],
  [Type.PTR, oneName],
  [Type.MX, preferenceAndName],
  [Type.SOA, (r) => [absolute(r), absolute(r), r.u32(), r.u32(), r.u32(), r.u32(), r.u32()].join(' ')],
  [Type.TXT, texts],
  [Type.HINFO, texts],
  [Type.SRV, (r) => [r.u16(), r.u16(), r.u16(), absolute(r)].join(' ')],
  [Type.CAA, (r) => [r.u8(), printable(r.octets(r.u8())), `"${printable(r.rest())}"`].join(' ')],
  [Type.DS, ds],
  [Type.CDS, ds],
  [Type.DNSKEY, dnskey],
  [Type.CDNSKEY, dnskey],
  [Type.TLSA, (r) => [r.u8(), r.u8(), r.u8(), hex(r.rest())].join(' ')],
  [Type.SSHFP, (r) => [r.u8(), r.u8(), hex(r.rest())].join(' ')],
  [Type.RRSIG, rrsig],
  [Type.NSEC, (r) => [absolute(r), ...typesIn(r)].join(' ')],
  [Type.NSEC3, nsec3],
  [Type.NSEC3PARAM, (r) => [r.u8(), r.u8(), r.u16(), hex(r.octets(r.u8())) || '-'].join(' ')],
  [Type.IPSECKEY, ipseckey],
  [Type.SVCB, svcb],
  [Type.HTTPS, svcb],
]);

function typesIn(r: Reader): string[] {
  return [...readTypeBitmap(r)].map(typeName);
}

function ds(r: Reader): string {
  return [r.u16(), r.u8(), r.u8(), hex(r.rest())].join(' ');
}

function dnskey(r: Reader): string {
  const tag = keyTag(r.octetsAll);
  return `${[r.u16(), r.u8(), r.u8(), r.rest().toBase64()].join(' ')} ; key tag ${tag}`;
}

function rrsig(r: Reader): string {
  const [covered, algorithm, labels, ttl] = [typeName(r.u16()), r.u8(), r.u8(), r.u32()];
  const [expiration, inception, keyTag] = [date(r.u32()), date(r.u32()), r.u16()];
  const signer = absolute(r);
  return [covered, algorithm, labels, ttl, expiration, inception, keyTag, signer, r.rest().toBase64()].join(
    ' ',
  );
}

function nsec3(r: Reader): string {
  const head = [r.u8(), r.u8(), r.u16(), hex(r.octets(r.u8())) || '-', toBase32Hex(r.octets(r.u8()))];
  return [...head, ...typesIn(r)].join(' ');
}

function ipseckey(r: Reader): string {
  const record = decodeIpseckey(r.rest());
  if (!record.ok) throw record.error;
  return ipseckeyText(record.value);
}

/** RFC 9460 §2.1. Parameters as `name=value` where they are a port, addresses or ALPN ids, else `keyN="…"`. */
function svcb(r: Reader): string {
  const parts = [String(r.u16()), absolute(r)];
  while (r.remaining > 0) {
    const key = r.u16();
    const value = r.sub(r.u16());
    parts.push(svcParam(key, value));
    value.done();
  }
  return parts.join(' ');
}

function svcParam(key: number, value: Reader): string {
  const list = (read: () => string): string => {
    const items: string[] = [];
    while (value.remaining > 0) items.push(read());
    return items.join(',');
  };
  switch (key) {
    case 1:
      return `alpn="${list(() => printable(value.octets(value.u8())))}"`;
    case 2:
      return 'no-default-alpn';
    case 3:
      return `port=${value.u16()}`;
    case 4:
      return `ipv4hint=${list(() => address(value.octets(4)))}`;
    case 6:
      return `ipv6hint=${list(() => address(value.octets(16)))}`;
    default:
      return `key${key}="${printable(value.rest())}"`;
  }
}

function texts(r: Reader): string {
  const strings: string[] = [];
  do strings.push(`"${printable(r.octets(r.u8()))}"`);
  while (r.remaining > 0);
  return strings.join(' ');
}

function absolute(r: Reader): string {
  const name = readPlainName(r);
  return name === rootName ? '.' : `${nameText(name)}.`;
}

function address(octets: Uint8Array): string {
  const found = addressOf(octets);
  return found ? formatAddress(found) : '';
}

function printable(octets: Uint8Array): string {
  let text = '';
  for (const o of octets) {
    const c = String.fromCharCode(o);
    if (o < 0x20 || o > 0x7e) text += `\\${String(o).padStart(3, '0')}`;
    else text += c === '"' || c === '\\' ? `\\${c}` : c;
  }
  return text;
}

/** YYYYMMDDHHmmSS in UTC (RFC 4034 §3.2), of the first 136 years: which ones are meant depends on today's date. */
function date(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().replaceAll(/[-:T]|\.\d+Z$/g, '');
}

function hex(octets: Uint8Array): string {
  return octets.toHex().toUpperCase();
}
