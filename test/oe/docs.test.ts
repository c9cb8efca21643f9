/** What the documents say of the configuration is so. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { defaultConfig } from '../../src/oe/config.ts';
import { readConfig, settingNames } from '../../src/oe/io/config-file.ts';
import { limitSettings } from '../../src/oe/limits.ts';

const top = `${import.meta.dirname}/../../`;
const page = readFileSync(`${top}docs/CONFIGURATION.md`, 'utf8');

/** A row of the tables, with the table of the configuration that its section is about. */
interface Row {
  readonly table: string;
  readonly key: string;
  readonly type: string;
  readonly preset: string;
  readonly what: string;
}

function rows(): Row[] {
  let table = '';
  return page.split('\n').flatMap((line) => {
    const head = /^## `\[+([^\]]+)\]+`$/.exec(line);
    if (head) table = head[1] ?? '';
    const cells = /^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \| (.+) \|$/.exec(line);
    if (!cells) return [];
    const [, key = '', type = '', preset = '', what = ''] = cells;
    return [{ table, key, type, preset, what }];
  });
}

test('every setting has a row in docs/CONFIGURATION.md, in the section of its table, and no row is of none', () => {
  const tables = new Set(rows().map((r) => r.table));
  // What is a table of its own has a section instead.
  const settings = settingNames.filter((name) => !tables.has(name));
  expect(
    rows()
      .map((r) => `${r.table}.${r.key}`)
      .toSorted(),
  ).toEqual(settings.toSorted());
});

test('a default that the page writes as TOML is the default', () => {
  const written = rows().filter((r) => r.preset.startsWith('`'));
  expect(written.length).toBeGreaterThan(40);
  for (const { table, key, preset } of written) {
    const text = `[${table}]\n${key} = ${preset.replaceAll('`', '')}\n`;
    expect([text, readConfig(text)]).toEqual([text, { ok: true, config: defaultConfig }]);
  }
});

test('the ranges of the limits are those that hold', () => {
  const limits = rows().filter((r) => r.table === 'dns.limits');
  expect(limits.map((r) => [r.key, r.type])).toEqual(
    Object.entries(limitSettings).map(([key, { least, most }]) => [key, `number, ${least} to ${most}`]),
  );
});

const documents = [
  'README.md',
  ...readdirSync(`${top}docs`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file}`),
];

test('every example of a configuration in README and docs is accepted', () => {
  const examples = documents.flatMap((file) =>
    [...readFileSync(top + file, 'utf8').matchAll(/^```toml\n(.*?)^```$/gms)].map((m) => [file, m[1] ?? '']),
  );
  expect(examples.length).toBeGreaterThan(8);
  for (const [file, text = ''] of examples) {
    const read = readConfig(text);
    expect([file, text, read.ok ? [] : read.problems]).toEqual([file, text, []]);
  }
});
