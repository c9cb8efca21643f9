import { later, type Instant, type WallSeconds } from '../../time.ts';
import type { TrustAnchor } from '../anchors.ts';
import type { Message, Question } from '../message.ts';
import { ancestorOf, isBelow, labelCount, nameText, parentOf, rootName, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Class, Ede, Type, typeName } from '../types.ts';
import { signaturesPerRRset, type Budget } from './budget.ts';
import { anchorAbove, anchoredZone, anchorsAt, delegatedZone, type ChainView } from './delegation.ts';
import type { Absence, Denial, DenialProof } from './denial.ts';
import { proofOf } from './denying-records.ts';
import { decodeRrsig } from './rdata.ts';
import { checkSignatures, type SignatureCheck } from './signature.ts';
import { bogus, entryOf, shortestSeconds, unanchored } from './zone-entries.ts';
import type { Bogus, Indeterminate, Insecure, ZoneEntry, ZoneStore } from './zones.ts';

/** What came of asking upstream one question. */
export type Reply =
  | {
      readonly kind: 'message';
      readonly message: Message;
      readonly answer: readonly RRset[];
      readonly authority: readonly RRset[];
      /** Who answered, for sentences. */
      readonly upstream: string;
    }
  | { readonly kind: 'failure'; readonly ede: number; readonly why: string };

export type Answered = Extract<Reply, { readonly kind: 'message' }>;

export interface ChainContext {
  readonly anchors: readonly TrustAnchor[];
  /** What a negative trust anchor (RFC 7646) makes of a name; absent: there are none. */
  readonly exemption?: (name: NameKey) => Insecure | undefined;
  /** Zones that are asked elsewhere than the rest of the DNS, which need not know of them; absent: there are none. */
  readonly islands?: readonly NameKey[];
  readonly zones: ZoneStore;
  /** The reply to a question, if it is here; otherwise it is noted down to be asked. */
  readonly reply: (question: Question) => Reply | undefined;
  readonly now: Instant;
  readonly wall: WallSeconds;
  readonly budget: Budget;
}

/** The security of one RRset. Undefined stands elsewhere for: more replies are needed. */
export type Security =
  | {
      readonly status: 'secure';
      readonly zone: NameKey;
      readonly check: Extract<SignatureCheck, { readonly ok: true }>;
    }
  | Insecure
  | Bogus
  | Indeterminate;

/** The security of a negative answer, or of what else NSEC and NSEC3 prove. */
export type Denied<T> =
  | {
      readonly status: 'proved';
      readonly zone: NameKey;
      readonly proof: T;
      /** SOA and the records that deny, their signatures checked and TTLs capped. */
      readonly authority: readonly RRset[];
      /** What is wrong with the SOA that came along; the proof holds without it. */
      readonly falseSoa: Bogus | undefined;
      readonly validUntil: number;
      readonly what: string;
    }
  | Insecure
  | Bogus
  | Indeterminate;

/** Milliseconds for which the keys of a zone are not asked for again, whoever signs with others. */
const keysRestMs = 60_000;
/** Names asked for DS at once, where an unsigned answer does not say in which zone it lies. */
const lookAhead = 4;
/** Different signers of one RRset that are followed up. */
const signersPerRRset = 2;

/**
 * The chain of trust from the anchors to a name (RFC 4035 §5). Each method gives what can be told from the replies
 * that are here, and undefined where more are wanted; the context notes which. Asked again with more replies it goes
 * on from what {@link Zones} remembers. Recursion goes from a name to strictly shorter ones.
 */
export class Chain {
  readonly #context: ChainContext;
  readonly #view: ChainView;
  readonly #wanting = new Set<NameKey>();

