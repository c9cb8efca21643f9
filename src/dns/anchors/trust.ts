import type { HealthNote } from '../../health.ts';
import type { LogEvent } from '../../log.ts';
import { earliest, later, type Deadline, type Instant, type WallSeconds } from '../../time.ts';
import type { TrustAnchor } from '../anchors.ts';
import { Clock } from '../clock.ts';
import type { LinkState } from '../dnssec/validate.ts';
import type { Insecure } from '../dnssec/zones.ts';
import type { EffectSink, Exchange, Origin } from '../finder.ts';
import type { Question } from '../message.ts';
import { nameText, rootName, type NameKey } from '../name.ts';
import { isTimeServer } from '../time-servers.ts';
import { Class, Ede, Type } from '../types.ts';
import {
  advisedSeconds,
  dateText,
  exemptionText,
  negativeAbove,
  negativeAnchors,
  type NegativeAnchor,
  type NegativeAnchors,
} from './negative.ts';
import { savedText, type SavedAnchors } from './saved.ts';
import { sentinelRefuses, signalName } from './sentinel.ts';
import { changeText, TrustPoints } from './trust-points.ts';

/** What a resolver takes on trust, and for how long. All but `fixed` may be left out. */
export interface TrustOptions {
  /** Anchors that stay as they are. */
  readonly fixed: readonly TrustAnchor[];
  /** Anchors that follow the roll-overs of their zones (RFC 5011). */
  readonly managed?: readonly TrustAnchor[];
  /** What {@link Trust} asked to keep in an earlier run. */
  readonly saved?: SavedAnchors | undefined;
  readonly negative?: readonly NegativeAnchor[];
  /** A time that has certainly been; undefined: the clock is right by definition. */
  readonly clockNotBefore?: WallSeconds | undefined;
  /** Beside those that everybody knows. */
  readonly timeServers?: readonly NameKey[];
  /** Tell the zones which of their keys are trusted (RFC 8145 §5). */
  readonly signalling?: boolean;
}

export type TrustEffect =
  /** What is to be there at the next start: the text of the state file, which is to be replaced as a whole. */
  | { readonly kind: 'keepAnchors'; readonly text: string }
  /** No key of the root is one that is trusted: get IANA's list (RFC 9718); `anchorsFetched` is the answer. */
  | { readonly kind: 'fetchAnchors' }
  | { readonly kind: 'log'; readonly event: LogEvent };

/** What was found out in another way than it would be now. */
export interface Doubt {
  /** The clock has gone wrong, or right again. */
  readonly clock: boolean;
  /** Negative trust anchors that have ended. */
  readonly exceptions: readonly NameKey[];
}

/** Where effects go. */
export interface TrustSink extends EffectSink {
  push(effect: Parameters<EffectSink['push']>[0] | TrustEffect): unknown;
}

/** Asks a question for its own sake; the exchange comes back through {@link Trust.heard}. */
export type Start = (question: Question, avoided: Origin | undefined) => Exchange;

/** How often the state is written although nothing happened, for the clock that it tells of: s. */
const saveSeconds = 86_400;
/** When it is tried first whether a negative trust anchor is needed, and how often after that: ms. */
const [firstTrialMs, trialMs] = [60_000, 3_600_000];
/** How often the root's list may be fetched, and the zones told which keys are trusted: ms. */
const [fetchMs, signalMs] = [86_400_000, 86_400_000];

/**
 * What the resolver trusts at present: the anchors of the trust points, which it asks for their keys by itself; the
 * exceptions; and the clock, without which no signature means anything.
 */
export class Trust {
  readonly #negatives: NegativeAnchors;
  readonly #options: TrustOptions;
  readonly #points: TrustPoints;
  readonly #clock: Clock;
  readonly #probes = new Map<NameKey, { exchange: Exchange; again: boolean }>();
  readonly #signalledAt = new Map<NameKey, Instant>();
  #savedAt: WallSeconds | undefined;
  #fetchedAt: Instant | undefined;
  #fetch: { readonly failed: string | undefined; readonly at: WallSeconds } | undefined;
  /** The root's keys came, and none of them is trusted. */
  #isRootStrange = false;
  #toldFault = false;
  #tickedAt: WallSeconds | undefined;
  #exceptionEndsAt: Instant | undefined;
  #nextTrialAt: Instant | undefined;
  /** Negative trust anchors whose names can be validated, and since when. */
  readonly #needless = new Map<NameKey, WallSeconds>();

