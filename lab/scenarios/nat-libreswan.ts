import { checkHidden } from '../guest/hidden.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { server } from '../guest/names.ts';
import { hideClient, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title: 'oe behind a NAT to libreswan, private',
  timeoutMs: 120_000,
  run: async (stage) => {
    const { lab } = stage;
    await hideClient(lab);
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      extra: ['narrowing=yes'],
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    const oe = await startOe(lab.client, lab.logs, { rules: [['four.libreswan.org', 'private']] });
    await checkHidden(stage, {
      name: 'four.libreswan.org',
      outside,
      server: server.v4,
      client: lab.client,
      serverNode: lab.server,
      oe,
    });
  },
};
