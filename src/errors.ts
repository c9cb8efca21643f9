/**
 * A problem told to a person: one sentence with the cause and one with the remedy, under a stable code.
 * `exitCode` is the sysexits number that a command ends with.
 */
export class OeError extends Error {
  /** Stable, lower-case with dashes, e.g. `config-invalid`; scripts may match on it. */
  readonly code: string;
  readonly remedy: string;
  readonly exitCode: number;

  constructor(code: string, message: string, remedy: string, exitCode: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'OeError';
    this.code = code;
    this.remedy = remedy;
    this.exitCode = exitCode;
  }
}

/** The exit codes of sysexits(3) that `oe` uses. */
export const Exit = {
  ok: 0,
  /** The command ran and its answer is "no", e.g. `oe doctor` found a fault. */
  no: 1,
  usage: 64,
  dataError: 65,
  unavailable: 69,
  software: 70,
  osError: 71,
  cannotCreate: 73,
  tempFail: 75,
  noPermission: 77,
  config: 78,
} as const;

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
