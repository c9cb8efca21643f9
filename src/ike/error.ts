/**
 * The peer broke or refused the protocol: "stop reading this message". Expected outcomes (no proposal in
 * common, a signature that does not verify) are values, not this.
 */
export class PeerError extends Error {
  readonly fault: 'malformed' | 'misbehaved' | 'incompatible' | 'unauthenticated';
  /** What RFC 7296 §3.10.1 has us send back where an answer is due: a number of `NotifyType`. */
  readonly notify: number;
  /** The data of that notification, e.g. the group we want (INVALID_KE_PAYLOAD). */
  readonly data: Uint8Array;

  constructor(
    fault: PeerError['fault'],
    notify: number,
    message: string,
    data: Uint8Array = new Uint8Array(0),
  ) {
    super(message);
    this.name = 'PeerError';
    this.fault = fault;
    this.notify = notify;
    this.data = data;
  }
}
