/** A root whose key-signing keys come and go by a time table, with signatures that are renewed as time goes by. */
import type { TrustAnchor } from '../../src/dns/anchors.ts';
import { Algorithm, Digest } from '../../src/dns/dnssec/algorithms.ts';
import { dsDigest } from '../../src/dns/dnssec/crypto.ts';
import { signedOctets } from '../../src/dns/dnssec/signature.ts';
import { canonicalRdatas } from '../../src/dns/canonical.ts';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { octetsOfName, rootName } from '../../src/dns/name.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { wallSeconds, type WallSeconds } from '../../src/time.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { encoded } from '../../src/wire/writer.ts';
import { dsRdata, signingKey, type SigningKey } from './signing.ts';
import { address, SignedWorld } from './zone.ts';

/** The keys of the root at one time. */
export interface RootKeys {
  readonly published: readonly SigningKey[];
  readonly signing: readonly SigningKey[];
}

export const day = 86_400;
/** Seconds for which the root's DNSKEY is signed, and kept by others. */
const [validity, ttl] = [21 * day, 172_800];

/** A key-signing key of the root. */
export function rootKey(name: string, algorithm: number = Algorithm.ED25519): SigningKey {
  return signingKey(`root ${name}`, algorithm);
}

export function anchorOf(key: SigningKey): TrustAnchor {
  const digest = dsDigest(Digest.SHA256, rootName, key.rdata) ?? new Uint8Array();
  return { kind: 'DS', owner: rootName, rdata: dsRdata(key, Digest.SHA256, digest) };
}

/** A world below such a root; `www.example.org` is in it. Everything but the root's keys is signed for ten years. */
export function rollingWorld(keysAt: (wall: WallSeconds) => RootKeys, clock: () => WallSeconds): SignedWorld {
  const world = new SignedWorld([
    { name: '.', signed: true, keyFlags: 256 },
    { name: 'org', signed: true },
    { name: 'example.org', signed: true },
  ]).add('www.example.org', Type.A, address('192.0.2.80'));
  const years = { inception: at('2024-01-01'), expiration: at('2034-01-01') };
  for (const zone of ['.', 'org', 'example.org']) world.spoilZone(zone, years);
  const { dnskey: zoneKey } = world.keysOf('.');
  return world.tamper((message, question) => {
    if (question.name !== rootName || question.type !== Type.DNSKEY) return message;
    const { published, signing } = keysAt(clock());
    const rdatas = [...published.map((k) => k.rdata), zoneKey];
    return { ...message, answer: signedKeys(rdatas, signing, clock()) };
  });
}

/** The root's DNSKEY RRset, signed by `signing` a third of the time ago. */
export function signedKeys(
  rdatas: readonly Uint8Array[],
  signing: readonly SigningKey[],
  wall: WallSeconds,
): ResourceRecord[] {
  const record = (type: number, rdata: Uint8Array): ResourceRecord => ({
    owner: rootName,
    type,
    class: Class.IN,
    ttl,
    rdata,
  });
  const inception = Math.floor(wall / day) * day - validity / 3;
  const set = {
    owner: rootName,
    type: Type.DNSKEY,
    class: Class.IN,
    ttl,
    rdatas: canonicalRdatas(Type.DNSKEY, rdatas),
    signatures: [],
  };
  const rrsigs = signing.map((key) => {
    const fixed = encoded((w) => {
      w.u16(Type.DNSKEY);
      w.u8(key.algorithm);
      w.u8(0);
      w.u32(ttl);
      w.u32(inception + validity);
      w.u32(inception);
      w.u16(key.tag);
    });
    const data = signedOctets(set, { fixed, signer: rootName, labels: 0, originalTtl: ttl });
    return concatOctets(fixed, octetsOfName(rootName), key.sign(data));
  });
  return [...rdatas.map((r) => record(Type.DNSKEY, r)), ...rrsigs.map((r) => record(Type.RRSIG, r))];
}

/** Noon of a day, UTC. */
export function at(date: string): WallSeconds {
  return wallSeconds(Date.parse(`${date}T12:00:00Z`) / 1000);
}
