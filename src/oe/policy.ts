import { isBelow, nameOf, type NameKey } from '../dns/name.ts';
import { parsePrefix, prefixContains, type Prefix } from '../net/prefix.ts';
import type { IpAddress } from '../net/address.ts';
import type { Exception } from './exception.ts';

/**
 * What may happen to traffic, in libreswan's group words:
 * `clear` never encrypts; `clear-or-private` encrypts when the peer begins; `private-or-clear` tries first and
 * falls back; `private` insists; `block` lets nothing pass.
 */
export const groups = ['clear', 'clear-or-private', 'private-or-clear', 'private', 'block'] as const;
export type Group = (typeof groups)[number];

/** Who may begin a negotiation: this host as a client of the peer, the peer, or either. */
export const roles = ['both', 'client', 'server'] as const;
export type Role = (typeof roles)[number];

/** What the peer must bring at least, each more than the one before. */
export const stances = ['anonymous', 'authenticated', 'post-quantum'] as const;
export type Stance = (typeof stances)[number];

export type Match =
  | { readonly kind: 'all' }
  /** The name itself. */
  | { readonly kind: 'name'; readonly name: NameKey }
  /** `*.example.org`: every name below, not the name itself (RFC 4592 §2.1.1 in spirit). */
  | { readonly kind: 'below'; readonly name: NameKey }
  | { readonly kind: 'prefix'; readonly prefix: Prefix };

export interface Rule {
  readonly match: Match;
  readonly group: Group;
  /** The private group whose members these are (`[[ike.auth]]`); absent: keys in DNS prove who they are. */
  readonly auth?: string;
  /** Absent: either may begin. */
  readonly role?: Role;
  /** Absent: who is begun with proves who it is; who begins need not, unless the group is `private`. */
  readonly require?: Stance;
  /** What passes in the clear all the same; only beside a prefix. */
  readonly except?: readonly Exception[];
  /** As the configuration says it: `*.example.org`, `192.0.2.0/24`. */
  readonly text: string;
  /** 1-based place in the list. */
  readonly place: number;
  /** Where it begins in the configuration. */
  readonly line?: number;
}

export interface Policy {
  /** The first that matches decides. */
  readonly rules: readonly Rule[];
  /** Where no rule matches and we begin. */
  readonly outbound: Group;
  /** Where no rule matches and a peer begins. */
  readonly inbound: Group;
}

export interface Decision {
  readonly group: Group;
  readonly rule: Rule | undefined;
  readonly role: Role;
  /** See {@link Rule.require}. */
  readonly require: Stance | undefined;
  /** `rule 2 (*.example.org) says private`. */
  readonly why: string;
}

export const defaultPolicy: Policy = { rules: [], outbound: 'private-or-clear', inbound: 'clear-or-private' };

/** Reads `*`, `*.example.org`, `example.org`, `192.0.2.0/24`, `192.0.2.1` or `2001:db8::/32`. */
export function parseMatch(text: string): Match | undefined {
  if (text === '*') return { kind: 'all' };
  const prefix = parsePrefix(text);
  if (prefix) return { kind: 'prefix', prefix };
  if (text.includes('/') || text.includes(':') || /^[\d.]+$/.test(text)) return undefined;
  const below = text.startsWith('*.');
  const name = nameOf(below ? text.slice(2) : text);
  if (name === undefined || text === '') return undefined;
  return { kind: below ? 'below' : 'name', name };
}

/**
 * What holds for an address of a name; of what is undefined no rule is looked at. The first rule by name and the first
 * rule by prefix that match both count. Where one of them insists on protection, or blocks, the stricter decides, in
 * whatever order they stand: the kernel knows only the address. Else the earlier one decides. `*` decides where no
 * earlier rule matches.
 */
export function decide(policy: Policy, name: NameKey | undefined, address: IpAddress | undefined): Decision {
  const [byName, byPrefix] = specialRules(policy).map((rules) =>
    rules.find((r) => matches(r.match, name, address)),
  );
  return combined(policy, byName, byPrefix);
}

/**
 * The same for an address of `names`, all of whose rules count: a host that gives another name's service is reached for
 * its sake. What protects more decides. `aliases`: the names that the first is an alias of. Their rules count only
 * where they insist on protection or block: whoever has a name lead to a host says nothing of how that host is reached.
 */
export function decideFor(
  policy: Policy,
  names: readonly [NameKey, ...NameKey[]],
  address: IpAddress | undefined,
  aliases: readonly NameKey[] = [],
): Decision {
  const [first, ...others] = names.map((name) => decide(policy, name, address));
  const insisting = aliases.map((name) => decide(policy, name, address)).filter((d) => insists(d.group));
  return [...others, ...insisting].reduce(
    (a, b) => (strictness[b.group] > strictness[a.group] ? b : a),
    first as Decision,
  );
}

const strictness: Readonly<Record<Group, number>> = {
  clear: 0,
  'clear-or-private': 1,
  'private-or-clear': 2,
  private: 3,
  block: 4,
};

