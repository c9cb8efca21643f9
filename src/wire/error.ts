/** Octets that do not say what their format says they must; the only error that a decoder throws. */
export class WireError extends Error {
  /** Offset in the outermost message, octets. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(`${message} at octet ${offset}`);
    this.name = 'WireError';
    this.offset = offset;
  }
}

/** What a decoder made of octets that came from outside. */
export type Decoded<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };
