/**
 * The record behind `oe why NAME`: the chain of one lookup with every value kept, as plain JSON, so that the
 * command, the control API and a replay show the same thing.
 */
export interface Why {
  readonly version: 1;
  readonly name: string;
  /** When the lookup began, ISO 8601. */
  readonly at: string;
  readonly verdict: WhyVerdict;
  readonly rule: string;
  readonly questions: readonly WhyQuestion[];
  readonly keys: readonly WhyKey[];
  readonly peers: readonly WhyPeer[];
  /** What happened in the lookup itself, in order. */
  readonly steps: readonly WhyStep[];
}

export interface WhyVerdict {
  /** `encrypted`, `clear`, `blocked`, `negotiating`, `failed` (no answer at all). */
  readonly state: 'encrypted' | 'clear' | 'blocked' | 'negotiating' | 'failed';
  /** Stable, e.g. `no-key`, `key-bogus`, `no-reply`; null where all is well. */
  readonly code: string | null;
  readonly sentence: string;
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null;
}

export interface WhyQuestion {
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly status: 'secure' | 'insecure' | 'bogus' | 'indeterminate';
  readonly why: string | null;
  readonly answers: readonly string[];
  readonly fromCache: boolean;
  readonly tookMs: number;
  readonly chain: readonly string[];
}

export interface WhyKey {
  readonly precedence: number;
  readonly gateway: string;
  readonly key: string;
  readonly used: boolean;
  readonly reason: string;
}

export interface WhyPeer {
  readonly address: string;
  readonly state: 'encrypted' | 'clear' | 'blocked' | 'negotiating';
  readonly reason: string;
  readonly spiIn: string | null;
  readonly spiOut: string | null;
  readonly suite: string | null;
  /** As in `PeerStatus`. */
  readonly keyExchanges: readonly string[] | null;
  readonly postQuantum: boolean | null;
  readonly mode: 'transport' | 'tunnel' | null;
  readonly story: readonly WhyStep[];
}

export interface WhyStep {
  /** Milliseconds after the lookup began; negative for what a peer did before. */
  readonly afterMs: number;
  readonly text: string;
}
