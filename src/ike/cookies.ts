import type { IpAddress } from '../net/address.ts';
import type { Random } from '../random.ts';
import type { Instant } from '../time.ts';
import type { IkeSpi } from './message.ts';

/** What a cookie is bound to (RFC 7296 §2.6). */
export interface CookieSubject {
  readonly address: IpAddress;
  readonly spiI: IkeSpi;
  readonly nonceI: Uint8Array;
}

/** Stateless cookies: a keyed hash under a secret that changes every minute; the one before it still counts. */
export declare class CookieJar {
  constructor(random: Random);
  make(subject: CookieSubject, now: Instant): Uint8Array;
  check(subject: CookieSubject, cookie: Uint8Array, now: Instant): boolean;
}
