import type { HealthNote } from '../health.ts';
import { addressOf, type IpAddress } from '../net/address.ts';
import { formatPrefix, type Prefix } from '../net/prefix.ts';
import { isLocalOnly, isPrivateUse } from '../net/scope.ts';
import { later, type Instant } from '../time.ts';
import { embedded, ipv4onlyName, prefixesIn } from './dns64.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import type { Resolution } from './resolution.ts';
import type { RRset } from './rrset.ts';
import { Class, Ede, Rcode, Type } from './types.ts';

/** What {@link Nat64} asks of its owner. */
export interface Nat64Doors {
  /** Begins a lookup; its answer comes back through `resolved`. */
  lookup(question: Question, checkingDisabled: boolean): number;
  /** The answer to the lookup that waited. */
  resolved(id: number, resolution: Resolution): void;
  /** Whether the host `name` may be reached at another address than `v4`, which its own rule may be for. */
  mayShow(name: NameKey, v4: IpAddress): boolean;
}

/**
 * Addresses for hosts that have only IPv4 ones, in a network that has only IPv6 and a translator (RFC 6146). The
 * resolver of such a network would make AAAA records itself, which no signature proves, and for us it does not, since we
 * ask with DO and CD (RFC 6147 §5.5). So the records are made here, after validation, and are never called secure. The
 * prefix is the configured one, or what the network's resolver makes of ipv4only.arpa (RFC 7050).
 *
 * **Limitations:** the prefix is not read from router advertisements (RFC 8781), and reverse names of made addresses are
 * asked as they are (§5.3.1).
 */
export class Nat64 {
  readonly #doors: Nat64Doors;
  readonly #mode: 'auto' | 'off' | Prefix;
  #locals: readonly IpAddress[];
  #learned: { readonly prefix: Prefix | undefined; readonly until: Instant } | undefined;
  /** The lookup of ipv4only.arpa that is under way. */
  #learning: number | undefined;
  /** AAAA lookups that may have to be made up for, by their id. */
  readonly #watched = new Map<number, Question>();
  /** Those that wait for the prefix. */
  readonly #waiting = new Map<number, Pending>();
  /** Those that wait for A records, by the id of that lookup. */
  readonly #made = new Map<number, Pending>();

  constructor(mode: 'auto' | 'off' | Prefix, locals: readonly IpAddress[], doors: Nat64Doors) {
    this.#mode = mode;
    this.#locals = locals;
    this.#doors = doors;
  }

