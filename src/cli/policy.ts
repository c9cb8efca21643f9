import { nameOf } from '../dns/name.ts';
import { Exit, OeError } from '../errors.ts';
import { parseAddress } from '../net/address.ts';
import { describeProblems, socketPath } from '../oe/config.ts';
import { loadConfig } from '../oe/io/config-file.ts';
import { ruleProblem } from '../oe/io/rules-file.ts';
import { ruleRemarks } from '../oe/policy-check.ts';
import { policyShown, policyTested, type PolicyShown, type PolicyTested } from '../oe/policy-words.ts';
import { printable } from '../oe/text.ts';
import { askAgent } from './client.ts';
import { printJson } from './options.ts';
import { columns, lookOf, paint, wrapped, type Look } from './terminal.ts';

interface Options {
  readonly config?: string;
  readonly json?: boolean;
}

/** The rules of the agent that runs, else those of the configuration. */
export async function policyShow(options: Options): Promise<number> {
  const { config, file } = loadConfig(options.config);
  const shown =
    ((await askedIfRunning(socketPath(config.paths), '/v1/policy')) as PolicyShown | undefined) ??
    policyShown(config.policy, {
      running: false,
      file: file ?? null,
      remarks: ruleRemarks(
        config.policy,
        (config.dns.upstreams ?? []).map((server) => server.endpoint.address),
      ).map((remark) => describeProblems(file ?? '', [ruleProblem(remark)])),
    });
  if (options.json === true) printJson(shown);
  else process.stdout.write(renderPolicy(shown, lookOf(process.stdout, process.env)));
  return Exit.ok;
}

/** How the rules judge a name or an address. */
export async function policyTest(subject: string, options: Options): Promise<number> {
  const address = parseAddress(subject);
  const name = subject === '' ? undefined : nameOf(subject);
  const tested = address ? { address } : name === undefined ? undefined : { name };
  if (!tested) {
    throw new OeError(
      'name-invalid',
      `${printable(subject.slice(0, 80))} is neither a host name nor an address.`,
      'Write for example `oe policy test www.example.org`.',
      Exit.usage,
    );
  }
  const { config } = loadConfig(options.config);
  const path = `/v1/policy/test?${new URLSearchParams({ subject }).toString()}`;
  const answer =
    ((await askedIfRunning(socketPath(config.paths), path)) as PolicyTested | undefined) ??
    policyTested(config.policy, tested);
  if (options.json === true) printJson(answer);
  else process.stdout.write(renderTested(answer, lookOf(process.stdout, process.env)));
  return exitOf(answer);
}

/** 0: this host would encrypt; 1: traffic would go in the clear; 77: nothing may pass. */
export function exitOf({ group }: PolicyTested): number {
  if (group === 'block') return Exit.noPermission;
  return group === 'private' || group === 'private-or-clear' ? Exit.ok : Exit.no;
}

export function renderPolicy(shown: PolicyShown, look: Look): string {
  const { running, file, rules } = shown;
  const from = file === null ? 'the defaults, as there is no configuration file' : printable(file);
  const lines = [
    paint(
      look,
      'bold',
      running ? `The rules that run, from ${from}.` : `oe is not running; these are from ${from}.`,
    ),
    '',
    ...columns(
      rules.map((r) => [
        `  ${r.place}`,
        printable(r.match),
        r.group,
        `${printable(r.sentence)}${r.line === null ? '' : paint(look, 'dim', ` (line ${r.line})`)}`,
      ]),
    ),
    ...(rules.length > 0 ? [''] : []),
    `Where no rule matches, ${shown.default} holds, and for a peer that begins ${shown.inbound}.`,
    ...shown.remarks.map((r) => paint(look, 'yellow', wrapped(look, printable(r), 0))),
  ];
  return `${lines.join('\n')}\n`;
}

export function renderTested(answer: PolicyTested, look: Look): string {
  const { rule, addresses, inbound } = answer;
  const where = rule?.line === undefined || rule.line === null ? '' : ` (line ${rule.line})`;
  const lines = [
    `${paint(look, 'bold', printable(answer.subject))}: ${answer.group}`,
    `  ${wrapped(look, printable(answer.sentence), 2)}`,
    `  Because ${wrapped(look, printable(answer.why), 2)}${where}.`,
    ...(inbound === null
      ? []
      : [`  Where it begins: ${inbound.group}, because ${wrapped(look, printable(inbound.why), 2)}.`]),
    ...columns(addresses.map((a) => [`  ${a.address}`, a.state, a.group, printable(a.why)])),
    ...(answer.running ? [] : ['  oe is not running; this is what the configuration says.']),
  ];
  return `${lines.join('\n')}\n`;
}

/** Undefined where no agent runs; what else goes wrong is told. */
async function askedIfRunning(socket: string, path: string): Promise<unknown> {
  try {
    return await askAgent(socket, path);
  } catch (error) {
    if (error instanceof OeError && (error.code === 'not-running' || error.code === 'not-allowed'))
      return undefined;
    throw error;
  }
}
