import type { EspSuite } from './child.ts';
import type { IkeCipher } from './crypto/cipher.ts';
import type { IkeSpi } from './message.ts';
import type { Proposal, SaPayload } from './sa-payload.ts';

/** What protects an IKE SA. */
export interface IkeSuite {
  readonly cipher: IkeCipher;
  readonly prf: number;
  readonly group: number;
}

/** The group of the first KE payload that we send: both libreswan's and strongSwan's defaults take it. */
export declare const firstGroup: number;

/** `AES-GCM-16-256, PRF-HMAC-SHA2-512, CURVE25519`. */
export declare function describeIkeSuite(suite: IkeSuite): string;

/** `AES-GCM-16-256`. */
export declare function describeEspSuite(suite: EspSuite): string;

/** What we offer for an IKE SA; `spi` only when one is rekeyed. `group` stands first among the groups. */
export declare function ikeProposals(options?: {
  readonly group?: number;
  readonly spi?: IkeSpi;
}): Proposal[];

/** A choice: what goes back in the SA payload and what it means. */
export interface IkeChoice {
  readonly suite: IkeSuite;
  readonly answer: SaPayload;
  /** Of the peer, when an IKE SA is rekeyed. */
  readonly peerSpi: IkeSpi | undefined;
}

/**
 * Our choice as responder, in our order; `keGroup` (the peer's KE payload) wins among the groups that we take, so
 * that no round trip is lost. Undefined: NO_PROPOSAL_CHOSEN.
 */
export declare function chooseIke(
  offered: SaPayload,
  options?: { readonly keGroup?: number; readonly spi?: IkeSpi },
): IkeChoice | undefined;

/** The peer's answer as initiator reads it: one of our offers with one transform of each type, else undefined. */
export declare function acceptIke(offered: readonly Proposal[], answer: SaPayload): IkeChoice | undefined;

/** What we offer for a Child SA: `suites` as the kernel has them, ESN first; `groups` only with PFS. */
export declare function espProposals(
  suites: readonly EspSuite[],
  spi: number,
  groups?: readonly number[],
): Proposal[];

export interface EspChoice {
  readonly suite: EspSuite;
  readonly esn: boolean;
  /** Of the peer's inbound SA. */
  readonly peerSpi: number;
  /** Of the answer's Transform Type 4 (PFS), where there is one and it is not NONE. */
  readonly group: number | undefined;
  readonly answer: SaPayload;
}

/** Our choice as responder, in the order of `suites`; `spi` is of our inbound SA. Undefined: NO_PROPOSAL_CHOSEN. */
export declare function chooseEsp(
  offered: SaPayload,
  suites: readonly EspSuite[],
  spi: number,
  options?: { readonly groups?: readonly number[]; readonly keGroup?: number },
): EspChoice | undefined;

/** As {@link acceptIke}, for a Child SA. */
export declare function acceptEsp(offered: readonly Proposal[], answer: SaPayload): EspChoice | undefined;
