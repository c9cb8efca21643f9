/**
 * Translators between hosts of the lab and the middle: what stood on a side of its own moves behind one, with an
 * address that nobody outside can reach, and the middle goes on recording the outside.
 */
import { oeServer, server } from './names.ts';
import type { Node } from './node.ts';
import { must } from './process.ts';
import type { Lab } from './topology.ts';

/** What the middle sees of those behind the client's translator. */
export const outside = '198.18.1.1';
/** The client behind it, and a second one. */
export const inside = { client: '192.168.7.2', second: '192.168.7.3' } as const;
/** The server behind a translator of its own, which hands IKE and HTTP on to it. */
export const insideServer = { libreswan: '192.168.8.10', oe: '192.168.8.20' } as const;

const network = '192.168.7';
const serverNetwork = '192.168.8';

/** Puts the client, and with `second` one more host, behind a translator that gives every connection another port. */
export async function hideClient(lab: Lab, { second = false } = {}): Promise<Hidden> {
  const nat = await translator(lab, 'nat', lab.client, network, `${outside}/24`, '198.18.1.254');
  const hosts: Node[] = [lab.client];
  if (second) hosts.push(await lab.addNode('second'));
  const addresses = [inside.client, inside.second];
  for (const [i, host] of hosts.entries()) await attach(nat, host, addresses[i] ?? '', network);
  await masquerade(nat, 20_000);
  return new Hidden(nat, hosts[1]);
}

/** Puts the server behind a translator that hands on what comes for its addresses: UDP 500 and 4500, TCP 80. */
export async function hideServer(lab: Lab): Promise<Node> {
  const nat = await translator(lab, 'nat2', lab.server, serverNetwork, `${server.v4}/24`, '198.18.2.254');
  await nat.ip([`addr add ${oeServer.v4}/24 dev eth0`]);
  await attach(nat, lab.server, insideServer.libreswan, serverNetwork);
  await lab.server.ip([`addr add ${insideServer.oe}/24 dev eth0`]);
  const pairs = [
    [server.v4, insideServer.libreswan],
    [oeServer.v4, insideServer.oe],
  ] as const;
  const filters: string[] = [];
  for (const [out, in_] of pairs) {
    for (const wish of [
      'ip_proto udp dst_port 500',
      'ip_proto udp dst_port 4500',
      'ip_proto tcp dst_port 80',
    ]) {
      filters.push(`ingress prio 1 flower ${wish} dst_ip ${out} action ct commit nat dst addr ${in_} pipe`);
    }
    filters.push(`egress prio 1 flower src_ip ${in_} action ct commit nat src addr ${out} pipe`);
  }
  await translate(nat, [...filters, 'ingress prio 2 flower action ct nat pipe']);
  return nat;
}

/** The client's translator, and the second host behind it where there is one. */
export class Hidden {
  readonly #nat: Node;
  readonly #second: Node | undefined;
  #port = 20_000;

  constructor(nat: Node, second: Node | undefined) {
    this.#nat = nat;
    this.#second = second;
  }

  get second(): Node {
    if (!this.#second) throw new Error('there is no second host');
    return this.#second;
  }

  /** The translator forgets every connection, as one that was switched off and on, and gives out other ports. */
  async forget(): Promise<void> {
    this.#port += 10_000;
    await masquerade(this.#nat, this.#port);
    await this.#nat.must([process.execPath, '/oe/lab/guest/forget-connections.ts']);
  }
}

/** A node in the place of `host`, whose link to the middle it takes over. */
async function translator(
  lab: Lab,
  name: string,
  host: Node,
  net: string,
  outer: string,
  gateway: string,
): Promise<Node> {
  const nat = await lab.addNode(name);
  await host.ip([`link set eth0 netns ${name}`]);
  await nat.ip([
    `addr add ${outer} dev eth0`,
    'link set eth0 up',
    `route add default via ${gateway}`,
    'link add inside type bridge',
    `addr add ${net}.1/24 dev inside`,
    'link set inside up',
  ]);
  await nat.must(['sysctl', '-qw', 'net.ipv4.ip_forward=1']);
  return nat;
}

async function attach(nat: Node, host: Node, address: string, net: string): Promise<void> {
  const link = ['link', 'add', 'eth0', 'netns', host.name, 'type', 'veth', 'peer', 'name', host.name];
  await must(['ip', ...link, 'netns', nat.name]);
  await nat.ip([`link set ${host.name} master inside`, `link set ${host.name} up`]);
  await host.ip([`addr add ${address}/24 dev eth0`, 'link set eth0 up', `route add default via ${net}.1`]);
}

async function masquerade(nat: Node, port: number): Promise<void> {
  const source = `action ct commit nat src addr ${outside}`;
  await translate(nat, [
    `egress prio 1 flower ip_proto udp ${source} port ${port}-${port + 9_999}`,
    `egress prio 1 flower ip_proto tcp ${source} port ${port}-${port + 9_999}`,
    `egress prio 2 flower ${source} pipe`,
    `ingress prio 1 flower action ct nat pipe`,
  ]);
}

/** The kernel of the lab has no tables for IPv4 in nftables, but traffic control can track and translate too. */
async function translate(nat: Node, filters: readonly string[]): Promise<void> {
  const lines = ['tc qdisc del dev eth0 clsact 2>/dev/null || true', 'tc qdisc add dev eth0 clsact'];
  for (const filter of filters) {
    const [where = '', prio = '', number = '', ...rest] = filter.split(' ');
    lines.push(`tc filter add dev eth0 ${where} protocol ip ${prio} ${number} ${rest.join(' ')}`);
  }
  await nat.must(['sh', '-ec', lines.join('\n')]);
}
