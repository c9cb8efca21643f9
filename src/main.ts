import { runCli } from './cli/program.ts';
import { version } from './version.ts';

process.exitCode = await runCli(process.argv.slice(2), version);
