import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, checkProtected } from '../guest/expect.ts';
import { startLibreswan, type LibreswanOptions } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between, tally } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

/** So long after a peer is back the two are encrypted again; libreswan among themselves are not within 70 s. */
const limitMs = 3_000;

export const scenario: Scenario = {
  title: 'a libreswan that was killed and has begun anew is encrypted again within 3 s',
  timeoutMs: 90_000,
  run: async (stage) => {
    const { lab, check, say } = stage;
    const options: LibreswanOptions = {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    };
    const libreswan = await startLibreswan(lab.server, options);
    const oe = await startOe(lab.client, lab.logs);
    // The first lookup of all pays for code that has just been loaded.
    await ask(lab.client, ['plain.libreswan.org']);
    await checkProtected(stage, {
      name: 'oe.libreswan.org',
      client: client.v4,
      server: server.v4,
      mode: 'transport',
      oe,
    });
    const ping = lab.client.start(['ping', '-D', '-i', '0.2', '-W', '1', server.v4], 'ping');
    await sleep(2_500);
    await libreswan.daemon.stop('SIGKILL');
    const killed = Date.now();
    await sleep(1_000);
    // What it begins with is to take the old states out of its kernel.
    const restarted = startLibreswan(lab.server, options);
    const gone = await until(async () => (await xfrmStates(lab.server)).length === 0, 10_000, 20);
    const lost = Date.now();
    check(gone === true, 'the states of the one that was killed are gone');
    await restarted;
    const ready = Date.now();
    const back = await until(() => repliesSince(ping.log, lost + 50)[0], 30_000, 20);
    await sleep(1_500);
    await ping.stop('SIGINT');
    const ms = (at: number | undefined, since: number): string =>
      at === undefined ? 'never' : `${Math.round(at - since)} ms`;
    say(`killed; its SAs were lost ${ms(lost, killed)} later, it was ready ${ms(ready, lost)} after that`);
    say(`the first reply came ${ms(back, lost)} after the loss, ${ms(back, ready)} after it was ready`);
    check(back !== undefined && back - ready <= limitMs, `replies come again within ${limitMs} ms`);
    const seen = between(await lab.packets(), client.v4, server.v4).filter((p) => p.at >= killed / 1_000);
    say(`the middle saw between the two from the kill on: ${tally(seen)}`);
    // What a host without IKE says to IKE (ICMP 3/3) is no traffic.
    const clear = seen.filter((p) => p.kind === 'clear' && p.what !== 'ICMP 3/3');
    check(clear.length === 0, 'and not one packet was clear', clear.map((p) => p.what).join(', '));
    const pair = await Promise.all([xfrmStates(lab.client), xfrmStates(lab.server)]);
    check(
      (pair[1]?.length ?? 0) > 0 &&
        (pair[1] ?? []).every((s) => pair[0]?.some((o) => o.spi === s.spi) === true),
      'what libreswan has, oe has too',
      JSON.stringify(pair),
    );
  },
};

/** When `ping -D` saw replies, ms since 1970, those after `since`. */
function repliesSince(log: string, since: number): number[] {
  return [...readFileSync(log, 'utf8').matchAll(/^\[(\d+\.\d+)\] \d+ bytes from/gm)]
    .map((m) => Number(m[1]) * 1_000)
    .filter((at) => at > since);
}
