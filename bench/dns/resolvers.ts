import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inside } from './zones.ts';

/** One program that is measured. */
export interface Measured {
  readonly name: string;
  readonly port: number;
  /** What starts it in the foreground, its configuration being written; `upstream` is a port of 127.0.0.1. */
  readonly command: (upstream: number) => readonly string[];
}

/** The programs, all with one thread, room for everything, and validation; each forwards. */
export function measured(root: string, work: string, checkout: string): readonly Measured[] {
  const conf = (file: string, lines: readonly string[]): string => {
    writeFileSync(join(work, file), `${lines.join('\n')}\n`);
    return `${inside}/${file}`;
  };
  const oe = (
    name: string,
    port: number,
    more: { readonly dns?: string; readonly policy?: string },
  ): Measured => ({
    name,
    port,
    command: (upstream) => {
      conf(`${port}.toml`, [
        '[dns]',
        `listen = ["127.0.0.1:${port}"]`,
        `upstreams = ["127.0.0.1:${upstream}"]`,
        `trust-anchor-file = "${join(work, 'root.key')}"`,
        'hosts-file = ""',
        more.dns ?? '',
        '[log]',
        'level = "error"',
        '[paths]',
        ...['config', 'state', 'run'].map((d) => `${d}-directory = "${join(work, `oe-${port}`, d)}"`),
        '[policy]',
        more.policy ?? '',
      ]);
      // What it would remember of the run before.
      rmSync(join(work, `oe-${port}`), { recursive: true, force: true });
      return [join(checkout, 'bin/oe'), 'up', '--config', join(work, `${port}.toml`)];
    },
  });
  const inRoot = (...command: readonly string[]): string[] => ['chroot', root, ...command];
  return [
    oe('oe', 5301, {}),
    oe('oe, plain front', 5302, { dns: 'front = "plain"' }),
    oe('oe, gate open', 5303, { policy: 'default = "clear"' }),
    {
      name: 'unbound',
      port: 5311,
      command: (upstream) =>
        inRoot(
          'unbound',
          '-d',
          '-c',
          conf('unbound.conf', [
            'server:',
            '  interface: 127.0.0.1\n  port: 5311\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  directory: "/tmp"\n  pidfile: ""',
            '  use-syslog: no\n  num-threads: 1\n  do-not-query-localhost: no\n  msg-cache-size: 64m\n  rrset-cache-size: 128m',
            `  trust-anchor-file: "${inside}/root.key"`,
            'remote-control:\n  control-enable: no',
            `forward-zone:\n  name: "."\n  forward-addr: 127.0.0.1@${upstream}`,
          ]),
        ),
    },
    {
      name: 'knot-resolver',
      port: 5312,
      command: (upstream) =>
        inRoot(
          'sh',
          '-c',
          'rm -rf /tmp/kresd; mkdir -p /tmp/kresd; exec kresd -n -c "$0" /tmp/kresd',
          conf('kresd.conf', [
            "net.listen('127.0.0.1', 5312)",
            "for _, m in ipairs({'ta_update', 'ta_signal_query', 'ta_sentinel', 'priming', 'detect_time_skew', 'detect_time_jump'}) do pcall(modules.unload, m) end",
            `trust_anchors.remove('.')`,
            `trust_anchors.add_file('${inside}/root.key', true)`,
            'cache.size = 200 * MB',
            `policy.add(policy.all(policy.FORWARD('127.0.0.1@${upstream}')))`,
          ]),
        ),
    },
    {
      name: 'dnsmasq',
      port: 5313,
      command: (upstream) => {
        const [, , , tag, algorithm, digestType, ...digest] = readFileSync(join(work, 'root.ds'), 'utf8')
          .trim()
          .split(/\s+/);
        return inRoot(
          ...['dnsmasq', '-k', '-C', '/dev/null', '--user=root', '--no-resolv', '--no-hosts', '--pid-file'],
          ...[
            '--port=5313',
            '--listen-address=127.0.0.1',
            '--bind-interfaces',
            `--server=127.0.0.1#${upstream}`,
          ],
          ...['--cache-size=20000', '--dns-forward-max=1000', '--dnssec', '--dnssec-check-unsigned'],
          `--trust-anchor=.,${tag},${algorithm},${digestType},${digest.join('')}`,
        );
      },
    },
  ];
}
