import { messageOf } from '../../errors.ts';
import { formatEndpoint, type Endpoint } from '../../net/address.ts';
import type { FinderEffect } from '../finder.ts';

/** The effect of sending a query to a server. */
export type Ask = Extract<FinderEffect, { readonly kind: 'ask' }>;

/** What becomes of an ask; both may be called more than once, never within the call that asks. */
export interface UpstreamEvents {
  /** Octets that came from the server; whether they answer the question is not looked at. */
  readonly reply: (ask: number, octets: Uint8Array) => void;
  /** Nothing will come any more; `why` is a clause. */
  readonly failed: (ask: number, why: string) => void;
}

/** What carries asks over one transport or two. */
export interface Carrier {
  ask(ask: Ask): void;
  /** Ends the ask: nothing more is reported for it. False where it is not here. */
  release(ask: number, keepMs: number | undefined): boolean;
  /** The host's addresses are others now: what was connected before takes no more asks. */
  renew(): void;
  /** Closes every socket; nothing is reported any more. */
  close(): void;
}

/**
 * Silence of a connection, ms, after which an ask that is given up casts doubt on it: the next one gets a connection
 * of its own, for the old one may have died without a sign.
 */
export const doubtMs = 1_500;

/** `nothing listens at 192.0.2.1:53`, or the system's own words. */
export function failure(endpoint: Endpoint, error: unknown): string {
  const who = formatEndpoint(endpoint);
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return `nothing listens at ${who}`;
    case 'ECONNRESET':
    case 'EPIPE':
      return `${who} reset the connection`;
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return `there is no route to ${who}`;
    case 'EHOSTUNREACH':
      return `${who} cannot be reached`;
    case 'ETIMEDOUT':
      return `${who} does not answer`;
    case 'EACCES':
    case 'EPERM':
      return `this host may not send to ${who}`;
    case 'EMFILE':
    case 'ENFILE':
      return 'there are no file descriptors left';
    default:
      return `asking ${who} failed: ${messageOf(error)}`;
  }
}

export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** The same octets as a plain Uint8Array: a Buffer's slice() would share memory. */
export function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
}
