import type { Question } from '../message.ts';
import type { Step } from '../links.ts';
import { labelCount, nameText, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Class, Ede, Rcode, rcodeName, Type, typeName } from '../types.ts';
import { algorithmName } from './algorithms.ts';
import type { Answered, Chain, Denied, Security } from './chain.ts';
import type { Absence, Denial } from './denial.ts';
import { costly, negativeTtl } from './denying-records.ts';
import type { Secure, Verdict } from './verdict.ts';
import { bogus } from './zone-entries.ts';
import type { Bogus, Indeterminate, Insecure } from './zones.ts';

export type LinkState = { readonly status: 'secure' } | Insecure | Bogus | Indeterminate;

/** One judged step of an answer. */
export interface Link {
  readonly name: NameKey;
  /** Where a CNAME or DNAME leads. */
  readonly target: NameKey | undefined;
  readonly rcode: number;
  readonly sets: readonly RRset[];
  /** What proves a negative answer or a wildcard's expansion. */
  readonly authority: readonly RRset[];
  readonly state: LinkState;
  /** The zone that vouches for it, where it is secure. */
  readonly zone?: NameKey;
  /** The closest encloser, where a set was expanded from the wildcard below it. */
  readonly wildcardAt?: NameKey;
  /** Seconds for which the link may be kept. */
  readonly ttl: number;
  /** Wall-clock seconds at which the first of the signatures behind it ends. */
  readonly validUntil: number;
  readonly chain: readonly string[];
}

/** Judges a step of an answer; undefined where the chain wants more replies. Throws `Paused`. */
export function judge(chain: Chain, reply: Answered, step: Step, type: number): Link | undefined {
  switch (step.kind) {
    case 'data':
      return judgeSets(chain, reply, step.name, step.sets, type);
    case 'alias':
      return judgeAlias(chain, reply, step);
    case 'tooLong': {
      const link = judgeSets(chain, reply, step.name, [step.set], type);
      return link && { ...link, rcode: Rcode.YXDOMAIN };
    }
    case 'negative':
      return judgeNegative(chain, reply, { name: step.name, type, class: Class.IN }, step.rcode);
    default:
      return step satisfies never;
  }
}

/** RRSIGs have no signatures: an answer that consists of them is as good as unsigned (RFC 4035 §2.2). */
const unsignedByNature: Insecure = { status: 'insecure', from: 'RRSIG, which nothing signs' };

function judgeSets(
  chain: Chain,
  reply: Answered,
  name: NameKey,
  sets: readonly RRset[],
  type: number,
): Link | undefined {
  const judged: { readonly set: RRset; readonly security: Security | Insecure; readonly proof: Expansion }[] =
    [];
  for (const set of sets) {
    const security = set.type === Type.RRSIG ? unsignedByNature : chain.security(set);
    if (!security) return undefined;
    const proof = expansion(chain, reply, set, security);
    if (!proof) return undefined;
    judged.push({ set, security, proof });
  }
  const states = judged.map(({ security, proof }) => (security.status === 'secure' ? proof.state : security));
  const state = blamed(worst(states), { name, type, class: Class.IN });
  const secured = judged.map(({ set, security }) =>
    security.status === 'secure' ? { ...set, ttl: security.check.ttl } : set,
  );
  const [first] = judged;
  const told = judged.flatMap(({ set, security, proof }) => sentences(chain, set, security, proof));
  const wildcardAt = judged.find(({ proof }) => proof.wildcardAt !== undefined)?.proof.wildcardAt;
  return {
    name,
    target: undefined,
    rcode: Rcode.NOERROR,
    ...(state.status === 'secure' && first?.security.status === 'secure' && { zone: first.security.zone }),
    ...(wildcardAt !== undefined && { wildcardAt }),
    sets: secured,
    authority: judged.flatMap(({ proof }) => proof.authority),
    state,
    ttl: Math.min(...secured.map((s) => s.ttl)),
    validUntil: Math.min(
      ...judged.map(({ security, proof }) =>
        Math.min(proof.validUntil, security.status === 'secure' ? security.check.validUntil : Infinity),
      ),
    ),
    chain: judged.length === 1 ? told : [...new Set(told)],
  };
}

function judgeAlias(
  chain: Chain,
  reply: Answered,
  step: Extract<Step, { readonly kind: 'alias' }>,
): Link | undefined {
  const link = judgeSets(chain, reply, step.name, [step.set], step.set.type);
  if (!link) return undefined;
  const sets = step.synthesized ? [...link.sets, { ...step.synthesized, ttl: link.ttl }] : link.sets;
  return { ...link, sets, target: step.target };
}

function judgeNegative(chain: Chain, reply: Answered, question: Question, rcode: number): Link | undefined {
  const denied = chain.denial(reply, question);
  if (!denied) return undefined;
  const what = `${nameText(question.name)} ${typeName(question.type)}`;
  const { state, rcode: proved } = negativeState(denied, rcode, what);
  const proof = denied.status === 'proved' ? denied : undefined;
  const authority = proof?.authority ?? reply.authority.filter((s) => denying.has(s.type));
  const how =
    state.status === 'secure'
      ? `: denied by ${proof?.what ?? ''} of ${nameText(proof?.zone ?? question.name)} (secure)`
      : ` (${state.status})`;
  return {
    name: question.name,
    target: undefined,
    rcode: proved,
    sets: [],
    authority,
    state: blamed(state, question),
    ...(state.status === 'secure' && proof && { zone: proof.zone }),
    ttl: negativeTtl(authority),
    validUntil: proof?.validUntil ?? Infinity,
    chain: [
      ...chain.sentences(proof?.zone ?? question.name),
      `${what}, ${proved === Rcode.NXDOMAIN ? 'no such name' : 'no such record'}${how}`,
    ],
  };
}

