import { formatAddress, sameAddress, type IpAddress } from '../net/address.ts';
import { formatPrefix } from '../net/prefix.ts';
import { randomU32, type Random } from '../random.ts';
import { instant, later, type Instant } from '../time.ts';
import { espSuites, kernelAlgorithms, suiteName } from './algorithms.ts';
import { isOurs, larvalReqid } from './bands.ts';
import { covers, policyKey, stateKey, type Flow } from './policies.ts';
import {
  KernelError,
  larvalSeconds,
  type Capabilities,
  type EspState,
  type KernelEvent,
  type KernelOp,
  type KernelPort,
  type KernelSnapshot,
  type Policy,
  type StateCounters,
  type StateId,
} from './port.ts';

export interface FakeKernelOptions {
  readonly random: Random;
  /** What it says it can do; it refuses states of other suites. Absent: everything. */
  readonly capabilities?: Partial<Capabilities>;
  /** When it begins to exist. */
  readonly now?: Instant;
  /** Seconds since 1970 at that moment, for `lastUsed`. */
  readonly epochSeconds?: number;
}

/** A packet that comes in: of a flow, in ESP where it names an SPI. */
export interface InboundPacket {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Of what is protected; 6 (TCP) where absent. */
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmpType?: number;
  readonly octets?: number;
  readonly esp?: { readonly spi: number };
  /** ESP in UDP: the port that it comes from. */
  readonly sourcePortOfUdp?: number;
}

/** What happens to a packet that goes out. `acquire`: dropped, and an event asks for a state. */
export type OutboundFate = 'clear' | 'drop' | 'acquire' | OutboundEsp;

export interface OutboundEsp {
  readonly esp: number;
  readonly reqid: number;
  readonly state: EspState;
}

/**
 * The kernel's double: holds states and policies as the real one was seen to hold them, and says what becomes of
 * a packet. Everything of the port is there as a synchronous twin too, for simulations, whose time comes from
 * {@link advance}. It does not encrypt: an ESP packet is its SPI.
 */
export class FakeKernel implements KernelPort {
  readonly #random: Random;
  readonly #capabilities: Capabilities;
  readonly #epochSeconds: number;
  readonly #start: Instant;
  readonly #states = new Map<string, HeldState>();
  readonly #larval = new Map<string, Larval>();
  readonly #wishes = new Map<string, Instant>();
  /** In the order in which the kernel looks through those of equal priority. */
  readonly #policies = new Map<string, Policy>();
  readonly #listeners = new Set<(event: KernelEvent) => void>();
  #now: Instant;

