import type { Instant, WallSeconds } from '../../time.ts';
import { Store } from '../cache/store.ts';
import { isBelow, parentOf, type NameKey } from '../name.ts';
import type { Question } from '../message.ts';
import type { ZoneKey } from './signature.ts';

/** Why something is bogus, with the questions whose answers are to blame, so that they can be asked elsewhere. */
export interface Bogus {
  readonly status: 'bogus';
  readonly ede: number;
  readonly why: string;
  readonly culprits: readonly Question[];
}

/** It cannot be found out. `unanchored`: no trust anchor is above it, which is no reason to withhold the data. */
export interface Indeterminate {
  readonly status: 'indeterminate';
  readonly ede: number;
  readonly why: string;
  readonly unanchored: boolean;
}

/** The chain of trust ends with a proof that it goes no further. */
export interface Insecure {
  readonly status: 'insecure';
  /** The zone at which it ends, as text. */
  readonly from: string;
  /** What makes a zone insecure that has a DS all the same, for an Extended DNS Error. */
  readonly ede?: { readonly code: number; readonly text: string };
}

/** A zone whose keys are validated. */
export interface SecureZone {
  readonly status: 'secure';
  readonly keys: readonly ZoneKey[];
}

/** What is known of one name as the place of a zone cut. */
export type ZoneState =
  | SecureZone
  | Insecure
  /** The name belongs to the secure zone above it. `empty`: nothing is below it either. */
  | { readonly status: 'notCut'; readonly empty: boolean }
  | Bogus
  | Indeterminate;

export interface ZoneEntry {
  readonly name: NameKey;
  readonly state: ZoneState;
  /** For `oe why`. */
  readonly sentence: string;
  /** When it was found out. */
  readonly since: Instant;
  readonly until: Instant;
  /** Wall-clock seconds at which the first of the signatures behind it ends. */
  readonly validUntil: number;
}

/** What an entry costs, and each key beside its octets: most of it is OpenSSL's. */
const [perEntry, perKey] = [600, 2500];
/** What part of its life is left when the keys of a zone in use are due, and how often they were used by then. */
const [dueShare, dueUses] = [0.1, 2];

interface Kept {
  readonly entry: ZoneEntry;
  uses: number;
}

/** What the chain of trust has yielded so far, as it is read and written. */
export interface ZoneStore {
  get(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined;
  set(entry: ZoneEntry): void;
  delete(name: NameKey): void;
  /** The entry nearest above `name`, or at it, that tells to which zone it belongs. */
  closest(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined;
}

/** What the chain of trust has yielded so far, name by name; bounded by memory, what is not in use goes first. */
export class Zones implements ZoneStore {
  readonly #kept: Store<Kept>;
  /** Signed zones that are in use and about to lapse: proved again in time, nobody has to wait for them. */
  readonly due = new Set<NameKey>();

  constructor(limitOctets = 8 * 2 ** 20) {
    this.#kept = new Store(limitOctets);
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Memory that it takes, about. */
  get octets(): number {
    return this.#kept.octets;
  }

  get(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    const kept = this.#kept.get(name);
    if (!kept) return undefined;
    const { entry } = kept;
    if (now >= entry.until || wall > entry.validUntil) {
      this.#kept.delete(name);
      return undefined;
    }
    kept.uses++;
    if (
      kept.uses > dueUses &&
      entry.state.status === 'secure' &&
      entry.until - now <= (entry.until - entry.since) * dueShare
    )
      this.due.add(name);
    return entry;
  }

  set(entry: ZoneEntry): void {
    this.#kept.set(entry.name, { entry, uses: 0 }, octetsOf(entry));
  }

  delete(name: NameKey): void {
    this.#kept.delete(name);
  }

  closest(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    for (let at: NameKey | undefined = name; at !== undefined; at = parentOf(at)) {
      const entry = this.get(at, now, wall);
      if (entry && (entry.state.status === 'secure' || entry.state.status === 'insecure')) return entry;
    }
    return undefined;
  }

  /** Drops what is known of `name`, with `tree` of all names below too; how many entries that were. */
  forget(name: NameKey, tree: boolean): number {
    let dropped = 0;
    for (const [owner] of this.#kept.entries()) {
      if (owner !== name && !(tree && isBelow(owner as NameKey, name))) continue;
      this.#kept.delete(owner);
      dropped++;
    }
    return dropped;
  }

  clear(): number {
    const dropped = this.#kept.size;
    this.#kept.clear();
    this.due.clear();
    return dropped;
  }
}

/** Zones with one left out, so that it is proved anew from the zones above it. */
export class ZonesWithout implements ZoneStore {
  readonly #zones: ZoneStore;
  readonly #hidden: NameKey;
  /** The new proof, once it is there. */
  found: ZoneEntry | undefined;

  constructor(zones: ZoneStore, hidden: NameKey) {
    this.#zones = zones;
    this.#hidden = hidden;
  }

  get(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    return name === this.#hidden ? this.found : this.#zones.get(name, now, wall);
  }

  set(entry: ZoneEntry): void {
    if (entry.name === this.#hidden) this.found = entry;
    else this.#zones.set(entry);
  }

  delete(name: NameKey): void {
    if (name !== this.#hidden) this.#zones.delete(name);
  }

  closest(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    return this.#zones.closest(name === this.#hidden ? (parentOf(name) ?? name) : name, now, wall);
  }
}

function octetsOf({ state }: ZoneEntry): number {
  let octets = perEntry;
  if (state.status === 'secure') for (const { dnskey } of state.keys) octets += perKey + dnskey.rdata.length;
  return octets;
}
