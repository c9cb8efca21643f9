import { Exit } from '../errors.ts';
import { formatServer } from '../dns/server-text.ts';
import { formatEndpoint } from '../net/address.ts';
import { defaultConfigFile, loadConfig } from '../oe/io/config-file.ts';
import { openLog } from '../oe/io/log.ts';
import { loadGroups } from '../oe/io/private-groups.ts';
import { startAgent } from '../oe/io/start.ts';
import { version } from '../version.ts';

/** Runs the agent until SIGTERM or SIGINT. */
export async function up(options: { readonly config?: string }): Promise<number> {
  const { config, file } = loadConfig(options.config);
  const groups = loadGroups(config, file ?? defaultConfigFile);
  const log = openLog(config.log.level, process.stdout.isTTY);
  const asked = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const running = await startAgent(config, log, groups);
  for (const complaint of running.complaints)
    log({ level: 'error', event: 'agent.complaint', why: complaint });
  log({
    level: 'info',
    event: 'agent.ready',
    version,
    listening: running.listening.map(formatEndpoint).join(' '),
    upstreams: running.upstreams.map(formatServer).join(' '),
    hostKey: running.hostKey ?? 'none',
    config: file ?? 'defaults',
  });
  const signal = await asked;
  log({ level: 'info', event: 'agent.signal', signal });
  await running.stop();
  log({ level: 'info', event: 'agent.stopped' });
  return Exit.ok;
}
