import { createPrivateKey } from 'node:crypto';
import { Algorithm } from '../../src/dns/dnssec/algorithms.ts';
import type { Transport } from '../../src/dns/finder.ts';
import { encodeIpseckey, encodePublicKey } from '../../src/dns/ipseckey.ts';
import { nameText, reverseName } from '../../src/dns/name.ts';
import { Type } from '../../src/dns/types.ts';
import type { HostIdentity } from '../../src/ike/endpoint.ts';
import { parseAddress, type Endpoint, type IpAddress } from '../../src/net/address.ts';
import { publicKeyFrom } from '../../src/oe/io/host-key.ts';
import { toHex, toLatin1 } from '../../src/wire/octets.ts';
import { SignedWorld } from '../dns/zone.ts';

/** A host that the DNS of the simulation knows. */
export interface HostSpec {
  readonly name: string;
  readonly address: IpAddress;
  /** Made of the name, published under it and in the reverse tree. */
  readonly identity: HostIdentity;
}

export const alice = hostSpec('alice.example.org', '198.18.1.2');
export const bob = hostSpec('bob.example.org', '198.18.2.10');
export const carol = hostSpec('carol.example.org', '198.18.3.30');
/** Publishes nothing. */
export const plainName = 'plain.example.org';
/** Its address is forged, or its zone is broken. */
export const bogusName = 'bogus.example.org';
/** Bob's address with a key that nobody has. */
export const wrongKeyName = 'wrongkey.example.org';
/** Bob's address with a key of which the signature is wrong. */
export const bogusKeyName = 'boguskey.example.org';
/** Bob's address and key, in a zone that is not signed. */
export const insecureName = 'bob.unsigned.org';
/** Its address takes no IKE. */
export const silentName = 'silent.example.org';
export const silentAddress = address('198.18.4.40');

export const resolverAt: Endpoint = { address: address('198.18.0.53'), port: 53 };

// Checking an RSA signature takes a fifth of the time that an Ed25519 signature takes, and a run checks dozens.
const algorithm = Algorithm.RSASHA256;
const zones = [
  { name: '.', signed: true, algorithm },
  { name: 'org', signed: true, denial: 'NSEC3', optOut: true, algorithm },
  { name: 'example.org', signed: true, algorithm },
  { name: 'unsigned.org' },
  { name: '198.in-addr.arpa', signed: true, algorithm },
] as const;

/** All names of the simulation; made once in a process, and its answers are remembered. */
export const dns = makeDns();
export const anchors = dns.anchors();

const answers = new Map<string, Uint8Array>();

/** The resolver's reply. What it says never changes, so it is kept; the message's ID and question are put in. */
export function reply(octets: Uint8Array, transport: Transport): Uint8Array {
  const questionEnd = octets.indexOf(0, 12) + 5;
  const key = toLatin1(octets.subarray(12, questionEnd)).toLowerCase() + transport;
  let kept = answers.get(key);
  if (!kept) {
    kept = dns.answer(octets, transport === 'udp' ? 'udp' : 'tcp');
    answers.set(key, kept);
  }
  const answer = kept.slice();
  answer.set(octets.subarray(0, 2));
  answer.set(octets.subarray(12, questionEnd), 12);
  return answer;
}

function makeDns(): SignedWorld {
  const world = new SignedWorld(zones);
  for (const host of [alice, bob, carol]) {
    world.add(host.name, host.address.family === 4 ? Type.A : Type.AAAA, host.address.octets);
    const record = keyRecord(host);
    world.add(host.name, Type.IPSECKEY, record);
    if (host.address.family === 4) world.add(nameText(reverseName(host.address)), Type.IPSECKEY, record);
  }
  world.add(plainName, Type.A, bob.address.octets);
  world.add(bogusName, Type.A, bob.address.octets).spoil(bogusName, Type.A, { flipped: true });
  world.add(wrongKeyName, Type.A, bob.address.octets);
  world.add(wrongKeyName, Type.IPSECKEY, keyRecord(hostSpec('nobody.example.org', '198.18.9.9')));
  world.add(bogusKeyName, Type.A, bob.address.octets);
  world
    .add(bogusKeyName, Type.IPSECKEY, keyRecord(bob))
    .spoil(bogusKeyName, Type.IPSECKEY, { flipped: true });
  world.add(insecureName, Type.A, bob.address.octets);
  world.add(insecureName, Type.IPSECKEY, keyRecord(bob));
  world.add(silentName, Type.A, silentAddress.octets);
  world.add(silentName, Type.IPSECKEY, keyRecord(bob));
  return world;
}

function keyRecord(host: HostSpec): Uint8Array {
  return encodeIpseckey({
    precedence: 10,
    gateway: { kind: 'none' },
    ...encodePublicKey(host.identity.publicKey),
  });
}

function hostSpec(name: string, text: string): HostSpec {
  const seed = new Uint8Array(32);
  seed.set(new TextEncoder().encode(name).subarray(0, 32));
  // PKCS#8 of an Ed25519 key (RFC 8410 §7).
  const der = Uint8Array.fromHex(`302e020100300506032b657004220420${toHex(seed)}`);
  const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  const publicKey = publicKeyFrom(privateKey, name);
  return { name, address: address(text), identity: { privateKey, publicKey } };
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(`not an address: ${text}`);
  return parsed;
}
