import { algorithmName } from '../dns/dnssec/algorithms.ts';
import type { ZoneEntry } from '../dns/dnssec/zones.ts';
import type { Question } from '../dns/message.ts';
import { isBelow, nameOf, nameText, type NameKey } from '../dns/name.ts';
import { rdataText } from '../dns/rdata-text.ts';
import type { Resolution } from '../dns/resolution.ts';
import type { RRset } from '../dns/rrset.ts';
import { edeName, Rcode, rcodeName, Type, typeName } from '../dns/types.ts';
import type { Outcome } from './lookup.ts';
import { duration } from './text.ts';

/**
 * What `oe dig` and `GET /v1/dig` say: an answer as a program gets it, and how it came about. Fields are only ever added
 * within a version.
 */
export interface Dig {
  readonly version: 1;
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  /** Of the header as a client with AD in its question sees them, in the words of RFC 1035 and 4035: `ra`, `ad`. */
  readonly flags: readonly string[];
  readonly status: 'secure' | 'insecure' | 'bogus' | 'indeterminate' | 'refused';
  /** The verdict as a sentence. */
  readonly sentence: string;
  readonly ede: { readonly code: number; readonly name: string; readonly text: string } | null;
  /** `www.example.org 300 A 192.0.2.1` */
  readonly answer: readonly string[];
  readonly authority: readonly string[];
  /** The zones on the way from the root, each with those below it. */
  readonly chain: readonly DigZone[];
  readonly fromCache: boolean;
  /** From the question to the answer, as the program waited. */
  readonly tookMs: number;
  /** What was asked of whom. */
  readonly asked: readonly DigAsked[];
}

export interface DigZone {
  readonly zone: string;
  readonly status: 'secure' | 'insecure' | 'bogus' | 'indeterminate';
  /** How that was found out, e.g. `org: DNSKEY 17 signed by DS 17 (secure)`. */
  readonly sentence: string;
  readonly keys: readonly { readonly tag: number; readonly algorithm: string }[];
  /** When the first of the signatures behind it ends, ISO 8601; null where there is none. */
  readonly signedUntil: string | null;
  /** What it proves of the answer. */
  readonly proves: readonly string[];
  readonly below: readonly DigZone[];
}

export interface DigAsked {
  /** `DNSKEY org` */
  readonly question: string;
  readonly from: string | null;
  readonly trace: readonly string[];
}

/** What a lookup came to. `zonesTo`: what is known of the zones down to a name. */
export function digOf(
  question: Question,
  outcome: Outcome,
  tookMs: number,
  zonesTo: (name: NameKey) => readonly ZoneEntry[],
): Dig {
  const head = {
    version: 1,
    name: nameText(question.name),
    type: typeName(question.type),
    tookMs: Math.round(tookMs * 10) / 10,
  } as const;
  if (outcome.kind === 'refuse') {
    return {
      ...head,
      rcode: rcodeName(outcome.rcode),
      flags: ['qr', 'rd', 'ra'],
      status: 'refused',
      sentence: outcome.ede.text,
      ede: edeOf(outcome.ede),
      answer: [],
      authority: [],
      chain: [],
      fromCache: false,
      asked: [],
    };
  }
  const resolution = outcome.reduced ?? outcome.resolution;
  const { verdict } = resolution;
  return {
    ...head,
    rcode: rcodeName(resolution.rcode),
    flags: ['qr', 'rd', 'ra', ...(verdict.status === 'secure' ? ['ad'] : [])],
    status: verdict.status,
    sentence: verdictSentence(resolution, nameText(question.name)),
    ede: resolution.ede ? edeOf(resolution.ede) : null,
    answer: resolution.answer.flatMap((set) => recordTexts(set, outcome.ttlLimit)),
    authority: resolution.authority.flatMap((set) => recordTexts(set, outcome.ttlLimit)),
    chain: treeOf(question.name, outcome.resolution, zonesTo),
    fromCache: resolution.fromCache,
    asked: (outcome.resolution.asked ?? []).map(({ question: q, from, trace }) => ({
      question: `${typeName(q.type)} ${nameText(q.name) || '.'}`,
      from: from ?? null,
      trace,
    })),
  };
}

