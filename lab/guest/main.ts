/** Runs scenarios inside the lab's kernel, one after the other, each on a network of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeOeKey } from './keys.ts';
import { libreswanKey } from './libreswan.ts';
import type { OeKeys, Scenario } from './scenario.ts';
import { Lab, prepare } from './topology.ts';
import { makeZones, type Zones } from './zones.ts';

const out = '/lab/out';
const result = { passed: 0, failed: 0 };

await prepare();
const keys: OeKeys = {
  client: makeOeKey('ed25519'),
  server: makeOeKey('ed25519'),
  rsaServer: makeOeKey('rsa'),
};
const zones = await timed('Signed the zones', () => signedZones(keys));
for (const name of process.argv.slice(2)) {
  if (await runScenario(name, zones)) result.passed += 1;
  else result.failed += 1;
  writeFileSync(join(out, 'result.json'), JSON.stringify(result));
}
process.exit(result.failed === 0 ? 0 : 1);

async function runScenario(name: string, zones: Zones): Promise<boolean> {
  const { scenario } = (await import(`../scenarios/${name}.ts`)) as { scenario: Scenario };
  const begin = performance.now();
  console.log(`\n${name}: ${scenario.title}`);
  let failures = 0;
  const fail = (text: string): void => {
    failures += 1;
    console.log(`  FAIL  ${text}`);
  };
  const logs = join(out, name);
  mkdirSync(logs, { recursive: true });
  let lab: Lab | undefined;
  try {
    lab = await Lab.make(logs, zones);
    const stage = {
      lab,
      keys,
      say: (text: string) => {
        console.log(`        ${text}`);
      },
      check: (holds: boolean, text: string, otherwise?: string) => {
        if (holds) console.log(`  ok    ${text}`);
        else fail(otherwise === undefined ? text : `${text} (${otherwise})`);
      },
    };
    await withinTime(scenario.run(stage), scenario.timeoutMs ?? 60_000);
  } catch (error) {
    fail(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    await lab?.remove();
  }
  const took = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`  ${failures === 0 ? 'passed' : 'FAILED'} in ${took} s`);
  return failures === 0;
}

function withinTime(work: Promise<void>, ms: number): Promise<void> {
  let limit: NodeJS.Timeout | undefined;
  const late = new Promise<void>((_, reject) => {
    limit = setTimeout(() => {
      reject(new Error(`not finished after ${ms / 1000} s`));
    }, ms);
  });
  return Promise.race([work, late]).finally(() => {
    clearTimeout(limit);
  });
}

async function signedZones(keys: OeKeys): Promise<Zones> {
  const [libreswanRsa, libreswanEcdsa, libreswanClientRsa] = await Promise.all([
    libreswanKey('rsa'),
    libreswanKey('ecdsa'),
    libreswanKey('client'),
  ]);
  return makeZones('/lab/zones', {
    libreswanRsa,
    libreswanEcdsa,
    libreswanClientRsa,
    oeServer: keys.server.published,
    oeRsaServer: keys.rsaServer.published,
    oeClient: keys.client.published,
  });
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begin = performance.now();
  const value = await work();
  console.log(`${what} in ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
  return value;
}
