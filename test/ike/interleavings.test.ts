import { expect, test } from 'vitest';
import { explore, type Action, type Search } from './explore.ts';

/**
 * All interleavings of two hosts that do something at the same time: to depth 12 where the network loses nothing, and
 * to depth 4 with a loss and a duplicate. OE_DEPTH=12 searches with both so deep, which takes an hour or so.
 */
const searches: readonly (readonly [readonly Action[], Search['lowest']])[] = [
  [['a rekeys the child', 'b rekeys the child'], 'a asks'],
  [['a rekeys the child', 'b rekeys the child'], 'a answers'],
  [['a rekeys the IKE SA', 'b rekeys the IKE SA'], 'a asks'],
  [['a rekeys the IKE SA', 'b rekeys the IKE SA'], 'a answers'],
  [['a rekeys the child', 'b rekeys the IKE SA'], 'a asks'],
  [['a rekeys the child', 'b deletes the child'], 'a asks'],
  [['a rekeys the IKE SA', 'b deletes the child'], 'a asks'],
  [['a rekeys the IKE SA', 'b deletes the IKE SA'], 'a asks'],
  [['a deletes the child', 'b deletes the child'], 'a asks'],
  [['a deletes the IKE SA', 'b deletes the IKE SA'], 'a asks'],
  [['a deletes the child', 'a wants a child', 'b wants a child'], 'a asks'],
  [['a deletes the child', 'b wants a child', 'a rekeys the IKE SA'], 'b asks'],
];

const wanted = Number(process.env['OE_DEPTH'] ?? 0);

test.each(searches)(
  '%j, in every order: what is sent arrives, and one child is left (lowest nonce: %s)',
  (actions, lowest) => {
    const bad = { actions, lowest, losses: 1, doubles: 1 };
    const found = [
      explore({ depth: 12, actions, lowest, losses: 0, doubles: 0 }),
      explore({ ...bad, depth: wanted || 4 }),
    ];
    if (wanted > 0) {
      const counts = found.map((f) => `${f.states} states, ${f.ends} ways to the end`).join('; ');
      console.log(`${actions.join(', ')} (${lowest}): ${counts}`);
    }
    expect(found.flatMap((f) => f.wrong)).toEqual([]);
    expect(Math.min(...found.map((f) => f.states))).toBeGreaterThan(10);
  },
  wanted > 0 ? 36_000_000 : 120_000,
);
