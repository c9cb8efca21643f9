import { isBelow, nameOf, type NameKey } from '../dns/name.ts';
import { parsePrefix, prefixContains, type Prefix } from '../net/prefix.ts';
import type { IpAddress } from '../net/address.ts';

/**
 * What may happen to traffic, in libreswan's group words:
 * `clear` never encrypts; `clear-or-private` encrypts when the peer begins; `private-or-clear` tries first and
 * falls back; `private` insists; `block` lets nothing pass.
 */
export const groups = ['clear', 'clear-or-private', 'private-or-clear', 'private', 'block'] as const;
export type Group = (typeof groups)[number];

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
  /** As the configuration says it: `*.example.org`, `192.0.2.0/24`. */
  readonly text: string;
  /** 1-based place in the list. */
  readonly place: number;
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

/** The first rule that matches the name or the address decides; what is undefined matches nothing. */
export function decide(policy: Policy, name: NameKey | undefined, address: IpAddress | undefined): Decision {
  const rule = policy.rules.find((r) => matches(r.match, name, address));
  if (rule) return { group: rule.group, rule, why: `rule ${rule.place} (${rule.text}) says ${rule.group}` };
  return {
    group: policy.outbound,
    rule: undefined,
    why: `no rule matches, the default is ${policy.outbound}`,
  };
}

/**
 * The same for an address of `names`, all of whose rules count: a host that gives another name's service is reached for
 * its sake. What protects more decides.
 */
export function decideFor(
  policy: Policy,
  names: readonly [NameKey, ...NameKey[]],
  address: IpAddress | undefined,
): Decision {
  const [first, ...others] = names.map((name) => decide(policy, name, address));
  return others.reduce((a, b) => (strictness[b.group] > strictness[a.group] ? b : a), first as Decision);
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
  if (rule) return { group: rule.group, rule, why: `rule ${rule.place} (${rule.text}) says ${rule.group}` };
  return {
    group: policy.inbound,
    rule: undefined,
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
  for (const rule of policy.rules) {
    if (rule.match.kind === 'prefix') {
      if (asksForKeys(rule.group)) return true;
    } else if (matches(rule.match, name, undefined)) {
      return asksForKeys(rule.group);
    }
  }
  return asksForKeys(policy.outbound);
}

/** Whether it can be that a key in DNS has to prove some address of `name`. */
export function mayNeedKeys(policy: Policy, name: NameKey): boolean {
  for (const rule of policy.rules) {
    const needs = asksForKeys(rule.group) && rule.auth === undefined;
    if (rule.match.kind === 'prefix') {
      if (needs) return true;
    } else if (matches(rule.match, name, undefined)) {
      return needs;
    }
  }
  return asksForKeys(policy.outbound);
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

/** The rules by prefix, which the kernel can hold before any name is looked up. */
export function prefixRules(policy: Policy): { readonly prefix: Prefix; readonly rule: Rule }[] {
  return policy.rules.flatMap((rule) =>
    rule.match.kind === 'prefix' ? [{ prefix: rule.match.prefix, rule }] : [],
  );
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
