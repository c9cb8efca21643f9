import { createHash } from 'node:crypto';
import { Opener } from '../../src/ike/crypto/cipher.ts';
import { openEncrypted } from '../../src/ike/encrypted.ts';
import { ikeSpiOctets } from '../../src/ike/message.ts';
import type { InnerPayload } from '../../src/ike/payloads.ts';
import { instant } from '../../src/time.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { headerOf, messageOf, mismatches, World, classic, type Flying, type Node } from './pair.ts';

/**
 * Two hosts with one IKE SA and one child between them, in every order in which what they do and what is on the wire
 * can happen: each is asked to replace, delete or make things, and each message in flight arrives, is lost, or arrives
 * and stays (a duplicate). A depth-first search; what is the same state by another way is not searched again. States
 * cannot be copied, so each is reached by playing its steps from the start.
 */
export interface Search {
  /** How many steps. */
  readonly depth: number;
  /** What the two may be asked to do, each once. */
  readonly actions: readonly Action[];
  /** How many messages may be lost, and how many doubled. */
  readonly losses: number;
  readonly doubles: number;
  /** Whose nonce is the lowest in every exchange: who draws it, in a request or in an answer. */
  readonly lowest: 'a asks' | 'a answers' | 'b asks' | 'b answers';
}

export type Action =
  `${'a' | 'b'} ${'rekeys the child' | 'rekeys the IKE SA' | 'deletes the child' | 'deletes the IKE SA' | 'wants a child'}`;

export type Step =
  | { readonly do: Action }
  | { readonly wire: number; readonly is: 'arrives' | 'is lost' | 'arrives twice' }
  | { readonly do: 'time passes' };

export interface Found {
  readonly states: number;
  readonly steps: number;
  readonly replays: number;
  /** Ways that were followed until all is quiet. */
  readonly ends: number;
  readonly wrong: readonly { readonly path: readonly string[]; readonly problem: string }[];
}

export function explore(search: Search): Found {
  const seen = new Map<string, number>();
  const wrong: { path: readonly string[]; problem: string }[] = [];
  let [steps, replays, ends] = [0, 0, 0];
  const visit = (path: readonly Step[], arrived: Play | undefined): void => {
    if (wrong.length > 3) return;
    const play = arrived ?? new Play(search, path);
    if (!arrived) replays++;
    const left = search.depth - path.length;
    const key = play.key();
    const before = seen.get(key);
    // It was searched as deep as it would be now.
    if (before !== undefined && before >= left) return;
    seen.set(key, left);
    const problem = play.problem();
    const next = left === 0 || problem !== undefined ? [] : play.choices(path);
    if (problem !== undefined) wrong.push({ path: play.told, problem });
    if (next.length === 0 && problem === undefined) {
      ends++;
      const end = play.rest();
      if (end !== undefined) wrong.push({ path: [...play.told, 'all else arrives'], problem: end });
    }
    next.forEach((step, i) => {
      steps++;
      const longer = [...path, step];
      if (i > 0) {
        visit(longer, undefined);
        return;
      }
      // The first choice goes on from where we are.
      play.take(step);
      visit(longer, play);
    });
  };
  visit([], undefined);
  return { states: seen.size, steps, replays, ends, wrong };
}

class Play {
  readonly #search: Search;
  readonly #world: World;
  readonly #a: Node;
  readonly #b: Node;
  readonly #plain = new WeakMap<Uint8Array, readonly InnerPayload[]>();
  readonly told: string[] = [];

  constructor(search: Search, path: readonly Step[]) {
    this.#search = search;
    this.#world = new World(1);
    this.#a = this.#world.node('a', '198.18.0.1', { ...classic, keyLog: true });
    this.#b = this.#world.node('b', '198.18.0.2', { ...classic, keyLog: true });
    this.#a.initiate(this.#b, [], 'any');
    this.#world.settle();
    for (const step of path) this.take(step);
  }

  take(step: Step): void {
    if (!('wire' in step)) {
      this.told.push(step.do);
      if (step.do === 'time passes') this.#timePasses();
      else this.#act(step.do);
      return;
    }
    const datagram = this.#world.wire[step.wire];
    if (!datagram) throw new Error('no such datagram');
    this.told.push(`${this.#nameOf(datagram)} ${step.is}`);
    if (step.is !== 'arrives twice') this.#world.wire.splice(step.wire, 1);
    if (step.is !== 'is lost') this.#arrive(datagram);
  }

