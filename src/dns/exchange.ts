import type { Endpoint } from '../net/address.ts';
import { randomU32, type Random } from '../random.ts';
import { later, type Deadline, type Instant } from '../time.ts';
import type { Reply } from './dnssec/chain.ts';
import { decodeMessage, encodeMessage, rrsetsOf, type Message, type Question } from './message.ts';
import { nameText } from './name.ts';
import { Class, Ede, EdnsOption, Rcode, rcodeName, typeName } from './types.ts';
import { UpstreamRanking, waitMs, type Upstream } from './upstream-ranking.ts';

/** What has to be done for an exchange: the same as the resolver's effects of these kinds. */
export type ExchangeEffect =
  | {
      readonly kind: 'ask';
      readonly ask: number;
      readonly upstream: Endpoint;
      readonly transport: 'udp' | 'tcp';
      readonly octets: Uint8Array;
    }
  | { readonly kind: 'release'; readonly ask: number };

/** Where effects go, in order: an array of these or of a wider kind. */
export interface EffectSink {
  push(effect: ExchangeEffect): unknown;
}

/** One question on its way upstream, until a reply is there or all has been tried. */
export interface Exchange {
  readonly question: Question;
  /** Set once; nothing is on its way any longer then. */
  reply: Reply | undefined;
  /** Who gave the reply. */
  from: Upstream | undefined;
}

interface Attempt {
  readonly ask: number;
  readonly id: number;
  readonly upstream: Upstream;
  readonly transport: 'udp' | 'tcp';
  readonly at: Instant;
  readonly exchange: Live;
  /** Datagrams that came for it and do not fit. */
  misfits: number;
}

interface Live extends Exchange {
  readonly order: readonly Upstream[];
  readonly open: Map<number, Attempt>;
  readonly giveUpAt: Instant;
  sent: number;
  nextAt: Instant;
  /** Upstreams that answered, but not with what was asked for, and how. */
  readonly refusals: Map<Upstream, { readonly ede: number; readonly why: string }>;
}

/** Octets of a UDP reply that fit any path without fragments (RFC 9715 §3). */
const udpSize = 1232;
/** Sent per question at most, over all upstreams. */
const maxSent = 8;
/** Records of one RRset: each costs everybody who handles it, and no honest one comes near. */
const recordsPerRRset = 256;
/** Datagrams that do not fit a question, after which its reply is fetched over TCP. */
const maxMisfits = 16;
/** Milliseconds after which a question is given up. */
export const exchangeMs = 9000;

/** Questions on their way, their retransmissions and the matching of replies. */
export class Exchanges {
  readonly #upstreams: UpstreamRanking;
  readonly #random: Random;
  readonly #attempts = new Map<number, Attempt>();
  readonly #live = new Set<Live>();
  readonly #counters = { asked: 0, askedOverTcp: 0, retransmitted: 0, ignored: 0 };
  #nextAsk = 1;

  constructor(upstreams: readonly Endpoint[], random: Random) {
    this.#upstreams = new UpstreamRanking(upstreams);
    this.#random = random;
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#counters, asking: this.#live.size };
  }

  get deadline(): Deadline | undefined {
    let at: Instant | undefined;
    for (const { nextAt } of this.#live) if (at === undefined || nextAt < at) at = nextAt;
    return at === undefined ? undefined : { at, why: 'retransmission to an upstream resolver' };
  }

  /** Asks `question`, of `avoided` last or not at all where there are others. */
  start(question: Question, avoided: Upstream | undefined, now: Instant, effects: EffectSink): Exchange {
    const all = this.#upstreams.order(now);
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
      refusals: new Map(),
    };
    this.#live.add(live);
    this.#sendNext(live, now, effects);
    return live;
  }

  /** Whether another upstream than the one that replied could be asked. */
  hasOther(exchange: Exchange, now: Instant): boolean {
    return this.#upstreams.order(now).some((u) => u !== exchange.from);
  }

