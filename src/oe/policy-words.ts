import { nameText, type NameKey } from '../dns/name.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import type { AgentView } from './agent-types.ts';
import { aliasesOf } from './lookup.ts';
import { begins, decide, decideFor, decideInbound, type Decision, type Policy, type Rule } from './policy.ts';
import { listed } from './text.ts';

/** What `oe policy show` prints. */
export interface PolicyShown {
  readonly version: 1;
  /** Whether an agent runs by it; else it is what the file says. */
  readonly running: boolean;
  readonly file: string | null;
  readonly rules: readonly RuleShown[];
  readonly default: string;
  readonly inbound: string;
  /** What is worth a word, with the line where there is one. */
  readonly remarks: readonly string[];
}

export interface RuleShown {
  readonly place: number;
  readonly line: number | null;
  readonly match: string;
  readonly group: string;
  readonly role: string;
  readonly require: string | null;
  readonly except: readonly string[];
  readonly auth: string | null;
  /** A sentence. */
  readonly sentence: string;
}

/** What `oe policy test` prints. */
export interface PolicyTested {
  readonly version: 1;
  readonly subject: string;
  readonly running: boolean;
  readonly group: string;
  readonly rule: { readonly place: number; readonly line: number | null; readonly match: string } | null;
  /** Which rule, as a clause. */
  readonly why: string;
  /** What would happen now. */
  readonly sentence: string;
  /** The addresses that the name was last seen with, each judged for itself. */
  readonly addresses: readonly {
    readonly address: string;
    readonly group: string;
    readonly why: string;
    readonly state: string;
  }[];
  /** What holds where the peer at this address begins; null for a name. */
  readonly inbound: { readonly group: string; readonly why: string } | null;
}

/** The rules in words. */
export function policyShown(
  policy: Policy,
  more: Pick<PolicyShown, 'running' | 'file' | 'remarks'>,
): PolicyShown {
  return {
    version: 1,
    ...more,
    rules: policy.rules.map((rule) => ({
      place: rule.place,
      line: rule.line ?? null,
      match: rule.text,
      group: rule.group,
      role: rule.role ?? 'both',
      require: rule.require ?? null,
      except: rule.except?.map((e) => e.text) ?? [],
      auth: rule.auth ?? null,
      sentence: ruleSentence(rule),
    })),
    default: policy.outbound,
    inbound: policy.inbound,
  };
}

/** `Nothing passes unprotected to or from *.example.org, whoever begins; …` */
export function ruleSentence({ text, group, role, require, except, auth }: Rule): string {
  const what = {
    clear: `Traffic with ${text} is never encrypted.`,
    'clear-or-private': `Traffic with ${text} is encrypted where the peer begins, and clear until then.`,
    'private-or-clear': `Traffic with ${text} is encrypted where that can be, and clear otherwise.`,
    private: `Nothing passes unprotected to or from ${text}.`,
    block: `Nothing passes to or from ${text}.`,
  }[group];
  const more = [
    role === 'client' ? 'Only this host begins.' : role === 'server' ? 'Only the peer begins.' : undefined,
    auth === undefined ? undefined : `Peers prove that they are members of ${auth}.`,
    require === undefined ? undefined : requireSentence[require],
    except === undefined || except.length === 0
      ? undefined
      : `In the clear all the same: ${listed(except.map((e) => e.text))}.`,
  ];
  return [what, ...more.flatMap((m) => m ?? [])].join(' ');
}

const requireSentence = {
  anonymous: 'Peers need not prove who they are.',
  authenticated: 'Peers must prove who they are.',
  'post-quantum': 'Peers must prove who they are and take a key exchange with ML-KEM.',
} as const;

/** How the rules judge a name or an address; `view`: of the agent that runs. */
export function policyTested(
  policy: Policy,
  subject: { readonly name: NameKey } | { readonly address: IpAddress },
  view?: AgentView,
): PolicyTested {
  return 'name' in subject
    ? nameTested(policy, subject.name, view)
    : addressTested(policy, subject.address, view);
}

function nameTested(policy: Policy, name: NameKey, view: AgentView | undefined): PolicyTested {
  const decision = decide(policy, name, undefined);
  const records = view?.gate.recordsOf(name) ?? [];
  const judged = records.flatMap((record) =>
    (record.plan?.addresses ?? []).map(({ address }) => {
      const { group, why } = decideFor(policy, [name], address, aliasesOf(record));
      return { address: formatAddress(address), group, why, state: stateOf(view, address) };
    }),
  );
  const addresses = judged.filter((j, i) => judged.findIndex((o) => o.address === j.address) === i);
  return tested(nameText(name), decision, view, addresses, null);
}

function addressTested(policy: Policy, address: IpAddress, view: AgentView | undefined): PolicyTested {
  const names = view?.peers.find(address)?.claims ?? [];
  const decisions = names.map((c) => decideFor(policy, [c.name], address, c.aliases ?? []));
  const decision = decisions.reduce(
    (a, b) => (severity[b.group] > severity[a.group] ? b : a),
    decisions[0] ?? decide(policy, undefined, address),
  );
  const { group, why } = decideInbound(policy, address);
  const text = formatAddress(address);
  const state = stateOf(view, address);
  const known =
    state === 'unknown' ? [] : [{ address: text, group: decision.group, why: decision.why, state }];
  return tested(text, decision, view, known, { group, why });
}

const severity = { clear: 0, 'clear-or-private': 1, 'private-or-clear': 2, private: 3, block: 4 } as const;

function tested(
  subject: string,
  decision: Decision,
  view: AgentView | undefined,
  addresses: PolicyTested['addresses'],
  inbound: PolicyTested['inbound'],
): PolicyTested {
  const { rule, group, why } = decision;
  return {
    version: 1,
    subject,
    running: view !== undefined,
    group,
    rule: rule ? { place: rule.place, line: rule.line ?? null, match: rule.text } : null,
    why,
    sentence: sentenceOf(subject, decision),
    addresses,
    inbound,
  };
}

function sentenceOf(subject: string, decision: Decision): string {
  const proof = {
    anonymous: 'whoever is there',
    authenticated: 'a peer that proves who it is',
    'post-quantum': 'a peer that proves who it is and takes ML-KEM',
  }[decision.require ?? 'authenticated'];
  const peer = decision.rule?.auth === undefined ? proof : `a member of ${decision.rule.auth}`;
  switch (decision.group) {
    case 'clear':
      return `Traffic with ${subject} would go in the clear.`;
    case 'clear-or-private':
      return `Traffic with ${subject} would go in the clear until the peer begins.`;
    case 'private-or-clear':
      return begins(decision)
        ? `oe would try to encrypt to ${peer} at ${subject}, and go in the clear where that fails.`
        : `Traffic with ${subject} would go in the clear until the peer begins.`;
    case 'private':
      return begins(decision)
        ? `Nothing would pass to ${subject} before ${peer} is there and everything is encrypted.`
        : `Nothing would pass to ${subject} before the peer has begun.`;
    case 'block':
      return `Nothing would pass to ${subject}.`;
    default:
      return decision.group satisfies never;
  }
}

function stateOf(view: AgentView | undefined, address: IpAddress): string {
  const peer = view?.peers.find(address);
  if (!peer) return 'unknown';
  if (peer.live.length > 0) return 'encrypted';
  return peer.insist ? 'blocked' : peer.attempt ? 'negotiating' : 'clear';
}
