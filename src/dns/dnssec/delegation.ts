import type { TrustAnchor } from '../anchors.ts';
import type { Question } from '../message.ts';
import { isBelow, nameText, parentOf, rootName, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import { Class, Ede, Type } from '../types.ts';
import { isSupportedAlgorithm } from './algorithms.ts';
import type { Answered, ChainContext, Denied, Security } from './chain.ts';
import type { Denial } from './denial.ts';
import { costly, negativeTtl } from './denying-records.ts';
import { decodeDs, type Ds } from './rdata.ts';
import {
  bogus,
  broken,
  entryOf,
  failed,
  longestSeconds,
  secondsLeft,
  shortestSeconds,
  unanchored,
  unsupported,
} from './zone-entries.ts';
import { keyedZone, usableDs } from './zone-keys.ts';
import type { Insecure, ZoneEntry, ZoneState } from './zones.ts';

/** What of the chain of trust is wanted to tell what a name is as the place of a zone cut. */
export interface ChainView {
  readonly context: ChainContext;
  security(set: RRset, limit?: NameKey): Security | undefined;
  /** What a reply without DS proves of a cut at `name`, signed at or above `limit`. */
  cut(reply: Answered, name: NameKey, limit: NameKey): Denied<Denial> | undefined;
}

/** The trust anchors of the very `name`. */
export function anchorsAt(anchors: readonly TrustAnchor[], name: NameKey): TrustAnchor[] {
  return anchors.filter((a) => a.owner === name);
}

/** The closest name at or above `name` that has a trust anchor. */
export function anchorAbove(anchors: readonly TrustAnchor[], name: NameKey): NameKey | undefined {
  let closest: NameKey | undefined;
  for (const { owner } of anchors) {
    if (isBelow(name, owner) && (closest === undefined || owner.length > closest.length)) closest = owner;
  }
  return closest;
}

/** The zone of a trust anchor (RFC 4035 §5, RFC 5011 has no part in it here). */
export function anchoredZone(chain: ChainView, name: NameKey): ZoneEntry | undefined {
  const anchors = anchorsAt(chain.context.anchors, name);
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
    return entryOf(
      chain.context.now,
      name,
      unsupported(name, code, 'trust anchor'),
      longestSeconds,
      Infinity,
    );
  }
  return keyedZone(chain, name, usableDs(dss), keys, 'the trust anchor', longestSeconds, Infinity);
}

/** What the answer to the question for the DS of `name` makes of it (RFC 4035 §5.2). */
export function delegatedZone(chain: ChainView, name: NameKey): ZoneEntry | undefined {
  const parent = parentOf(name);
  if (parent === undefined || anchorAbove(chain.context.anchors, parent) === undefined) {
    return entryOf(chain.context.now, name, unanchored(name), shortestSeconds, Infinity);
  }
  const above = chain.context.zones.closest(parent, chain.context.now, chain.context.wall);
  if (above?.state.status === 'insecure' && anchorBetween(chain, above.name, name) === undefined) {
    return entryOf(
      chain.context.now,
      name,
      above.state,
      secondsLeft(chain.context.now, above),
      above.validUntil,
    );
  }
  const question = { name, type: Type.DS, class: Class.IN };
  const reply = chain.context.reply(question);
  if (!reply) return undefined;
  if (reply.kind === 'failure') return failed(chain.context.now, name, question, reply);
  const set = reply.answer.find((s) => s.owner === name && s.type === Type.DS);
  if (set) return zoneOfDs(chain, name, set, question);
  const dname = reply.answer.find((s) => s.type === Type.DNAME && s.owner !== name && isBelow(name, s.owner));
  const alias = dname ?? reply.answer.find((s) => s.owner === name && s.type === Type.CNAME);
  if (alias) return aliasAt(chain, name, alias, question);
  return zoneWithoutDs(chain, name, reply, question);
}

