import { decoded } from '../../wire/reader.ts';
import type { Answered } from '../dnssec/chain.ts';
import { negativeTtl } from '../dnssec/denying-records.ts';
import { stepsOf } from '../links.ts';
import { replyKind, rrsetsOf, type Message, type Question, type ResourceRecord } from '../message.ts';
import { isBelow, nameText, readPlainName, rootName, type NameKey } from '../name.ts';
import { excessIn, type RRset } from '../rrset.ts';
import { Class, Rcode, rcodeName, Type } from '../types.ts';
import { serverAt, type NameServer } from './delegations.ts';
import { serverAddress } from './hints.ts';
import type { RecursionLimits } from './limits.ts';

/** What a server of a zone said to a question, and nothing that it had no business to say. */
export type Response =
  /** Data, or an alias; the reply ends where an alias leaves the zone. */
  | { readonly kind: 'answer'; readonly reply: Answered; readonly doubt: string | undefined }
  /** NODATA or NXDOMAIN, as `reply.message.rcode` tells. */
  | { readonly kind: 'negative'; readonly reply: Answered; readonly doubt: string | undefined }
  /** `cut` lies below the zone and at or above the name asked. */
  | {
      readonly kind: 'referral';
      readonly cut: NameKey;
      readonly servers: readonly NameServer[];
      /** Seconds. */
      readonly ttl: number;
    }
  /** It is of no use; `why` is a clause that follows the server's name. `refused`: so it will be next time. */
  | { readonly kind: 'lame'; readonly refused: boolean; readonly why: string }
  /** It does not understand EDNS (RFC 6891 §7). */
  | { readonly kind: 'withoutEdns' };

/** Name servers of one referral that are read at all. */
const maxReferralNames = 64;

/**
 * Reads what a server of `zone` replied to `question`. Only records at or below the zone count, in every section; an
 * answer is the way from the name to its end, and a referral has to lead downwards.
 */
export function responseOf(
  message: Message,
  question: Question,
  zone: NameKey,
  from: string,
  limits: RecursionLimits,
  shuffled: (names: readonly NameKey[]) => readonly NameKey[],
): Response {
  const kind = replyKind(message.rcode);
  if (kind === 'withoutEdns') return { kind };
  if (kind === 'failure') return lame(`answers ${rcodeName(message.rcode)}`, message.rcode === Rcode.REFUSED);
  const within = (r: ResourceRecord): boolean => r.class === Class.IN && isBelow(r.owner, zone);
  const answer = rrsetsOf(message.answer.filter(within));
  const authority = rrsetsOf(message.authority.filter(within));
  const excess = excessIn([...answer, ...authority]);
  if (excess !== undefined) return lame(excess, false);
  const asItCame = { kind: 'message' as const, message, answer, authority, upstream: from };
  const { steps } = stepsOf(asItCame, question.name, question.type);
  const own = steps.filter((s) => isBelow(s.name, zone));
  const last = own.at(-1);
  if (own.length === 1 && last?.kind === 'negative')
    return withoutAnswer(asItCame, question, zone, limits, shuffled);
  const kept = own.flatMap((step): readonly RRset[] => {
    switch (step.kind) {
      case 'data':
        return step.sets;
      case 'alias':
      case 'tooLong':
        return [step.set];
      case 'negative':
        return [];
      default:
        return step satisfies never;
    }
  });
  // Where the alias leaves the zone, what the server says of its target is not its business.
  const rcode = last?.kind === 'alias' ? Rcode.NOERROR : message.rcode;
  const denied = last?.kind === 'negative' ? last.name : undefined;
  return {
    kind: 'answer',
    reply: scrubbed(asItCame, question, rcode, kept, denials(authority, denied)),
    doubt: message.authoritative ? undefined : 'answers without authority',
  };
}

/** A denial, a referral, or nothing of use (RFC 2308 §2). */
function withoutAnswer(
  reply: Answered,
  question: Question,
  zone: NameKey,
  limits: RecursionLimits,
  shuffled: (names: readonly NameKey[]) => readonly NameKey[],
): Response {
  const { message, authority } = reply;
  const { name, type } = question;
  const doubt = message.authoritative ? undefined : 'denies without authority';
  const negative = (answer: readonly RRset[] = []): Response => ({
    kind: 'negative',
    reply: scrubbed(reply, question, message.rcode, answer, denials(authority, name)),
    doubt,
  });
  const soa = authority.find((s) => s.type === Type.SOA && isBelow(name, s.owner));
  // RFC 4035 §3.1.4.1: of DS the parent speaks. A denial from below the cut says nothing.
  if (soa && type === Type.DS && soa.owner === name && name !== rootName) {
    return lame(`denies the DS of ${nameText(name)} from below the zone cut`, false);
  }
  const foreign = message.authority.find((r) => r.type === Type.SOA);
  if (!soa && foreign) return lame(`has the SOA of ${nameText(foreign.owner)}`, true);
  if (soa || message.rcode === Rcode.NXDOMAIN) return negative();
  if (message.rcode !== Rcode.NOERROR) return lame(`answers ${rcodeName(message.rcode)}`, false);
  // RFC 2308 §2.2: NS without SOA is a referral.
  const [below] = authority
    .filter((s) => s.type === Type.NS && isBelow(name, s.owner) && s.owner !== zone)
    .sort((a, b) => a.owner.length - b.owner.length);
  if (below && type === Type.DS && below.owner === name) {
    // A server from before DNSSEC, or one that gives with the referral what it was asked for.
    return negative(authority.filter((s) => s.type === Type.DS && s.owner === name));
  }
  if (below) {
    const servers = serversOf(below, zone, message, limits, shuffled);
    return { kind: 'referral', cut: below.owner, servers, ttl: below.ttl };
  }
  if (message.authoritative) return negative();
  const elsewhere = message.authority.find((r) => r.type === Type.NS);
  return lame(elsewhere ? `refers to ${nameText(elsewhere.owner)}` : 'has no answer and no authority', true);
}