  /** Gives the exchange up: no reply is wanted. */
  abandon(exchange: Exchange, effects: EffectSink): void {
    for (const live of this.#live) if (live === exchange) this.#close(live, effects);
  }

  /** Octets that came for an ask; the exchange if it has its reply now. */
  received(ask: number, octets: Uint8Array, now: Instant, effects: EffectSink): Exchange | undefined {
    const attempt = this.#attempts.get(ask);
    const message = decodeMessage(octets);
    if (!attempt || !message.ok || !fits(message.value, attempt)) {
      this.#counters.ignored++;
      if (attempt) this.#misfit(attempt, now, effects);
      return undefined;
    }
    const { exchange, upstream, transport, at } = attempt;
    if (transport === 'udp') this.#upstreams.answered(upstream, now - at);
    if (message.value.truncated && transport === 'udp') {
      this.#drop(attempt, effects);
      this.#send(exchange, upstream, 'tcp', now, effects);
      return undefined;
    }
    this.#drop(attempt, effects);
    const refusal = refusalOf(message.value, upstream);
    if (refusal) return this.#refused(exchange, upstream, refusal, now, effects);
    const [answer, authority] = [rrsetsOf(message.value.answer), rrsetsOf(message.value.authority)];
    const large = [...answer, ...authority].find((s) => s.rdatas.length > recordsPerRRset);
    if (large) {
      const why = `${upstream.text} sends more than ${recordsPerRRset} records of ${nameText(large.owner)} ${typeName(large.type)}`;
      return this.#refused(exchange, upstream, { ede: Ede.OTHER, why }, now, effects);
    }
    const reply: Reply = {
      kind: 'message',
      message: message.value,
      answer,
      authority,
      upstream: upstream.text,
    };
    return this.#finish(exchange, reply, upstream, effects);
  }

  /** Somebody guesses at the id: over TCP there is nothing to be guessed (RFC 5452 §9.2). */
  #misfit(attempt: Attempt, now: Instant, effects: EffectSink): void {
    if (attempt.transport !== 'udp' || ++attempt.misfits < maxMisfits) return;
    this.#drop(attempt, effects);
    this.#send(attempt.exchange, attempt.upstream, 'tcp', now, effects);
  }

  /** An ask cannot be performed, e.g. for want of a route; `why` is a clause that names the upstream. */
  failed(ask: number, why: string, now: Instant, effects: EffectSink): Exchange | undefined {
    const attempt = this.#attempts.get(ask);
    if (!attempt) return undefined;
    this.#drop(attempt, effects);
    const { exchange, upstream } = attempt;
    this.#upstreams.silent(upstream, now);
    return this.#refused(exchange, upstream, { ede: Ede.NETWORK_ERROR, why }, now, effects);
  }

  /** Sends again what is due; the exchanges that are given up. */
  tick(now: Instant, effects: EffectSink): Exchange[] {
    const given: Exchange[] = [];
    for (const live of [...this.#live]) {
      if (now < live.nextAt) continue;
      const silent = live.order[(live.sent - 1) % live.order.length];
      if (silent && ![...live.refusals.keys()].includes(silent)) this.#upstreams.silent(silent, now);
      if (live.sent < maxSent && now < live.giveUpAt) {
        this.#counters.retransmitted++;
        this.#sendNext(live, now, effects);
      } else if (now >= live.giveUpAt || live.open.size === 0) {
        given.push(this.#finish(live, this.#silence(live), undefined, effects));
      } else {
        live.nextAt = live.giveUpAt;
      }
    }
    return given;
  }

  #refused(
    live: Live,
    upstream: Upstream,
    refusal: { readonly ede: number; readonly why: string },
    now: Instant,
    effects: EffectSink,
  ): Exchange | undefined {
    live.refusals.set(upstream, refusal);
    if (live.order.some((u) => !live.refusals.has(u))) {
      if (live.open.size === 0 && live.sent < maxSent) this.#sendNext(live, now, effects);
      return undefined;
    }
    return this.#finish(live, { kind: 'failure', ...refusal }, upstream, effects);
  }

  #silence(live: Live): Reply {
    const [refusal] = live.refusals.values();
    if (refusal) return { kind: 'failure', ...refusal };
    const who = live.order.map((u) => u.text).join(', ');
    const why = live.order.length === 0 ? 'there is no upstream resolver' : `no reply from ${who}`;
    return { kind: 'failure', ede: Ede.NO_REACHABLE_AUTHORITY, why };
  }

