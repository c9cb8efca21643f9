/** libreswan as a peer: its configuration as an operator of opportunistic encryption writes it. */
import { readFileSync } from 'node:fs';
import type { Node } from './node.ts';
import { must, until, type Daemon } from './process.ts';
import { anchorFile } from './topology.ts';
import type { PublishedKey } from './zones.ts';

/** Which of the host keys made with the root. */
export type LibreswanKey = 'rsa' | 'ecdsa' | 'client';

export interface LibreswanOptions {
  readonly mode?: 'transport' | 'tunnel';
  /** How it proves itself; null: it stays anonymous. */
  readonly own: LibreswanKey | null;
  /** What it asks of its peers. */
  readonly peer: 'anonymous' | 'rsasig';
  /** Lines of the conn that the others inherit, e.g. `rightrsasigkey=%dnsondemand`. */
  readonly extra?: readonly string[];
  /** Prefixes per policy group; `clear-or-private` answers, `private-or-clear` begins. */
  readonly groups: Readonly<
    Partial<Record<'clear' | 'clear-or-private' | 'private-or-clear' | 'private', readonly string[]>>
  >;
  /** IPv4 addresses of a server that has several; without, the one of the default route. */
  readonly addresses?: readonly string[];
  readonly debug?: boolean;
}

/** Starts pluto on a host and waits until it listens and has its policies. */
export async function startLibreswan(node: Node, options: LibreswanOptions): Promise<Libreswan> {
  const nss = '/var/lib/ipsec/nss';
  await node.must([
    'sh',
    '-ec',
    `mkdir -p ${nss} /run/pluto /etc/ipsec.d/policies; cp -r /lab/nss/${options.own ?? 'client'}/. ${nss}/`,
  ]);
  for (const group of ['clear', 'clear-or-private', 'private-or-clear', 'private', 'block'] as const) {
    const prefixes = group === 'block' ? [] : (options.groups[group] ?? []);
    for (const [suffix] of suffixesOf(options)) {
      const lines = prefixes.filter((p) => p.includes(':') === (suffix === six)).map((p) => `${p}\n`);
      node.write(`/etc/ipsec.d/policies/${group}${suffix}`, lines.join(''));
    }
  }
  node.write('/etc/ipsec.conf', configuration(options));
  node.write('/etc/ipsec.secrets', '');
  const daemon = node.start(
    [
      '/usr/libexec/ipsec/pluto',
      '--config',
      '/etc/ipsec.conf',
      '--nofork',
      '--nssdir',
      nss,
      '--rundir',
      '/run/pluto',
      '--stderrlog',
    ],
    'pluto',
  );
  const wanted =
    Object.values(options.groups).reduce((n, prefixes) => n + prefixes.length, 0) *
    (options.addresses?.length ?? 1);
  const up = await until(async () => {
    const ran = await node.run(['/usr/libexec/ipsec/whack', '--status']);
    // Each prefix of a group becomes a connection of its own, named after it.
    return ran.code === 0 && new Set(ran.stdout.match(/"[a-z0-9-]+#[^"]+"/g)).size >= wanted;
  }, 20_000);
  if (up === undefined) throw new Error(`libreswan on ${node.name} did not come up; see ${daemon.log}`);
  return new Libreswan(node, daemon);
}

export class Libreswan {
  readonly node: Node;
  readonly daemon: Daemon;

  constructor(node: Node, daemon: Daemon) {
    this.node = node;
    this.daemon = daemon;
  }

  async whack(...args: readonly string[]): Promise<string> {
    return (await this.node.run(['/usr/libexec/ipsec/whack', ...args], 70_000)).stdout;
  }

  async stop(): Promise<void> {
    await this.whack('--shutdown');
    await this.daemon.stop();
  }
}

/** The public key of an NSS database, as an IPSECKEY record holds it. */
export async function libreswanKey(key: LibreswanKey): Promise<PublishedKey> {
  const nssdir = `/lab/nss/${key}`;
  const shown = await must(['ipsec', 'showhostkey', '--nssdir', nssdir, '--ipseckey', '--ckaid', ckaid(key)]);
  const fields = /IPSECKEY\s+\d+\s+0\s+(\d+)\s+\.\s+(\S+)/.exec(shown);
  if (!fields) throw new Error(`showhostkey printed no IPSECKEY: ${shown}`);
  return { algorithm: Number(fields[1]), base64: fields[2] ?? '' };
}

function ckaid(key: LibreswanKey): string {
  const listed = readFileSync(`/lab/nss/${key}/list`, 'utf8');
  return /ckaid: ([0-9a-f]+)/.exec(listed)?.[1] ?? '';
}

function configuration(options: LibreswanOptions): string {
  const own =
    options.own === null
      ? ['leftid=%null', 'leftauth=null']
      : [`leftckaid=${ckaid(options.own)}`, `leftauth=${options.own === 'ecdsa' ? 'ecdsa' : 'rsasig'}`];
  const peer = options.peer === 'anonymous' ? ['rightid=%null', 'rightauth=null'] : ['rightauth=rsasig'];
  const base = [...own, 'right=%opportunisticgroup', ...peer, ...(options.extra ?? [])];
  const conn = (name: string, lines: readonly string[]): string =>
    `conn ${name}\n${lines.map((line) => `\t${line}\n`).join('')}\n`;
  const group = (suffix: string, name: string, shunt: string, auto: string): string =>
    conn(name + suffix, [
      `also=oe-base${suffix}`,
      `failureshunt=${shunt}`,
      `negotiationshunt=${shunt}`,
      `auto=${auto}`,
    ]);
  const where = (suffix: string, left: string, line: readonly string[]): string =>
    conn(`clear${suffix}`, [
      'type=passthrough',
      'authby=never',
      `left=${left}`,
      'right=%group',
      'auto=ondemand',
      ...line,
    ]) +
    conn(`oe-base${suffix}`, [`type=${options.mode ?? 'transport'}`, `left=${left}`, ...base, ...line]) +
    group(suffix, 'clear-or-private', 'passthrough', 'add') +
    group(suffix, 'private-or-clear', 'passthrough', 'ondemand') +
    group(suffix, 'private', 'drop', 'ondemand');
  return (
    `config setup\n\tlogtime=yes\n\tplutodebug=${options.debug === true ? 'base' : 'none'}\n\tdnssec-rootkey-file=${anchorFile}\n\tuniqueids=no\n\n` +
    suffixesOf(options)
      .map(([suffix, left]) => where(suffix, left, suffix === six ? ['hostaddrfamily=ipv6'] : []))
      .join('')
  );
}

/** What the names of conns and groups for IPv6 end in. */
const six = '-ipv6';

/** A set of conns for each: an IPv6 prefix in the group of an IPv4 conn ends pluto 5.2 with an assertion. */
function suffixesOf(options: LibreswanOptions): (readonly [suffix: string, left: string])[] {
  if (options.addresses) return options.addresses.map((address, i) => [`-${i}`, address] as const);
  return [
    ['', '%defaultroute'],
    [six, '%defaultroute'],
  ];
}
