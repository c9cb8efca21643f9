import { decoded } from '../wire/reader.ts';
import type { Reply } from './dnssec/chain.ts';
import { isBelow, octetsOfName, readPlainName, rebased, type NameKey } from './name.ts';
import type { RRset } from './rrset.ts';
import { Class, Rcode, Type } from './types.ts';

/** One step of an answer as the message has it, not judged: from a name to data, to another name, or to nothing. */
export type Step =
  | { readonly kind: 'data'; readonly name: NameKey; readonly sets: readonly RRset[] }
  /** `set` is the CNAME, or the DNAME from which `synthesized` was made here (RFC 6672 §3.1). */
  | {
      readonly kind: 'alias';
      readonly name: NameKey;
      readonly set: RRset;
      readonly synthesized: RRset | undefined;
      readonly target: NameKey;
    }
  /** A DNAME leads to a name that is longer than names may be (RFC 6672 §2.2). */
  | { readonly kind: 'tooLong'; readonly name: NameKey; readonly set: RRset }
  | { readonly kind: 'negative'; readonly name: NameKey; readonly rcode: number };

export interface Steps {
  readonly steps: readonly Step[];
  /** The name at which the message stops short: it has to be asked on its own. */
  readonly open: NameKey | undefined;
}

/** Links of CNAME and DNAME that are followed in one message, and in all where nothing else is said. */
export const maxAliases = 11;

/** The way from `name` to `type` through the sections of a reply. Records that are not on it are passed over. */
export function stepsOf(
  reply: Extract<Reply, { readonly kind: 'message' }>,
  name: NameKey,
  type: number,
): Steps {
  const steps: Step[] = [];
  const answer = reply.answer.filter((s) => s.class === Class.IN);
  const seen = new Set<NameKey>();
  for (let at = name; ;) {
    // Below a DNAME there is nothing else (RFC 6672 §2.4): what stands there was made from it.
    const dname = dnameOver(answer, at);
    const sets = dname ? [] : answer.filter((s) => s.owner === at && (s.type === type || type === Type.ANY));
    if (sets.length > 0) return { steps: [...steps, { kind: 'data', name: at, sets }], open: undefined };
    const alias = dname ?? cnameAt(answer, at, type);
    if (alias === undefined) {
      // A forwarder that did not follow the alias has nothing to say about its target.
      if (steps.length > 0 && !isDenied(reply, at)) return { steps, open: at };
      return {
        steps: [...steps, { kind: 'negative', name: at, rcode: reply.message.rcode }],
        open: undefined,
      };
    }
    steps.push(alias);
    if (alias.kind !== 'alias' || !followsAliases(type)) return { steps, open: undefined };
    seen.add(at);
    at = alias.target;
    // A loop: the caller finds it, since it counts over all messages.
    if (seen.has(at) || steps.length >= maxAliases) return { steps, open: at };
  }
}

/** A question for a CNAME, or for all there is, is answered by the CNAME itself. */
export function followsAliases(type: number): boolean {
  return type !== Type.CNAME && type !== Type.ANY && type !== Type.RRSIG;
}

type Alias = Extract<Step, { readonly kind: 'alias' | 'tooLong' }>;

function dnameOver(answer: readonly RRset[], at: NameKey): Alias | undefined {
  const set = answer.find((s) => s.type === Type.DNAME && s.owner !== at && isBelow(at, s.owner));
  const to = set && targetOf(set);
  if (!set || to === undefined) return undefined;
  const target = rebased(at, set.owner, to);
  if (target === undefined) return { kind: 'tooLong', name: at, set };
  const rdatas = [octetsOfName(target)];
  const synthesized = { owner: at, type: Type.CNAME, class: Class.IN, ttl: set.ttl, rdatas, signatures: [] };
  return { kind: 'alias', name: at, set, synthesized, target };
}

function cnameAt(answer: readonly RRset[], at: NameKey, type: number): Alias | undefined {
  if (!followsAliases(type)) return undefined;
  const set = answer.find((s) => s.type === Type.CNAME && s.owner === at);
  const target = set && targetOf(set);
  if (!set || target === undefined) return undefined;
  return { kind: 'alias', name: at, set, synthesized: undefined, target };
}

/** Undefined for an RRset with several targets, which names nothing (RFC 2181 §10.1). */
function targetOf(set: RRset): NameKey | undefined {
  const [rdata] = set.rdatas;
  if (rdata === undefined || set.rdatas.length > 1) return undefined;
  const target = decoded(rdata, readPlainName);
  return target.ok ? target.value : undefined;
}

/** The message says itself that `name` does not have the answer (RFC 2308 §2). */
function isDenied(reply: Extract<Reply, { readonly kind: 'message' }>, name: NameKey): boolean {
  if (reply.message.rcode === Rcode.NXDOMAIN) return true;
  return reply.authority.some((s) => s.type === Type.SOA && isBelow(name, s.owner));
}
