import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { readCertificate, type Certificate } from '../../src/ike/crypto/certificate.ts';
import { publicKeyOf } from '../../src/ike/crypto/public-key.ts';
import type { PrivateGroup } from '../../src/ike/private-group.ts';
import { Der, der } from '../../src/wire/der.ts';
import { concatOctets, fromHex, toUtf8 } from '../../src/wire/octets.ts';
import { identity } from './pair.ts';

/** What a certificate is to say; the defaults are those of an honest host. */
export interface Wish {
  readonly subject: string;
  readonly key: KeyObject;
  /** Without, it is signed with its own key. */
  readonly by?: { readonly subject: string; readonly key: KeyObject };
  readonly from?: number;
  readonly until?: number;
  readonly authority?: boolean;
  readonly pathLength?: number;
  readonly keyUsage?: number;
  readonly purposes?: readonly string[];
  readonly dns?: readonly string[];
  readonly mail?: readonly string[];
  readonly addresses?: readonly Uint8Array[];
  /** Object identifier in hexadecimal, and whether it is critical. */
  readonly extra?: readonly [id: string, critical: boolean];
  readonly digest?: 'sha256' | 'sha1';
}

/** The day on which tests with certificates take place. */
export const today = Date.UTC(2026, 10, 20) / 1_000;
const day = 86_400;

/** A certificate in DER, made by hand: authorities in tests must be able to do what honest ones never would. */
export function certificateOf(wish: Wish): Uint8Array {
  const { subject, key, by = { subject, key } } = wish;
  const keyInfo = new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }));
  const algorithm = fromHex(algorithms[signatureKind(by.key, wish.digest ?? 'sha256')] ?? '');
  const tbs = der(
    Der.SEQUENCE,
    der(0xa0, fromHex('020102')),
    fromHex('02020101'),
    algorithm,
    nameDer(by.subject),
    der(Der.SEQUENCE, time(wish.from ?? today - day), time(wish.until ?? today + day)),
    nameDer(subject),
    keyInfo,
    der(0xa3, der(Der.SEQUENCE, ...extensions(wish))),
  );
  const isEdwards = by.key.asymmetricKeyType?.startsWith('ed') === true;
  const signature = sign(isEdwards ? null : (wish.digest ?? 'sha256'), tbs, by.key);
  return der(Der.SEQUENCE, tbs, algorithm, der(Der.BIT_STRING, Uint8Array.of(0), new Uint8Array(signature)));
}

export function readOf(wish: Wish): Certificate {
  const read = readCertificate(certificateOf(wish));
  if (!read.ok) throw new Error(read.why);
  return read.certificate;
}

export function pemOf(octets: Uint8Array): string {
  return `-----BEGIN CERTIFICATE-----\n${octets.toBase64()}\n-----END CERTIFICATE-----\n`;
}

/** Name in DER: a common name alone. */
export function nameDer(commonName: string): Uint8Array {
  const attribute = der(Der.SEQUENCE, fromHex('0603550403'), der(0x0c, toUtf8(commonName)));
  return der(Der.SEQUENCE, der(0x31, attribute));
}

const algorithms: Readonly<Record<string, string>> = {
  'ec sha256': '300a06082a8648ce3d040302',
  'ec sha1': '300906072a8648ce3d0401',
  'rsa sha256': '300d06092a864886f70d01010b0500',
  'rsa sha1': '300d06092a864886f70d0101050500',
  ed25519: '300506032b6570',
  ed448: '300506032b6571',
};

export const fleetKey = identity('P-256', 100).privateKey;
export const fleet = { subject: 'Fleet CA', key: fleetKey };
export const fleetAuthority = readOf({ ...fleet, authority: true });

/** A member of a group with certificates. */
export function member(
  name: string,
  wish: Partial<Wish> = {},
  authorities: readonly Certificate[] = [fleetAuthority],
): PrivateGroup {
  const key = wish.key ?? identity('Ed25519', name.length + 200).privateKey;
  const own = readOf({ subject: name, key, by: fleet, dns: [name], ...wish });
  const publicKey = publicKeyOf(createPublicKey(key));
  if (!publicKey) throw new Error('no key');
  return {
    kind: 'certificate',
    name: 'fleet',
    id: undefined,
    prefixes: [],
    authorities,
    chain: [own],
    privateKey: key,
    publicKey,
  };
}

function signatureKind(key: KeyObject, digest: string): string {
  const type = key.asymmetricKeyType ?? '';
  return type.startsWith('ed') ? type : `${type} ${digest}`;
}

function time(seconds: number): Uint8Array {
  const text = new Date(seconds * 1_000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x17, toUtf8(text.slice(2)));
}

function extensions(wish: Wish): Uint8Array[] {
  const { authority, pathLength, keyUsage, purposes, dns = [], mail = [], addresses = [], extra } = wish;
  const found: Uint8Array[] = [];
  const yes = fromHex('0101ff');
  if (authority === true) {
    const length = pathLength === undefined ? new Uint8Array(0) : der(Der.INTEGER, Uint8Array.of(pathLength));
    found.push(extension('551d13', true, der(Der.SEQUENCE, yes, length)));
  }
  if (keyUsage !== undefined) {
    found.push(extension('551d0f', true, der(Der.BIT_STRING, Uint8Array.of(0, keyUsage))));
  }
  if (purposes) {
    const ids = purposes.map((p) => der(Der.OID, fromHex(p)));
    found.push(extension('551d25', false, der(Der.SEQUENCE, ...ids)));
  }
  const names = [
    ...dns.map((n) => der(0x82, toUtf8(n))),
    ...mail.map((n) => der(0x81, toUtf8(n))),
    ...addresses.map((a) => der(0x87, a)),
  ];
  if (names.length > 0) found.push(extension('551d11', false, der(Der.SEQUENCE, ...names)));
  if (extra) found.push(extension(extra[0], extra[1], der(Der.SEQUENCE)));
  return found.length > 0 ? found : [extension('2a0304', false, der(Der.NULL))];
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  return der(
    Der.SEQUENCE,
    der(Der.OID, fromHex(id)),
    concatOctets(critical ? fromHex('0101ff') : new Uint8Array(0)),
    der(Der.OCTET_STRING, value),
  );
}
