import { formatAddress, parseAddress, type IpAddress } from '../../net/address.ts';
import { formatPrefix } from '../../net/prefix.ts';
import { SystemCallError } from '../../net/io/libc.ts';
import { decoded, type Reader } from '../../wire/reader.ts';
import { isOurs, larvalReqid } from '../bands.ts';
import {
  KernelError,
  type Capabilities,
  type EspState,
  type KernelEvent,
  type KernelOp,
  type KernelPort,
  type KernelSnapshot,
  type Policy,
  type PolicyId,
  type StateCounters,
  type StateId,
} from '../port.ts';
import { encodeAttribute, type NetlinkMessage } from '../xfrm/netlink.ts';
import { Attr, Msg, NETLINK_XFRM } from '../xfrm/numbers.ts';
import { decodePolicy, encodePolicy, encodePolicyId, type PolicyReport } from '../xfrm/policy.ts';
import {
  decodeState,
  encodeAllocateSpi,
  encodeEspOnly,
  encodeState,
  encodeStateId,
  type StateReport,
} from '../xfrm/state.ts';
import { probeCapabilities } from './capabilities.ts';
import { interfaceOf } from './devices.ts';
import { EventSocket } from './event-socket.ts';
import { NetlinkSocket, type Reply } from './netlink-socket.ts';

/**
 * The kernel of this network namespace. Throws {@link KernelError} where it has no NETLINK_XFRM or we may not
 * use it (CAP_NET_ADMIN).
 */
export function openXfrm(options: XfrmOptions = {}): KernelPort {
  return new XfrmKernel(options);
}

export interface XfrmOptions {
  /** Offer each state to the device that has its address: one that can encrypt does, for all others the kernel. */
  readonly offload?: boolean;
}

class XfrmKernel implements KernelPort {
  readonly #socket: NetlinkSocket;
  readonly #directions: boolean;
  readonly #offload: boolean;
  readonly #listeners = new Set<(event: KernelEvent) => void>();
  #events: EventSocket | undefined;
  #capabilities: Capabilities | undefined;

  constructor({ offload = false }: XfrmOptions) {
    this.#offload = offload;
    this.#socket = opened();
    this.#directions = bindsDirections(this.#socket);
  }

  // The methods that answer with a promise are `async` so that what they throw is a rejection.

