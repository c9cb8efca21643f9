import type { Decoded } from '../../wire/error.ts';
import { decoded } from '../../wire/reader.ts';
import { readPlainName, type NameKey } from '../name.ts';
import { readTypeBitmap, type TypeSet } from './bitmap.ts';
import { keyTag } from './keytag.ts';

/** DNSKEY flags, IANA "dnskey-flags". */
export const DnskeyFlag = { ZONE: 0x100, REVOKE: 0x80, SEP: 1 } as const;

/** DNSKEY (RFC 4034 §2). */
export interface Dnskey {
  readonly flags: number;
  /** 3, or the key is not to be used (§2.1.2). */
  readonly protocol: number;
  readonly algorithm: number;
  /** In the format of the algorithm; borrowed. */
  readonly key: Uint8Array;
  readonly tag: number;
  /** The whole RDATA; borrowed. */
  readonly rdata: Uint8Array;
}

export function decodeDnskey(rdata: Uint8Array): Decoded<Dnskey> {
  return decoded(rdata, (r) => {
    const [flags, protocol, algorithm] = [r.u16(), r.u8(), r.u8()];
    if (r.remaining === 0) r.fail('a DNSKEY without a key');
    return { flags, protocol, algorithm, key: r.rest(), tag: keyTag(rdata), rdata };
  });
}

/** DS (RFC 4034 §5). */
export interface Ds {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  /** Borrowed. */
  readonly digest: Uint8Array;
}

export function decodeDs(rdata: Uint8Array): Decoded<Ds> {
  return decoded(rdata, (r) => {
    const ds = { keyTag: r.u16(), algorithm: r.u8(), digestType: r.u8() };
    if (r.remaining === 0) r.fail('a DS without a digest');
    return { ...ds, digest: r.rest() };
  });
}

/** RRSIG (RFC 4034 §3). */
export interface Rrsig {
  readonly typeCovered: number;
  readonly algorithm: number;
  /** Labels of the owner when it was signed, `*` and the root not counted (§3.1.3). */
  readonly labels: number;
  /** Seconds. */
  readonly originalTtl: number;
  /** Seconds since 1970 modulo 2^32; compare with serial arithmetic (§3.1.5). */
  readonly expiration: number;
  readonly inception: number;
  readonly keyTag: number;
  readonly signer: NameKey;
  /** Borrowed. */
  readonly signature: Uint8Array;
  /** The first 18 octets of the RDATA, which are signed together with the signer's name; borrowed. */
  readonly fixed: Uint8Array;
}

/** A compressed signer's name is a WireError (§3.1.7). */
export function decodeRrsig(rdata: Uint8Array): Decoded<Rrsig> {
  return decoded(rdata, (r) => {
    const numbers = {
      typeCovered: r.u16(),
      algorithm: r.u8(),
      labels: r.u8(),
      originalTtl: r.u32(),
      expiration: r.u32(),
      inception: r.u32(),
      keyTag: r.u16(),
    };
    const signer = readPlainName(r);
    if (r.remaining === 0) r.fail('an RRSIG without a signature');
    return { ...numbers, signer, signature: r.rest(), fixed: rdata.subarray(0, 18) };
  });
}

/** NSEC (RFC 4034 §4). */
export interface Nsec {
  readonly next: NameKey;
  readonly types: TypeSet;
}

export function decodeNsec(rdata: Uint8Array): Decoded<Nsec> {
  return decoded(rdata, (r) => ({ next: readPlainName(r), types: readTypeBitmap(r) }));
}

/** NSEC3 flag Opt-Out (RFC 5155 §3.1.2.1). */
export const optOutFlag = 1;

/** NSEC3 (RFC 5155 §3). */
export interface Nsec3 {
  readonly hashAlgorithm: number;
  readonly flags: number;
  /** Additional times that the hash is computed. */
  readonly iterations: number;
  /** Borrowed. */
  readonly salt: Uint8Array;
  /** Hash of the next owner, as the owner's label has it in base32hex; borrowed. */
  readonly nextHash: Uint8Array;
  readonly types: TypeSet;
}

export function decodeNsec3(rdata: Uint8Array): Decoded<Nsec3> {
  return decoded(rdata, (r) => {
    const [hashAlgorithm, flags, iterations] = [r.u8(), r.u8(), r.u16()];
    const salt = r.octets(r.u8());
    const length = r.u8();
    if (length === 0) r.fail('an NSEC3 without a next hashed owner name');
    const nextHash = r.octets(length);
    return { hashAlgorithm, flags, iterations, salt, nextHash, types: readTypeBitmap(r) };
  });
}
