/** Keys of test zones: they follow from a seed, RSA aside, and remember what they have signed. */
import {
  createECDH,
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto';
import { Algorithm } from '../../src/dns/dnssec/algorithms.ts';
import { keyTag } from '../../src/dns/dnssec/keytag.ts';
import { concatOctets, toLatin1 } from '../../src/wire/octets.ts';

/** A key that follows from a zone's name and the algorithm; RSA keys are made once per process. */
export interface SigningKey {
  readonly algorithm: number;
  readonly tag: number;
  /** RDATA of the DNSKEY: zone key and secure entry point. */
  readonly rdata: Uint8Array;
  readonly sign: (data: Uint8Array) => Uint8Array;
}

const signingKeys = new Map<string, SigningKey>();
const signatures = new Map<string, Uint8Array>();

export function signingKey(zone: string, algorithm: number, flags = 257, protocol = 3): SigningKey {
  const id = `${algorithm} ${flags} ${protocol} ${zone}`;
  const known = signingKeys.get(id);
  if (known) return known;
  const { secret, publicKey } = keyPair(id, algorithm);
  const rdata = dnskeyRdata(flags, algorithm, publicKey, protocol);
  const made: SigningKey = {
    algorithm,
    tag: keyTag(rdata),
    rdata,
    sign: (data) => {
      const memo = `${id} ${toLatin1(data)}`;
      let signature = signatures.get(memo);
      if (!signature) {
        signature = Uint8Array.from(signWith(algorithm, secret, data));
        if (signatures.size > 20_000) signatures.clear();
        signatures.set(memo, signature);
      }
      return signature;
    },
  };
  signingKeys.set(id, made);
  return made;
}

export function dnskeyRdata(
  flags: number,
  algorithm: number,
  publicKey: Uint8Array,
  protocol = 3,
): Uint8Array {
  return concatOctets(new Uint8Array([flags >> 8, flags & 0xff, protocol, algorithm]), publicKey);
}

/** The same key with the REVOKE bit, which signs as it did. */
export function revokedKey(key: SigningKey): SigningKey {
  const rdata = dnskeyRdata(257 | 128, key.algorithm, key.rdata.subarray(4));
  return { ...key, rdata, tag: keyTag(rdata) };
}

/** DS RDATA that names `signing`, with any digest. */
export function dsRdata(
  signing: Pick<SigningKey, 'tag' | 'algorithm'>,
  digestType: number,
  digest: Uint8Array,
): Uint8Array {
  return concatOctets(
    new Uint8Array([signing.tag >> 8, signing.tag & 0xff, signing.algorithm, digestType]),
    digest,
  );
}

function signWith(algorithm: number, secret: KeyObject, data: Uint8Array): Uint8Array {
  switch (algorithm) {
    case Algorithm.RSASHA256:
      return sign('sha256', data, secret);
    case Algorithm.RSASHA512:
      return sign('sha512', data, secret);
    case Algorithm.ECDSAP256SHA256:
      return sign('sha256', data, { key: secret, dsaEncoding: 'ieee-p1363' });
    case Algorithm.ECDSAP384SHA384:
      return sign('sha384', data, { key: secret, dsaEncoding: 'ieee-p1363' });
    default:
      return sign(null, data, secret);
  }
}

function keyPair(
  seed: string,
  algorithm: number,
): { readonly secret: KeyObject; readonly publicKey: Uint8Array } {
  switch (algorithm) {
    case Algorithm.RSASHA256:
    case Algorithm.RSASHA512: {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
      const exponent = octets64(e);
      return {
        secret: privateKey,
        publicKey: concatOctets(new Uint8Array([exponent.length]), exponent, octets64(n)),
      };
    }
    case Algorithm.ECDSAP256SHA256:
      return ecPair(seed, 'prime256v1', 'P-256', 32);
    case Algorithm.ECDSAP384SHA384:
      return ecPair(seed, 'secp384r1', 'P-384', 48);
    case Algorithm.ED448: {
      return edwardsPair(seed, 57, '3047020100300506032b6571043b0439');
    }
    default:
      // Zones of algorithms that nobody can check are signed with Ed25519 all the same.
      return edwardsPair(seed, 32, '302e020100300506032b657004220420');
  }
}

function ecPair(
  seed: string,
  curve: string,
  crv: string,
  size: number,
): { secret: KeyObject; publicKey: Uint8Array } {
  const d = createHash('sha512').update(seed).digest().subarray(0, size);
  d[0] = (d[0] ?? 0) & 0x7f;
  const ecdh = createECDH(curve);
  ecdh.setPrivateKey(d);
  const publicKey = Uint8Array.from(ecdh.getPublicKey()).subarray(1);
  const [x, y] = [text64(publicKey.subarray(0, size)), text64(publicKey.subarray(size))];
  const secret = createPrivateKey({ format: 'jwk', key: { kty: 'EC', crv, x, y, d: text64(d) } });
  return { secret, publicKey };
}

function edwardsPair(
  seed: string,
  size: number,
  pkcs8: string,
): { secret: KeyObject; publicKey: Uint8Array } {
  const d = createHash('shake256', { outputLength: size }).update(seed).digest();
  const der = Buffer.concat([Buffer.from(pkcs8, 'hex'), d]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return { secret, publicKey: octets64(secret.export({ format: 'jwk' }).x ?? '') };
}

function octets64(text: string): Uint8Array {
  return Uint8Array.fromBase64(text, { alphabet: 'base64url' });
}

function text64(octets: Uint8Array): string {
  return octets.toBase64({ alphabet: 'base64url', omitPadding: true });
}
