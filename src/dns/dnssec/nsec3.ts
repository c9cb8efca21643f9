import { compareOctets, sameOctets, toHex } from '../../wire/octets.ts';
import {
  ancestorOf,
  isBelow,
  labelCount,
  labelsOf,
  nameText,
  parentOf,
  rootName,
  wildcardOf,
  type NameKey,
} from '../name.ts';
import { Type, typeName } from '../types.ts';
import { nsec3Sha1 } from './algorithms.ts';
import { fromBase32Hex } from './base32.ts';
import { hashesPerAnswer, iterationsRefused, type Budget } from './budget.ts';
import { nsec3Hash } from './crypto.ts';
import {
  bitsDeny,
  endsTheZone,
  isParentSide,
  nxname,
  type Absence,
  type Denial,
  type DenialProof,
} from './denial.ts';
import { optOutFlag, type Nsec3 } from './rdata.ts';

/** A validated NSEC3 that was not expanded from a wildcard. */
export interface OwnedNsec3 extends Nsec3 {
  readonly owner: NameKey;
}

/** An NSEC3 that can be used, with the hash that its owner's first label stands for. */
export interface Span extends OwnedNsec3 {
  readonly hash: Uint8Array;
}

/** Where proofs find their NSEC3: in one message, or among those kept from many. All have the same parameters. */
export interface Nsec3Source {
  readonly parameters: Pick<Nsec3, 'salt' | 'iterations'> | undefined;
  /** The record of this very hash. */
  at(hash: Uint8Array): Span | undefined;
  /** The record whose span holds the hash. */
  over(hash: Uint8Array): Span | undefined;
}

/** Proofs with the NSEC3 of a message. */
export function nsec3Proof(zone: NameKey, records: readonly OwnedNsec3[], budget: Budget): DenialProof {
  const usable = usableSpans(zone, records);
  const source: Nsec3Source = {
    parameters: usable[0],
    at: (hash) => usable.find((s) => sameOctets(s.hash, hash)),
    over: (hash) => usable.find((s) => isWithin(s, hash)),
  };
  let left = hashesPerAnswer;
  return nsec3ProofFrom(zone, source, {
    iterations: budget.iterations,
    hashed: (id, micros, hash) => (left-- > 0 ? budget.hashed(id, micros, hash) : budget.refuseHash()),
    get exhausted() {
      return budget.exhausted;
    },
  });
}

/** What hashing may cost. */
type HashBudget = Pick<Budget, 'hashed' | 'exhausted' | 'iterations'>;