/** The same for a peer that begins: prefix rules, then the inbound default. */
export function decideInbound(policy: Policy, address: IpAddress): Decision {
  const rule = policy.rules.find((r) => matches(r.match, undefined, address));
  if (rule) return decisionOf(rule);
  return {
    ...unruled,
    group: policy.inbound,
    why: `no rule matches, the inbound default is ${policy.inbound}`,
  };
}

/** The rule by which a peer that calls itself `name` may be a member of a private group. */
export function memberRule(policy: Policy, name: NameKey): Rule | undefined {
  const rule = policy.rules.find((r) => matches(r.match, name, undefined));
  return rule?.auth === undefined ? undefined : rule;
}

/** Whether a lookup of `name` can end in protection, whatever its addresses turn out to be. */
export function mayProtect(policy: Policy, name: NameKey): boolean {
  return possible(policy, name).some((d) => asksForKeys(d.group));
}

/** Whether it can be that a key in DNS has to prove some address of `name`. */
export function mayNeedKeys(policy: Policy, name: NameKey): boolean {
  return possible(policy, name).some((d) => asksForKeys(d.group) && d.rule?.auth === undefined);
}

/** Whether addresses can be private because of a name that leads to them. */
export function insistsByName(policy: Policy): boolean {
  return (
    policy.outbound === 'private' ||
    policy.rules.some((r) => r.group === 'private' && r.match.kind !== 'prefix')
  );
}

/** Whether the group has us begin a negotiation. */
export function asksForKeys(group: Group): boolean {
  return group === 'private-or-clear' || group === 'private';
}

/** Whether the group lets a peer begin one. */
export function admitsPeer(group: Group): boolean {
  return group !== 'clear' && group !== 'block';
}

/** Whether nothing may pass unprotected. */
export function insists(group: Group): boolean {
  return group === 'private' || group === 'block';
}

/** Whether a peer may begin. */
export function admits({ group, role }: Decision): boolean {
  return admitsPeer(group) && role !== 'client';
}

/** Whether we begin. */
export function begins({ group, role }: Decision): boolean {
  return asksForKeys(group) && role !== 'server';
}

/** The rules by prefix, which the kernel can hold before any name is looked up. */
export function prefixRules(policy: Policy): { readonly prefix: Prefix; readonly rule: Rule }[] {
  return policy.rules.flatMap((rule) =>
    rule.match.kind === 'prefix' ? [{ prefix: rule.match.prefix, rule }] : [],
  );
}

const unruled = { rule: undefined, role: 'both', require: undefined } as const;

/** The rules by name and those by prefix, as far as no `*` stands before them. */
function specialRules({ rules }: Policy): readonly [readonly Rule[], readonly Rule[]] {
  const end = rules.findIndex((r) => r.match.kind === 'all');
  const special = end < 0 ? rules : rules.slice(0, end);
  return [special.filter((r) => r.match.kind !== 'prefix'), special.filter((r) => r.match.kind === 'prefix')];
}

function combined(policy: Policy, byName: Rule | undefined, byPrefix: Rule | undefined): Decision {
  if (!byName || !byPrefix) {
    const rule = byName ?? byPrefix ?? policy.rules.find((r) => r.match.kind === 'all');
    if (rule) return decisionOf(rule);
    return {
      ...unruled,
      group: policy.outbound,
      why: `no rule matches, the default is ${policy.outbound}`,
    };
  }
  const isStrict = insists(byName.group) || insists(byPrefix.group);
  const nameFirst = isStrict
    ? strictness[byName.group] >= strictness[byPrefix.group]
    : byName.place < byPrefix.place;
  const [rule, other] = nameFirst ? [byName, byPrefix] : [byPrefix, byName];
  const decision = decisionOf(rule);
  const require = stricterStance(rule.require, other.require);
  if (!isStrict || rule.group === other.group) return { ...decision, require };
  const why = `${decision.why}, which is stricter than rule ${other.place} (${other.text})`;
  return { ...decision, require, why };
}

function decisionOf(rule: Rule): Decision {
  const { group, role = 'both', require } = rule;
  return { group, rule, role, require, why: `rule ${rule.place} (${rule.text}) says ${group}` };
}

/** Of two, what the peer must bring more for. */
export function stricterStance(a: Stance | undefined, b: Stance | undefined): Stance | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return stances.indexOf(a) < stances.indexOf(b) ? b : a;
}

/** Every decision that there may be for addresses of `name`. */
function possible(policy: Policy, name: NameKey): Decision[] {
  const [names, prefixes] = specialRules(policy);
  const byName = names.find((r) => matches(r.match, name, undefined));
  return [undefined, ...prefixes].map((byPrefix) => combined(policy, byName, byPrefix));
}

/** Where the members of a private group are, as far as rules say so by prefix. */
export function prefixesOf(policy: Policy, auth: string): Prefix[] {
  return prefixRules(policy).flatMap(({ prefix, rule }) => (rule.auth === auth ? [prefix] : []));
}

function matches(match: Match, name: NameKey | undefined, address: IpAddress | undefined): boolean {
  switch (match.kind) {
    case 'all':
      return true;
    case 'name':
      return name === match.name;
    case 'below':
      return name !== undefined && name !== match.name && isBelow(name, match.name);
    case 'prefix':
      return address !== undefined && prefixContains(match.prefix, address);
    default:
      return match satisfies never;
  }
}
