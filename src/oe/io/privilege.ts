import { readFileSync } from 'node:fs';
import { Exit, OeError } from '../../errors.ts';

/** linux/capability.h */
const CAP_NET_BIND_SERVICE = 10;
const CAP_NET_ADMIN = 12;

/** Throws where this process may not set up IPsec or take ports below 1024. */
export function demandPrivileges(ports: readonly number[]): void {
  const effective = effectiveCapabilities();
  if (effective === undefined) return; // no /proc: the kernel will say it
  const missing = [
    ...(has(effective, CAP_NET_ADMIN) ? [] : ['CAP_NET_ADMIN']),
    ...(has(effective, CAP_NET_BIND_SERVICE) || ports.every((p) => p >= firstFreePort())
      ? []
      : ['CAP_NET_BIND_SERVICE']),
  ];
  if (missing.length === 0) return;
  throw new OeError(
    'not-privileged',
    `oe up may not set up IPsec here: it lacks ${missing.join(' and ')}.`,
    'Run it as root (`sudo oe up`), or as a service with these capabilities.',
    Exit.noPermission,
  );
}

/** Whether this process has CAP_NET_ADMIN; undefined where that cannot be known. */
export function isNetworkAdmin(): boolean | undefined {
  const effective = effectiveCapabilities();
  return effective === undefined ? undefined : has(effective, CAP_NET_ADMIN);
}

function has(set: bigint, capability: number): boolean {
  return ((set >> BigInt(capability)) & 1n) === 1n;
}

function effectiveCapabilities(): bigint | undefined {
  try {
    const match = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return match?.[1] === undefined ? undefined : BigInt(`0x${match[1]}`);
  } catch {
    return undefined;
  }
}

function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1024;
  }
}
