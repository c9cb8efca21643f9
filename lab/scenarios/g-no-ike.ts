import { ask } from '../guest/expect.ts';
import { blackhole, client, noIke } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between, tally } from '../guest/pcap.ts';
import type { Scenario } from '../guest/scenario.ts';

/** `gate.budget-ms` by default, and what the lab's slow processes may add. */
const budgetMs = 1_500 + 500;
const atOnceMs = 100;

export const scenario: Scenario = {
  title: 'a server without IKE: opportunistic goes clear after its budget and remembers, private never leaks',
  timeoutMs: 90_000,
  run: async ({ lab, check, say }) => {
    const oe = await startOe(lab.client, lab.logs, { rules: [['hole.libreswan.org', 'private']] });
    // The first lookup of all pays for the chain of trust and for code that has just been loaded.
    await ask(lab.client, ['plain.libreswan.org']);
    const asked = await ask(lab.client, Array<string>(2).fill('noike.libreswan.org'));
    const [first, second] = asked;
    say(`answers after ${asked.map((a) => Math.round(a.ms)).join(' and ')} ms`);
    check(
      first?.rcode === 'NOERROR' && first.ms <= budgetMs,
      'the answer comes within the budget',
      JSON.stringify(first),
    );
    check(second?.rcode === 'NOERROR' && second.ms <= atOnceMs, 'the second at once: it is remembered');
    const page = await lab.client.run(['curl', '-s', '-S', '-m', '5', 'http://noike.libreswan.org/']);
    check(page.stdout.includes('Hello'), 'and the page comes, in the clear', page.stderr.trim());
    const { verdict } = await oe.why('noike.libreswan.org');
    check(
      verdict.state === 'clear' && verdict.code === 'no-reply',
      `oe why says why: ${verdict.sentence}`,
      verdict.code ?? '',
    );
    const tried = between(await lab.packets(), client.v4, noIke.v4);
    check(
      tried.some((p) => p.kind === 'ike'),
      `IKE was tried (the middle saw ${tally(tried)})`,
    );

    const [refused] = await ask(lab.client, ['hole.libreswan.org']);
    const error = refused?.ede[0];
    check(
      refused?.rcode === 'SERVFAIL' && error !== undefined,
      'under private the answer is SERVFAIL with a reason',
      JSON.stringify(refused),
    );
    say(`EDE ${error?.code ?? '–'}: ${error?.text ?? ''}`);
    const literal = ['curl', '-s', '-m', '2', `http://${blackhole.v4}/`];
    check((await lab.client.run(literal)).code !== 0, 'its address, used as such, is blocked');
    await oe.daemon.stop('SIGKILL');
    check((await lab.client.run(literal)).code !== 0, 'and still is when oe dies of SIGKILL');
    const seen = between(await lab.packets(), client.v4, blackhole.v4);
    check(
      seen.some((p) => p.kind === 'ike') && seen.every((p) => p.kind === 'ike'),
      `the middle saw nothing but IKE (${tally(seen)})`,
    );
  },
};
