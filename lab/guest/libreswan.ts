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
  readonly family?: 4 | 6;
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
    node.write(`/etc/ipsec.d/policies/${group}`, prefixes.map((p) => `${p}\n`).join(''));
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
  const wanted = Object.values(options.groups).reduce((n, prefixes) => n + prefixes.length, 0);
  const up = await until(async () => {
    const ran = await node.run(['/usr/libexec/ipsec/whack', '--status']);
    // Each prefix of a group becomes a connection of its own, named after it.
    return ran.code === 0 && new Set(ran.stdout.match(/"[a-z-]+#[^"]+"/g)).size >= wanted;
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
  const six = options.family === 6 ? '\n\thostaddrfamily=ipv6' : '';
  const own =
    options.own === null
      ? ['leftid=%null', 'leftauth=null']
      : [`leftckaid=${ckaid(options.own)}`, `leftauth=${options.own === 'ecdsa' ? 'ecdsa' : 'rsasig'}`];
  const peer = options.peer === 'anonymous' ? ['rightid=%null', 'rightauth=null'] : ['rightauth=rsasig'];
  const base = ['left=%defaultroute', ...own, 'right=%opportunisticgroup', ...peer, ...(options.extra ?? [])];
  const group = (name: string, negotiation: string, failure: string, auto: string): string =>
    `conn ${name}\n\talso=oe-base\n\tfailureshunt=${failure}\n\tnegotiationshunt=${negotiation}\n\tauto=${auto}\n`;
  return (
    `config setup\n\tlogtime=yes\n\tplutodebug=${options.debug === true ? 'base' : 'none'}\n\tdnssec-rootkey-file=${anchorFile}\n\tuniqueids=no\n\n` +
    `conn clear\n\ttype=passthrough\n\tauthby=never\n\tleft=%defaultroute\n\tright=%group\n\tauto=ondemand${six}\n\n` +
    `conn oe-base${six}\n\ttype=${options.mode ?? 'transport'}\n${base.map((line) => `\t${line}\n`).join('')}\n` +
    group('clear-or-private', 'passthrough', 'passthrough', 'add') +
    group('private-or-clear', 'passthrough', 'passthrough', 'ondemand') +
    group('private', 'drop', 'drop', 'ondemand')
  );
}
