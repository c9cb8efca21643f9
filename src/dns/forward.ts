import type { HealthNote } from '../health.ts';
import type { Random } from '../random.ts';
import { later, type Deadline, type Instant } from '../time.ts';
import type { Reply } from './dnssec/chain.ts';
import type { AskDoor, Asked, EffectSink, Exchange, Finder, Origin, Outcome, Server } from './finder.ts';
import { replyKind, rrsetsOf, type Message, type Question } from './message.ts';
import {
  explain,
  Ladder,
  noteOn,
  stripsDnssec,
  type LadderOptions,
  type Rung,
  type Upstream,
} from './ladder.ts';
import { formatServer } from './server-text.ts';
import { excessIn } from './rrset.ts';
import { Ede, EdnsOption, rcodeName, Type } from './types.ts';

/** Why a reply is no answer. */
interface Refusal {
  readonly ede: number;
  readonly why: string;
}

interface Live extends Exchange {
  order: readonly Upstream[];
  readonly open: Map<Asked, { readonly upstream: Upstream; readonly rung: Rung }>;
  readonly giveUpAt: Instant;
  sent: number;
  nextAt: Instant;
  /** The one asked last, and when. */
  last: { readonly asked: Asked; readonly upstream: Upstream; readonly at: Instant } | undefined;
  /** Upstreams that answered, but not with what was asked for, and how. */
  readonly refusals: Map<Upstream, Refusal>;
  /** Who gave bogus data before. */
  readonly avoided: Origin | undefined;
  /** Nobody is asked before it is known how an upstream can be reached. */
  isHeld: boolean;
}

/** Silences in a row after which others go first, and for how long, ms. */
const [silencesShunned, shunnedMs] = [2, 30_000];
/** Sent per question at most, over all upstreams. */
const maxSent = 8;
/** Milliseconds after which a question is given up. */
const exchangeMs = 9000;

/**
 * Asks other resolvers. A question goes to the first of them that is not known to be silent, and to the next when its
 * reply is late or no answer; what comes late still counts. Those that did not answer twice are asked last for a while.
 * How an upstream is reached is the business of {@link Ladder}: a question that nobody else can answer is held while
 * that is being found out.
 */
export class Forward implements Finder {
  readonly #door: AskDoor;
  readonly #ladder: Ladder;
  #upstreams: readonly Upstream[];
  readonly #asked = new Map<Asked, Live>();
  readonly #live = new Set<Live>();
  /** Ways that gave replies without any signature, though somebody wanted one. */
  readonly #doubted = new WeakSet<Origin>();
  #retransmitted = 0;

  constructor(door: AskDoor, servers: readonly Server[], options: ForwardOptions) {
    this.#door = door;
    this.#ladder = new Ladder(door, this, options.random, options);
    this.#upstreams = servers.map((s) => this.#ladder.upstream(s));
  }

