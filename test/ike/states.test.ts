import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { shapes } from '../../src/ike/shapes.ts';

const root = join(import.meta.dirname, '../..');
const states = readFileSync(join(root, 'docs/STATES.md'), 'utf8');
const session = readFileSync(join(root, 'src/ike/session.ts'), 'utf8');

test('docs/STATES.md has every phase of the code, and no other', () => {
  const inCode = [...session.matchAll(/readonly phase: '(\w+)'/g)].map((m) => m[1]);
  expect(inCode.length).toBeGreaterThan(4);
  expect(firstColumn('phase')).toEqual(inCode);
});

test('docs/STATES.md has every timer of the code, and no other', () => {
  const union = /export type Timer =([^;]+);/.exec(session)?.[1] ?? '';
  expect(firstColumn('timer')).toEqual([...union.matchAll(/'(\w+)'/g)].map((m) => m[1]));
});

test('docs/STATES.md has every state of a child, and no other', () => {
  const union = /^ {2}state: ([^;]+);/m.exec(session)?.[1] ?? '';
  expect(firstColumn('child')).toEqual([...union.matchAll(/'(\w+)'/g)].map((m) => m[1]));
});

test('docs/STATES.md tells of each message what the code demands', () => {
  for (const { story, once, atMostOnce } of Object.values(shapes)) {
    expect(states).toContain(`| ${story} | ${once.join(', ')} | ${atMostOnce.join(', ')}`.trimEnd());
  }
});

/** The names in the first column of the table whose heading begins with `heading`. */
function firstColumn(heading: string): string[] {
  const table = states.split(`| ${heading} |`)[1]?.split('\n\n')[0] ?? '';
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map((m) => m[1] ?? '');
}
