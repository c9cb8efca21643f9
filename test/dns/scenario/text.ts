/** The text of scenes: see `test/dns/scenarios/README.md`. */

/** A line in words, and where it stands. */
export interface Line {
  readonly words: readonly string[];
  readonly at: string;
}

/** A scene: what happens in it, the beginning that the scenes of its file share included. */
export interface Scene {
  readonly title: string;
  readonly lines: readonly Line[];
}

/** Reads a file of scenes; `included` gives the lines of what it uses. Throws SyntaxError with the place. */
export function readScenes(text: string, file: string, included: (name: string) => string): Scene[] {
  const shared: Line[] = [];
  const scenes: { title: string; lines: Line[] }[] = [];
  for (const line of linesOf(text, file, included)) {
    const [command, ...rest] = line.words;
    if (command === 'scene') scenes.push({ title: rest.join(' '), lines: [] });
    else (scenes.at(-1)?.lines ?? shared).push(line);
  }
  return scenes.map(({ title, lines }) => ({ title, lines: [...shared, ...lines] }));
}

function linesOf(text: string, file: string, included: (name: string) => string): Line[] {
  return text.split('\n').flatMap((content, i) => {
    const words = wordsOf(content);
    const [command, name = ''] = words;
    if (command === undefined) return [];
    if (command === 'use') return linesOf(included(name), name, included);
    if (command === '$GENERATE') return generated(words, `${file}:${i + 1}`);
    return [{ words, at: `${file}:${i + 1}` }];
  });
}

/** Words of a line; `"…"` is one word, `;` begins a comment. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word, quoted] of line.matchAll(/"([^"]*)"|;.*|[^\s;]+/g)) {
    if (quoted !== undefined) words.push(quoted);
    else if (!word.startsWith(';')) words.push(word);
  }
  return words;
}

/** `$GENERATE 0-11 n$.example.org CNAME n${1}.example.org`, as BIND has it: `$` counts, `${1}` is one further. */
function generated(words: readonly string[], at: string): Line[] {
  const [, range = '', ...template] = words;
  const [first = 0, last = 0] = range.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => ({
    words: template.map((word) =>
      word
        .replaceAll(/\$\{(-?\d+)\}/g, (_all, offset: string) => String(first + i + Number(offset)))
        .replaceAll('$', String(first + i)),
    ),
    at,
  }));
}

/** `name=value` and bare words among options. */
export function optionsOf(words: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    words.map((word) => {
      const at = word.indexOf('=');
      return at < 0 ? [word, ''] : [word.slice(0, at), word.slice(at + 1)];
    }),
  );
}
