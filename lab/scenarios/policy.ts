import { setTimeout as sleep } from 'node:timers/promises';
import { ask, checkProtected } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, plain, server } from '../guest/names.ts';
import { startOe, writeConfig } from '../guest/oe.ts';
import { between, tally } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

/** The host without IKE: nothing but SSH may reach it. */
const excepted = '[[policy.rule]]\nmatch = "198.18.3.0/24"\ngroup = "private"\nexcept = ["tcp/22"]\n';
const name = 'oe.libreswan.org';

export const scenario: Scenario = {
  title:
    'rules: tcp/22 of a private prefix passes, and a peer becomes private under traffic without a clear packet',
  timeoutMs: 120_000,
  run: async (stage) => {
    const { lab, check, say } = stage;
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    lab.plain.start(['busybox', 'httpd', '-f', '-p', '[::]:22', '-h', '/run/www'], 'on-22');
    const oe = await startOe(lab.client, lab.logs, { policy: excepted });

    const fetch = (port: number): readonly string[] => [
      'curl',
      '-s',
      '-m',
      '3',
      `http://${plain.v4}:${port}/`,
    ];
    const on22 = await lab.client.run(fetch(22));
    check(
      on22.stdout.includes('Hello'),
      'port 22 of a host in the private prefix answers',
      on22.stderr.trim(),
    );
    check((await lab.client.run(fetch(80))).code !== 0, 'port 80 of the same host is out of reach');
    const pinged = await lab.client.run(['ping', '-c', '1', '-W', '1', plain.v4]);
    check(pinged.code !== 0, 'and so is the host itself');
    const strange = between(await lab.packets(), client.v4, plain.v4).filter((p) => p.what !== 'TCP 22');
    check(strange.length === 0, 'the middle saw TCP 22 alone', strange.map((p) => p.what).join(', '));

    const tested = await oe.run('policy', 'test', plain.v4);
    say(tested.stdout.trim());
    check(
      tested.code === 0 && tested.stdout.includes('rule 1 (198.18.3.0/24) says private'),
      'oe policy test names the rule',
      tested.stdout,
    );
    const shown = await oe.run('policy', 'show');
    say(shown.stdout.trim());
    check(shown.stdout.includes('In the clear all the same: tcp/22.'), 'oe policy show says it in words');

    await checkProtected(stage, { name, client: client.v4, server: server.v4, mode: 'transport', oe });
    const before = await xfrmStates(lab.client);
    const ping = lab.client.start(['ping', '-i', '0.1', '-W', '1', server.v4], 'ping');
    const began = Date.now() / 1_000;
    await sleep(1_000);
    const insisting = `${excepted}[[policy.rule]]\nmatch = "${name}"\ngroup = "private"\n`;
    writeConfig(lab.client, lab.logs, { policy: insisting });
    const reloaded = await oe.run('reload');
    say(reloaded.stdout.trim());
    check(reloaded.code === 0, 'oe reload takes it', reloaded.stderr.trim());
    await sleep(1_500);
    const after = await xfrmStates(lab.client);
    check(
      before.length > 0 && before.every((s) => after.some((o) => o.spi === s.spi)),
      'the SA is the same as before',
    );

    writeConfig(lab.client, lab.logs, { policy: `${insisting}[[policy.rule]]\nmatch = "a..b"\n` });
    const mistaken = await oe.run('reload');
    check(
      mistaken.code === 78 && /oe\.toml:\d+: policy\.rule\[3\]/.test(mistaken.stderr),
      'a file with a mistake is refused with its line',
      `${mistaken.code}: ${mistaken.stderr.trim()}`,
    );

    const stayed = Date.now() / 1_000;
    // From clear to private while packets run, with no SA at the time.
    writeConfig(lab.client, lab.logs, {
      policy: `${excepted}[[policy.rule]]\nmatch = "${server.v4}"\ngroup = "clear"\n`,
    });
    check((await oe.run('reload')).code === 0, 'the peer becomes clear');
    const isClear = await until(
      async () => (await xfrmStates(lab.client)).length === 0 && (await xfrmStates(lab.server)).length === 0,
      5_000,
    );
    check(isClear === true, 'its SA ends, at both ends');
    const toClear = Date.now() / 1_000;
    await sleep(1_000);
    writeConfig(lab.client, lab.logs, {
      policy: `${excepted}[[policy.rule]]\nmatch = "${server.v4}"\ngroup = "private"\n`,
    });
    check((await oe.run('reload')).code === 0, 'and private again');
    const toPrivate = Date.now() / 1_000;
    await ask(lab.client, [name]);
    await sleep(2_000);
    await ping.stop('SIGINT');
    const seen = between(await lab.packets(), client.v4, server.v4).filter((p) => p.at >= began);
    const clearOf = (from: number, to: number): string[] =>
      seen.filter((p) => p.kind === 'clear' && p.at >= from && p.at < to).map((p) => p.what);
    say(`the middle saw ${tally(seen)}`);
    const firstReload = clearOf(began, stayed);
    check(
      firstReload.length === 0,
      'the reload that made it private let no clear packet out',
      firstReload.join(),
    );
    check(clearOf(toClear, toPrivate).length > 0, 'clear means clear');
    const last = clearOf(toPrivate, Number.POSITIVE_INFINITY);
    check(last.length === 0, 'from the second on there is none either', last.join());
    check(
      seen.some((p) => p.kind === 'esp' && p.at >= toPrivate),
      'and the traffic goes on, encrypted',
    );
    await oe.daemon.stop();
  },
};
