import { formatAddress, type IpAddress } from '../net/address.ts';
import { hostPrefix, type Prefix } from '../net/prefix.ts';
import { bandLast, hostMark, isOurs, larvalReqid, Priority } from './bands.ts';
import { policyKey, samePolicy, stateKey } from './policies.ts';
import type {
  EspState,
  EspSuite,
  KernelOp,
  KernelSnapshot,
  Lifetime,
  Mark,
  Mode,
  Policy,
  StateId,
  Template,
} from './port.ts';
import { standingGroup, standingPolicies, type StandingRule } from './standing.ts';

export type { StandingRule } from './standing.ts';

/** A pair of ESP SAs that is to be in the kernel; what IKE negotiates has this shape. */
export interface InstallableChild {
  readonly id: number;
  readonly local: IpAddress;
  readonly peer: IpAddress;
  readonly mode: Mode;
  readonly suite: EspSuite;
  readonly esn: boolean;
  readonly inbound: {
    readonly spi: number;
    readonly encryptionKey: Uint8Array;
    readonly integrityKey?: Uint8Array;
  };
  readonly outbound: {
    readonly spi: number;
    readonly encryptionKey: Uint8Array;
    readonly integrityKey?: Uint8Array;
  };
  /** `hidden`: who is behind a NAT. */
  readonly encapsulation?: {
    readonly localPort: number;
    readonly peerPort: number;
    readonly hidden: 'local' | 'peer' | 'both';
  };
}

export interface LedgerOptions {
  /**
   * Tell hosts behind one NAT apart by marks: what comes out of the SA of one of them is marked, and policies about
   * that mark send the answer back to it, where the answer carries the mark too (`net.ipv4.tcp_fwmark_accept` for TCP).
   */
  readonly marks?: boolean;
}

/**
 * What of ours is, or is on its way, in the kernel; answers with the operations that bring it there.
 *
 * All children of a pair of addresses share a reqid and the pair's policies. The outbound policy names the SPI of
 * the newest child, so that a rekeyed pair moves over at once: between states of one reqid the kernel would choose
 * by its own lists. The inbound policy accepts any of them, as the peer may take its time. It asks for ESP as soon
 * as we send ESP; before that (a responder that waits for the peer's first packet) packets of a peer that need not
 * be private pass without it too.
 *
 * Additions come first and removals last. The block of a `private` rule lies below the policies of an SA and is
 * touched by none of this, so that no order and no accident leaves such a peer in the clear.
 *
 * Several hosts behind one NAT have one address, which is all that policies know. Without marks a pair has one host,
 * the one that {@link neighbours} says is there; with marks each has policies of its own about what carries its mark.
 * What carries none goes to the only host, and with more than one nowhere: to the wrong one it must not go.
 */
export class KernelLedger {
  readonly #pairs = new Map<string, Pair>();
  readonly #reqids = new Set<number>();
  /** The child whose state it is, by the state: the peer chooses the SPI that we send with, and may choose one twice. */
  readonly #owners = new Map<string, number>();
  readonly #marks: boolean;
  #version = 0;
  #nextReqid = larvalReqid + 1;
  #rules: readonly StandingRule[] = [];
  #standing = new Map<string, Policy>();

  constructor(options: LedgerOptions = {}) {
    this.#marks = options.marks ?? false;
  }

  /**
   * Removes the SAs that an earlier agent left behind. Its standing policies stay until {@link setRules}, which
   * takes away those that are no longer wanted: between two agents nothing private passes.
   */
  leftovers(snapshot: KernelSnapshot): KernelOp[] {
    const policies = snapshot.policies.filter((p) => !isStanding(p));
    for (const policy of snapshot.policies.filter(isStanding)) this.#standing.set(policyKey(policy), policy);
    return [
      ...policies.map(removedPolicy),
      // SPI 0 is a packet's wish for a state; it cannot be named and lapses.
      ...snapshot.states.filter((s) => s.spi !== 0).map(removedState),
    ];
  }

