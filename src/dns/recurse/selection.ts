import { formatAddress, formatEndpoint } from '../../net/address.ts';
import { randomU32, type Random } from '../../random.ts';
import { later, type Instant } from '../../time.ts';
import type { AskDoor, Origin, Server } from '../finder.ts';
import { nameText, type NameKey } from '../name.ts';
import { trim } from './delegations.ts';

/** A server of a zone at one address. */
export interface Candidate {
  readonly name: NameKey | undefined;
  readonly server: Server;
  /** `serverKey`, which takes a microsecond to make for IPv6. */
  readonly key: string;
}

/** Milliseconds that a server is taken to need which was never asked. */
const unknownMs = 100;
/** Servers that need this much more than the quickest are as good, ms and as a share of its time. */
const [bandMs, bandShare] = [30, 0.5];
/** One question in so many goes to any of the servers, so that a better one is found. */
const exploredOneIn = 20;
/** How long a server is asked last for a zone, ms: one that refuses it, and one that failed. */
const [refusedMs, failedMs] = [900_000, 30_000];
/** How long a server is asked without EDNS, ms. */
const withoutEdnsMs = 3_600_000;
/** Misfortunes in a row after which an address family is asked last, and for how long, ms. */
const [maxMisfortunes, restMs] = [4, 60_000];
/** Servers that something is remembered of, of each kind. */
const maxRemembered = 4096;

interface Family {
  misfortunes: number;
  /** The server of the last misfortune: one that is dead says nothing about its family. */
  last: string | undefined;
  restUntil: Instant;
  heardAt: Instant;
}

/** What is known of the servers of zones, beyond their round trips; chooses whom to ask. */
export class Selection {
  readonly #door: AskDoor;
  readonly #random: Random;
  /** By zone and server. */
  readonly #lame = new Map<string, Instant>();
  readonly #withoutEdns = new Map<string, Instant>();
  readonly #families: Readonly<Record<4 | 6, Family>> = {
    4: { misfortunes: 0, last: undefined, restUntil: 0 as Instant, heardAt: -Infinity as Instant },
    6: { misfortunes: 0, last: undefined, restUntil: 0 as Instant, heardAt: -Infinity as Instant },
  };
  readonly #origins = new Map<string, Origin>();

  constructor(door: AskDoor, random: Random) {
    this.#door = door;
    this.#random = random;
  }

  /**
   * One of `candidates`: not lame before lame, families that work before those that rest, then those tried least, and
   * of these one of the quickest, by chance.
   */
  choose(
    zone: NameKey,
    candidates: readonly Candidate[],
    tries: (candidate: Candidate) => number,
    now: Instant,
  ): Candidate | undefined {
    const ranked = candidates.map((candidate) => ({
      candidate,
      rank:
        (this.isLame(zone, candidate, now) ? 200 : 0) +
        (this.rests(candidate.server.endpoint.address.family, now) ? 100 : 0) +
        tries(candidate),
    }));
    const best = Math.min(...ranked.map((r) => r.rank));
    const equal = ranked
      .filter((r) => r.rank === best)
      .map(({ candidate }) => ({ candidate, needsMs: this.#needsMs(candidate.server) }));
    if (equal.length === 0) return undefined;
    const quickest = Math.min(...equal.map((r) => r.needsMs));
    const within = quickest + Math.max(bandMs, quickest * bandShare);
    const explores = this.#below(exploredOneIn) === 0;
    const likely = explores ? equal : equal.filter((r) => r.needsMs <= within);
    return likely[this.#below(likely.length)]?.candidate;
  }

  isLame(zone: NameKey, { key }: Candidate, now: Instant): boolean {
    return now < (this.#lame.get(lameKey(zone, key)) ?? 0);
  }

  /** It is of no use for `zone`. */
  lame(zone: NameKey, { key }: Candidate, refused: boolean, now: Instant): void {
    this.#lame.set(lameKey(zone, key), later(now, refused ? refusedMs : failedMs));
    trim(this.#lame, maxRemembered);
  }

  asksWithoutEdns({ key }: Candidate, now: Instant): boolean {
    return now < (this.#withoutEdns.get(key) ?? 0);
  }

  learnWithoutEdns({ key }: Candidate, now: Instant): void {
    this.#withoutEdns.set(key, later(now, withoutEdnsMs));
    trim(this.#withoutEdns, maxRemembered);
  }

  /** Whether nothing of this family has been heard for a while: no route, perhaps. */
  rests(family: 4 | 6, now: Instant): boolean {
    return now < this.#families[family].restUntil;
  }

  /** Addresses of this family are not worth looking up: it rests, while the other one is heard of. */
  isPointless(family: 4 | 6, now: Instant): boolean {
    const other = family === 4 ? 6 : 4;
    return this.rests(family, now) && !this.rests(other, now) && this.#families[other].heardAt > now - restMs;
  }

  /** A server replied, was silent, or could not be asked. */
  learnFamily({ server, key }: Candidate, outcome: 'reply' | 'silent' | 'failed', now: Instant): void {
    const state = this.#families[server.endpoint.address.family];
    if (outcome === 'reply') {
      state.misfortunes = 0;
      state.last = undefined;
      state.restUntil = now;
      state.heardAt = now;
      return;
    }
    if (state.last === key) return;
    state.last = key;
    state.misfortunes += outcome === 'failed' ? 2 : 1;
    if (state.misfortunes >= maxMisfortunes) state.restUntil = later(now, restMs);
  }

  /** The same object for the same server, as long as it is remembered. */
  origin({ name, server, key }: Candidate): Origin {
    const at = `${key} ${name ?? ''}`;
    const known = this.#origins.get(at);
    if (known) return known;
    const { address, port } = server.endpoint;
    const where = port === 53 ? formatAddress(address) : formatEndpoint(server.endpoint);
    const origin = { text: name === undefined ? where : `${nameText(name)} (${where})` };
    this.#origins.set(at, origin);
    trim(this.#origins, maxRemembered);
    return origin;
  }

  /** `items` in an order of chance. */
  shuffled<T>(items: readonly T[]): T[] {
    const left = [...items];
    const order: T[] = [];
    while (left.length > 0) order.push(...left.splice(this.#below(left.length), 1));
    return order;
  }

  #needsMs(server: Server): number {
    return (this.#door.roundTripMs(server) ?? unknownMs) * (1 + this.#door.silences(server));
  }

  /** A number from 0 to `limit` - 1. */
  #below(limit: number): number {
    return limit <= 1 ? 0 : randomU32(this.#random) % limit;
  }
}

function lameKey(zone: NameKey, key: string): string {
  return `${key} ${zone}`;
}
