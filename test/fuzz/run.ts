/**
 * `npm run fuzz`: throws mutated octets at every decoder; anything but a value or a WireError is a finding, whose
 * octets go into the corpus so that the tests try them ever after.
 *
 *   npm run fuzz                       a million inputs for each decoder
 *   npm run fuzz -- --count 10000000   ten million
 *   npm run fuzz -- dns-message nsec   these decoders alone
 *   npm run fuzz -- --seed 7           other inputs
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Chance, mutated } from './mutate.ts';
import { corpusDirectory, targets, type Target } from './targets.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string', default: '1000000' }, seed: { type: 'string', default: '1' } },
});
const count = Number(values.count);
const unknown = positionals.filter((name) => !targets.some((t) => t.name === name));
if (!Number.isInteger(count) || count < 1 || unknown.length > 0) {
  const what =
    unknown.length > 0 ? `there is no decoder ${unknown.join(', ')}` : '--count wants a whole number';
  console.error(`${what}. Decoders are ${targets.map((t) => t.name).join(', ')}.`);
  process.exit(64);
}

// Half of all inputs are refused: without their stacks that costs a fifth.
Error.stackTraceLimit = 0;
let findings = 0;
for (const target of targets) {
  if (positionals.length === 0 || positionals.includes(target.name)) findings += fuzz(target);
}
console.log(findings === 0 ? 'Nothing was found.' : `${findings} findings; their octets are in the corpus.`);
process.exitCode = findings === 0 ? 0 : 1;

function fuzz({ name, corpus, decode }: Target): number {
  const chance = new Chance(Number(values.seed));
  const begin = performance.now();
  const found = new Set<string>();
  let good = 0;
  for (let i = 0; i < count && found.size < 5; i++) {
    const octets = mutated(corpus[i % corpus.length] ?? new Uint8Array(), corpus, chance);
    const before = octets.slice();
    try {
      if (decode(octets)) good++;
    } catch (error) {
      const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      if (found.has(what)) continue;
      found.add(what);
      console.log(`${name}: ${what}\n  ${before.toHex()}`);
      appendFileSync(join(corpusDirectory, `${name}.hex`), `# ${what}\n${before.toHex()}\n`);
    }
  }
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `${name}: ${count} inputs, ${good} understood, ${found.size} findings, ${seconds.toFixed(0)} s`,
  );
  return found.size;
}
