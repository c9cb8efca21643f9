import { expect } from 'vitest';
import { defaultPolicy, type Policy } from '../../src/oe/policy.ts';
import {
  alice,
  bob,
  bogusKeyName,
  bogusName,
  carol,
  insecureName,
  plainName,
  silentName,
  wrongKeyName,
} from './internet.ts';
import { checkAnswer, checkIdle, checkStep, checkStopped } from './invariants.ts';
import { SeededRandom } from './random.ts';
import { World, type Host } from './world.ts';

/** How one run ended. */
export interface Run {
  readonly steps: number;
  /** Pairs of hosts between which a handshake was wanted. */
  readonly wanted: number;
  /** Of these, those that ended with an SA. */
  readonly protectedPairs: number;
}

const lossy = { loss: 0.3, duplication: 0.1, delay: [1, 40] } as const;
const privatePolicy: Policy = { ...defaultPolicy, outbound: 'private' };
/** Longer than anything that an agent does by itself about a handshake: retransmissions, probes, reserved SPIs. */
const restMs = 300_000;

/** Plays the run that `seed` stands for, told to `trace`; throws at the first step that breaks an invariant. */
export function play(seed: number, trace?: string[]): Run {
  const world = new World({ seed, network: lossy, check: checkStep, checkAnswer });
  world.trace = trace;
  // A generator of its own, so that what is chosen does not depend on how much the agents draw.
  const choice = new SeededRandom(seed ^ 0x5eed);
  const wantsCarol = choice.chance(0.15);
  const specs = wantsCarol ? [alice, bob, carol] : [alice, bob];
  const hosts = specs.map((spec) =>
    world.add(spec, {
      identified: spec === bob || choice.chance(0.5),
      ...(choice.chance(0.25) ? { policy: privatePolicy } : {}),
    }),
  );
  const pairs = new Set<string>();
  const look = (from: Host, to: Host, afterMs: number): void => {
    // Who has no key to prove, though one is published, is not to be reached under protection.
    if (to.options.identified) pairs.add([from.spec.name, to.spec.name].sort().join(' '));
    world.after(afterMs, () => {
      from.ask(to.spec.name);
    });
  };
  const [a, b] = hosts;
  if (!a || !b) throw new Error('a world of two at least');
  look(a, b, 0);
  if (choice.chance(0.5)) look(b, a, choice.pick([0, choice.between(0, 5), choice.between(0, 120)]));
  if (choice.chance(0.3)) look(a, b, choice.between(0, 3_000));
  for (const c of hosts.slice(2)) {
    look(c, choice.pick([a, b]), choice.between(0, 60));
    look(choice.pick([a, b]), c, choice.between(0, 60));
  }
  if (choice.chance(0.3)) {
    const other = choice.pick([plainName, bogusName, wrongKeyName, bogusKeyName, insecureName, silentName]);
    world.after(choice.between(0, 200), () => {
      a.ask(other);
    });
  }
  const accident = choice.chance(0.05);
  const victim = choice.pick([a, b]);
  if (accident) {
    world.after(choice.between(0, 3_000), () => {
      victim.restart();
    });
  }
  world.run(restMs);
  checkIdle(world, accident);
  const protectedPairs = [...pairs].filter((pair) => {
    const [x, y] = pair.split(' ').map((name) => hosts.find((h) => h.spec.name === name));
    return x && y && (x.agent.view.peers.find(y.spec.address)?.live.length ?? 0) > 0;
  }).length;
  for (const host of hosts) host.stop();
  world.run(60_000);
  checkStopped(world);
  return { steps: world.steps, wanted: pairs.size, protectedPairs };
}

/** Seeds `first` to `first + count - 1`; OE_SEED plays that one alone and prints what happened. */
export function playMany(first: number, count: number): void {
  const wantedSeed = process.env['OE_SEED'];
  const seeds =
    wantedSeed === undefined ? Array.from({ length: count }, (_, i) => first + i) : [Number(wantedSeed)];
  let wanted = 0;
  let got = 0;
  for (const seed of seeds) {
    const run = playOrTell(seed, wantedSeed !== undefined);
    wanted += run.wanted;
    got += run.protectedPairs;
  }
  if (wantedSeed !== undefined) return;
  expect(wanted).toBeGreaterThanOrEqual(count);
  // What is missing: six tries lost one after the other, a restart at the wrong moment, and hosts whose rules let
  // nobody in who has no key to prove.
  expect(got / wanted).toBeGreaterThan(0.85);
}

function playOrTell(seed: number, tracing: boolean): Run {
  const trace: string[] | undefined = tracing ? [] : undefined;
  try {
    return play(seed, trace);
  } catch (error) {
    console.error(`The run of seed ${seed} fails. To see it: OE_SEED=${seed} npx vitest run test/sim`);
    throw error;
  } finally {
    if (trace) console.log(trace.join('\n'));
  }
}
