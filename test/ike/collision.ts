import type { EndpointInput } from '../../src/ike/endpoint.ts';
import type { Flying } from './pair.ts';
import { classic, identity, mismatches, nameOf, World, type Node, type NodeOptions } from './pair.ts';

/** Two hosts between which one IKE SA with one child stands, to be stepped by hand. */
export interface Stage {
  readonly world: World;
  readonly a: Node;
  readonly b: Node;
  /** Has `node` ask for something; its request is on the wire then. */
  readonly rekeyChild: (node: Node) => void;
  readonly deleteChild: (node: Node) => void;
  readonly rekeyIke: (node: Node) => void;
  readonly deleteIke: (node: Node) => void;
  /** The next datagram of `node` arrives; it must be the one that `name` says. */
  readonly arrives: (node: Node, name: Kind) => void;
  /** Takes the oldest datagram of `node` from the wire. */
  readonly loses: (node: Node, name: Kind) => Flying;
  /** Time passes until all is quiet, and what is left is one child that both have. */
  readonly ends: () => void;
}

export type Kind = `${'CREATE_CHILD_SA' | 'INFORMATIONAL'} ${'request' | 'response'}`;

export function stage(forA: NodeOptions = {}, forB: NodeOptions = {}, seed = 1): Stage {
  const world = new World(seed);
  const [ia, ib] = [identity('Ed25519', 31), identity('Ed25519', 32)];
  const a = world.node('a', '198.18.0.1', { ...classic, identity: ia, ...forA });
  const b = world.node('b', '198.18.0.2', { ...classic, identity: ib, ...forB });
  a.keysOf = () => [ib.publicKey];
  b.keysOf = () => [ia.publicKey];
  a.initiate(b, [ib.publicKey]);
  world.settle();
  if (a.children.length !== 1 || b.children.length !== 1) throw new Error('no child');
  a.nonces = b.nonces = 'high';
  const of = (node: Node): Node => (node === a ? b : a);
  const renew = (node: Node, what: 'children' | 'ike'): void => {
    node.input({ kind: 'renew', local: node.address, peer: of(node).address, what });
  };
  const take = (node: Node, name: Kind): Flying => {
    const index = world.wire.findIndex((d) => d.from.address === node.address);
    const [datagram] = index < 0 ? [] : world.wire.splice(index, 1);
    const is = datagram && nameOf(datagram).replace(/ \d+$/, '');
    if (!datagram || is !== name) throw new Error(`${node.name} has sent ${is ?? 'nothing'}, not ${name}`);
    return datagram;
  };
  return {
    world,
    a,
    b,
    rekeyChild: (node) => {
      renew(node, 'children');
    },
    deleteChild: (node) => {
      node.input(expired(node));
    },
    rekeyIke: (node) => {
      renew(node, 'ike');
    },
    deleteIke: (node) => {
      node.input({ kind: 'leave', local: node.address, peer: of(node).address, why: 'a test wants it' });
    },
    arrives: (node, name) => {
      world.deliver(take(node, name));
    },
    loses: take,
    ends: () => {
      world.pass(400_000);
      const wrong = [...mismatches(a, b), ...mismatches(b, a)];
      if (wrong.length > 0) throw new Error(wrong.join('; '));
      for (const node of [a, b]) {
        const half = [...node.kernel.values()].filter((c) => !c.inbound || !c.outbound);
        if (half.length > 0) throw new Error(`${node.name} has half a pair`);
        if (node.endpoint.counts.sessions > 1) throw new Error(`${node.name} has more than one IKE SA`);
        if (node.children.length > 1) throw new Error(`${node.name} has more than one child`);
      }
    },
  };
}

/** The lifetime of what `node` has is over. */
function expired(node: Node): EndpointInput {
  return { kind: 'expired', spi: node.children[0]?.inbound.spi ?? 0, hard: true };
}

/** The outbound SPI with which the kernel of `node` sends. */
export function sends(node: Node): number | undefined {
  return [...node.kernel.values()].findLast((c) => c.outbound)?.child.outbound.spi;
}

/** Whether what `from` sends is received by `to` at this moment. */
export function reaches(from: Node, to: Node): boolean {
  const spi = sends(from);
  return [...to.kernel.values()].some((c) => c.inbound && c.child.inbound.spi === spi);
}
