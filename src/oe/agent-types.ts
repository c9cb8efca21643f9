import type { TrustAnchor } from '../dns/anchors.ts';
import type { TrustOptions } from '../dns/anchors/trust.ts';
import type { FindersOptions } from '../dns/finders.ts';
import type { Hosts } from '../dns/hosts.ts';
import type { Question } from '../dns/message.ts';
import type { NameKey } from '../dns/name.ts';
import type { Own } from '../dns/own.ts';
import type { ResolverEffect, ResolverInput, ResolverOptions } from '../dns/resolver.ts';
import type { Keep } from '../dns/wire-cache.ts';
import type { EndpointEffect, EndpointInput, HostIdentity } from '../ike/endpoint.ts';
import type { PrivateGroup } from '../ike/private-group.ts';
import type {
  Capabilities,
  KernelEvent,
  KernelOp,
  KernelSnapshot,
  StateCounters,
  StateId,
} from '../kernel/port.ts';
import type { HealthNote } from '../health.ts';
import type { LogEvent } from '../log.ts';
import type { IpAddress } from '../net/address.ts';
import type { Prefix } from '../net/prefix.ts';
import type { Dig } from './dig.ts';
import type { Gate } from './gate.ts';
import type { Moment, Peer } from './peer.ts';
import type { Peers } from './peers.ts';
import type { Policy } from './policy.ts';
import type { PolicyChange } from './policy-change.ts';

/** What may change while an agent runs. */
export interface Rules {
  readonly policy: Policy;
  readonly budgetMs: number;
  readonly privateBudgetMs: number;
}

/** What an {@link Agent} is made from; nothing of it but the {@link Rules} changes while it runs. */
export interface AgentOptions extends FindersOptions, Rules {
  /** This host's own addresses at the start; `locals` says when they change. */
  readonly locals: readonly IpAddress[];
  /** This host's names of one label; absent: none is answered. */
  readonly ownNames?: readonly NameKey[];
  readonly anchors: readonly TrustAnchor[];
  readonly trust?: Omit<TrustOptions, 'fixed'>;
  /** How much is kept of what was asked, and for how long. */
  readonly cache?: NonNullable<ResolverOptions['cache']>;
  /** Undefined: this host is anonymous to its peers. */
  readonly identity: HostIdentity | undefined;
  /** Whose members prove themselves without DNS; absent: nobody's. */
  readonly groups?: readonly PrivateGroup[];
  /** What the kernel can do. Without ESP for a family nothing is negotiated with its addresses. */
  readonly capabilities: Capabilities;
  /** Whether `keyLog` effects are wanted. */
  readonly keyLog: boolean;
  readonly ports: { readonly ike: number; readonly natt: number };
  /** Tell hosts behind one NAT apart by marks; absent: the second one gets no SA. */
  readonly marksNeighbours?: boolean;
  /** Answer questions for ANY with next to nothing (RFC 8482); absent: yes. */
  readonly minimalAny?: boolean;
  /** The prefix of a NAT64 translator (RFC 6147), or how it is found; absent: no address is made. */
  readonly dns64?: 'auto' | 'off' | Prefix;
}