  #sendNext(live: Live, now: Instant, effects: EffectSink): void {
    const willing = live.order.filter((u) => !live.refusals.has(u));
    const upstream = willing[live.sent % willing.length];
    if (!upstream) {
      live.nextAt = now;
      live.sent = maxSent;
      return;
    }
    this.#send(live, upstream, 'udp', now, effects);
    const round = Math.floor((live.sent - 1) / willing.length);
    live.nextAt = earlier(later(now, waitMs(upstream) * 2 ** round), live.giveUpAt);
  }

  #send(live: Live, upstream: Upstream, transport: 'udp' | 'tcp', now: Instant, effects: EffectSink): void {
    const ask = this.#nextAsk++;
    const id = randomU32(this.#random) & 0xffff;
    const attempt: Attempt = { ask, id, upstream, transport, at: now, exchange: live, misfits: 0 };
    this.#attempts.set(ask, attempt);
    live.open.set(ask, attempt);
    live.sent++;
    if (transport === 'tcp') {
      this.#counters.askedOverTcp++;
      live.nextAt = earlier(later(now, 3000), live.giveUpAt);
    }
    this.#counters.asked++;
    effects.push({
      kind: 'ask',
      ask,
      upstream: upstream.endpoint,
      transport,
      octets: queryOctets(id, live.question),
    });
  }

  #drop(attempt: Attempt, effects: EffectSink): void {
    this.#attempts.delete(attempt.ask);
    attempt.exchange.open.delete(attempt.ask);
    effects.push({ kind: 'release', ask: attempt.ask });
  }

  #close(live: Live, effects: EffectSink): void {
    this.#live.delete(live);
    for (const attempt of [...live.open.values()]) this.#drop(attempt, effects);
  }

  #finish(live: Live, reply: Reply, from: Upstream | undefined, effects: EffectSink): Exchange {
    live.reply = reply;
    live.from = from;
    this.#close(live, effects);
    return live;
  }
}

/** DO and CD: the signatures are wanted, the judging is done here (RFC 4035 §4.9.1, RFC 6840 §5.9). */
function queryOctets(id: number, question: Question): Uint8Array {
  return encodeMessage({
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: true,
    rcode: Rcode.NOERROR,
    questions: [question],
    answer: [],
    authority: [],
    additional: [],
    edns: { version: 0, udpSize, dnssecOk: true, options: [] },
  });
}

/** It answers this very question; anything else is somebody's guess, and the true reply may yet come (RFC 5452 §9.1). */
function fits(message: Message, { id, exchange }: Attempt): boolean {
  if (!message.response || message.opcode !== 0 || message.id !== id) return false;
  const [question, ...more] = message.questions;
  // A server that cannot read the question may leave it out (RFC 1035 §4.1.1).
  if (question === undefined) return message.rcode === Rcode.FORMERR || message.rcode === Rcode.NOTIMP;
  const asked = exchange.question;
  return (
    more.length === 0 &&
    question.name === asked.name &&
    question.type === asked.type &&
    question.class === Class.IN
  );
}

/** Why a reply is no answer, so that another upstream should be asked. */
function refusalOf(
  message: Message,
  upstream: Upstream,
): { readonly ede: number; readonly why: string } | undefined {
  switch (message.rcode) {
    case Rcode.NOERROR:
    case Rcode.NXDOMAIN:
    case Rcode.YXDOMAIN:
      return undefined;
    case Rcode.FORMERR:
    case Rcode.NOTIMP:
    case Rcode.BADVERS:
      return {
        ede: Ede.DNSSEC_INDETERMINATE,
        why: `${upstream.text} answers ${rcodeName(message.rcode)} to EDNS, without which there is no DNSSEC`,
      };
    default: {
      const theirs = edeOf(message);
      const detail = theirs === undefined ? '' : ` (${theirs})`;
      return { ede: Ede.NETWORK_ERROR, why: `${upstream.text} answers ${rcodeName(message.rcode)}${detail}` };
    }
  }
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
