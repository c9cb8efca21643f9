import { expect, test } from 'vitest';
import { formatAddress } from '../../src/net/address.ts';
import { readConfig } from '../../src/oe/io/config-file.ts';
import { ruleProblem } from '../../src/oe/io/rules-file.ts';
import { ruleRemarks } from '../../src/oe/policy-check.ts';
import { address } from './stage.ts';

test('a stricter rule that an earlier one makes void stops the start, with both named', () => {
  expect(problems(rule('10.0.0.0/8', 'clear'), rule('10.1.0.0/16', 'private'))).toEqual([
    [6, 'policy.rule[2] (10.1.0.0/16) never matches: rule 1 (10.0.0.0/8) takes all that it is about.'],
  ]);
  expect(problems(rule('*.example.org', 'clear'), rule('www.example.org', 'block'))).toHaveLength(1);
  expect(problems(rule('*.example.org', 'private'), rule('*.a.example.org', 'block'))).toHaveLength(1);
  expect(
    problems(rule('*', 'private'), rule('10.0.0.0/8', 'private', 'require = "post-quantum"')),
  ).toHaveLength(1);
});

test('a rule after * never matches, whatever it says', () => {
  expect(problems(rule('*', 'private'), rule('www.example.org', 'clear'))).toEqual([
    [6, 'policy.rule[2] (www.example.org) never matches: rule 1 (*) takes all that it is about.'],
  ]);
});

test('rules that do not cover each other are no fault', () => {
  expect(
    problems(
      rule('*.example.org', 'clear'),
      rule('example.org', 'private'),
      rule('10.1.0.0/16', 'clear'),
      rule('10.0.0.0/8', 'private'),
      rule('2001:db8::/32', 'private'),
      rule('*', 'block'),
    ),
  ).toEqual([]);
});

test('a role, a stance or an exception that can mean nothing is a fault at its own line', () => {
  const one = (...lines: readonly string[]): unknown => problems(lines.join('\n'))[0];
  expect(one(rule('a.example', 'clear', 'role = "client"'))).toEqual([
    4,
    'policy.rule[1] (a.example) says who may begin, and under clear nobody does.',
  ]);
  expect(one(rule('a.example', 'clear-or-private', 'role = "client"'))).toEqual([
    4,
    expect.stringContaining('lets nobody begin'),
  ]);
  expect(one(rule('a.example', 'block', 'require = "anonymous"'))).toEqual([
    4,
    expect.stringContaining('what a peer must bring'),
  ]);
  expect(one(rule('a.example', 'private', 'except = ["tcp/22"]'))).toEqual([
    4,
    expect.stringContaining('the kernel knows only addresses'),
  ]);
  expect(one(rule('10.0.0.0/8', 'clear', 'except = ["tcp/22"]'))).toEqual([
    4,
    expect.stringContaining('lets all of it pass'),
  ]);
  const nine = Array.from({ length: 9 }, (_, i) => `"tcp/${i + 1}"`).join(', ');
  expect(one(rule('10.0.0.0/8', 'private', `except = [${nine}]`))).toEqual([
    4,
    expect.stringContaining('9 exceptions, and there may be 8'),
  ]);
  expect(
    one(
      '[[ike.auth]]\nname = "g"\nmethod = "psk"\npsk-file = "/x"',
      rule('10.0.0.0/8', 'private', 'auth = "g"', 'require = "anonymous"'),
    ),
  ).toEqual([9, expect.stringContaining('takes anonymous peers')]);
});

test('what is no protocol, port, role or stance is told with an example', () => {
  for (const [line, example] of [
    ['except = ["tcp/0"]', 'except = ["tcp/22", "icmp"]'],
    ['except = ["icmp/8"]', 'except = ["tcp/22", "icmp"]'],
    ['except = ["ssh"]', 'except = ["tcp/22", "icmp"]'],
    ['except = ["300"]', 'except = ["tcp/22", "icmp"]'],
    ['role = "peer"', 'role = "server"'],
    ['require = "quantum"', 'require = "authenticated"'],
  ] as const) {
    const read = readConfig(rule('10.0.0.0/8', 'private', line));
    expect(read.ok ? line : read.problems.map((p) => [p.line, p.remedy])).toEqual([
      [4, `Write for example: ${example}.`],
    ]);
  }
});

test('a superfluous rule and a resolver in a private prefix are worth a remark, and no fault', () => {
  const read = readConfig(
    [
      rule('10.0.0.0/8', 'private', 'except = ["udp/53", "47"]'),
      rule('10.1.0.0/16', 'clear'),
      rule('a.example', 'private-or-clear', 'role = "server"'),
    ].join('\n'),
  );
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const [first] = read.config.policy.rules;
  expect(first?.except?.map((e) => [e.protocol, e.port])).toEqual([
    [17, 53],
    [47, undefined],
  ]);
  const resolvers = [address('10.9.9.9'), address('198.18.0.53')];
  const remarks = ruleRemarks(read.config.policy, resolvers).map((r) => ruleProblem(r));
  expect(remarks.map((r) => [r.line, r.problem])).toEqual([
    [
      1,
      `policy.rule[1] (10.0.0.0/8) holds ${formatAddress(address('10.9.9.9'))}, a resolver that oe asks: it stays in reach without protection.`,
    ],
    [5, 'policy.rule[2] (10.1.0.0/16) never matches: rule 1 (10.0.0.0/8) takes all that it is about.'],
    [8, 'policy.rule[3] (a.example) never has this host begin: that is clear-or-private.'],
  ]);
});

function rule(match: string, group: string, ...more: readonly string[]): string {
  return ['[[policy.rule]]', `match = "${match}"`, `group = "${group}"`, ...more].join('\n');
}

/** Line and problem of each. A blank line stands between the rules. */
function problems(...rules: readonly string[]): unknown[] {
  const read = readConfig(rules.join('\n\n'));
  return read.ok ? [] : read.problems.map((p) => [p.line, p.problem]);
}
