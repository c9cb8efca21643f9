import type { Deadline, Instant } from '../time.ts';
import type { Session } from './session.ts';

/** Which IKE SA has a timer due first; looks only at those that were touched since. */
export class Timetable {
  readonly #dues = new Map<Session, Deadline>();
  #first: { readonly session: Session; readonly due: Deadline } | undefined;
  /** `#first` may be another by now. */
  #stale = false;

  /** Reads the session's timers anew. */
  update(session: Session): void {
    let due: Deadline | undefined;
    for (const [why, at] of session.timers) if (due === undefined || at < due.at) due = { at, why };
    if (due === undefined) {
      this.remove(session);
      return;
    }
    this.#dues.set(session, due);
    if (this.#stale) return;
    if (this.#first === undefined || due.at <= this.#first.due.at) this.#first = { session, due };
    else if (this.#first.session === session) this.#stale = true;
  }

  remove(session: Session): void {
    this.#dues.delete(session);
    if (this.#first?.session === session) this.#stale = true;
  }

  get first(): Deadline | undefined {
    if (this.#stale) {
      this.#stale = false;
      this.#first = undefined;
      for (const [session, due] of this.#dues) {
        if (this.#first === undefined || due.at < this.#first.due.at) this.#first = { session, due };
      }
    }
    return this.#first?.due;
  }

  /** Those that have a timer due, in no order that matters. */
  due(now: Instant): readonly Session[] {
    const first = this.first;
    if (first === undefined || first.at > now) return [];
    return [...this.#dues].flatMap(([session, due]) => (due.at <= now ? [session] : []));
  }
}
