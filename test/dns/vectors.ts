/** What the RFCs give as examples, octet for octet, and what is refused: nothing of it is made by the source. */
import { importKey } from '../../src/dns/dnssec/crypto.ts';
import { Budget } from '../../src/dns/dnssec/budget.ts';
import { decodeDnskey, decodeDs, decodeNsec3, decodeRrsig } from '../../src/dns/dnssec/rdata.ts';
import { checkSignatures, type SignatureCheck, type ZoneKey } from '../../src/dns/dnssec/signature.ts';
import { octetsOfName } from '../../src/dns/name.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { wallSeconds } from '../../src/time.ts';
import { concatOctets, fromBase64, fromHex } from '../../src/wire/octets.ts';
import { encoded } from '../../src/wire/writer.ts';
import { dnskeyRdata } from './signing.ts';
import { address, key, wire } from './zone.ts';

const p256 = 'GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==';
const p384 =
  'xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8' +
  '/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40';
const mx = concatOctets(fromHex('000a'), wire('mail.example.com'));

/** Key, RRset and signature of an RFC's example. */
export interface Example {
  readonly rfc: string;
  readonly zone: string;
  readonly owner: string;
  readonly type: number;
  readonly rdata: Uint8Array;
  readonly flags: number;
  readonly algorithm: number;
  readonly labels: number;
  readonly publicKey: string;
  readonly tag: number;
  readonly inception: number;
  readonly expiration: number;
  readonly signature: string;
}

/** Signatures that verify. */
export const examples: readonly Example[] = [
  {
    rfc: 'RFC 5702 §6.2, RSA/SHA-512',
    zone: 'example.net',
    owner: 'www.example.net',
    type: Type.A,
    rdata: address('192.0.2.91'),
    flags: 256,
    algorithm: 10,
    labels: 3,
    publicKey:
      'AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMr' +
      'ZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL',
    tag: 3740,
    inception: 946_684_800,
    expiration: 1_893_456_000,
    signature:
      'tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/zpq+9fO' +
      'uagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=',
  },
  {
    rfc: 'RFC 6605 §6.1, ECDSA P-256',
    zone: 'example.net',
    owner: 'www.example.net',
    type: Type.A,
    rdata: address('192.0.2.1'),
    flags: 257,
    algorithm: 13,
    labels: 3,
    publicKey: p256,
    tag: 55_648,
    inception: 1_281_607_479,
    expiration: 1_284_026_679,
    signature: 'qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==',
  },
  {
    rfc: 'RFC 6605 §6.2, ECDSA P-384',
    zone: 'example.net',
    owner: 'www.example.net',
    type: Type.A,
    rdata: address('192.0.2.1'),
    flags: 257,
    algorithm: 14,
    labels: 3,
    publicKey: p384,
    tag: 10_771,
    inception: 1_281_608_425,
    expiration: 1_284_027_625,
    signature:
      '/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqX' +
      'L5bdcJzusdnI0RSMROxxwGipWcJm',
  },
  {
    rfc: 'RFC 8080 §6.1 as corrected by erratum 4935, Ed25519',
    zone: 'example.com',
    owner: 'example.com',
    type: Type.MX,
    rdata: mx,
    flags: 257,
    algorithm: 15,
    labels: 2,
    publicKey: 'l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=',
    tag: 3613,
    inception: 1_438_207_200,
    expiration: 1_440_021_600,
    signature: 'oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==',
  },
  {
    rfc: 'RFC 8080 §6.1 as corrected by erratum 4935, Ed25519, second key',
    zone: 'example.com',
    owner: 'example.com',
    type: Type.MX,
    rdata: mx,
    flags: 257,
    algorithm: 15,
    labels: 2,
    publicKey: 'zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=',
    tag: 35_217,
    inception: 1_438_207_200,
    expiration: 1_440_021_600,
    signature: 'zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==',
  },
  {
    rfc: 'RFC 8080 §6.2 as corrected by erratum 4935, Ed448',
    zone: 'example.com',
    owner: 'example.com',
    type: Type.MX,
    rdata: mx,
    flags: 257,
    algorithm: 16,
    labels: 2,
    publicKey: '3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA',
    tag: 9713,
    inception: 1_438_207_200,
    expiration: 1_440_021_600,
    signature:
      '3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07' +
      '+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA',
  },
];

/** The key of RFC 4034 §5.4. */
const rsaSha1 = dnskeyRdata(
  256,
  5,
  fromBase64(
    'AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd' +
      '/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==',
  ),
);

