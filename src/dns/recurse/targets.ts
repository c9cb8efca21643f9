import { later, type Instant } from '../../time.ts';
import type { Answered } from '../dnssec/chain.ts';
import type { Server } from '../finder.ts';
import { isBelow, type NameKey } from '../name.ts';
import { serverAt, trim, type Delegation, type NameServer } from './delegations.ts';
import { serverAddress } from './hints.ts';
import type { RecursionLimits } from './limits.ts';
import type { Target, Walk } from './walk.ts';

/** Name servers whose addresses are remembered. */
const maxTargets = 4096;
/** Seconds for which addresses of a name server are kept at least, at most, and where there are none, or no way. */
const [shortestSeconds, longestSeconds, missingSeconds, failedSeconds] = [10, 86_400, 60, 10];

/** The name servers whose addresses are looked up, or were not long ago. */
export class Targets {
  readonly #limits: RecursionLimits;
  readonly #known = new Map<NameKey, Target>();

  constructor(limits: RecursionLimits) {
    this.#limits = limits;
  }

  get(name: NameKey): Target | undefined {
    return this.#known.get(name);
  }

  /** Where a name server is, by what is known now. */
  addressesOf({ name, addresses }: NameServer, now: Instant): readonly Server[] {
    const target = name === undefined ? undefined : this.#known.get(name);
    // RFC 2181 §5.4.1: what the name's own zone says comes before glue.
    return target && now < target.until && target.addresses.length > 0 ? target.addresses : addresses;
  }

  /** Whether a look-up may tell more of a name server. The addresses of a name in the zone itself can only come as glue. */
  isLookable(name: NameKey | undefined, { zone }: Delegation, now: Instant): name is NameKey {
    if (name === undefined || isBelow(name, zone)) return false;
    const known = this.#known.get(name);
    return !known || known.walks.size > 0 || now >= known.until;
  }

  /** A name server that is going to be looked up. */
  add(name: NameKey, now: Instant): Target {
    const target: Target = {
      name,
      walks: new Set(),
      queries: new Set(),
      addresses: [],
      until: now,
      failed: false,
    };
    this.#known.delete(name);
    this.#known.set(name, target);
    trim(this.#known, maxTargets);
    return target;
  }

  /** Nobody waits for it any longer. */
  drop(target: Target): void {
    this.#known.delete(target.name);
  }

  /** Forgets what was found out of `name`, and with `subtree` of all below it. */
  forget(name: NameKey, subtree: boolean): void {
    for (const [at, target] of this.#known)
      if ((at === name || (subtree && isBelow(at, name))) && target.walks.size === 0) this.#known.delete(at);
  }

  /** What `walk`, which is over, found out of its target; whether those who wait for the target can go on. */
  learn(target: Target, walk: Walk, reply: Answered | undefined, now: Instant): boolean {
    const { type } = walk.question;
    target.walks.delete(walk);
    // RFC 2181 §10.3: the name of a server is no alias.
    const set = reply?.answer.find((s) => s.owner === target.name && s.type === type);
    const addresses = (set?.rdatas ?? [])
      .map(serverAddress)
      .filter((a) => a !== undefined)
      .slice(0, this.#limits.addressesPerServer)
      .map(serverAt);
    if (!reply) target.failed = true;
    if (set && addresses.length > 0) {
      const end = later(now, Math.min(longestSeconds, Math.max(shortestSeconds, set.ttl)) * 1000);
      target.until = target.addresses.length > 0 && target.until < end ? target.until : end;
      target.addresses = [...target.addresses, ...addresses];
      return true;
    }
    if (target.walks.size > 0 || target.addresses.length > 0) return false;
    walk.quota.missedTarget();
    target.until = later(now, (target.failed ? failedSeconds : missingSeconds) * 1000);
    return true;
  }
}
