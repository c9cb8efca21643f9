/**
 * Plays all scenes against one mutant after the other, in one warm process: the resolver under test is loaded anew for
 * each, the worlds that it is asked in are those of the untouched source.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { readScenes, type Scene } from '../dns/scenario/text.ts';
import type * as Player from '../dns/scenario/player.ts';
import { mutated, type Mutant } from './mutants.ts';

const port = parentPort;
if (!port) throw new Error('this is a worker');

const root = new URL('../../', import.meta.url);
let current: { readonly id: number; readonly mutant: Mutant | undefined } = { id: 0, mutant: undefined };

/** What is loaded anew for each mutant, where it is loaded by what is. */
function isUnderTest(url: string): boolean {
  const path = url.slice(root.href.length);
  return (
    path.startsWith('src/dns/') ||
    path.startsWith('test/dns/forwarding') ||
    path.startsWith('test/dns/internet')
  );
}

registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context);
    const version = /\?mutant=\d+$/.exec(context.parentURL ?? '')?.[0];
    return version !== undefined && isUnderTest(found.url) ? { ...found, url: found.url + version } : found;
  },
  load(url, context, next) {
    const [plain = '', version] = url.split('?');
    if (version === undefined) return next(url, context);
    const { mutant } = current;
    if (mutant && plain === new URL(mutant.file, root).href) {
      const source = mutated(readFileSync(new URL(plain), 'utf8'), mutant);
      return { format: 'module', shortCircuit: true, source: stripTypeScriptTypes(source) };
    }
    return { format: 'module', shortCircuit: true, source: sourceOf(plain) };
  },
});

const sources = new Map<string, string>();

/** A module as JavaScript, read once. */
function sourceOf(url: string): string {
  const known = sources.get(url) ?? stripTypeScriptTypes(readFileSync(new URL(url), 'utf8'));
  sources.set(url, known);
  return known;
}

const place = new URL('../dns/scenarios/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, place), 'utf8');
const scenes: Scene[] = readdirSync(place)
  .filter((name) => name.endsWith('.scene'))
  .flatMap((file) => readScenes(read(file), file, read));

port.on('message', (message: { readonly id: number; readonly mutant: Mutant | undefined }) => {
  current = message;
  port.postMessage({ kind: 'begun', id: message.id });
  void judge(message.id).then((killer) => {
    port.postMessage({ kind: 'done', id: message.id, killer });
  });
});

/** The scene that notices the mutant, or undefined. One that noticed another before comes first. */
async function judge(id: number): Promise<string | undefined> {
  let player: typeof Player;
  try {
    player = (await import(`../dns/scenario/player.ts?mutant=${id}`)) as typeof Player;
  } catch (error) {
    return `it cannot be loaded: ${(error as Error).message}`;
  }
  for (const [i, scene] of scenes.entries()) {
    // Both ways validate alike: one is enough, where a scene is for both.
    for (const mode of player.modesOf(scene).slice(0, 1)) {
      let noticed: boolean;
      try {
        noticed = player.play(scene, mode).length > 0;
      } catch {
        noticed = true;
      }
      if (!noticed) continue;
      scenes.splice(i, 1);
      scenes.unshift(scene);
      return `${scene.title} (${mode})`;
    }
  }
  return undefined;
}
