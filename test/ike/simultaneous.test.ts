import { describe, expect, test } from 'vitest';
import { NotifyType } from '../../src/ike/numbers.ts';
import { notify } from '../../src/ike/payloads.ts';
import { reaches, sends } from './collision.ts';
import {
  classic,
  headerOf,
  identity,
  isInit,
  mismatches,
  nameOf,
  World,
  type Flying,
  type Node,
  type NodeOptions,
} from './pair.ts';

/**
 * Both hosts begin at once: eight messages, IKE_SA_INIT and IKE_AUTH, request and answer, of each. Those of one
 * negotiation follow each other, so there are 70 orders in which they can arrive; in each order each message is lost
 * once as well, or none.
 */
describe('every order of the eight messages', () => {
  test.each([
    ['both prove who they are', true, true],
    ['one proves who it is', false, true],
    ['neither does', false, false],
  ])('%s: nothing that is sent is lost, and one IKE SA is left', (_, isKnownA, isKnownB) => {
    let runs = 0;
    for (const order of orders(4, 4)) {
      // One of the eight in each order; OE_FULL=1 loses each of them.
      const losses = process.env['OE_FULL'] ? [0, 1, 2, 3, 4, 5, 6, 7] : [runs % 8];
      for (const lost of [-1, ...losses]) {
        const name = `${order.join('')}, ${lost < 0 ? 'nothing' : `message ${lost}`} lost`;
        const { world, a, b } = both(runs++, isKnownA, isKnownB);
        const ears = new Ears(a, b);
        order.forEach((whose, i) => {
          const datagram = next(world, whose === 'a' ? a : b);
          // What follows from one that was lost comes when it is sent again.
          if (datagram && i !== lost) world.deliver(datagram);
          ears.check(name);
        });
        for (let ms = 0; ms < 3_000; ms += 20) {
          world.pass(20);
          ears.check(name);
        }
        expect(ears.all, name).toBe(true);
        expect([a.failed, b.failed], name).toEqual([[], []]);
        expect(
          a.established.some((e) => e.attempt === 1) && b.established.some((e) => e.attempt === 1),
          name,
        ).toBe(true);
        world.pass(100_000);
        ears.check(name);
        expect([a.endpoint.counts.sessions, b.endpoint.counts.sessions], name).toEqual([1, 1]);
        expect([a.children.length, b.children.length], name).toEqual([1, 1]);
        expect([...mismatches(a, b), ...mismatches(b, a)], name).toEqual([]);
      }
    }
    expect(runs).toBe(process.env['OE_FULL'] ? 630 : 140);
  });
});

describe('a libreswan that answers a crossing IKE_AUTH with an IKE SA and no child', () => {
  // What it says of the child, and whether it takes the one that we make in its own IKE SA.
  test.each([
    ['nothing', undefined],
    ['TS_UNACCEPTABLE', NotifyType.TS_UNACCEPTABLE],
    ['NO_PROPOSAL_CHOSEN', NotifyType.NO_PROPOSAL_CHOSEN],
    ['TEMPORARY_FAILURE', NotifyType.TEMPORARY_FAILURE],
  ] as const)('and says %s: the two have a child within 2 s', (_, said) => {
    for (const order of orders(4, 4).filter((_, i) => process.env['OE_FULL'] || i % 5 === 0)) {
      const name = order.join('');
      // It said so of a negotiation of which we have not heard yet: there is no telling that from a plain refusal.
      if (said === NotifyType.TS_UNACCEPTABLE && name.startsWith('aaaa')) continue;
      const { world, a, b } = both(3, false, true, { keyLog: true });
      libreswan(world, b, said);
      for (const whose of order) {
        const datagram = next(world, whose === 'a' ? a : b);
        if (datagram) world.deliver(datagram);
      }
      world.network = () => [10];
      world.pass(2_000);
      expect(a.failed, name).toEqual([]);
      expect(
        a.established.some((e) => e.attempt === 1),
        name,
      ).toBe(true);
      expect(reaches(a, b) && reaches(b, a), name).toBe(true);
      world.pass(120_000);
      expect(reaches(a, b) && reaches(b, a), name).toBe(true);
    }
  });
});

/** It makes no child for others while its own negotiation with them is under way. */
function libreswan(world: World, node: Node, said: number | undefined): void {
  node.refuses = () => (node.established.length === 0 && isAnswering(world, node) ? 'in use' : undefined);
  world.meddle(node, (payloads, header) =>
    header.response && payloads.some((p) => p.kind === 'Notify' && p.type === NotifyType.TEMPORARY_FAILURE)
      ? [...payloads.filter((p) => p.kind !== 'Notify'), ...(said === undefined ? [] : [notify(said)])]
      : payloads,
  );
}

/** Whether the child that its kernel is given comes of somebody else's request. */
function isAnswering(_: World, node: Node): boolean {
  return node.endpoint.sessions.some((s) => s.answering === 'install');
}

function both(
  seed: number,
  isKnownA: boolean,
  isKnownB: boolean,
  forB: NodeOptions = {},
): { world: World; a: Node; b: Node } {
  const [ia, ib] = [identity('Ed25519', 51), identity('Ed25519', 52)];
  const world = new World(seed);
  const a = world.node('a', '198.18.0.1', { ...classic, ...(isKnownA && { identity: ia }) });
  const b = world.node('b', '198.18.0.2', { ...classic, ...(isKnownB && { identity: ib }), ...forB });
  a.keysOf = () => [ib.publicKey];
  b.keysOf = () => [ia.publicKey];
  a.initiate(b, isKnownB ? [ib.publicKey] : [], isKnownB ? 'authenticated' : 'any');
  b.initiate(a, isKnownA ? [ia.publicKey] : [], isKnownA ? 'authenticated' : 'any');
  return { world, a, b };
}

/** The datagram on the wire that belongs to the negotiation that `node` began. */
function next(world: World, node: Node): Flying | undefined {
  const own = world.sent.find((d) => d.from.address === node.address && isInit(d) && !isAnswer(d));
  const spiI = own && headerOf(own)?.spiI;
  const index = world.wire.findIndex(
    (d) => headerOf(d)?.spiI === spiI && !nameOf(d).startsWith('INFORMATIONAL'),
  );
  return index < 0 ? undefined : world.wire.splice(index, 1)[0];
}

function isAnswer(datagram: Flying): boolean {
  return headerOf(datagram)?.response === true;
}

/**
 * What either sends is heard from the moment on when the other end has had the chance to hear it: the message before
 * it on the wire has come through once.
 */
class Ears {
  readonly #worked = new Set<Node>();
  readonly #pair: readonly (readonly [Node, Node])[];

  constructor(a: Node, b: Node) {
    this.#pair = [
      [a, b],
      [b, a],
    ];
  }

  check(name: string): void {
    for (const [from, to] of this.#pair) {
      if (sends(from) === undefined) continue;
      if (reaches(from, to)) this.#worked.add(from);
      else if (this.#worked.has(from)) throw new Error(`${name}: what ${from.name} sends is lost`);
    }
  }

  get all(): boolean {
    return this.#worked.size === 2;
  }
}

/** Every way to shuffle `a`s and `b`s. */
function orders(as: number, bs: number): ('a' | 'b')[][] {
  if (as === 0 && bs === 0) return [[]];
  return [
    ...(as > 0 ? orders(as - 1, bs).map((rest): ('a' | 'b')[] => ['a', ...rest]) : []),
    ...(bs > 0 ? orders(as, bs - 1).map((rest): ('a' | 'b')[] => ['b', ...rest]) : []),
  ];
}
