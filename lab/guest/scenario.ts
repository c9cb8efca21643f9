/** What a scenario is, and what it gets. */
import type { OeKey } from './keys.ts';
import type { Lab } from './topology.ts';

export interface Scenario {
  /** A sentence: what is shown. */
  readonly title: string;
  readonly timeoutMs?: number;
  readonly run: (stage: Stage) => Promise<void>;
}

/** The keys of the hosts that run `oe`. */
export interface OeKeys {
  readonly client: OeKey;
  readonly server: OeKey;
  readonly rsaServer: OeKey;
}

export interface Stage {
  readonly lab: Lab;
  readonly keys: OeKeys;
  readonly say: (text: string) => void;
  /** One thing that must be so; `otherwise` is printed where it is not. */
  readonly check: (holds: boolean, text: string, otherwise?: string) => void;
}
