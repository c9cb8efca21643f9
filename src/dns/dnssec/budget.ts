/** Signatures tried per RRset (against KeyTrap, CVE-2023-50387). */
export const signaturesPerRRset = 8;
/** Keys of a zone with one tag that are tried per signature. */
export const keysPerTag = 4;
/** Keys of a zone that are looked at; each takes up to 30 µs to import, whether anything is signed by it or not. */
export const keysPerZone = 32;
/** DS records of a zone that are compared with its keys. */
export const dsPerZone = 8;
/** NSEC3 with more iterations proves nothing, and the zone counts as insecure (RFC 9276 §3.2). */
export const iterationsSecure = 100;
/** NSEC3 with more iterations is refused. */
export const iterationsRefused = 500;

/**
 * What one lookup may spend on cryptography, since all answers are checked on the thread that serves everybody.
 * Signatures that do not verify have a limit of their own: only they repeat without any progress.
 */
export class Budget {
  #failures = 32;
  #signatures = 128;
  #hashes = 64;
  #exhausted = false;

  /** Something was left unchecked for want of budget: the result tells nothing about the zone. */
  get exhausted(): boolean {
    return this.#exhausted;
  }

  /** Whether one more signature may be checked. */
  signature(): boolean {
    if (this.#failures > 0 && this.#signatures-- > 0) return true;
    this.#exhausted = true;
    return false;
  }

  /** A signature that was checked did not verify. */
  failed(): void {
    this.#failures--;
  }

  /** Whether one more name may be hashed for NSEC3 (CVE-2023-50868). */
  hash(): boolean {
    if (this.#hashes-- > 0) return true;
    this.#exhausted = true;
    return false;
  }
}
