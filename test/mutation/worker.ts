/**
 * Plays all scenes against one mutant after the other, in one warm process: the resolver under test is loaded anew for
 * each, the worlds that it is asked in are those of the untouched source.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { readScenes, type Scene } from '../dns/scenario/text.ts';
import type * as Player from '../dns/scenario/player.ts';
import type * as Vectors from './vectors.ts';
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
    path.startsWith('test/dns/internet') ||
    path.startsWith('test/dns/vectors') ||
    path.startsWith('test/mutation/vectors')
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

/** Who noticed a mutant. */
export interface Noticed {
  readonly by: 'octets' | 'scene';
  /** The scene, or what is wrong. */
  readonly what: string;
  /** The worker is at its end. */
  readonly isEnd?: boolean;
}

export interface Played {
  readonly noticed: Noticed | undefined;
}

/** What has to be known of the scenes is known: from here on a mutant has its time. */
export interface Begun {
  readonly begun: true;
}

interface Order {
  readonly id: number;
  readonly mutant: Mutant | undefined;
  /** The scene that noticed it before. */
  readonly first: string | undefined;
}

port.on('message', (order: Order) => {
  current = order;
  void judge(order).then((noticed) => {
    port.postMessage({ noticed } satisfies Played);
  });
});

/** Scenes that noticed a mutant lately: they may well notice the next one. */
let recent: Scene[] = [];

async function judge({ id, mutant, first }: Order): Promise<Noticed | undefined> {
  if (mutant && reached === undefined) reached = await reach();
  port?.postMessage({ begun: true } satisfies Begun);
  let player: typeof Player;
  try {
    const vectors = (await import(`./vectors.ts?mutant=${id}`)) as typeof Vectors;
    const wrong = vectors.wrongVector();
    if (wrong !== undefined) return { by: 'octets', what: wrong };
    player = await load(id);
  } catch (error) {
    return { by: 'octets', what: `it throws: ${(error as Error).message}` };
  }
  const before = scenes.filter((scene) => scene.title === first);
  const reaching = [...new Set([...before, ...recent, ...scenes])].filter(
    (scene) => !mutant || before.includes(scene) || (reached?.(scene, mutant) ?? true),
  );
  for (const scene of reaching) {
    const problem = notices(player, scene);
    if (problem === undefined) continue;
    recent = [scene, ...recent.filter((other) => other !== scene)].slice(0, 20);
    return { by: 'scene', what: mutant ? scene.title : `${scene.title}: ${problem}` };
  }
  return undefined;
}

async function load(id: number): Promise<typeof Player> {
  return (await import(`../dns/scenario/player.ts?mutant=${id}`)) as typeof Player;
}

/** What goes wrong in a scene. */
function notices(player: typeof Player, scene: Scene): string | undefined {
  // Both ways validate alike: one is enough, where a scene is for both.
  for (const mode of player.modesOf(scene).slice(0, 1)) {
    try {
      const [problem] = player.play(scene, mode);
      if (problem !== undefined) return problem;
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

let reached: ((scene: Scene, mutant: Mutant) => boolean) | undefined;

/** Which scenes come to which place in the source: the others need not be played. */
async function reach(): Promise<(scene: Scene, mutant: Mutant) => boolean> {
  const { mutant, id } = current;
  current = { id: -1, mutant: undefined };
  const player = await load(0);
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const places = new Map<Scene, Map<string, readonly Range[]>>();
  const times = new Map<Scene, number>();
  for (const scene of scenes) {
    const begun = performance.now();
    notices(player, scene);
    times.set(scene, performance.now() - begun);
    session.post('Profiler.takePreciseCoverage', (_, coverage) => {
      const files = new Map<string, readonly Range[]>();
      for (const script of coverage.result) {
        // The worlds use some of these files as well, untouched.
        if (!script.url.includes('/src/dns/dnssec/') || !script.url.endsWith('?mutant=0')) continue;
        const ranges = script.functions.flatMap((f) => f.ranges);
        files.set(
          script.url.split('?')[0] ?? '',
          ranges.map((r) => ({ start: r.startOffset, end: r.endOffset, count: r.count })),
        );
      }
      places.set(scene, files);
    });
  }
  session.post('Profiler.stopPreciseCoverage');
  session.disconnect();
  current = { id, mutant };
  // The quick ones first.
  scenes.sort((a, b) => (times.get(a) ?? 0) - (times.get(b) ?? 0));
  return (scene, { file, reachedAt, isTop }) => {
    // What runs while a module is loaded has run before any scene.
    if (isTop) return true;
    const ranges = places.get(scene)?.get(new URL(file, root).href) ?? [];
    const around = ranges.filter((r) => r.start > 0 && r.start <= reachedAt && reachedAt < r.end);
    const innermost = around.sort((a, b) => a.end - a.start - (b.end - b.start))[0];
    return (innermost?.count ?? 0) > 0;
  };
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}