  constructor(options: TrustOptions) {
    this.#options = options;
    this.#negatives = negativeAnchors(options.negative ?? []);
    this.#points = new TrustPoints({
      fixed: options.fixed,
      managed: options.managed ?? [],
      saved: options.saved,
    });
    this.#clock = new Clock(options.clockNotBefore);
  }

  get anchors(): readonly TrustAnchor[] {
    return this.#points.anchors;
  }

  /** What a negative trust anchor makes of `name`, if it is under one. */
  exemption(name: NameKey, wall: WallSeconds): Insecure | undefined {
    const negative = negativeAbove(name, this.#negatives, this.anchors, wall);
    if (!negative) return undefined;
    const from = nameText(negative.name);
    // That private addresses are signed by nobody is no error worth telling.
    if (negative.until === undefined) return { status: 'insecure', from };
    return { status: 'insecure', from, ede: { code: Ede.OTHER, text: exemptionText(negative) } };
  }

  /** Why nothing can be called secure, or undefined. */
  clockFault(wall: WallSeconds): string | undefined {
    return this.#options.clockNotBefore === undefined ? undefined : this.#clock.fault(wall)?.why;
  }

  /** The name is that of a time service, which has to resolve before the clock can be set. */
  isTimeServer(name: NameKey): boolean {
    return isTimeServer(name, this.#options.timeServers ?? []);
  }

  /** A secure answer is to be withheld, for the sake of a measurement (RFC 8509). */
  sentinelRefuses(question: Question): boolean {
    return sentinelRefuses(question, () => this.#points.tags(rootName));
  }

  /** Asks for what is due. Gives what is not to be relied on any longer. */
  tick(start: Start, now: Instant, wall: WallSeconds, effects: TrustSink): Doubt {
    const fault = this.clockFault(wall);
    const isOther = (fault !== undefined) !== this.#toldFault;
    if (isOther) {
      this.#toldFault = fault !== undefined;
      effects.push({
        kind: 'log',
        event: fault
          ? { level: 'error', event: 'clock.wrong', why: fault }
          : { level: 'info', event: 'clock.right' },
      });
    }
    for (const owner of this.#points.due(now, wall))
      this.#probe(owner, undefined, false, start, now, wall, effects);
    return { clock: isOther, exceptions: this.#ended(now, wall) };
  }

  /**
   * Negative trust anchors of which it is time to see whether their names can be validated again (RFC 7646 §2): what
   * comes of it goes to {@link tried}.
   */
  trials(now: Instant, wall: WallSeconds): NameKey[] {
    const names = (this.#options.negative ?? []).flatMap(({ name, until }) =>
      until === undefined || wall < until ? [name] : [],
    );
    const dueAt = this.#nextTrialAt;
    const isDue = dueAt !== undefined && now >= dueAt;
    if (names.length === 0) this.#nextTrialAt = undefined;
    else if (isDue || dueAt === undefined) this.#nextTrialAt = later(now, isDue ? trialMs : firstTrialMs);
    return isDue && this.clockFault(wall) === undefined ? names : [];
  }

  /**
   * What the SOA at a negative trust anchor is worth without it. The anchor stays until its end, since it may be there
   * for another name below; but it is told.
   */
  tried(name: NameKey, { status }: LinkState, wall: WallSeconds, effects: TrustSink): void {
    if (status === 'bogus') this.#needless.delete(name);
    if ((status !== 'secure' && status !== 'insecure') || this.#needless.has(name)) return;
    this.#needless.set(name, wall);
    const event = { level: 'warn', event: 'anchors.exception.needless', zone: nameText(name) } as const;
    effects.push({ kind: 'log', event });
  }

  /** Negative trust anchors that have ended since the last time. */
  #ended(now: Instant, wall: WallSeconds): NameKey[] {
    if (!this.#options.negative?.length) return [];
    const last = this.#tickedAt ?? wall;
    this.#tickedAt = wall;
    const ends = (this.#options.negative ?? []).map((n) => ({ name: n.name, until: n.until ?? Infinity }));
    const next = Math.min(...ends.map((n) => n.until).filter((until) => until > wall));
    this.#exceptionEndsAt = next === Infinity ? undefined : later(now, (next - wall) * 1000);
    return ends.filter((n) => n.until > last && n.until <= wall).map((n) => n.name);
  }

  /**
   * A question was answered, be it for somebody's lookup or for a trust point's sake. Gives the owners of trust points
   * whose anchors are others now.
   */
  heard(
    exchange: Exchange,
    start: Start,
    now: Instant,
    wall: WallSeconds,
    effects: TrustSink,
  ): readonly NameKey[] {
    const { question, reply, from } = exchange;
    if (question.type !== Type.DNSKEY) return [];
    const owner = question.name;
    const probe = this.#probes.get(owner);
    const isProbe = probe?.exchange === exchange;
    if (isProbe) this.#probes.delete(owner);
    const set =
      reply?.kind === 'message'
        ? reply.answer.find((s) => s.owner === owner && s.type === Type.DNSKEY)
        : undefined;
    const heard = set && this.#points.heard(set, now, wall);
    if (heard?.kind === 'trusted') this.#clock.right(now, wall);
    if (heard?.kind === 'untimely') this.#clock.doubtful(heard.untimely, now, wall);
    if (owner === rootName && heard) this.#isRootStrange = heard.kind === 'stranger';
    if (isProbe && heard?.kind !== 'trusted') {
      // Somebody on the way may have spoilt it: one more try, elsewhere, before it waits for the next hour.
      if (!probe.again && from !== undefined) this.#probe(owner, from, true, start, now, wall, effects);
      else this.#points.failed(owner, now, wall);
    }
    const isStranger = heard?.kind === 'stranger' && this.#points.isManaged(owner);
    if (isStranger && owner === rootName && this.clockFault(wall) === undefined)
      this.#wantFetch(now, effects);
    if (heard?.kind === 'trusted') this.#signal(owner, start, now);
    if (!heard || heard.changes.length === 0) {
      if (heard?.kind === 'trusted' && this.#points.isManaged(owner)) this.#keepNowAndThen(wall, effects);
      return [];
    }
    for (const change of heard.changes) {
      effects.push({
        kind: 'log',
        event: { level: 'warn', event: 'anchors.changed', what: changeText(owner, change) },
      });
    }
    if (this.#points.lost.includes(owner)) {
      effects.push({ kind: 'log', event: { level: 'error', event: 'anchors.lost', zone: nameText(owner) } });
      if (owner === rootName) this.#wantFetch(now, effects);
    }
    this.#keep(wall, effects);
    return [owner];
  }

  /** Anchors that were fetched and whose signature was checked; gives the owners that they are of. */
  fetched(anchors: readonly TrustAnchor[], wall: WallSeconds, effects: TrustSink): readonly NameKey[] {
    this.#points.adopt(anchors);
    this.#fetch = { failed: undefined, at: wall };
    effects.push({
      kind: 'log',
      event: { level: 'warn', event: 'anchors.fetched', tags: this.#points.tags(rootName) },
    });
    this.#keep(wall, effects);
    return [rootName];
  }

  fetchFailed(why: string, wall: WallSeconds, effects: TrustSink): void {
    this.#fetch = { failed: why, at: wall };
    effects.push({ kind: 'log', event: { level: 'error', event: 'anchors.fetch.failed', why } });
  }

  get deadline(): Deadline | undefined {
    const ends = this.#exceptionEndsAt;
    return earliest([
      this.#points.deadline,
      ends === undefined ? undefined : { at: ends, why: 'end of a negative trust anchor' },
      this.#nextTrialAt && { at: this.#nextTrialAt, why: 'trial of a negative trust anchor' },
    ]);
  }

  /** How things are, for people. */
  notes(wall: WallSeconds): HealthNote[] {
    const notes: HealthNote[] = [];
    const fault = this.clockFault(wall);
    if (fault !== undefined) {
      notes.push({
        level: 'warning',
        sentence: `Nothing is taken for secure: ${fault}. Set the clock, or start a time service (chrony, systemd-timesyncd).`,
      });
    }
    for (const owner of new Set(this.anchors.map((a) => a.owner))) {
      const tags = this.#points.tags(owner);
      const keys = `${tags.length === 1 ? 'key' : 'keys'} ${tags.join(' and ')}`;
      const how = this.#points.isManaged(owner) ? 'kept up to date' : 'as configured';
      notes.push({ level: 'good', sentence: `Trust in ${zoneText(owner)} begins with ${keys}, ${how}.` });
    }
    for (const owner of this.#points.lost) {
      notes.push({
        level: 'warning',
        sentence: `Every key of ${zoneText(owner)} that was trusted is revoked: nothing below it can be validated. Bring oe up to date, or name its new key in trust-anchor-file.`,
      });
    }
    if (this.#isRootStrange) notes.push(this.#strangeRoot());
    for (const negative of this.#options.negative ?? []) {
      notes.push(negativeNote(negative, this.#needless.get(negative.name), wall));
    }
    return notes;
  }

  #strangeRoot(): HealthNote {
    const what = 'The keys of the DNS root that came are none that oe trusts';
    if (this.#fetch?.failed !== undefined) {
      return {
        level: 'warning',
        sentence: `${what}, and IANA's list of them could not be had: ${this.#fetch.failed}. Bring oe up to date, or look who answers for the root.`,
      };
    }
    return { level: 'warning', sentence: `${what}. Look who answers for the root, or bring oe up to date.` };
  }

  #probe(
    owner: NameKey,
    avoided: Origin | undefined,
    again: boolean,
    start: Start,
    now: Instant,
    wall: WallSeconds,
    effects: TrustSink,
  ): void {
    if (this.#probes.has(owner)) return;
    const exchange = start({ name: owner, type: Type.DNSKEY, class: Class.IN }, avoided);
    this.#probes.set(owner, { exchange, again });
    if (exchange.reply) this.heard(exchange, start, now, wall, effects);
  }

  #signal(owner: NameKey, start: Start, now: Instant): void {
    const last = this.#signalledAt.get(owner);
    if (!this.#options.signalling || (last !== undefined && now < later(last, signalMs))) return;
    const name = signalName(owner, this.#points.tags(owner));
    if (name === undefined) return;
    this.#signalledAt.set(owner, now);
    // Nobody waits for the answer, which says that there is no such name.
    start({ name, type: Type.NULL, class: Class.IN }, undefined);
  }

  #wantFetch(now: Instant, effects: TrustSink): void {
    if (this.#fetchedAt !== undefined && now < later(this.#fetchedAt, fetchMs)) return;
    this.#fetchedAt = now;
    effects.push({ kind: 'fetchAnchors' });
  }

  #keepNowAndThen(wall: WallSeconds, effects: TrustSink): void {
    if (this.#savedAt === undefined || Math.abs(wall - this.#savedAt) >= saveSeconds)
      this.#keep(wall, effects);
  }

  #keep(wall: WallSeconds, effects: TrustSink): void {
    // The time of a wrong clock must not become a time that has been.
    if (this.clockFault(wall) !== undefined) return;
    this.#savedAt = wall;
    effects.push({ kind: 'keepAnchors', text: savedText(this.#points.saved(wall)) });
  }
}

function zoneText(owner: NameKey): string {
  return owner === rootName ? 'the DNS root' : nameText(owner);
}

function negativeNote(
  { name, until }: NegativeAnchor,
  needless: WallSeconds | undefined,
  wall: WallSeconds,
): HealthNote {
  const zone = nameText(name);
  if (until !== undefined && wall >= until) {
    return {
      level: 'notice',
      sentence: `The exception from validation for ${zone} ended on ${dateText(until)}. Take its negative-trust-anchor out of the configuration.`,
    };
  }
  if (needless !== undefined) {
    return {
      level: 'warning',
      sentence: `${zone} could be validated again since ${dateText(needless)}. Take its negative-trust-anchor out of the configuration: as long as it is there, no key below ${zone} counts.`,
    };
  }
  const isLong = until !== undefined && until - wall > advisedSeconds;
  return {
    level: 'warning',
    sentence:
      `${zone} is not validated until ${until === undefined ? 'the end of time' : dateText(until)}, by a negative trust anchor; no key below it counts.` +
      (isLong ? ' That is more than the week that RFC 7646 advises.' : ''),
  };
}
