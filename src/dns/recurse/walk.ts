import type { Instant } from '../../time.ts';
import type { Reply } from '../dnssec/chain.ts';
import type { Asked, Exchange, Origin } from '../finder.ts';
import type { Message, Question } from '../message.ts';
import { nameText, type NameKey } from '../name.ts';
import { Ede, Rcode, rcodeName, typeName } from '../types.ts';
import type { Delegation, NameServer } from './delegations.ts';
import type { Quota } from './limits.ts';
import type { Response } from './response.ts';
import type { Candidate } from './selection.ts';

/** A question from above. */
export interface Live extends Exchange {
  readonly trace: string[];
  readonly giveUpAt: Instant;
  walk: Walk | undefined;
  /** The zone whose servers the reply came from. */
  delegation: Delegation | undefined;
}

/** The way from a known zone down to one name. */
export interface Walk {
  readonly question: Question;
  /** Who wants to know. */
  readonly whose: Live | Target | 'priming';
  readonly quota: Quota;
  readonly depth: number;
  readonly avoided: Origin | undefined;
  readonly trace: string[] | undefined;
  delegation: Delegation;
  /** The longest name on the way that the zone is known to have no cut at. */
  known: NameKey;
  /** Questions with shortened names so far. */
  minimised: number;
  /** No more shortened names. */
  whole: boolean;
  /** Questions to servers that it paid for. */
  sent: number;
  query: Query | undefined;
}

/** One question to the servers of one zone, shared by all walks that want it. */
export interface Query {
  readonly key: string;
  readonly delegation: Delegation;
  readonly question: Question;
  readonly avoided: Origin | undefined;
  readonly walks: Set<Walk>;
  /** How often each server was asked; more than any limit: not again. */
  readonly tries: Map<string, number>;
  /** Addresses that it waits for. */
  readonly waiting: Set<Target>;
  /** Name servers whose addresses were asked for already. */
  readonly lookedUp: Set<NameKey>;
  open: { readonly asked: Asked; readonly candidate: Candidate; readonly plain: boolean } | undefined;
  /** An answer that is taken only if nobody has a better one. */
  doubtful: Result | undefined;
  /** Somebody replied, if only with a refusal. */
  heard: boolean;
  /** What went wrong last: a clause. */
  why: string | undefined;
}

/** A name server whose addresses are looked up, or were; one for all who want them. */
export interface Target {
  readonly name: NameKey;
  readonly walks: Set<Walk>;
  readonly queries: Set<Query>;
  addresses: NameServer['addresses'];
  /** What was found out holds until then. */
  until: Instant;
  /** The way failed; the name need not be without addresses. */
  failed: boolean;
}

/** What a query came to. */
export type Result =
  | {
      readonly kind: 'response';
      readonly response: Exclude<Response, { readonly kind: 'lame' | 'withoutEdns' }>;
      readonly from: Origin;
      readonly message: Message;
    }
  | { readonly kind: 'failure'; readonly why: string; readonly heard: boolean };

/** Whether `query` can only go on when `goal` does. */
export function dependsOn(query: Query, goal: Query | Target, seen = new Set<Query>()): boolean {
  if (query === goal) return true;
  if (seen.has(query)) return false;
  seen.add(query);
  for (const target of query.waiting) {
    if (target === goal) return true;
    for (const walk of target.walks) if (walk.query && dependsOn(walk.query, goal, seen)) return true;
  }
  return false;
}

/** What became of a question to a server, for the story of an exchange. */
export function sentence(response: Response, message: Message): string {
  switch (response.kind) {
    case 'referral': {
      const names = response.servers.map((s) => (s.name === undefined ? '' : nameText(s.name))).join(', ');
      return `referral to ${nameText(response.cut)} (${names === '' ? 'no usable name server' : names})`;
    }
    case 'answer':
      return (
        response.doubt ??
        response.reply.answer.map((s) => `${nameText(s.owner)} ${typeName(s.type)}`).join(', ')
      );
    case 'negative':
      return response.doubt ?? (message.rcode === Rcode.NXDOMAIN ? 'no such name' : 'no such data');
    case 'lame':
      return response.why;
    case 'withoutEdns':
      return `answers ${rcodeName(message.rcode)}`;
    default:
      return response satisfies never;
  }
}

/** What goes up where nobody could answer. */
export function failure(why: string): Reply {
  return { kind: 'failure', ede: Ede.NO_REACHABLE_AUTHORITY, why };
}
