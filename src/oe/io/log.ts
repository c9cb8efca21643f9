import { pino } from 'pino';
import type { LogEvent } from '../../log.ts';
import { formatAddress } from '../../net/address.ts';
import { printable } from '../text.ts';

export type Log = (event: LogEvent) => void;

/** JSON lines on standard output for journald and files; short lines for a person at a terminal. */
export function openLog(level: LogEvent['level'], terminal: boolean): Log {
  if (terminal) {
    const least = rank(level);
    return (event) => {
      if (rank(event.level) >= least) process.stdout.write(`${line(event)}\n`);
    };
  }
  const logger = pino({ level, base: null }, pino.destination({ fd: 1, sync: true }));
  return (event) => {
    const { level: at, event: name, ...fields } = event;
    if (logger.isLevelEnabled(at)) logger[at]({ event: name, ...plain(fields) });
  };
}

function rank(level: LogEvent['level']): number {
  return ['trace', 'debug', 'info', 'warn', 'error'].indexOf(level);
}

/** `12:03:04.120 warn  ike.failed peer=198.18.2.10 why="no reply"`. */
function line(event: LogEvent): string {
  const { level, event: name, ...fields } = event;
  const words = Object.entries(plain(fields)).map(([key, value]) => {
    const text = typeof value === 'string' ? printable(value) : (JSON.stringify(value) as string | undefined);
    if (text === undefined) return '';
    return `${key}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
  });
  return [new Date().toISOString().slice(11, 23), level.padEnd(5), name, ...words].join(' ').trimEnd();
}

/** Addresses as text, big numbers as hexadecimal, octets by their number. */
function plain(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, plainValue(value)]));
}

function plainValue(value: unknown): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (value instanceof Uint8Array) return `<${value.length} octets>`;
  if (typeof value === 'object' && value !== null && 'family' in value && 'octets' in value) {
    return formatAddress(value as Parameters<typeof formatAddress>[0]);
  }
  return value;
}
