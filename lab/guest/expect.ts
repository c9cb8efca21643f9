/** What several scenarios look at in the same way. */
import type { Asked } from './ask.ts';
import type { Node } from './node.ts';
import type { Oe } from './oe.ts';
import { between, tally } from './pcap.ts';
import type { Stage } from './scenario.ts';
import { xfrmStates } from './xfrm.ts';

/** Asks from a host's namespaces, in order. */
export async function ask(
  node: Node,
  names: readonly string[],
  { server = '127.0.0.1', type = 'A', limitMs = 8_000 } = {},
): Promise<Asked[]> {
  const program = ['/oe/node_modules/node/bin/node', '/oe/lab/guest/ask.ts'];
  const out = await node.must(
    ['env', 'NODE_COMPILE_CACHE=/lab/compile-cache', ...program, server, String(limitMs), type, ...names],
    30_000 + names.length * 500,
  );
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Asked);
}

export interface Protected {
  readonly name: string;
  readonly client: string;
  readonly server: string;
  readonly mode: 'transport' | 'tunnel';
  /** `oe` on the client. */
  readonly oe: Oe;
  readonly verified?: 'dns' | 'group' | 'anonymous';
}

/** Fetches the page and checks what acceptance asks: kernels, the middle, `oe status` and `oe why`. */
export async function checkProtected(stage: Stage, wanted: Protected): Promise<void> {
  const { lab, check, say } = stage;
  const { name, client, server, mode, oe } = wanted;
  const began = Date.now() / 1000;
  const page = await lab.client.run([
    'curl',
    client.includes(':') ? '-6' : '-4',
    '-s',
    '-S',
    '-m',
    '10',
    '-w',
    '%{time_namelookup} %{time_total}',
    `http://${name}/`,
  ]);
  check(page.code === 0 && page.stdout.includes('Hello'), `curl http://${name}/ works`, page.stderr.trim());
  const [lookup, total] = page.stdout.split('\n').at(-1)?.split(' ') ?? [];
  say(
    `the answer came after ${Math.round(Number(lookup) * 1000)} ms, the page after ${Math.round(Number(total) * 1000)} ms`,
  );

  const states = await Promise.all([xfrmStates(lab.client), xfrmStates(lab.server)]);
  const pair = states.map((all) =>
    all
      .filter(
        (s) =>
          (s.source === client && s.destination === server) ||
          (s.source === server && s.destination === client),
      )
      .map((s) => `${s.source} ${s.spi} ${s.mode}`)
      .sort()
      .join(', '),
  );
  check(
    pair[0] !== '' && pair[0] === pair[1],
    'both kernels hold the same pair of SPIs',
    `${pair[0]} / ${pair[1]}`,
  );
  check(
    pair[0]?.split(', ').every((s) => s.endsWith(` ${mode}`)) ?? false,
    `all states are in ${mode} mode`,
    pair[0],
  );
  check(pair[0]?.split(', ').length === 2, 'and there are two of them, one each way', pair[0]);

  const seen = between(await lab.packets(), client, server).filter((p) => p.at >= began - 0.5);
  const clear = seen.filter((p) => p.kind === 'clear');
  say(`the middle saw between the two: ${tally(seen)}`);
  check(seen.filter((p) => p.kind === 'esp').length >= 6, 'the page went through ESP');
  check(clear.length === 0, 'not one clear packet', clear.map((p) => p.what).join(', '));

  const status = await oe.status();
  const peer = status.peers.find((p) => p.address === server);
  const verified = wanted.verified ?? 'dns';
  check(
    peer?.state === 'encrypted' && peer.verified === verified && peer.mode === mode,
    `oe status shows ${server} as encrypted and verified by ${verified}`,
    JSON.stringify(peer),
  );
  const why = await oe.why(name);
  check(why.verdict.state === 'encrypted', `oe why ${name} says so too`, why.verdict.sentence);
}
