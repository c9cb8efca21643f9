import { checkProtected } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmOfOe, xfrmStates } from '../guest/xfrm.ts';

export const scenario: Scenario = {
  title: 'SIGTERM leaves no state and no policy of oe; restarted, it works again',
  run: async (stage) => {
    const { lab, check } = stage;
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    // Somebody else's, which oe must leave alone.
    await lab.client.must([
      ...['ip', 'xfrm', 'policy', 'add', 'src', '198.18.1.2/32', 'dst', '198.18.9.9/32', 'dir', 'out'],
      ...['priority', '4711', 'action', 'block'],
    ]);
    const wanted = {
      name: 'four.libreswan.org',
      client: client.v4,
      server: server.v4,
      mode: 'transport',
    } as const;
    const oe = await startOe(lab.client, lab.logs, { rules: [['hole.libreswan.org', 'private']] });
    await checkProtected(stage, { ...wanted, oe });
    check(
      (await xfrmOfOe(lab.client)).length >= 4,
      'while it runs, states and policies of its band are there',
    );

    const code = await oe.daemon.stop('SIGTERM', 10_000);
    check(code === 0, 'SIGTERM ends it with 0', `it was ${code}`);
    const left = await xfrmOfOe(lab.client);
    check(left.length === 0, 'none of its states and policies is left', left.join('; '));
    const others = await lab.client.must(['ip', 'xfrm', 'policy']);
    check(others.includes('priority 4711'), "another's policy is untouched");
    const gone = await until(async () => (await xfrmStates(lab.server)).length === 0, 3_000);
    check(gone === true, 'the server was told: its states are gone too');

    const again = await startOe(lab.client, lab.logs);
    await checkProtected(stage, { ...wanted, oe: again });
    await again.daemon.stop();
  },
};
