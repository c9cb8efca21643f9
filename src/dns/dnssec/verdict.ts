import type { Brand } from '../../brand.ts';

/** Proof that `T` came out of the validator as *secure*; nothing else in the program can make one. */
export type Secure<T> = Brand<T, 'Secure'>;

/** What validation found (RFC 4035 §4.3). Data that is bogus has no field to read. */
export type Verdict<T> =
  | { readonly status: 'secure'; readonly data: Secure<T> }
  /** `from`: the zone, as text, at which the chain of trust ends with a proof that it goes no further. */
  | { readonly status: 'insecure'; readonly data: T; readonly from: string }
  /** `ede`: RFC 8914; `why`: a clause that names the zone and the record. */
  | { readonly status: 'bogus'; readonly ede: number; readonly why: string }
  /** It could not be found out: no trust anchor, or the records that it takes did not come. */
  | { readonly status: 'indeterminate'; readonly ede: number; readonly why: string };
