import { IkeEndpoint, type EndpointInput, type HostIdentity } from '../ike/endpoint.ts';
import type { EspSuite } from '../kernel/port.ts';
import { parseAddress, sameAddress, type IpAddress } from '../net/address.ts';
import type { Random } from '../random.ts';
import type { Instant } from '../time.ts';

/**
 * One handshake between two endpoints of this process, with itself as its peer; nothing leaves it. Code that has not
 * run yet is not compiled yet, and the first real peer would wait for that. False where no SA came about.
 */
export function rehearse(
  random: Random,
  identity: HostIdentity,
  suites: readonly EspSuite[],
  now: Instant,
): boolean {
  const [a, b] = [parseAddress('192.0.2.1'), parseAddress('192.0.2.2')];
  if (!a || !b) return false;
  const common = { random, suites, keyLog: false, ports: { ike: 500, natt: 4500 } };
  const ends = [
    { address: a, endpoint: new IkeEndpoint({ ...common, identity: undefined }) },
    { address: b, endpoint: new IkeEndpoint({ ...common, identity }) },
  ] as const;
  const queue: { readonly to: IpAddress; readonly input: EndpointInput }[] = [
    {
      to: a,
      input: {
        kind: 'initiate',
        attempt: 1,
        local: a,
        peer: b,
        require: 'authenticated',
        keys: [identity.publicKey],
      },
    },
  ];
  let spi = 0x100;
  let established = 0;
  for (let steps = 0; steps < stepsAtMost; steps++) {
    const next = queue.shift();
    if (!next) break;
    const { to } = next;
    const end = ends.find((e) => sameAddress(e.address, to));
    for (const effect of end?.endpoint.handle(next.input, now) ?? []) {
      switch (effect.kind) {
        case 'send': {
          const { local, remote, octets } = effect;
          queue.push({
            to: remote.address,
            input: { kind: 'datagram', local: remote, remote: local, octets },
          });
          break;
        }
        case 'allocateSpi':
          queue.push({ to, input: { kind: 'spiAllocated', request: effect.request, spi: spi++ } });
          break;
        case 'install':
          queue.push({ to, input: { kind: 'installed', child: effect.child } });
          break;
        case 'established':
          established++;
          break;
        default:
          break;
      }
    }
  }
  return established === ends.length;
}

const stepsAtMost = 64;
