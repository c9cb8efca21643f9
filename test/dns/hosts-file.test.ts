import { mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { Hosts } from '../../src/dns/hosts.ts';
import { HostsFile } from '../../src/dns/io/hosts.ts';
import { nameText } from '../../src/dns/name.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-hosts-'));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

test('a hosts file is read at the first question, and again only when it has changed', () => {
  const { path, look, pass } = opened('plain');
  writeFileSync(path, '198.18.7.1 a.example\n');
  expect(look()).toEqual(['a.example']);
  pass(1_000);
  expect(look()).toBeUndefined();
  writeFileSync(path, '198.18.7.1 a.example b.example\n');
  pass(1_000);
  expect(look()).toEqual(['a.example', 'b.example']);
});

test('the file is looked at once a second at the most', () => {
  const { path, look, pass } = opened('often');
  writeFileSync(path, '198.18.7.1 a.example\n');
  look();
  writeFileSync(path, '198.18.7.1 b.example and.more.example\n');
  pass(999);
  expect(look()).toBeUndefined();
  pass(1);
  expect(look()).toEqual(['b.example', 'and.more.example']);
});

test('a file that is put in place of the old one, with the same length, is noticed', () => {
  const { path, look, pass } = opened('renamed');
  writeFileSync(path, '198.18.7.1 a.example\n');
  look();
  writeFileSync(`${path}.new`, '198.18.7.1 b.example\n');
  renameSync(`${path}.new`, path);
  pass(1_000);
  expect(look()).toEqual(['b.example']);
});

test('a file that is not there says nothing, and no complaint is made of it', () => {
  const { path, look, pass, complaints } = opened('gone');
  expect(look()).toEqual([]);
  writeFileSync(path, '198.18.7.1 a.example\n');
  pass(1_000);
  expect(look()).toEqual(['a.example']);
  rmSync(path);
  pass(1_000);
  expect(look()).toEqual([]);
  expect(complaints).toEqual([]);
});

test('what is no file, or one without end, counts as empty, and that is told once', () => {
  const directory = opened('.');
  expect(directory.look()).toEqual([]);
  directory.pass(1_000);
  expect(directory.look()).toBeUndefined();
  expect(directory.complaints).toEqual([expect.stringContaining('is not a file')]);

  const long = opened('long');
  writeFileSync(long.path, '198.18.7.1 a.example\n');
  truncateSync(long.path, 33 * 1_024 * 1_024);
  expect(long.look()).toEqual([]);
  expect(long.complaints).toEqual([expect.stringContaining('longer than')]);
});

/** The hosts file `name`, looked at by a clock that is set by hand. */
function opened(name: string): {
  readonly path: string;
  readonly look: () => string[] | undefined;
  readonly pass: (milliseconds: number) => void;
  readonly complaints: string[];
} {
  const path = join(scratch, name);
  const complaints: string[] = [];
  let now = 0;
  const file = new HostsFile(
    path,
    (why) => complaints.push(why),
    () => now,
  );
  const namesOf = (hosts: Hosts): string[] => [...hosts.addresses.keys()].map(nameText);
  return {
    path,
    look: () => {
      const hosts = file.changed();
      return hosts && namesOf(hosts);
    },
    pass: (milliseconds) => {
      now += milliseconds;
    },
    complaints,
  };
}
