import { expect, test } from 'vitest';
import type { KernelEvent } from '../../src/kernel/port.ts';
import { addressOf, formatAddress, type IpAddress } from '../../src/net/address.ts';
import { alice, bob } from './internet.ts';
import { World, type Host, type Network } from './world.ts';

const clean: Network = { loss: 0, duplication: 0, delay: [5, 5] };
const outside = addressOf(Uint8Array.of(198, 18, 1, 99)) ?? alice.address;

test('a host behind a NAT is protected, and is again as soon as it says something after the NAT has forgotten it', () => {
  for (const identified of [false, true]) {
    const world = new World({ seed: 5, network: clean });
    const a = world.add(alice, { identified });
    const b = world.add(bob, { identified: true });
    const nat = world.hide(a, outside);
    a.ask(bob.name);
    world.run(2_000);
    expect(formatAddress(b.agent.view.peers.find(outside)?.address ?? alice.address)).toBe('198.18.1.99');
    expect(say(a, b, nat.outwards({ address: alice.address, port: 4500 }))).toBe('accept');
    expect(portsAt(b)).toEqual([24_500, 24_500]);

    nat.forget();
    // ESP of a comes from another port: the kernel of b tells, and its states follow.
    expect(say(a, b, nat.outwards({ address: alice.address, port: 4500 }))).toBe('accept');
    world.run(1_000);
    expect(portsAt(b)).toEqual([34_500, 34_500]);
    const before = world.steps;
    world.run(1_000);
    // What b begins arrives.
    b.input({ kind: 'kernel', event: expiryOf(b) });
    world.run(3_000);
    expect(world.steps).toBeGreaterThan(before + 4);
    expect(say(a, b, nat.outwards({ address: alice.address, port: 4500 }))).toBe('accept');
    expect(a.agent.view.peers.find(bob.address)?.live.length).toBe(1);
  }
});

test('what the kernel has lost while its events were lost is found out and made anew', () => {
  const world = new World({ seed: 6, network: clean });
  const a = world.add(alice, { identified: false });
  const b = world.add(bob, { identified: true });
  a.ask(bob.name);
  world.run(2_000);
  const policies = a.kernel.snapshotSync().policies.length;
  a.kernel.flush();
  expect(a.kernel.outbound(alice.address, bob.address)).toBe('clear');
  a.input({ kind: 'kernel', event: { kind: 'overrun' } });
  world.run(2_000);
  expect(a.agent.view.peers.find(bob.address)?.live).toEqual([]);
  a.ask(bob.name);
  world.run(5_000);
  expect(a.kernel.snapshotSync().policies).toHaveLength(policies);
  const fate = a.kernel.outbound(alice.address, bob.address);
  if (typeof fate === 'string') throw new Error(`packets to bob are ${fate}`);
  const esp = { spi: fate.esp };
  expect(b.kernel.inbound({ source: alice.address, destination: bob.address, esp })).toBe('accept');
});

/** A packet of `from` to `to`, as its NAT lets it out. */
function say(
  from: Host,
  to: Host,
  as: { readonly address: IpAddress; readonly port: number },
): 'accept' | 'drop' {
  const fate = from.kernel.outbound(from.spec.address, to.spec.address);
  if (typeof fate === 'string') throw new Error(`packets are ${fate}`);
  return to.kernel.inbound({
    source: as.address,
    destination: to.spec.address,
    esp: { spi: fate.esp },
    sourcePortOfUdp: as.port,
  });
}

function portsAt(host: Host): (number | undefined)[] {
  return host.kernel.snapshotSync().states.map(({ destination, encapsulation }) => {
    const isInbound = formatAddress(destination) === formatAddress(host.spec.address);
    return isInbound ? encapsulation?.sourcePort : encapsulation?.destinationPort;
  });
}

/** Its child wants new keys. */
function expiryOf(host: Host): KernelEvent {
  const [state] = host.kernel.snapshotSync().states;
  if (!state) throw new Error('there is no state');
  return { kind: 'expire', state, reqid: state.reqid, hard: false };
}
