import { nameText, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Ede, Type } from '../types.ts';
import type { ChainContext, Denied } from './chain.ts';
import type { Absence, Denial, DenialProof } from './denial.ts';
import { nsecProof, type OwnedNsec } from './nsec.ts';
import { nsec3Proof, type OwnedNsec3 } from './nsec3.ts';
import { decodeNsec, decodeNsec3 } from './rdata.ts';
import { checkSignatures, type SignatureCheck, type ZoneKey } from './signature.ts';
import { bogus } from './zone-entries.ts';
import type { Bogus, Insecure } from './zones.ts';

/** What those of `sets` prove that `zone` has signed, with the SOA of `section` to go with it. */
export function proofOf<T extends Denial | Absence>(
  { wall, budget }: Pick<ChainContext, 'wall' | 'budget'>,
  zone: NameKey,
  keys: readonly ZoneKey[],
  sets: readonly RRset[],
  section: readonly RRset[],
  ask: (proof: DenialProof) => T,
): Denied<T> {
  const nsecs: OwnedNsec[] = [];
  const nsec3s: OwnedNsec3[] = [];
  const authority: RRset[] = [];
  let validUntil = Infinity;
  let refused: Extract<SignatureCheck, { readonly ok: false }> | undefined;
  let falseSoa: Bogus | undefined;
  const soas = section.filter((s) => s.type === Type.SOA && s.owner === zone);
  for (const set of [...soas, ...sets]) {
    const check = checkSignatures(set, zone, keys, wall, budget);
    if (!check.ok) {
      if (set.type === Type.SOA) falseSoa = bogus(check.ede, check.why, []);
      refused ??= check;
      continue;
    }
    // A denial that was itself made from a wildcard proves nothing about the name it now bears (CVE-2017-15105).
    if (check.wildcardAt !== undefined) continue;
    validUntil = Math.min(validUntil, check.validUntil);
    authority.push({ ...set, ttl: check.ttl });
    for (const rdata of set.rdatas) {
      if (set.type === Type.NSEC) {
        const nsec = decodeNsec(rdata);
        if (nsec.ok) nsecs.push({ ...nsec.value, owner: set.owner });
      } else if (set.type === Type.NSEC3) {
        const nsec3 = decodeNsec3(rdata);
        if (nsec3.ok) nsec3s.push({ ...nsec3.value, owner: set.owner });
      }
    }
  }
  const proofs = [
    ...(nsecs.length > 0 ? [nsecProof(zone, nsecs)] : []),
    ...(nsec3s.length > 0 ? [nsec3Proof(zone, nsec3s, budget)] : []),
  ];
  let unproved: Denied<T> | undefined;
  for (const proof of proofs) {
    const found = ask(proof);
    const denied: Denied<T> = {
      status: 'proved',
      zone,
      proof: found,
      authority,
      falseSoa,
      validUntil,
      what: proof.what,
    };
    if (found.kind !== 'unproved') return denied;
    unproved ??= denied;
  }
  if (refused) return bogus(refused.ede, refused.why, []);
  return unproved ?? bogus(Ede.NSEC_MISSING, `no denial of ${nameText(zone)} is of use`, []);
}

/** Seconds to keep a negative answer: TTL and MINIMUM of the SOA (RFC 2308 §5) and the TTL of each record that denies. */
export function negativeTtl(authority: readonly RRset[]): number {
  let ttl: number | undefined;
  for (const set of authority) {
    if (set.type !== Type.SOA && set.type !== Type.NSEC && set.type !== Type.NSEC3) continue;
    ttl = Math.min(ttl ?? set.ttl, set.ttl);
    const rdata = set.rdatas[0];
    if (set.type !== Type.SOA || rdata === undefined || rdata.length < 22) continue;
    ttl = Math.min(
      ttl,
      new DataView(rdata.buffer, rdata.byteOffset, rdata.length).getUint32(rdata.length - 4),
    );
  }
  return Math.min(ttl ?? 0, 10_800);
}

/** What NSEC3 with too many iterations means (RFC 9276 §3.2): no security, and beyond all reason a refusal. */
export function costly(
  zone: NameKey,
  proof: Extract<Denial, { readonly kind: 'tooCostly' }>,
): Insecure | Bogus {
  const text = `${nameText(zone)} uses NSEC3 with ${proof.iterations} iterations`;
  const code = Ede.UNSUPPORTED_NSEC3_ITERATIONS;
  return proof.refused
    ? bogus(code, text, [])
    : { status: 'insecure', from: nameText(zone), ede: { code, text } };
}
