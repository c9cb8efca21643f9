/** `npm run bench -- NAME`: runs one measurement and prints its table; without a name it lists them. */
import { dns } from './dns.ts';
import { hostile } from './hostile.ts';
import { latency } from './latency.ts';
import { steps } from './steps.ts';

const measurements: Readonly<
  Record<string, { readonly what: string; readonly run: (options: readonly string[]) => Promise<number> }>
> = {
  dns: {
    what: 'answers per second and processor time: oe, unbound, knot-resolver and dnsmasq (about 4 minutes)',
    run: dns,
  },
  hostile: {
    what: 'what zones and replies cost that were made to cost: oe and unbound (under 3 minutes)',
    run: hostile,
  },
  latency: {
    what: 'from query to protected answer: oe and libreswan in the lab (about 7 minutes)',
    run: latency,
  },
  steps: {
    what: 'the longest single step of the resolver for zones and messages that were made to cost (a minute)',
    run: steps,
  },
};

const wanted = process.argv[2];
const chosen = wanted === undefined ? undefined : measurements[wanted];
if (chosen) {
  process.exitCode = await chosen.run(process.argv.slice(3));
} else {
  console.log(
    Object.entries(measurements)
      .map(([name, m]) => `npm run bench -- ${name}   ${m.what}`)
      .join('\n'),
  );
  process.exitCode = wanted === undefined ? 0 : 64;
}
