import { randomU32, type Random } from '../random.ts';
import { later, type Deadline, type Instant } from '../time.ts';
import { sameOctets } from '../wire/octets.ts';
import { ipv4onlyName } from './dns64.ts';
import type { AskDoor, AskRequest, Asked, EffectSink, Outcome, Server, Transport } from './finder.ts';
import {
  decodeMessage,
  emptyMessage,
  encodeMessage,
  questionAt,
  type EdnsOptionData,
  type Message,
  type Question,
} from './message.ts';
import { octetsOfName } from './name.ts';
import {
  clientCookieOctets,
  expectsCookie,
  learnCaseLapse,
  learnCookieLapse,
  learnRoundTrip,
  Servers,
  serverText,
  waitMs,
  waitOverMs,
  type ServerState,
} from './servers.ts';
import { Class, EdnsOption, Rcode, Type } from './types.ts';

/** An {@link Asked} and what became of it. */
export interface Heard {
  readonly asked: Asked;
  readonly outcome: Outcome;
}

interface Transaction extends Asked {
  transport: Transport;
  readonly toResolver: boolean;
  readonly plain: boolean;
  readonly patienceMs: number | undefined;
  /** What is known of the server; kept here, so that learning needs no look-up. */
  readonly state: ServerState;
  /** The number of the effect that it waits for. */
  ask: number;
  sentAt: Instant;
  dueAt: Instant;
  /** As sent, for its id and the case of its letters. */
  octets: Uint8Array;
  /** The COOKIE option that went out; undefined: none did. */
  cookie: Uint8Array | undefined;
  /** Datagrams that came for it and do not fit. */
  misfits: number;
  /** Sent once more because of BADCOOKIE. */
  hasNewCookie: boolean;
  /** Why it went over to TCP. */
  doubt: 'case' | 'question' | 'cookie' | undefined;
}

/** Octets of a UDP reply that fit any path without fragments (RFC 9715 §3). */
const udpSize = 1232;
/** Datagrams that do not fit a question, after which its reply is fetched over TCP. */
const maxMisfits = 16;
/** Queries over an encrypted transport are multiples of this many octets (RFC 8467 §4.1). */
const paddedTo = 128;
/** Octets of a COOKIE option with a server's cookie (RFC 7873 §4). */
const cookieOptionOctets = { least: clientCookieOctets + 8, most: clientCookieOctets + 32 };

/**
 * Questions to servers, one transaction each. A transaction takes one datagram that fits, or goes over to TCP where
 * the reply is truncated or may be forged: then there is nothing to be guessed (RFC 5452 §9.2). What protects UDP is
 * the port (the edge's), the id, the case of the letters in the question and the cookies of RFC 7873.
 */
export class Asks implements AskDoor {
  readonly #random: Random;
  readonly #servers: Servers;
  readonly #open = new Map<number, Transaction>();
  readonly #counters = { asked: 0, askedOverTcp: 0, ignored: 0, caseLost: 0, cookiesLost: 0 };
  #nextAsk = 1;
  /** The first time at which something is due; undefined: to be found out. */
  #firstDue: Instant | undefined;

  constructor(random: Random) {
    this.#random = random;
    this.#servers = new Servers(random);
  }

