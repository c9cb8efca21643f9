import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict';
import { isOurs, larvalReqid, Priority } from '../../src/kernel/bands.ts';
import { kernelAlgorithms } from '../../src/kernel/algorithms.ts';
import { policyKey, samePolicy, stateKey } from '../../src/kernel/policies.ts';
import {
  KernelError,
  type EspState,
  type EspSuite,
  type KernelEvent,
  type KernelOp,
  type KernelPort,
  type Policy,
  type StateId,
} from '../../src/kernel/port.ts';
import { parseAddress, sameAddress, type IpAddress } from '../../src/net/address.ts';
import { hostPrefix, parsePrefix, type Prefix } from '../../src/net/prefix.ts';

/** One promise of `src/kernel/port.ts`, which every kernel has to keep, the fake one too. */
export interface ComplianceTest {
  readonly name: string;
  /** `policies`: NETLINK_XFRM and SPI allocation are enough; `esp`: states must be possible. */
  readonly needs: 'policies' | 'esp';
  readonly run: () => Promise<void>;
}

/**
 * The tests; each makes a port, and leaves nothing of ours behind in the kernel. They need a kernel that holds
 * nothing of ours before.
 */
export function complianceTests(makePort: () => KernelPort): ComplianceTest[] {
  const test = (
    needs: ComplianceTest['needs'],
    name: string,
    body: (port: KernelPort) => Promise<void>,
  ): ComplianceTest => ({
    name,
    needs,
    run: async () => {
      const port = makePort();
      try {
        await body(port);
      } finally {
        await removeEverything(port);
        port.close();
      }
    },
  });

  return [
    test('policies', 'an SPI is 256 or more, and reserved as ours', async (port) => {
      const spi = await port.allocateSpi(local, peer);
      ok(spi >= 256 && spi <= 0xffff_ffff);
      const { states } = await port.snapshot();
      equal(states.length, 1);
      const [state] = states;
      ok(state !== undefined && state.larval && state.reqid === larvalReqid);
      ok(sameAddress(state.destination, local) && sameAddress(state.source, peer));
      equal(state.spi, spi);
    }),

    test('policies', 'two SPIs of one pair differ', async (port) => {
      notEqual(await port.allocateSpi(local, peer), await port.allocateSpi(local, peer));
      equal((await port.snapshot()).states.length, 2);
    }),

    test('policies', 'an SPI for IPv6 is reserved as well', async (port) => {
      const spi = await port.allocateSpi(local6, peer6);
      deepEqual(spisOf((await port.snapshot()).states), [stateKey({ destination: local6, spi })]);
    }),

    test('policies', 'a reserved SPI can be given back', async (port) => {
      const spi = await port.allocateSpi(local, peer);
      await port.apply([{ op: 'removeState', state: { destination: local, spi } }]);
      deepEqual((await port.snapshot()).states, []);
    }),

    test('policies', 'every kind of policy comes back as it went in', async (port) => {
      await port.apply(policies.map(addPolicy));
      samePolicies((await port.snapshot()).policies, policies);
      await port.apply(policies.map((policy) => ({ op: 'removePolicy', policy })));
      samePolicies((await port.snapshot()).policies, []);
    }),

    test(
      'policies',
      'policies that differ in their mark or interface alone stand beside each other',
      async (port) => {
        const several: Policy[] = [
          protectOut,
          { ...protectOut, mark: { value: 1, mask: 0xff } },
          { ...protectOut, mark: { value: 2, mask: 0xff } },
          { ...protectOut, interfaceId: 7 },
        ];
        await port.apply(several.map(addPolicy));
        samePolicies((await port.snapshot()).policies, several);
        const [first, second, ...rest] = several;
        ok(first && second);
        await port.apply([{ op: 'removePolicy', policy: second }]);
        samePolicies((await port.snapshot()).policies, [first, ...rest]);
      },
    ),

    test('policies', 'a policy of ours takes the place of another, whatever its priority', async (port) => {
      await port.apply([addPolicy(protectOut)]);
      const next: Policy = { ...protectOut, priority: Priority.block, action: 'block' };
      const { template: _template, ...block } = next;
      await port.apply([addPolicy(block)]);
      samePolicies((await port.snapshot()).policies, [block]);
    }),

    test('policies', 'what is not there counts as removed', async (port) => {
      await port.apply([
        { op: 'removeState', state: { destination: local, spi: 0x1234 } },
        { op: 'removePolicy', policy: protectOut },
        { op: 'removePolicy', policy: { ...protectOut, source: net6, destination: net6 } },
      ]);
    }),

    test('policies', 'nothing is told of a state that is not there', async (port) => {
      deepEqual(await port.query([{ destination: local, spi: 0x1234 }]), [undefined]);
    }),

    test('policies', 'an SPI below 256 cannot become a state', async (port) => {
      await refused(port, [addState({ ...inbound(0x1234), spi: 255 })]);
      deepEqual(await port.snapshot(), { states: [], policies: [] });
    }),

    test('policies', 'keys of another length are refused and named in no message', async (port) => {
      const error = await refused(port, [addState({ ...inbound(0x1234), encryptionKey: key(20, 0xab) })]);
      equal(error.code, 'EINVAL');
      ok(!error.message.includes('abab') && !error.message.includes('171'));
    }),

    test(
      'policies',
      'at a refusal what the call has added is gone, and what it has replaced is back',
      async (port) => {
        const before: Policy = { ...protectOut, priority: Priority.protect + 5 };
        await port.apply([addPolicy(before)]);
        await refused(port, [
          addPolicy(protectIn),
          addPolicy(protectOut),
          addPolicy(impossible),
          addPolicy(blockOut),
        ]);
        samePolicies((await port.snapshot()).policies, [before]);
      },
    ),

    test('policies', 'what the call has removed before a refusal stays removed', async (port) => {
      await port.apply([addPolicy(protectIn)]);
      await refused(port, [{ op: 'removePolicy', policy: protectIn }, addPolicy(impossible)]);
      samePolicies((await port.snapshot()).policies, []);
    }),

    test('policies', 'a priority outside our band is refused', async (port) => {
      await refused(port, [addPolicy({ ...protectOut, priority: 1 })]);
      samePolicies((await port.snapshot()).policies, []);
    }),

    test('policies', 'a closed listener hears nothing, and closing twice does no harm', async (port) => {
      const stop = port.events(() => {
        throw new Error('heard something');
      });
      stop();
      stop();
      await port.allocateSpi(local, peer);
    }),

    test('esp', 'the capabilities name suites, and each makes states for IPv4 and IPv6', async (port) => {
      const { suites, esp4, esp6 } = await port.capabilities();
      ok(suites.length > 0 && esp4.available && esp6.available);
      deepEqual((await port.snapshot()).states, []);
      for (const suite of suites) {
        const pair = [
          inbound(0x1000, { suite }),
          outbound(0x2000, { suite }),
          inbound6(0x1000, suite),
          outbound6(0x2000, suite),
        ];
        await port.apply(pair.map(addState));
        deepEqual(spisOf((await port.snapshot()).states), spisOf(pair));
        await port.apply(pair.map(removeState));
        deepEqual((await port.snapshot()).states, []);
      }
    }),

    test('esp', 'a state takes the SPI that was reserved for it', async (port) => {
      const spi = await port.allocateSpi(local, peer);
      await port.apply([addState(inbound(spi))]);
      const { states } = await port.snapshot();
      equal(states.length, 1);
      const [state] = states;
      ok(state !== undefined && !state.larval);
      equal(state.reqid, reqid);
      equal(state.esn, true);
      equal(state.mode, 'transport');
    }),

    test('esp', 'a state needs no reservation', async (port) => {
      await port.apply([addState(inbound(0x1234))]);
      equal((await port.snapshot()).states[0]?.larval, false);
    }),

    test(
      'esp',
      'a second state of the same SPI and destination is refused, and the first stays',
      async (port) => {
        await port.apply([addState(inbound(0x1234)), addState(outbound(0x1235))]);
        const again = { ...inbound(0x1234), encryptionKey: key(36, 9) };
        equal((await refused(port, [addState(again)])).code, 'EEXIST');
        equal((await refused(port, [addState(outbound(0x1235))])).code, 'EEXIST');
        deepEqual(spisOf((await port.snapshot()).states), spisOf([inbound(0x1234), outbound(0x1235)]));
      },
    ),

    test('esp', 'the same SPI to another destination is another state', async (port) => {
      await port.apply([addState(inbound(0x1234)), addState(outbound(0x1234))]);
      equal((await port.snapshot()).states.length, 2);
    }),

    test('esp', 'without ESN, in tunnel mode, in UDP: states come back as they went in', async (port) => {
      const states = [
        inbound(0x1001, { esn: false }),
        outbound(0x1002, { esn: false }),
        inbound(0x1003, { mode: 'tunnel' }),
        outbound(0x1004, { mode: 'tunnel' }),
        { ...inbound(0x1005), encapsulation: { sourcePort: 40_000, destinationPort: 4500 } },
        { ...outbound(0x1006), encapsulation: { sourcePort: 4500, destinationPort: 40_000 } },
      ];
      await port.apply(states.map(addState));
      const found = (await port.snapshot()).states;
      for (const state of states) {
        const same = found.find((f) => stateKey(f) === stateKey(state));
        ok(same, `0x${state.spi.toString(16)} is there`);
        deepEqual([same.esn, same.mode, same.reqid, same.larval], [state.esn, state.mode, reqid, false]);
        ok(sameAddress(same.source, state.source));
      }
    }),

    test('esp', 'the ports of a state in UDP change in place, and its limits', async (port) => {
      const states = [
        { ...inbound(0x1005), encapsulation: { sourcePort: 40_000, destinationPort: 4500 } },
        { ...outbound(0x1006), encapsulation: { sourcePort: 4500, destinationPort: 40_000 } },
      ];
      await port.apply(states.map(addState));
      const moved = states.map((state): EspState => {
        const { sourcePort, destinationPort } = state.encapsulation;
        const port = (before: number): number => (before === 40_000 ? 50_000 : before);
        const encapsulation = { sourcePort: port(sourcePort), destinationPort: port(destinationPort) };
        return { ...state, encapsulation, lifetime: { softSeconds: 100, hardSeconds: 200 } };
      });
      await port.apply(moved.map((state) => ({ op: 'changeState', state })));
      const found = (await port.snapshot()).states;
      equal(found.length, 2);
      for (const state of moved) {
        const same = found.find((f) => stateKey(f) === stateKey(state));
        deepEqual(same?.encapsulation, state.encapsulation);
      }
    }),

    test('esp', 'at a refusal a state has its ports back', async (port) => {
      const before = { ...inbound(0x1005), encapsulation: { sourcePort: 40_000, destinationPort: 4500 } };
      await port.apply([addState(before)]);
      const encapsulation = { sourcePort: 50_000, destinationPort: 4500 };
      await refused(port, [
        { op: 'changeState', state: { ...before, encapsulation } },
        addPolicy(impossible),
      ]);
      deepEqual((await port.snapshot()).states[0]?.encapsulation, before.encapsulation);
    }),

    test('esp', 'what is not there, only reserved, or not in UDP gets no ports', async (port) => {
      const spi = await port.allocateSpi(local, peer);
      await port.apply([addState(inbound(0x1005))]);
      const encapsulation = { sourcePort: 50_000, destinationPort: 4500 };
      for (const missing of [spi, 0x1005, 0x1006]) {
        await refused(port, [{ op: 'changeState', state: { ...inbound(missing), encapsulation } }]);
      }
      equal((await port.snapshot()).states.find((s) => s.spi === 0x1005)?.encapsulation, undefined);
    }),

    test(
      'esp',
      'a state with a mark for its packets, an XFRM interface, and a keepalive is taken',
      async (port) => {
        const udp = { encapsulation: { sourcePort: 4500, destinationPort: 40_000 }, keepaliveSeconds: 20 };
        const states = [
          { ...inbound(0x1007), setMark: { value: 1, mask: 0xff } },
          { ...outbound(0x1008), interfaceId: 7 },
          { ...outbound(0x1009), ...udp },
        ];
        await port.apply(states.map(addState));
        equal((await port.snapshot()).states.length, 3);
      },
    ),

    test('esp', 'replay windows of 32, 256 and 4096 packets, with ESN and without', async (port) => {
      const states = [32, 256, 4096].flatMap((replayWindow, i) => [
        { ...inbound(0x1000 + i), replayWindow },
        { ...inbound(0x2000 + i, { esn: false }), replayWindow },
      ]);
      await port.apply(states.map(addState));
      equal((await port.snapshot()).states.length, states.length);
    }),

    test('esp', 'a fresh state has counted nothing', async (port) => {
      await port.apply([addState(inbound(0x1234))]);
      const counters = await port.query([idOf(inbound(0x1234)), { destination: peer, spi: 0x1234 }]);
      deepEqual(counters, [{ octets: 0n, packets: 0n, outsideWindow: 0, replayed: 0, failed: 0 }, undefined]);
    }),

    test('esp', 'at a refusal states are taken out again as well', async (port) => {
      await port.apply([addState(outbound(0x1235))]);
      const error = await refused(port, [
        addState(inbound(0x1234)),
        addPolicy(protectIn),
        addState(outbound(0x1235)),
      ]);
      ok(error.message.includes('0x00001235'));
      deepEqual(spisOf((await port.snapshot()).states), spisOf([outbound(0x1235)]));
      samePolicies((await port.snapshot()).policies, []);
    }),

    test('esp', 'a removed state can be added anew', async (port) => {
      await port.apply([addState(inbound(0x1234))]);
      await port.apply([removeState(inbound(0x1234)), addState(inbound(0x1234))]);
      equal((await port.snapshot()).states.length, 1);
    }),
  ];
}

