/** strongSwan as a peer. It has a small root of its own in the lab's, with libraries newer than those of the suite. */
import { createPublicKey } from 'node:crypto';
import type { Node } from './node.ts';
import { until, type Daemon } from './process.ts';

const root = '/opt/strongswan';

export interface StrongswanOptions {
  /** The text of swanctl.conf. */
  readonly connections: string;
  /** Other files, by their place under /etc/swanctl, e.g. `private/own.pem`. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Starts charon on a host and waits until it has taken its connections. */
export async function startStrongswan(node: Node, options: StrongswanOptions): Promise<Strongswan> {
  for (const place of ['x509/', 'x509ca/', 'private/', 'pubkey/', 'conf.d/'])
    node.write(`${own}/${place}.keep`, '');
  node.write(`${own}/swanctl.conf`, options.connections);
  for (const [place, text] of Object.entries(options.files ?? {})) node.write(`${own}/${place}`, text, 0o600);
  node.write('/etc/lab/strongswan.conf', configuration);
  await node.must([
    'sh',
    '-ec',
    `mount -t proc proc ${root}/proc; mount --bind /dev ${root}/dev; mount --bind /run ${root}/run; ` +
      `mkdir -p ${root}/etc/swanctl; mount --bind ${own} ${root}/etc/swanctl; ` +
      `mount --bind /etc/lab/strongswan.conf ${root}/etc/strongswan.conf`,
  ]);
  const daemon = node.start(inside('charon-systemd'), 'charon');
  const up = await until(async () => {
    const ran = await node.run(inside('swanctl', '--load-all', '--noprompt'));
    return ran.code === 0;
  }, 20_000);
  if (up === undefined) throw new Error(`strongSwan on ${node.name} did not come up; see ${daemon.log}`);
  return new Strongswan(node, daemon);
}

export class Strongswan {
  readonly node: Node;
  readonly daemon: Daemon;

  constructor(node: Node, daemon: Daemon) {
    this.node = node;
    this.daemon = daemon;
  }

  /** What `swanctl` prints, e.g. for `--list-sas`. */
  async swanctl(...args: readonly string[]): Promise<string> {
    const ran = await this.node.run(inside('swanctl', ...args), 30_000);
    return ran.stdout + ran.stderr;
  }
}

/** A host that proves a raw key, in the words of swanctl.conf. */
export interface RawKeyConnection {
  readonly own: string;
  readonly peer: string;
  /** strongSwan's notation: `aes256gcm16-prfsha512-x25519-ke1_mlkem768`. */
  readonly proposals: string;
  readonly espProposals?: string;
  /** PEM: our private key, and the peer's key of which only the public half is read. */
  readonly ownKey: string;
  readonly peerKey: string;
}

/** One connection `oe` with one child `host` in transport mode, for {@link startStrongswan}. */
export function rawKeyConnection(wanted: RawKeyConnection): StrongswanOptions {
  const { own: local, peer, proposals, espProposals = 'aes256gcm16-esn-noesn' } = wanted;
  return {
    connections: `connections {
  oe {
    version = 2
    local_addrs = ${local}
    remote_addrs = ${peer}
    proposals = ${proposals}
    local {
      auth = pubkey
      pubkeys = own.pem
      id = ${local}
    }
    remote {
      auth = pubkey
      pubkeys = peer.pem
      id = ${peer}
    }
    children {
      host {
        mode = transport
        local_ts = dynamic
        remote_ts = dynamic
        esp_proposals = ${espProposals}
      }
    }
  }
}
`,
    files: {
      'private/own.pem': wanted.ownKey,
      'pubkey/own.pem': publicHalf(wanted.ownKey),
      'pubkey/peer.pem': publicHalf(wanted.peerKey),
    },
  };
}

function publicHalf(pem: string): string {
  return createPublicKey(pem).export({ type: 'spki', format: 'pem' });
}

/** In the host's own part of /etc. */
const own = '/etc/lab/swanctl';

function inside(program: string, ...args: readonly string[]): string[] {
  return ['chroot', root, `/usr/sbin/${program}`, ...args];
}

const configuration = `charon-systemd {
  filelog {
    stderr {
      default = 1
      ike = 2
      cfg = 2
      flush_line = yes
    }
  }
}
`;
