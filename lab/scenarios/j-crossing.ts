import { setTimeout as sleep } from 'node:timers/promises';
import { startLibreswan, type LibreswanOptions } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between, tally, type Packet } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

/** Two libreswans that cross are without an SA for a minute. */
const limitMs = 2_000;
const roundTripMs = 100;
/** libreswan begins so much later than oe, ms. */
const offsets = [0, 20, 40, 60];

export const scenario: Scenario = {
  title: 'oe and libreswan begin with each other at the same moment: traffic works within 2 s',
  timeoutMs: 240_000,
  run: async ({ lab, check, say }) => {
    const options: LibreswanOptions = {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'private-or-clear': [`${client.v4}/32`] },
    };
    let libreswan = await startLibreswan(lab.server, options);
    let oe = await startOe(lab.client, lab.logs);
    const look = (): Promise<unknown> => lab.client.run(['getent', 'ahostsv4', 'oe.libreswan.org']);
    // From then on the key is known, and the negotiation begins with the question.
    await look();
    for (const offset of offsets) {
      // Each round begins from nothing: libreswan does not say Delete for all that it had, and what it left would be
      // another test than this one.
      await oe.daemon.stop();
      await libreswan.stop();
      libreswan = await startLibreswan(lab.server, options);
      oe = await startOe(lab.client, lab.logs);
      await lab.delay(roundTripMs);
      const began = Date.now();
      const asked = look();
      await sleep(offset);
      const whack = libreswan.whack('--oppohere', server.v4, '--oppothere', client.v4);
      const works = await until(
        async () =>
          (await xfrmStates(lab.client)).length >= 2 &&
          (await lab.client.run(['ping', '-c', '1', '-W', '1', server.v4])).code === 0 &&
          Date.now(),
        30_000,
        20,
      );
      const tookMs = (works ?? Number.POSITIVE_INFINITY) - began;
      const crossed = between(await lab.packets(), client.v4, server.v4).filter(
        (p) => p.at >= began / 1_000 - 0.1 && p.kind === 'ike',
      );
      say(`offset ${offset} ms: a reply through ESP after ${tookMs} ms; IKE: ${whoSays(crossed)}`);
      check(tookMs <= limitMs, `encrypted within ${limitMs} ms`, `${tookMs} ms`);
      await asked;
      await whack;
      const since = Date.now();
      await sleep(12_000);
      const ping = await lab.client.run(['ping', '-c', '3', '-i', '0.2', '-W', '1', server.v4]);
      check(ping.code === 0, 'and it works 12 s later', ping.stdout.trim().split('\n').at(-2));
      const seen = between(await lab.packets(), client.v4, server.v4).filter((p) => p.at >= since / 1_000);
      check(!seen.some((p) => p.kind === 'clear'), `through ESP (the middle saw ${tally(seen)})`);
      await lab.delay(0);
    }
  },
};

/** `client IKE_SA_INIT, server IKE_SA_INIT, …`, at most a dozen. */
function whoSays(packets: readonly Packet[]): string {
  return packets
    .slice(0, 12)
    .map((p) => `${p.source === client.v4 ? '→' : '←'} ${p.what}`)
    .join(', ');
}
