import { checkHidden } from '../guest/hidden.ts';
import { oeServer } from '../guest/names.ts';
import { hideClient, hideServer, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'both ends behind NATs, the server behind one that hands UDP 500 and 4500 on to it',
  timeoutMs: 120_000,
  run: async (stage) => {
    const { lab, keys, check } = stage;
    await hideClient(lab);
    await hideServer(lab);
    const server = await startOe(lab.server, lab.logs, { key: keys.server });
    const oe = await startOe(lab.client, lab.logs, { rules: [['ours4.libreswan.org', 'private']] });
    await checkHidden(stage, {
      name: 'ours4.libreswan.org',
      outside,
      server: oeServer.v4,
      client: lab.client,
      serverNode: lab.server,
      oe,
    });
    const peer = (await server.status()).peers.find((p) => p.address === outside);
    check(peer?.state === 'encrypted', 'the server shows the outside of the client', JSON.stringify(peer));
  },
};
