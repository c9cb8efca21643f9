/** What the scenarios with a NAT look at in the same way. */
import type { Node } from './node.ts';
import type { Oe } from './oe.ts';
import { between, tally, type Packet } from './pcap.ts';
import type { Stage } from './scenario.ts';

export interface Way {
  readonly name: string;
  /** Both ends as the middle sees them. */
  readonly outside: string;
  readonly server: string;
  readonly client: Node;
  readonly serverNode: Node;
  /** `oe` on the client. */
  readonly oe: Oe;
}

/** Fetches the page and checks that both kernels have the same pair of SAs, in UDP, and the middle saw nothing else. */
export async function checkHidden(stage: Stage, way: Way): Promise<void> {
  const { lab, check, say } = stage;
  const began = Date.now() / 1000;
  const page = await fetchPage(way.client, way.name);
  const why = await way.oe.why(way.name);
  check(page, `curl http://${way.name}/ works`, why.verdict.sentence);
  const [here, there] = [await udpStates(way.client), await udpStates(way.serverNode)];
  const shared = [...here.keys()].filter((spi) => there.has(spi));
  check(
    shared.length === 2,
    'both kernels hold the same pair of SPIs, in UDP',
    `${[...here].join(' ')} / ${[...there].join(' ')}`,
  );
  const seen = between(await lab.packets(), way.outside, way.server).filter((p) => p.at >= began - 0.5);
  say(`the middle saw between the two: ${tally(seen)}`);
  check(inUdp(seen) >= 6, 'the page went through ESP in UDP');
  const clear = seen.filter((p) => p.kind === 'clear');
  check(clear.length === 0, 'not one clear packet', clear.map((p) => p.what).join(', '));
  check(why.verdict.state === 'encrypted', `oe why ${way.name} says so too`, why.verdict.sentence);
}

export async function fetchPage(node: Node, name: string, seconds = 10): Promise<boolean> {
  const ran = await node.run(['curl', '-4', '-s', '-m', String(seconds), `http://${name}/`]);
  return ran.code === 0 && ran.stdout.includes('Hello');
}

/** ESP in UDP among the packets. */
export function inUdp(packets: readonly Packet[]): number {
  return packets.filter((p) => p.kind === 'esp' && p.what.endsWith('in UDP')).length;
}

/** SPI and ports of a host's states in UDP. */
export async function udpStates(node: Node): Promise<Map<string, string>> {
  const shown = await node.must(['ip', 'xfrm', 'state']);
  return new Map(
    shown.split(/^(?=src )/m).flatMap((block) => {
      const spi = /spi (0x[0-9a-f]+)/.exec(block)?.[1];
      const ports = /encap type espinudp sport (\d+) dport (\d+)/.exec(block);
      return spi !== undefined && ports ? [[spi, `${ports[1]}>${ports[2]}`] as const] : [];
    }),
  );
}