  /** The operations from the standing rules of before to these; the first of a list decides. Includes neighbour discovery's bypass. */
  setRules(rules: readonly StandingRule[]): KernelOp[] {
    this.#version++;
    this.#rules = rules;
    const wanted = new Map(standingPolicies(rules).map((p) => [policyKey(p), p]));
    const ops = difference(this.#standing, wanted);
    this.#standing = wanted;
    // Whether a pair may go without protection inbound hangs on the rules.
    return [...[...this.#pairs.values()].flatMap((pair) => this.#settle(pair)), ...ops];
  }

  /**
   * States of the part, then the policies. What the child has already is not added again. Throws RangeError where
   * all 65,535 reqids are in use.
   */
  install(child: InstallableChild, part: 'inbound' | 'outbound' | 'both'): KernelOp[] {
    this.#version++;
    const pair = this.#pairOf(child);
    const before = pair.children.get(child.id) ?? { child, inbound: false, outbound: false };
    const host = before.host ?? this.#hostOf(pair, child);
    const after: Entry = {
      child,
      host,
      inbound: before.inbound || part !== 'outbound',
      outbound: before.outbound || part !== 'inbound',
    };
    // Last in the map is newest.
    pair.children.delete(child.id);
    pair.children.set(child.id, after);
    const ops: KernelOp[] = [];
    for (const state of statesOf(child).map(stateKey)) {
      if (!this.#owners.has(state)) this.#owners.set(state, child.id);
    }
    if (after.inbound && !before.inbound) {
      ops.push({ op: 'addState', state: inboundState(child, pair.reqid, host) });
    }
    if (after.outbound && !before.outbound) {
      ops.push({ op: 'addState', state: outboundState(child, pair.reqid) });
    }
    return [...ops, ...this.#settle(pair)];
  }

  /** The child has other ports than when it was installed. */
  move(child: InstallableChild): KernelOp[] {
    const pair = this.#pairs.get(pairKey(child));
    const entry = pair?.children.get(child.id);
    if (!pair || !entry) return [];
    // Not as a new entry: which one is newest has not changed.
    pair.children.set(child.id, { ...entry, child });
    if (entry.host && child.encapsulation) entry.host.port = child.encapsulation.peerPort;
    const states = [
      ...(entry.inbound ? [inboundState(child, pair.reqid, entry.host)] : []),
      ...(entry.outbound ? [outboundState(child, pair.reqid)] : []),
    ];
    return states.map((state) => ({ op: 'changeState', state }));
  }

  /**
   * The ids of the children of other hosts that have the peer's address as well, as far as can be seen: they are behind
   * a NAT, as it is, and have another port there. With marks they do not get in each other's way.
   */
  neighbours(child: InstallableChild): readonly number[] {
    const pair = this.#pairs.get(pairKey(child));
    const port = portBehindNat(child);
    if (!pair || this.#marks || pair.children.has(child.id)) return [];
    return [...pair.children.values()].flatMap((e) => (portBehindNat(e.child) === port ? [] : [e.child.id]));
  }

  /**
   * The policies go, or change over to an older child, before the states that they need. `refused`: the kernel took
   * nothing of what {@link install} said last, so that the other children's policies are said again.
   */
  remove(child: InstallableChild, refused = false): KernelOp[] {
    this.#version++;
    const key = pairKey(child);
    const pair = this.#pairs.get(key);
    const ops: KernelOp[] = [];
    if (pair) {
      pair.children.delete(child.id);
      const settled = this.#settle(pair);
      const added = refused
        ? [...pair.policies.values()].map((policy): KernelOp => ({ op: 'addPolicy', policy }))
        : settled.filter((o) => o.op === 'addPolicy');
      ops.push(...added, ...settled.filter((o) => o.op !== 'addPolicy'));
      if (pair.children.size === 0) {
        this.#pairs.delete(key);
        this.#reqids.delete(pair.reqid);
      }
    }
    // Of an SPI chosen twice the kernel refuses the second, and the first stays with its child.
    const gone = statesOf(child).filter((id) => (this.#owners.get(stateKey(id)) ?? child.id) === child.id);
    for (const id of gone) this.#owners.delete(stateKey(id));
    return [...ops, ...gone.map(removedState)];
  }

  /** Counts what was said to the kernel: the same number twice, and nothing was said in between. */
  get version(): number {
    return this.#version;
  }

  /**
   * What a snapshot lacks that is to be there, after events were lost or somebody has flushed the kernel: the inbound
   * SPIs of children that have lost a state (its keys cannot be used again, so the child is gone), and the operations
   * that put policies back and take out states that nobody knows. Only for a snapshot of the present {@link version}.
   */
  compare(snapshot: KernelSnapshot): {
    readonly lost: readonly StateId[];
    readonly ops: readonly KernelOp[];
  } {
    const present = new Set(snapshot.states.map(stateKey));
    const entries = [...this.#pairs.values()].flatMap((pair) => [...pair.children.values()]);
    const wanted = entries.flatMap((e) => statesIn(e).map((id) => ({ id, inbound: inboundId(e.child) })));
    const lost = new Map(
      wanted.flatMap(({ id, inbound }) => (present.has(stateKey(id)) ? [] : [[stateKey(inbound), inbound]])),
    );
    const known = new Set(wanted.map(({ id }) => stateKey(id)));
    const strays = snapshot.states.filter((s) => !s.larval && !known.has(stateKey(s)));
    const policies = new Map(snapshot.policies.map((p) => [policyKey(p), p]));
    const own = [...this.#standing.values()].concat(
      ...[...this.#pairs.values()].map((pair) => [...pair.policies.values()]),
    );
    const missing = own.filter((p) => {
      const there = policies.get(policyKey(p));
      return !there || !samePolicy(there, p);
    });
    return {
      lost: [...lost.values()],
      ops: [...missing.map((policy): KernelOp => ({ op: 'addPolicy', policy })), ...strays.map(removedState)],
    };
  }

  /** Everything, at a normal stop; blocks last. */
  removeAll(): KernelOp[] {
    const pairs = [...this.#pairs.values()];
    const ops = [
      ...pairs.flatMap((pair) => [...pair.policies.values()].map(removedPolicy)),
      ...pairs.flatMap((pair) =>
        [...pair.children.values()].flatMap((c) => statesOf(c.child).map(removedState)),
      ),
      ...[...this.#standing.values()].sort((a, b) => a.priority - b.priority).map(removedPolicy),
    ];
    this.#pairs.clear();
    this.#reqids.clear();
    this.#owners.clear();
    this.#standing.clear();
    this.#rules = [];
    return ops;
  }

  #pairOf(child: InstallableChild): Pair {
    const key = pairKey(child);
    let pair = this.#pairs.get(key);
    if (!pair) {
      const { local, peer } = child;
      pair = { local, peer, reqid: this.#freeReqid(), children: new Map(), policies: new Map() };
      this.#pairs.set(key, pair);
    }
    return pair;
  }

  /** Undefined without marks, for a host of which there can be but one, and for the one too many. */
  #hostOf(pair: Pair, child: InstallableChild): HiddenHost | undefined {
    const port = portBehindNat(child);
    if (!this.#marks || port === undefined) return undefined;
    const hosts = hostsOf(pair);
    const known = hosts.find((h) => h.port === port);
    if (known) return known;
    for (let number = 1; number <= hostMark.last; number++) {
      if (!hosts.some((h) => h.number === number)) return { port, number };
    }
    return undefined;
  }

  /** The least recently used one, so that what the kernel still has of a pair does not meet another's. */
  #freeReqid(): number {
    for (let tries = larvalReqid; tries < bandLast; tries++) {
      const reqid = this.#nextReqid;
      this.#nextReqid = reqid === bandLast ? larvalReqid + 1 : reqid + 1;
      if (this.#reqids.has(reqid)) continue;
      this.#reqids.add(reqid);
      return reqid;
    }
    throw new RangeError('all reqids are in use');
  }

  /** The operations from the pair's policies of before to those that its children want. */
  #settle(pair: Pair): KernelOp[] {
    const group = standingGroup(this.#rules, pair.peer);
    const wanted = policiesOf(pair, group === 'private' || group === 'block');
    const ops = difference(pair.policies, wanted);
    pair.policies = wanted;
    return ops;
  }
}

/** Two addresses and the children between them, oldest first. */
interface Pair {
  readonly local: IpAddress;
  readonly peer: IpAddress;
  readonly reqid: number;
  readonly children: Map<number, Entry>;
  policies: Map<string, Policy>;
}

interface Entry {
  readonly child: InstallableChild;
  /** Set where marks tell hosts behind one NAT apart. */
  readonly host?: HiddenHost | undefined;
  /** Whether the state is in the kernel, or on its way. */
  readonly inbound: boolean;
  readonly outbound: boolean;
}

/** A host behind a NAT that others are behind, too; all its children share it. */
interface HiddenHost {
  /** Of its ESP and IKE on the outside of the NAT. */
  port: number;
  /** From 1 on. */
  readonly number: number;
}

/** The port by which a host behind a NAT can be told from others there; undefined for one that has its own address. */
function portBehindNat({ encapsulation }: InstallableChild): number | undefined {
  return encapsulation && encapsulation.hidden !== 'local' ? encapsulation.peerPort : undefined;
}

function hostsOf(pair: Pair): HiddenHost[] {
  return [...new Set([...pair.children.values()].flatMap((e) => e.host ?? []))];
}

function markOf(host: HiddenHost): Mark {
  return { value: (host.number << hostMark.shift) >>> 0, mask: hostMark.mask };
}

function policiesOf(pair: Pair, mustBePrivate: boolean): Map<string, Policy> {
  const entries = [...pair.children.values()];
  const hosts = hostsOf(pair);
  const policies = hosts.flatMap((host): Policy[] => {
    const own = entries.filter((e) => e.host === host);
    return hostPolicies(pair, own, mustBePrivate).map((p) => ({ ...p, mark: markOf(host) }));
  });
  // Behind those about marks, which it would hide.
  const priority = hosts.length > 0 ? Priority.protect + 1 : Priority.protect;
  const plain = entries.filter((e) => !e.host);
  const unmarked = plain.length > 0 || hosts.length > 1 ? plain : entries;
  for (const p of hostPolicies(pair, unmarked, mustBePrivate)) policies.push({ ...p, priority });
  if (unmarked.length === 0 && hosts.length > 1) {
    const [local, peer] = [hostPrefix(pair.local), hostPrefix(pair.peer)];
    policies.push({ direction: 'in', source: peer, destination: local, priority, action: 'block' });
    policies.push({ direction: 'out', source: local, destination: peer, priority, action: 'block' });
  }
  return new Map(policies.map((p) => [policyKey(p), p]));
}

function hostPolicies(pair: Pair, entries: readonly Entry[], mustBePrivate: boolean): Policy[] {
  const receiving = entries.findLast((e) => e.inbound)?.child;
  const sending = entries.findLast((e) => e.outbound)?.child;
  const [local, peer] = [hostPrefix(pair.local), hostPrefix(pair.peer)];
  const common = { priority: Priority.protect, action: 'allow' } as const;
  const policies: Policy[] = [];
  if (receiving) {
    const optional = !sending && !mustBePrivate;
    const template: Template = {
      reqid: pair.reqid,
      mode: receiving.mode,
      ...(receiving.mode === 'tunnel' && { ends: { source: pair.peer, destination: pair.local } }),
      ...(optional && { optional }),
    };
    const id = { source: peer, destination: local };
    policies.push({ direction: 'in', ...id, ...common, template });
    // What comes out of a tunnel is checked as forwarded where it does not end here.
    if (receiving.mode === 'tunnel') policies.push({ direction: 'fwd', ...id, ...common, template });
  }
  if (sending) {
    const template: Template = {
      reqid: pair.reqid,
      mode: sending.mode,
      spi: sending.outbound.spi,
      ...(sending.mode === 'tunnel' && { ends: { source: pair.local, destination: pair.peer } }),
    };
    policies.push({ direction: 'out', source: local, destination: peer, ...common, template });
  }
  return policies;
}

function inboundState(child: InstallableChild, reqid: number, host: HiddenHost | undefined): EspState {
  const { encapsulation } = child;
  return {
    ...commonState(child, reqid, hostPrefix(child.peer), hostPrefix(child.local)),
    direction: 'in',
    ...child.inbound,
    source: child.peer,
    destination: child.local,
    replayWindow: REPLAY_WINDOW,
    ...(encapsulation && {
      encapsulation: { sourcePort: encapsulation.peerPort, destinationPort: encapsulation.localPort },
    }),
    ...(host && { setMark: markOf(host) }),
  };
}

function outboundState(child: InstallableChild, reqid: number): EspState {
  const { encapsulation } = child;
  return {
    ...commonState(child, reqid, hostPrefix(child.local), hostPrefix(child.peer)),
    direction: 'out',
    ...child.outbound,
    source: child.local,
    destination: child.peer,
    replayWindow: 0,
    ...(encapsulation && {
      encapsulation: { sourcePort: encapsulation.localPort, destinationPort: encapsulation.peerPort },
      ...(encapsulation.hidden !== 'peer' && { keepaliveSeconds: KEEPALIVE_SECONDS }),
    }),
  };
}

function commonState(
  child: InstallableChild,
  reqid: number,
  source: Prefix,
  destination: Prefix,
): Pick<EspState, 'encr' | 'keyBits' | 'integ' | 'reqid' | 'mode' | 'esn' | 'selector' | 'lifetime'> {
  return {
    ...child.suite,
    reqid,
    mode: child.mode,
    esn: child.esn,
    ...(child.mode === 'transport' && { selector: { source, destination } }),
    lifetime: {
      ...lifetime(child),
      // Without extended numbers a state ends with its 2^32 sequence numbers (RFC 4303 §3.3.3).
      ...(!child.esn && { softPackets: 0xc000_0000n, hardPackets: 0xffff_ffffn }),
    },
  };
}

/**
 * An hour or 2^40 octets, before which the kernel asks for new keys. The two ends choose SPIs by chance, so that they
 * seldom ask at the same time.
 */
function lifetime({ inbound }: InstallableChild): Lifetime {
  const share = 80 + (inbound.spi % 16);
  return {
    softSeconds: Math.round((LIFETIME_SECONDS * share) / 100),
    hardSeconds: LIFETIME_SECONDS + 600,
    softOctets: (LIFETIME_OCTETS * BigInt(share)) / 100n,
    hardOctets: LIFETIME_OCTETS,
  };
}

const LIFETIME_SECONDS = 3_600;
const LIFETIME_OCTETS = 1n << 40n;

function statesOf(child: InstallableChild): StateId[] {
  return [outboundId(child), inboundId(child)];
}

function inboundId(child: InstallableChild): StateId {
  return { destination: child.local, spi: child.inbound.spi };
}

function outboundId(child: InstallableChild): StateId {
  return { destination: child.peer, spi: child.outbound.spi };
}

/** The states that are in the kernel, or on their way. */
function statesIn({ child, inbound, outbound }: Entry): StateId[] {
  return [...(outbound ? [outboundId(child)] : []), ...(inbound ? [inboundId(child)] : [])];
}

/** What `wanted` has and `current` has not or otherwise, then the removal of what it has no more. */
function difference(current: ReadonlyMap<string, Policy>, wanted: ReadonlyMap<string, Policy>): KernelOp[] {
  const ops: KernelOp[] = [];
  for (const [key, policy] of wanted) {
    const before = current.get(key);
    if (!before || !samePolicy(before, policy)) ops.push({ op: 'addPolicy', policy });
  }
  for (const [key, policy] of current) if (!wanted.has(key)) ops.push(removedPolicy(policy));
  return ops;
}

function removedPolicy(policy: Policy): KernelOp {
  return { op: 'removePolicy', policy };
}

function removedState(state: StateId): KernelOp {
  return { op: 'removeState', state: { destination: state.destination, spi: state.spi } };
}

/** Of the standing rules, and not of an SA. */
function isStanding(policy: Policy): boolean {
  return isOurs(policy.priority) && (policy.priority < Priority.protect || policy.priority >= Priority.block);
}

function pairKey(child: { readonly local: IpAddress; readonly peer: IpAddress }): string {
  return `${formatAddress(child.local)} ${formatAddress(child.peer)}`;
}

/** RFC 3948 §4. */
const KEEPALIVE_SECONDS = 20;
/** Packets; twice what libreswan keeps, for paths with several queues. */
const REPLAY_WINDOW = 256;
