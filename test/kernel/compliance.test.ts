import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FakeKernel } from '../../src/kernel/fake.ts';
import type { KernelPort } from '../../src/kernel/port.ts';
import type { IpAddress } from '../../src/net/address.ts';
import { acquireTests, complianceTests } from './compliance.ts';
import { seeded } from './random.ts';

describe('the fake kernel keeps the promises of the port:', () => {
  const make = (): FakeKernel => new FakeKernel({ random: seeded(1) });
  const send = (port: KernelPort): Promise<void> => {
    if (port instanceof FakeKernel) port.outbound(address(1, 2), address(2, 10), 17, { destinationPort: 9 });
    return Promise.resolve();
  };
  for (const { name, run } of [...complianceTests(make), ...acquireTests(make, send)]) test(name, run);
});

describe('the real kernel keeps the promises of the port, as far as it has ESP:', () => {
  const namespace = spawnSync('unshare', ['--net', 'true']);
  const why =
    namespace.status === 0 ? undefined : 'no network namespace can be made (root is needed, and unshare)';

  test.skipIf(why !== undefined)(`in a network namespace of its own${why ? ` (${why})` : ''}`, () => {
    const script = join(import.meta.dirname, 'compliance-run.ts');
    const ran = spawnSync('unshare', ['--net', process.execPath, script], { encoding: 'utf8' });
    expect(`${ran.stdout}${ran.stderr}`).not.toMatch(/^failed/m);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^\d+ passed, 0 failed/m);
  });
});

function address(net: number, host: number): IpAddress {
  return { family: 4, octets: Uint8Array.of(198, 18, net, host) };
}
