import { later, type Instant, type WallSeconds } from '../../time.ts';
import { sameOctets } from '../../wire/octets.ts';
import type { TrustAnchor } from '../anchors.ts';
import type { Message, Question } from '../message.ts';
import { ancestorOf, isBelow, labelCount, nameText, parentOf, rootName, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Class, Ede, Type, typeName } from '../types.ts';
import { algorithmName, isSupportedAlgorithm, isSupportedDigest, Digest } from './algorithms.ts';
import { dsPerZone, keysPerZone, signaturesPerRRset, type Budget } from './budget.ts';
import { dsDigest, importKey } from './crypto.ts';
import type { Absence, Denial, DenialProof } from './denial.ts';
import { nsecProof, type OwnedNsec } from './nsec.ts';
import { nsec3Proof, type OwnedNsec3 } from './nsec3.ts';
import {
  decodeDnskey,
  decodeDs,
  decodeNsec,
  decodeNsec3,
  decodeRrsig,
  DnskeyFlag,
  type Dnskey,
  type Ds,
} from './rdata.ts';
import { checkSignatures, type SignatureCheck, type ZoneKey } from './signature.ts';
import type { Bogus, Indeterminate, Insecure, ZoneEntry, Zones, ZoneState } from './zones.ts';

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
  readonly zones: Zones;
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
      readonly validUntil: number;
      readonly what: string;
    }
  | Insecure
  | Bogus
  | Indeterminate;

