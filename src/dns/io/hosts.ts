import { readFileSync, statSync } from 'node:fs';
import { noHosts, parseHosts, type Hosts } from '../hosts.ts';

/** A hosts file that is read again when it has changed. */
export class HostsFile {
  readonly #path: string;
  readonly #failed: (why: string) => void;
  readonly #clock: () => number;
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** What tells one state of the file from the next; undefined: not looked at yet. */
  #state: string | undefined;

  /** `failed` is told, once per state of the file, why it counts as empty. `clock` counts ms and never goes back. */
  constructor(path: string, failed: (why: string) => void, clock: () => number = () => performance.now()) {
    this.#path = path;
    this.#failed = failed;
    this.#clock = clock;
  }

  /**
   * The whole table if it is another than at the last call, undefined otherwise. Looks at the file once a second at
   * the most, so it can be called for every question. A file that is not there counts as empty.
   */
  changed(): Hosts | undefined {
    const now = this.#clock();
    if (now - this.#lookedAt < everyMs) return undefined;
    this.#lookedAt = now;
    // The state is taken before the text: a change in between is found the next time.
    const state = this.#stateNow();
    if (state === this.#state) return undefined;
    this.#state = state;
    return this.#read(state);
  }

  #stateNow(): string {
    try {
      const stat = statSync(this.#path);
      if (!stat.isFile()) return `!${this.#path} is not a file`;
      if (stat.size > limitOctets) return `!${this.#path} is longer than ${limitOctets} octets`;
      return `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`;
    } catch (error) {
      return isAbsent(error) ? '' : `!${String(error)}`;
    }
  }

  #read(state: string): Hosts {
    if (state === '') return noHosts;
    if (state.startsWith('!')) {
      this.#failed(state.slice(1));
      return noHosts;
    }
    try {
      return parseHosts(readFileSync(this.#path, 'utf8'));
    } catch (error) {
      if (!isAbsent(error)) this.#failed(String(error));
      return noHosts;
    }
  }
}

const everyMs = 1_000;
/** Some tens of times the longest list against advertisements. */
const limitOctets = 32 * 1_024 * 1_024;

function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}