/** Tests that wait for what the kernel tells of its own accord; real time passes. */
export function eventTests(makePort: () => KernelPort): ComplianceTest[] {
  return [
    {
      name: 'a state that reaches its hard limit of seconds is told and gone',
      needs: 'esp',
      run: async () => {
        const port = makePort();
        try {
          const told = new Promise<boolean>((resolve) => {
            port.events((event) => {
              if (event.kind === 'expire' && event.hard)
                resolve(stateKey(event.state) === stateKey(inbound(0x1234)));
            });
          });
          await port.apply([addState({ ...inbound(0x1234), lifetime: { softSeconds: 1, hardSeconds: 2 } })]);
          const late = new Promise<boolean>((resolve) => {
            setTimeout(resolve, 6000, false);
          });
          ok(await Promise.race([told, late]), 'no expiry was told');
          deepEqual((await port.snapshot()).states, []);
        } finally {
          await removeEverything(port);
          port.close();
        }
      },
    },
  ];
}

/**
 * What a packet without a state asks for. `send`: one UDP packet from 198.18.1.2 to port 9 of 198.18.2.10, which some
 * state may carry or none.
 */
export function acquireTests(
  makePort: () => KernelPort,
  send: (port: KernelPort) => Promise<void>,
): ComplianceTest[] {
  const out: Policy = { ...protectOut, template: { reqid, mode: 'transport' } };
  return [
    {
      name: 'a packet that meets a policy and no state asks for one, once, and no longer when it is there',
      needs: 'esp',
      run: async () => {
        const port = makePort();
        const asked: Extract<KernelEvent, { kind: 'acquire' }>[] = [];
        try {
          port.events((event) => {
            if (event.kind === 'acquire') asked.push(event);
          });
          await port.apply([addPolicy(out)]);
          await send(port);
          await send(port);
          await pause(300);
          equal(asked.length, 1);
          const [acquire] = asked;
          ok(acquire !== undefined && samePolicy(acquire.policy, out));
          ok(sameAddress(acquire.source, local) && sameAddress(acquire.destination, peer));
          deepEqual([acquire.protocol, acquire.destinationPort], [17, 9]);
          await port.apply([addState(outbound(0x1235))]);
          await send(port);
          await pause(300);
          equal(asked.length, 1);
          const [counters] = await port.query([idOf(outbound(0x1235))]);
          equal(counters?.packets, 1n);
          // The wish that the state has ended is not in its way, and neither is it in that of the next one.
          await port.apply([removeState(outbound(0x1235))]);
          await send(port);
          await pause(300);
          equal(asked.length, 2);
        } finally {
          await removeEverything(port);
          port.close();
        }
      },
    },
  ];
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function refused(port: KernelPort, ops: readonly KernelOp[]): Promise<KernelError> {
  let refusal: unknown;
  await rejects(port.apply(ops), (error) => {
    refusal = error;
    return error instanceof KernelError;
  });
  return refusal as KernelError;
}

async function removeEverything(port: KernelPort): Promise<void> {
  const { states, policies: left } = await port.snapshot();
  ok([...states.map((s) => s.reqid), ...left.map((p) => p.priority)].every(isOurs));
  await port.apply([
    ...left.map((policy): KernelOp => ({ op: 'removePolicy', policy })),
    ...states.filter((s) => s.spi !== 0).map(removeState),
  ]);
}

function samePolicies(found: readonly Policy[], expected: readonly Policy[]): void {
  deepEqual(found.map(policyKey).sort(), expected.map(policyKey).sort());
  for (const policy of expected) {
    const same = found.find((f) => policyKey(f) === policyKey(policy));
    ok(same !== undefined && samePolicy(same, policy), policyKey(policy));
  }
}

function spisOf(states: readonly StateId[]): string[] {
  return states.map(stateKey).sort();
}

function idOf(state: StateId): StateId {
  return { destination: state.destination, spi: state.spi };
}

function addState(state: EspState): KernelOp {
  return { op: 'addState', state };
}

function removeState(state: StateId): KernelOp {
  return { op: 'removeState', state: idOf(state) };
}

function addPolicy(policy: Policy): KernelOp {
  return { op: 'addPolicy', policy };
}

interface Shape {
  readonly suite?: EspSuite;
  readonly mode?: EspState['mode'];
  readonly esn?: boolean;
}

function inbound(spi: number, shape: Shape = {}): EspState {
  return stateBetween('in', peer, local, spi, shape);
}

function outbound(spi: number, shape: Shape = {}): EspState {
  return stateBetween('out', local, peer, spi, shape);
}

function inbound6(spi: number, suite: EspSuite): EspState {
  return stateBetween('in', peer6, local6, spi, { suite });
}

function outbound6(spi: number, suite: EspSuite): EspState {
  return stateBetween('out', local6, peer6, spi, { suite });
}

function stateBetween(
  direction: EspState['direction'],
  source: IpAddress,
  destination: IpAddress,
  spi: number,
  { suite = { encr: 20, keyBits: 256 }, mode = 'transport', esn = true }: Shape,
): EspState {
  const algorithms = kernelAlgorithms(suite);
  return {
    ...suite,
    direction,
    source,
    destination,
    spi,
    reqid,
    mode,
    encryptionKey: key(algorithms?.keyOctets ?? 0, 1),
    ...(algorithms?.kind === 'cipher' && { integrityKey: key(algorithms.authKeyOctets, 3) }),
    esn,
    replayWindow: direction === 'in' ? 128 : 0,
    ...(mode === 'transport' && {
      selector: { source: hostPrefix(source), destination: hostPrefix(destination) },
    }),
  };
}

function key(octets: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: octets }, (_, i) => (seed === 0xab ? seed : i * 5 + seed));
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  ok(parsed, text);
  return parsed;
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  ok(parsed, text);
  return parsed;
}