export type AgentInput =
  /** First of all, once, with what of ours is in the kernel from an earlier run. */
  | { readonly kind: 'start'; readonly snapshot: KernelSnapshot }
  /** A client's message; `query` is the edge's number for it. `limitOctets`: what the transport carries. */
  | {
      readonly kind: 'query';
      readonly query: number;
      readonly octets: Uint8Array;
      readonly limitOctets: number;
    }
  /** A lookup for `oe why`, as a program would make it; `looked` says when both address types are through. */
  | { readonly kind: 'look'; readonly request: number; readonly name: NameKey }
  /** A lookup for `oe dig`, as one of a program that sets AD; `dug` is its answer. */
  | {
      readonly kind: 'dig';
      readonly request: number;
      readonly question: Question;
      readonly checkingDisabled: boolean;
    }
  | Extract<
      ResolverInput,
      {
        kind:
          'reply' | 'failed' | 'upstreams' | 'anchorsFetched' | 'anchorsNotFetched' | 'flush' | 'restored';
      }
    >
  | Extract<EndpointInput, { kind: 'datagram' }>
  /** The answer to `findSource`; `local` undefined: there is no route. */
  | { readonly kind: 'source'; readonly peer: IpAddress; readonly local: IpAddress | undefined }
  /** This host's own addresses, all of them, as they are now; `own`: where its resolver listens. */
  | { readonly kind: 'locals'; readonly addresses: readonly IpAddress[]; readonly own?: Own }
  /** What the hosts file says, all of it, as it is now. */
  | { readonly kind: 'hosts'; readonly hosts: Hosts }
  | { readonly kind: 'spi'; readonly request: number; readonly spi: number }
  | { readonly kind: 'noSpi'; readonly request: number; readonly why: string }
  /** The kernel has all of `apply`. */
  | { readonly kind: 'applied'; readonly batch: number }
  /** The kernel refused `apply`; what it had added is out again. */
  | { readonly kind: 'refused'; readonly batch: number; readonly why: string }
  | { readonly kind: 'kernel'; readonly event: KernelEvent }
  /** The answer to `count`, in the order of its states; empty: the kernel could not say. */
  | {
      readonly kind: 'counted';
      readonly request: number;
      readonly counters: readonly (StateCounters | undefined)[];
    }
  /** The answer to `takeStock`, with its version. */
  | { readonly kind: 'stock'; readonly version: number; readonly snapshot: KernelSnapshot }
  /** Forgets what failed, with one peer or with all, so that the next lookup tries again. */
  | { readonly kind: 'forgive'; readonly peer?: IpAddress }
  /** Other rules, in the place of all that hold; `policyChanged` says when the kernel has them. */
  | { readonly kind: 'policy'; readonly request: number; readonly rules: Rules }
  /** Take everything out of the kernel and say goodbye to the peers; `stopped` follows. */
  | { readonly kind: 'stop' }
  | { readonly kind: 'tick' };

export type AgentEffect =
  /** The answer to `query`, once. */
  | {
      readonly kind: 'answer';
      readonly query: number;
      readonly octets: Uint8Array;
      /** The same question may be answered with the same again, without asking here. */
      readonly keep?: Keep;
    }
  /** What may have been kept until now holds no longer. */
  | { readonly kind: 'forget' }
  | Extract<
      ResolverEffect,
      { kind: 'ask' | 'release' | 'keepAnchors' | 'fetchAnchors' | 'keepCache' | 'flushed' }
    >
  | Extract<EndpointEffect, { kind: 'send' | 'allocateSpi' | 'keyLog' }>
  /** From which address do packets to `peer` leave? Answered by `source`. */
  | { readonly kind: 'findSource'; readonly peer: IpAddress }
  /** Answered by `applied` or `refused`. Batches are performed one after the other, in this order. */
  | { readonly kind: 'apply'; readonly batch: number; readonly ops: readonly KernelOp[] }
  /** What has gone through these states? Answered by `counted`. */
  | { readonly kind: 'count'; readonly request: number; readonly states: readonly StateId[] }
  /** What of ours is in the kernel, after all of `apply` until now? Answered by `stock`. */
  | { readonly kind: 'takeStock'; readonly version: number }
  | { readonly kind: 'looked'; readonly request: number }
  | { readonly kind: 'dug'; readonly request: number; readonly dig: Dig }
  /** The kernel has the rules of `policy`; `refusal`: why it did not take all of them. */
  | {
      readonly kind: 'policyChanged';
      readonly request: number;
      readonly change: PolicyChange;
      readonly refusal: string | undefined;
    }
  /** Nothing of ours is to be in the kernel any longer; the edge can go. */
  | { readonly kind: 'stopped' }
  | { readonly kind: 'log'; readonly event: LogEvent };

/** What status and why are made from; borrowed until the next input. */
export interface AgentView {
  readonly peers: Peers;
  readonly gate: Gate;
  readonly policy: Policy;
  readonly locals: readonly IpAddress[];
  readonly at: Moment;
  readonly counters: Readonly<Record<string, number>>;
  /** What the parts of the core say of their health. */
  readonly notes: readonly HealthNote[];
}

/** The pair of states of one SA that stands, for asking the kernel for its counters. */
export interface LiveStates {
  readonly peer: Peer;
  readonly inbound: StateId;
  readonly outbound: StateId;
}
