import { Command, CommanderError, Option } from 'commander';
import { Exit, OeError, messageOf } from '../errors.ts';
import { printable } from '../oe/text.ts';

interface CommonOptions {
  readonly config?: string;
  readonly json?: boolean;
}

/** Runs `oe` with the arguments after the program's name; the number is the exit code. */
export async function runCli(argv: readonly string[], version: string): Promise<number> {
  let code: number = Exit.ok;
  const program = programWith(version, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, argv.includes('--json'));
  }
}

/** The commands; each loads what it needs only when it runs, so that `oe status` starts fast. */
function programWith(version: string, setExit: (code: number) => void): Command {
  const program = new Command('oe')
    .description('Encrypts the traffic to hosts that publish a key in signed DNS, and says why or why not.')
    .version(version, '-V, --version')
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('`oe --help` lists the commands and their options.')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      examples(
        ['sudo oe up', 'run in the foreground, with the defaults'],
        ['oe status', 'who is encrypted, who is not'],
        ['oe why example.org', 'everything that was asked, proved and negotiated'],
        ['oe dig example.org AAAA', 'an answer, and the chain of trust behind it'],
        ['oe doctor', 'what on this machine stands in the way'],
      ),
    );

  common(program.command('up'))
    .description('Run the agent in the foreground until SIGTERM or SIGINT.')
    .addHelpText(
      'after',
      `\nWithout a configuration file it listens on 127.0.0.1:53 and [::1]:53, asks the resolvers that\n/etc/resolv.conf names, and tries to encrypt to every host that publishes a key.\n${examples(
        ['sudo oe up', ''],
        ['sudo oe up --config ./oe.toml', ''],
      )}`,
    )
    .action(async (options: CommonOptions) => {
      const { up } = await import('./up.ts');
      setExit(await up(options));
    });

  jsonOption(common(program.command('status')))
    .description('Show the peers, worst first, and the health of the agent.')
    .addHelpText('after', examples(['oe status', ''], ['oe status --json | jq .summary', '']))
    .action(async (options: CommonOptions) => {
      const { status } = await import('./status.ts');
      setExit(await status(options));
    });

  jsonOption(common(program.command('why')))
    .description('Explain what happened, or would happen, to a name or an address.')
    .argument('<name>', 'a host name, or the address of a peer')
    .option('--fresh', 'look the name up now, whatever happened before')
    .addHelpText('after', examples(['oe why oe.libreswan.org', ''], ['oe why 198.18.2.10 --json', '']))
    .action(async (name: string, options: CommonOptions & { fresh?: boolean }) => {
      const { why } = await import('./why.ts');
      setExit(await why(name, options));
    });

  jsonOption(common(program.command('dig')))
    .description('Ask as a program would, and show the answer and the chain of trust behind it.')
    .argument('<name>', 'a name, or an address for its reverse name')
    .argument('[type]', 'a record type (default: A, of an address PTR)')
    .option('--cd', 'show also what fails validation (CD, checking disabled)')
    .addHelpText(
      'after',
      `\nThe exit code is 0 where there are records, 1 where there are none, and 75 where there is no answer or it is\nheld back by a rule.\n${examples(
        ['oe dig example.org', ''],
        ['oe dig example.org AAAA --json', ''],
        ['oe dig 192.0.2.1', 'the name of an address'],
        ['oe dig dnssec-failed.org --cd', 'what a resolver without validation would believe'],
      )}`,
    )
    .action(async (name: string, type: string | undefined, options: CommonOptions & { cd?: boolean }) => {
      const { dig } = await import('./dig.ts');
      setExit(await dig(name, type, options));
    });

  const key = program
    .command('key')
    .description('The key with which this host proves itself to peers.')
    .addHelpText('after', examples(['sudo oe key new', ''], ['oe key show', '']));
  common(key.command('new'))
    .description('Make the host key; it is never replaced unless you say so.')
    .addOption(
      new Option('--type <type>', 'ed25519 is the shortest, rsa is what libreswan as a client can check')
        .choices(['ed25519', 'ecdsa', 'rsa'])
        .default('ecdsa'),
    )
    .option('--replace', 'put a new key in place of the one that is there')
    .addHelpText('after', examples(['sudo oe key new', ''], ['sudo oe key new --type rsa', '']))
    .action(async (options: CommonOptions & { type: 'ed25519' | 'ecdsa' | 'rsa'; replace?: boolean }) => {
      const { keyNew } = await import('./key.ts');
      setExit(await keyNew(options));
    });
  jsonOption(common(key.command('show')))
    .description('Print the IPSECKEY records to publish, forward and reverse.')
    .option('--name <name>', 'the name to publish under (default: this host’s)')
    .option('--address <address...>', 'the addresses for the reverse records (default: this host’s)')
    .addHelpText(
      'after',
      examples(['oe key show', ''], ['oe key show --name www.example.org --address 192.0.2.1', '']),
    )
    .action(async (options: CommonOptions & { name?: string; address?: string[] }) => {
      const { keyShow } = await import('./key.ts');
      setExit(await keyShow(options));
    });

  jsonOption(common(program.command('flush')))
    .description(
      'Forget what is known of a name, so that it is asked for anew; negative answers, keys and failures too.',
    )
    .argument('[name]', 'the name')
    .option('--type <type>', 'of this record type only')
    .option('--tree', 'all names below it as well')
    .option('--all', 'everything')
    .addHelpText(
      'after',
      examples(
        ['oe flush example.org --tree', ''],
        ['oe flush www.example.org --type AAAA', ''],
        ['oe flush --all', ''],
      ),
    )
    .action(
      async (
        name: string | undefined,
        options: CommonOptions & { type?: string; tree?: boolean; all?: boolean },
      ) => {
        const { flush } = await import('./flush.ts');
        setExit(await flush(name, options));
      },
    );

  const policy = program
    .command('policy')
    .description('The rules by which traffic is encrypted, clear or blocked.')
    .addHelpText('after', examples(['oe policy show', ''], ['oe policy test example.org', '']));
  jsonOption(common(policy.command('show')))
    .description('Print the rules in their order, in words; those that run, else those of the configuration.')
    .addHelpText('after', examples(['oe policy show', ''], ['oe policy show --config ./oe.toml --json', '']))
    .action(async (options: CommonOptions) => {
      const { policyShow } = await import('./policy.ts');
      setExit(await policyShow(options));
    });
  jsonOption(common(policy.command('test')))
    .description('Say which rule decides about a name or an address, why, and what would happen now.')
    .argument('<subject>', 'a host name or an address')
    .addHelpText(
      'after',
      `\nNothing is looked up. The exit code is 0 where this host would encrypt, 1 where traffic would go in the clear,\nand 77 where nothing may pass.\n${examples(
        ['oe policy test www.example.org', ''],
        ['oe policy test 192.0.2.7 --json', ''],
        ['oe policy test 192.0.2.7 --config ./new.toml', 'where no oe runs by it: what that file says'],
      )}`,
    )
    .action(async (subject: string, options: CommonOptions) => {
      const { policyTest } = await import('./policy.ts');
      setExit(await policyTest(subject, options));
    });

  jsonOption(common(program.command('reload')))
    .description('Have the running agent read its configuration again; a mistake in it changes nothing.')
    .addHelpText('after', examples(['sudo oe reload', ''], ['oe check && sudo oe reload', '']))
    .action(async (options: CommonOptions) => {
      const { reload } = await import('./reload.ts');
      setExit(await reload(options));
    });

  jsonOption(common(program.command('doctor')))
    .description('Look for what stands in the way on this machine, with a remedy for each.')
    .addHelpText('after', examples(['sudo oe doctor', ''], ['oe doctor --json', '']))
    .action(async (options: CommonOptions) => {
      const { doctor } = await import('./doctor.ts');
      setExit(await doctor(options));
    });

  jsonOption(common(program.command('check')))
    .description('Check the configuration without starting anything; exit code 78 where it is wrong.')
    .addHelpText('after', examples(['oe check', ''], ['oe check --config ./oe.toml', '']))
    .action(async (options: CommonOptions) => {
      const { check } = await import('./check.ts');
      setExit(await check(options));
    });

  return program;
}

function common(command: Command): Command {
  return command.option(
    '-c, --config <file>',
    'configuration file (default: /etc/oe/oe.toml, where it exists)',
  );
}

function jsonOption(command: Command): Command {
  return command.option('--json', 'print JSON with a version, for scripts');
}

function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length));
  const text = lines.map(([command, what]) => `  ${command.padEnd(width)}  ${what}`.trimEnd());
  return `\nExamples:\n${text.join('\n')}\n`;
}

/** Tells an error to the person, or to the script that asked for JSON. */
function explain(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.ok : Exit.usage;
  const known =
    error instanceof OeError
      ? error
      : new OeError(
          'internal',
          `This is a fault in oe: ${error instanceof Error ? (error.stack ?? error.message) : messageOf(error)}`,
          'Please report it, with the lines above.',
          Exit.software,
          error,
        );
  if (json) {
    const { code, message, remedy } = known;
    process.stdout.write(`${JSON.stringify({ version: 1, error: { code, message, remedy } })}\n`);
  } else {
    process.stderr.write(`oe: ${printableLines(known.message)}\n    ${printableLines(known.remedy)}\n`);
  }
  return known.exitCode;
}

/** Names of programs and of files are others' to choose, and get into sentences. */
function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