/** Seconds that a zone is kept at most, and at least: less could end within the lookup that wants it. */
const [longestSeconds, shortestSeconds] = [86_400, 10];
/** Seconds for which a broken chain is remembered (RFC 9520 §3.2). */
const brokenSeconds = 5;
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
  readonly #waiting = new Set<NameKey>();

  constructor(context: ChainContext) {
    this.#context = context;
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
        const check = checkSignatures(set, signer, state.keys, this.#context.wall, this.#context.budget);
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
    return this.#proof(reply, question.name, limit, hintOf(reply, limit), (proof) =>
      proof.deny(question.name, question.type),
    );
  }

  /** Whether the authority section proves that `name`, expanded from the wildcard below `encloser`, does not exist. */
  absence(reply: Answered, name: NameKey, encloser: NameKey): Denied<Absence> | undefined {
    return this.#proof(reply, name, name, undefined, (proof) => proof.absent(name, encloser));
  }

  /**
   * The zone that holds `name`: walks down from the closest zone that is known, label by label, asking for DS, to a
   * proof of an unsigned delegation or to the name itself (RFC 4035 §5.2). `hint` is a likely zone cut.
   */
  enclosing(name: NameKey, hint?: NameKey): ZoneEntry | Indeterminate | undefined {
    const exempt = this.#exemptZone(name);
    if (exempt) return exempt;
    const anchor = this.#anchorAbove(name);
    if (anchor === undefined) return this.#unanchored(name);
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
    const exempt = this.#exemptZone(name);
    if (exempt) return exempt;
    const { zones, now, wall } = this.#context;
    const known = zones.get(name, now, wall);
    if (known || this.#waiting.has(name)) return known;
    // Taken as wanting until it is known, so that nothing that a peer sends can lead from a name back to itself.
    this.#waiting.add(name);
    const entry = this.#anchors(name).length > 0 ? this.#anchoredZone(name) : this.#delegatedZone(name);
    if (!entry) return undefined;
    this.#waiting.delete(name);
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
    return exempt && this.#entry(name, exempt, shortestSeconds, Infinity);
  }

  #anchors(name: NameKey): TrustAnchor[] {
    return this.#context.anchors.filter((a) => a.owner === name);
  }

  #anchorAbove(name: NameKey): NameKey | undefined {
    let closest: NameKey | undefined;
    for (const { owner } of this.#context.anchors) {
      if (isBelow(name, owner) && (closest === undefined || owner.length > closest.length)) closest = owner;
    }
    return closest;
  }

  #unanchored(name: NameKey): Indeterminate {
    const why = `no trust anchor is above ${nameText(name)}`;
    return { status: 'indeterminate', ede: Ede.DNSSEC_INDETERMINATE, why, unanchored: true };
  }

  /** The zone of a trust anchor (RFC 4035 §5, RFC 5011 has no part in it here). */
  #anchoredZone(name: NameKey): ZoneEntry | undefined {
    const anchors = this.#anchors(name);
    const dss: Ds[] = [];
    const keys: Uint8Array[] = [];
    for (const anchor of anchors) {
      if (anchor.kind === 'DNSKEY') keys.push(anchor.rdata);
      else {
        const ds = decodeDs(anchor.rdata);
        if (ds.ok) dss.push(ds.value);
      }
    }
    const usable = usableDs(dss).length > 0 || keys.some((rdata) => isSupportedAlgorithm(rdata[3] ?? 0));
    if (!usable) {
      const code = Ede.UNSUPPORTED_DNSKEY_ALGORITHM;
      return this.#entry(name, unsupported(name, code, 'trust anchor'), longestSeconds, Infinity);
    }
    return this.#keyedZone(name, usableDs(dss), keys, 'the trust anchor', longestSeconds, Infinity);
  }

  /** What the answer to the question for the DS of `name` makes of it (RFC 4035 §5.2). */
  #delegatedZone(name: NameKey): ZoneEntry | undefined {
    const parent = parentOf(name);
    if (parent === undefined || this.#anchorAbove(parent) === undefined) {
      return this.#entry(name, this.#unanchored(name), shortestSeconds, Infinity);
    }
    const above = this.#context.zones.closest(parent, this.#context.now, this.#context.wall);
    if (above?.state.status === 'insecure' && this.#anchorBetween(above.name, name) === undefined) {
      return this.#entry(name, above.state, this.#secondsLeft(above), above.validUntil);
    }
    const question = { name, type: Type.DS, class: Class.IN };
    const reply = this.#context.reply(question);
    if (!reply) return undefined;
    if (reply.kind === 'failure') return this.#failed(name, question, reply);
    const set = reply.answer.find((s) => s.owner === name && s.type === Type.DS);
    if (set) return this.#zoneOfDs(name, set, question);
    const dname = reply.answer.find(
      (s) => s.type === Type.DNAME && s.owner !== name && isBelow(name, s.owner),
    );
    const alias = dname ?? reply.answer.find((s) => s.owner === name && s.type === Type.CNAME);
    if (alias) return this.#aliasAt(name, alias, question);
    return this.#zoneWithoutDs(name, reply, question);
  }

  #zoneOfDs(name: NameKey, set: RRset, question: Question): ZoneEntry | undefined {
    const security = this.security(set);
    if (!security) return undefined;
    if (security.status !== 'secure') return this.#broken(name, security, question, set.ttl);
    const { check, zone } = security;
    if (check.wildcardAt !== undefined) {
      const why = `the DS of ${nameText(name)} comes from a wildcard`;
      return this.#broken(name, bogus(Ede.DNSSEC_BOGUS, why, []), question, 0);
    }
    const dss = set.rdatas
      .map(decodeDs)
      .filter((d) => d.ok)
      .map((d) => d.value);
    const usable = usableDs(dss);
    if (usable.length === 0) {
      const known = dss.some((ds) => isSupportedAlgorithm(ds.algorithm));
      const code = known ? Ede.UNSUPPORTED_DS_DIGEST_TYPE : Ede.UNSUPPORTED_DNSKEY_ALGORITHM;
      return this.#entry(name, unsupported(name, code, 'DS'), check.ttl, check.validUntil);
    }
    return this.#keyedZone(
      name,
      usable,
      [],
      `signed by ${nameText(zone)} ${check.key.tag}`,
      check.ttl,
      check.validUntil,
    );
  }

  /**
   * A name with a CNAME, or below a DNAME, is no zone cut; whether that is a fault, the one who takes it for a zone
   * decides.
   */
  #aliasAt(name: NameKey, alias: RRset, question: Question): ZoneEntry | undefined {
    // The name itself cannot vouch for not being a zone, and asking it would lead back here.
    const security = this.security(alias, alias.owner === name ? parentOf(name) : alias.owner);
    if (!security) return undefined;
    if (security.status !== 'secure') return this.#broken(name, security, question, alias.ttl);
    const state: ZoneState = { status: 'notCut', empty: alias.type === Type.DNAME };
    return this.#entry(name, state, security.check.ttl, security.check.validUntil);
  }

  #zoneWithoutDs(name: NameKey, reply: Answered, question: Question): ZoneEntry | undefined {
    const limit = parentOf(name) ?? rootName;
    const denied = this.#proof(reply, name, limit, hintOf(reply, limit), (proof) => proof.cut(name));
    if (!denied) return undefined;
    if (denied.status !== 'proved') return this.#broken(name, denied, question, negativeTtl(reply.authority));
    const { proof, zone, what, validUntil } = denied;
    const ttl = negativeTtl(denied.authority);
    switch (proof.kind) {
      case 'noData':
        if (proof.delegation) {
          const hidden = proof.optOut ? ' by opt-out' : '';
          const state: Insecure = { status: 'insecure', from: nameText(name) };
          return this.#entry(
            name,
            state,
            ttl,
            validUntil,
            `${nameText(name)}: no DS, proved${hidden} with ${what} of ${nameText(zone)} (insecure)`,
          );
        }
        return this.#entry(name, { status: 'notCut', empty: false }, ttl, validUntil);
      case 'noName':
        return this.#entry(name, { status: 'notCut', empty: true }, ttl, validUntil);
      case 'tooCostly':
        return this.#broken(name, costly(zone, proof), question, ttl);
      case 'hidden':
      case 'unproved':
        return this.#broken(name, bogus(Ede.NSEC_MISSING, proof.why, []), question, 0);
      default:
        return proof satisfies never;
    }
  }

  /** Reads and checks the DNSKEY RRset against DS records or trusted keys (RFC 4035 §5.2). */
  #keyedZone(
    name: NameKey,
    dss: readonly Ds[],
    trusted: readonly Uint8Array[],
    by: string,
    ttl: number,
    validUntil: number,
  ): ZoneEntry | undefined {
    const question = { name, type: Type.DNSKEY, class: Class.IN };
    const reply = this.#context.reply(question);
    if (!reply) return undefined;
    if (reply.kind === 'failure') return this.#failed(name, question, reply);
    const set = reply.answer.find((s) => s.owner === name && s.type === Type.DNSKEY);
    if (!set) {
      return this.#broken(
        name,
        bogus(Ede.DNSKEY_MISSING, `the signed zone ${nameText(name)} has no DNSKEY`, []),
        question,
        0,
      );
    }
    if (set.signatures.length === 0) {
      const why = `the DNSKEY of ${nameText(name)} came without signatures: ${reply.upstream} may not pass DNSSEC on`;
      return this.#broken(name, bogus(Ede.RRSIGS_MISSING, why, []), question, 0);
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
      const verifyKey = importKey(dnskey.value);
      if (verifyKey) keys.push({ dnskey: { ...dnskey.value, rdata: rdata.slice() }, verifyKey });
    }
    const entries = keys.filter(
      ({ dnskey }) =>
        trusted.some((t) => sameOctets(t, dnskey.rdata)) || dss.some((ds) => points(ds, name, dnskey)),
    );
    if (entries.length === 0) {
      const tags = dss.map((ds) => ds.keyTag).join(', ');
      const why = unusable ?? `no DNSKEY of ${nameText(name)} is the one that DS ${tags} names`;
      return this.#broken(
        name,
        bogus(unusable ? Ede.NO_ZONE_KEY_BIT_SET : Ede.DNSKEY_MISSING, why, []),
        question,
        0,
      );
    }
    const check = checkSignatures(set, name, entries, this.#context.wall, this.#context.budget);
    if (!check.ok) return this.#broken(name, bogus(check.ede, check.why, []), question, 0);
    const key = `DNSKEY ${check.key.tag} (${algorithmName(check.key.algorithm)})`;
    const how = trusted.length > 0 && dss.length === 0 ? `is ${by}` : `matches DS ${check.key.tag}, ${by}`;
    return this.#entry(
      name,
      { status: 'secure', keys },
      Math.min(ttl, check.ttl),
      Math.min(validUntil, check.validUntil),
      `${nameText(name)}: ${key} ${how} (secure)`,
    );
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
        const found = this.#proofOf(signer, state.keys, sets, reply.authority, ask);
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

  #proofOf<T extends Denial | Absence>(
    zone: NameKey,
    keys: readonly ZoneKey[],
    sets: readonly RRset[],
    section: readonly RRset[],
    ask: (proof: DenialProof) => T,
  ): Denied<T> {
    const { wall, budget } = this.#context;
    const nsecs: OwnedNsec[] = [];
    const nsec3s: OwnedNsec3[] = [];
    const authority: RRset[] = [];
    let validUntil = Infinity;
    let refused: Extract<SignatureCheck, { readonly ok: false }> | undefined;
    const soas = section.filter((s) => s.type === Type.SOA && s.owner === zone);
    for (const set of [...soas, ...sets]) {
      const check = checkSignatures(set, zone, keys, wall, budget);
      if (!check.ok) {
        // It says how long the denial holds (RFC 2308 §5): what nobody vouches for must not.
        if (set.type === Type.SOA) return bogus(check.ede, check.why, []);
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
        validUntil,
        what: proof.what,
      };
      if (found.kind !== 'unproved') return denied;
      unproved ??= denied;
    }
    if (refused) return bogus(refused.ede, refused.why, []);
    return unproved ?? bogus(Ede.NSEC_MISSING, `no denial of ${nameText(zone)} is of use`, []);
  }

  /**
   * Who claims to have signed, of those who may: at or above `limit`, and not above the closest trust anchor. An
   * RRset without such a claim counts as unsigned.
   */
  #signers(sets: readonly RRset[], limit: NameKey): NameKey[] | Indeterminate {
    const anchor = this.#anchorAbove(limit);
    if (anchor === undefined) return this.#unanchored(limit);
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
    const zone = this.enclosing(limit, hint);
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

  #anchorBetween(above: NameKey, name: NameKey): NameKey | undefined {
    const anchor = this.#anchorAbove(name);
    return anchor !== undefined && anchor !== above && isBelow(anchor, above) ? anchor : undefined;
  }

  #failed(name: NameKey, question: Question, reply: Extract<Reply, { readonly kind: 'failure' }>): ZoneEntry {
    const why = `${typeName(question.type)} of ${nameText(name)}: ${reply.why}`;
    return this.#entry(
      name,
      { status: 'indeterminate', ede: reply.ede, why, unanchored: false },
      brokenSeconds,
      Infinity,
    );
  }

  #broken(
    name: NameKey,
    state: Insecure | Bogus | Indeterminate,
    question: Question,
    ttl: number,
  ): ZoneEntry {
    if (state.status === 'insecure') return this.#entry(name, state, ttl, Infinity);
    if (state.status === 'indeterminate') return this.#entry(name, state, brokenSeconds, Infinity);
    return this.#entry(name, { ...state, culprits: [...state.culprits, question] }, brokenSeconds, Infinity);
  }

  #entry(name: NameKey, state: ZoneState, ttl: number, validUntil: number, sentence?: string): ZoneEntry {
    const broken = state.status === 'bogus' || state.status === 'indeterminate';
    const seconds = broken ? ttl : Math.min(longestSeconds, Math.max(shortestSeconds, ttl));
    return {
      name,
      state,
      sentence: sentence ?? sentenceOf(name, state),
      since: this.#context.now,
      until: later(this.#context.now, Math.max(brokenSeconds, seconds) * 1000),
      validUntil,
    };
  }

  #secondsLeft(entry: ZoneEntry): number {
    return Math.max(0, (entry.until - this.#context.now) / 1000);
  }
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

export function bogus(ede: number, why: string, culprits: readonly Question[]): Bogus {
  return { status: 'bogus', ede, why, culprits };
}

/** Those that can be checked; with SHA-2 there, SHA-1 is no use (RFC 4509 §3). */
function usableDs(dss: readonly Ds[]): Ds[] {
  const usable = dss.filter((ds) => isSupportedAlgorithm(ds.algorithm) && isSupportedDigest(ds.digestType));
  const strong = usable.filter((ds) => ds.digestType !== Digest.SHA1);
  return (strong.length > 0 ? strong : usable).slice(0, dsPerZone);
}

function points(ds: Ds, owner: NameKey, key: Dnskey): boolean {
  if (ds.keyTag !== key.tag || ds.algorithm !== key.algorithm) return false;
  const digest = dsDigest(ds.digestType, owner, key.rdata);
  return digest !== undefined && sameOctets(digest, ds.digest);
}

/** RFC 4034 §2.1.1 and §2.1.2; a revoked key signs nothing but its own revocation (RFC 5011 §2.1). */
function isZoneKey(key: Dnskey): boolean {
  return key.protocol === 3 && (key.flags & DnskeyFlag.ZONE) !== 0 && (key.flags & DnskeyFlag.REVOKE) === 0;
}

function unsupported(name: NameKey, code: number, what: string): Insecure {
  const kind = code === Ede.UNSUPPORTED_DNSKEY_ALGORITHM ? 'algorithm' : 'digest';
  return {
    status: 'insecure',
    from: nameText(name),
    ede: { code, text: `no ${what} of ${nameText(name)} has a supported ${kind}` },
  };
}

/** A zone cut that the message itself speaks of, not proved: the owner of its SOA or NS. */
function hintOf(reply: Answered, limit: NameKey): NameKey | undefined {
  return reply.authority.find((s) => (s.type === Type.SOA || s.type === Type.NS) && isBelow(limit, s.owner))
    ?.owner;
}

function sentenceOf(name: NameKey, state: ZoneState): string {
  const owner = nameText(name);
  switch (state.status) {
    case 'secure':
      return `${owner}: secure`;
    case 'insecure':
      return `${owner}: ${state.ede?.text ?? `below ${state.from}, which is not signed`} (insecure)`;
    case 'notCut':
      return `${owner}: no zone of its own`;
    case 'bogus':
      return `${owner}: ${state.why} (bogus)`;
    case 'indeterminate':
      return `${owner}: ${state.why} (indeterminate)`;
    default:
      return state satisfies never;
  }
}

function text(set: RRset): string {
  return `${nameText(set.owner)} ${typeName(set.type)}`;
}
