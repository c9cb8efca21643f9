import { espSuites, suiteName } from '../../src/kernel/algorithms.ts';
import type { KernelChild, KernelStep } from '../guest/kernel-do.ts';
import { client, server } from '../guest/names.ts';
import type { Node } from '../guest/node.ts';
import { between, tally, type Packet } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';

/** The kernel port and the ledger against a real kernel with real packets, without IKE. */
export const scenario: Scenario = {
  title: 'the kernel does with states and policies what the port and the ledger say',
  timeoutMs: 180_000,
  run: async ({ lab, check, say }) => {
    const suite = await lab.client.run([process.execPath, '/oe/test/kernel/compliance-run.ts'], 60_000);
    const failures = suite.stdout.split('\n').filter((line) => line.startsWith('failed'));
    check(
      suite.code === 0,
      'the kernel keeps every promise of the port',
      `${failures.join('; ')} ${suite.stderr}`,
    );
    say(suite.stdout.trim().split('\n').at(-1) ?? '');

    const flood = await lab.client.must([process.execPath, '/oe/lab/guest/kernel-flood.ts'], 30_000);
    const heard = JSON.parse(flood) as { overruns: number; acquires: number; afterwards: number };
    check(
      heard.overruns > 0 && heard.acquires > 500 && heard.afterwards === 3,
      'more events than fit are told as an overrun, and later ones come',
      flood,
    );

    let seenBefore = 0;
    /** What has crossed the middle between the two since the last call. */
    const fresh = async (family: 4 | 6 = 4): Promise<Packet[]> => {
      const all = await lab.packets();
      const packets = between(
        all.slice(seenBefore),
        family === 4 ? client.v4 : client.v6,
        family === 4 ? server.v4 : server.v6,
      );
      seenBefore = all.length;
      return packets;
    };
    const both = async (
      children: readonly KernelChild[],
      more: Partial<KernelStep> = {},
      family: 4 | 6 = 4,
    ): Promise<string> => {
      const [c, s] = family === 4 ? [client.v4, server.v4] : [client.v6, server.v6];
      const mirrored = children.map((child) => ({ ...child, out: child.in, in: child.out }));
      await step(lab.server, { local: s, peer: c, children: mirrored, ...more });
      return step(lab.client, { local: c, peer: s, children, ...more });
    };
    const page = async (family: 4 | 6 = 4): Promise<boolean> => {
      const url = family === 4 ? `http://${server.v4}/` : `http://[${server.v6}]/`;
      return (await lab.client.run(['curl', '-s', '-m', '2', url])).code === 0;
    };
    const onlyEsp = (packets: readonly Packet[]): boolean =>
      packets.length > 0 && packets.every((p) => p.kind === 'esp');

    say(await both([{ out: 0x1001, in: 0x2001 }]));
    await fresh();
    check(await page(), 'a page comes through a pair in transport mode');
    let packets = await fresh();
    check(onlyEsp(packets), 'the middle saw ESP alone', tally(packets));

    for (const [i, each] of espSuites.entries()) {
      // Every suite once, the families and ESN in turn.
      const [family, esn] = i % 2 === 0 ? ([6, true] as const) : ([4, false] as const);
      const base = 0x3000 + i * 2;
      await both([{ out: base, in: base + 1, suite: each, esn }], {}, family);
      await fresh(family);
      const came = await page(family);
      packets = await fresh(family);
      const how = `${suiteName(each)}, IPv${family}, ${esn ? 'with' : 'without'} ESN`;
      check(came && onlyEsp(packets), `${how}: a page comes, in ESP`, tally(packets));
    }

    await both([
      { out: 0x4001, in: 0x5001 },
      { out: 0x4002, in: 0x5002 },
    ]);
    await fresh();
    check(await page(), 'with two children a page comes');
    packets = await fresh();
    check(
      packets.every((p) => ['ESP 0x00004002', 'ESP 0x00005002'].includes(p.what)),
      'all of it through the newer one',
      packets.map((p) => p.what).join(', '),
    );

    await both([
      { out: 0x4003, in: 0x5003 },
      { out: 0x4004, in: 0x5004, removed: true },
    ]);
    await fresh();
    check(await page(), 'after the newer one was removed a page comes through the older one');
    packets = await fresh();
    check(packets.length > 0 && packets.every((p) => /000[45]003$/.test(p.what)), 'and through it alone');

    await both([{ out: 0x6001, in: 0x7001, mode: 'tunnel' }]);
    await fresh();
    check(await page(), 'a page comes through a pair in tunnel mode');
    packets = await fresh();
    check(onlyEsp(packets), 'the middle saw ESP alone', tally(packets));

    const udp: readonly KernelChild[] = [{ out: 0x8001, in: 0x9001, udp: true }];
    const holders = [
      hold(lab.server, {
        local: server.v4,
        peer: client.v4,
        children: [{ out: 0x9001, in: 0x8001, udp: true }],
      }),
      hold(lab.client, { local: client.v4, peer: server.v4, children: udp }),
    ];
    const held = await until(async () => {
      const state = await lab.client.run(['ip', 'xfrm', 'state']);
      return state.stdout.includes('espinudp') && (await page());
    }, 10_000);
    await fresh();
    check(held === true && (await page()), 'a page comes through a pair in UDP');
    packets = await fresh();
    check(
      packets.length > 0 && packets.every((p) => p.what.endsWith('in UDP')),
      'the middle saw ESP in UDP alone',
      tally(packets),
    );
    await Promise.all(holders.map((h) => h.stop('SIGKILL')));

    // A responder's half: the peer may still speak in the clear.
    await step(lab.server, {
      local: server.v4,
      peer: client.v4,
      children: [{ out: 0xa001, in: 0xb001, part: 'inbound' }],
    });
    await step(lab.client, { local: client.v4, peer: server.v4, stop: true });
    check(await page(), 'while only the inbound part stands, a page comes in the clear');
    await step(lab.server, {
      local: server.v4,
      peer: client.v4,
      children: [{ out: 0xa001, in: 0xb001 }],
    });
    check(!(await page()), 'once both parts stand, packets without ESP are refused');
    await step(lab.server, { local: server.v4, peer: client.v4, stop: true });
    check(await page(), 'and after the removal they pass');

    for (const family of [4, 6] as const) {
      const [c, s] = family === 4 ? [client.v4, server.v4] : [client.v6, server.v6];
      const net = family === 4 ? '198.18.2.0/24' : '2001:2::/48';
      await lab.client.run(['ip', 'neigh', 'flush', 'all']);
      await step(lab.client, { local: c, peer: s, rules: [[net, 'private']] });
      await fresh(family);
      const came = await page(family);
      packets = await fresh(family);
      check(
        !came && packets.length === 0,
        `IPv${family}: without an SA nothing leaves towards a private prefix`,
        tally(packets),
      );
      // Killed, and begun again by an agent that knows its rules: no gap.
      await step(lab.client, { local: c, peer: s, rules: [[net, 'private']] });
      await step(lab.server, { local: s, peer: c, children: [{ out: 0xc001, in: 0xd001 }] });
      await step(lab.client, {
        local: c,
        peer: s,
        rules: [[net, 'private']],
        children: [{ out: 0xd001, in: 0xc001 }],
      });
      await lab.client.run(['ip', 'neigh', 'flush', 'all']);
      await fresh(family);
      check(await page(family), `IPv${family}: with one a page comes, the neighbours found anew`);
      packets = await fresh(family);
      check(onlyEsp(packets), 'the middle saw ESP alone', tally(packets));
      for (const [node, local, peer] of [
        [lab.client, c, s],
        [lab.server, s, c],
      ] as const) {
        const left = await step(node, { local, peer, stop: true });
        check(left.endsWith('0 states, 0 policies'), 'a normal stop leaves nothing', left);
      }
    }

    await step(lab.client, {
      local: client.v4,
      peer: server.v4,
      rules: [
        ['198.18.2.10', 'clear'],
        [client.v6, 'clear'],
        ['0.0.0.0/0', 'private'],
        ['::/0', 'block'],
      ],
    });
    check(await page(), 'a clear rule before a private one for everything: the page comes');
    for (const loopback of ['127.0.0.1', client.v4, '::1', client.v6]) {
      const ping = await lab.client.run(['ping', '-c', '1', '-W', '1', loopback]);
      check(ping.code === 0, `this host reaches itself at ${loopback}`, ping.stderr);
    }
    const elsewhere = await lab.client.run(['ping', '-c', '1', '-W', '1', '198.18.3.30']);
    check(elsewhere.code !== 0, 'and nobody else');
    await step(lab.client, { local: client.v4, peer: server.v4, stop: true });
  },
};

async function step(node: Node, wish: KernelStep): Promise<string> {
  const printed = await node.must([process.execPath, '/oe/lab/guest/kernel-do.ts', JSON.stringify(wish)]);
  return printed.trim().split('\n').join('; ');
}

function hold(node: Node, wish: KernelStep): ReturnType<Node['start']> {
  return node.start(
    [process.execPath, '/oe/lab/guest/kernel-do.ts', JSON.stringify({ ...wish, hold: true })],
    'kernel',
  );
}
