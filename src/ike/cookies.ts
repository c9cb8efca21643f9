import type { IpAddress } from '../net/address.ts';
import type { Random } from '../random.ts';
import { later, type Instant } from '../time.ts';
import { concatOctets } from '../wire/octets.ts';
import { hmac, sameSecret } from './crypto/hash.ts';
import { ikeSpiOctets, type IkeSpi } from './message.ts';

/** What a cookie is bound to (RFC 7296 §2.6). */
export interface CookieSubject {
  readonly address: IpAddress;
  readonly spiI: IkeSpi;
  readonly nonceI: Uint8Array;
}

interface Secret {
  /** Goes into the cookie, so that one hash is enough to check it. */
  readonly version: number;
  readonly octets: Uint8Array;
  readonly until: Instant;
}

/** Stateless cookies: a keyed hash under a secret that changes every minute; the one before it still counts. */
export class CookieJar {
  readonly #random: Random;
  #current: Secret | undefined;
  #previous: Secret | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  /** 17 octets. */
  make(subject: CookieSubject, now: Instant): Uint8Array {
    return cookieOf(this.#rotated(now), subject);
  }

  check(subject: CookieSubject, cookie: Uint8Array, now: Instant): boolean {
    const current = this.#rotated(now);
    const secret = [current, this.#previous].find((s) => s?.version === cookie[0]);
    return secret !== undefined && sameSecret(cookieOf(secret, subject), cookie);
  }

  #rotated(now: Instant): Secret {
    if (this.#current && now < this.#current.until) return this.#current;
    // After a pause longer than a period the one before is too old as well.
    const old = this.#current;
    this.#previous = old && now < later(old.until, SECRET_MS) ? old : undefined;
    this.#current = {
      version: ((old?.version ?? 0) + 1) & 0xff,
      octets: this.#random.octets(32),
      until: later(now, SECRET_MS),
    };
    return this.#current;
  }
}

const SECRET_MS = 60_000;
const MAC_OCTETS = 16;

function cookieOf(secret: Secret, subject: CookieSubject): Uint8Array {
  const { address, spiI, nonceI } = subject;
  const mac = hmac('sha256', secret.octets, nonceI, address.octets, ikeSpiOctets(spiI));
  return concatOctets(Uint8Array.of(secret.version), mac.subarray(0, MAC_OCTETS));
}
