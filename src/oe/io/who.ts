import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A program on this machine. */
export interface Program {
  readonly pid: number;
  /** Its command name, at most 15 characters (proc_pid_comm(5)). */
  readonly command: string;
}

/** IKE daemons that run in this network namespace. */
export function ikeDaemons(): Program[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => ({ pid: Number(entry), command: commandOf(entry) }))
    .filter(({ pid, command }) => ikeCommands.has(command) && isHere(pid));
}

/** `pluto (libreswan, process 812)`. */
export function describeProgram({ pid, command }: Program): string {
  const product = ikeCommands.get(command);
  return `${command} (${product === undefined ? '' : `${product}, `}process ${pid})`;
}

const ikeCommands = new Map([
  ['pluto', 'libreswan'],
  ['charon', 'strongSwan'],
  ['charon-systemd', 'strongSwan'],
  ['iked', 'OpenIKED'],
  ['racoon', 'ipsec-tools'],
]);

/** In our network namespace; so too where we may not know. */
function isHere(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === readlinkSync('/proc/self/ns/net');
  } catch {
    return true;
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return ''; // gone
  }
}
