import { expect, test } from 'vitest';
import { identity, World, type Node } from './pair.ts';
import { seeded } from './random.ts';

/**
 * Two hosts that begin, wait for keys, give up, rekey, and have kernels that are slow or refuse, on a bad network.
 * Whatever they do: each attempt ends once, and nobody goes on sending into a child that the other does not have.
 */
test('150 lives of two hosts, each by its seed', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const life = new Life(seed);
    for (let i = 0; i < 14; i++) life.step();
    expect(life.end(), `seed ${seed}`).toEqual([]);
  }
});

const ids = [identity('Ed25519', 41), identity('P-256', 42)] as const;
const wrong = identity('Ed25519', 43).publicKey;

class Life {
  readonly #dice;
  readonly #world: World;
  readonly #a: Node;
  readonly #b: Node;
  /** The attempts that were not given up, and whether they have keys. */
  readonly #open = new Map<Node, Map<number, boolean>>();

  constructor(seed: number) {
    const dice = seeded(seed);
    this.#dice = dice;
    this.#world = new World(seed);
    const limits = dice.below(3) === 0 ? { ikeLifetimeMs: 20_000 } : {};
    const [ia, ib] = ids;
    const refusal = dice.below(3) === 0 ? 12 : 0;
    const host = (name: string, address: string, identified: boolean, id: (typeof ids)[number]): Node => {
      const node = this.#world.node(name, address, { ...(identified && { identity: id }), limits });
      node.keysOf = () => (dice.below(3) > 0 ? [id === ia ? ib.publicKey : ia.publicKey] : []);
      node.refuses = () => (refusal > 0 && dice.below(refusal) === 0 ? 'chance' : undefined);
      this.#open.set(node, new Map());
      return node;
    };
    this.#a = host('a', '198.18.0.1', dice.below(2) === 0, ia);
    this.#b = host('b', '198.18.0.2', dice.below(4) > 0, ib);
    const loss = dice.below(40);
    this.#world.network = () =>
      [0, 1].flatMap((copy) =>
        dice.below(100) >= loss && (copy === 0 || dice.below(10) === 0) ? [dice.below(300)] : [],
      );
  }

  step(): void {
    const dice = this.#dice;
    const me = dice.below(2) === 0 ? this.#a : this.#b;
    this.#act(me, dice.below(9));
    const isHeld = this.#a.holds.length + this.#b.holds.length > 0;
    this.#world.pass(dice.below(2) === 0 ? dice.below(500) : dice.below(isHeld ? 3_000 : 30_000));
    // No kernel is busy for longer than a peer repeats what it asks.
    if (isHeld && dice.below(2) === 0) this.#release();
  }

  /** Lets everything come to rest; answers with what is wrong then. */
  end(): string[] {
    this.#release();
    for (const me of [this.#a, this.#b]) {
      me.refuses = () => undefined;
      this.#bringKeys(me);
    }
    this.#world.network = () => [10];
    this.#world.pass(400_000);
    const problems: string[] = [];
    for (const me of [this.#a, this.#b]) {
      for (const id of this.#openOf(me).keys()) {
        const ends = [...me.established, ...me.failed].filter((e) => e.attempt === id).length;
        if (ends !== 1) problems.push(`attempt ${id} of ${me.name} ended ${ends} times`);
      }
      const there = new Set([...this.#other(me).kernel.values()].map((c) => c.child.inbound.spi));
      for (const { child, outbound } of me.kernel.values()) {
        if (outbound && !there.has(child.outbound.spi)) problems.push(`${me.name} sends into nothing`);
      }
    }
    return problems;
  }

  #act(me: Node, what: number): void {
    const dice = this.#dice;
    const open = this.#openOf(me);
    const [child] = me.children.slice(dice.below(me.children.length + 1));
    const [given] = [...open.keys()].slice(dice.below(open.size + 1));
    switch (what) {
      case 0:
      case 1:
      case 2: {
        const key = dice.below(6) > 0 ? this.#keyOf(this.#other(me)) : wrong;
        open.set(me.initiate(this.#other(me), [key], dice.below(4) > 0 ? 'authenticated' : 'any'), true);
        return;
      }
      case 3:
        open.set(me.initiate(this.#other(me), undefined), false);
        return;
      case 4:
        this.#bringKeys(me);
        return;
      case 5:
        if (given === undefined) return;
        me.input({ kind: 'abandon', attempt: given });
        open.delete(given);
        return;
      case 6: {
        if (!child) return;
        const { spi } = dice.below(2) === 0 ? child.inbound : child.outbound;
        me.input({ kind: 'expired', spi, hard: dice.below(3) === 0 });
        return;
      }
      case 7:
        me.holds = [(['spi', 'install', 'peerKeys'] as const)[dice.below(3)] ?? 'spi'];
        return;
      default:
        me.release();
    }
  }

  #bringKeys(me: Node): void {
    const open = this.#openOf(me);
    for (const [attempt, hasKeys] of open) {
      if (hasKeys) continue;
      open.set(attempt, true);
      me.input({ kind: 'keys', attempt, keys: [this.#keyOf(this.#other(me))] });
    }
  }

  #release(): void {
    this.#a.release();
    this.#b.release();
  }

  #openOf(me: Node): Map<number, boolean> {
    return this.#open.get(me) ?? new Map<number, boolean>();
  }

  #other(me: Node): Node {
    return me === this.#a ? this.#b : this.#a;
  }

  #keyOf(node: Node) {
    return ids[node === this.#a ? 0 : 1].publicKey;
  }
}
