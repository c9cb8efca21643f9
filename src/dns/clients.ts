import type { IpAddress } from '../net/address.ts';
import { hostPrefix, parsePrefix, prefixContains, type Prefix } from '../net/prefix.ts';
import type { Instant } from '../time.ts';

/** Who may ask, and how often. */
export interface ClientRules {
  /** Beside loopback and this host's own addresses. */
  readonly allow: readonly Prefix[];
  /** Answers over UDP per second for one client, which may save up one second's worth; 0: no limit. */
  readonly rateLimit: number;
}

/**
 * What becomes of a client's datagram. `truncate`: an answer without records and with TC, so that a client that is what
 * it seems to be comes by TCP, and the victim of a forged address gets less than was sent. `refuse`: REFUSED, with an
 * Extended DNS Error that says why. `stub.ts` writes both.
 */
export type Judgement = 'serve' | 'truncate' | 'refuse' | 'drop';

/** Clients whose rate is kept; a forger of addresses has to name so many others before one starts afresh. */
const maxClients = 16_384;
/** Of the datagrams over the limit one in so many is answered, with TC. */
const slip = 2;
/** Refusals per second for one client: a forged address must not be sent more of them than that. */
const refusalsPerSecond = 10;

/**
 * Keeps strangers out and floods down. Over UDP an address can be forged, so what is sent to one is limited: IPv4 by
 * address, IPv6 by /64, which one host can have to itself. Over TCP the address is proved; there only
 * {@link ClientGuard.admits} counts. Clients of this host are not limited by rate, since all of them share one address:
 * what they can take up is bounded by the number of queries that wait, and by TCP connections.
 */
export class ClientGuard {
  readonly #rules: ClientRules;
  #own: readonly Prefix[] = [];
  readonly #buckets = new Map<number | string, Bucket>();

  constructor(rules: ClientRules) {
    this.#rules = rules;
  }

  /** This host's own addresses, all of them, as they are now. */
  set locals(addresses: readonly IpAddress[]) {
    this.#own = addresses.map(hostPrefix);
  }

  /** Whether the client may ask at all, over whatever transport. */
  admits(address: IpAddress): boolean {
    return this.#isOurs(address) || this.#rules.allow.some((p) => prefixContains(p, address));
  }

  /** What becomes of a datagram from `address`. */
  judge(address: IpAddress, now: Instant): Judgement {
    if (this.#isOurs(address)) return 'serve';
    const { allow, rateLimit } = this.#rules;
    const isAllowed = allow.some((p) => prefixContains(p, address));
    if (isAllowed && rateLimit === 0) return 'serve';
    const bucket = this.#bucketOf(address, isAllowed ? rateLimit : refusalsPerSecond, now);
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return isAllowed ? 'serve' : 'refuse';
    }
    if (!isAllowed) return 'drop';
    bucket.over = (bucket.over + 1) % slip;
    return bucket.over === 0 ? 'truncate' : 'drop';
  }

  #isOurs(address: IpAddress): boolean {
    return (
      loopback.some((p) => prefixContains(p, address)) || this.#own.some((p) => prefixContains(p, address))
    );
  }

  #bucketOf(address: IpAddress, rate: number, now: Instant): Bucket {
    const key = keyOf(address);
    const known = this.#buckets.get(key);
    if (known) {
      known.tokens = Math.min(rate, known.tokens + ((now - known.at) * rate) / 1_000);
      known.at = now;
      return known;
    }
    if (this.#buckets.size >= maxClients) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    const bucket = { tokens: rate, at: now, over: 0 };
    this.#buckets.set(key, bucket);
    return bucket;
  }
}

interface Bucket {
  tokens: number;
  at: Instant;
  /** Datagrams over the limit, modulo {@link slip}. */
  over: number;
}

/** The IPv4 address, or the /64 of an IPv6 address. */
function keyOf({ octets }: IpAddress): number | string {
  const at = (i: number): number => octets[i] ?? 0;
  const word = (i: number): number =>
    ((at(i) << 24) | (at(i + 1) << 16) | (at(i + 2) << 8) | at(i + 3)) >>> 0;
  return octets.length === 4 ? word(0) : `${word(0)}:${word(4)}`;
}

const loopback: readonly Prefix[] = ['127.0.0.0/8', '::1'].flatMap((text) => parsePrefix(text) ?? []);
