import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { defaultPaths } from '../../src/oe/config.ts';
import { cacheFile } from '../../src/oe/io/cache-file.ts';

const scratch: string[] = [];

afterEach(() => {
  for (const path of scratch.splice(0)) rmSync(path, { recursive: true, force: true });
});

test('what was kept is loaded, readable by its owner alone, and nothing else is left behind', () => {
  const { directory, file } = fileIn();
  expect(file.load()).toBeUndefined();
  file.keep(Uint8Array.of(1, 2, 3));
  file.keep(Uint8Array.of(4));
  expect([...(file.load() ?? [])]).toEqual([4]);
  expect(statSync(join(directory, 'cache')).mode & 0o777).toBe(0o600);
  expect(readdirSync(directory)).toEqual(['cache']);
});

test('a link that somebody put in the way is not followed', () => {
  const { directory, file } = fileIn();
  const target = join(directory, 'target');
  writeFileSync(target, 'precious');
  symlinkSync(target, join(directory, 'cache.new'));
  symlinkSync(target, join(directory, 'cache'));
  file.keep(Uint8Array.of(1));
  expect(statSync(target).size).toBe(8);
  expect([...(file.load() ?? [])]).toEqual([1]);
});

test('a file that is too large, or a directory that cannot be written, is told and does no harm', () => {
  const told: string[] = [];
  const { directory, file } = fileIn(told);
  writeFileSync(join(directory, 'cache'), new Uint8Array(2_000));
  expect(file.load()).toBeUndefined();
  cacheFile({ ...defaultPaths, stateDirectory: join(directory, 'cache') }, 10, ({ event }) =>
    told.push(event),
  ).keep(Uint8Array.of(1));
  expect(told).toEqual(['cache.unusable', 'cache.unwritable']);
});

function fileIn(told: string[] = []) {
  const directory = mkdtempSync(join(tmpdir(), 'oe-cache-'));
  scratch.push(directory);
  const paths = { ...defaultPaths, stateDirectory: directory };
  return { directory, file: cacheFile(paths, 1_000, ({ event }) => told.push(event)) };
}