/** Proofs with NSEC3 (RFC 5155 §8). */
export function nsec3ProofFrom(zone: NameKey, source: Nsec3Source, budget: HashBudget): DenialProof {
  const first = source.parameters;
  const hashes = new Map<NameKey, Uint8Array | undefined>();

  function hashOf(name: NameKey): Uint8Array | undefined {
    if (first === undefined) return undefined;
    if (hashes.has(name)) return hashes.get(name);
    const { salt, iterations } = first;
    const micros = (iterations + 1) * (1.5 + salt.length / 100);
    const hash = budget.hashed(`${iterations} ${toHex(salt)} ${name}`, micros, () =>
      nsec3Hash(name, salt, iterations),
    );
    hashes.set(name, hash);
    return hash;
  }

  function matching(name: NameKey): Span | undefined {
    const hash = hashOf(name);
    return hash && source.at(hash);
  }

  function covering(name: NameKey): Span | undefined {
    const hash = hashOf(name);
    return hash && source.over(hash);
  }

  /**
   * The closest provable encloser of a name that is not there, with the span that holds the next closer name
   * (§8.3); undefined without such a proof.
   */
  function encloserOf(name: NameKey): { readonly encloser: NameKey; readonly span: Span } | undefined {
    for (let next = name; next !== zone;) {
      const encloser = parentOf(next);
      if (encloser === undefined) return undefined;
      const match = matching(encloser);
      if (match) {
        const span = endsTheZone(match.types) ? undefined : covering(next);
        return span && { encloser, span };
      }
      next = encloser;
    }
    return undefined;
  }

  function costly(): Denial | undefined {
    if (first === undefined || first.iterations <= budget.iterations) return undefined;
    return { kind: 'tooCostly', iterations: first.iterations, refused: first.iterations > iterationsRefused };
  }

  function unproved(name: NameKey, type: number): Denial {
    const why = budget.exhausted ? 'hashing for NSEC3 took too much' : `no NSEC3 of ${nameText(zone)} denies`;
    return { kind: 'unproved', why: `${why}: ${nameText(name)} ${typeName(type)}` };
  }

  function denyWith(name: NameKey, type: number, wildcards: boolean): Denial {
    const own = matching(name);
    if (own) {
      if (!bitsDeny(own.types, type, name === rootName)) return unproved(name, type);
      const delegation = type === Type.DS && isParentSide(own.types);
      return { kind: 'noData', delegation, optOut: false, noName: own.types.has(nxname) };
    }
    const proof = encloserOf(name);
    if (!proof) return unproved(name, type);
    const optOut = isOptOut(proof.span);
    // An unsigned delegation, or nothing at all: nobody can tell (§8.6).
    if (type === Type.DS && optOut) return { kind: 'noData', delegation: true, optOut };
    if (!wildcards) return { kind: 'noName', optOut };
    const wildcard = wildcardOf(proof.encloser);
    if (wildcard === undefined) return { kind: 'noName', optOut };
    const atWildcard = matching(wildcard);
    if (atWildcard) {
      if (!bitsDeny(atWildcard.types, type, false)) return unproved(name, type);
      return { kind: 'noData', delegation: false, optOut };
    }
    const overWildcard = covering(wildcard);
    if (!overWildcard) {
      const missing = unproved(wildcard, type);
      return optOut && missing.kind === 'unproved' ? { kind: 'hidden', why: missing.why } : missing;
    }
    return { kind: 'noName', optOut: optOut || isOptOut(overWildcard) };
  }

  function absent(name: NameKey, encloser: NameKey): Absence {
    const why = `no NSEC3 of ${nameText(zone)} proves that ${nameText(name)} comes from the wildcard below ${nameText(encloser)}`;
    const span = isBelow(encloser, zone) ? covering(ancestorOf(name, labelCount(encloser) + 1)) : undefined;
    return span ? { kind: 'absent', optOut: isOptOut(span) } : { kind: 'unproved', why };
  }

  return {
    what: 'NSEC3',
    deny: (name, type) => costly() ?? denyWith(name, type, true),
    absent: (name, encloser) => {
      const tooCostly = costly();
      return tooCostly?.kind === 'tooCostly' ? tooCostly : absent(name, encloser);
    },
    cut: (name) => costly() ?? denyWith(name, Type.DS, false),
  };
}

/** Those with a known hash and flags (§8.1, §8.2), of the zone itself, and with the parameters of the first. */
export function usableSpans(zone: NameKey, records: readonly OwnedNsec3[]): Span[] {
  const spans: Span[] = [];
  for (const record of records) {
    if (record.hashAlgorithm !== nsec3Sha1 || (record.flags & ~optOutFlag) !== 0) continue;
    if (parentOf(record.owner) !== zone) continue;
    const hash = fromBase32Hex(labelsOf(record.owner)[0] ?? '');
    if (hash?.length !== 20 || record.nextHash.length !== 20) continue;
    const first = spans[0];
    if (first && (first.iterations !== record.iterations || !sameOctets(first.salt, record.salt))) continue;
    spans.push({ ...record, hash });
  }
  return spans;
}

/** Unsigned delegations may hide in it (RFC 5155 §6). */
export function isOptOut(span: Span): boolean {
  return (span.flags & optOutFlag) !== 0;
}

/** The last NSEC3 of a zone points back to the first; a single one spans everything but itself. */
export function isWithin(span: Span, hash: Uint8Array): boolean {
  const after = compareOctets(hash, span.hash) > 0;
  const before = compareOctets(hash, span.nextHash) < 0;
  return compareOctets(span.hash, span.nextHash) < 0 ? after && before : after || before;
}
