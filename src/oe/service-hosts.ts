import type { Question } from '../dns/message.ts';
import type { NameKey } from '../dns/name.ts';
import type { Resolution } from '../dns/resolver.ts';
import { Class, Type } from '../dns/types.ts';
import { later, type Instant } from '../time.ts';
import { remember, type Lookup, type Service, type Target } from './lookup.ts';
import type { Moment } from './peer.ts';
import { mayProtect, type Policy } from './policy.ts';
import { targetsIn } from './services.ts';

/** What {@link ServiceHosts} asks of the gate. */
export interface ServiceDoors {
  /** A lookup for nobody, which may be over at once. */
  lookUp(question: Question, onBehalf: NameKey | undefined, at: Moment): Lookup;
  /** How many lookups are open. */
  open(): number;
}

/** With more lookups open nothing is looked up beforehand. */
const warmUpsAtOnce = 256;
/** For how long a host that gives the service of a `private` name is private itself. */
const servingMs = 600_000;
const servingNames = 4_096;

/** The hosts to which MX, SRV, SVCB and HTTPS answers lead: the ways to them are protected before they are asked for. */
export class ServiceHosts {
  readonly #rules: { readonly policy: Policy };
  readonly #doors: ServiceDoors;
  /** Hosts that give the service of a name that is `private`: they are private for its sake. */
  readonly #serving = new Map<NameKey, { readonly host: NameKey; readonly until: Instant }>();

  /** What `rules` says at the time counts. */
  constructor(rules: { readonly policy: Policy }, doors: ServiceDoors) {
    this.#rules = rules;
    this.#doors = doors;
  }

  /** The name that is `private` and whose service `name` gives, where an answer has said so not long ago. */
  servedBy(name: NameKey, at: Moment): NameKey | undefined {
    const serves = this.#serving.get(name);
    return serves !== undefined && serves.until > at.now ? serves.host : undefined;
  }

  /** Looks the hosts of a service up, as a program will do next; for the sake of `host` where that is `private`. */
  prepare(resolution: Resolution, host: NameKey | undefined, at: Moment): Service {
    const targets = targetsIn(resolution).map((name): Target => {
      const onBehalf = name === host ? undefined : host;
      if (onBehalf !== undefined && resolution.verdict.status === 'secure') {
        const until = later(at.now, servingMs);
        remember(this.#serving, name, { host: onBehalf, until }, servingNames);
      }
      return { name, lookups: this.#lookUp(name, onBehalf ?? this.servedBy(name, at), at) };
    });
    return { targets };
  }

  /** The same for hosts that hold nothing up: those of MX and SRV. */
  warmUp(resolution: Resolution, at: Moment): void {
    if (resolution.verdict.status === 'bogus' || this.#doors.open() > warmUpsAtOnce) return;
    for (const name of targetsIn(resolution))
      if (mayProtect(this.#rules.policy, name)) this.#lookUp(name, this.servedBy(name, at), at);
  }

  #lookUp(name: NameKey, onBehalf: NameKey | undefined, at: Moment): Lookup[] {
    return [Type.A, Type.AAAA].map((type) =>
      this.#doors.lookUp({ name, type, class: Class.IN }, onBehalf, at),
    );
  }
}
