import { checkProtected } from '../guest/expect.ts';
import { client, oeServer } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'oe to oe: both prove Ed25519 keys published in signed DNS',
  run: async (stage) => {
    const { lab, keys, check } = stage;
    const server = await startOe(lab.server, lab.logs, { key: keys.server });
    const oe = await startOe(lab.client, lab.logs, { key: keys.client });
    await checkProtected(stage, {
      name: 'ours4.libreswan.org',
      client: client.v4,
      server: oeServer.v4,
      mode: 'transport',
      oe,
    });
    const peer = (await server.status()).peers.find((p) => p.address === client.v4);
    check(
      peer?.state === 'encrypted' && peer.verified === 'dns',
      'the server shows the client as verified by DNS',
      JSON.stringify(peer),
    );
  },
};
