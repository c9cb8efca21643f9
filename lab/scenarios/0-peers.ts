import type { Scenario } from '../guest/scenario.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { between, tally } from '../guest/pcap.ts';
import { until } from '../guest/process.ts';

/** The lab proves itself: without `oe`, two libreswans do what the other scenarios expect of one. */
export const scenario: Scenario = {
  title: 'the lab itself: an anonymous libreswan client and a libreswan server with an RSA key in DNS',
  run: async ({ lab, check, say }) => {
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    await startLibreswan(lab.client, {
      own: null,
      peer: 'rsasig',
      extra: ['rightrsasigkey=%dnsondemand'],
      groups: { clear: ['198.18.0.0/24', '198.18.3.0/24'], 'private-or-clear': ['198.18.2.0/24'] },
    });
    const answer = await lab.client.run(['dig', '+dnssec', '+short', 'oe.libreswan.org', 'IPSECKEY']);
    check(
      /^10 0 2 \./m.test(answer.stdout),
      'the key of oe.libreswan.org comes with its signature',
      answer.stdout,
    );
    const page = await until(async () => {
      const ran = await lab.client.run(['curl', '-4', '-s', '-m', '5', 'http://oe.libreswan.org/']);
      const state = await lab.client.run(['ip', 'xfrm', 'state']);
      return ran.code === 0 && /mode transport[^]*aead/.test(state.stdout) && ran.stdout;
    }, 20_000);
    check(page?.includes('Hello') ?? false, 'the page comes, and ESP states in transport mode stand');
    const seen = between(await lab.packets(), client.v4, server.v4);
    say(`the middle saw ${tally(seen)}`);
    check(
      seen.some((p) => p.kind === 'ike') && seen.some((p) => p.kind === 'esp'),
      'the middle saw IKE and ESP',
    );
  },
};