  get stats(): Readonly<Record<string, number>> {
    return { retransmitted: this.#retransmitted, asking: this.#live.size, probed: this.#ladder.probed };
  }

  get deadline(): Deadline | undefined {
    let at: Instant | undefined;
    for (const { nextAt } of this.#live) if (at === undefined || nextAt < at) at = nextAt;
    return at === undefined ? undefined : { at, why: 'retransmission to an upstream resolver' };
  }

  /** Nobody is to be asked over an encrypted transport alone. */
  get isPlain(): boolean {
    return this.#upstreams.every(({ server: { transport } }) => transport === 'udp' || transport === 'tcp');
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#live.size === 0;
  }

  /** Whether anybody can be asked: `damaged` where all that answer pass no DNSSEC. */
  get state(): Upstream['state'] {
    if (this.#upstreams.length === 0 || this.#upstreams.some((u) => u.state === 'works')) return 'works';
    return this.#upstreams.some((u) => u.state === 'damaged') ? 'damaged' : 'absent';
  }

  /** Why {@link state} is what it is, as a clause. */
  get trouble(): string {
    return this.#upstreams.map(explain).join('; ');
  }

  /** How the upstreams are reached, where that is not as it should be. */
  notes(now: Instant): HealthNote[] {
    return this.#upstreams.flatMap((u) => noteOn(u, now) ?? []);
  }

  start(question: Question, avoided: Origin | undefined, now: Instant, effects: EffectSink): Exchange {
    this.#climb(now, effects);
    const doubtful = this.#upstreams.find((u) => avoided !== undefined && u.current === avoided);
    if (doubtful && this.#doubted.has(doubtful.current) && this.#ladder.isDoubtful(doubtful, now))
      this.#ladder.suspect(doubtful, now, effects);
    const live: Live = {
      question,
      reply: undefined,
      from: undefined,
      order: this.#orderWithout(avoided, now),
      open: new Map(),
      giveUpAt: later(now, exchangeMs),
      sent: 0,
      nextAt: now,
      last: undefined,
      refusals: new Map(),
      avoided,
      isHeld: false,
    };
    this.#live.add(live);
    this.#sendNext(live, now, effects);
    return live;
  }

  hasOther(exchange: Exchange, now: Instant): boolean {
    const from = this.#upstreams.find((u) => u.current === exchange.from);
    if (this.#usable(now).some((u) => u !== from)) return true;
    if (!from || !isWithoutSignatures(exchange.reply) || !this.#ladder.isDoubtful(from, now)) return false;
    this.#doubted.add(from.current);
    return true;
  }

  abandon(exchange: Exchange, effects: EffectSink): void {
    for (const live of this.#live) if (live === exchange) this.#close(live, effects);
  }

  /** Sees whether a better way leads to the upstreams again. */
  climb(now: Instant, effects: EffectSink): void {
    this.#climb(now, effects);
  }

  /** Others are to be asked from now on. What is under way to one of the former is sent to the new ones as well. */
  use(servers: readonly Server[], now: Instant, effects: EffectSink): void {
    const former = new Map(this.#upstreams.map((u) => [formatServer(u.server), u]));
    this.#replace(
      servers.map((s) => former.get(formatServer(s)) ?? this.#ladder.upstream(s)),
      now,
      effects,
    );
  }

  /** This host is elsewhere: what was learned of the ways to the upstreams does not hold here (RFC 9462 §4.1). */
  moved(now: Instant, effects: EffectSink): void {
    this.#replace(
      this.#upstreams.map((u) => this.#ladder.upstream(u.server)),
      now,
      effects,
    );
  }

  #replace(upstreams: readonly Upstream[], now: Instant, effects: EffectSink): void {
    if (sameItems(upstreams, this.#upstreams)) return;
    for (const gone of this.#upstreams.filter((u) => !upstreams.includes(u)))
      this.#ladder.forget(gone, effects);
    this.#upstreams = upstreams;
    for (const live of this.#live) {
      live.order = this.#orderWithout(live.avoided, now);
      live.last = undefined;
      live.isHeld = false;
      live.nextAt = now;
    }
  }

  heard(asked: Asked, outcome: Outcome, now: Instant, effects: EffectSink): readonly Exchange[] {
    const probe = this.#ladder.heard(asked, outcome, now, effects);
    if (probe) return probe.settled ? this.#settled(probe.settled, now, effects) : [];
    const live = this.#asked.get(asked);
    const open = live?.open.get(asked);
    if (!live || !open) return [];
    this.#asked.delete(asked);
    live.open.delete(asked);
    const done = this.#outcome(live, open, outcome, now, effects);
    return done ? [done] : [];
  }

  tick(now: Instant, effects: EffectSink): readonly Exchange[] {
    const given: Exchange[] = [];
    for (const live of [...this.#live]) {
      if (now < live.nextAt) continue;
      const late = this.#lateAt(live);
      if (late !== undefined && now < late && now < live.giveUpAt) {
        live.nextAt = earlier(late, live.giveUpAt);
        continue;
      }
      const silent = live.last?.upstream;
      if (silent && !live.refusals.has(silent)) this.#silent(silent, now, effects);
      if (live.sent < maxSent && now < live.giveUpAt) {
        this.#retransmitted++;
        this.#sendNext(live, now, effects);
      } else if (now >= live.giveUpAt || (live.open.size === 0 && !live.isHeld)) {
        given.push(this.#finish(live, silenceOf(live), undefined, effects));
      } else {
        live.nextAt = live.giveUpAt;
      }
    }
    return given;
  }

  #climb(now: Instant, effects: EffectSink): void {
    for (const upstream of this.#upstreams) this.#ladder.climb(upstream, now, effects);
  }

  /** Those that pass DNSSEC on as far as is known; those that answer, in the configured order, first. */
  #usable(now: Instant): Upstream[] {
    const all = this.#upstreams.filter((u) => u.state !== 'damaged');
    const shunned = (u: Upstream): boolean =>
      u.state === 'absent' || (u.silences >= silencesShunned && now < u.shunnedUntil);
    return [...all.filter((u) => !shunned(u)), ...all.filter(shunned)];
  }

  #orderWithout(avoided: Origin | undefined, now: Instant): Upstream[] {
    const all = this.#usable(now);
    const others = all.filter((u) => u.current !== avoided);
    return others.length > 0 ? others : all;
  }

  #silent(upstream: Upstream, now: Instant, effects: EffectSink): void {
    upstream.silences++;
    upstream.shunnedUntil = later(now, shunnedMs);
    // A datagram may be lost; what a connection carries is not.
    const isEnough = upstream.silences >= silencesShunned || upstream.current.server.transport !== 'udp';
    if (isEnough) this.#ladder.suspect(upstream, now, effects);
  }

  /** A question that went over to TCP has more time than UDP would take. */
  #lateAt({ last, open }: Live): Instant | undefined {
    const rung = last && open.get(last.asked)?.rung;
    if (!last || !rung || last.asked.transport === rung.server.transport) return undefined;
    return later(last.at, this.#door.waitMs({ ...rung.server, transport: last.asked.transport }, true));
  }

  #outcome(
    live: Live,
    { upstream, rung }: { readonly upstream: Upstream; readonly rung: Rung },
    outcome: Outcome,
    now: Instant,
    effects: EffectSink,
  ): Exchange | undefined {
    switch (outcome.kind) {
      case 'silent':
        return undefined; // Its own wait is longer than that of the exchange, which gives up on the way.
      case 'failed':
        this.#silent(upstream, now, effects);
        this.#ladder.suspect(upstream, now, effects);
        return this.#refused(live, upstream, { ede: Ede.NETWORK_ERROR, why: outcome.why }, now, effects);
      case 'reply': {
        upstream.silences = 0;
        if (rung === upstream.current) this.#ladder.revived(upstream, now);
        const reply = replyOf(outcome.message, rung);
        if (reply.kind === 'message') return this.#finish(live, reply, rung, effects);
        if (reply.ede === Ede.DNSSEC_INDETERMINATE) this.#ladder.suspect(upstream, now, effects);
        return this.#refused(live, upstream, reply, now, effects);
      }
      default:
        return outcome satisfies never;
    }
  }

  #refused(
    live: Live,
    upstream: Upstream,
    refusal: Refusal,
    now: Instant,
    effects: EffectSink,
  ): Exchange | undefined {
    live.refusals.set(upstream, refusal);
    if (live.order.some((u) => !live.refusals.has(u))) {
      if (live.open.size === 0 && live.sent < maxSent) this.#sendNext(live, now, effects);
      return undefined;
    }
    // Perhaps there is another way to one of them.
    if (live.order.some((u) => u.probing)) return this.#hold(live);
    return this.#finish(live, { kind: 'failure', ede: refusal.ede, why: refusal.why }, undefined, effects);
  }

  #hold(live: Live): undefined {
    live.isHeld = true;
    live.last = undefined;
    live.nextAt = live.giveUpAt;
  }

  /** It is known how the upstream can be reached, or that it cannot. */
  #settled(upstream: Upstream, now: Instant, effects: EffectSink): Exchange[] {
    const done: Exchange[] = [];
    for (const live of [...this.#live]) {
      const asked = [...live.open].filter(([, o]) => o.upstream === upstream);
      if (upstream.state === 'works') {
        const isMoved = asked.some(([, o]) => o.rung !== upstream.current);
        if (!live.isHeld && !isMoved) continue;
        live.refusals.delete(upstream);
        live.isHeld = false;
        this.#send(live, upstream, now, effects);
        continue;
      }
      // What it still answers would prove nothing.
      if (upstream.state === 'damaged') for (const [ask] of asked) this.#cancel(live, ask, effects);
      if (live.open.size > 0) continue;
      live.isHeld = false;
      live.order = this.#orderWithout(live.avoided, now);
      if (live.order.some((u) => !live.refusals.has(u))) this.#sendNext(live, now, effects);
      else if (this.#upstreams.some((u) => u.probing)) this.#hold(live);
      else done.push(this.#finish(live, this.#troubleOf(live), undefined, effects));
    }
    return done;
  }

  #troubleOf(live: Live): Reply {
    const [refusal] = live.refusals.values();
    const isDamaged = this.state === 'damaged';
    if (refusal && !isDamaged) return { kind: 'failure', ede: refusal.ede, why: refusal.why };
    if (!isDamaged) return { kind: 'failure', ede: Ede.NO_REACHABLE_AUTHORITY, why: this.trouble };
    return { kind: 'failure', ...this.#damage() };
  }

  #damage(): Refusal {
    const isStripped = this.#upstreams.some((u) => u.rungs.some((r) => r.why === stripsDnssec));
    return { ede: isStripped ? Ede.RRSIGS_MISSING : Ede.DNSSEC_INDETERMINATE, why: this.trouble };
  }

  #sendNext(live: Live, now: Instant, effects: EffectSink): void {
    const willing = live.order.filter((u) => !live.refusals.has(u) && u.state !== 'damaged');
    const open = willing.filter(
      (u) => !(u.probing && this.#doubted.has(u.current) && live.avoided === u.current),
    );
    const upstream = open[live.sent % open.length];
    if (upstream) {
      this.#send(live, upstream, now, effects);
      const round = Math.floor((live.sent - 1) / open.length);
      const waitMs = this.#door.waitMs(upstream.current.server, true);
      live.nextAt = earlier(later(now, waitMs * 2 ** round), live.giveUpAt);
      return;
    }
    if (this.#upstreams.some((u) => u.probing)) {
      this.#hold(live);
      return;
    }
    const [damaged] = this.#upstreams.filter((u) => u.state === 'damaged');
    if (damaged && live.open.size === 0 && live.refusals.size === 0)
      live.refusals.set(damaged, this.#damage());
    live.nextAt = now;
    live.sent = maxSent;
  }

  #send(live: Live, upstream: Upstream, now: Instant, effects: EffectSink): void {
    live.sent++;
    const rung = upstream.current;
    const patienceMs = live.giveUpAt - now;
    const { question } = live;
    const asked = this.#door.ask(
      { question, server: rung.server, toResolver: true, finder: this, patienceMs },
      now,
      effects,
    );
    this.#asked.set(asked, live);
    live.open.set(asked, { upstream, rung });
    live.last = { asked, upstream, at: now };
    live.nextAt = earlier(later(now, this.#door.waitMs(rung.server, true)), live.giveUpAt);
  }

  #close(live: Live, effects: EffectSink): void {
    this.#live.delete(live);
    for (const asked of live.open.keys()) this.#cancel(live, asked, effects);
  }

  #cancel(live: Live, asked: Asked, effects: EffectSink): void {
    live.open.delete(asked);
    this.#asked.delete(asked);
    this.#door.cancel(asked, effects);
  }

  #finish(live: Live, reply: Reply, from: Origin | undefined, effects: EffectSink): Exchange {
    live.reply = reply;
    live.from = from;
    this.#close(live, effects);
    return live;
  }
}

/** What a {@link Forward} is made from, besides its servers. */
export interface ForwardOptions extends LadderOptions {
  readonly random: Random;
}

/** As a resolver gives it that strips signatures; or the name is in a zone that has none. */
export function isWithoutSignatures(reply: Reply | undefined): boolean {
  if (reply?.kind !== 'message') return false;
  const sets = [...reply.answer, ...reply.authority];
  return !sets.some((s) => s.type === Type.RRSIG || s.signatures.length > 0);
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function silenceOf(live: Live): Reply {
  const [refusal] = live.refusals.values();
  if (refusal) return { kind: 'failure', ede: refusal.ede, why: refusal.why };
  const who = live.order.map((u) => u.current.text).join(', ');
  const why = live.order.length === 0 ? 'there is no upstream resolver' : `no reply from ${who}`;
  return { kind: 'failure', ede: Ede.NO_REACHABLE_AUTHORITY, why };
}

/** The message in the form in which it is judged, or why another upstream should be asked. */
function replyOf(message: Message, { text }: Origin): Reply {
  const kind = replyKind(message.rcode);
  if (kind === 'withoutEdns') {
    const why = `${text} answers ${rcodeName(message.rcode)} to EDNS, without which there is no DNSSEC`;
    return { kind: 'failure', ede: Ede.DNSSEC_INDETERMINATE, why };
  }
  if (kind === 'failure') {
    const theirs = edeOf(message);
    const detail = theirs === undefined ? '' : ` (${theirs})`;
    const why = `${text} answers ${rcodeName(message.rcode)}${detail}`;
    return { kind: 'failure', ede: Ede.NETWORK_ERROR, why };
  }
  const [answer, authority] = [rrsetsOf(message.answer), rrsetsOf(message.authority)];
  const excess = excessIn([...answer, ...authority]);
  if (excess !== undefined) return { kind: 'failure', ede: Ede.OTHER, why: `${text} ${excess}` };
  return { kind: 'message', message, answer, authority, upstream: text };
}

/** What the upstream's own Extended DNS Error says, printable characters only. */
function edeOf(message: Message): string | undefined {
  const option = message.edns?.options.find((o) => o.code === EdnsOption.EDE);
  if (!option || option.data.length < 2) return undefined;
  const text = String.fromCharCode(...option.data.subarray(2, 120)).replaceAll(/[^ -~]/g, '?');
  return `EDE ${((option.data[0] ?? 0) << 8) | (option.data[1] ?? 0)}${text === '' ? '' : `: ${text}`}`;
}

function earlier(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}
