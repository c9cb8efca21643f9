/** The lab's network: client, server, plain host and DNS, each on its own side of a middle that records everything. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  authorities,
  blackhole,
  client,
  manyAddresses,
  noIke,
  oeRsaServer,
  oeServer,
  plain,
  resolver,
  server,
} from './names.ts';
import { Node } from './node.ts';
import { readPcap, type Packet } from './pcap.ts';
import { must, until, type Daemon } from './process.ts';
import { zoneFile, type Zones } from './zones.ts';

/** A file of the DNS tree that every host may read. */
export const anchorFile = '/lab/anchor/root.ds';

/** Must be called once after boot: places for namespaces that mounts stay private to. */
export async function prepare(): Promise<void> {
  await must([
    'sh',
    '-ec',
    'mkdir -p /run/lab; mount -t tmpfs tmpfs /run/lab; mount --make-private /run/lab; mkdir -p /run/lab/mnt /run/lab/node /lab/anchor /lab/compile-cache',
  ]);
}

export class Lab {
  readonly client: Node;
  readonly server: Node;
  readonly plain: Node;
  readonly dns: Node;
  readonly middle: Node;
  /** Logs and recordings of this scenario. */
  readonly logs: string;
  readonly #more: Node[] = [];
  #recorder: Daemon | undefined;
  #resolver: Daemon | undefined;

  private constructor(nodes: readonly [Node, Node, Node, Node, Node], logs: string) {
    [this.client, this.server, this.plain, this.dns, this.middle] = nodes;
    this.logs = logs;
  }

  /** Everything up: links, routes, name servers, web servers, and the recorder in the middle. */
  static async make(logs: string, zones: Zones): Promise<Lab> {
    mkdirSync(logs, { recursive: true });
    const nodes: Node[] = [];
    for (const name of ['client', 'server', 'plain', 'dns', 'middle'])
      nodes.push(await Node.make(name, logs));
    const lab = new Lab(nodes as [Node, Node, Node, Node, Node], logs);
    await lab.#connect();
    await lab.#startNames(zones);
    lab.#startWeb();
    await lab.#record();
    return lab;
  }

  async remove(): Promise<void> {
    await this.#recorder?.stop();
    const usual = [this.client, this.server, this.plain, this.dns, this.middle];
    for (const node of [...usual, ...this.#more]) await node.remove();
  }

  /** One more host, connected with nothing yet. */
  async addNode(name: string): Promise<Node> {
    const node = await Node.make(name, this.logs);
    this.#more.push(node);
    node.write('/etc/resolv.conf', `nameserver ${resolver}\n`);
    return node;
  }

  /** Delays every packet that crosses the middle, so that the round trip between two hosts is `roundTripMs`. */
  async delay(roundTripMs: number): Promise<void> {
    const script = ['client', 'server', 'plain', 'dns'].map((side) =>
      roundTripMs === 0
        ? `tc qdisc del dev ${side} root 2>/dev/null || true`
        : `tc qdisc replace dev ${side} root netem delay ${roundTripMs / 2}ms limit 10000`,
    );
    await this.middle.must(['sh', '-ec', script.join('\n')]);
  }

  /** What the middle has seen on the client's side, oldest first. Waits for what is under way. */
  async packets(): Promise<Packet[]> {
    await sleep(200);
    return readPcap(this.recording);
  }

  /** For measurements: with one processor for all, whoever records each packet delays it. */
  async stopRecording(): Promise<void> {
    await this.#recorder?.stop();
  }

  get recording(): string {
    return join(this.logs, 'middle.pcap');
  }

  async #connect(): Promise<void> {
    const links: readonly (readonly [Node, number, readonly string[], readonly string[]])[] = [
      [this.dns, 0, [resolver, ...Object.values(authorities)], ['2001:2:0:53::53']],
      [this.client, 1, [client.v4], [client.v6]],
      [
        this.server,
        2,
        [server.v4, oeServer.v4, oeRsaServer.v4, ...manyAddresses],
        [server.v6, oeServer.v6, oeRsaServer.v6],
      ],
      [this.plain, 3, [plain.v4, noIke.v4, blackhole.v4], [plain.v6]],
    ];
    for (const [node, net, four, six] of links) {
      const prefix6 = six[0]?.replace(/::.*/, '') ?? '';
      await must([
        'ip',
        ...[
          'link',
          'add',
          'eth0',
          'netns',
          node.name,
          'type',
          'veth',
          'peer',
          'name',
          node.name,
          'netns',
          'middle',
        ],
      ]);
      await this.middle.ip([
        `link set ${node.name} up`,
        `addr add 198.18.${net}.254/24 dev ${node.name}`,
        `addr add ${prefix6}::ff/64 dev ${node.name} nodad`,
      ]);
      await node.ip([
        ...four.map((a) => `addr add ${a}/24 dev eth0`),
        // Only the first is preferred: the kernel would send from the last, otherwise.
        ...six.map((a, i) => `addr add ${a}/64 dev eth0 nodad${i === 0 ? '' : ' preferred_lft 0'}`),
        'link set eth0 up',
        `route add default via 198.18.${net}.254`,
        `route add default via ${prefix6}::ff`,
      ]);
      node.write('/etc/resolv.conf', `nameserver ${resolver}\n`);
    }
    await this.middle.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']);
    // What an input policy blocks gets no answer and no ICMP either.
    for (const port of ['500', '4500']) {
      await this.plain.must([
        ...['ip', 'xfrm', 'policy', 'add', 'src', '0.0.0.0/0', 'dst', `${blackhole.v4}/32`, 'proto', 'udp'],
        ...['dport', port, 'dir', 'in', 'action', 'block'],
      ]);
    }
  }

  async #startNames(zones: Zones): Promise<void> {
    writeFileSync(anchorFile, await must(['cat', zones.anchor]));
    for (const [name, address] of Object.entries(authorities)) {
      const served = zones.served[name as keyof typeof authorities];
      this.dns.write(
        `/etc/lab/nsd-${name}.conf`,
        [
          `server:\n ip-address: ${address}\n username: ""\n chroot: ""\n server-count: 1\n pidfile: ""\n xfrdir: "/tmp"\n zonelistfile: "/tmp/${name}.list"\n xfrdfile: ""\n database: ""\n minimal-responses: yes\n`,
          'remote-control:\n control-enable: no\n',
          ...served.map(
            (zone) => `zone:\n name: "${zone}"\n zonefile: "${zoneFile(zones.directory, zone)}"\n`,
          ),
        ].join(''),
      );
      this.dns.start(['nsd', '-d', '-c', `/etc/lab/nsd-${name}.conf`], `nsd-${name}`);
    }
    this.dns.write(
      '/etc/lab/unbound.conf',
      unboundConfig(resolver, [
        'module-config: "iterator"',
        'access-control: 198.18.0.0/15 allow',
        `root-hints: "${zones.directory}/root.hints"`,
        `outgoing-interface: ${resolver}`,
      ]),
    );
    await this.#startResolver();
  }

