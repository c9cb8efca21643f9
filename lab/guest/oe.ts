/** `oe` on a host of the lab, started and asked as an administrator does. */
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import type { Status } from '../../src/oe/status.ts';
import type { Why } from '../../src/oe/why.ts';
import type { OeKey } from './keys.ts';
import { resolver } from './names.ts';
import type { Node } from './node.ts';
import { until, type Daemon, type Ran } from './process.ts';
import { anchorFile } from './topology.ts';

const program = '/oe/bin/oe';
const file = '/etc/oe/oe.toml';

export interface OeOptions {
  /** Undefined: the host can only be met anonymously. */
  readonly key?: OeKey;
  /** Rules in order, `[match, group]`, and the private group where there is one. */
  readonly rules?: readonly (readonly [match: string, group: string, auth?: string])[];
  /** Rules as the configuration has them, after those of `rules`. */
  readonly policy?: string;
  /** Tables `[[ike.auth]]`; the files that they name are written by the scenario. */
  readonly auth?: string;
  /** More lines under `[ike]`. */
  readonly ike?: readonly string[];
  /** Lines under `[dns]`, in place of the lab's resolver and anchor. */
  readonly dns?: readonly string[];
}

/** Starts `oe up`, waits until it answers, and points the host's resolv.conf at it. */
export async function startOe(node: Node, logs: string, options: OeOptions = {}): Promise<Oe> {
  if (options.key) node.write('/etc/oe/host-key.pem', options.key.pem, 0o600);
  writeConfig(node, logs, options);
  const daemon = node.start(command('up', '--config', file), 'oe');
  const up = await until(
    async () => {
      if (daemon.code !== undefined) return 'ended';
      const ran = await node.run([
        'curl',
        // While it starts it answers 503.
        '-sf',
        '-m',
        '2',
        '--unix-socket',
        '/run/oe/oe.sock',
        'http://oe/v1/status',
      ]);
      return ran.code === 0 ? 'answers' : undefined;
    },
    60_000,
    100,
  );
  if (up !== 'answers') {
    const last = readFileSync(daemon.log, 'utf8').trim().split('\n').slice(-4).join('\n');
    throw new Error(
      `oe up on ${node.name} ${up === 'ended' ? `ended with ${daemon.code}` : 'does not answer'}: ${last}`,
    );
  }
  node.write('/etc/resolv.conf', 'nameserver 127.0.0.1\n');
  return new Oe(node, daemon);
}

/** Writes the configuration that {@link startOe} starts with, and `oe reload` reads. */
export function writeConfig(node: Node, logs: string, options: OeOptions): void {
  node.write(
    file,
    `[dns]\n${(options.dns ?? [`upstreams = ["${resolver}"]`, `trust-anchor-file = "${anchorFile}"`]).join('\n')}\n` +
      `[ike]\nkey-log = "${join(logs, `${node.name}-ike-keys`)}"\n${(options.ike ?? []).map((line) => `${line}\n`).join('')}${options.auth ?? ''}[log]\nlevel = "debug"\n[policy]\n` +
      (options.rules ?? [])
        .map(([match, group, auth]) => {
          const rule = `[[policy.rule]]\nmatch = "${match}"\ngroup = "${group}"\n`;
          return auth === undefined ? rule : `${rule}auth = "${auth}"\n`;
        })
        .join('') +
      (options.policy ?? ''),
  );
}

export class Oe {
  readonly node: Node;
  readonly daemon: Daemon;

  constructor(node: Node, daemon: Daemon) {
    this.node = node;
    this.daemon = daemon;
  }

  /** Any command of `oe`, e.g. `status`. */
  run(...args: readonly string[]): Promise<Ran> {
    return this.node.run(command(...args, '--config', file), 30_000);
  }

  async status(): Promise<Status> {
    return (await this.#json('status')) as Status;
  }

  async why(name: string): Promise<Why> {
    return (await this.#json('why', name)) as Why;
  }

  async #json(...args: readonly string[]): Promise<unknown> {
    const ran = await this.run(...args, '--json');
    if (ran.code !== 0) throw new Error(`oe ${args.join(' ')} ended with ${ran.code}: ${ran.stderr.trim()}`);
    return JSON.parse(ran.stdout);
  }
}

/** Compiled code is kept between the many short runs: processes start slowly in this kernel. */
function command(...args: readonly string[]): string[] {
  return ['env', 'NODE_COMPILE_CACHE=/lab/compile-cache', program, ...args];
}
