/**
 * One step of the kernel's part alone, without IKE: reads a {@link KernelStep} from its arguments and brings it into
 * the kernel of this network namespace. What earlier calls have left is taken over as from an agent that has crashed.
 */
import { isOurs } from '../../src/kernel/bands.ts';
import { KernelLedger, type InstallableChild, type StandingRule } from '../../src/kernel/ledger.ts';
import { openXfrm } from '../../src/kernel/io/xfrm.ts';
import { openUdpSocket } from '../../src/net/io/libc.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { parsePrefix } from '../../src/net/prefix.ts';

export interface KernelStep {
  readonly local: string;
  readonly peer: string;
  /** Prefix and group. */
  readonly rules?: readonly (readonly [string, StandingRule['group']])[];
  /** In the order in which they are installed. */
  readonly children?: readonly KernelChild[];
  /** Take everything out at the end, as a normal stop does. */
  readonly stop?: boolean;
  /** Stay, with a socket on port 4500 that takes ESP in UDP, until killed; print what the kernel tells. */
  readonly hold?: boolean;
}

export interface KernelChild {
  readonly out: number;
  readonly in: number;
  readonly mode?: InstallableChild['mode'];
  readonly suite?: InstallableChild['suite'];
  readonly esn?: boolean;
  readonly udp?: boolean;
  /** Removed again after all are installed. */
  readonly removed?: boolean;
  readonly part?: 'inbound' | 'outbound' | 'both';
}

const step = JSON.parse(process.argv[2] ?? '{}') as KernelStep;
const [local, peer] = [address(step.local), address(step.peer)];
const kernel = openXfrm();
const ledger = new KernelLedger();
await kernel.apply(ledger.leftovers(await kernel.snapshot()));
await kernel.apply(
  ledger.setRules(
    (step.rules ?? []).map(([text, group]) => {
      const prefix = parsePrefix(text);
      if (!prefix) throw new Error(`no prefix: ${text}`);
      return { prefix, group };
    }),
  ),
);
if (step.hold === true) {
  openUdpSocket({ local: { address: local, port: 4500 }, bypassIpsec: true, espInUdp: true });
  kernel.events((event) => {
    console.log(event.kind);
  });
}
const children = (step.children ?? []).map((c, id) => ({ wish: c, child: childOf(c, id) }));
for (const { wish, child } of children) {
  const begin = performance.now();
  await kernel.apply(ledger.install(child, wish.part ?? 'both'));
  console.log(`installed in ${(performance.now() - begin).toFixed(2)} ms`);
}
for (const { wish, child } of children) if (wish.removed === true) await kernel.apply(ledger.remove(child));
if (step.stop === true) await kernel.apply(ledger.removeAll());
const { states, policies } = await kernel.snapshot();
console.log(`${states.length} states, ${policies.filter((p) => isOurs(p.priority)).length} policies`);
if (step.hold === true) setInterval(() => undefined, 1000);
else kernel.close();

function childOf(wish: KernelChild, id: number): InstallableChild {
  const suite = wish.suite ?? { encr: 20, keyBits: 256 };
  return {
    id,
    local,
    peer,
    mode: wish.mode ?? 'transport',
    suite,
    esn: wish.esn ?? true,
    inbound: { spi: wish.in, ...keys(wish.in, suite) },
    outbound: { spi: wish.out, ...keys(wish.out, suite) },
    ...(wish.udp === true && { encapsulation: { localPort: 4500, peerPort: 4500, hidden: 'both' } }),
  };
}

/** Both ends know a direction's keys by its SPI. */
function keys(spi: number, suite: InstallableChild['suite']): Omit<InstallableChild['inbound'], 'spi'> {
  const octets = (count: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, i) => (spi * 31 + i * 7) & 0xff);
  const integrity = new Map([
    [12, 32],
    [13, 48],
    [14, 64],
  ]).get(suite.integ ?? 0);
  return {
    encryptionKey: octets(suite.keyBits / 8 + (integrity === undefined ? 4 : 0)),
    ...(integrity !== undefined && { integrityKey: octets(integrity) }),
  };
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`no address: ${text}`);
  return parsed;
}
