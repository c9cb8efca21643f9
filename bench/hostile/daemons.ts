import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inside } from '../dns/zones.ts';
import { servers } from './attacks.ts';
import { resolverPort } from './ports.ts';

/** One resolver that is measured. */
export interface Measured {
  readonly name: string;
  readonly port: number;
  /** What starts it in the foreground, its configuration being written. */
  readonly command: (recurses: boolean) => readonly string[];
}

/** `anchor`: the DS of the root, as in a zone file; `date`: what their clocks say, seconds. */
export function daemons(
  root: string,
  work: string,
  checkout: string,
  anchor: string,
  date: number,
): readonly Measured[] {
  const write = (file: string, lines: readonly string[]): string => {
    writeFileSync(join(work, file), `${lines.join('\n')}\n`);
    return file;
  };
  write('root.ds', [`. IN DS ${anchor}`]);
  write('root.hints', ['. 3600000 NS ns.', `ns. 3600000 A ${servers.root}`]);
  const oe = (name: string, port: number, dns: string, policy: string): Measured => ({
    name,
    port,
    command: (recurses) => {
      const file = write(`${port}.toml`, [
        '[dns]',
        `listen = ["127.0.0.1:${port}"]`,
        ...(recurses
          ? ['mode = "recurse"', `root-hints = "${join(work, 'root.hints')}"`]
          : [`upstreams = ["127.0.0.1:${resolverPort}"]`]),
        `trust-anchor-file = "${join(work, 'root.ds')}"`,
        'trust-anchor-signaling = false\nroot-anchors-url = ""',
        `validation-date = ${new Date(1000 * date).toISOString()}`,
        'hosts-file = ""',
        dns,
        '[log]\nlevel = "error"',
        '[paths]',
        ...['config', 'state', 'run'].map((d) => `${d}-directory = "${join(work, `oe-${port}`, d)}"`),
        '[policy]',
        policy,
      ]);
      rmSync(join(work, `oe-${port}`), { recursive: true, force: true });
      return [join(checkout, 'bin/oe'), 'up', '--config', join(work, file)];
    },
  });
  return [
    oe('oe', 5301, '', ''),
    // One thread for everything, and nobody who asks for keys: what the resolver alone costs, and whom it keeps waiting.
    oe('resolver', 5302, 'front = "plain"', 'default = "clear"'),
    {
      name: 'unbound',
      port: 5311,
      command: (recurses) => {
        const file = write('unbound.conf', [
          'server:',
          '  interface: 127.0.0.1\n  port: 5311\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  directory: "/tmp"\n  pidfile: ""',
          '  use-syslog: no\n  num-threads: 1\n  do-not-query-localhost: no\n    ede: yes',
          `  trust-anchor-file: "${inside}/root.ds"\n  root-hints: "${inside}/root.hints"`,
          `  val-override-date: "${new Date(1000 * date).toISOString().replaceAll(/\D/g, '').slice(0, 14)}"`,
          'remote-control:\n  control-enable: no',
          ...(recurses ? [] : [`forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@${resolverPort}`]),
        ]);
        return ['chroot', root, 'unbound', '-d', '-c', `${inside}/${file}`];
      },
    },
  ];
}
