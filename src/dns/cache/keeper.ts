import { later, type Deadline, type Instant, type WallSeconds } from '../../time.ts';
import type { Cache } from './cache.ts';
import type { NameKey } from '../name.ts';
import { entryOfLink, nameOfKey, SavedWriter, type SavedReplies } from './saved.ts';

/** How soon after a change the cache is kept for the next run, ms, and how many of its entries are written at a time: about 1 ms. */
const [keepAfterMs, keptAtOnce] = [600_000, 64];

/** Writes the cache down for the next run: some time after something changed, and a little at a time. */
export class Keeper {
  readonly #cache: Cache;
  readonly #saved: SavedReplies;
  readonly #limitOctets: number;
  readonly #mayKeep: (name: NameKey) => boolean;
  #at: Instant | undefined;
  #writer: SavedWriter | undefined;

  /** `limitOctets`: of what is written; `mayKeep`: whether what is known of a name is of use at the next start. */
  constructor(cache: Cache, saved: SavedReplies, limitOctets: number, mayKeep: (name: NameKey) => boolean) {
    this.#cache = cache;
    this.#saved = saved;
    this.#limitOctets = limitOctets;
    this.#mayKeep = mayKeep;
  }

  get deadline(): Deadline | undefined {
    return this.#at === undefined ? undefined : { at: this.#at, why: 'keeping the cache' };
  }

  /** The cache has got something new. */
  changed(now: Instant): void {
    this.#at ??= later(now, keepAfterMs);
  }

  /** Writes what is due; the file, once it is whole. */
  tick(now: Instant, wall: WallSeconds): Uint8Array | undefined {
    return this.#at !== undefined && now >= this.#at ? this.#write(keptAtOnce, now, wall) : undefined;
  }

  /** The file as it would be now. */
  whole(now: Instant, wall: WallSeconds): Uint8Array | undefined {
    this.#writer = undefined;
    return this.#write(Infinity, now, wall);
  }

  #write(count: number, now: Instant, wall: WallSeconds): Uint8Array | undefined {
    this.#writer ??= this.#begin(now, wall);
    const octets = this.#writer.write(count);
    // The next piece as soon as everybody else had a turn.
    this.#at = octets ? undefined : now;
    if (octets) this.#writer = undefined;
    return octets;
  }

  /** The proofs of zones first, then what came last, then what the run before left. */
  #begin(now: Instant, wall: WallSeconds): SavedWriter {
    const links = [...this.#cache.fresh(now, wall)].reverse();
    const entries = [
      ...this.#saved.entries(false, wall),
      ...links.flatMap(({ link, type, ageSeconds }) => entryOfLink(link, type, ageSeconds, wall) ?? []),
      ...this.#saved.entries(true, wall),
    ];
    return new SavedWriter(
      entries.filter(({ key }) => this.#mayKeep(nameOfKey(key))),
      this.#limitOctets,
    );
  }
}
