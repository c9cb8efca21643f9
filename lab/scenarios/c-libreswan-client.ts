import { startLibreswan } from '../guest/libreswan.ts';
import { client, oeRsaServer } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between, tally } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

export const scenario: Scenario = {
  title: 'libreswan, with its own opportunistic configuration, to oe as the server',
  run: async ({ lab, keys, check, say }) => {
    const oe = await startOe(lab.server, lab.logs, { key: keys.rsaServer });
    const libreswan = await startLibreswan(lab.client, {
      own: null,
      peer: 'rsasig',
      extra: ['rightrsasigkey=%dnsondemand'],
      // `private`, so that what comes through came through ESP.
      groups: { clear: ['198.18.0.0/24'], private: [`${oeRsaServer.v4}/32`] },
    });
    const page = await until(async () => {
      const ran = await lab.client.run(['curl', '-4', '-s', '-m', '5', 'http://rsa.libreswan.org/']);
      if (ran.stdout.includes('Hello')) return ran.stdout;
      // libreswan looks the key up while it negotiates and does not wait for it: where our answer is faster than its
      // resolver, it gives up, and drops what follows. Asked again, it has the key.
      say('libreswan gave up before its own look-up of the key had ended; it is asked again');
      await libreswan.whack('--oppohere', client.v4, '--oppothere', oeRsaServer.v4);
      return false;
    }, 30_000);
    check(page !== undefined, 'the page comes');

    const spis = (await Promise.all([xfrmStates(lab.client), xfrmStates(lab.server)])).map((states) =>
      states
        .map((s) => `${s.spi} ${s.mode}`)
        .sort()
        .join(', '),
    );
    check(spis[0] !== '' && spis[0] === spis[1], 'both kernels hold the same SPIs', spis.join(' / '));
    check(spis[0]?.includes('transport') ?? false, 'in transport mode', spis[0]);
    const seen = between(await lab.packets(), client.v4, oeRsaServer.v4);
    say(`the middle saw between the two: ${tally(seen)}`);
    check(
      seen.some((p) => p.kind === 'esp') && !seen.some((p) => p.kind === 'clear'),
      'ESP, and nothing in the clear',
    );

    const peer = (await oe.status()).peers.find((p) => p.address === client.v4);
    check(
      peer?.state === 'encrypted' && peer.verified === 'anonymous',
      'oe status on the server shows the client as encrypted and anonymous',
      JSON.stringify(peer),
    );
  },
};
