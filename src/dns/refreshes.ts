import { later, type Deadline, type Instant } from '../time.ts';
import { keyOf } from './job.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import { Class, Type } from './types.ts';

/** Something that is asked for although nobody waits for it. */
export interface Refresh {
  readonly key: string;
  readonly question: Question;
  /**
   * In use and about to lapse: an answer, or the proof of a zone's keys. Or a negative trust anchor on trial: whether its
   * name can be validated.
   */
  readonly kind: 'answer' | 'zone' | 'trial';
}

/** What waits at the most, and what is under way at once: nothing of it is urgent. */
const [maxWanted, maxAtOnce] = [256, 8];
/** Milliseconds after which the same may be wanted again: where nobody answers, every use would ask anew. */
const restMs = 30_000;
const maxResting = 1024;

/** Asks again in time what is in use, so that nobody has to wait when it lapses. */
export class Refreshes {
  readonly #wanted = new Map<string, Refresh>();
  readonly #resting = new Map<string, Instant>();
  #since: Instant | undefined;
  #running = 0;
  #count = 0;

  /** How many there have been. */
  get count(): number {
    return this.#count;
  }

  wantAnswer(question: Question, now: Instant): void {
    this.#want({ key: keyOf(question), question, kind: 'answer' }, now);
  }

  wantZone(name: NameKey, now: Instant): void {
    const question = { name, type: Type.DNSKEY, class: Class.IN };
    this.#want({ key: `zone ${name}`, question, kind: 'zone' }, now);
  }

  /** The SOA has to be signed wherever a zone is, with the keys of every day. */
  wantTrial(name: NameKey, now: Instant): void {
    const question = { name, type: Type.SOA, class: Class.IN };
    this.#want({ key: `trial ${name}`, question, kind: 'trial' }, now);
  }

  /** The next to be begun, if another one may be; {@link ended} is due for each. */
  next(now: Instant): Refresh | undefined {
    if (this.#running >= maxAtOnce) return undefined;
    for (const [key, refresh] of this.#wanted) {
      this.#wanted.delete(key);
      this.#rest(key, now);
      this.#running++;
      this.#count++;
      return refresh;
    }
    return undefined;
  }

  ended(): void {
    this.#running--;
  }

  get deadline(): Deadline | undefined {
    if (this.#wanted.size === 0 || this.#running >= maxAtOnce || this.#since === undefined) return undefined;
    return { at: this.#since, why: 'asking again for what is in use' };
  }

  #want(refresh: Refresh, now: Instant): void {
    const restsUntil = this.#resting.get(refresh.key);
    if (restsUntil !== undefined && now < restsUntil) return;
    if (this.#wanted.size >= maxWanted) return;
    this.#wanted.set(refresh.key, refresh);
    this.#since = now;
  }

  #rest(key: string, now: Instant): void {
    this.#resting.delete(key);
    this.#resting.set(key, later(now, restMs));
    for (const oldest of this.#resting.keys()) {
      if (this.#resting.size <= maxResting) return;
      this.#resting.delete(oldest);
    }
  }
}
