import { expect, test } from 'vitest';
import { Watching } from '../../src/oe/watching.ts';
import { instant } from '../../src/time.ts';
import { address, childTo, Stage } from './stage.ts';

test('SAs that change while the host stops are not looked at, and nothing is due for ever', () => {
  const stage = new Stage();
  const there = '198.18.2.10';
  stage.established(childTo(there, { kind: 'anonymous' }));
  const peer = stage.peers.find(address(there));
  if (!peer) throw new Error('no peer');
  const watching = new Watching();
  watching.changed(peer, instant(1_000));
  expect(watching.deadline).toMatchObject({ at: 1_000 });
  watching.close();
  watching.changed(peer, instant(2_000));
  expect(watching.deadline).toBeUndefined();
});
