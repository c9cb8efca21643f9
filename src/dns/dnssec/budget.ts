import type { Instant } from '../../time.ts';
import { Algorithm } from './algorithms.ts';

/** Signatures tried per RRset (against KeyTrap, CVE-2023-50387). */
export const signaturesPerRRset = 8;
/** Keys of a zone with one tag that are tried per signature. */
export const keysPerTag = 4;
/** Keys of a zone that are looked at; each takes up to 40 µs to import, whether anything is signed by it or not. */
export const keysPerZone = 32;
/** DS records of a zone that are compared with its keys. */
export const dsPerZone = 8;
/** Keys that a DS names by tag and algorithm, and that have another digest, until no more are compared. */
export const dsMismatches = 4;
/** NSEC3 with more iterations is refused. */
export const iterationsRefused = 500;
/** Names that are hashed for the NSEC3 of one answer (CVE-2023-50868). */
export const hashesPerAnswer = 32;

/** What validation may cost; see docs/decisions. */
export interface ValidationLimits {
  /** Signatures checked for one lookup. */
  readonly signatures: number;
  /** Of these, how many may turn out wrong. */
  readonly wrongSignatures: number;
  /** Hashes for NSEC3 that one lookup may take. */
  readonly hashes: number;
  /** NSEC3 with more iterations proves nothing, and the zone counts as insecure (RFC 9276 §3.2). */
  readonly iterations: number;
}

export const validationDefaults: ValidationLimits = {
  signatures: 128,
  wrongSignatures: 32,
  hashes: 64,
  iterations: 100,
};

/** µs that a signature takes on a common processor, by DNSSEC algorithm; 100 where nothing is said. */
const signatureMicros = new Map<number, number>([
  // Of 4096 bits with the longest exponent that is taken; a common one takes 40 to 90.
  [Algorithm.RSASHA256, 350],
  [Algorithm.RSASHA512, 350],
  [Algorithm.ECDSAP384SHA384, 900],
  [Algorithm.ED448, 300],
]);
/** µs to import a key, and for each octet that is signed. */
const [importMicros, octetMicros] = [40, 0.01];
/** µs of checking that one turn may hold: nobody waits for longer than 5 ms (THREATS B). */
const turnMicros = 1500;
/** Milliseconds after which whatever comes in begins another turn. */
const turnMs = 3;

/** A lookup has had its turn: it goes on in the next one. It does not leave the resolver. */
export class Paused extends Error {}

/**
 * What checking may take until others have had their say, for all the lookups that go on meanwhile: replies that come
 * together share a turn, and what is left of their work waits for the next.
 */
export class Turn {
  readonly #beganAt: Instant;
  #left = turnMicros;
  #isOver = false;

  constructor(beganAt: Instant) {
    this.#beganAt = beganAt;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** It was so long ago that whoever waited behind it has been heard. */
  isPast(now: Instant): boolean {
    return now - this.#beganAt >= turnMs;
  }

  /** Takes µs by estimate; throws {@link Paused} where there is not as much left, unless it would be the first. */
  take(micros: number): void {
    this.#isOver ||= micros > this.#left && this.#left < turnMicros;
    if (this.#isOver) throw new Paused();
    this.#left -= micros;
  }
}

/**
 * What one lookup may spend on cryptography, since all answers are checked on the thread that serves everybody, and
 * what has come of it so far: work that goes on after a pause does nothing twice, and has what was left to it.
 * Signatures that do not verify have a limit of their own: only they repeat without any progress.
 */
export class Budget {
  /** NSEC3 with more iterations proves nothing. */
  readonly iterations: number;
  #wrong: number;
  #signatures: number;
  #hashes: number;
  #exhausted = false;
  #turn: Turn | undefined;
  /** By RRSIG, as it came, and key. */
  readonly #verified = new Map<Uint8Array, Map<object, boolean>>();
  /** By RRset, as it came. */
  readonly #checked = new Map<object, { readonly keys: object; readonly found: unknown }>();
  /** By DNSKEY, as it came. */
  readonly #imported = new Map<Uint8Array, unknown>();
  readonly #hashed = new Map<string, Uint8Array>();

  constructor(limits: ValidationLimits = validationDefaults) {
    this.iterations = limits.iterations;
    this.#wrong = limits.wrongSignatures;
    this.#signatures = limits.signatures;
    this.#hashes = limits.hashes;
  }

  /** Something was left unchecked for want of budget: the result tells nothing about the zone. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Another step begins. Without any there are no pauses. */
  resume(turn: Turn): void {
    this.#turn = turn;
  }

  /** Whether `check` says that `signature` is by `key`; undefined where no more may be checked. */
  verified(
    signature: Uint8Array,
    key: object,
    algorithm: number,
    octets: number,
    check: () => boolean,
  ): boolean | undefined {
    const known = this.#verified.get(signature)?.get(key);
    if (known !== undefined) return known;
    if (this.#wrong <= 0 || this.#signatures <= 0) {
      this.#exhausted = true;
      return undefined;
    }
    this.#turn?.take((signatureMicros.get(algorithm) ?? 100) + octets * octetMicros);
    this.#signatures--;
    const isGood = check();
    if (!isGood) this.#wrong--;
    this.#verified.set(
      signature,
      (this.#verified.get(signature) ?? new Map<object, boolean>()).set(key, isGood),
    );
    return isGood;
  }

  /** What `check` says of a set and the keys of a zone. */
  checked<T>(set: object, keys: object, check: () => T): T {
    const known = this.#checked.get(set);
    if (known?.keys === keys) return known.found as T;
    const found = check();
    this.#checked.set(set, { keys, found });
    return found;
  }

  /** What `read` makes of the key `rdata`. */
  imported<T>(rdata: Uint8Array, read: () => T): T {
    if (!this.#imported.has(rdata)) {
      this.#turn?.take(importMicros);
      this.#imported.set(rdata, read());
    }
    return this.#imported.get(rdata) as T;
  }

  /** What `hash` gives; `id` stands for name and parameters. Undefined where no more may be hashed. */
  hashed(id: string, micros: number, hash: () => Uint8Array): Uint8Array | undefined {
    const known = this.#hashed.get(id);
    if (known) return known;
    if (this.#hashes <= 0) {
      this.#exhausted = true;
      return undefined;
    }
    this.#turn?.take(micros);
    this.#hashes--;
    const made = hash();
    this.#hashed.set(id, made);
    return made;
  }

  /** An answer wants more hashes than an answer may. */
  refuseHash(): undefined {
    this.#exhausted = true;
    return undefined;
  }
}
