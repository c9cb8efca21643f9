import { formatAddress, type IpAddress } from '../net/address.ts';
import { later, type Deadline, type Instant } from '../time.ts';

/**
 * The hosts to which nothing may pass unprotected since a name that is `private` leads to them. A name may have other
 * addresses with every lookup, so each block has an end: when no client may use the address any longer that it was told,
 * and not before an hour has passed. What is in use stays. Where as many stand as there may be, the one that has not been
 * asked for longest makes room, if no client may use it any longer; else the new one is not taken, and whoever wanted it
 * must not give the address away.
 */
export class Blocks {
  /** The one that was asked for last stands last. */
  readonly #hosts = new Map<string, Block>();
  readonly #limit: number;
  #due: Instant | undefined;

  constructor(limit: number = blocksAtOnce) {
    this.#limit = limit;
  }

  /**
   * `seconds`: for so long a client may use the address. `isInUse` says which may not make room. `always`: it has been
   * told already, so it is taken above the limit too.
   */
  add(
    address: IpAddress,
    seconds: number,
    now: Instant,
    isInUse: (a: IpAddress) => boolean,
    always = false,
  ): Added {
    const text = formatAddress(address);
    const known = this.#hosts.get(text);
    const gone = known || this.#hosts.size < this.#limit ? undefined : this.#oldest(now, isInUse);
    if (!known && !always && gone === undefined && this.#hosts.size >= this.#limit) return { kind: 'full' };
    const heldUntil = later(now, 1_000 * seconds + graceMs);
    const block: Block = {
      address,
      heldUntil: known && known.heldUntil > heldUntil ? known.heldUntil : heldUntil,
      until: later(now, Math.max(1_000 * seconds, leastMs) + graceMs),
    };
    if (gone) this.#hosts.delete(formatAddress(gone));
    this.#hosts.delete(text);
    this.#hosts.set(text, known && known.until > block.until ? { ...block, until: known.until } : block);
    if (this.#due === undefined || block.until < this.#due) this.#due = block.until;
    if (known) return { kind: 'known' };
    return { kind: 'new', gone };
  }

  has(address: IpAddress): boolean {
    return this.#hosts.has(formatAddress(address));
  }

  remove(address: IpAddress): boolean {
    return this.#hosts.delete(formatAddress(address));
  }

  *all(): IterableIterator<IpAddress> {
    for (const { address } of this.#hosts.values()) yield address;
  }

  /** Ends those whose time is over and that are not in use. */
  expire(now: Instant, isInUse: (address: IpAddress) => boolean): IpAddress[] {
    if (this.#due === undefined || this.#due > now) return [];
    const over: IpAddress[] = [];
    let due: Instant | undefined;
    for (const [text, block] of this.#hosts) {
      if (block.until <= now) {
        if (!isInUse(block.address)) {
          over.push(block.address);
          this.#hosts.delete(text);
          continue;
        }
        block.until = later(now, leastMs);
      }
      if (due === undefined || block.until < due) due = block.until;
    }
    this.#due = due;
    return over;
  }

  get deadline(): Deadline | undefined {
    return this.#due === undefined ? undefined : { at: this.#due, why: 'block' };
  }

  #oldest(now: Instant, isInUse: (address: IpAddress) => boolean): IpAddress | undefined {
    for (const { address, heldUntil } of this.#hosts.values()) {
      if (heldUntil <= now && !isInUse(address)) return address;
    }
    return undefined;
  }
}

/** What came of adding a block; `gone` made room for it. */
export type Added =
  | { readonly kind: 'new'; readonly gone: IpAddress | undefined }
  | { readonly kind: 'known' }
  | { readonly kind: 'full' };

interface Block {
  readonly address: IpAddress;
  /** Until then a client may use the address. */
  readonly heldUntil: Instant;
  until: Instant;
}

/** Each takes three policies in the kernel. */
export const blocksAtOnce = 4_096;
/** Programs keep addresses for longer than their TTL says. */
const leastMs = 3_600_000;
/** The answer is on its way, and clocks round. */
const graceMs = 60_000;
