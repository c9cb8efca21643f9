/**
 * `npm run demo`: one lookup becomes an encrypted connection to a libreswan server, on a real kernel, told in words.
 * Where this machine allows no lab it says so and plays the story in the simulated world.
 */
import { join } from 'node:path';
import { outDirectory } from './out.ts';
import { ensureRoot } from './root.ts';
import { bootUml } from './uml.ts';

const root = await ensureRoot(console.log);
if (root.ok) {
  const out = outDirectory('demo');
  console.log(
    'Booting a kernel of our own, so that this machine’s network is left alone (some 15 s in all) …',
  );
  const ran = await bootUml({
    root: root.directory,
    out,
    command: 'cd /tmp && exec /oe/node_modules/node/bin/node /oe/lab/guest/demo.ts\n',
    timeoutMs: 110_000,
    line: console.log,
  });
  if (ran.trouble !== undefined) console.error(ran.trouble);
  console.log(`\nLogs and the recording of the middle are in ${join(out, 'demo')}.`);
  process.exitCode = ran.code ?? 1;
} else {
  console.log(`The demo cannot run on a real kernel here: ${root.why}`);
  console.log(
    'What follows is the same story in the simulated world: the code of oe is real, network and kernel are not.\n',
  );
  const simulated = (await import(new URL('simulated.ts', import.meta.url).href)) as {
    readonly playStory: () => Promise<void> | void;
  };
  await simulated.playStory();
}
