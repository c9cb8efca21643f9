import { setTimeout as sleep } from 'node:timers/promises';
import { checkHidden } from '../guest/hidden.ts';
import { oeServer } from '../guest/names.ts';
import { hideClient, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import { between } from '../guest/pcap.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'oe behind a NAT to oe, private: transport mode in UDP, and the NAT is reminded of it',
  timeoutMs: 120_000,
  run: async (stage) => {
    const { lab, check, keys } = stage;
    await hideClient(lab);
    await startOe(lab.server, lab.logs, { key: keys.server });
    const oe = await startOe(lab.client, lab.logs, { rules: [['ours4.libreswan.org', 'private']] });
    await checkHidden(stage, {
      name: 'ours4.libreswan.org',
      outside,
      server: oeServer.v4,
      client: lab.client,
      serverNode: lab.server,
      oe,
    });
    const before = (await lab.packets()).length;
    await sleep(45_000);
    const quiet = between((await lab.packets()).slice(before), outside, oeServer.v4);
    // In transport mode the kernel's keepalives meet the policy too, and go through the SA.
    const kept = quiet.filter((p) => p.source === outside && (p.kind === 'esp' || p.what === 'keepalive'));
    check(
      kept.length >= 2 && !quiet.some((p) => p.kind === 'clear'),
      'in 45 quiet seconds the NAT was reminded twice',
      quiet.map((p) => `${p.source} ${p.what}`).join(', '),
    );
  },
};