  /** Empties the caches of the resolver that everybody forwards to. */
  async forgetNames(): Promise<void> {
    await this.#resolver?.stop();
    await this.#startResolver();
  }

  async #startResolver(): Promise<void> {
    this.#resolver = this.dns.start(['unbound', '-d', '-c', '/etc/lab/unbound.conf'], 'unbound');
    const answered = await until(async () => {
      const ran = await this.client.run([
        'dig',
        '+short',
        '+time=1',
        '+tries=1',
        `@${resolver}`,
        'plain.libreswan.org',
      ]);
      return ran.stdout.trim() === plain.v4;
    }, 30_000);
    if (answered === undefined)
      throw new Error('the name servers do not answer; their logs are beside this one');
  }

  #startWeb(): void {
    for (const node of [this.server, this.plain]) {
      node.write('/run/www/index.html', `<p>Hello from the ${node.name}.</p>\n`);
      node.start(['busybox', 'httpd', '-f', '-p', '[::]:80', '-h', '/run/www'], 'httpd');
    }
  }

  async #record(): Promise<void> {
    this.#recorder = this.middle.start(
      ['tcpdump', '--immediate-mode', '-U', '-n', '-i', 'client', '-s', '0', '-w', this.recording],
      'tcpdump',
    );
    const started = await until(() => readPcapSafely(this.recording), 5_000, 20);
    if (started === undefined) throw new Error('tcpdump does not record');
  }
}

/** A validating resolver on the client that forwards as `oe` does: what `oe` is compared with. */
export async function startPlainValidator(lab: Lab, address = '127.0.0.2'): Promise<Daemon> {
  lab.client.write(
    '/etc/lab/unbound.conf',
    `${unboundConfig(address, [
      'module-config: "validator iterator"',
      `trust-anchor-file: "${anchorFile}"`,
      'do-not-query-localhost: no',
    ])}forward-zone:\n name: "."\n forward-addr: ${resolver}\n`,
  );
  const daemon = lab.client.start(['unbound', '-d', '-c', '/etc/lab/unbound.conf'], 'unbound');
  const up = await until(async () => {
    const ran = await lab.client.run([
      'dig',
      '+short',
      '+time=1',
      '+tries=1',
      `@${address}`,
      'plain.libreswan.org',
    ]);
    return ran.stdout.trim() === plain.v4;
  }, 30_000);
  if (up === undefined) throw new Error('the validating unbound does not answer');
  return daemon;
}

/** An unbound of one thread at `address`, as it asks when it invents nothing: each look-up is seen. */
function unboundConfig(address: string, more: readonly string[]): string {
  return unboundFile([
    `interface: ${address}`,
    'qname-minimisation: no',
    'harden-dnssec-stripped: yes',
    'aggressive-nsec: no',
    ...more,
  ]);
}

/** What every unbound of the lab has in its configuration, and `more` under `server:`. */
export function unboundFile(more: readonly string[]): string {
  return `server:\n${[
    'username: ""',
    'chroot: ""',
    'directory: "/tmp"',
    'pidfile: ""',
    'use-syslog: no',
    'do-daemonize: no',
    'num-threads: 1',
    'do-ip6: no',
    'local-zone: "18.198.in-addr.arpa." nodefault',
    ...more,
  ]
    .map((line) => ` ${line}\n`)
    .join('')}remote-control:\n control-enable: no\n`;
}

function readPcapSafely(file: string): Packet[] | undefined {
  try {
    return readPcap(file);
  } catch {
    return undefined;
  }
}
