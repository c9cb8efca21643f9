import { checkProtected } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'oe, anonymous, to a libreswan server that proves an RSA key published in signed DNS',
  run: async (stage) => {
    const { lab } = stage;
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24', '2001:2:0:1::/64'] },
    });
    const oe = await startOe(lab.client, lab.logs);
    await checkProtected(stage, {
      name: 'oe.libreswan.org',
      client: client.v4,
      server: server.v4,
      mode: 'transport',
      oe,
    });
  },
};
