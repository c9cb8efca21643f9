import { isBelow } from '../dns/name.ts';
import { formatAddress, type IpAddress } from '../net/address.ts';
import { prefixContains } from '../net/prefix.ts';
import { exceptionsPerRule } from './exception.ts';
import { insists, stances, type Match, type Policy, type Rule } from './policy.ts';

/** Something about a rule that its author will not have meant. */
export interface RuleFinding {
  readonly rule: Rule;
  /** The key of the rule that it is about. */
  readonly key: 'match' | 'group' | 'role' | 'require' | 'except' | 'auth';
  /** After `policy.rule[1]`: `never matches: …`. */
  readonly problem: string;
  readonly remedy: string;
}

/** What makes a list of rules void or contradictory: it is not run by. */
export function ruleFaults({ rules }: Policy): RuleFinding[] {
  return rules.flatMap((rule) => {
    const shadow = shadowOf(rule, rules);
    const found: (RuleFinding | undefined)[] = [
      shadow && (shadow.match.kind === 'all' || isStricter(rule, shadow))
        ? neverMatches(rule, shadow)
        : undefined,
      roleFault(rule),
      stanceFault(rule),
      exceptFault(rule),
    ];
    return found.flatMap((f) => f ?? []);
  });
}

/** What works and is worth a word. `resolvers`: whom this host asks. */
export function ruleRemarks({ rules }: Policy, resolvers: readonly IpAddress[]): RuleFinding[] {
  return rules.flatMap((rule): RuleFinding[] => {
    const shadow = shadowOf(rule, rules);
    const shadowed = shadow && shadow.match.kind !== 'all' && !isStricter(rule, shadow);
    const { match, group, role } = rule;
    const held =
      match.kind === 'prefix' && insists(group)
        ? resolvers.filter((r) => prefixContains(match.prefix, r))
        : [];
    return [
      ...(shadowed ? [neverMatches(rule, shadow)] : []),
      ...(group === 'private-or-clear' && role === 'server'
        ? [
            {
              rule,
              key: 'role' as const,
              problem: 'never has this host begin: that is clear-or-private.',
              remedy: 'Write group = "clear-or-private".',
            },
          ]
        : []),
      ...held.map((resolver) => ({
        rule,
        key: 'match' as const,
        problem: `holds ${formatAddress(resolver)}, a resolver that oe asks: it stays in reach without protection.`,
        remedy: 'Leave it so, or name another resolver under upstreams in [dns].',
      })),
    ];
  });
}

/** The earlier rule that matches all that `rule` matches. */
function shadowOf(rule: Rule, rules: readonly Rule[]): Rule | undefined {
  return rules.find((r) => r.place < rule.place && coversMatch(r.match, rule.match));
}

function coversMatch(wide: Match, narrow: Match): boolean {
  switch (wide.kind) {
    case 'all':
      return true;
    case 'name':
      return narrow.kind === 'name' && narrow.name === wide.name;
    case 'below':
      return (
        (narrow.kind === 'below' && isBelow(narrow.name, wide.name)) ||
        (narrow.kind === 'name' && narrow.name !== wide.name && isBelow(narrow.name, wide.name))
      );
    case 'prefix':
      return (
        narrow.kind === 'prefix' &&
        narrow.prefix.length >= wide.prefix.length &&
        prefixContains(wide.prefix, narrow.prefix.address)
      );
    default:
      return wide satisfies never;
  }
}

/** Whoever wrote the rule counts on more protection than the earlier one gives. */
function isStricter(rule: Rule, earlier: Rule): boolean {
  const stance = (r: Rule): number => (r.require === undefined ? -1 : stances.indexOf(r.require));
  if (rule.group === 'block') return earlier.group !== 'block';
  if (rule.group !== 'private') return false;
  return !insists(earlier.group) || (earlier.group === 'private' && stance(rule) > stance(earlier));
}

function neverMatches(rule: Rule, earlier: Rule): RuleFinding {
  return {
    rule,
    key: 'match',
    problem: `never matches: rule ${earlier.place} (${earlier.text}) takes all that it is about.`,
    remedy: `Put it before rule ${earlier.place}, or leave it out.`,
  };
}

function roleFault(rule: Rule): RuleFinding | undefined {
  const { group, role } = rule;
  if (role === undefined || role === 'both') return undefined;
  if (group === 'clear' || group === 'block') {
    const problem = `says who may begin, and under ${group} nobody does.`;
    return { rule, key: 'role', problem, remedy: 'Leave role out.' };
  }
  if (group === 'clear-or-private' && role === 'client') {
    const problem = 'lets nobody begin: under clear-or-private this host does not, and the peer may not.';
    return { rule, key: 'role', problem, remedy: 'Write group = "private-or-clear" or group = "clear".' };
  }
  return undefined;
}

function stanceFault(rule: Rule): RuleFinding | undefined {
  const { group, require, auth } = rule;
  if (require === undefined) return undefined;
  if (group === 'clear' || group === 'block') {
    const problem = `says what a peer must bring, and under ${group} there is none.`;
    return { rule, key: 'require', problem, remedy: 'Leave require out.' };
  }
  if (require === 'anonymous' && auth !== undefined) {
    const problem = `takes anonymous peers, and auth wants members of ${auth}.`;
    return { rule, key: 'require', problem, remedy: 'Leave one of the two out.' };
  }
  return undefined;
}

function exceptFault(rule: Rule): RuleFinding | undefined {
  const { except, match, group } = rule;
  if (except === undefined) return undefined;
  const fault = (problem: string, remedy: string): RuleFinding => ({ rule, key: 'except', problem, remedy });
  if (match.kind !== 'prefix') {
    return fault(
      'excepts traffic of a name, and the kernel knows only addresses.',
      'Write a rule with the addresses of the name, and except there.',
    );
  }
  if (group === 'clear')
    return fault('excepts traffic from a rule that lets all of it pass.', 'Leave except out.');
  if (except.length > exceptionsPerRule) {
    return fault(
      `has ${except.length} exceptions, and there may be ${exceptionsPerRule}.`,
      'Let a packet filter say the rest.',
    );
  }
  return undefined;
}
