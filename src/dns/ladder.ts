import type { HealthNote } from '../health.ts';
import type { Random } from '../random.ts';
import { later, type Instant } from '../time.ts';
import { designated, designationQuestion } from './discovery.ts';
import type { AskDoor, Asked, EffectSink, Finder, Origin, Outcome, Server } from './finder.ts';
import { replyKind, type Message, type Question } from './message.ts';
import { nameOf, rootName } from './name.ts';
import { formatServer } from './server-text.ts';
import { serverText } from './servers.ts';
import { Class, Rcode, rcodeName, Type } from './types.ts';

/** One way of reaching an upstream. Compared by identity: TCP may heal what is bogus over UDP. */
export interface Rung extends Origin {
  readonly server: Server;
  /** The upstream itself named it as an encrypted way (RFC 9462). */
  readonly isOffered: boolean;
  /** What is known of it: `damaged` answers, but not so that anything can be validated; `absent` does not answer. */
  state: 'unknown' | 'works' | 'damaged' | 'absent';
  /** Why it does not work: what it does, without a subject (`strips DNSSEC`), or a clause that names the server. */
  why: string | undefined;
}

/** A resolver that we forward to, and the ways of reaching it, the best first. */
export interface Upstream {
  readonly text: string;
  /** As it was configured or learned. */
  readonly server: Server;
  rungs: readonly Rung[];
  /** The way that is taken, and since when. */
  current: Rung;
  since: Instant;
  /** Whether any way leads there. */
  state: 'works' | 'damaged' | 'absent';
  probing: Probing | undefined;
  /** When it was last found that `current` works. */
  provedAt: Instant | undefined;
  /** Not probed again before, where a better way is looked for, and where there is cause for suspicion. */
  nextProbeAt: Instant;
  suspectAt: Instant;
  restMs: number;
  /** Questions in a row that went unanswered. */
  silences: number;
  /** When it is asked next for an encrypted way to it. */
  discoverAt: Instant;
  /** Its answer to that is awaited. */
  discovering: Asked | undefined;
  /** Until then others go first. */
  shunnedUntil: Instant;
}

interface Probing {
  readonly open: Map<Asked, { readonly rung: Rung; readonly test: ProbeTest }>;
  /** Failures so far, by rung. */
  readonly failures: Map<Rung, Map<ProbeTest, Failure>>;
}

interface Failure {
  readonly state: 'damaged' | 'absent';
  readonly why: string;
}

/** The questions of a probe: a large reply, a small one, and a denial. */
type ProbeTest = 'keys' | 'soa' | 'denial';
const tests: readonly ProbeTest[] = ['keys', 'soa', 'denial'];

/** What is said of a resolver that leaves out all that DNSSEC needs. */
export const stripsDnssec = 'strips DNSSEC';

/** Milliseconds that a probe waits: UDP may lose one datagram, and a connection has to be made first. */
const patienceMs = { udp: 2000, connected: 3000 };
/** Milliseconds from one probing to the next: at first, and at most. */
const [firstRestMs, longestRestMs] = [10_000, 300_000];
/** Milliseconds from one question for an encrypted way to the next. */
const discoverMs = 3_600_000;
/** Milliseconds from a probing that found a way to the next one that something gives cause for. */
const shortRestMs = 2000;
/** Milliseconds for which a proof that a way works holds against suspicion. */
const provedMs = 60_000;

/**
 * How DNSSEC gets through to each upstream. Networks break it in ways that no error message tells: they strip
 * signatures, drop large datagrams, refuse EDNS. Where a question gives cause for suspicion, every way of reaching the
 * upstream is probed at once (UDP, TCP, TLS without a proof of who it is) with questions to which the signed root has
 * known answers; the best that passes is taken. Where that is not the best there is, or none passes, it is probed again
 * later, with the next question that anybody asks: a host that is idle stays silent.
 */
export class Ladder {
  readonly #door: AskDoor;
  readonly #finder: Finder;
  readonly #random: Random;
  readonly #isOn: boolean;
  readonly #discovers: boolean;
  /** What the probes belong to. */
  readonly #probes = new Map<Asked, Upstream>();
  #probed = 0;

  constructor(
    door: AskDoor,
    finder: Finder,
    random: Random,
    { probes = false, discovers = false }: LadderOptions,
  ) {
    this.#door = door;
    this.#finder = finder;
    this.#random = random;
    this.#isOn = probes;
    this.#discovers = probes && discovers;
  }

  get probed(): number {
    return this.#probed;
  }