const denying = new Set<number>([Type.SOA, Type.NSEC, Type.NSEC3]);

function negativeState(
  denied: Denied<Denial>,
  rcode: number,
  what: string,
): { readonly state: LinkState; readonly rcode: number } {
  if (denied.status !== 'proved') return { state: denied, rcode };
  const { proof, zone } = denied;
  const state: LinkState = { status: 'secure' };
  switch (proof.kind) {
    case 'noName':
      // An empty non-terminal above unsigned delegations only: opt-out leaves it out of the chain of NSEC3.
      if (rcode !== Rcode.NXDOMAIN && proof.optOut) return { state: hidden(zone), rcode };
      if (rcode !== Rcode.NXDOMAIN) {
        return {
          state: bogus(
            Ede.NSEC_MISSING,
            `${what}: ${rcodeName(rcode)}, but ${denied.what} says that there is no such name`,
            [],
          ),
          rcode,
        };
      }
      return { state: proof.optOut ? hidden(zone) : state, rcode };
    case 'noData':
      // What compact denial has for NOERROR (RFC 9824 §5).
      if (proof.noName) return { state, rcode: Rcode.NXDOMAIN };
      // A server that says NXDOMAIN for an empty non-terminal proves that it is wrong (RFC 8020 §2).
      // Behind opt-out nobody can tell whether the name of a DS is there.
      return {
        state: proof.optOut ? hidden(zone) : state,
        rcode: proof.delegation && proof.optOut ? rcode : Rcode.NOERROR,
      };
    case 'hidden':
      if (rcode === Rcode.NOERROR) return { state: hidden(zone), rcode };
      return { state: bogus(Ede.NSEC_MISSING, proof.why, []), rcode };
    case 'tooCostly':
      return { state: costly(zone, proof), rcode };
    case 'unproved':
      return { state: bogus(Ede.NSEC_MISSING, proof.why, []), rcode };
    default:
      return proof satisfies never;
  }
}

/** What a wildcard's expansion adds to the security of an RRset. */
interface Expansion {
  readonly state: LinkState;
  /** The closest encloser, where there was an expansion. */
  readonly wildcardAt?: NameKey;
  readonly authority: readonly RRset[];
  readonly validUntil: number;
  readonly note: string;
}

const noExpansion: Expansion = { state: { status: 'secure' }, authority: [], validUntil: Infinity, note: '' };

/** An RRset from a wildcard wants the proof that the name itself is not there (RFC 4035 §5.3.4). */
function expansion(chain: Chain, reply: Answered, set: RRset, security: Security): Expansion | undefined {
  if (security.status !== 'secure' || security.check.wildcardAt === undefined) return noExpansion;
  const encloser = security.check.wildcardAt;
  const absence = chain.absence(reply, set.owner, encloser);
  if (!absence) return undefined;
  const note = `, from the wildcard *.${labelCount(encloser) === 0 ? '' : nameText(encloser)}`;
  if (absence.status !== 'proved')
    return { state: absence, wildcardAt: encloser, authority: [], validUntil: Infinity, note };
  return {
    wildcardAt: encloser,
    state: absenceState(absence.proof, absence.zone),
    authority: absence.authority,
    validUntil: absence.validUntil,
    note,
  };
}

function absenceState(proof: Absence, zone: NameKey): LinkState {
  switch (proof.kind) {
    case 'absent':
      return proof.optOut ? hidden(zone) : { status: 'secure' };
    case 'tooCostly':
      return costly(zone, proof);
    case 'unproved':
      return bogus(Ede.NSEC_MISSING, proof.why, []);
    default:
      return proof satisfies never;
  }
}

/** Behind an opt-out span an unsigned delegation may hide (RFC 5155 §9.2: no AD). */
function hidden(zone: NameKey): Insecure {
  return { status: 'insecure', from: nameText(zone) };
}

function sentences(chain: Chain, set: RRset, security: Security | Insecure, proof: Expansion): string[] {
  const what = `${nameText(set.owner)} ${typeName(set.type)}`;
  if (security.status !== 'secure') {
    const why = 'why' in security ? `: ${security.why}` : '';
    return [...chain.sentences(set.owner), `${what}${why} (${security.status})`];
  }
  const { key } = security.check;
  const signed = `signed by ${nameText(security.zone)} ${key.tag} (${algorithmName(key.algorithm)})`;
  return [...chain.sentences(security.zone), `${what}: ${signed}${proof.note} (${proof.state.status})`];
}

/** Bogus before indeterminate before insecure before secure. */
export function worst(states: readonly LinkState[]): LinkState {
  for (const status of ['bogus', 'indeterminate', 'insecure'] as const) {
    const found = states.find((s) => s.status === status);
    if (found) return found;
  }
  return { status: 'secure' };
}

/** The question's own answer is among those to blame for a bogus verdict. */
function blamed(state: LinkState, question: Question): LinkState {
  return state.status === 'bogus' ? { ...state, culprits: [...state.culprits, question] } : state;
}

/** The verdict on a chain of links; the only place that calls data secure. */
export function verdictOf(state: LinkState, answer: readonly RRset[]): Verdict<readonly RRset[]> {
  switch (state.status) {
    case 'secure':
      return { status: 'secure', data: answer as Secure<readonly RRset[]> };
    case 'insecure':
      return { status: 'insecure', data: answer, from: state.from };
    case 'bogus':
    case 'indeterminate':
      return { status: state.status, ede: state.ede, why: state.why };
    default:
      return state satisfies never;
  }
}