/** Keys, with tag and digest (RFC 4034 §5.4, RFC 4509 §2.3, RFC 6605 §6, RFC 8080 §6.1). */
export const digests = [
  {
    owner: 'dskey.example.com',
    dnskey: rsaSha1,
    tag: 60_485,
    type: 1,
    digest: '2bb183af5f22588179a53b0a98631fad1a292118',
  },
  {
    owner: 'dskey.example.com',
    dnskey: rsaSha1,
    tag: 60_485,
    type: 2,
    digest: 'd4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a',
  },
  {
    owner: 'example.net',
    dnskey: dnskeyRdata(257, 13, fromBase64(p256)),
    tag: 55_648,
    type: 2,
    digest: 'b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17',
  },
  {
    owner: 'example.net',
    dnskey: dnskeyRdata(257, 14, fromBase64(p384)),
    tag: 10_771,
    type: 4,
    digest:
      '72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6',
  },
  {
    owner: 'example.com',
    dnskey: dnskeyRdata(257, 15, fromBase64('l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=')),
    tag: 3613,
    type: 2,
    digest: '3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b',
  },
];

/** Names as they hash with 12 iterations and the salt aabbccdd (RFC 5155 appendix A). */
export const nsec3Hashes = [
  ['example', '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom'],
  ['a.example', '35mthgpgcu1qg68fab165klnsnk3dpvl'],
  ['ai.example', 'gjeqe526plbf1g8mklp59enfd789njgi'],
  ['ns1.example', '2t7b4g4vsa5smi47k61mv5bv1a22bojr'],
  ['ns2.example', 'q04jkcevqvmu85r014c7dkba38o0ji5r'],
  ['w.example', 'k8udemvp1j2f7eg6jebps17vp3n8i58h'],
  ['*.w.example', 'r53bq7cc2uvmubfu5ocmm6pers9tk9en'],
  ['x.w.example', 'b4um86eghhds6nea196smvmlo4ors995'],
  ['y.w.example', 'ji6neoaepv8b5o6k4ev33abha8ht9fgc'],
  ['x.y.w.example', '2vptu5timamqttgl4luu9kg21e0aor3s'],
  ['xx.example', 't644ebqk9bibcna874givr6joj62mlhv'],
] as const;

/** RFC 4648 §10, in lower case and without padding. */
export const base32 = [
  ['', ''],
  ['f', 'co'],
  ['fo', 'cpng'],
  ['foo', 'cpnmu'],
  ['foob', 'cpnmuog'],
  ['fooba', 'cpnmuoj1'],
  ['foobar', 'cpnmuoj1e8'],
] as const;

/** No base 32 with the extended hex alphabet: other characters, bits left over, a digit too many. */
export const refusedBase32 = ['w', 'w0', '0w000000', '0p9', 'cp', 'cpnmv', '0', '000', '00000w'] as const;

/** Types and their bitmap: RFC 4034 §4.3; the last of a window, and windows that are full, as §4.1.2 has them. */
export const bitmaps = [
  [[1, 15, 46, 47, 1234], '0006400100000003041b000000000000000000000000000000000000000000000000000020'],
  [[], ''],
  [[0], '000180'],
  [[255, 256], `0020${'00'.repeat(31)}01010180`],
  [[65_535], `ff20${'00'.repeat(31)}01`],
  [[7, 8], '00020180'],
] as const;

export const refusedBitmaps = [
  ['an empty window', '0000'],
  ['a window of 33 octets', `0021${'01'.repeat(33)}`],
  ['windows out of order', '01010100 0101'.replaceAll(' ', '')],
  ['a window that ends early', '000440'],
  ['a window twice', '000140000140'],
  ['a window without octets', '00'],
  ['one window without its length after another', '00014001'],
] as const;