  /** An upstream that is not known yet. */
  upstream(server: Server): Upstream {
    const current = rungTo(server);
    const others = this.#isOn ? waysBelow(server).map(rungTo) : [];
    return {
      text: serverText(server),
      server,
      rungs: [current, ...others],
      current,
      since: 0 as Instant,
      state: 'works',
      probing: undefined,
      provedAt: undefined,
      nextProbeAt: 0 as Instant,
      suspectAt: 0 as Instant,
      restMs: firstRestMs,
      silences: 0,
      discoverAt: 0 as Instant,
      discovering: undefined,
      shunnedUntil: 0 as Instant,
    };
  }

  /** Whether a suspicion would lead to anything: the way that is taken was not proved a moment ago. */
  isDoubtful(upstream: Upstream, now: Instant): boolean {
    const isProved = upstream.provedAt !== undefined && now < later(upstream.provedAt, provedMs);
    return this.#isOn && !isProved;
  }

  /** There is cause to think that DNSSEC does not get through, or nothing does. */
  suspect(upstream: Upstream, now: Instant, effects: EffectSink): void {
    if (!this.#isOn || upstream.probing || now < upstream.suspectAt) return;
    this.#probe(upstream, upstream.rungs, now, effects);
  }

  /** Somebody asks a question: time to see whether a better way leads to the upstream again. */
  climb(upstream: Upstream, now: Instant, effects: EffectSink): void {
    this.#discover(upstream, now, effects);
    const isBest = upstream.current === upstream.rungs[0] && upstream.state === 'works';
    if (!this.#isOn || isBest || upstream.probing || now < upstream.nextProbeAt) return;
    const better = upstream.rungs.slice(0, upstream.rungs.indexOf(upstream.current));
    this.#probe(upstream, upstream.state === 'works' ? better : upstream.rungs, now, effects);
  }

  /** A way on which nothing came any longer brought a reply. */
  revived(upstream: Upstream, now: Instant): void {
    if (upstream.state !== 'absent') return;
    upstream.state = 'works';
    upstream.since = now;
    upstream.restMs = firstRestMs;
    upstream.suspectAt = now;
    for (const rung of upstream.rungs) if (rung === upstream.current) rung.why = undefined;
  }

  /** What came of a probe; the upstream, where its probing is at an end with that. Undefined: it was no probe. */
  heard(
    asked: Asked,
    outcome: Outcome,
    now: Instant,
    effects: EffectSink,
  ): { readonly settled: Upstream | undefined } | undefined {
    const upstream = this.#probes.get(asked);
    if (upstream && upstream.discovering === asked) {
      this.#discovered(upstream, asked, outcome, now);
      return { settled: undefined };
    }
    const probing = upstream?.probing;
    const probe = probing?.open.get(asked);
    if (!upstream || !probing || !probe) return undefined;
    this.#probes.delete(asked);
    probing.open.delete(asked);
    const failure = failureOf(probe.test, outcome);
    const failures = probing.failures.get(probe.rung);
    if (failure && failures) failures.set(probe.test, failure);
    return { settled: this.#settle(upstream, probing, now, effects) ? upstream : undefined };
  }

  /** The upstream is not asked any longer. */
  drop(upstream: Upstream, effects: EffectSink): void {
    for (const asked of upstream.probing?.open.keys() ?? []) {
      this.#probes.delete(asked);
      this.#door.cancel(asked, effects);
    }
    upstream.probing = undefined;
  }

  /** As {@link drop}, with all that is asked of it on its own behalf. */
  forget(upstream: Upstream, effects: EffectSink): void {
    this.drop(upstream, effects);
    if (!upstream.discovering) return;
    this.#probes.delete(upstream.discovering);
    this.#door.cancel(upstream.discovering, effects);
    upstream.discovering = undefined;
  }

  /** Asks the upstream whether it can be reached in private (RFC 9462 §4), now and again. */
  #discover(upstream: Upstream, now: Instant, effects: EffectSink): void {
    const { server, discovering, discoverAt } = upstream;
    if (!this.#discovers || server.transport !== 'udp' || discovering || now < discoverAt) return;
    upstream.discoverAt = later(now, discoverMs);
    upstream.discovering = this.#door.ask(
      {
        question: designationQuestion,
        server,
        toResolver: true,
        finder: this.#finder,
        patienceMs: patienceMs.udp,
      },
      now,
      effects,
    );
    this.#probes.set(upstream.discovering, upstream);
  }

  /** What it designates is better than all other ways, once it was seen to work. */
  #discovered(upstream: Upstream, asked: Asked, outcome: Outcome, now: Instant): void {
    this.#probes.delete(asked);
    upstream.discovering = undefined;
    if (outcome.kind !== 'reply') return;
    const server = designated(upstream.server, outcome.message);
    const [first] = upstream.rungs;
    const offered = first?.isOffered ? first : undefined;
    if (server && offered && formatServer(offered.server) === formatServer(server)) return;
    // What it offered before, and does not any longer, is left where it works: a reply in clear proves nothing.
    if (!server || (offered && upstream.current === offered)) return;
    const others = upstream.rungs.filter((r) => r !== offered);
    upstream.rungs = [{ ...rungTo(server), isOffered: true }, ...others];
    upstream.nextProbeAt = now;
  }

  #probe(upstream: Upstream, rungs: readonly Rung[], now: Instant, effects: EffectSink): void {
    const probing: Probing = { open: new Map(), failures: new Map() };
    upstream.probing = probing;
    this.#probed++;
    for (const rung of rungs) {
      const { server } = rung;
      probing.failures.set(rung, new Map());
      for (const test of tests) {
        const patience = server.transport === 'udp' ? patienceMs.udp : patienceMs.connected;
        const asked = this.#door.ask(
          {
            question: this.#questionOf(test),
            server,
            toResolver: true,
            finder: this.#finder,
            patienceMs: patience,
          },
          now,
          effects,
        );
        probing.open.set(asked, { rung, test });
        this.#probes.set(asked, upstream);
      }
    }
  }

  #questionOf(test: ProbeTest): Question {
    switch (test) {
      case 'keys':
        return { name: rootName, type: Type.DNSKEY, class: Class.IN };
      case 'soa':
        return { name: rootName, type: Type.SOA, class: Class.IN };
      case 'denial': {
        // No top-level domain has such a name, and nobody can have the denial ready who does not ask the root for it.
        const label = [...this.#random.octets(12)].map((o) => String.fromCharCode(0x61 + (o % 26))).join('');
        return { name: nameOf(label) ?? rootName, type: Type.A, class: Class.IN };
      }
      default:
        return test satisfies never;
    }
  }

  /** Takes the best way that passed, as soon as all better ones have failed; whether the probing is at an end. */
  #settle(upstream: Upstream, probing: Probing, now: Instant, effects: EffectSink): boolean {
    const isOpen = (rung: Rung): boolean => [...probing.open.values()].some((p) => p.rung === rung);
    for (const rung of upstream.rungs) {
      const failures = probing.failures.get(rung);
      const isDamaged = [...(failures?.values() ?? [])].some((f) => f.state === 'damaged');
      if (failures && !isDamaged && isOpen(rung)) return false;
      if (failures) learn(rung, failures);
      if (rung.state !== 'works') continue;
      if (failures) upstream.provedAt = now;
      this.#take(upstream, rung, 'works', now, effects);
      return true;
    }
    if (probing.open.size > 0) return false; // More is said of why it fails.
    // Where only better ways were looked at, nothing is known against the one that is taken.
    const isAll = probing.failures.has(upstream.current);
    const state = upstream.rungs.some((r) => r.state === 'damaged') ? 'damaged' : 'absent';
    this.#take(upstream, upstream.current, isAll ? state : upstream.state, now, effects);
    return true;
  }

  #take(upstream: Upstream, rung: Rung, state: Upstream['state'], now: Instant, effects: EffectSink): void {
    this.drop(upstream, effects);
    if (upstream.current !== rung || upstream.state !== state) {
      upstream.since = now;
      upstream.restMs = firstRestMs;
    }
    upstream.current = rung;
    upstream.state = state;
    upstream.silences = 0;
    upstream.nextProbeAt = later(now, upstream.restMs);
    upstream.suspectAt = state === 'works' ? later(now, shortRestMs) : upstream.nextProbeAt;
    upstream.restMs = Math.min(longestRestMs, upstream.restMs * 2);
  }
}

