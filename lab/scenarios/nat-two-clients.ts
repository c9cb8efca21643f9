import { checkHidden, fetchPage, inUdp, udpStates } from '../guest/hidden.ts';
import { oeServer } from '../guest/names.ts';
import { hideClient, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import { between } from '../guest/pcap.ts';
import type { Scenario } from '../guest/scenario.ts';

const name = 'ours4.libreswan.org';

export const scenario: Scenario = {
  title: 'two hosts behind one NAT to one oe: told apart by marks; without marks the second one gets no SA',
  timeoutMs: 240_000,
  run: async (stage) => {
    const { lab, check, keys } = stage;
    const nat = await hideClient(lab, { second: true });
    const way = { name, outside, server: oeServer.v4, client: lab.client, serverNode: lab.server };

    const rules = [[name, 'private']] as const;
    const marking = await startOe(lab.server, lab.logs, {
      key: keys.server,
      ike: ['nat-neighbours = "mark"'],
    });
    const first = await startOe(lab.client, lab.logs, { rules });
    await checkHidden(stage, { ...way, oe: first });
    const began = Date.now() / 1000;
    const second = await startOe(nat.second, lab.logs, { rules });
    check(
      await fetchPage(nat.second, name),
      'the second host gets its page',
      (await second.why(name)).verdict.sentence,
    );
    check(await fetchPage(lab.client, name), 'and the first one still gets its own');
    check(await fetchPage(nat.second, name), 'and the second one again');
    check((await udpStates(lab.server)).size === 4, 'the server has two pairs of states in UDP');
    const ping = await lab.client.run(['ping', '-n', '-c', '1', '-W', '1', oeServer.v4]);
    check(ping.code !== 0, 'what carries no mark goes to neither: ping is not answered');
    const seen = between(await lab.packets(), outside, oeServer.v4).filter((p) => p.at >= began);
    const clear = seen.filter((p) => p.kind === 'clear');
    check(
      inUdp(seen) > 12 && clear.length === 0,
      'all of it in ESP in UDP',
      clear.map((p) => p.what).join(', '),
    );
    for (const oe of [second, first, marking]) await oe.daemon.stop();

    await startOe(lab.server, lab.logs, { key: keys.server });
    await startOe(lab.client, lab.logs, { rules });
    check(await fetchPage(lab.client, name), 'without marks the first host gets its page');
    const refused = await startOe(nat.second, lab.logs, { rules });
    check(!(await fetchPage(nat.second, name, 6)), 'the second one does not');
    const why = await refused.why(name);
    check(why.verdict.state === 'blocked', 'it is private there, so nothing is sent', why.verdict.sentence);
    check(await fetchPage(lab.client, name), 'and the first one is not disturbed');
  },
};
