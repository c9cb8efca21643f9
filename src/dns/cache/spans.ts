import type { Instant, WallSeconds } from '../../time.ts';
import { labelsOf, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';

/** A validated RRset that is kept. */
export interface KeptSet {
  readonly set: RRset;
  readonly until: Instant;
  /** Wall-clock seconds at which its signature ends. */
  readonly validUntil: number;
}

export function isLive(kept: KeptSet, now: Instant, wall: WallSeconds): boolean {
  return now < kept.until && wall <= kept.validUntil;
}

/** A record that says that nothing lies between two places of a zone; the last leads back to the first. */
export interface KeptSpan<R> extends KeptSet {
  readonly record: R;
  /** Places compare as strings: of names {@link placeOfName}, of hashes their octets as latin1 text. */
  readonly place: string;
  readonly next: string;
  readonly octets: number;
}

/**
 * The spans of one zone, sorted and free of overlaps: where two disagree the zone has changed, and the one that came
 * later counts (RFC 8198 §5). At most `limit`.
 */
export class SpanList<R> {
  readonly #spans: KeptSpan<R>[] = [];
  readonly #limit: number;
  #octets = 0;
  #victim = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#spans.length;
  }

  get octets(): number {
    return this.#octets;
  }

  /** The span that begins at `place`. */
  at(place: string, now: Instant, wall: WallSeconds): KeptSpan<R> | undefined {
    const index = this.#after(place) - 1;
    const span = this.#spans[index];
    return span?.place === place ? this.#living(index, now, wall) : undefined;
  }

  /** The span that holds `place` between its ends. */
  over(place: string, now: Instant, wall: WallSeconds): KeptSpan<R> | undefined {
    const index = this.#before(place);
    const span = this.#spans[index];
    return span && holds(span, place) ? this.#living(index, now, wall) : undefined;
  }

  put(span: KeptSpan<R>): void {
    const before = this.#before(span.place);
    const last = this.#spans[before];
    if (last && holds(last, span.place)) this.#drop(before);
    for (;;) {
      // Whatever begins at the same place, or inside.
      const index = this.#from(span.place) % this.#spans.length;
      const inside = this.#spans[index];
      if (!inside || (inside.place !== span.place && !holds(span, inside.place))) break;
      this.#drop(index);
    }
    if (this.#spans.length >= this.#limit) this.#drop(this.#victim++ % this.#spans.length);
    this.#spans.splice(this.#from(span.place), 0, span);
    this.#octets += span.octets;
  }

  /** There is something at `place`, whatever the span over it says. */
  dispute(place: string): void {
    const index = this.#before(place);
    const span = this.#spans[index];
    if (span && holds(span, place)) this.#drop(index);
  }

  #living(index: number, now: Instant, wall: WallSeconds): KeptSpan<R> | undefined {
    const span = this.#spans[index];
    if (!span || isLive(span, now, wall)) return span;
    this.#drop(index);
    return undefined;
  }

  #drop(index: number): void {
    const [span] = this.#spans.splice(index, 1);
    this.#octets -= span?.octets ?? 0;
  }

  /** The index of the last span that begins before `place`; the last of all before the first. */
  #before(place: string): number {
    const index = this.#from(place) - 1;
    return index < 0 ? this.#spans.length - 1 : index;
  }

  /** How many begin before `place`. */
  #from(place: string): number {
    return this.#count((at) => at < place);
  }

  /** How many begin before `place` or there. */
  #after(place: string): number {
    return this.#count((at) => at <= place);
  }

  #count(isBefore: (place: string) => boolean): number {
    let low = 0;
    let high = this.#spans.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(this.#spans[middle]?.place ?? '')) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A single span that leads back to itself holds everything but its own place. */
function holds(span: KeptSpan<unknown>, place: string): boolean {
  if (place === span.place) return false;
  return span.place < span.next
    ? span.place < place && place < span.next
    : place > span.place || place < span.next;
}

/** A text that sorts as the name does in canonical order (RFC 4034 §6.1): labels from the root down, escaped so that an end comes first. */
export function placeOfName(name: NameKey): string {
  let place = '';
  for (const label of labelsOf(name).reverse()) place += `${escaped(label)}\0`;
  return place;
}

/** An octet of 0 or 1 gets a 1 before it, so that the 0 which ends a label is below all that is in one. */
function escaped(label: string): string {
  let text = '';
  let plainFrom = 0;
  for (let i = 0; i < label.length; i++) {
    if (label.charCodeAt(i) > 1) continue;
    text += `${label.slice(plainFrom, i)}\u0001`;
    // The octet itself follows, 1 higher, since 0 is taken.
    text += String.fromCharCode(label.charCodeAt(i) + 1);
    plainFrom = i + 1;
  }
  return plainFrom === 0 ? label : text + label.slice(plainFrom);
}