/** What a {@link Ladder} may do; absent: not. */
export interface LadderOptions {
  /** Find out how DNSSEC gets through to the servers; the root must be signed for that. */
  readonly probes?: boolean;
  /** Ask the servers for encrypted ways to them (RFC 9462); only with `probes`. */
  readonly discovers?: boolean;
}

/** Why nothing that the upstream says can be validated: `192.0.2.1:53 strips DNSSEC; nothing listens at …`. */
export function explain(upstream: Upstream): string {
  const clauses = upstream.rungs.flatMap((r) => (r.why === undefined ? [] : [clauseOf(r)]));
  return clauses.length === 0 ? `${upstream.text} passes no DNSSEC` : clauses.join('; ');
}

/** What people should know of the way that is taken to the upstream; undefined: it is the usual one. */
export function noteOn(upstream: Upstream, now: Instant): HealthNote | undefined {
  const { current, state } = upstream;
  if (state === 'works' && current.isOffered) {
    const sentence = `Upstream ${upstream.text} is asked in private, at ${current.text}, as it offers.`;
    return { level: 'good', sentence };
  }
  const sentence = troubleOn(upstream, now);
  return sentence === undefined ? undefined : { level: 'notice', sentence };
}

function troubleOn(upstream: Upstream, now: Instant): string | undefined {
  const usual = upstream.rungs.find((r) => !r.isOffered);
  const bad = upstream.rungs.find((r) => !r.isOffered && r.why !== undefined);
  if (!bad || (upstream.current === usual && upstream.state === 'works')) return undefined;
  const minutes = Math.floor((now - upstream.since) / 60_000);
  const since = minutes < 1 ? 'for less than a minute' : `for ${minutes} min`;
  switch (upstream.state) {
    case 'works':
      return `Upstream ${clauseOf(bad)}: it is asked ${overText(upstream.current.server)} ${since}.`;
    case 'damaged':
      return `Upstream ${explain(upstream)} (${since}).`;
    case 'absent':
      return `Upstream ${upstream.text} does not answer (${since}).`;
    default:
      return upstream.state satisfies never;
  }
}

