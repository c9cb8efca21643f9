import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { der, Der, derUnsigned } from '../../src/wire/der.ts';
import { parseAddress } from '../../src/net/address.ts';

/** What a certificate of the tests says. */
export interface CertificateWish {
  /** Names and addresses that it is for. */
  readonly names?: readonly string[];
  /** Its subject's common name, which is nobody's proof. */
  readonly commonName?: string;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isAuthority?: boolean;
  /** Who signs it; it signs itself where nobody does. */
  readonly issuer?: Identity;
}

/** A certificate and its key, as servers of node:tls want them. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly subject: Uint8Array;
  readonly keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject };
}

/** An X.509 certificate with a fresh P-256 key (RFC 5280 §4.1). */
export function certificate(wish: CertificateWish): Identity {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = nameOf(wish.commonName ?? 'test');
  const issuer = wish.issuer ?? { keys, subject };
  const ecdsaWithSha256 = der(Der.SEQUENCE, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const day = 86_400_000;
  const extensions = [
    extension(
      [0x55, 0x1d, 0x13],
      der(Der.SEQUENCE, ...(wish.isAuthority ? [der(1, Uint8Array.of(0xff))] : [])),
    ),
    ...(wish.names ? [extension([0x55, 0x1d, 0x11], der(Der.SEQUENCE, ...wish.names.map(generalName)))] : []),
  ];
  const toBeSigned = der(
    Der.SEQUENCE,
    der(0xa0, derUnsigned(Uint8Array.of(2))), // Version 3.
    derUnsigned(Uint8Array.of(1, Math.floor(Math.random() * 256), Math.floor(Math.random() * 256))),
    ecdsaWithSha256,
    issuer.subject,
    der(
      Der.SEQUENCE,
      time(wish.notBefore ?? new Date(Date.now() - day)),
      time(wish.notAfter ?? new Date(Date.now() + day)),
    ),
    subject,
    new Uint8Array(keys.publicKey.export({ type: 'spki', format: 'der' })),
    der(0xa3, der(Der.SEQUENCE, ...extensions)),
  );
  const signature = sign('sha256', toBeSigned, { key: issuer.keys.privateKey, dsaEncoding: 'der' });
  const whole = der(
    Der.SEQUENCE,
    toBeSigned,
    ecdsaWithSha256,
    der(Der.BIT_STRING, Uint8Array.of(0), new Uint8Array(signature)),
  );
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${Buffer.from(whole).toString('base64')}\n-----END CERTIFICATE-----\n`,
    key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    subject,
    keys,
  };
}

function nameOf(commonName: string): Uint8Array {
  const attribute = der(Der.SEQUENCE, oid(0x55, 0x04, 0x03), der(0x0c, new TextEncoder().encode(commonName)));
  return der(Der.SEQUENCE, der(0x31, attribute));
}

/** dNSName or iPAddress of RFC 5280 §4.2.1.6. */
function generalName(name: string): Uint8Array {
  const address = parseAddress(name);
  return address ? der(0x87, address.octets) : der(0x82, new TextEncoder().encode(name));
}

function extension(id: readonly number[], value: Uint8Array): Uint8Array {
  return der(Der.SEQUENCE, oid(...id), der(Der.OCTET_STRING, value));
}

function oid(...octets: readonly number[]): Uint8Array {
  return der(Der.OID, Uint8Array.from(octets));
}

/** UTCTime. */
function time(date: Date): Uint8Array {
  const digits = date.toISOString().replaceAll(/\D/g, '').slice(2, 14);
  return der(0x17, new TextEncoder().encode(`${digits}Z`));
}