function verdictSentence({ verdict, rcode, answer }: Resolution, text: string): string {
  switch (verdict.status) {
    case 'secure':
      if (answer.length > 0) return 'Signatures prove every record, from the root down.';
      return rcode === Rcode.NXDOMAIN
        ? `Signed records prove that ${text} does not exist.`
        : `Signed records prove that ${text} has no such record.`;
    case 'insecure':
      return `Nothing proves it: the chain of trust ends at ${verdict.from === '.' ? 'the root' : verdict.from}, with a proof that it goes no further.`;
    case 'bogus':
      return `It fails DNSSEC validation: ${verdict.why}.`;
    case 'indeterminate':
      return `Nothing proves it: ${verdict.why}.`;
    default:
      return verdict satisfies never;
  }
}

function edeOf({ code, text }: { readonly code: number; readonly text: string }): Dig['ede'] {
  return { code, name: edeName(code), text };
}

function recordTexts(set: RRset, ttlLimit = Infinity): string[] {
  const head = `${nameText(set.owner) || '.'} ${Math.min(set.ttl, ttlLimit)}`;
  return [
    ...set.rdatas.map((rdata) => `${head} ${typeName(set.type)} ${rdataText(set.type, rdata)}`),
    ...set.signatures.map((rdata) => `${head} RRSIG ${rdataText(Type.RRSIG, rdata)}`),
  ];
}

/** The sentences that the validator left, hung on the zones that they speak of. */
function treeOf(
  asked: NameKey,
  resolution: Resolution,
  zonesTo: (name: NameKey) => readonly ZoneEntry[],
): DigZone[] {
  // What this host says by itself has no chain.
  if (resolution.chain.length === 0) return [];
  const owners = new Set([asked, ...resolution.answer.map((s) => s.owner)]);
  const entries = new Map<NameKey, ZoneEntry>();
  for (const owner of owners) for (const entry of zonesTo(owner)) entries.set(entry.name, entry);
  const sentences = new Set([...entries.values()].map((e) => e.sentence));
  const rest = resolution.chain.filter((sentence) => !sentences.has(sentence));
  const nodes = [...entries.values()]
    .sort((a, b) => a.name.length - b.name.length)
    .map((entry) => ({ entry, proves: [] as string[], below: [] as DigZone[] }));
  const over = (name: NameKey, except?: ZoneEntry): (typeof nodes)[number] | undefined =>
    nodes.findLast((n) => n.entry !== except && isBelow(name, n.entry.name));
  for (const sentence of rest) {
    const subject = nameOf(sentence.split(' ')[0]?.replace(/:$/, '') ?? '');
    (over(subject ?? asked) ?? nodes[0])?.proves.push(sentence);
  }
  const top: DigZone[] = [];
  for (const node of nodes.toReversed()) {
    const { name, state, sentence, validUntil } = node.entry;
    const zone: DigZone = {
      zone: nameText(name) || '.',
      status: state.status === 'notCut' ? 'secure' : state.status,
      sentence,
      keys:
        state.status === 'secure'
          ? state.keys.map(({ dnskey }) => ({ tag: dnskey.tag, algorithm: algorithmName(dnskey.algorithm) }))
          : [],
      signedUntil: Number.isFinite(validUntil) ? new Date(validUntil * 1_000).toISOString() : null,
      proves: node.proves,
      below: node.below,
    };
    (over(name, node.entry)?.below ?? top).unshift(zone);
  }
  return top;
}

/** `12 ms, from the cache` */
export function timingText(dig: Dig): string {
  return `${duration(dig.tookMs)}${dig.fromCache ? ', from the cache' : ''}`;
}
