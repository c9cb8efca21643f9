import type { Random } from '../random.ts';
import { earliest, type Deadline, type Instant } from '../time.ts';
import { Asks, type Heard } from './asks.ts';
import type { EffectSink, Exchange, Finder, Origin, Server } from './finder.ts';
import { Forward } from './forward.ts';
import type { Question } from './message.ts';

/** What {@link Finders} are made from. */
export interface FindersOptions {
  readonly upstreams: readonly Server[];
  readonly random: Random;
}

/** The ways of finding out what the DNS says: which one serves a question depends on its name. */
export class Finders {
  readonly #asks: Asks;
  readonly #finders: readonly Finder[];
  /** Who has been asked; an exchange that is abandoned or done is forgotten with it. */
  readonly #owners = new WeakMap<Exchange, Finder>();

  constructor({ upstreams, random }: FindersOptions) {
    this.#asks = new Asks(random);
    this.#finders = [new Forward(this.#asks, upstreams)];
  }

  get stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = { ...this.#asks.stats };
    for (const { stats } of this.#finders)
      for (const [what, count] of Object.entries(stats)) all[what] = (all[what] ?? 0) + count;
    return all;
  }

  get deadline(): Deadline | undefined {
    return earliest([this.#asks.deadline, ...this.#finders.map((f) => f.deadline)]);
  }

  /** Asks `question`, of `avoided` last or not at all where there are others. */
  start(question: Question, avoided: Origin | undefined, now: Instant, effects: EffectSink): Exchange {
    const [finder] = this.#finders;
    if (!finder) throw new RangeError('no finder');
    const exchange = finder.start(question, avoided, now, effects);
    this.#owners.set(exchange, finder);
    return exchange;
  }

  /** Whether somebody else than the one who replied could be asked. */
  hasOther(exchange: Exchange, now: Instant): boolean {
    return this.#owners.get(exchange)?.hasOther(exchange, now) ?? false;
  }

  /** Gives the exchange up: no reply is wanted. */
  abandon(exchange: Exchange, effects: EffectSink): void {
    this.#owners.get(exchange)?.abandon(exchange, effects);
  }

  /** Octets that came for an ask; the exchanges that have their reply now. */
  received(ask: number, octets: Uint8Array, now: Instant, effects: EffectSink): readonly Exchange[] {
    return this.#heard(this.#asks.received(ask, octets, now, effects), now, effects);
  }

  /** An ask cannot be performed, e.g. for want of a route; `why` is a clause that names the server. */
  failed(ask: number, why: string, now: Instant, effects: EffectSink): readonly Exchange[] {
    return this.#heard(this.#asks.failed(ask, why, now, effects), now, effects);
  }

  /** Does what is due; the exchanges that have their reply now. */
  tick(now: Instant, effects: EffectSink): readonly Exchange[] {
    const silent = this.#asks.tick(now, effects).flatMap((heard) => this.#heard(heard, now, effects));
    return [...silent, ...this.#finders.flatMap((f) => f.tick(now, effects))];
  }

  #heard(heard: Heard | undefined, now: Instant, effects: EffectSink): readonly Exchange[] {
    return heard?.asked.finder.heard(heard.asked, heard.outcome, now, effects) ?? [];
  }
}
