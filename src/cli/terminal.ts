/** How text may look where it goes. */
export interface Look {
  readonly colour: boolean;
  /** Columns; Infinity where the output is no terminal. */
  readonly width: number;
}

export type Colour = 'red' | 'yellow' | 'green' | 'dim' | 'bold';

/** Colours only where a person looks and has not said NO_COLOR (https://no-color.org). */
export function lookOf(stream: { isTTY?: boolean; columns?: number }, env: NodeJS.ProcessEnv): Look {
  const terminal = stream.isTTY === true;
  const colour = terminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
  // A serial console says 0 where it does not know.
  const width = stream.columns !== undefined && stream.columns > 0 ? stream.columns : 80;
  return { colour, width: terminal ? width : Number.POSITIVE_INFINITY };
}

export function paint(look: Look, colour: Colour, text: string): string {
  if (!look.colour) return text;
  const code = { red: 31, yellow: 33, green: 32, dim: 2, bold: 1 }[colour];
  return `\u001b[${code}m${text}\u001b[0m`;
}

/** Rows as columns two spaces apart; the last column is not padded. Widths count characters, not colours. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, visible(cell))));
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell + ' '.repeat((widths[i] ?? 0) - visible(cell))))
      .join('  ')
      .trimEnd(),
  );
}

/** `text` broken at spaces so that no line is wider than the terminal, each line after the first indented. */
export function wrapped(look: Look, text: string, indent: number): string {
  const room = Math.max(20, Math.min(look.width, 100) - indent);
  if (!Number.isFinite(look.width)) return text;
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && visible(line) + 1 + visible(word) > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.join(`\n${' '.repeat(indent)}`);
}

function visible(text: string): number {
  // eslint-disable-next-line no-control-regex
  return [...text.replaceAll(/\u001b\[\d+m/g, '')].length;
}
