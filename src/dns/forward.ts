import { later, type Deadline, type Instant } from '../time.ts';
import type { Reply } from './dnssec/chain.ts';
import type { AskDoor, Asked, EffectSink, Exchange, Finder, Origin, Outcome, Server } from './finder.ts';
import { rrsetsOf, type Message, type Question } from './message.ts';
import { nameText } from './name.ts';
import { formatServer } from './server-text.ts';
import { serverText } from './servers.ts';
import { Ede, EdnsOption, Rcode, rcodeName, typeName } from './types.ts';

/** A resolver that we forward to. */
interface Upstream extends Origin {
  readonly server: Server;
  /** Questions in a row that went unanswered. */
  silences: number;
  /** Until then others go first. */
  shunnedUntil: Instant;
}

/** Why a reply is no answer. */
interface Refusal {
  readonly ede: number;
  readonly why: string;
}

interface Live extends Exchange {
  order: readonly Upstream[];
  readonly open: Map<Asked, Upstream>;
  readonly giveUpAt: Instant;
  sent: number;
  nextAt: Instant;
  /** The one asked last, and when. */
  last: { readonly asked: Asked; readonly upstream: Upstream; readonly at: Instant } | undefined;
  /** Upstreams that answered, but not with what was asked for, and how. */
  readonly refusals: Map<Upstream, Refusal>;
}

/** Silences in a row after which others go first, and for how long, ms. */
const [silencesShunned, shunnedMs] = [2, 30_000];
/** Sent per question at most, over all upstreams. */
const maxSent = 8;
/** Records of one RRset: each costs everybody who handles it, and no honest one comes near. */
const recordsPerRRset = 256;
/** Milliseconds after which a question is given up. */
const exchangeMs = 9000;

/**
 * Asks other resolvers. A question goes to the first of them that is not known to be silent, and to the next when its
 * reply is late or no answer; what comes late still counts. Those that did not answer twice are asked last for a while.
 */
export class Forward implements Finder {
  readonly #door: AskDoor;
  #upstreams: readonly Upstream[];
  readonly #asked = new Map<Asked, Live>();
  readonly #live = new Set<Live>();
  #retransmitted = 0;

  constructor(door: AskDoor, servers: readonly Server[]) {
    this.#door = door;
    this.#upstreams = servers.map(upstreamOf);
  }

  /** Nothing is on its way. */
  get isIdle(): boolean {
    return this.#live.size === 0;
  }

