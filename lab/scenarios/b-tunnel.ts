import { checkProtected } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'the same against a server in tunnel mode',
  run: async (stage) => {
    const { lab } = stage;
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      mode: 'tunnel',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    const oe = await startOe(lab.client, lab.logs);
    await checkProtected(stage, {
      name: 'four.libreswan.org',
      client: client.v4,
      server: server.v4,
      mode: 'tunnel',
      oe,
    });
  },
};
