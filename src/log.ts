/**
 * An event for the log: a fixed dotted name and values. Names and addresses of what users look up belong
 * to level `debug`; a stub's log is otherwise a browsing history.
 */
export interface LogEvent {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error';
  /** E.g. `ike.established`. */
  readonly event: string;
  readonly [field: string]: unknown;
}
