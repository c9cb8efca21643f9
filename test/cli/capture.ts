import { vi } from 'vitest';
import { runCli } from '../../src/cli/program.ts';

export interface Captured {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `oe` in this process, as a script would see it: no terminal, no colours. */
export async function oe(...argv: readonly string[]): Promise<Captured> {
  const written = { stdout: '', stderr: '' };
  const catching = (['stdout', 'stderr'] as const).map((stream) =>
    vi.spyOn(process[stream], 'write').mockImplementation((chunk: unknown) => {
      written[stream] += String(chunk);
      return true;
    }),
  );
  try {
    const code = await runCli(argv, '0.0.0-test');
    return { code, ...written };
  } finally {
    for (const one of catching) one.mockRestore();
  }
}
