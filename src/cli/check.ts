import { Exit, OeError } from '../errors.ts';
import { defaultConfigFile, loadConfig } from '../oe/io/config-file.ts';
import { loadGroups } from '../oe/io/private-groups.ts';
import { ruleProblem } from '../oe/io/rules-file.ts';
import { describeProblems } from '../oe/config.ts';
import { ruleRemarks } from '../oe/policy-check.ts';
import { counted } from '../oe/text.ts';
import { printJson } from './options.ts';

export function check(options: { readonly config?: string; readonly json?: boolean }): number {
  try {
    const { config, file } = loadConfig(options.config);
    loadGroups(config, file ?? defaultConfigFile);
    const rules = config.policy.rules.length;
    const sentence =
      file === undefined
        ? 'There is no configuration file; the defaults apply.'
        : `${file} is right: ${counted(rules, 'rule')}, the default is ${config.policy.outbound}.`;
    const resolvers = (config.dns.upstreams ?? []).map((server) => server.endpoint.address);
    const remarks = ruleRemarks(config.policy, resolvers).map((remark) =>
      describeProblems(file ?? '', [ruleProblem(remark)]),
    );
    if (options.json === true) printJson({ version: 1, ok: true, file: file ?? null, sentence, remarks });
    else process.stdout.write(`${[sentence, ...remarks].join('\n')}\n`);
    return Exit.ok;
  } catch (error) {
    if (options.json !== true || !(error instanceof OeError)) throw error;
    const { code, message, remedy, exitCode } = error;
    printJson({ version: 1, ok: false, error: { code, message, remedy } });
    return exitCode;
  }
}