/** The name servers of a referral, with the glue that is theirs to have. */
function serversOf(
  set: RRset,
  zone: NameKey,
  message: Message,
  limits: RecursionLimits,
  shuffled: (names: readonly NameKey[]) => readonly NameKey[],
): NameServer[] {
  const names = new Set<NameKey>();
  for (const rdata of set.rdatas.slice(0, maxReferralNames)) {
    const name = decoded(rdata, readPlainName);
    if (name.ok) names.add(name.value);
  }
  const servers = shuffled([...names]).map((name) => ({
    name,
    addresses: addressesIn(message.additional, name, zone, limits),
  }));
  // A name in the zone itself cannot be looked up without having it already.
  const usable = servers.filter((s) => s.addresses.length > 0 || !isBelow(s.name, set.owner));
  const glued = usable.filter((s) => s.addresses.length > 0);
  const others = usable.filter((s) => s.addresses.length === 0);
  return [...glued, ...others].slice(0, limits.serversPerDelegation);
}

/** The root's servers by the root's own word (RFC 8109 §3.3), with addresses by `hinted` where it leaves them out. */
export function rootServersIn(
  reply: Answered,
  message: Message,
  limits: RecursionLimits,
  hinted: (name: NameKey) => NameServer['addresses'],
): { readonly servers: readonly NameServer[]; readonly ttl: number } | undefined {
  const set = reply.answer.find((s) => s.type === Type.NS && s.owner === rootName);
  if (!set || !message.authoritative) return undefined;
  const servers = set.rdatas.slice(0, limits.serversPerDelegation).flatMap((rdata): NameServer[] => {
    const name = decoded(rdata, readPlainName);
    if (!name.ok) return [];
    const told = addressesIn(message.additional, name.value, rootName, limits);
    const addresses = told.length > 0 ? told : hinted(name.value);
    return addresses.length === 0 ? [] : [{ name: name.value, addresses }];
  });
  return servers.length === 0 ? undefined : { servers, ttl: set.ttl };
}

/** The addresses that `records` have of a server's name, if that lies in `zone`. */
function addressesIn(
  records: readonly ResourceRecord[],
  name: NameKey,
  zone: NameKey,
  limits: RecursionLimits,
): NameServer['addresses'] {
  if (!isBelow(name, zone)) return [];
  const own = records.filter((r) => r.owner === name && r.class === Class.IN);
  return [Type.A, Type.AAAA].flatMap((type) =>
    own
      .filter((r) => r.type === type)
      .map((r) => serverAddress(r.rdata))
      .filter((a) => a !== undefined)
      .slice(0, limits.addressesPerServer)
      .map(serverAt),
  );
}

/** What of an authority section goes up: denials, and the SOA of the zone that denies `name`. */
function denials(authority: readonly RRset[], name: NameKey | undefined): RRset[] {
  return authority.filter(
    (s) =>
      s.type === Type.NSEC ||
      s.type === Type.NSEC3 ||
      (s.type === Type.SOA && name !== undefined && isBelow(name, s.owner)),
  );
}

function scrubbed(
  reply: Answered,
  question: Question,
  rcode: number,
  answer: readonly RRset[],
  authority: readonly RRset[],
): Answered {
  const message: Message = {
    ...reply.message,
    rcode,
    questions: [question],
    answer: answer.flatMap(recordsOf),
    authority: authority.flatMap(recordsOf),
    additional: [],
  };
  return { ...reply, message, answer, authority };
}

function recordsOf(set: RRset): ResourceRecord[] {
  const { owner, class: dnsClass, ttl } = set;
  const record = (type: number, rdata: Uint8Array): ResourceRecord => ({
    owner,
    type,
    class: dnsClass,
    ttl,
    rdata,
  });
  return [...set.rdatas.map((r) => record(set.type, r)), ...set.signatures.map((r) => record(Type.RRSIG, r))];
}

/** Seconds for which an answer or a denial holds (RFC 2308 §5). */
export function ttlOf({ answer, authority }: Answered): number {
  return answer.length > 0 ? Math.min(...answer.map((s) => s.ttl)) : negativeTtl(authority);
}

function lame(why: string, refused: boolean): Response {
  return { kind: 'lame', refused, why };
}
