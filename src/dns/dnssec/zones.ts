import type { Instant, WallSeconds } from '../../time.ts';
import { ancestorOf, labelCount, type NameKey } from '../name.ts';
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

/** Zones and keys of zones kept; a flood of names of insecure zones, or of zones with many keys, pushes out the oldest. */
const limit = 8192;

/** What the chain of trust has yielded so far, name by name; bounded. */
export class Zones {
  readonly #entries = new Map<NameKey, ZoneEntry>();
  #weight = 0;

  get size(): number {
    return this.#entries.size;
  }

  get(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    if (now < entry.until && wall <= entry.validUntil) return entry;
    this.delete(name);
    return undefined;
  }

  set(entry: ZoneEntry): void {
    this.delete(entry.name);
    this.#entries.set(entry.name, entry);
    this.#weight += weightOf(entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= limit) return;
      this.delete(oldest);
    }
  }

  delete(name: NameKey): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#entries.delete(name);
    this.#weight -= weightOf(entry);
  }

  /** The entry nearest above `name`, or at it, that tells to which zone it belongs. */
  closest(name: NameKey, now: Instant, wall: WallSeconds): ZoneEntry | undefined {
    for (let labels = labelCount(name); labels >= 0; labels--) {
      const entry = this.get(ancestorOf(name, labels), now, wall);
      if (entry && (entry.state.status === 'secure' || entry.state.status === 'insecure')) return entry;
    }
    return undefined;
  }
}

function weightOf({ state }: ZoneEntry): number {
  return 1 + (state.status === 'secure' ? state.keys.length : 0);
}