  async allocateSpi(local: IpAddress, peer: IpAddress): Promise<number> {
    const wish = { local, peer, reqid: larvalReqid, min: SPI_FIRST, max: SPI_LAST };
    const reply = this.#socket.request(Msg.ALLOCSPI, 0, (w) => {
      encodeAllocateSpi(w, wish, this.#directions);
    });
    const [state] = messagesOf(reply, 'an SPI').map((m) => read(m, decodeState));
    if (!state) throw new KernelError('EBADMSG', 'the kernel answered a wish for an SPI without one');
    return state.spi;
  }

  async apply(ops: readonly KernelOp[]): Promise<void> {
    const undo: (() => void)[] = [];
    try {
      for (const op of ops) this.#perform(op, undo);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  async query(states: readonly StateId[]): Promise<readonly (StateCounters | undefined)[]> {
    return states.map((id) => this.#state(id)?.counters);
  }

  async snapshot(): Promise<KernelSnapshot> {
    const states = messagesOf(this.#socket.dump(Msg.GETSA, encodeEspOnly), 'the list of states')
      .map((m) => read(m, decodeState))
      .filter((s): s is StateReport => s !== undefined && isOurs(s.reqid));
    const policies = messagesOf(this.#socket.dump(Msg.GETPOLICY, noBody), 'the list of policies')
      .map((m) => read(m, decodePolicy))
      .flatMap(({ policy, priority }) => (policy && isOurs(priority) ? [policy] : []));
    return {
      states: states.map(({ direction: _direction, keepalives: _keepalives, ...state }) => state),
      policies,
    };
  }

  events(listener: (event: KernelEvent) => void): () => void {
    this.#listeners.add(listener);
    this.#events ??= new EventSocket((event) => {
      for (const each of [...this.#listeners]) each(event);
    });
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      this.#events?.close();
      this.#events = undefined;
    };
  }

  async capabilities(): Promise<Capabilities> {
    this.#capabilities ??= probeCapabilities(this.#directions, {
      attempt: (state) => this.#try(state),
      keepsAlive: (state) => this.#keepsAlive(state),
    });
    return this.#capabilities;
  }

  close(): void {
    this.#listeners.clear();
    this.#events?.close();
    this.#events = undefined;
    this.#socket.close();
  }

  #perform(op: KernelOp, undo: (() => void)[]): void {
    switch (op.op) {
      case 'addState':
        this.#addState(op.state);
        undo.push(() => {
          this.#removeState(op.state);
        });
        return;
      case 'changeState': {
        const before = this.#changeState(op.state);
        undo.push(() => {
          this.#newState(Msg.UPDSA, before);
        });
        return;
      }
      case 'removeState':
        this.#removeState(op.state);
        return;
      case 'addPolicy': {
        const before = this.#addPolicy(op.policy);
        undo.push(() => {
          if (before) this.#put(Msg.UPDPOLICY, before);
          else this.#removePolicy(op.policy);
        });
        return;
      }
      case 'removePolicy':
        this.#removePolicy(op.policy);
        return;
      default:
        op satisfies never;
    }
  }

  #addState(state: EspState): void {
    // The kernel would take it; on the wire it means something else (RFC 4303 §2.1).
    if (state.spi < SPI_FIRST) throw new KernelError('EINVAL', `${stateName(state)}: the SPI is reserved`);
    // XFRM_MSG_NEWSA refuses an SPI that is reserved, XFRM_MSG_UPDSA one that is not there; where the state
    // stands already, UPDSA would succeed and keep the old keys. So look first.
    const before = state.direction === 'in' ? this.#state(state) : undefined;
    if (before && !before.larval) throw new KernelError('EEXIST', `${stateName(state)} exists already`);
    const offered = this.#offered(state);
    let reply = this.#newState(before ? Msg.UPDSA : Msg.NEWSA, offered);
    // Most devices cannot, and the kernel is silent about it; some can, but not this suite or this many.
    if (offered !== state && !reply.ok && reply.code !== 'ESRCH' && reply.code !== 'EEXIST') {
      reply = this.#newState(before ? Msg.UPDSA : Msg.NEWSA, state);
    }
    // The reserved SPI has lapsed in between.
    if (before && !reply.ok && reply.code === 'ESRCH') reply = this.#newState(Msg.NEWSA, state);
    if (!reply.ok) throw refusal(reply, stateName(state));
  }

  #offered(state: EspState): EspState {
    if (!this.#offload || state.encapsulation || state.offload) return state;
    const interfaceIndex = interfaceOf(state.direction === 'in' ? state.destination : state.source);
    return interfaceIndex === undefined ? state : { ...state, offload: { interfaceIndex } };
  }

  /** Answers with what changes it back, its limits aside. */
  #changeState(state: EspState): EspState {
    const before = this.#state(state);
    if (!before || before.larval) throw new KernelError('ESRCH', `${stateName(state)} is not there`);
    // XFRM_MSG_UPDSA wants a whole state, of which it takes the ports and limits alone.
    const reply = this.#newState(Msg.UPDSA, state);
    if (!reply.ok) throw refusal(reply, `the change of ${stateName(state)}`);
    const { encapsulation } = before;
    return encapsulation ? { ...state, encapsulation } : state;
  }

  #newState(type: number, state: EspState): Reply {
    try {
      return this.#socket.request(type, 0, (w) => {
        encodeState(w, state, this.#directions);
      });
    } catch (error) {
      if (error instanceof RangeError) throw new KernelError('EINVAL', error.message);
      throw error;
    }
  }

  #removeState(id: StateId): void {
    const reply = this.#socket.request(Msg.DELSA, 0, (w) => {
      encodeStateId(w, id);
    });
    if (!reply.ok && reply.code !== 'ESRCH') throw refusal(reply, `the removal of ${stateName(id)}`);
  }

  /** Answers with what it has replaced. */
  #addPolicy(policy: Policy): Policy | undefined {
    if (!isOurs(policy.priority)) throw new KernelError('EINVAL', `${policyName(policy)}: not our priority`);
    const reply = this.#put(Msg.NEWPOLICY, policy);
    if (reply.ok) return undefined;
    if (reply.code !== 'EEXIST') throw refusal(reply, policyName(policy));
    const before = this.#policy(policy);
    if (before && !(isOurs(before.priority) && before.policy)) {
      throw new KernelError(
        'EEXIST',
        `${policyName(policy)} exists already, with priority ${before.priority}: somebody else's`,
      );
    }
    const again = this.#put(Msg.UPDPOLICY, policy);
    if (!again.ok) throw refusal(again, policyName(policy));
    return before?.policy;
  }

  #removePolicy(id: PolicyId): void {
    const before = this.#policy(id);
    if (!before || !isOurs(before.priority)) return;
    const reply = this.#socket.request(Msg.DELPOLICY, 0, (w) => {
      encodePolicyId(w, id, before.index);
    });
    if (!reply.ok && reply.code !== 'ENOENT') throw refusal(reply, `the removal of ${policyName(id)}`);
  }

  #put(type: number, policy: Policy): Reply {
    return this.#socket.request(type, 0, (w) => {
      encodePolicy(w, policy);
    });
  }

  #policy(id: PolicyId): PolicyReport | undefined {
    const reply = this.#socket.request(Msg.GETPOLICY, 0, (w) => {
      encodePolicyId(w, id);
    });
    if (!reply.ok && reply.code === 'ENOENT') return undefined;
    const [found] = messagesOf(reply, policyName(id));
    return found && read(found, decodePolicy);
  }

  #state(id: StateId): StateReport | undefined {
    const reply = this.#socket.request(Msg.GETSA, 0, (w) => {
      encodeStateId(w, id);
    });
    if (!reply.ok && reply.code === 'ESRCH') return undefined;
    const [found] = messagesOf(reply, stateName(id));
    return found && read(found, decodeState);
  }

  /** Adds a scratch state and takes it out at once; answers with the refusal. */
  #try(state: EspState): Extract<Reply, { readonly ok: false }> | undefined {
    const reply = this.#newState(Msg.NEWSA, state);
    if (reply.ok || reply.code === 'EEXIST') {
      if (reply.ok) this.#removeState(state);
      return undefined;
    }
    return reply;
  }

  /** Whether a kernel that takes the scratch state also keeps what it has said about keepalives. */
  #keepsAlive(state: EspState): boolean {
    if (!this.#newState(Msg.NEWSA, state).ok) return false;
    const keepalives = this.#state(state)?.keepalives === true;
    this.#removeState(state);
    return keepalives;
  }
}

