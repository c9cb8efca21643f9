import { sameAddress, type IpAddress } from '../../net/address.ts';
import { messageOf } from '../../errors.ts';
import type { IkeSockets } from '../../ike/io/sockets.ts';
import type { HostsFile } from '../../dns/io/hosts.ts';
import type { Upstreams } from '../../dns/io/upstream.ts';
import type { Keep } from '../../dns/wire-cache.ts';
import type { KernelPort } from '../../kernel/port.ts';
import type { Question } from '../../dns/message.ts';
import type { Flush } from '../../dns/resolver.ts';
import { KernelLedger } from '../../kernel/ledger.ts';
import { instant, wallSeconds, type WallSeconds } from '../../time.ts';
import { Agent } from '../agent.ts';
import type { AgentEffect, AgentInput, AgentOptions, Rules } from '../agent-types.ts';
import type { Dig } from '../dig.ts';
import type { Traffic } from '../explain.ts';
import type { AnchorStore } from './anchors.ts';
import type { Log } from './log.ts';
import { sourceFor } from './source.ts';

/** What a {@link Runtime} drives; it closes none of them. */
export interface Edge {
  readonly kernel: KernelPort;
  readonly answer: (query: number, octets: Uint8Array, keep?: Keep) => void;
  /** No answer that was kept holds any longer; absent: none is kept. */
  readonly forget?: () => void;
  readonly upstreams: Pick<Upstreams, 'ask' | 'release'>;
  /** Undefined: nothing can be encrypted here, so no IKE is spoken. */
  readonly ike: Pick<IkeSockets, 'send'> | undefined;
  readonly keyLog: (line: string) => void;
  /** Undefined: no hosts file is heeded. */
  readonly hosts?: Pick<HostsFile, 'changed'> | undefined;
  /** Where trust anchors are kept, and IANA's list of them; absent: nowhere. */
  readonly anchors?: AnchorStore | undefined;
  /** Has the cache be there at the next start; absent: it is not kept. */
  readonly keepCache?: (octets: Uint8Array) => void;
  readonly log: Log;
  /** Seconds that the wall clock of the validator is ahead of the system's. */
  readonly wallOffset: number;
}

/** What came of other rules. */
export type Changed = Extract<AgentEffect, { kind: 'policyChanged' }>;

/** Turns readiness into inputs of the agent and performs its effects, in their order. */
export class Runtime {
  readonly #edge: Edge;
  readonly #agent: Agent;
  readonly #looks = new Map<number, () => void>();
  readonly #flushes = new Map<number, (entries: number) => void>();
  readonly #digs = new Map<number, (dig: Dig) => void>();
  readonly #changes = new Map<number, (change: Changed) => void>();
  #nextLook = 1;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  /** Kernel operations run one after the other. */
  #kernelQueue: Promise<void> = Promise.resolve();
  #stopped: (() => void) | undefined;

  constructor(edge: Edge, options: AgentOptions) {
    this.#edge = edge;
    this.#agent = new Agent(options);
  }

  get agent(): Agent {
    return this.#agent;
  }

  async start(): Promise<void> {
    const snapshot = await this.#edge.kernel.snapshot();
    this.input({ kind: 'start', snapshot });
    await this.#kernelQueue;
  }

  /** Looks a name up as a program would; resolves when both address types are through. */
  look(name: Extract<AgentInput, { kind: 'look' }>['name']): Promise<void> {
    const request = this.#nextLook++;
    return new Promise((resolve) => {
      this.#looks.set(request, resolve);
      this.input({ kind: 'look', request, name });
    });
  }

  /** Asks as a program would, and tells how the answer came about. */
  dig(question: Question, checkingDisabled: boolean): Promise<Dig> {
    const request = this.#nextLook++;
    return new Promise((resolve) => {
      this.#digs.set(request, resolve);
      this.input({ kind: 'dig', request, question, checkingDisabled });
    });
  }

  /** Forgets what the cache knows of a name, or all of it; how many entries that were. */
  flush(what: Flush): Promise<number> {
    const request = this.#nextLook++;
    return new Promise((resolve) => {
      this.#flushes.set(request, resolve);
      this.input({ kind: 'flush', request, what });
    });
  }

  /** Has other rules hold from now on; resolves when the kernel has them. */
  change(rules: Rules): Promise<Changed> {
    const request = this.#nextLook++;
    return new Promise((resolve) => {
      this.#changes.set(request, resolve);
      this.input({ kind: 'policy', request, rules });
    });
  }

  /** What went through each SA, under the address of its peer. */
  async traffic(): Promise<Map<string, Traffic>> {
    const states = this.#agent.states();
    const counters = await this.#edge.kernel.query(states.flatMap((s) => [s.inbound, s.outbound]));
    const traffic = new Map<string, Traffic>();
    states.forEach(({ peer }, i) => {
      const before = traffic.get(peer.text) ?? { octetsIn: 0n, octetsOut: 0n };
      traffic.set(peer.text, {
        octetsIn: before.octetsIn + (counters[2 * i]?.octets ?? 0n),
        octetsOut: before.octetsOut + (counters[2 * i + 1]?.octets ?? 0n),
      });
    });
    return traffic;
  }

  /** Says goodbye to the peers and takes everything of ours out of the kernel. */
  async stop(limitMs: number): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    const limit = new Promise<void>((resolve) => setTimeout(resolve, limitMs).unref());
    this.input({ kind: 'stop' });
    await Promise.race([stopped, limit]);
    clearTimeout(this.#timer);
    await this.#sweep();
  }

  /** Reads the hosts file where it has changed: before each question, and now and then for answers that were kept. */
  readHosts(): void {
    const hosts = this.#edge.hosts?.changed();
    if (hosts) this.input({ kind: 'hosts', hosts });
  }

