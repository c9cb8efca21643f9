import { expect, test } from 'vitest';
import { explore, type Action, type Search } from './explore.ts';

/**
 * All interleavings of two hosts that do something at the same time. Each line is searched to a depth that takes a
 * second or two; OE_DEPTH=12 searches all of them so deep, which takes long (docs/TESTING.md has the count).
 */
const searches: readonly (readonly [readonly Action[], Search['lowest'], number])[] = [
  [['a rekeys the child', 'b rekeys the child'], 'a asks', 6],
  [['a rekeys the child', 'b rekeys the child'], 'a answers', 6],
  [['a rekeys the IKE SA', 'b rekeys the IKE SA'], 'a asks', 6],
  [['a rekeys the IKE SA', 'b rekeys the IKE SA'], 'a answers', 6],
  [['a rekeys the child', 'b rekeys the IKE SA'], 'a asks', 5],
  [['a rekeys the child', 'b deletes the child'], 'a asks', 5],
  [['a rekeys the IKE SA', 'b deletes the child'], 'a asks', 5],
  [['a rekeys the IKE SA', 'b deletes the IKE SA'], 'a asks', 5],
  [['a deletes the child', 'b deletes the child'], 'a asks', 5],
  [['a deletes the IKE SA', 'b deletes the IKE SA'], 'a asks', 5],
  [['a deletes the child', 'a wants a child', 'b wants a child'], 'a asks', 5],
  [['a deletes the child', 'b wants a child', 'a rekeys the IKE SA'], 'b asks', 5],
  [['a rekeys the child', 'b rekeys the child', 'a rekeys the IKE SA'], 'a asks', 5],
];

const wanted = Number(process.env['OE_DEPTH'] ?? 0);

test.each(searches)(
  '%j, in every order, with a loss and a duplicate: what is sent arrives, and one child is left (lowest: %s)',
  (actions, lowest, depth) => {
    const found = explore({ depth: wanted || depth, actions, lowest, losses: 1, doubles: 1 });
    if (wanted > 0)
      console.log(`${actions.join(', ')}: ${found.states} states, ${found.ends} ways to the end`);
    expect(found.wrong).toEqual([]);
    expect(found.states).toBeGreaterThan(10);
  },
  wanted > 0 ? 36_000_000 : 60_000,
);
