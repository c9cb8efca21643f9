import { test } from 'vitest';
import { playMany } from './handshakes.ts';

test('2,500 seeded handshakes on a network that loses 30 % keep every invariant, part 4 of 4', () => {
  playMany(7501, 2_500);
}, 300_000);
