import { later, type Instant } from '../time.ts';
import { encodeMessage, type IkeHeader, type Message } from './message.ts';
import { Exchange, NotifyType } from './numbers.ts';
import { notify } from './payloads.ts';
import { findNotify } from './shapes.ts';

/** What is said outside of any IKE SA: anybody can forge it, so it is a hint at most, and never answered often. */

/** A message that says, unprotected, that its sender does not know an SA of ours (RFC 7296 §1.5, §2.4). */
export function isLossHint({ header, payloads }: Message): boolean {
  if (header.exchange === Exchange.IKE_SA_INIT || payloads.some((p) => p.kind === 'SK' || p.kind === 'SKF')) {
    return false;
  }
  return (
    findNotify(payloads, NotifyType.INVALID_SPI) !== undefined ||
    findNotify(payloads, NotifyType.INVALID_IKE_SPI) !== undefined
  );
}

/**
 * The answer to a message of a later major version (RFC 7296 §2.5, §1.5): the version that we speak is in its header.
 * Shorter than anything that it answers. Undefined: none is due.
 */
export function versionAnswer(header: IkeHeader): Uint8Array | undefined {
  if (header.majorVersion <= 2 || header.response) return undefined;
  const { spiI, spiR, exchange, messageId, fromInitiator } = header;
  return encodeMessage({ spiI, spiR, exchange, messageId, fromInitiator: !fromInitiator, response: true }, [
    notify(NotifyType.INVALID_MAJOR_VERSION),
  ]);
}

/** Lets something through once for each key in a while, and not for more than so many keys. */
export class OnceInAWhile {
  readonly #whileMs: number;
  readonly #most: number;
  readonly #since = new Map<string, Instant>();

  constructor(whileMs: number, most: number) {
    this.#whileMs = whileMs;
    this.#most = most;
  }

  passes(key: string, now: Instant): boolean {
    // Oldest first.
    for (const [other, since] of this.#since) {
      if (later(since, this.#whileMs) > now) break;
      this.#since.delete(other);
    }
    if (this.#since.has(key) || this.#since.size >= this.#most) return false;
    this.#since.set(key, now);
    return true;
  }
}