function clauseOf({ text, why = '' }: Rung): string {
  return why.includes(' at ') || why.includes(text) ? why : `${text} ${why}`;
}

function overText(server: Server): string {
  switch (server.transport) {
    case 'udp':
      return 'over UDP';
    case 'tcp':
      return 'over TCP';
    case 'tls':
      return 'over TLS';
    case 'https':
      return 'over HTTPS';
    default:
      return server.transport satisfies never;
  }
}

function rungTo(server: Server): Rung {
  return { server, text: serverText(server), isOffered: false, state: 'unknown', why: undefined };
}

/** The ways of reaching a server that are worse than the one that is configured. What is to be encrypted stays so. */
function waysBelow(server: Server): Server[] {
  if (server.transport === 'tls' || server.transport === 'https') return [];
  const { address } = server.endpoint;
  const overTls: Server = { endpoint: { address, port: 853 }, transport: 'tls' };
  const overTcp: Server[] = server.transport === 'udp' ? [{ ...server, transport: 'tcp' }] : [];
  return [...overTcp, overTls];
}

function learn(rung: Rung, failures: ReadonlyMap<ProbeTest, Failure>): void {
  const damage = [...failures.values()].find((f) => f.state === 'damaged');
  const [first] = failures.values();
  if (!first) {
    rung.state = 'works';
    rung.why = undefined;
  } else if (damage) {
    rung.state = 'damaged';
    rung.why = damage.why;
  } else if (failures.size < tests.length) {
    rung.state = 'damaged';
    rung.why = failures.has('keys') ? 'lets no large replies through' : 'leaves questions unanswered';
  } else {
    rung.state = 'absent';
    rung.why = first.why;
  }
}

/** Why the reply is not what a resolver behind which DNSSEC works would give; undefined: it is. */
function failureOf(test: ProbeTest, outcome: Outcome): Failure | undefined {
  switch (outcome.kind) {
    case 'silent':
      return { state: 'absent', why: 'does not answer' };
    case 'failed':
      return { state: 'absent', why: outcome.why };
    case 'reply':
      return damageOf(test, outcome.message);
    default:
      return outcome satisfies never;
  }
}

function damageOf(test: ProbeTest, message: Message): Failure | undefined {
  const damaged = (why: string): Failure => ({ state: 'damaged', why });
  const { rcode, answer, authority } = message;
  if (replyKind(rcode) === 'withoutEdns') return damaged(`answers ${rcodeName(rcode)} to EDNS`);
  const wanted = test === 'denial' ? Rcode.NXDOMAIN : Rcode.NOERROR;
  const isDenied =
    answer.length === 0 && authority.some((r) => r.type === Type.NSEC || r.type === Type.NSEC3);
  // A denial may come as one of data alone (RFC 9824).
  if (rcode !== wanted && !(test === 'denial' && rcode === Rcode.NOERROR && isDenied)) {
    const isInvented = test === 'denial' && rcode === Rcode.NOERROR && answer.length > 0;
    return damaged(isInvented ? 'invents names' : `answers ${rcodeName(rcode)}`);
  }
  const records = test === 'denial' ? authority : answer;
  if (!records.some((r) => r.type === Type.RRSIG)) return damaged(stripsDnssec);
  if (test === 'denial' && !isDenied) return damaged('leaves out the records that deny');
  const type = test === 'keys' ? Type.DNSKEY : Type.SOA;
  return records.some((r) => r.type === type) || test === 'denial' ? undefined : damaged(stripsDnssec);
}
