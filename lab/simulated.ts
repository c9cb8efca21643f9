/**
 * The demo's story in the simulated world: agents, DNSSEC, IKE and the gate are the real code; the kernels, the
 * network and the clock are simulated. For machines that allow no lab; `npm run demo` plays it then.
 */
import { renderStatus } from '../src/cli/render-status.ts';
import { renderWhy } from '../src/cli/render-why.ts';
import { lookOf, paint } from '../src/cli/terminal.ts';
import { nameOf } from '../src/dns/name.ts';
import { formatAddress, formatEndpoint } from '../src/net/address.ts';
import { statusOf, whyName, type Traffic } from '../src/oe/explain.ts';
import { alice, bob, resolverAt } from '../test/sim/internet.ts';
import { checkIdle, checkStep } from '../test/sim/invariants.ts';
import { World, type Host } from '../test/sim/world.ts';

/** Prints the story; throws where it does not end as it should. */
export function playStory(): void {
  const look = lookOf(process.stdout, process.env);
  const head = (text: string): void => {
    console.log(`\n${paint(look, 'bold', `[simulated] ${text}`)}`);
  };
  const world = new World({
    seed: 1,
    network: { loss: 0, duplication: 0, delay: [9, 11] },
    check: checkStep,
  });
  world.trace = [];
  const client = world.add(alice, { identified: false });
  const server = world.add(bob, { identified: true });
  const [own, peer] = [formatAddress(alice.address), formatAddress(bob.address)];

  head('Who is there');
  console.log(
    `A client, ${own}, and a server, ${bob.name} at ${peer}, both with oe; 20 ms between them and back.`,
  );
  console.log(
    `The server's Ed25519 key stands in signed DNS. A resolver at ${formatEndpoint(resolverAt)} forwards.`,
  );

  head(`A program on the client asks for ${bob.name}`);
  client.ask(bob.name);
  world.run(2_000);
  const [answer] = client.answers;
  if (!answer) throw new Error('the lookup has no answer');
  console.log(`The answer came after ${Math.round(answer.answeredAt - answer.askedAt)} ms.`);

  head('The handshake, as both ends tell it, and the datagrams between them');
  for (const line of world.trace) {
    const [at = '', ...words] = line.split(' ');
    console.log(`${`${Math.round(Number(at))} ms`.padStart(8)}  ${words.join(' ')}`);
  }

  head('Ten packets each way');
  const seen = [...exchange(client, server), ...exchange(server, client)];
  const encrypted = seen.filter((s) => s === 'esp').length;
  console.log(`${encrypted} of ${seen.length} went as ESP and arrived, ${seen.length - encrypted} did not.`);

  const { view } = client.agent;
  head('$ oe status');
  const nowMs = world.wall * 1_000;
  const health = {
    upSeconds: Math.round(world.now / 1_000),
    listening: ['127.0.0.1:53'],
    upstreams: [formatEndpoint(resolverAt)],
    hostKey: null,
    esp: { ipv4: true, ipv6: true },
    complaints: [],
    notes: [],
  };
  console.log(renderStatus(statusOf(view, trafficOf(client), health), look, nowMs).trimEnd());
  head(`$ oe why ${bob.name}`);
  const name = nameOf(bob.name);
  const why = name === undefined ? undefined : whyName(view, name);
  if (!why) throw new Error('there is no record of the lookup');
  console.log(renderWhy(why, look).trimEnd());

  world.run(120_000);
  checkIdle(world, false);
  if (encrypted !== seen.length) throw new Error('some packets did not arrive under protection');
}

/** What becomes of ten packets from one host to the other. */
function exchange(from: Host, to: Host): ('esp' | 'lost')[] {
  const [source, destination] = [from.spec.address, to.spec.address];
  return Array.from({ length: 10 }, () => {
    const fate = from.kernel.outbound(source, destination);
    if (typeof fate === 'string') return 'lost';
    const arrived = to.kernel.inbound({ source, destination, esp: { spi: fate.esp } });
    return arrived === 'accept' ? 'esp' : 'lost';
  });
}

function trafficOf(host: Host): Map<string, Traffic> {
  return new Map(
    host.agent.states().map(({ peer, inbound, outbound }) => {
      const [taken, sent] = host.kernel.querySync([inbound, outbound]);
      return [peer.text, { octetsIn: taken?.octets ?? 0n, octetsOut: sent?.octets ?? 0n }];
    }),
  );
}

if (process.argv[1] === import.meta.filename) playStory();
