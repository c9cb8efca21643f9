import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { parseAddress, sameAddress, type IpAddress } from '../../net/address.ts';

/** The index of the interface that has the address; undefined where none has it. */
export function interfaceOf(address: IpAddress): number | undefined {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const has = addresses?.some((a) => {
      const parsed = parseAddress(a.address);
      return parsed !== undefined && sameAddress(parsed, address);
    });
    if (has === true) return indexOf(name);
  }
  return undefined;
}

function indexOf(name: string): number | undefined {
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  } catch {
    return undefined;
  }
}
