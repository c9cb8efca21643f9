/**
 * Runs the compliance suite against the kernel of this network namespace, without a test runner: prints one line
 * per test and exits 1 where one fails. Tests that need ESP are left out where the kernel has none.
 */
import type { KernelPort } from '../../src/kernel/port.ts';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { openXfrm } from '../../src/kernel/io/xfrm.ts';
import { acquireTests, complianceTests, eventTests } from './compliance.ts';

const port = openXfrm();
const { esp4, esp6, suites, directions, keepalives } = await port.capabilities();
port.close();
const lacking = [esp4, esp6].flatMap((a) => (a.available ? [] : [a.why]));
for (const why of lacking) console.log(why);
console.log(
  `${suites.length} suites, directions ${directions ? 'are' : 'are not'} known, keepalives are ${keepalives ? "the kernel's" : 'ours'}`,
);

let passed = 0;
let failed = 0;
let skipped = 0;
// Only where this host has the address that packets are to come from.
const hasAddress = Object.values(networkInterfaces()).some((all) =>
  all?.some((a) => a.address === '198.18.1.2'),
);
const offloading = (): KernelPort => openXfrm({ offload: true });
const acquires = hasAddress ? acquireTests(offloading, send) : [];
for (const { name, needs, run } of [
  ...complianceTests(() => openXfrm()),
  ...eventTests(offloading),
  ...acquires,
]) {
  if (needs === 'esp' && lacking.length > 0) {
    skipped++;
    console.log(`skipped: ${name}`);
    continue;
  }
  try {
    await run();
    passed++;
    console.log(`passed: ${name}`);
  } catch (error) {
    failed++;
    console.log(
      `failed: ${name}\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  }
}
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
process.exitCode = failed > 0 ? 1 : 0;

function send(): Promise<void> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    // Whether it left is the kernel's to say: a packet without a state is dropped with an error.
    socket.send('x', 9, '198.18.2.10', () => {
      socket.close();
      resolve();
    });
  });
}
