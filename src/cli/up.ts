import { Exit, messageOf } from '../errors.ts';
import { formatServer } from '../dns/server-text.ts';
import { formatEndpoint } from '../net/address.ts';
import { defaultConfigFile, loadConfig } from '../oe/io/config-file.ts';
import { openLog } from '../oe/io/log.ts';
import { loadGroups } from '../oe/io/private-groups.ts';
import type { Loaded } from '../oe/io/reload.ts';
import { startAgent } from '../oe/io/start.ts';
import { version } from '../version.ts';

/** Runs the agent until SIGTERM or SIGINT; SIGHUP has it read its configuration again. */
export async function up(options: { readonly config?: string }): Promise<number> {
  const load = (): Loaded => {
    const { config, file } = loadConfig(options.config);
    return { config, file, groups: loadGroups(config, file ?? defaultConfigFile) };
  };
  const loaded = load();
  const { config, file } = loaded;
  const log = openLog(config.log.level, process.stdout.isTTY);
  const asked = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const running = await startAgent(loaded, log, load);
  process.on('SIGHUP', () => {
    running.reload().catch((error: unknown) => {
      log({ level: 'error', event: 'agent.reload.failed', why: messageOf(error) });
    });
  });
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
