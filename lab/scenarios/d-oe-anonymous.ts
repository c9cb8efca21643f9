import { checkProtected } from '../guest/expect.ts';
import { client, oeServer } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'oe to oe: the server proves an Ed25519 key, the client stays anonymous; IPv4 and IPv6',
  run: async (stage) => {
    const { lab, keys, check } = stage;
    const server = await startOe(lab.server, lab.logs, { key: keys.server });
    const oe = await startOe(lab.client, lab.logs);
    const name = 'ours.libreswan.org';
    await checkProtected(stage, { name, client: client.v4, server: oeServer.v4, mode: 'transport', oe });
    await checkProtected(stage, { name, client: client.v6, server: oeServer.v6, mode: 'transport', oe });
    const peer = (await server.status()).peers.find((p) => p.address === client.v4);
    check(
      peer?.state === 'encrypted' && peer.verified === 'anonymous',
      'the server shows the client as anonymous',
      JSON.stringify(peer),
    );
  },
};