  get stats(): Readonly<Record<string, number>> {
    return { retransmitted: this.#retransmitted, asking: this.#live.size };
  }

  get deadline(): Deadline | undefined {
    let at: Instant | undefined;
    for (const { nextAt } of this.#live) if (at === undefined || nextAt < at) at = nextAt;
    return at === undefined ? undefined : { at, why: 'retransmission to an upstream resolver' };
  }

  start(question: Question, avoided: Origin | undefined, now: Instant, effects: EffectSink): Exchange {
    const all = this.#order(now);
    const others = all.filter((u) => u !== avoided);
    const live: Live = {
      question,
      reply: undefined,
      from: undefined,
      order: others.length > 0 ? others : all,
      open: new Map(),
      giveUpAt: later(now, exchangeMs),
      sent: 0,
      nextAt: now,
      last: undefined,
      refusals: new Map(),
    };
    this.#live.add(live);
    this.#sendNext(live, now, effects);
    return live;
  }

  hasOther(exchange: Exchange, now: Instant): boolean {
    return this.#order(now).some((u) => u !== exchange.from);
  }

  abandon(exchange: Exchange, effects: EffectSink): void {
    for (const live of this.#live) if (live === exchange) this.#close(live, effects);
  }

  /** Others are to be asked from now on. What is under way to one of the former is sent to the new ones as well. */
  use(servers: readonly Server[], now: Instant): void {
    const former = new Map(this.#upstreams.map((u) => [formatServer(u.server), u]));
    const upstreams = servers.map((s) => former.get(formatServer(s)) ?? upstreamOf(s));
    if (sameItems(upstreams, this.#upstreams)) return;
    this.#upstreams = upstreams;
    for (const live of this.#live) {
      live.order = this.#order(now);
      live.last = undefined;
      live.nextAt = now;
    }
  }

  heard(asked: Asked, outcome: Outcome, now: Instant, effects: EffectSink): readonly Exchange[] {
    const live = this.#asked.get(asked);
    const upstream = live?.open.get(asked);
    if (!live || !upstream) return [];
    this.#asked.delete(asked);
    live.open.delete(asked);
    const done = this.#outcome(live, upstream, outcome, now, effects);
    return done ? [done] : [];
  }

  tick(now: Instant, effects: EffectSink): readonly Exchange[] {
    const given: Exchange[] = [];
    for (const live of [...this.#live]) {
      if (now < live.nextAt) continue;
      const late = this.#lateAt(live);
      if (late !== undefined && now < late) {
        live.nextAt = earlier(late, live.giveUpAt);
        continue;
      }
      const silent = live.last?.upstream;
      if (silent && !live.refusals.has(silent)) this.#silent(silent, now);
      if (live.sent < maxSent && now < live.giveUpAt) {
        this.#retransmitted++;
        this.#sendNext(live, now, effects);
      } else if (now >= live.giveUpAt || live.open.size === 0) {
        given.push(this.#finish(live, silenceOf(live), undefined, effects));
      } else {
        live.nextAt = live.giveUpAt;
      }
    }
    return given;
  }

  /** Those that answer, in the configured order, before those that have been silent. */
  #order(now: Instant): Upstream[] {
    const shunned = (u: Upstream): boolean => u.silences >= silencesShunned && now < u.shunnedUntil;
    return [...this.#upstreams.filter((u) => !shunned(u)), ...this.#upstreams.filter(shunned)];
  }

  #silent(upstream: Upstream, now: Instant): void {
    upstream.silences++;
    upstream.shunnedUntil = later(now, shunnedMs);
  }

  /** A question that went over to TCP has more time than UDP would take. */
  #lateAt({ last, open }: Live): Instant | undefined {
    if (!last || !open.has(last.asked) || last.asked.transport === last.upstream.server.transport)
      return undefined;
    const over = { ...last.upstream.server, transport: last.asked.transport };
    return later(last.at, this.#door.waitMs(over, true));
  }

  #outcome(
    live: Live,
    upstream: Upstream,
    outcome: Outcome,
    now: Instant,
    effects: EffectSink,
  ): Exchange | undefined {
    switch (outcome.kind) {
      case 'silent':
        return undefined; // Its own wait is longer than that of the exchange, which gives up on the way.
      case 'failed':
        this.#silent(upstream, now);
        return this.#refused(live, upstream, { ede: Ede.NETWORK_ERROR, why: outcome.why }, now, effects);
      case 'reply': {
        upstream.silences = 0;
        const reply = replyOf(outcome.message, upstream);
        if (reply.kind === 'failure') return this.#refused(live, upstream, reply, now, effects);
        return this.#finish(live, reply, upstream, effects);
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
    return this.#finish(live, { kind: 'failure', ede: refusal.ede, why: refusal.why }, upstream, effects);
  }

  #sendNext(live: Live, now: Instant, effects: EffectSink): void {
    const willing = live.order.filter((u) => !live.refusals.has(u));
    const upstream = willing[live.sent % willing.length];
    if (!upstream) {
      live.nextAt = now;
      live.sent = maxSent;
      return;
    }
    live.sent++;
    const { question } = live;
    const { server } = upstream;
    const patienceMs = live.giveUpAt - now;
    const asked = this.#door.ask(
      { question, server, toResolver: true, finder: this, patienceMs },
      now,
      effects,
    );
    this.#asked.set(asked, live);
    live.open.set(asked, upstream);
    live.last = { asked, upstream, at: now };
    const round = Math.floor((live.sent - 1) / willing.length);
    live.nextAt = earlier(later(now, this.#door.waitMs(server, true) * 2 ** round), live.giveUpAt);
  }

  #close(live: Live, effects: EffectSink): void {
    this.#live.delete(live);
    for (const asked of live.open.keys()) {
      this.#asked.delete(asked);
      this.#door.cancel(asked, effects);
    }
    live.open.clear();
  }

  #finish(live: Live, reply: Reply, from: Upstream | undefined, effects: EffectSink): Exchange {
    live.reply = reply;
    live.from = from;
    this.#close(live, effects);
    return live;
  }
}

function upstreamOf(server: Server): Upstream {
  return { server, text: serverText(server), silences: 0, shunnedUntil: 0 as Instant };
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function silenceOf(live: Live): Reply {
  const [refusal] = live.refusals.values();
  if (refusal) return { kind: 'failure', ede: refusal.ede, why: refusal.why };
  const who = live.order.map((u) => u.text).join(', ');
  const why = live.order.length === 0 ? 'there is no upstream resolver' : `no reply from ${who}`;
  return { kind: 'failure', ede: Ede.NO_REACHABLE_AUTHORITY, why };
}

/** The message in the form in which it is judged, or why another upstream should be asked. */
function replyOf(message: Message, { text }: Origin): Reply {
  switch (message.rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
    case Rcode.YXDOMAIN:
      break;
    case Rcode.FORMERR:
    case Rcode.NOTIMP:
    case Rcode.BADVERS:
      return {
        kind: 'failure',
        ede: Ede.DNSSEC_INDETERMINATE,
        why: `${text} answers ${rcodeName(message.rcode)} to EDNS, without which there is no DNSSEC`,
      };
    default: {
      const theirs = edeOf(message);
      const detail = theirs === undefined ? '' : ` (${theirs})`;
      const why = `${text} answers ${rcodeName(message.rcode)}${detail}`;
      return { kind: 'failure', ede: Ede.NETWORK_ERROR, why };
    }
  }
  const [answer, authority] = [rrsetsOf(message.answer), rrsetsOf(message.authority)];
  const large = [...answer, ...authority].find((s) => s.rdatas.length > recordsPerRRset);
  if (large) {
    const why = `${text} sends more than ${recordsPerRRset} records of ${nameText(large.owner)} ${typeName(large.type)}`;
    return { kind: 'failure', ede: Ede.OTHER, why };
  }
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