export const refusedKeys = [
  [
    'RSA of 512 bits',
    8,
    'AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=',
  ],
  ['RSA with an exponent of 1', 8, toB64(concatOctets(fromHex('0101'), new Uint8Array(256).fill(0xff)))],
  ['RSA with an even modulus', 8, toB64(concatOctets(fromHex('03010001'), new Uint8Array(256).fill(0xfe)))],
  ['RSA of 16384 bits', 8, toB64(concatOctets(fromHex('03010001'), new Uint8Array(2048).fill(0xff)))],
  ['RSA with an exponent of 9 octets', 8, toB64(concatOctets(fromHex('09'), new Uint8Array(265).fill(0xff)))],
  ['RSA whose exponent is longer than the key', 8, toB64(fromHex('00ffff01'))],
  ['P-256 off the curve', 13, toB64(new Uint8Array(64).fill(1))],
  ['P-256 of a wrong length', 13, toB64(new Uint8Array(65).fill(1))],
  ['Ed25519 of a wrong length', 15, toB64(new Uint8Array(31))],
  [
    'RSA/SHA-1',
    5,
    'AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL',
  ],
  ['RSA of 1023 bits', 8, toB64(rsa('010001', 128, 0x7f))],
  ['RSA of 4097 bits', 8, toB64(rsa('010001', 513, 0x01))],
  ['RSA whose modulus is even in its last octet alone', 8, toB64(rsa('010001', 128, 0xff).with(-1, 0xfe))],
  ['RSA with an even exponent', 8, toB64(rsa('010000', 128, 0xff))],
  [
    'RSA with an exponent of nothing',
    8,
    toB64(concatOctets(fromHex('000000'), new Uint8Array(128).fill(0xff))),
  ],
  [
    'P-256 with a zero too many',
    13,
    toB64(concatOctets(fromBase64(p256).subarray(0, 32), fromHex('00'), fromBase64(p256).subarray(32))),
  ],
] as const;

/** What RSA keys may be: as short and as long as they come, with either length of the exponent (RFC 3110 §2). */
export const usedKeys = [
  ['RSA of 1024 bits', 8, toB64(rsa('010001', 128, 0x80))],
  ['RSA of 4096 bits', 10, toB64(rsa('010001', 512, 0xff))],
  ['RSA with an exponent of 3', 8, toB64(rsa('03', 128, 0xff))],
  ['RSA with an exponent of 8 octets', 8, toB64(rsa('8000000000000001', 128, 0xff))],
  [
    'RSA with the long form of the length',
    8,
    toB64(concatOctets(fromHex('000003'), rsa('010001', 128, 0xff).subarray(1))),
  ],
  [
    'RSA with an exponent of 259 octets, most of them zero',
    8,
    toB64(concatOctets(fromHex('000103'), new Uint8Array(256), rsa('010001', 128, 0xff).subarray(1))),
  ],
] as const;

/** Key, DS, RRSIG and NSEC3 that end too early, and the shortest that are read. */
export const shortest = [
  { decode: decodeDnskey, refused: '01010308', read: '0101030800' },
  { decode: decodeDs, refused: '00010802', read: '0001080200' },
  { decode: decodeRrsig, refused: `${'00'.repeat(18)}00`, read: `${'00'.repeat(18)}0000` },
  { decode: decodeNsec3, refused: '01000000' + '0000', read: '01000000' + '000100' },
] as const;

/** The key of an example as a zone has it. */
export function zoneKey(example: Example): ZoneKey {
  const dnskey = decodeDnskey(dnskeyRdata(example.flags, example.algorithm, fromBase64(example.publicKey)));
  const verifyKey = dnskey.ok ? importKey(dnskey.value) : undefined;
  if (!dnskey.ok || !verifyKey) throw new Error('the key of the example is not read');
  return { dnskey: dnskey.value, verifyKey };
}

/** What the signature of an example is worth at that time. */
export function check(
  example: Example,
  wall: number,
  keys = [zoneKey(example)],
  budget = new Budget(),
): SignatureCheck {
  const rrsig = concatOctets(
    encoded((w) => {
      w.u16(example.type);
      w.u8(example.algorithm);
      w.u8(example.labels);
      w.u32(3600);
      w.u32(example.expiration);
      w.u32(example.inception);
      w.u16(example.tag);
    }),
    octetsOfName(key(example.zone)),
    fromBase64(example.signature),
  );
  const { type, rdata } = example;
  const set = {
    owner: key(example.owner),
    type,
    class: Class.IN,
    ttl: 3600,
    rdatas: [rdata],
    signatures: [rrsig],
  };
  return checkSignatures(set, key(example.zone), keys, wallSeconds(wall), budget);
}

function toB64(octets: Uint8Array): string {
  return octets.toBase64();
}

/** RSA with that exponent, and a modulus of so many octets. */
function rsa(exponent: string, octets: number, first: number): Uint8Array {
  const modulus = new Uint8Array(octets).fill(0xff).with(0, first);
  const e = fromHex(exponent);
  return concatOctets(Uint8Array.of(e.length), e, modulus);
}
