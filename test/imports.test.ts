import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../src');

/** Which parts a part may import, as docs/ARCHITECTURE.md draws it. */
const allowed: Record<string, readonly string[]> = {
  wire: [],
  vocabulary: ['wire', 'net'],
  net: ['wire', 'vocabulary'],
  dns: ['net', 'wire', 'vocabulary'],
  ike: ['net', 'wire', 'vocabulary'],
  kernel: ['net', 'wire', 'vocabulary'],
  oe: ['dns', 'ike', 'kernel', 'net', 'wire', 'vocabulary'],
  cli: ['oe', 'dns', 'ike', 'kernel', 'net', 'wire', 'vocabulary'],
  main: ['cli', 'oe', 'dns', 'ike', 'kernel', 'net', 'wire', 'vocabulary'],
};

/** Cores that may compute with `node:crypto`, which is synchronous and keeps no state. */
const cryptoFiles = /^(ike\/crypto\/[^/]+|dns\/dnssec\/crypto|dns\/anchors\/cms)\.ts$/;

const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.ts'));

test('imports run as the architecture draws them', () => {
  const wrong: string[] = [];
  for (const file of files) {
    for (const to of importsOf(file)) {
      if (!to.startsWith('.')) continue;
      const target = relative(root, normalize(join(root, dirname(file), to)));
      const [from, into] = [partOf(file), partOf(target)];
      if (from !== into && !allowed[from]?.includes(into)) wrong.push(`${file} imports ${target}`);
      if (!isEdge(file) && isEdge(target)) wrong.push(`${file} is core and imports the edge: ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('only the edge imports node: modules and packages', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter(
        (to) => !to.startsWith('.') && !isEdge(file) && !(to === 'node:crypto' && cryptoFiles.test(file)),
      )
      .map((to) => `${file} imports ${to}`),
  );
  expect(wrong).toEqual([]);
});

test('only the edge reads clocks, sets timers and draws random numbers', () => {
  const ambient =
    /\b(Date\.now|new Date\(\)|performance\.|setTimeout|setInterval|setImmediate|Math\.random|randomBytes|randomFillSync|randomUUID)/;
  const wrong = files.filter((file) => !isEdge(file) && ambient.test(codeOf(file)));
  expect(wrong).toEqual([]);
});

function partOf(file: string): string {
  const [first = '', second] = file.split('/');
  if (second !== undefined) return first;
  return first === 'main.ts' ? 'main' : 'vocabulary';
}

function isEdge(file: string): boolean {
  return file === 'main.ts' || file.startsWith('cli/') || /(^|\/)io\//.test(file);
}

function importsOf(file: string): string[] {
  return [...codeOf(file).matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)'([^'\n]+)'/g)].map((m) => m[1] ?? '');
}

function codeOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(?<=^|\s)\/\/.*$/gm, '');
}
