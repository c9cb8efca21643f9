import { beginWatch, observe, type Watch } from '../ike/liveness.ts';
import type { StateCounters, StateId } from '../kernel/port.ts';
import { later, type Deadline, type Instant } from '../time.ts';
import type { LiveChild, Peer } from './peer.ts';

/**
 * Looks at the counters of the SAs that stand, each second where there is traffic and seldom where there is none, and
 * says which peer gets packets that nothing answers (`ike/liveness.ts` has the rule).
 */
export class Watching {
  readonly #watched = new Map<Peer, Watched>();
  /** Not later than the first look that is due. */
  #next: Instant | undefined;
  #isClosed = false;
  #asked: { readonly request: number; readonly peers: readonly Asked[] } | undefined;

  /** An SA of the peer has come or gone. */
  changed(peer: Peer, now: Instant): void {
    if (peer.live.length === 0) {
      this.#watched.delete(peer);
    } else if (!this.#isClosed && !this.#watched.has(peer)) {
      this.#watched.set(peer, { watch: undefined, lookAt: now, counts: new Map(), totals: noPackets });
      if (this.#next === undefined || now < this.#next) this.#next = now;
    }
  }

  /** Nothing is looked at any longer, whatever comes and goes. */
  close(): void {
    this.#isClosed = true;
    this.#watched.clear();
    this.#next = undefined;
  }

  /** The states to be counted now, inbound and outbound of each SA in turn; empty: none. */
  ask(request: number, now: Instant): readonly StateId[] {
    if (this.#asked || this.#next === undefined || this.#next > now) return [];
    const peers: Asked[] = [];
    for (const [peer, watched] of this.#watched) {
      if (watched.lookAt > now) continue;
      peers.push({ peer, children: peer.live });
      if (peers.length >= peersAtOnce) break;
    }
    if (peers.length === 0) {
      this.#findNext();
      return [];
    }
    this.#asked = { request, peers };
    return peers.flatMap(({ children }) =>
      children.flatMap(({ child }) => [
        { destination: child.local, spi: child.inbound.spi },
        { destination: child.peer, spi: child.outbound.spi },
      ]),
    );
  }

  /** The answer to {@link ask}: the SAs whose other end may be gone. */
  counted(
    request: number,
    counters: readonly (StateCounters | undefined)[],
    now: Instant,
  ): readonly LiveChild[] {
    if (this.#asked?.request !== request) return [];
    const { peers } = this.#asked;
    this.#asked = undefined;
    let index = 0;
    const doubtful: LiveChild[] = [];
    for (const { peer, children } of peers) {
      const watched = this.#watched.get(peer);
      const counts = new Map<number, Packets>();
      for (const { child } of children) {
        const inbound = counters[index++]?.packets ?? 0n;
        const outbound = counters[index++]?.packets ?? 0n;
        counts.set(child.id, { inbound, outbound });
      }
      if (!watched) continue;
      // SAs come and go; what they have carried since the look before counts.
      watched.totals = grown(watched.totals, watched.counts, counts);
      watched.counts = counts;
      const sample = { at: now, packetsIn: watched.totals.inbound, packetsOut: watched.totals.outbound };
      watched.watch = watched.watch ? observe(watched.watch, sample) : beginWatch(sample);
      watched.lookAt = later(watched.watch.lookAt, watched.watch.isIdle ? this.#politenessMs : 0);
      const [carrying] = peer.live;
      if (watched.watch.verdict === 'check' && carrying) doubtful.push(carrying);
    }
    this.#findNext();
    return doubtful;
  }

  get deadline(): Deadline | undefined {
    return this.#asked || this.#next === undefined ? undefined : { at: this.#next, why: 'traffic' };
  }

  #findNext(): void {
    this.#next = undefined;
    for (const { lookAt } of this.#watched.values()) {
      if (this.#next === undefined || lookAt < this.#next) this.#next = lookAt;
    }
  }

  /** Of many idle peers each is looked at less often, so that all together cost the same. */
  get #politenessMs(): number {
    return 1_000 * Math.floor(this.#watched.size / idlePerSecond);
  }
}

interface Packets {
  readonly inbound: bigint;
  readonly outbound: bigint;
}

interface Watched {
  watch: Watch | undefined;
  lookAt: Instant;
  /** By the id of the child, when last looked at. */
  counts: ReadonlyMap<number, Packets>;
  totals: Packets;
}

interface Asked {
  readonly peer: Peer;
  readonly children: readonly LiveChild[];
}

const noPackets: Packets = { inbound: 0n, outbound: 0n };

function grown(
  totals: Packets,
  before: ReadonlyMap<number, Packets>,
  now: ReadonlyMap<number, Packets>,
): Packets {
  let { inbound, outbound } = totals;
  for (const [id, counts] of now) {
    const then = before.get(id) ?? noPackets;
    if (counts.inbound > then.inbound) inbound += counts.inbound - then.inbound;
    if (counts.outbound > then.outbound) outbound += counts.outbound - then.outbound;
  }
  return { inbound, outbound };
}

/** Two counters of the kernel each, about 10 µs: what one look costs at most is a few milliseconds. */
const peersAtOnce = 256;
const idlePerSecond = 64;
