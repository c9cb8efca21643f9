/** `npm run bench -- NAME`: runs one measurement and prints its table; without a name it lists them. */
import { latency } from './latency.ts';

const measurements: Readonly<Record<string, { readonly what: string; readonly run: () => Promise<number> }>> =
  {
    latency: {
      what: 'from query to protected answer: oe and libreswan in the lab (about 7 minutes)',
      run: latency,
    },
  };

const wanted = process.argv[2];
const chosen = wanted === undefined ? undefined : measurements[wanted];
if (chosen) {
  process.exitCode = await chosen.run();
} else {
  console.log(
    Object.entries(measurements)
      .map(([name, m]) => `npm run bench -- ${name}   ${m.what}`)
      .join('\n'),
  );
  process.exitCode = wanted === undefined ? 0 : 64;
}