function zoneOfDs(chain: ChainView, name: NameKey, set: RRset, question: Question): ZoneEntry | undefined {
  const security = chain.security(set);
  if (!security) return undefined;
  if (security.status !== 'secure') return broken(chain.context.now, name, security, question, set.ttl);
  const { check, zone } = security;
  if (check.wildcardAt !== undefined) {
    const why = `the DS of ${nameText(name)} comes from a wildcard`;
    return broken(chain.context.now, name, bogus(Ede.DNSSEC_BOGUS, why, []), question, 0);
  }
  const dss = set.rdatas
    .map(decodeDs)
    .filter((d) => d.ok)
    .map((d) => d.value);
  const usable = usableDs(dss);
  if (usable.length === 0) {
    const known = dss.some((ds) => isSupportedAlgorithm(ds.algorithm));
    const code = known ? Ede.UNSUPPORTED_DS_DIGEST_TYPE : Ede.UNSUPPORTED_DNSKEY_ALGORITHM;
    return entryOf(chain.context.now, name, unsupported(name, code, 'DS'), check.ttl, check.validUntil);
  }
  return keyedZone(
    chain,
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
function aliasAt(chain: ChainView, name: NameKey, alias: RRset, question: Question): ZoneEntry | undefined {
  // The name itself cannot vouch for not being a zone, and asking it would lead back here.
  const security = chain.security(alias, alias.owner === name ? parentOf(name) : alias.owner);
  if (!security) return undefined;
  if (security.status !== 'secure') return broken(chain.context.now, name, security, question, alias.ttl);
  const state: ZoneState = { status: 'notCut', empty: alias.type === Type.DNAME };
  return entryOf(chain.context.now, name, state, security.check.ttl, security.check.validUntil);
}

function zoneWithoutDs(
  chain: ChainView,
  name: NameKey,
  reply: Answered,
  question: Question,
): ZoneEntry | undefined {
  const limit = parentOf(name) ?? rootName;
  const denied = chain.cut(reply, name, limit);
  if (!denied) return undefined;
  if (denied.status !== 'proved')
    return broken(chain.context.now, name, denied, question, negativeTtl(reply.authority));
  const { proof, zone, what, validUntil } = denied;
  const ttl = negativeTtl(denied.authority);
  switch (proof.kind) {
    case 'noData':
      if (proof.delegation) {
        const hidden = proof.optOut ? ' by opt-out' : '';
        const state: Insecure = { status: 'insecure', from: nameText(name) };
        return entryOf(
          chain.context.now,
          name,
          state,
          ttl,
          validUntil,
          `${nameText(name)}: no DS, proved${hidden} with ${what} of ${nameText(zone)} (insecure)`,
        );
      }
      return entryOf(chain.context.now, name, { status: 'notCut', empty: false }, ttl, validUntil);
    case 'noName': {
      // What exists nowhere else is nobody's to forge: a network may have zones of its own. Names that exist are judged.
      const { islands = [] } = chain.context;
      if (islands.includes(name)) {
        const state: Insecure = { status: 'insecure', from: nameText(name) };
        const sentence = `${nameText(name)}: not in ${nameText(zone)}, proved with ${what}, and asked elsewhere (insecure)`;
        return entryOf(chain.context.now, name, state, ttl, validUntil, sentence);
      }
      const empty = !islands.some((island) => isBelow(island, name));
      return entryOf(chain.context.now, name, { status: 'notCut', empty }, ttl, validUntil);
    }
    case 'tooCostly':
      return broken(chain.context.now, name, costly(zone, proof), question, ttl);
    case 'hidden':
    case 'unproved':
      return broken(chain.context.now, name, bogus(Ede.NSEC_MISSING, proof.why, []), question, 0);
    default:
      return proof satisfies never;
  }
}

function anchorBetween(chain: ChainView, above: NameKey, name: NameKey): NameKey | undefined {
  const anchor = anchorAbove(chain.context.anchors, name);
  return anchor !== undefined && anchor !== above && isBelow(anchor, above) ? anchor : undefined;
}
