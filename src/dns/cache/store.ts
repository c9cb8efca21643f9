interface Slot<V> {
  readonly value: V;
  octets: number;
  /** It was got since it was last spared. */
  used: boolean;
}

/**
 * Values by key, bounded by the memory that they take: the clock algorithm. The oldest go first, but one that somebody
 * got is spared and counts as new again. So what is in use stays for the cost of setting a flag, and a flood of keys
 * that are asked once (a scan, random labels) pushes out itself.
 */
export class Store<V> {
  // The oldest first. A new iterator would pass over all that was deleted since; one that is kept goes on where it was.
  readonly #slots = new Map<string, Slot<V>>();
  readonly #limitOctets: number;
  #oldest: Iterator<[string, Slot<V>]>;
  #octets = 0;

  constructor(limitOctets: number) {
    this.#limitOctets = limitOctets;
    this.#oldest = this.#slots.entries();
  }

  get size(): number {
    return this.#slots.size;
  }

  /** Memory that it takes, about. */
  get octets(): number {
    return this.#octets;
  }

  /** The value, which counts as used. */
  get(key: string): V | undefined {
    const slot = this.#slots.get(key);
    if (!slot) return undefined;
    slot.used = true;
    return slot.value;
  }

  /** The value, without any effect. */
  peek(key: string): V | undefined {
    return this.#slots.get(key)?.value;
  }

  /** Puts `value` in; what has to go for it is gone then, the value itself if it is larger than everything allowed. */
  set(key: string, value: V, octets: number): void {
    const before = this.#slots.get(key);
    this.#octets += octets - (before?.octets ?? 0);
    this.#slots.set(key, { value, octets, used: before?.used ?? false });
    this.#makeRoom();
  }

  /** A value that is there takes this much now. */
  weigh(key: string, octets: number): void {
    const slot = this.#slots.get(key);
    if (!slot) return;
    this.#octets += octets - slot.octets;
    slot.octets = octets;
    this.#makeRoom();
  }

  delete(key: string): boolean {
    const slot = this.#slots.get(key);
    if (!slot) return false;
    this.#slots.delete(key);
    this.#octets -= slot.octets;
    return true;
  }

  clear(): void {
    this.#slots.clear();
    this.#octets = 0;
    this.#oldest = this.#slots.entries();
  }

  /** Everything, the oldest first; deleting on the way is allowed. */
  *entries(): Generator<[string, V]> {
    for (const [key, { value }] of this.#slots) yield [key, value];
  }

  #makeRoom(): void {
    while (this.#octets > this.#limitOctets && this.#slots.size > 0) {
      let next = this.#oldest.next();
      if (next.done) {
        this.#oldest = this.#slots.entries();
        next = this.#oldest.next();
        if (next.done) return;
      }
      const [key, slot] = next.value;
      if (slot.used && this.#slots.size > 1) {
        slot.used = false;
        this.#slots.delete(key);
        this.#slots.set(key, slot);
      } else this.delete(key);
    }
  }
}
