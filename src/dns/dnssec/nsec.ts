import {
  commonAncestor,
  compareNames,
  isBelow,
  labelCount,
  nameText,
  rootName,
  wildcardOf,
  type NameKey,
} from '../name.ts';
import { Type, typeName } from '../types.ts';
import {
  bitsDeny,
  endsTheZone,
  isParentSide,
  nxname,
  type Absence,
  type Denial,
  type DenialProof,
} from './denial.ts';
import type { Nsec } from './rdata.ts';

/** A validated NSEC that was not expanded from a wildcard (such a one proves nothing, CVE-2017-15105). */
export interface OwnedNsec extends Nsec {
  readonly owner: NameKey;
}

/** Where proofs find their NSEC: in one message, or among those kept from many. All are of one zone. */
export interface NsecSource {
  /** The record of this very owner. */
  at(name: NameKey): OwnedNsec | undefined;
  /** The record whose span holds `name`, so that there is no such name, if it may speak about it. */
  over(name: NameKey): OwnedNsec | undefined;
}

/** Proofs with the NSEC of a message. */
export function nsecProof(zone: NameKey, records: readonly OwnedNsec[]): DenialProof {
  const usable = records.filter((n) => staysInZone(n, zone));
  return nsecProofFrom(zone, {
    at: (name) => usable.find((n) => n.owner === name),
    over: (name) => usable.find((n) => denies(n, zone, name)),
  });
}

/** One that leads out of the zone could span names that the zone has no say in. */
export function staysInZone(n: OwnedNsec, zone: NameKey): boolean {
  return isBelow(n.owner, zone) && isBelow(n.next, zone);
}

/** The span of `n` holds `name`, and `n` may speak about it (RFC 6840 §4.1). */
export function denies(n: OwnedNsec, zone: NameKey, name: NameKey): boolean {
  return isWithin(n, zone, name) && !(isBelow(name, n.owner) && endsTheZone(n.types));
}

/** Proofs with NSEC (RFC 4035 §5.4, RFC 6840 §4). */
export function nsecProofFrom(zone: NameKey, source: NsecSource): DenialProof {
  const matching = (name: NameKey): OwnedNsec | undefined => source.at(name);
  const spanOf = (name: NameKey): OwnedNsec | undefined => source.over(name);

  function unproved(name: NameKey, type: number): Denial {
    return {
      kind: 'unproved',
      why: `no NSEC of ${nameText(zone)} denies ${nameText(name)} ${typeName(type)}`,
    };
  }

  function deny(name: NameKey, type: number): Denial {
    const own = matching(name);
    if (own) {
      if (!bitsDeny(own.types, type, name === rootName)) return unproved(name, type);
      const delegation = type === Type.DS && isParentSide(own.types);
      return { kind: 'noData', delegation, optOut: false, noName: own.types.has(nxname) };
    }
    const span = spanOf(name);
    if (!span) return unproved(name, type);
    if (isBelow(span.next, name)) return { kind: 'noData', delegation: false, optOut: false };
    const wildcard = wildcardOf(encloserOf(name, span));
    if (wildcard === undefined) return { kind: 'noName', optOut: false };
    const atWildcard = matching(wildcard);
    if (atWildcard) {
      if (!bitsDeny(atWildcard.types, type, false)) return unproved(name, type);
      return { kind: 'noData', delegation: false, optOut: false };
    }
    const overWildcard = spanOf(wildcard);
    if (!overWildcard) {
      return {
        kind: 'unproved',
        why: `no NSEC of ${nameText(zone)} denies the wildcard ${nameText(wildcard)}`,
      };
    }
    if (isBelow(overWildcard.next, wildcard)) return { kind: 'noData', delegation: false, optOut: false };
    return { kind: 'noName', optOut: false };
  }

  function absent(name: NameKey, encloser: NameKey): Absence {
    const span = spanOf(name);
    const why = `no NSEC of ${nameText(zone)} proves that ${nameText(name)} comes from the wildcard below ${nameText(encloser)}`;
    if (!span || isBelow(span.next, name) || encloserOf(name, span) !== encloser)
      return { kind: 'unproved', why };
    return { kind: 'absent', optOut: false };
  }

  function cut(name: NameKey): Denial {
    const span = matching(name) ? undefined : spanOf(name);
    if (span && !isBelow(span.next, name)) return { kind: 'noName', optOut: false };
    return deny(name, Type.DS);
  }

  return { what: 'NSEC', deny, absent, cut };
}

/** `name` lies after the owner and before the next name; the last NSEC of a zone points back to the apex. */
function isWithin(n: OwnedNsec, zone: NameKey, name: NameKey): boolean {
  if (compareNames(n.owner, name) >= 0) return false;
  return n.next === zone ? isBelow(name, zone) : compareNames(name, n.next) < 0;
}

/** The closest encloser of a name that `span` denies: the longest ancestor that the ends of the span prove to exist. */
function encloserOf(name: NameKey, span: OwnedNsec): NameKey {
  const before = commonAncestor(name, span.owner);
  const after = commonAncestor(name, span.next);
  return labelCount(before) > labelCount(after) ? before : after;
}
