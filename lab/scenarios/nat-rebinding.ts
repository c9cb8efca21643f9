import { setTimeout as sleep } from 'node:timers/promises';
import { inUdp, udpStates } from '../guest/hidden.ts';
import { oeServer } from '../guest/names.ts';
import { hideClient, outside } from '../guest/nat.ts';
import { startOe } from '../guest/oe.ts';
import { between } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';

export const scenario: Scenario = {
  title:
    'while traffic flows the NAT forgets everybody: it flows on, from another port, and never in the clear',
  timeoutMs: 150_000,
  run: async (stage) => {
    const { lab, check, say, keys } = stage;
    const nat = await hideClient(lab);
    lab.server.write('/run/www/large', 'x'.repeat(4_000_000));
    await startOe(lab.server, lab.logs, { key: keys.server });
    await startOe(lab.client, lab.logs, { rules: [['ours4.libreswan.org', 'private']] });
    const began = Date.now() / 1000;
    const url = 'http://ours4.libreswan.org/';
    const first = await lab.client.run(['curl', '-4', '-s', '-m', '10', url]);
    check(first.stdout.includes('Hello'), 'a page comes through', first.stderr);
    const before = await udpStates(lab.server);

    const download = lab.client.run(
      ['curl', '-4', '-s', '-m', '60', '--limit-rate', '300k', '-o', '/tmp/large', `${url}large`],
      70_000,
    );
    const ping = lab.client.run(['ping', '-n', '-i', '0.1', '-w', '12', oeServer.v4], 20_000);
    await sleep(3_000);
    const forgotten = Date.now();
    await nat.forget();
    const forgottenFor = Date.now() - forgotten;
    const moved = await until(async () => {
      const now = await udpStates(lab.server);
      return now.size > 0 && [...now.values()].every((ports) => ![...before.values()].includes(ports));
    }, 10_000);
    check(moved === true, 'the states of the server have the new port', JSON.stringify([...before]));
    check(
      [...(await udpStates(lab.server)).keys()].every((spi) => before.has(spi)),
      'and are the same states',
    );
    const answers = [...(await ping).stdout.matchAll(/icmp_seq=(\d+)/g)].map((m) => Number(m[1]));
    const gap = Math.max(0, ...answers.map((seq, i) => seq - (answers[i - 1] ?? seq) - 1));
    say(
      `${answers.length} answers to ping, ${gap} in a row were lost (10 a second); changing the NAT took ${forgottenFor} ms`,
    );
    check(answers.length > 60 && gap <= 20, 'traffic is back within two seconds', String(gap));
    const done = await download;
    check(done.code === 0, 'a download that was under way comes to its end', String(done.code));
    const seen = between(await lab.packets(), outside, oeServer.v4).filter((p) => p.at >= began);
    // The NAT itself says that it does not know the port any longer.
    const clear = seen.filter((p) => p.kind === 'clear' && p.what !== 'ICMP 3/3');
    check(
      inUdp(seen) > 500 && clear.length === 0,
      'all of it in ESP in UDP',
      clear.map((p) => p.what).join(', '),
    );
  },
};