  input(input: AgentInput): void {
    if (input.kind === 'query' || input.kind === 'look' || input.kind === 'dig') this.readHosts();
    let effects: readonly AgentEffect[];
    try {
      effects = this.#agent.handle(input, instant(performance.now()), this.#wall());
    } catch (error) {
      // Nothing that comes in may end the agent; what does is a fault of ours and must be seen.
      const stack = error instanceof Error ? error.stack : undefined;
      this.#edge.log({
        level: 'error',
        event: 'agent.fault',
        input: input.kind,
        error: stack ?? messageOf(error),
      });
      return;
    }
    for (const effect of effects) this.#perform(effect);
    this.#schedule();
  }

  #perform(effect: AgentEffect): void {
    const { upstreams, ike, kernel, log, keyLog } = this.#edge;
    switch (effect.kind) {
      case 'answer':
        this.#edge.answer(effect.query, effect.octets, effect.keep);
        return;
      case 'forget':
        this.#edge.forget?.();
        return;
      case 'ask':
        upstreams.ask(effect);
        return;
      case 'release':
        upstreams.release(effect.ask, effect.keepMs);
        return;
      case 'send':
        ike?.send(effect.local, effect.remote, effect.octets);
        return;
      case 'allocateSpi': {
        const { request, local, peer } = effect;
        this.#inKernel(
          () => kernel.allocateSpi(local, peer),
          (spi) => ({ kind: 'spi', request, spi }),
          (why) => ({ kind: 'noSpi', request, why }),
        );
        return;
      }
      case 'apply': {
        const { batch, ops } = effect;
        this.#inKernel(
          () => kernel.apply(ops),
          () => ({ kind: 'applied', batch }),
          (why) => ({ kind: 'refused', batch, why }),
        );
        return;
      }
      case 'count': {
        const { request, states } = effect;
        this.#inKernel(
          () => kernel.query(states),
          (counters) => ({ kind: 'counted', request, counters }),
          () => ({ kind: 'counted', request, counters: [] }),
        );
        return;
      }
      case 'takeStock': {
        const { version } = effect;
        this.#kernelQueue = this.#kernelQueue
          .then(() => kernel.snapshot())
          .then(
            (snapshot) => {
              this.input({ kind: 'stock', version, snapshot });
            },
            (error: unknown) => {
              log({ level: 'error', event: 'kernel.unreadable', why: messageOf(error) });
            },
          );
        return;
      }
      case 'findSource':
        void sourceFor(effect.peer).then((local) => {
          this.input({ kind: 'source', peer: effect.peer, local });
        });
        return;
      case 'keyLog':
        keyLog(effect.line);
        return;
      case 'keepCache':
        this.#edge.keepCache?.(effect.octets);
        return;
      case 'flushed':
        this.#flushes.get(effect.request)?.(effect.entries);
        this.#flushes.delete(effect.request);
        return;
      case 'keepAnchors':
        this.#edge.anchors?.keep(effect.text);
        return;
      case 'fetchAnchors':
        this.#edge.anchors?.fetch(this.#wall()).then(
          (anchors) => {
            this.input({ kind: 'anchorsFetched', anchors });
          },
          (error: unknown) => {
            this.input({ kind: 'anchorsNotFetched', why: messageOf(error) });
          },
        );
        return;
      case 'looked':
        this.#looks.get(effect.request)?.();
        this.#looks.delete(effect.request);
        return;
      case 'dug':
        this.#digs.get(effect.request)?.(effect.dig);
        this.#digs.delete(effect.request);
        return;
      case 'policyChanged':
        this.#changes.get(effect.request)?.(effect);
        this.#changes.delete(effect.request);
        return;
      case 'stopped':
        this.#stopped?.();
        return;
      case 'log':
        log(effect.event);
        return;
      default:
        effect satisfies never;
    }
  }

  #inKernel<T>(
    call: () => Promise<T>,
    done: (value: T) => AgentInput,
    refused: (why: string) => AgentInput,
  ): void {
    this.#kernelQueue = this.#kernelQueue.then(call).then(
      (value) => {
        this.input(done(value));
      },
      (error: unknown) => {
        this.input(refused(messageOf(error)));
      },
    );
  }

  /** A timer that fires before anything is due costs less than a new one for each datagram. */
  #schedule(): void {
    const at = this.#agent.deadline?.at ?? Number.POSITIVE_INFINITY;
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const wait = Math.min(Math.max(0, Math.ceil(at - performance.now())), longestTimerMs);
    this.#timer = setTimeout(this.#due, wait);
  }

  readonly #due = (): void => {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const due = this.#agent.deadline?.at ?? Number.POSITIVE_INFINITY;
    if (due <= performance.now()) this.input({ kind: 'tick' });
    else this.#schedule();
  };

  #wall(): WallSeconds {
    return wallSeconds(Math.floor(Date.now() / 1_000) + this.#edge.wallOffset);
  }

  /** What an operation that failed on the way may have left, reserved SPIs among it. */
  async #sweep(): Promise<void> {
    try {
      const { kernel } = this.#edge;
      const ledger = new KernelLedger();
      const states = ledger.leftovers(await kernel.snapshot());
      await kernel.apply([...states, ...ledger.removeAll()]);
    } catch (error) {
      this.#edge.log({ level: 'error', event: 'kernel.sweep.failed', why: messageOf(error) });
    }
  }
}

/** setTimeout takes 31 bits. */
const longestTimerMs = 2_147_483_647;

/** Whether two lists hold the same addresses, in whatever order. */
export function sameAddresses(a: readonly IpAddress[], b: readonly IpAddress[]): boolean {
  return a.length === b.length && a.every((x) => b.some((y) => sameAddress(x, y)));
}