  /** This host has other addresses, or other resolvers: it may be in another network. */
  moved(locals: readonly IpAddress[]): void {
    this.#locals = locals;
    this.#learned = undefined;
    // What comes for the question that is under way is the last network's.
    this.#learning = undefined;
    if (this.#waiting.size > 0) this.#beginLearning();
  }

  get notes(): HealthNote[] {
    const prefix = typeof this.#mode === 'object' ? this.#mode : this.#learned?.prefix;
    if (!prefix || !this.#isActive) return [];
    const where = formatPrefix(prefix);
    return [
      { level: 'notice', sentence: `Hosts that have only IPv4 are reached by the translator at ${where}.` },
    ];
  }

  /** A lookup begins that a client waits for. */
  began(id: number, question: Question, checkingDisabled: boolean): void {
    // Whoever checks by himself makes the addresses himself as well (§5.5).
    if (this.#isActive && question.type === Type.AAAA && !checkingDisabled) this.#watched.set(id, question);
  }

  cancelled(id: number): void {
    this.#watched.delete(id);
  }

  /** An answer came; undefined: it is kept back until it is known what it is to be. */
  resolved(id: number, resolution: Resolution, now: Instant): Resolution | undefined {
    if (id === this.#learning) {
      this.#learn(resolution, now);
      return undefined;
    }
    const made = this.#made.get(id);
    if (made) {
      this.#made.delete(id);
      this.#doors.resolved(made.id, this.#madeFrom(made, resolution));
      return undefined;
    }
    const question = this.#watched.get(id);
    this.#watched.delete(id);
    if (!question || !isMissing(resolution)) return resolution;
    const pending = { id, question, resolution };
    if (typeof this.#mode === 'object') {
      this.#ask(pending);
      return undefined;
    }
    if (this.#learned && this.#learned.until > now) {
      if (!this.#learned.prefix) return resolution;
      this.#ask(pending);
      return undefined;
    }
    this.#waiting.set(id, pending);
    if (this.#learning === undefined) this.#beginLearning();
    return undefined;
  }

  /** Whether an answer from the cache has to take the long way. */
  hasToMake(question: Question, checkingDisabled: boolean, resolution: Resolution): boolean {
    return this.#isActive && question.type === Type.AAAA && !checkingDisabled && isMissing(resolution);
  }

  get #isActive(): boolean {
    if (this.#mode === 'off') return false;
    if (typeof this.#mode === 'object') return true;
    // With an address of each family nothing has to be translated.
    const families = this.#locals.filter((a) => !isLocalOnly(a)).map((a) => a.family);
    return families.includes(6) && !families.includes(4);
  }

  #beginLearning(): void {
    this.#learning = -1;
    this.#learning = this.#doors.lookup(
      { name: ipv4onlyName, type: Type.AAAA, class: Class.IN },
      // Nothing signs it, and what is made of it proves nothing.
      true,
    );
  }

  #learn(resolution: Resolution, now: Instant): void {
    this.#learning = undefined;
    const sets = resolution.answer.filter((s) => s.type === Type.AAAA);
    const [prefix] = prefixesIn(sets.flatMap((s) => s.rdatas.flatMap((r) => addressOf(r) ?? [])));
    const seconds = Math.min(longestSeconds, ...sets.map((s) => Math.max(leastSeconds, s.ttl)));
    this.#learned = { prefix, until: later(now, 1_000 * (prefix ? seconds : leastSeconds)) };
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const pending of waiting) {
      if (prefix) this.#ask(pending);
      else this.#doors.resolved(pending.id, pending.resolution);
    }
  }

  #ask(pending: Pending): void {
    const { name } = pending.question;
    this.#made.set(this.#doors.lookup({ name, type: Type.A, class: Class.IN }, false), pending);
  }

  /** The AAAA answer from the A answer (§5.1.7), or as it was where there is nothing to make it of. */
  #madeFrom({ question, resolution }: Pending, a: Resolution): Resolution {
    const prefix = typeof this.#mode === 'object' ? this.#mode : this.#learned?.prefix;
    if (!prefix || a.rcode !== Rcode.NOERROR || a.verdict.status === 'bogus') return resolution;
    const negative = resolution.authority.find((s) => s.type === Type.SOA)?.ttl ?? withoutSoaSeconds;
    const answer = a.answer.flatMap((set): RRset[] => {
      if (set.type !== Type.A) return [set];
      const rdatas = set.rdatas.flatMap((r) => {
        const v4 = addressOf(r);
        const isShown = v4 && isTranslated(v4, prefix) && this.#doors.mayShow(question.name, v4);
        return isShown ? (embedded(prefix, v4)?.octets ?? []) : [];
      });
      const ttl = Math.min(set.ttl, negative);
      return rdatas.length === 0 ? [] : [{ ...set, type: Type.AAAA, ttl, rdatas, signatures: [] }];
    });
    if (!answer.some((s) => s.type === Type.AAAA)) return resolution;
    const why = `the addresses are made for the translator at ${formatPrefix(prefix)} (RFC 6147)`;
    return {
      ...a,
      answer,
      authority: [],
      verdict: { status: 'indeterminate', ede: Ede.SYNTHESIZED, why },
      ede: { code: Ede.SYNTHESIZED, text: why },
      chain: [...a.chain, why],
    };
  }
}

interface Pending {
  readonly id: number;
  readonly question: Question;
  /** What there is without an address that is made. */
  readonly resolution: Resolution;
}

/** The name is there, and no IPv6 address of it (§5.1.2). What is bogus stays so. */
function isMissing({ rcode, answer, verdict }: Resolution): boolean {
  return rcode === Rcode.NOERROR && verdict.status !== 'bogus' && !answer.some((s) => s.type === Type.AAAA);
}

/** Addresses that no translator reaches, and those that the well-known prefix is not for (RFC 6052 §3.1). */
function isTranslated(address: IpAddress, prefix: Prefix): boolean {
  const isWellKnown = formatPrefix(prefix) === '64:ff9b::/96';
  return !isLocalOnly(address) && !(isWellKnown && isPrivateUse(address));
}

/** TTL where the missing AAAA came without SOA, seconds (§5.1.7). */
const withoutSoaSeconds = 600;
/** For how long a prefix, or that there is none, is taken for granted, seconds. */
const [leastSeconds, longestSeconds] = [60, 3_600];
