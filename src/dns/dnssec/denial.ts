import type { NameKey } from '../name.ts';
import type { TypeSet } from './bitmap.ts';

/** What a set of validated NSEC or NSEC3 records says about a name and type. */
export type Denial =
  /** The name is there (or is an empty non-terminal), the type is not. */
  | {
      readonly kind: 'noData';
      /** The name is a zone cut: of NSEC and NSEC3 that deny a DS. */
      readonly delegation: boolean;
      /** Proved by way of an opt-out span: unsigned delegations may be hidden there (RFC 5155 §6). */
      readonly optOut: boolean;
      /** Compact denial: the record at the name says itself that there is no such name (RFC 9824 §3.2). */
      readonly noName?: boolean;
    }
  /** Neither the name nor a wildcard that would stand in for it is there. */
  | { readonly kind: 'noName'; readonly optOut: boolean }
  /**
   * The next closer name lies in an opt-out span, and nothing is said of a wildcard: what may be there is an unsigned
   * delegation or an empty non-terminal above one, which opt-out leaves out as well (RFC 5155 §7.1).
   */
  | { readonly kind: 'hidden'; readonly why: string }
  /** NSEC3 with so many iterations that it is not looked at (RFC 9276 §3.2). */
  | { readonly kind: 'tooCostly'; readonly iterations: number; readonly refused: boolean }
  | { readonly kind: 'unproved'; readonly why: string };

/** That a name does not exist, as a wildcard expansion needs it (RFC 4035 §5.3.4, RFC 5155 §8.8). */
export type Absence =
  | { readonly kind: 'absent'; readonly optOut: boolean }
  | Extract<Denial, { readonly kind: 'tooCostly' | 'unproved' }>;

/** What a validator asks of the records that deny: the same of NSEC and of NSEC3. */
export interface DenialProof {
  /** How the records are called in sentences. */
  readonly what: 'NSEC' | 'NSEC3';
  /** `name` has no `type`, nor does a wildcard give it one. */
  deny(name: NameKey, type: number): Denial;
  /** `name` is not there, `*.encloser` is the wildcard that stands in for it. */
  absent(name: NameKey, encloser: NameKey): Absence;
  /** As {@link deny} for DS, for someone who looks for a zone cut: wildcards are no cuts. */
  cut(name: NameKey): Denial;
}

/**
 * The bits of a record at the very `name` allow the conclusion that `type` is not there (RFC 4035 §5.4,
 * RFC 6840 §4.1 and §4.3): neither the type nor a CNAME, and spoken from the right side of a zone cut.
 */
export function bitsDeny(types: TypeSet, type: number, isRoot: boolean): boolean {
  if (types.has(type) || types.has(typeCname)) return false;
  // ANY is answered by whatever is there; only what denies, and its signature, is no data.
  if (type === typeAny) {
    for (const t of types) if (!deniers.has(t)) return false;
    return true;
  }
  if (type === typeDs) return isRoot || !types.has(typeSoa);
  return !isParentSide(types);
}

/** A record on the parent's side of a delegation: it knows nothing of the child's data. */
export function isParentSide(types: TypeSet): boolean {
  return types.has(typeNs) && !types.has(typeSoa);
}

/** A record whose owner is a delegation or a DNAME proves nothing about names below it (RFC 6840 §4.1). */
export function endsTheZone(types: TypeSet): boolean {
  return isParentSide(types) || types.has(typeDname);
}

const typeAny = 255;
/** The type that stands in the record of a name that is not there (RFC 9824 §2). */
export const nxname = 128;
/** Types that are no data: RRSIG, NSEC, NXNAME. */
const deniers = new Set([46, 47, nxname]);
const [typeNs, typeCname, typeSoa, typeDname, typeDs] = [2, 5, 6, 39, 43];