const local = address('198.18.1.2');
const peer = address('198.18.2.10');
const local6 = address('2001:2:0:1::2');
const peer6 = address('2001:2:0:2::10');
const net6 = prefix('2001:2::/48');
const reqid = larvalReqid + 1;

const protect = { priority: Priority.protect, action: 'allow' } as const;
const protectOut: Policy = {
  direction: 'out',
  source: hostPrefix(local),
  destination: hostPrefix(peer),
  ...protect,
  template: { reqid, mode: 'transport', spi: 0xdec0_92b7 },
};
const protectIn: Policy = {
  direction: 'in',
  source: hostPrefix(peer),
  destination: hostPrefix(local),
  ...protect,
  template: { reqid, mode: 'transport' },
};
/** A tunnel may not be optional outbound; the kernel says EINVAL. */
const impossible: Policy = {
  direction: 'out',
  source: hostPrefix(local),
  destination: hostPrefix(address('198.18.2.99')),
  ...protect,
  template: { reqid, mode: 'tunnel', ends: { source: local, destination: peer }, optional: true },
};
const blockOut: Policy = {
  direction: 'out',
  source: prefix('0.0.0.0/0'),
  destination: prefix('198.18.2.0/24'),
  priority: Priority.block,
  action: 'block',
};
const tunnel = {
  reqid: reqid + 1,
  mode: 'tunnel',
  ends: { source: peer6, destination: local6 },
} as const;

