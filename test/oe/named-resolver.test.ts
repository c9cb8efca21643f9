import { expect, test } from 'vitest';
import type { RoutedZone } from '../../src/dns/finders.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { formatAddress } from '../../src/net/address.ts';
import { bob, resolverAt } from '../sim/internet.ts';
import { withRules, type Desk } from './desk.ts';
import { name } from './stage.ts';

/** Whoever gives a network its resolvers says that `bob` is one, for a zone that nobody asks for. */
const calledResolver = {
  kind: 'upstreams',
  routes: {
    upstreams: [{ endpoint: resolverAt, transport: 'udp' }],
    zones: [
      {
        name: name('elsewhere.test'),
        kind: 'forward',
        servers: [{ endpoint: { address: bob.address, port: 53 }, transport: 'udp' }],
      } satisfies RoutedZone,
    ],
  },
} as const;

test('a host that is private by its name stays blocked when the network calls it a resolver', () => {
  const agent = withRules([[bob.name, 'private']]);
  expect(agent.ask(bob.name).rcode).toBe(Rcode.SERVFAIL);
  expect(towardsBob(agent)).toEqual(['block']);
  agent.tell(calledResolver);
  expect(towardsBob(agent)).toEqual(['block']);
  expect(agent.ask(bob.name)).toMatchObject({ rcode: Rcode.SERVFAIL, answer: [] });
});

test('of a host that was called a resolver before, no address is given where its name is private', () => {
  for (const rule of [bob.name, '*']) {
    const agent = withRules([[rule, 'private']]);
    agent.tell(calledResolver);
    expect(agent.ask(bob.name)).toMatchObject({ rcode: Rcode.SERVFAIL, answer: [] });
    // It is asked all the same.
    expect(towardsBob(agent)).toEqual(['allow']);
  }
  const open = withRules([[bob.name, 'private-or-clear']]);
  open.tell(calledResolver);
  expect(open.ask(bob.name, Type.A).answer).toHaveLength(1);
});

/** What the standing policies towards the host say in the end. */
function towardsBob({ ops }: Desk): string[] {
  const standing = new Map<string, string>();
  for (const op of ops) {
    if (op.op !== 'addPolicy' && op.op !== 'removePolicy') continue;
    const { direction, destination } = op.policy;
    if (direction !== 'out' || formatAddress(destination.address) !== formatAddress(bob.address)) continue;
    const key = `${destination.length}`;
    if (op.op === 'addPolicy') standing.set(key, op.policy.action);
    else standing.delete(key);
  }
  return [...standing.values()];
}
