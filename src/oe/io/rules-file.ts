import * as v from 'valibot';
import type { ConfigProblem } from '../config.ts';
import { parseException } from '../exception.ts';
import { groups, parseMatch, roles, stances, type Policy, type Rule } from '../policy.ts';
import type { RuleFinding } from '../policy-check.ts';

/** One of the five words. */
export const GroupWord = v.picklist(groups);

/** A table `[[policy.rule]]`. */
export const RuleTable = v.object({
  match: v.pipe(
    v.string(),
    v.check((t) => parseMatch(t) !== undefined),
  ),
  group: GroupWord,
  auth: v.optional(v.string()),
  role: v.optional(v.picklist(roles)),
  require: v.optional(v.picklist(stances)),
  except: v.optional(
    v.array(
      v.pipe(
        v.string(),
        v.check((t) => parseException(t) !== undefined),
      ),
    ),
  ),
});

/** What is wanted of each key and an example, as `config-file.ts` has it of all. */
export const ruleHints: Readonly<Record<string, readonly [want: string, example: string]>> = {
  'policy.default': [`one of ${groups.join(', ')}`, 'default = "private-or-clear"'],
  'policy.inbound': [`one of ${groups.join(', ')}`, 'inbound = "clear-or-private"'],
  'policy.rule': [
    'tables with match and group',
    '[[policy.rule]] with match = "*.example.org" and group = "private"',
  ],
  'policy.rule.match': [
    'a name, *.name, an address or a prefix',
    'match = "*.example.org" or match = "192.0.2.0/24"',
  ],
  'policy.rule.group': [`one of ${groups.join(', ')}`, 'group = "private"'],
  'policy.rule.auth': ['the name of a table [[ike.auth]]', 'auth = "fleet"'],
  'policy.rule.role': [`one of ${roles.join(', ')}`, 'role = "server"'],
  'policy.rule.require': [`one of ${stances.join(', ')}`, 'require = "authenticated"'],
  'policy.rule.except': ['a list of protocols and ports', 'except = ["tcp/22", "icmp"]'],
};

/** The rules of the tables, in their order; `lineOf` says where a table begins. */
export function rulesOf(
  tables: readonly v.InferOutput<typeof RuleTable>[],
  lineOf: (index: number) => number | undefined,
): Rule[] {
  return tables.flatMap((table, i): Rule[] => {
    const match = parseMatch(table.match);
    const { group, auth, role, require, except } = table;
    const line = lineOf(i);
    if (!match) return [];
    return [
      {
        match,
        group,
        text: table.match,
        place: i + 1,
        ...(auth !== undefined && { auth }),
        ...(role !== undefined && { role }),
        ...(require !== undefined && { require }),
        ...(except !== undefined && { except: except.flatMap((t) => parseException(t) ?? []) }),
        ...(line !== undefined && { line }),
      },
    ];
  });
}

/** A finding as a problem of the file; `lineOf` finds the line of a key of a table. */
export function ruleProblem(
  { rule, key, problem, remedy }: RuleFinding,
  lineOf: (index: number, key: string) => number | undefined = () => rule.line,
): ConfigProblem {
  return {
    line: lineOf(rule.place - 1, key),
    problem: `policy.rule[${rule.place}] (${rule.text}) ${problem}`,
    remedy,
  };
}

/** Whether two lists of rules say the same, wherever they stand in their files. */
export function samePolicyText(a: Policy, b: Policy): boolean {
  const bare = ({ rules, ...rest }: Policy): string =>
    JSON.stringify([rest, rules.map(({ line: _, match: __, ...rule }) => rule)]);
  return bare(a) === bare(b);
}
