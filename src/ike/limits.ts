/** Bounds of the IKE endpoint. Times in milliseconds. */
export interface Limits {
  /** First retransmission of an unanswered request; each later one waits twice as long (RFC 7296 §2.4). */
  readonly retransmitMs: number;
  /** The longest pause between two transmissions. */
  readonly retransmitCeilingMs: number;
  /** The same where there is reason to fear that the peer has lost its SA. */
  readonly urgentMs: number;
  readonly urgentCeilingMs: number;
  /** A peer that was heard of so lately need not be asked whether it is there. */
  readonly freshMs: number;
  /** How long a proof of an initiator counts (RFC 4478); 0: for as long as the IKE SA lives. */
  readonly authLifetimeMs: number;
  /** How often a request that begins an IKE SA is sent before the peer counts as not answering. */
  readonly transmissions: number;
  /** The same for requests inside a standing IKE SA, where giving up costs more. */
  readonly transmissionsEstablished: number;
  /** After so many unanswered transmissions of IKE_AUTH with an identity, it is tried anonymously beside. */
  readonly transmissionsIdentified: number;
  /** How long an unprotected refusal waits for a real answer before it is believed. */
  readonly refusalGraceMs: number;
  /** Cookies and Diffie-Hellman groups that one attempt accepts from unprotected answers (RFC 7296 §2.6). */
  readonly cookieRounds: number;
  readonly groupRounds: number;
  /** A responder's IKE SA that is not authenticated lives so long. */
  readonly halfOpenMs: number;
  /** How long the key exchanges that are left of a rekeying are waited for (RFC 9370 §2.2.4). */
  readonly followUpMs: number;
  /** Half-open IKE SAs from which on cookies are wanted, and at most. */
  readonly halfOpenCookies: number;
  readonly halfOpen: number;
  /** Those of one network (IPv6 /64, IPv4 /24): more than can be had without a cookie, so that nobody fills it for others. */
  readonly halfOpenPerNetwork: number;
  /** IKE SAs in all; those that others began, all together and from one network; for one pair of addresses. */
  readonly sessions: number;
  readonly sessionsOfOthers: number;
  readonly sessionsPerNetwork: number;
  readonly sessionsPerPair: number;
  readonly childrenPerSession: number;
  /** How long the answer to `askPeerKeys` is waited for, and for how many peers at a time, in all and of one network. */
  readonly peerKeysMs: number;
  readonly peerKeysAtOnce: number;
  readonly peerKeysPerNetwork: number;
  /** Encrypted messages longer than this are fragmented; with UDP, IP and marker that is the MTU of IPv6. */
  readonly fragmentOctets: number;
  /** IKE SAs of strangers that collect fragments at the same time, and for how long one may take. */
  readonly reassemblies: number;
  readonly reassemblyMs: number;
  /** What is over lingers, to repeat its last answer. */
  readonly lingerMs: number;
  /** An IKE_SA_INIT that has waited this long for keys is begun anew: the responder has forgotten it. */
  readonly staleInitMs: number;
  /** An IKE SA without a child is given up after this. */
  readonly childlessMs: number;
  /** Of two crossing IKE SAs the one that goes goes after this. */
  readonly retireMs: number;
  /** An IKE SA that was quiet for this long is probed before it is trusted again. */
  readonly quietMs: number;
  /** A responder asks once, this long after IKE_AUTH, whether its answer has come through. */
  readonly confirmMs: number;
  /** A second try at a child that the peer has left out waits this long, the next twice as long; so many tries. */
  readonly childRetryMs: number;
  readonly childTries: number;
  /** A rekey for which the peer has no time waits once to twice as long (RFC 7296 §2.25). */
  readonly busyMs: number;
  /** An IKE SA whose peer says TEMPORARY_FAILURE for so long is given up (RFC 7296 §2.25). */
  readonly outOfStepMs: number;
  /** What a crossing rekey has left is deleted by us, where the peer does not, after this. */
  readonly redundantMs: number;
  /** Outbound traffic moves to a rekeyed child at the latest after this (RFC 7296 §2.8). */
  readonly rekeySwitchMs: number;
  /** Behind a NAT something is sent at least this often (RFC 3948 §4). */
  readonly keepaliveMs: number;
  /** An IKE SA is replaced after this. */
  readonly ikeLifetimeMs: number;
}

export const defaultLimits: Limits = {
  retransmitMs: 500,
  retransmitCeilingMs: 8_000,
  urgentMs: 200,
  urgentCeilingMs: 1_000,
  freshMs: 500,
  authLifetimeMs: 0,
  transmissions: 7,
  transmissionsEstablished: 12,
  transmissionsIdentified: 3,
  refusalGraceMs: 1_000,
  cookieRounds: 3,
  groupRounds: 3,
  halfOpenMs: 35_000,
  followUpMs: 30_000,
  halfOpenCookies: 64,
  halfOpen: 1_024,
  halfOpenPerNetwork: 128,
  sessions: 20_000,
  sessionsOfOthers: 16_000,
  sessionsPerNetwork: 1_024,
  sessionsPerPair: 6,
  childrenPerSession: 4,
  peerKeysMs: 10_000,
  peerKeysAtOnce: 128,
  peerKeysPerNetwork: 16,
  fragmentOctets: 1_228,
  reassemblies: 256,
  reassemblyMs: 30_000,
  lingerMs: 20_000,
  staleInitMs: 20_000,
  childlessMs: 60_000,
  retireMs: 10_000,
  quietMs: 30_000,
  confirmMs: 45_000,
  childRetryMs: 250,
  childTries: 3,
  busyMs: 5_000,
  outOfStepMs: 240_000,
  redundantMs: 30_000,
  rekeySwitchMs: 2_000,
  keepaliveMs: 20_000,
  ikeLifetimeMs: 8 * 3_600_000,
};