  /** What can happen now. */
  choices(path: readonly Step[]): Step[] {
    const count = (is: string): number => path.filter((s) => 'wire' in s && s.is === is).length;
    const steps: Step[] = [];
    const { wire } = this.#world;
    for (let i = 0; i < wire.length; i++) {
      // Of two that are the same it does not matter which.
      if (wire.slice(0, i).some((d) => d.octets === wire[i]?.octets)) continue;
      steps.push({ wire: i, is: 'arrives' });
      if (count('is lost') < this.#search.losses) steps.push({ wire: i, is: 'is lost' });
      if (count('arrives twice') < this.#search.doubles) steps.push({ wire: i, is: 'arrives twice' });
    }
    for (const action of this.#search.actions) {
      if (!path.some((s) => !('wire' in s) && s.do === action)) steps.push({ do: action });
    }
    const waits = [this.#a, this.#b].some((n) => n.endpoint.sessions.some((s) => s.sent > 0));
    if (wire.length === 0 && waits) steps.push({ do: 'time passes' });
    return steps;
  }

  /** What must hold at every moment. */
  problem(): string | undefined {
    for (const [me, other] of this.#both()) {
      for (const { child } of me.kernel.values()) {
        const theirs = [...other.kernel.values()].find(
          (c) => c.child.inbound.spi === child.outbound.spi,
        )?.child;
        if (theirs && toHex(theirs.inbound.encryptionKey) !== toHex(child.outbound.encryptionKey)) {
          return `${me.name} and ${other.name} have other keys for the same SPI`;
        }
      }
      if (this.#isMeantToLive()) {
        const out = [...me.kernel.values()].findLast((c) => c.outbound)?.child.outbound.spi;
        if (out === undefined) return `${me.name} has nothing to send with`;
        const arrives = [...other.kernel.values()].some((c) => c.inbound && c.child.inbound.spi === out);
        if (!arrives) return `what ${me.name} sends is lost`;
      }
    }
    return undefined;
  }

  /** Lets everything arrive and all timers go off; what is wrong when all is quiet. */
  rest(): string | undefined {
    const problems: string[] = [];
    this.#world.network = () => [5];
    this.#world.pass(400_000);
    problems.push(...mismatches(this.#a, this.#b), ...mismatches(this.#b, this.#a));
    for (const [me] of this.#both()) {
      if (me.children.length > 1) problems.push(`${me.name} has ${me.children.length} children`);
      if (me.kernel.size > me.children.length) problems.push(`${me.name} has half a pair`);
      const { sessions, halfOpen } = me.endpoint.counts;
      if (sessions > 1 || halfOpen > 0) problems.push(`${me.name} has ${sessions} IKE SAs`);
      if (this.#isMeantToLive() && me.children.length !== 1) problems.push(`${me.name} has no child`);
      const busy = me.endpoint.sessions.find((s) => s.asking ?? s.answering);
      if (busy) problems.push(`${me.name} still waits`);
    }
    return problems.length > 0 ? problems.join('; ') : undefined;
  }

  /** The state, with SPIs in the order of their appearance, so that the way to it does not show. */
  key(): string {
    const names = new Map<string, number>();
    const nameOf = (spi: number | bigint | undefined): string => {
      if (spi === undefined) return '-';
      const text = String(spi);
      const known = names.get(text) ?? names.size;
      names.set(text, known);
      return `#${known}`;
    };
    const lines: string[] = [];
    for (const [me] of this.#both()) {
      for (const s of me.endpoint.sessions) {
        const { spi, peerSpi, children, timers, ...rest } = s;
        lines.push(`${me.name} ${nameOf(spi)} ${nameOf(peerSpi)} ${JSON.stringify(rest)}`);
        for (const c of children) {
          const { inbound, outbound, replaces, ...how } = c;
          lines.push(` ${nameOf(inbound)} ${nameOf(outbound)} ${nameOf(replaces)} ${JSON.stringify(how)}`);
        }
        lines.push([...timers].map(([t, at]) => `${t} ${at - this.#world.now}`).join());
      }
      for (const { child, inbound, outbound } of me.kernel.values()) {
        lines.push(`${nameOf(child.inbound.spi)} ${inbound} ${outbound}`);
      }
    }
    const wire = this.#world.wire.map((d) => {
      const header = headerOf(d);
      const payloads = this.#payloadsOf(d).map((p) => {
        switch (p.kind) {
          case 'Notify':
            return `${p.type} ${p.spi.length > 0 ? nameOf(parseInt(toHex(p.spi), 16)) : ''}`;
          case 'Delete':
            return `D ${p.spis.map(nameOf).join()}`;
          case 'SA':
            return `SA ${toHex(p.proposals[0]?.spi ?? new Uint8Array(0)).length}`;
          default:
            return p.kind;
        }
      });
      const id = `${header?.exchange} ${header?.response} ${header?.messageId} ${nameOf(header?.spiI)}`;
      return `${d.from.address.octets[3]} ${id} ${payloads.join(';')}`;
    });
    lines.push(...wire.sort(), this.#budget());
    return createHash('sha1').update(lines.join('\n')).digest('latin1');
  }

  /** What of the search is used up: it limits what can still happen. */
  #budget(): string {
    const used = (what: string): number => this.told.filter((t) => t.endsWith(what)).length;
    const acted = this.told.filter((t) => this.#search.actions.some((a) => a === t)).sort();
    return `${used('is lost')} ${used('arrives twice')} ${acted.join()}`;
  }

  #isMeantToLive(): boolean {
    return !this.told.some((t) => t.includes('deletes'));
  }

  #both(): readonly (readonly [Node, Node])[] {
    return [
      [this.#a, this.#b],
      [this.#b, this.#a],
    ];
  }

  #act(action: Action): void {
    const [me, other] = action.startsWith('a') ? [this.#a, this.#b] : [this.#b, this.#a];
    const pair = { local: me.address, peer: other.address };
    this.#draw(me, 'asks');
    switch (action.slice(2)) {
      case 'rekeys the child':
        me.input({ kind: 'renew', ...pair, what: 'children' });
        return;
      case 'rekeys the IKE SA':
        me.input({ kind: 'renew', ...pair, what: 'ike' });
        return;
      case 'deletes the child': {
        const [child] = me.children;
        if (child) me.input({ kind: 'expired', spi: child.inbound.spi, hard: true });
        return;
      }
      case 'deletes the IKE SA':
        me.input({ kind: 'leave', ...pair, why: 'a test wants it' });
        return;
      default:
        me.initiate(other, [], 'any');
    }
  }

  #arrive(datagram: Flying): void {
    const to = datagram.to.address === this.#a.address ? this.#a : this.#b;
    this.#draw(to, headerOf(datagram)?.response === true ? 'asks' : 'answers');
    this.#world.deliver(datagram);
  }

  #timePasses(): void {
    const due = [this.#a, this.#b].flatMap((n) => n.endpoint.deadline ?? []);
    const at = Math.min(...due.map((d) => d.at));
    for (const node of [this.#a, this.#b]) this.#draw(node, 'asks');
    this.#world.now = instant(at);
    for (const node of [this.#a, this.#b]) {
      if ((node.endpoint.deadline?.at ?? Infinity) <= at) node.input({ kind: 'tick' });
    }
  }

  #draw(node: Node, how: 'asks' | 'answers'): void {
    node.nonces = this.#search.lowest === `${node.name} ${how}` ? 'low' : 'high';
  }

  #nameOf(datagram: Flying): string {
    const header = headerOf(datagram);
    const kinds = this.#payloadsOf(datagram).map((p) => (p.kind === 'Notify' ? `N(${p.type})` : p.kind));
    const kind = header?.response === true ? 'answer' : 'request';
    return `${kind} ${header?.messageId} of ${datagram.from.address === this.#a.address ? 'a' : 'b'} { ${kinds.join(', ')} }`;
  }

  #payloadsOf(datagram: Flying): readonly InnerPayload[] {
    const known = this.#plain.get(datagram.octets);
    if (known) return known;
    const from = datagram.from.address === this.#a.address ? this.#a : this.#b;
    const message = messageOf(datagram);
    const { header } = message;
    const spi = toHex(ikeSpiOctets(header.spiI));
    for (const line of from.keyLog.filter((l) => l.startsWith(spi))) {
      const encryption = fromHex(line.split(',')[header.fromInitiator ? 2 : 3] ?? '');
      const keys = { encryption, integrity: new Uint8Array(0) };
      const opened = openEncrypted(message, new Opener({ encr: 20, keyBits: 256, integ: undefined }, keys));
      if (opened.kind !== 'opened') continue;
      this.#plain.set(datagram.octets, opened.payloads);
      return opened.payloads;
    }
    return [];
  }
}