  constructor(context: ChainContext) {
    this.#context = context;
    this.#view = {
      context,
      security: (set, limit) => this.security(set, limit),
      cut: (reply, name, limit) =>
        this.#proof(reply, name, limit, hintOf(reply, limit), (proof) => proof.cut(name)),
    };
  }

  /**
   * Whether `set` is signed as the zone it belongs to has to (RFC 4035 §5.3), by a zone at or above `limit`: for DS
   * that is above the cut.
   */
  security(set: RRset, limit = set.type === Type.DS ? parentOf(set.owner) : set.owner): Security | undefined {
    if (limit === undefined) return bogus(Ede.DNSSEC_BOGUS, 'the root has no DS', []);
    const exempt = this.#context.exemption?.(limit);
    if (exempt) return exempt;
    const signers = this.#signers([set], limit);
    if (typeof signers === 'object' && 'status' in signers) return signers;
    return (
      this.#first(signers, (signer): Security | undefined => {
        const entry = this.zone(signer);
        if (!entry) return undefined;
        const { state } = entry;
        if (state.status === 'notCut') {
          return bogus(
            Ede.DNSSEC_BOGUS,
            `${text(set)} is signed by ${nameText(signer)}, which is not a zone`,
            [],
          );
        }
        if (state.status !== 'secure') return state;
        const cut = this.#cutBetween(signer, limit);
        if (cut !== undefined) {
          return bogus(
            Ede.DNSSEC_BOGUS,
            `${text(set)} is signed by ${nameText(signer)}, but lies in the zone ${nameText(cut)}`,
            [],
          );
        }
        const { wall, budget } = this.#context;
        const check = budget.checked(set, state.keys, () =>
          checkSignatures(set, signer, state.keys, wall, budget),
        );
        // The chain begins anew; what it needs may be here already.
        if (!check.ok && this.#mayHaveNewKeys(entry, check.ede)) return this.security(set, limit);
        return check.ok ? { status: 'secure', zone: signer, check } : bogus(check.ede, check.why, []);
      }) ??
      this.#unsigned(
        signers,
        limit,
        Ede.RRSIGS_MISSING,
        (zone) => `${text(set)} has no signature of the signed zone ${nameText(zone)}`,
      )
    );
  }

  /** Whether the authority section proves that `question` has no answer (RFC 4035 §5.4). */
  denial(reply: Answered, question: Question): Denied<Denial> | undefined {
    const limit = question.type === Type.DS ? (parentOf(question.name) ?? rootName) : question.name;
    const denied = this.#proof(reply, question.name, limit, hintOf(reply, limit), (proof) =>
      proof.deny(question.name, question.type),
    );
    // The SOA says how long the answer holds (RFC 2308 §5): one that nobody vouches for must not.
    return (denied?.status === 'proved' && denied.falseSoa) || denied;
  }

  /** Whether the authority section proves that `name`, expanded from the wildcard below `encloser`, does not exist. */
  absence(reply: Answered, name: NameKey, encloser: NameKey): Denied<Absence> | undefined {
    return this.#proof(reply, name, name, undefined, (proof) => proof.absent(name, encloser));
  }

  /**
   * The zone that holds `name`: walks down from the closest zone that is known, label by label, asking for DS, to a
   * proof of an unsigned delegation or to the name itself (RFC 4035 §5.2). `hint` is a likely zone cut.
   */
  #enclosing(name: NameKey, hint?: NameKey): ZoneEntry | Indeterminate | undefined {
    const anchor = anchorAbove(this.#context.anchors, name);
    if (anchor === undefined) return unanchored(name);
    let zone = this.zone(anchor);
    if (zone?.state.status !== 'secure') return zone;
    if (hint !== undefined && isBelow(name, hint) && labelCount(hint) > labelCount(anchor)) {
      const hinted = this.zone(hint);
      if (!hinted || hinted.state.status === 'insecure') return hinted;
    }
    for (let labels = labelCount(anchor) + 1; labels <= labelCount(name); labels++) {
      const at = ancestorOf(name, labels);
      const entry = this.zone(at);
      if (!entry) {
        for (let ahead = labels + 1; ahead <= Math.min(labelCount(name), labels + lookAhead); ahead++) {
          this.#context.reply({ name: ancestorOf(name, ahead), type: Type.DS, class: Class.IN });
        }
        return undefined;
      }
      if (entry.state.status === 'notCut') {
        if (entry.state.empty) return zone;
        continue;
      }
      if (entry.state.status !== 'secure') return entry;
      zone = entry;
    }
    return zone;
  }

  /** What `name` is as the place of a zone cut. */
  zone(name: NameKey): ZoneEntry | undefined {
    const { zones, now, wall } = this.#context;
    const known = zones.get(name, now, wall);
    if (known || this.#wanting.has(name)) return known;
    const entry =
      anchorsAt(this.#context.anchors, name).length > 0
        ? anchoredZone(this.#view, name)
        : delegatedZone(this.#view, name);
    if (!entry) {
      // Once is enough: names that are signed by several above them would have their chains gone through ever again.
      this.#wanting.add(name);
      return undefined;
    }
    // Where our own limit ended the work, the zone is not to blame.
    if (!this.#context.budget.exhausted) zones.set(entry);
    return entry;
  }

  /** The sentences of the chain down to `name`, for `oe why`. */
  sentences(name: NameKey): string[] {
    const { zones, now, wall } = this.#context;
    const sentences: string[] = [];
    for (let labels = 0; labels <= labelCount(name); labels++) {
      const entry = zones.get(ancestorOf(name, labels), now, wall);
      if (entry && entry.state.status !== 'notCut') sentences.push(entry.sentence);
      if (entry?.state.status === 'insecure') return sentences;
    }
    const exempt = this.#exemptZone(name);
    return exempt ? [...sentences, exempt.sentence] : sentences;
  }

  /** A name under a negative trust anchor, as if it were a zone that is not signed. It is not kept in {@link Zones}. */
  #exemptZone(name: NameKey): ZoneEntry | undefined {
    const exempt = this.#context.exemption?.(name);
    return exempt && entryOf(this.#context.now, name, exempt, shortestSeconds, Infinity);
  }

  #proof<T extends Denial | Absence>(
    reply: Answered,
    name: NameKey,
    limit: NameKey,
    hint: NameKey | undefined,
    ask: (proof: DenialProof) => T,
  ): Denied<T> | undefined {
    const sets = reply.authority.filter(
      (s) =>
        s.class === Class.IN && (s.type === Type.NSEC || s.type === Type.NSEC3) && isBelow(s.owner, rootName),
    );
    const exempt = this.#context.exemption?.(limit);
    if (exempt) return exempt;
    const signers = this.#signers(sets, limit);
    if (typeof signers === 'object' && 'status' in signers) return signers;
    return (
      this.#first(signers, (signer): Denied<T> | undefined => {
        const entry = this.zone(signer);
        if (!entry) return undefined;
        const { state } = entry;
        if (state.status === 'notCut') {
          return bogus(
            Ede.DNSSEC_BOGUS,
            `a denial of ${nameText(name)} is signed by ${nameText(signer)}, which is not a zone`,
            [],
          );
        }
        if (state.status !== 'secure') return state;
        const cut = this.#cutBetween(signer, limit);
        if (cut !== undefined) {
          return bogus(
            Ede.NSEC_MISSING,
            `a denial of ${nameText(name)} is signed by ${nameText(signer)}, but lies in the zone ${nameText(cut)}`,
            [],
          );
        }
        const found = proofOf(this.#context, signer, state.keys, sets, reply.authority, ask);
        return found.status === 'bogus' && this.#mayHaveNewKeys(entry, found.ede)
          ? this.#proof(reply, name, limit, hint, ask)
          : found;
      }) ??
      this.#unsigned(
        signers,
        limit,
        Ede.NSEC_MISSING,
        (zone) => `nothing of the signed zone ${nameText(zone)} denies ${nameText(name)}`,
        hint,
      )
    );
  }

  /**
   * Who claims to have signed, of those who may: at or above `limit`, and not above the closest trust anchor. An
   * RRset without such a claim counts as unsigned.
   */
  #signers(sets: readonly RRset[], limit: NameKey): NameKey[] | Indeterminate {
    const anchor = anchorAbove(this.#context.anchors, limit);
    if (anchor === undefined) return unanchored(limit);
    const signers = new Set<NameKey>();
    for (const set of sets) {
      for (const rdata of set.signatures.slice(0, signaturesPerRRset)) {
        const sig = decodeRrsig(rdata);
        if (!sig.ok || sig.value.typeCovered !== set.type) continue;
        const { signer } = sig.value;
        if (isBelow(limit, signer) && isBelow(signer, anchor) && isBelow(set.owner, signer))
          signers.add(signer);
      }
    }
    return [...signers].sort((a, b) => b.length - a.length).slice(0, signersPerRRset);
  }

  /**
   * A signature by a key that is not among those we keep: the zone may have changed its keys since, as when it moves
   * to another operator. Then they are forgotten, to be asked for again, though not for everybody who makes up a key tag.
   */
  #mayHaveNewKeys(entry: ZoneEntry, ede: number): boolean {
    const { zones, now } = this.#context;
    if (ede !== Ede.DNSKEY_MISSING || now < later(entry.since, keysRestMs)) return false;
    zones.delete(entry.name);
    return true;
  }

  /** The first good result, or the first bad one once no more can come; undefined as long as one is open, or for none. */
  #first<T extends { readonly status: string }>(
    signers: readonly NameKey[],
    judge: (signer: NameKey) => T | undefined,
  ): T | undefined {
    let bad: T | undefined;
    let open = false;
    for (const signer of signers) {
      const result = judge(signer);
      if (!result) open = true;
      else if (result.status !== 'bogus' && result.status !== 'indeterminate') return result;
      else bad ??= result;
    }
    return open ? undefined : bad;
  }

  /** What to think of data without a signature that counts: it depends on the zone that holds it. */
  #unsigned(
    signers: readonly NameKey[],
    limit: NameKey,
    ede: number,
    why: (zone: NameKey) => string,
    hint?: NameKey,
  ): Insecure | Bogus | Indeterminate | undefined {
    if (signers.length > 0) return undefined;
    const zone = this.#enclosing(limit, hint);
    if (!zone) return undefined;
    if ('status' in zone) return zone;
    const { state } = zone;
    if (state.status === 'secure' || state.status === 'notCut') return bogus(ede, why(zone.name), []);
    return state;
  }

  /** A zone cut that is known to lie below `signer`, at or above `limit`: the signer has no say beyond it. */
  #cutBetween(signer: NameKey, limit: NameKey): NameKey | undefined {
    const { zones, now, wall } = this.#context;
    for (let labels = labelCount(limit); labels > labelCount(signer); labels--) {
      const entry = zones.get(ancestorOf(limit, labels), now, wall);
      if (entry?.state.status === 'secure' || entry?.state.status === 'insecure') return entry.name;
    }
    return undefined;
  }
}

/** A zone cut that the message itself speaks of, not proved: the owner of its SOA or NS. */
function hintOf(reply: Answered, limit: NameKey): NameKey | undefined {
  return reply.authority.find((s) => (s.type === Type.SOA || s.type === Type.NS) && isBelow(limit, s.owner))
    ?.owner;
}

function text(set: RRset): string {
  return `${nameText(set.owner)} ${typeName(set.type)}`;
}
