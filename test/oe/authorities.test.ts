import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { loadAuthorities } from '../../src/oe/io/authorities.ts';
import { certificate } from '../dns/certificate.ts';

const directory = mkdtempSync(join(tmpdir(), 'oe-authorities-'));

afterAll(() => {
  rmSync(directory, { recursive: true });
});

test('every certificate of ca-file is taken, whatever stands between them', () => {
  const [one, two] = [certificate({ isAuthority: true }).cert, certificate({ isAuthority: true }).cert];
  const found = loadAuthorities(file(`# ours\n${one}\nsubject=/CN=two\n${two}`));
  expect(found.map((pem) => `${pem}\n`)).toEqual([one, two]);
  expect(loadAuthorities(undefined)).toEqual([]);
});

test.each([
  ['nothing in it', 'hello', /has no certificate in PEM/],
  [
    'one that is cut',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    /Certificate 1 in .* cannot be read/,
  ],
])('a ca-file with %s stops the start', (_, text, why) => {
  expect(() => loadAuthorities(file(text))).toThrow(why);
});

test('a ca-file that is not there stops the start', () => {
  expect(() => loadAuthorities(join(directory, 'none.pem'))).toThrow(/cannot be read/);
});

function file(text: string): string {
  const path = join(directory, 'ca.pem');
  writeFileSync(path, text);
  return path;
}
