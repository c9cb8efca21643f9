/**
 * Runs scenarios inside the lab's kernel, one after the other, each on a network of its own. Another kernel may take
 * from the same list: who makes the directory of a scenario plays it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeGround } from './ground.ts';
import type { Scenario } from './scenario.ts';
import { Lab } from './topology.ts';

const out = '/lab/out';
const result = { passed: 0, failed: 0 };

const ground = await makeGround();
for (const name of process.argv.slice(2)) {
  if (!takes(name)) continue;
  if (await runScenario(name)) result.passed += 1;
  else result.failed += 1;
  writeFileSync('/lab/kernel/result.json', JSON.stringify(result));
}
process.exit(result.failed === 0 ? 0 : 1);

function takes(name: string): boolean {
  try {
    mkdirSync(join(out, name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function runScenario(name: string): Promise<boolean> {
  const { scenario } = (await import(`../scenarios/${name}.ts`)) as { scenario: Scenario };
  const begin = performance.now();
  console.log(`\n${name}: ${scenario.title}`);
  let failures = 0;
  const fail = (text: string): void => {
    failures += 1;
    console.log(`  FAIL  ${text}`);
  };
  const logs = join(out, name);
  let lab: Lab | undefined;
  try {
    lab = await Lab.make(logs, ground.zones);
    const stage = {
      lab,
      keys: ground.keys,
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
