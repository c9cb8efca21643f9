import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { addressOf, sameAddress, type Endpoint } from '../../net/address.ts';
import { fromHex } from '../../wire/octets.ts';

/** A process that has a socket bound where another wants to be. */
export interface PortHolder {
  readonly pid: number;
  /** Its command name, at most 15 characters (proc_pid_comm(5)). */
  readonly command: string;
}

/**
 * Who has `endpoint`, or a wildcard address with its port, as far as /proc tells: other users' processes show
 * themselves only to those with CAP_SYS_PTRACE. Slow; for error messages.
 */
export function portHolder(endpoint: Endpoint, transport: 'udp' | 'tcp'): PortHolder | undefined {
  const inodes = new Set(
    [transport, `${transport}6`].flatMap((table) => inodesIn(textOf(`/proc/net/${table}`), endpoint)),
  );
  if (inodes.size === 0) return undefined;
  for (const pid of entriesOf('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const fd of entriesOf(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode === undefined || !inodes.has(inode)) continue;
      return { pid: Number(pid), command: textOf(`/proc/${pid}/comm`).trim() };
    }
  }
  return undefined;
}

/** Inodes of the sockets in a table of proc_pid_net(5) that stand in the way of `endpoint`. */
function inodesIn(table: string, endpoint: Endpoint): string[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const fields = line.trim().split(/\s+/);
      const [hex = '', port = ''] = (fields[1] ?? '').split(':');
      const inode = fields[9];
      if (inode === undefined || Number.parseInt(port, 16) !== endpoint.port) return [];
      const address = addressOf(hostOrderWords(hex));
      const inTheWay =
        address !== undefined &&
        (address.octets.every((o) => o === 0) || sameAddress(address, endpoint.address));
      return inTheWay ? [inode] : [];
    });
}

/** Addresses stand there as 32-bit words in the host's order, which is little-endian on all we support. */
function hostOrderWords(hex: string): Uint8Array {
  const words = hex.match(/.{8}/g) ?? [];
  return fromHex(words.map((word) => (word.match(/../g) ?? []).reverse().join('')).join(''));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
