import { concatOctets } from '../wire/octets.ts';

/** A message as it goes over TCP: after its length in two octets (RFC 1035 §4.2.2), in one piece (RFC 7766 §8). */
export function framed(message: Uint8Array): Uint8Array {
  if (message.length > 0xffff) throw new RangeError(`a message of ${message.length} octets does not fit TCP`);
  return concatOctets(new Uint8Array([message.length >> 8, message.length & 0xff]), message);
}

/** Cuts the octets of one TCP connection into messages; keeps less than one message between calls. */
export class FrameReader {
  /** What has come of the message at hand, its length before it; grows as needed, to 65537 octets at most. */
  #buffer = new Uint8Array(512);
  #length = 0;

  /** Octets of a message that has begun and not ended are there. */
  get isInside(): boolean {
    return this.#length > 0;
  }

  /** The messages that `chunk` completes, in order; owned. */
  push(chunk: Uint8Array): Uint8Array[] {
    const messages: Uint8Array[] = [];
    for (let at = 0; at < chunk.length;) {
      const wanted = this.#length < 2 ? 2 : 2 + this.#messageLength();
      const piece = chunk.subarray(at, at + wanted - this.#length);
      this.#append(piece);
      at += piece.length;
      if (this.#length < 2 || this.#length < 2 + this.#messageLength()) continue;
      messages.push(this.#buffer.slice(2, this.#length));
      this.#length = 0;
    }
    return messages;
  }

  /** Of the message at hand, of which two octets are there. */
  #messageLength(): number {
    return ((this.#buffer[0] ?? 0) << 8) | (this.#buffer[1] ?? 0);
  }

  #append(piece: Uint8Array): void {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, this.#buffer.length * 2));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
  }
}
