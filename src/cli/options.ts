import { defaultPaths, socketPath, type Paths } from '../oe/config.ts';
import { existsSync } from 'node:fs';

/** The directories that the configuration names; the parser is only loaded where there is a file. */
export async function pathsFor(config: string | undefined): Promise<Paths> {
  if (config === undefined && !existsSync('/etc/oe/oe.toml')) return defaultPaths;
  const { loadConfig } = await import('../oe/io/config-file.ts');
  return loadConfig(config).config.paths;
}

export async function socketFor(config: string | undefined): Promise<string> {
  return socketPath(await pathsFor(config));
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
