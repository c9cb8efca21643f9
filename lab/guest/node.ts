/** One host of the lab: a network namespace and a mount namespace with files of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Daemon, must, run, type Ran } from './process.ts';

/** What each host has for itself; everything else is shared with the others. */
const ownDirectories = ['/run', '/tmp', '/var/lib', '/var/cache', '/etc/oe', '/etc/lab', '/etc/ipsec.d'];
const ownFiles = ['/etc/resolv.conf', '/etc/hosts', '/etc/ipsec.conf', '/etc/ipsec.secrets'];

export class Node {
  readonly name: string;
  readonly #logs: string;
  readonly #daemons: Daemon[] = [];

  private constructor(name: string, logs: string) {
    this.name = name;
    this.#logs = logs;
  }

  /** `addresses` in `ip -batch` lines come later; here are only the namespaces. */
  static async make(name: string, logs: string): Promise<Node> {
    const node = new Node(name, logs);
    for (const directory of ownDirectories) mkdirSync(node.path(directory), { recursive: true });
    for (const file of ownFiles) node.write(file, '');
    const binds = [...ownDirectories, ...ownFiles].map((p) => `mount --bind ${node.path(p)} ${p}`);
    // Last of all /run: it covers the place that the others come from.
    binds.push(binds.shift() ?? '');
    writeFileSync(`/run/lab/mnt/${name}`, '');
    const script = [
      'set -e',
      `ip netns add ${name}`,
      `unshare --mount=/run/lab/mnt/${name} --propagation private sh -ec ' mkdir -p /etc/oe /etc/lab; ${binds.join('; ')}'`,
      `ip -n ${name} link set lo up`,
    ];
    await must(['sh', '-c', script.join('\n')]);
    return node;
  }

  /** Where a file of this host lies, seen from outside. */
  path(inside: string): string {
    return join('/run/lab/node', this.name, inside);
  }

  write(inside: string, text: string, mode = 0o644): void {
    mkdirSync(dirname(this.path(inside)), { recursive: true });
    writeFileSync(this.path(inside), text, { mode });
  }

  command(command: readonly string[]): string[] {
    return [
      'nsenter',
      `--net=/run/netns/${this.name}`,
      `--mount=/run/lab/mnt/${this.name}`,
      '--',
      ...command,
    ];
  }

  run(command: readonly string[], timeoutMs?: number, input?: string): Promise<Ran> {
    return run(this.command(command), timeoutMs, input);
  }

  must(command: readonly string[], timeoutMs?: number, input?: string): Promise<string> {
    return must(this.command(command), timeoutMs, input);
  }

  /** Lines of `ip -batch`. */
  async ip(lines: readonly string[]): Promise<void> {
    await must(['ip', '-n', this.name, '-batch', '-'], undefined, `${lines.join('\n')}\n`);
  }

  start(command: readonly string[], log: string): Daemon {
    const daemon = new Daemon(this.command(command), join(this.#logs, `${this.name}-${log}.log`));
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Ends whatever runs in the host's network namespace, and takes it away. */
  async remove(): Promise<void> {
    await run([
      'sh',
      '-c',
      // Twice: what was just being started may have escaped the first list.
      `for i in 1 2; do p=$(ip netns pids ${this.name}); [ -z "$p" ] || kill -9 $p; done; ` +
        `umount /run/lab/mnt/${this.name}; ip netns del ${this.name}; rm -rf /run/lab/node/${this.name} /run/lab/mnt/${this.name}`,
    ]);
    await Promise.all(this.#daemons.map((d) => d.stop('SIGKILL')));
  }
}