function opened(): NetlinkSocket {
  try {
    return new NetlinkSocket(NETLINK_XFRM, 'NETLINK_XFRM');
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const why =
      error.code === 'EPROTONOSUPPORT'
        ? 'this kernel has no NETLINK_XFRM: module xfrm_user is missing'
        : error.message;
    throw new KernelError(error.code, why);
  }
}

/**
 * Whether XFRMA_SA_DIR means something to this kernel: one that knows it refuses a direction that does not
 * exist, an older one skips the attribute and finds no such state. Changes nothing.
 */
function bindsDirections(socket: NetlinkSocket): boolean {
  const nowhere = parseAddress('192.0.2.1');
  if (!nowhere) return false;
  const reply = socket.request(Msg.GETSA, 0, (w) => {
    encodeStateId(w, { destination: nowhere, spi: 1 });
    encodeAttribute(w, Attr.SA_DIR, (a) => {
      a.u8(0xff);
    });
  });
  if (!reply.ok && reply.code === 'EPERM') throw refusal(reply, 'to show a state');
  return !reply.ok && reply.code !== 'ESRCH';
}

function messagesOf(reply: Reply, about: string): readonly NetlinkMessage[] {
  if (!reply.ok) throw refusal(reply, about);
  return reply.messages;
}

/** A message of the kernel that cannot be read is no bad input but a fault: ours, or a kernel unlike any other. */
function read<T>(message: NetlinkMessage, decode: (r: Reader) => T): T {
  const value = decoded(message.body, decode);
  if (!value.ok) throw new KernelError('EBADMSG', `a message of the kernel: ${value.error.message}`);
  return value.value;
}

function refusal(reply: Extract<Reply, { readonly ok: false }>, about: string): KernelError {
  const reason = words.get(reply.code);
  const detail = [reason, reply.text?.replace(/\.$/, '')].filter((part) => part !== undefined).join(': ');
  return new KernelError(
    reply.code,
    `the kernel refused ${about}: ${detail === '' ? reply.code : `${detail} (${reply.code})`}`,
  );
}

const words = new Map([
  ['EPERM', 'we lack CAP_NET_ADMIN'],
  ['EEXIST', 'it exists already'],
  ['ESRCH', 'there is none'],
  ['ENOENT', 'there is none, or an algorithm is missing'],
  ['ENOSYS', 'it lacks the algorithm'],
  ['EPROTONOSUPPORT', 'it lacks ESP'],
  ['EINVAL', 'it takes that for invalid'],
  ['ENOMEM', 'it is out of memory'],
  ['ENOBUFS', 'it is out of memory'],
]);

/** `ESP state 0x4c45dc87 to 198.18.1.2`. */
function stateName(id: StateId): string {
  return `ESP state 0x${id.spi.toString(16).padStart(8, '0')} to ${formatAddress(id.destination)}`;
}

/** `the out policy 198.18.1.2/32 to 198.18.2.10/32`. */
function policyName(id: PolicyId): string {
  return `the ${id.direction} policy ${formatPrefix(id.source)} to ${formatPrefix(id.destination)}`;
}

function noBody(): void {
  // A dump of policies wants no struct.
}

/** SPIs 1–255 are reserved by IANA (RFC 4303 §2.1). */
const SPI_FIRST = 0x100;
const SPI_LAST = 0xffff_ffff;
