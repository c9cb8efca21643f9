import { checkProtected } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'the same over IPv6',
  run: async (stage) => {
    const { lab } = stage;
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['2001:2:0:1::/64'] },
    });
    const oe = await startOe(lab.client, lab.logs);
    await checkProtected(stage, {
      name: 'six.libreswan.org',
      client: client.v6,
      server: server.v6,
      mode: 'transport',
      oe,
    });
  },
};