  get stats(): Readonly<Record<string, number>> {
    return { ...this.#counters, servers: this.#servers.size };
  }

  get deadline(): Deadline | undefined {
    if (this.#open.size === 0) return undefined;
    if (this.#firstDue === undefined) {
      for (const { dueAt } of this.#open.values())
        if (this.#firstDue === undefined || dueAt < this.#firstDue) this.#firstDue = dueAt;
    }
    return this.#firstDue && { at: this.#firstDue, why: 'end of the wait for a server' };
  }

  ask(request: AskRequest, now: Instant, effects: EffectSink): Asked {
    const { question, server, finder, toResolver, plain = false, patienceMs } = request;
    const state = this.#servers.of(server, now);
    const asked: Transaction = {
      question,
      server,
      finder,
      toResolver,
      plain,
      patienceMs,
      state,
      transport: server.transport === 'udp' && !state.keepsCase && state.takesTcp ? 'tcp' : server.transport,
      ask: 0,
      sentAt: now,
      dueAt: now,
      octets: new Uint8Array(),
      cookie: undefined,
      misfits: 0,
      hasNewCookie: false,
      doubt: undefined,
    };
    this.#send(asked, now, effects);
    return asked;
  }

  cancel(asked: Asked, effects: EffectSink): void {
    const open = asked as Transaction;
    if (this.#open.get(open.ask) === open) this.#drop(open, effects);
  }

  roundTripMs(server: Server): number | undefined {
    return this.#servers.find(server)?.rttMs;
  }

  waitMs(server: Server, toResolver: boolean): number {
    return waitOverMs(server, this.#servers.find(server), toResolver);
  }

  silences(server: Server): number {
    return this.#servers.find(server)?.silences ?? 0;
  }

  /** This host's addresses are others now: nothing that we send may tell that it is the same host. */
  forgetCookies(): void {
    this.#servers.forgetCookies();
  }

  /** Octets that came for `ask`; the outcome, if that is one. */
  received(ask: number, octets: Uint8Array, now: Instant, effects: EffectSink): Heard | undefined {
    const asked = this.#open.get(ask);
    const message = decodeMessage(asked ? asWanted(octets, asked) : octets);
    if (!asked || !message.ok || !fits(message.value, asked)) {
      this.#counters.ignored++;
      // Over a connection nobody else speaks: another reply will not come.
      if (asked && !message.ok && asked.transport !== 'udp') {
        this.#drop(asked, effects);
        const why = `${serverText({ ...asked.server, transport: asked.transport })} sends what cannot be read (${message.error.message})`;
        return { asked, outcome: { kind: 'failed', why } };
      }
      if (asked) this.#misfit(asked, now, effects);
      return undefined;
    }
    return asked.transport === 'udp'
      ? this.#datagram(asked, octets, message.value, now, effects)
      : this.#connected(asked, message.value, now, effects);
  }

  /** `ask` cannot be performed, e.g. for want of a route; `why` is a clause that names the server. */
  failed(ask: number, why: string, now: Instant, effects: EffectSink): Heard | undefined {
    const asked = this.#open.get(ask);
    if (!asked) return undefined;
    if (this.#withoutTcp(asked, now, effects)) return undefined;
    asked.state.silences++;
    this.#drop(asked, effects);
    return { asked, outcome: { kind: 'failed', why } };
  }

  /** What has become due: no reply came in time. */
  tick(now: Instant, effects: EffectSink): Heard[] {
    const silent: Heard[] = [];
    for (const asked of [...this.#open.values()]) {
      if (now < asked.dueAt || this.#withoutTcp(asked, now, effects)) continue;
      asked.state.silences++;
      this.#drop(asked, effects);
      silent.push({ asked, outcome: { kind: 'silent' } });
    }
    return silent;
  }

  #datagram(
    asked: Transaction,
    octets: Uint8Array,
    message: Message,
    now: Instant,
    effects: EffectSink,
  ): Heard | undefined {
    const { state } = asked;
    if (message.questions.length === 0) {
      // Nothing came back of what a forger would have had to guess.
      if (state.keepsCase) {
        this.#overTcp(asked, 'question', now, effects);
        return undefined;
      }
    } else if (!sameCase(octets, asked)) {
      // Either a guess, or a server that writes the question anew: TCP tells which.
      this.#counters.caseLost++;
      this.#overTcp(asked, 'case', now, effects);
      return undefined;
    }
    const cookie = cookieIn(message, asked);
    if (cookie === 'wrong') {
      this.#counters.ignored++;
      this.#misfit(asked, now, effects); // RFC 7873 §5.3: discarded
      return undefined;
    }
    const tookMs = now - asked.sentAt;
    if (cookie === undefined) {
      if (expectsCookie(state) && asked.cookie) {
        this.#counters.cookiesLost++;
        this.#overTcp(asked, 'cookie', now, effects);
        return undefined;
      }
    } else {
      state.serverCookie = cookie;
      state.cookieLapses = 0;
    }
    learnRoundTrip(state, tookMs);
    if (message.rcode === Rcode.BADCOOKIE && cookie !== undefined) {
      // Once more with the cookie that came along, then without one where none is needed (RFC 7873 §5.3).
      if (asked.hasNewCookie) this.#overTcp(asked, undefined, now, effects);
      else {
        asked.hasNewCookie = true;
        this.#again(asked, now, effects);
      }
      return undefined;
    }
    if (message.truncated) {
      this.#overTcp(asked, undefined, now, effects);
      return undefined;
    }
    this.#drop(asked, effects);
    return { asked, outcome: { kind: 'reply', message, tookMs } };
  }

  #connected(asked: Transaction, message: Message, now: Instant, effects: EffectSink): Heard | undefined {
    const { state, server, doubt } = asked;
    const tookMs = now - asked.sentAt;
    state.takesTcp = true;
    // The handshake is in it, so it tells nothing about UDP.
    if (server.transport === 'udp') state.silences = 0;
    else learnRoundTrip(state, tookMs);
    if (doubt === 'case') learnCaseLapse(state, now);
    if (doubt === 'cookie') learnCookieLapse(state);
    this.#drop(asked, effects, keepMsIn(message));
    if (message.truncated) {
      const why = `${serverText({ ...server, transport: asked.transport })} truncates its reply`;
      return { asked, outcome: { kind: 'failed', why } };
    }
    return { asked, outcome: { kind: 'reply', message, tookMs } };
  }

  /** Somebody guesses at the id. */
  #misfit(asked: Transaction, now: Instant, effects: EffectSink): void {
    if (asked.transport !== 'udp' || ++asked.misfits < maxMisfits) return;
    this.#overTcp(asked, undefined, now, effects);
  }

  #overTcp(asked: Transaction, doubt: Transaction['doubt'], now: Instant, effects: EffectSink): void {
    asked.transport = 'tcp';
    asked.doubt = doubt;
    this.#again(asked, now, effects);
  }

  /**
   * A server that changes the case of letters, or leaves the question out, and does not take TCP is asked over UDP in
   * small letters: the port and the id remain.
   */
  #withoutTcp(asked: Transaction, now: Instant, effects: EffectSink): boolean {
    const { state, server } = asked;
    const { doubt } = asked;
    const isOnlyForCase =
      doubt === 'case' || doubt === 'question' || (!state.keepsCase && doubt === undefined);
    if (server.transport !== 'udp' || asked.transport !== 'tcp' || !isOnlyForCase) return false;
    if (!state.takesTcp) return false;
    state.takesTcp = false;
    learnCaseLapse(state, now);
    asked.transport = 'udp';
    this.#again(asked, now, effects);
    return true;
  }

  #again(asked: Transaction, now: Instant, effects: EffectSink): void {
    this.#drop(asked, effects);
    this.#send(asked, now, effects);
  }

  #send(asked: Transaction, now: Instant, effects: EffectSink): void {
    const { state, server, transport } = asked;
    const isUdp = transport === 'udp';
    asked.ask = this.#nextAsk++;
    asked.sentAt = now;
    const wait = isUdp ? waitMs(state, asked.toResolver) : waitOverMs({ ...server, transport }, state, false);
    asked.dueAt = later(now, asked.patienceMs ?? wait);
    asked.cookie = isUdp && !asked.plain ? this.#servers.cookieFor(state, now) : undefined;
    asked.octets = this.#queryOctets(asked);
    this.#open.set(asked.ask, asked);
    this.#dueAt(asked.dueAt);
    this.#counters.asked++;
    if (!isUdp) this.#counters.askedOverTcp++;
    const over = server.transport === transport ? server : { ...server, transport };
    effects.push({ kind: 'ask', ask: asked.ask, server: over, octets: asked.octets });
  }

  /** DO and CD: the signatures are wanted, the judging is done here (RFC 4035 §4.9.1, RFC 6840 §5.9). */
  #queryOctets(asked: Transaction): Uint8Array {
    const { transport, toResolver, question } = asked;
    const options: EdnsOptionData[] = [];
    if (asked.cookie) options.push({ code: EdnsOption.COOKIE, data: asked.cookie });
    // RFC 7828 §3.2.1: empty, an invitation to say how long. Over HTTPS the connection is HTTP's.
    if (transport === 'tcp' || transport === 'tls')
      options.push({ code: EdnsOption.TCP_KEEPALIVE, data: new Uint8Array() });
    // Of this one name a resolver is to say what it makes up itself (RFC 7050 §3.1, RFC 6147 §5.5).
    const isProbe = question.name === ipv4onlyName && question.type === Type.AAAA;
    const query: Message = {
      ...emptyMessage,
      // RFC 8484 §4.1: one id for all, so that equal questions are equal to a cache.
      id: transport === 'https' ? 0 : randomU32(this.#random) & 0xffff,
      recursionDesired: toResolver,
      checkingDisabled: toResolver && !isProbe,
      questions: [question],
    };
    if (asked.plain) return this.#withRandomCase(asked, encodeMessage(query));
    const edns = { version: 0, udpSize, dnssecOk: !isProbe, options };
    const octets = encodeMessage({ ...query, edns });
    if (transport === 'udp') return this.#withRandomCase(asked, octets);
    return transport === 'tcp' ? octets : padded({ ...query, edns }, octets.length);
  }

  /** draft-vixie-dnsext-dns0x20: each letter of the question is one more bit that a forger must guess. */
  #withRandomCase(asked: Transaction, octets: Uint8Array): Uint8Array {
    if (asked.transport !== 'udp' || !asked.state.keepsCase) return octets;
    const end = questionAt + asked.question.name.length;
    const bits = this.#random.octets((asked.question.name.length + 7) >> 3);
    for (let at = questionAt; at < end; at++) {
      const octet = octets[at] ?? 0;
      const i = at - questionAt;
      // A label's length is 63 at most and no letter.
      if (octet >= 0x61 && octet <= 0x7a && ((bits[i >> 3] ?? 0) >> (i & 7)) & 1) octets[at] = octet - 0x20;
    }
    return octets;
  }

  #drop(asked: Transaction, effects: EffectSink, keepMs?: number): void {
    this.#open.delete(asked.ask);
    if (this.#firstDue === asked.dueAt) this.#firstDue = undefined;
    effects.push({ kind: 'release', ask: asked.ask, ...(keepMs !== undefined && { keepMs }) });
  }

  #dueAt(at: Instant): void {
    if (this.#open.size === 1) this.#firstDue = at;
    else if (this.#firstDue !== undefined && at < this.#firstDue) this.#firstDue = at;
  }
}

/** It answers this very question; anything else is somebody's guess, and the true reply may yet come (RFC 5452 §9.1). */
function fits(message: Message, { octets, question: asked }: Transaction): boolean {
  const id = ((octets[0] ?? 0) << 8) | (octets[1] ?? 0);
  if (!message.response || message.opcode !== 0 || message.id !== id) return false;
  const [question, ...more] = message.questions;
  // A server that cannot read the question may leave it out (RFC 1035 §4.1.1).
  if (question === undefined) return message.rcode === Rcode.FORMERR || message.rcode === Rcode.NOTIMP;
  return more.length === 0 && sameQuestion(question, asked);
}

function sameQuestion(a: Question, b: Question): boolean {
  return a.name === b.name && a.type === b.type && a.class === Class.IN;
}

/** The question came back octet by octet; it fits already, so its name can only differ in case. */
function sameCase(reply: Uint8Array, { octets, question }: Transaction): boolean {
  const end = questionAt + question.name.length;
  return sameOctets(reply.subarray(questionAt, end), octets.subarray(questionAt, end));
}

/**
 * The reply with the name in small letters, where it came back as it was sent: names in RDATA may point at it
 * (RFC 1035 §4.1.4), and the letters of chance are nobody's data.
 */
function asWanted(reply: Uint8Array, asked: Transaction): Uint8Array {
  if (asked.transport !== 'udp' || !sameCase(reply, asked)) return reply;
  const restored = Uint8Array.from(reply);
  restored.set(octetsOfName(asked.question.name), questionAt);
  return restored;
}

/**
 * The server's cookie (RFC 7873 §5.3); `wrong` where the option holds a client cookie that is not ours, or has a
 * length that it cannot have. A server that only gives our own option back does not know cookies.
 */
function cookieIn(message: Message, { cookie }: Transaction): Uint8Array | 'wrong' | undefined {
  const option = message.edns?.options.find((o) => o.code === EdnsOption.COOKIE);
  if (!option || !cookie) return undefined;
  const { data } = option;
  const isOurs = sameOctets(data.subarray(0, clientCookieOctets), cookie.subarray(0, clientCookieOctets));
  if (!isOurs) return 'wrong';
  if (data.length === clientCookieOctets) return undefined;
  if (data.length < cookieOptionOctets.least || data.length > cookieOptionOctets.most) return 'wrong';
  return data.slice(clientCookieOctets);
}

/** How long the server lets an idle connection stand (RFC 7828 §3.1: in units of 100 ms). */
function keepMsIn(message: Message): number | undefined {
  const data = message.edns?.options.find((o) => o.code === EdnsOption.TCP_KEEPALIVE)?.data;
  return data?.length === 2 ? (((data[0] ?? 0) << 8) | (data[1] ?? 0)) * 100 : undefined;
}

/** `query` with padding; `octets` long without it. */
function padded(query: Message, octets: number): Uint8Array {
  const missing = (paddedTo - ((octets + 4) % paddedTo)) % paddedTo;
  const { edns } = query;
  if (!edns) return encodeMessage(query);
  const padding = { code: EdnsOption.PADDING, data: new Uint8Array(missing) };
  return encodeMessage({ ...query, edns: { ...edns, options: [...edns.options, padding] } });
}
