/**
 * Measures, in one kernel and one run, how long an application waits for its first packet to a host that publishes a
 * key: through `oe`, through libreswan as unbound's ipsecmod would call it, and through libreswan by packet. Each of
 * 30 names leads to an address of its own, so that every handshake is a first one; caches are warm for the zones and
 * cold for the names.
 */
import { writeFileSync } from 'node:fs';
import { makeGround } from './ground.ts';
import { startLibreswan } from './libreswan.ts';
import { client, manyAddresses, plain } from './names.ts';
import { startOe } from './oe.ts';
import { Lab, startPlainValidator } from './topology.ts';
import type { Measured } from './wait.ts';
import { xfrmStates } from './xfrm.ts';

const runs = 30;
const unbound = '127.0.0.2';
const roundTrips = [0, 20];
const logs = '/lab/out/latency';

const withoutScript = ['leftupdown=%disabled'];
const modes: readonly (readonly [what: string, measure: (lab: Lab) => Promise<Measured[]>])[] = [
  ['plain lookup through a validating unbound, no IPsec', plainly],
  ['oe, to libreswan', (lab) => throughOe(lab, [])],
  ['libreswan, called as unbound-ipsecmod does', (lab) => throughHook(lab, [])],
  ['libreswan by packet (%dnsondemand, private)', byPacket],
  ['oe, to libreswan without its updown script', (lab) => throughOe(lab, withoutScript)],
  ['libreswan as by ipsecmod, both without their updown scripts', (lab) => throughHook(lab, withoutScript)],
  ['oe, to oe', oeToOe],
];

const { zones, keys } = await makeGround();
const rows: { what: string; roundTripMs: number; measured: Measured[] }[] = [];
for (const roundTripMs of roundTrips) {
  for (const [what, measure] of modes) {
    console.error(`${what}, ${roundTripMs} ms …`);
    const lab = await Lab.make(`${logs}/${what.replace(/\W+/g, '-')}-${roundTripMs}`, zones);
    try {
      await lab.delay(roundTripMs);
      rows.push({ what, roundTripMs, measured: await measure(lab) });
    } finally {
      await lab.remove();
    }
  }
}
writeFileSync('/lab/out/latency.json', JSON.stringify(rows));
print();
process.exit(0);

async function plainly(lab: Lab): Promise<Measured[]> {
  await startPlainValidator(lab, unbound);
  return wait(lab, 'plain', unbound, (i) => `p${i}.libreswan.org`, plain.v4);
}

async function throughOe(lab: Lab, extra: readonly string[]): Promise<Measured[]> {
  await startServer(lab, extra);
  await startOe(lab.client, lab.logs);
  return protectedOnes(lab, 'plain', '127.0.0.1');
}

async function oeToOe(lab: Lab): Promise<Measured[]> {
  await startOe(lab.server, lab.logs, { key: keys.server });
  await startOe(lab.client, lab.logs);
  return protectedOnes(lab, 'plain', '127.0.0.1', 'j');
}

async function throughHook(lab: Lab, extra: readonly string[]): Promise<Measured[]> {
  await startServer(lab, extra);
  await startPlainValidator(lab, unbound);
  await startLibreswan(lab.client, {
    own: null,
    peer: 'rsasig',
    extra,
    groups: { clear: ['198.18.0.0/24', '198.18.3.0/24'], 'private-or-clear': ['198.18.2.0/24'] },
  });
  // libreswan's own hook; only its source address is mended, which would be the gateway's otherwise.
  const hook = await lab.client.must(['sed', 's/--gateway/--source/', '/usr/libexec/ipsec/_unbound-hook']);
  lab.client.write('/etc/lab/hook', hook, 0o755);
  return protectedOnes(lab, 'hook', unbound);
}

async function byPacket(lab: Lab): Promise<Measured[]> {
  await startServer(lab, []);
  await startPlainValidator(lab, unbound);
  await startLibreswan(lab.client, {
    own: null,
    peer: 'rsasig',
    extra: ['rightrsasigkey=%dnsondemand'],
    groups: { clear: ['198.18.0.0/24', '198.18.3.0/24'], private: ['198.18.2.0/24'] },
  });
  return protectedOnes(lab, 'plain', unbound);
}

async function startServer(lab: Lab, extra: readonly string[]): Promise<void> {
  await startLibreswan(lab.server, {
    own: 'rsa',
    peer: 'anonymous',
    addresses: manyAddresses,
    extra,
    groups: { 'clear-or-private': [`${client.v4}/32`] },
  });
}

async function protectedOnes(
  lab: Lab,
  how: 'plain' | 'hook',
  resolver: string,
  letter = 'k',
): Promise<Measured[]> {
  const measured = await wait(lab, how, resolver, (i) => `${letter}${i}.libreswan.org`);
  const states = (await xfrmStates(lab.client)).length;
  if (states < 2 * runs)
    console.error(`Only ${states} states stand after ${runs} names: not all are protected.`);
  return measured;
}

async function wait(
  lab: Lab,
  how: 'plain' | 'hook',
  resolver: string,
  name: (i: number) => string,
  expected?: string,
): Promise<Measured[]> {
  const names = Array.from({ length: runs }, (_, i) => name(i + 1));
  const out = await lab.client.must(
    ['/oe/node_modules/node/bin/node', '/oe/lab/guest/wait.ts', how, resolver, ...names],
    200_000,
  );
  const measured = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Measured);
  for (const [i, m] of measured.entries()) {
    if (m.address !== (expected ?? manyAddresses[i])) console.error(`${m.name} led to ${m.address}`);
  }
  return measured;
}

function print(): void {
  console.log(`\nMilliseconds from the application's query, ${runs} names each: median (worst).\n`);
  console.log('| round trip | how | answer released | TCP connected |');
  console.log('|---|---|---|---|');
  for (const { what, roundTripMs, measured } of rows) {
    const cell = (values: readonly number[]): string => {
      const sorted = values.toSorted((a, b) => a - b);
      return `${Math.round(sorted[Math.floor(sorted.length / 2)] ?? NaN)} (${Math.round(sorted.at(-1) ?? NaN)})`;
    };
    const answered = cell(measured.map((m) => m.answeredMs));
    const connected = cell(measured.map((m) => m.connectedMs));
    console.log(`| ${roundTripMs} ms | ${what} | ${answered} | ${connected} |`);
  }
}
