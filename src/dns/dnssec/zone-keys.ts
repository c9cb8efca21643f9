import { sameOctets } from '../../wire/octets.ts';
import { nameText, type NameKey } from '../name.ts';
import { Class, Ede, Type } from '../types.ts';
import { algorithmName, Digest, isSupportedAlgorithm, isSupportedDigest } from './algorithms.ts';
import { dsMismatches, dsPerZone, keysPerZone } from './budget.ts';
import { dsDigest, importKey } from './crypto.ts';
import type { ChainView } from './delegation.ts';
import { decodeDnskey, DnskeyFlag, type Dnskey, type Ds } from './rdata.ts';
import { checkSignatures, type ZoneKey } from './signature.ts';
import { bogus, broken, entryOf, failed } from './zone-entries.ts';
import type { ZoneEntry } from './zones.ts';

/** Reads and checks the DNSKEY RRset against DS records or trusted keys (RFC 4035 §5.2). */
export function keyedZone(
  chain: ChainView,
  name: NameKey,
  dss: readonly Ds[],
  trusted: readonly Uint8Array[],
  by: string,
  ttl: number,
  validUntil: number,
): ZoneEntry | undefined {
  const question = { name, type: Type.DNSKEY, class: Class.IN };
  const reply = chain.context.reply(question);
  if (!reply) return undefined;
  if (reply.kind === 'failure') return failed(chain.context.now, name, question, reply);
  const set = reply.answer.find((s) => s.owner === name && s.type === Type.DNSKEY);
  if (!set) {
    return broken(
      chain.context.now,
      name,
      bogus(Ede.DNSKEY_MISSING, `the signed zone ${nameText(name)} has no DNSKEY`, []),
      question,
      0,
    );
  }
  if (set.signatures.length === 0) {
    const why = `the DNSKEY of ${nameText(name)} came without signatures: ${reply.upstream} may not pass DNSSEC on`;
    return broken(chain.context.now, name, bogus(Ede.RRSIGS_MISSING, why, []), question, 0);
  }
  const keys: ZoneKey[] = [];
  let unusable: string | undefined;
  for (const rdata of set.rdatas.slice(0, keysPerZone)) {
    const dnskey = decodeDnskey(rdata);
    if (!dnskey.ok || !isSupportedAlgorithm(dnskey.value.algorithm)) continue;
    if (!isZoneKey(dnskey.value)) {
      unusable = `key ${dnskey.value.tag} of ${nameText(name)} is not a zone key that is in use`;
      continue;
    }
    const key = chain.context.budget.imported(rdata, () => zoneKeyOf(dnskey.value));
    if (key) keys.push(key);
  }
  const entries = entryPoints(name, keys, dss, trusted);
  if (entries.length === 0) {
    const tags = dss.map((ds) => ds.keyTag).join(', ');
    const why = unusable ?? `no DNSKEY of ${nameText(name)} is the one that DS ${tags} names`;
    return broken(
      chain.context.now,
      name,
      bogus(unusable ? Ede.NO_ZONE_KEY_BIT_SET : Ede.DNSKEY_MISSING, why, []),
      question,
      0,
    );
  }
  const check = checkSignatures(set, name, entries, chain.context.wall, chain.context.budget);
  if (!check.ok) return broken(chain.context.now, name, bogus(check.ede, check.why, []), question, 0);
  const key = `DNSKEY ${check.key.tag} (${algorithmName(check.key.algorithm)})`;
  const how = trusted.length > 0 && dss.length === 0 ? `is ${by}` : `matches DS ${check.key.tag}, ${by}`;
  return entryOf(
    chain.context.now,
    name,
    { status: 'secure', keys },
    Math.min(ttl, check.ttl),
    Math.min(validUntil, check.validUntil),
    `${nameText(name)}: ${key} ${how} (secure)`,
  );
}

/** Those that can be checked; with SHA-2 there, SHA-1 is no use (RFC 4509 §3). */
export function usableDs(dss: readonly Ds[]): Ds[] {
  const usable = dss.filter((ds) => isSupportedAlgorithm(ds.algorithm) && isSupportedDigest(ds.digestType));
  const strong = usable.filter((ds) => ds.digestType !== Digest.SHA1);
  return (strong.length > 0 ? strong : usable).slice(0, dsPerZone);
}

/** A copy of the key that holds on to no message. */
function zoneKeyOf(dnskey: Dnskey): ZoneKey | undefined {
  const verifyKey = importKey(dnskey);
  return verifyKey && { dnskey: { ...dnskey, rdata: dnskey.rdata.slice() }, verifyKey };
}

/** The keys that are trusted as such, or that a DS names with its tag, algorithm and digest (RFC 4035 §5.2). */
function entryPoints(
  owner: NameKey,
  keys: readonly ZoneKey[],
  dss: readonly Ds[],
  trusted: readonly Uint8Array[],
): ZoneKey[] {
  let mismatches = 0;
  const isNamed = (key: Dnskey, ds: Ds): boolean => {
    if (ds.keyTag !== key.tag || ds.algorithm !== key.algorithm || mismatches >= dsMismatches) return false;
    const digest = dsDigest(ds.digestType, owner, key.rdata);
    const matches = digest !== undefined && sameOctets(digest, ds.digest);
    if (!matches) mismatches++;
    return matches;
  };
  return keys.filter(
    ({ dnskey }) => trusted.some((t) => sameOctets(t, dnskey.rdata)) || dss.some((ds) => isNamed(dnskey, ds)),
  );
}

/** RFC 4034 §2.1.1 and §2.1.2; a revoked key signs nothing but its own revocation (RFC 5011 §2.1). */
function isZoneKey(key: Dnskey): boolean {
  return key.protocol === 3 && (key.flags & DnskeyFlag.ZONE) !== 0 && (key.flags & DnskeyFlag.REVOKE) === 0;
}
