import { ask } from '../guest/expect.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { client, server } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between } from '../guest/pcap.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

/** Each name leads to a server that would gladly negotiate; what `oe why` must say, and what in its words. */
const bad = [
  { name: 'bogus.libreswan.org', what: 'a spoilt signature', code: 'key-bogus', says: /signature|verif/i },
  { name: 'stripped.libreswan.org', what: 'a missing signature', code: 'key-bogus', says: /sign|RRSIG/i },
  { name: 'expired.libreswan.org', what: 'an expired signature', code: 'key-bogus', says: /expire/i },
  {
    name: 'other.libreswan.org',
    what: "another name's record and signature",
    code: 'key-bogus',
    says: /signature|verif/i,
  },
  { name: 'oe.unsigned.org', what: 'a key in an unsigned zone', code: 'key-insecure', says: /not signed/i },
  {
    name: 'wrongkey.libreswan.org',
    what: "another host's key, properly signed",
    code: undefined,
    says: /key|auth/i,
  },
] as const;

export const scenario: Scenario = {
  title:
    'IPSECKEY bogus, unsigned, expired, of another name: no SA, a reason, and SERVFAIL where private is wanted',
  timeoutMs: 120_000,
  run: async ({ lab, check, say }) => {
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    const opportunistic = await startOe(lab.client, lab.logs);
    for (const { name, what, code, says } of bad) {
      const [answer] = await ask(lab.client, [name]);
      check(
        answer?.rcode === 'NOERROR' && answer.answers.includes(server.v4),
        `${name} (${what}): answered`,
        JSON.stringify(answer),
      );
      check((await xfrmStates(lab.client)).length === 0, '… and no SA stands');
      const { verdict } = await opportunistic.why(name);
      say(`oe why: ${verdict.sentence}`);
      check(
        verdict.state === 'clear' &&
          (code === undefined || verdict.code === code) &&
          says.test(verdict.sentence),
        `… oe why says which and why${code === undefined ? '' : ` (${code})`}`,
        JSON.stringify(verdict),
      );
    }
    await opportunistic.daemon.stop();

    await startOe(lab.client, lab.logs, { rules: [['*', 'private']] });
    const before = Date.now() / 1000;
    for (const { name, what } of bad) {
      const [answer] = await ask(lab.client, [name]);
      const error = answer?.ede[0];
      check(
        answer?.rcode === 'SERVFAIL' && error !== undefined && error.text !== '',
        `${name} (${what}) under private: SERVFAIL with an Extended DNS Error`,
        JSON.stringify(answer),
      );
      say(`EDE ${error?.code ?? '–'}: ${error?.text ?? ''}`);
      await lab.client.run(['curl', '-s', '-m', '1', `http://${name}/`]);
    }
    const clear = between(await lab.packets(), client.v4, server.v4).filter(
      (p) => p.kind === 'clear' && p.at > before,
    );
    check(
      clear.length === 0,
      'no clear packet reached the server under private',
      clear.map((p) => p.what).join(', '),
    );

    // The same agent, the same server: what is right still works, so the refusals above were not for want of a peer.
    const [good] = await ask(lab.client, ['four.libreswan.org']);
    check(good?.rcode === 'NOERROR', 'a proper key is still accepted', JSON.stringify(good));
    check((await xfrmStates(lab.client)).length === 2, '… with an SA each way');
  },
};