const policies: readonly Policy[] = [
  protectOut,
  protectIn,
  blockOut,
  { ...blockOut, direction: 'in', source: blockOut.destination, destination: blockOut.source },
  { ...blockOut, direction: 'fwd', source: blockOut.destination, destination: blockOut.source },
  {
    direction: 'in',
    source: hostPrefix(peer6),
    destination: hostPrefix(local6),
    ...protect,
    template: tunnel,
  },
  {
    direction: 'fwd',
    source: hostPrefix(peer6),
    destination: hostPrefix(local6),
    ...protect,
    template: tunnel,
  },
  {
    direction: 'in',
    source: hostPrefix(address('198.18.2.11')),
    destination: hostPrefix(local),
    ...protect,
    template: { reqid, mode: 'transport', optional: true },
  },
  ...[133, 137].map((icmpType): Policy => ({
    direction: 'out',
    source: prefix('::/0'),
    destination: prefix('::/0'),
    protocol: 58,
    icmpType,
    priority: Priority.bypass,
    action: 'allow',
  })),
  {
    direction: 'out',
    source: prefix('0.0.0.0/0'),
    destination: prefix('0.0.0.0/0'),
    protocol: 17,
    sourcePort: 68,
    destinationPort: 67,
    priority: Priority.bypass + 1,
    action: 'allow',
  },
  {
    direction: 'in',
    source: net6,
    destination: prefix('::/0'),
    protocol: 6,
    destinationPort: 0,
    priority: Priority.block + 0xfff,
    action: 'block',
  },
];