  constructor(options: FakeKernelOptions) {
    this.#random = options.random;
    this.#start = options.now ?? instant(0);
    this.#now = this.#start;
    this.#epochSeconds = options.epochSeconds ?? 1_700_000_000;
    this.#capabilities = {
      esp4: { available: true },
      esp6: { available: true },
      suites: espSuites,
      directions: true,
      keepalives: true,
      ...options.capabilities,
    };
  }

  // Each is `async` so that what its twin throws is a rejection.

  async allocateSpi(local: IpAddress, peer: IpAddress): Promise<number> {
    return Promise.resolve(this.allocateSpiSync(local, peer));
  }

  async apply(ops: readonly KernelOp[]): Promise<void> {
    this.applySync(ops);
    return Promise.resolve();
  }

  async query(states: readonly StateId[]): Promise<readonly (StateCounters | undefined)[]> {
    return Promise.resolve(this.querySync(states));
  }

  async snapshot(): Promise<KernelSnapshot> {
    return Promise.resolve(this.snapshotSync());
  }

  async capabilities(): Promise<Capabilities> {
    return Promise.resolve(this.#capabilities);
  }

  events(listener: (event: KernelEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#listeners.clear();
  }

  allocateSpiSync(local: IpAddress, peer: IpAddress): number {
    for (;;) {
      const spi = randomU32(this.#random);
      const key = stateKey({ destination: local, spi });
      if (spi < 0x100 || this.#states.has(key) || this.#larval.has(key)) continue;
      const lapsesAt = later(this.#now, larvalSeconds * 1000);
      this.#larval.set(key, { destination: local, source: peer, spi, lapsesAt });
      return spi;
    }
  }

  applySync(ops: readonly KernelOp[]): void {
    const undo: (() => void)[] = [];
    try {
      for (const op of ops) this.#perform(op, undo);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  querySync(states: readonly StateId[]): readonly (StateCounters | undefined)[] {
    return states.map((id) => {
      const key = stateKey(id);
      return this.#states.get(key)?.counters ?? (this.#larval.has(key) ? noCounters : undefined);
    });
  }

  snapshotSync(): KernelSnapshot {
    const common = { mode: 'transport', larval: true, esn: false, counters: noCounters } as const;
    const states = [...this.#states.values()]
      .filter(({ state }) => isOurs(state.reqid))
      .map(({ state, counters }) => {
        const { destination, spi, source, reqid, mode, esn, encapsulation } = state;
        return {
          ...{ destination, spi, source, reqid, mode, esn, larval: false, counters },
          ...(encapsulation && { encapsulation }),
        };
      });
    const larval = [...this.#larval.values()].map(({ destination, source, spi }) => ({
      destination,
      source,
      spi,
      reqid: larvalReqid,
      ...common,
    }));
    return {
      states: [...states, ...larval],
      policies: [...this.#policies.values()].filter((p) => isOurs(p.priority)),
    };
  }

  /** Lets time pass: reserved SPIs lapse, states reach their limits. */
  advance(now: Instant): void {
    this.#now = now;
    for (const [key, larval] of this.#larval) if (larval.lapsesAt <= now) this.#larval.delete(key);
    for (const [key, lapsesAt] of this.#wishes) if (lapsesAt <= now) this.#wishes.delete(key);
    for (const held of this.#states.values()) this.#limits(held);
  }

  /** A policy of an administrator or another daemon, of whatever priority: for tests. */
  addForeignPolicy(policy: Policy): void {
    this.#policies.set(policyKey(policy), policy);
  }

  /** A state of another daemon, of whatever reqid: for tests. */
  addForeignState(state: EspState): void {
    this.#states.set(stateKey(state), held(state, this.#now));
  }

  /** Takes away all states and policies, as `ip xfrm state flush` and `ip xfrm policy flush` do. */
  flush(): void {
    this.#states.clear();
    this.#larval.clear();
    this.#policies.clear();
  }

  /** What becomes of a packet from here to `peer`; counts it where a state takes it. */
  outbound(local: IpAddress, peer: IpAddress, protocol = 6, rest: Partial<OutboundRest> = {}): OutboundFate {
    const flow: Flow = { ...rest, source: local, destination: peer, protocol };
    const policy = this.#decides('out', flow);
    if (!policy || (policy.action === 'allow' && !policy.template)) return 'clear';
    const { template } = policy;
    if (policy.action === 'block' || !template) return 'drop';
    const source = template.ends?.source ?? local;
    const destination = template.ends?.destination ?? peer;
    // Newest first, as the kernel finds them among those of one age.
    const found = [...this.#states.values()].findLast(
      ({ state }) =>
        state.direction === 'out' &&
        state.reqid === template.reqid &&
        state.mode === template.mode &&
        (template.spi === undefined || template.spi === state.spi) &&
        sameAddress(state.source, source) &&
        sameAddress(state.destination, destination) &&
        (!state.selector || covers({ direction: 'out', ...state.selector }, flow)),
    );
    if (found) {
      this.#count(found, rest.octets ?? 100);
      return { esp: found.state.spi, reqid: found.state.reqid, state: found.state };
    }
    if (template.optional === true) return 'clear';
    const wish = `${formatAddress(source)} ${formatAddress(destination)} ${template.reqid}`;
    if (this.#wishes.has(wish) || this.#listeners.size === 0) return 'drop';
    this.#wishes.set(wish, later(this.#now, larvalSeconds * 1000));
    if (isOurs(policy.priority)) {
      const [sourcePort, destinationPort] = [rest.sourcePort ?? 0, rest.destinationPort ?? 0];
      this.#tell({
        kind: 'acquire',
        source: local,
        destination: peer,
        protocol,
        sourcePort,
        destinationPort,
        policy,
      });
    }
    return 'acquire';
  }

  /** Whether a packet that has come in reaches its program; counts it where a state has taken it. */
  inbound(packet: InboundPacket): 'accept' | 'drop' {
    const flow: Flow = { ...packet, protocol: packet.protocol ?? 6 };
    let state: EspState | undefined;
    if (packet.esp) {
      const found = this.#states.get(stateKey({ destination: packet.destination, spi: packet.esp.spi }));
      if (found?.state.direction !== 'in') return 'drop';
      state = found.state;
      if (state.selector && !covers({ direction: 'in', ...state.selector }, flow)) return 'drop';
      this.#count(found, packet.octets ?? 100);
      const { sourcePortOfUdp: port } = packet;
      const isElsewhere =
        port !== undefined &&
        state.encapsulation !== undefined &&
        (port !== state.encapsulation.sourcePort || !sameAddress(packet.source, state.source));
      if (isElsewhere) this.moveMapping(state, packet.source, port);
    }
    const mark = state?.setMark?.value;
    const policy = this.#decides('in', mark === undefined ? flow : { ...flow, mark });
    // What came through a tunnel wants a policy that says so.
    if (!policy) return state?.mode === 'tunnel' ? 'drop' : 'accept';
    if (policy.action === 'block') return 'drop';
    const { template } = policy;
    const fits =
      template !== undefined &&
      state?.reqid === template.reqid &&
      state.mode === template.mode &&
      (!template.ends || sameAddress(state.source, template.ends.source));
    if (fits) return 'accept';
    if (state?.mode === 'tunnel') return 'drop';
    return !template || template.optional === true ? 'accept' : 'drop';
  }

  /** Tells the listeners that packets of a state come from elsewhere: for tests. */
  moveMapping(id: StateId, address: IpAddress, port: number): void {
    const found = this.#states.get(stateKey(id));
    if (!found) return;
    this.#tell({ kind: 'mapping', state: idOf(id), reqid: found.state.reqid, address, port });
  }

  #perform(op: KernelOp, undo: (() => void)[]): void {
    switch (op.op) {
      case 'addState': {
        this.#addState(op.state);
        const key = stateKey(op.state);
        undo.push(() => {
          this.#states.delete(key);
        });
        return;
      }
      case 'changeState': {
        const before = this.#changeState(op.state);
        undo.push(() => {
          before.of.state = before.state;
        });
        return;
      }
      case 'removeState':
        this.#states.delete(stateKey(op.state));
        this.#larval.delete(stateKey(op.state));
        return;
      case 'addPolicy': {
        const key = policyKey(op.policy);
        const before = this.#addPolicy(op.policy);
        undo.push(() => {
          this.#policies.delete(key);
          if (before) this.#policies.set(key, before);
        });
        return;
      }
      case 'removePolicy': {
        const key = policyKey(op.policy);
        const before = this.#policies.get(key);
        if (before && isOurs(before.priority)) this.#policies.delete(key);
        return;
      }
      default:
        op satisfies never;
    }
  }

  #addState(state: EspState): void {
    const name = `ESP state 0x${state.spi.toString(16).padStart(8, '0')} to ${formatAddress(state.destination)}`;
    const refused = (code: string, why: string): never => {
      throw new KernelError(code, `the kernel refused ${name}: ${why} (${code})`);
    };
    const key = stateKey(state);
    if (this.#states.has(key)) refused('EEXIST', 'it exists already');
    // An outbound state does not take a reserved SPI: that is another host's choice of number.
    if (state.direction === 'out' && this.#larval.has(key)) refused('EEXIST', 'it exists already');
    const algorithms = kernelAlgorithms(state);
    const keysFit =
      state.encryptionKey.length === algorithms?.keyOctets &&
      (state.integrityKey?.length ?? 0) === (algorithms.kind === 'cipher' ? algorithms.authKeyOctets : 0);
    if (!keysFit) refused('EINVAL', `these are no keys for ${suiteName(state)}`);
    const { suites, esp4, esp6 } = this.#capabilities;
    const suite = suites.some(
      (s) => s.encr === state.encr && s.keyBits === state.keyBits && s.integ === state.integ,
    );
    if (!suite) refused('ENOSYS', 'it lacks the algorithm');
    if (!(state.destination.family === 4 ? esp4 : esp6).available) refused('EPROTONOSUPPORT', 'it lacks ESP');
    if (state.spi < 0x100) refused('EINVAL', 'the SPI is reserved');
    this.#larval.delete(key);
    for (const wish of this.#wishes.keys()) {
      // A state of the pair ends what a packet has asked for.
      if (wish === `${formatAddress(state.source)} ${formatAddress(state.destination)} ${state.reqid}`) {
        this.#wishes.delete(wish);
      }
    }
    this.#states.set(key, held(state, this.#now));
  }

  #changeState(wanted: EspState): { readonly of: HeldState; readonly state: EspState } {
    const of = this.#states.get(stateKey(wanted));
    if (!of) throw new KernelError('ESRCH', 'the state is not there');
    const { state } = of;
    if ((state.encapsulation === undefined) !== (wanted.encapsulation === undefined)) {
      throw new KernelError('EINVAL', 'the kernel refused the change of a state: in UDP or not (EINVAL)');
    }
    const { encapsulation, lifetime } = wanted;
    const { lifetime: _lifetime, ...rest } = state;
    of.state = { ...rest, ...(encapsulation && { encapsulation }), ...(lifetime && { lifetime }) };
    of.dying = false;
    return { of, state };
  }

  /** Answers with what it has replaced. */
  #addPolicy(policy: Policy): Policy | undefined {
    const name = `the ${policy.direction} policy ${formatPrefix(policy.source)} to ${formatPrefix(policy.destination)}`;
    if (!isOurs(policy.priority)) throw new KernelError('EINVAL', `${name}: not our priority`);
    if (policy.direction === 'out' && policy.template?.mode === 'tunnel' && policy.template.optional) {
      throw new KernelError('EINVAL', `the kernel refused ${name}: no optional tunnel outbound (EINVAL)`);
    }
    const key = policyKey(policy);
    const before = this.#policies.get(key);
    if (before && !isOurs(before.priority)) {
      throw new KernelError(
        'EEXIST',
        `${name} exists already, with priority ${before.priority}: somebody else's`,
      );
    }
    // What takes another's place comes behind its equals.
    this.#policies.delete(key);
    this.#policies.set(key, policy);
    return before;
  }

  #decides(direction: Policy['direction'], flow: Flow): Policy | undefined {
    let best: Policy | undefined;
    for (const policy of this.#policies.values()) {
      if (policy.direction !== direction || !covers(policy, flow)) continue;
      if (!best || policy.priority < best.priority) best = policy;
    }
    return best;
  }

  #count(of: HeldState, octets: number): void {
    const { counters } = of;
    of.counters = {
      ...counters,
      octets: counters.octets + BigInt(octets),
      packets: counters.packets + 1n,
      lastUsed: this.#epochSeconds + Math.floor((this.#now - this.#start) / 1000),
    };
    this.#limits(of);
  }

  /** Tells of limits that are reached; after a hard one the state is gone. */
  #limits(of: HeldState): void {
    const { state, counters } = of;
    const { lifetime } = state;
    if (!lifetime) return;
    const age = (this.#now - of.since) / 1000;
    const reached = (seconds?: number, octets?: bigint, packets?: bigint): boolean =>
      age >= (seconds ?? Infinity) ||
      (octets !== undefined && counters.octets >= octets) ||
      (packets !== undefined && counters.packets >= packets);
    const hard = reached(lifetime.hardSeconds, lifetime.hardOctets, lifetime.hardPackets);
    const soft = reached(lifetime.softSeconds, lifetime.softOctets, lifetime.softPackets);
    if (hard) this.#states.delete(stateKey(state));
    if ((hard || (soft && !of.dying)) && isOurs(state.reqid)) {
      of.dying = true;
      this.#tell({ kind: 'expire', state: idOf(state), reqid: state.reqid, hard });
    }
  }

  #tell(event: KernelEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

interface OutboundRest {
  readonly mark: number;
  readonly interfaceId: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmpType: number;
  readonly octets: number;
}

interface HeldState {
  state: EspState;
  readonly since: Instant;
  counters: StateCounters;
  /** Its soft limit has been told. */
  dying: boolean;
}

interface Larval extends StateId {
  readonly source: IpAddress;
  readonly lapsesAt: Instant;
}

function held(state: EspState, since: Instant): HeldState {
  return { state, since, counters: noCounters, dying: false };
}

function idOf(id: StateId): StateId {
  return { destination: id.destination, spi: id.spi };
}

const noCounters: StateCounters = { octets: 0n, packets: 0n, outsideWindow: 0, replayed: 0, failed: 0 };
