import { ask } from '../guest/expect.ts';
import { authorities, client, plain, resolver } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { between } from '../guest/pcap.ts';
import type { Scenario, Stage } from '../guest/scenario.ts';
import { anchorFile } from '../guest/topology.ts';

export const scenario: Scenario = {
  title: 'oe iterates from the root itself: validated, with shortened names, and curl works',
  timeoutMs: 60_000,
  run: async (stage) => {
    const { lab, check, say } = stage;
    const oe = await startOe(lab.client, lab.logs, {
      dns: [
        'mode = "recurse"',
        'root-hints = "/lab/zones/root.hints"',
        `trust-anchor-file = "${anchorFile}"`,
      ],
    });
    for (const name of ['plain.libreswan.org', 'plain.unsigned.org']) {
      const page = await lab.client.run(['curl', '-s', '-S', '-m', '5', `http://${name}/`]);
      check(page.stdout.includes('Hello from the plain'), `curl http://${name}/ works`, page.stderr.trim());
    }
    const verdicts: readonly (readonly [string, string])[] = [
      ['plain.libreswan.org', 'secure'],
      ['plain.unsigned.org', 'insecure'],
      ['nowhere.libreswan.org', 'secure'],
    ];
    for (const [name, wanted] of verdicts) {
      const found = (await oe.why(name)).questions.find((q) => q.type === 'A');
      check(found?.status === wanted, `${name} is ${wanted}`, found?.why ?? JSON.stringify(found));
    }
    const bogus = await ask(lab.client, ['bogus.libreswan.org'], { type: 'IPSECKEY' });
    check(bogus[0]?.rcode === 'SERVFAIL', 'a bogus record is SERVFAIL', JSON.stringify(bogus));

    const asked = await questions(stage);
    const seenBy = (server: string): string[] => asked.filter((q) => q.server === server).map((q) => q.name);
    say(`the root saw ${seenBy(authorities.root).join(' ')}`);
    say(`org saw ${seenBy(authorities.org).join(' ')}`);
    check(seenBy(authorities.leaf).includes('plain.libreswan.org'), 'the zone itself sees the whole name');
    const labels = (name: string): number => name.split('.').filter((l) => l !== '').length;
    check(
      seenBy(authorities.root).every((n) => labels(n) <= 1 || n.endsWith('arpa')) &&
        seenBy(authorities.root).length > 0,
      'the root sees no more than top-level names',
      seenBy(authorities.root).join(' '),
    );
    check(
      seenBy(authorities.org).every((n) => labels(n) <= 2) && seenBy(authorities.org).length > 0,
      'org sees no more than names below itself',
      seenBy(authorities.org).join(' '),
    );
    check(
      between(await lab.packets(), client.v4, resolver).length === 0,
      'no resolver was asked for anything',
    );
    check(
      (await ask(lab.client, ['p1.libreswan.org']))[0]?.answers.includes(plain.v4) ?? false,
      'and names go on resolving',
    );
  },
};

/** What the client asked of name servers, as the middle saw it; letters in small, since their case is chance (0x20). */
async function questions({ lab }: Stage): Promise<{ readonly server: string; readonly name: string }[]> {
  await lab.packets();
  const read = ['tcpdump', '-n', '-r', lab.recording, 'dst port 53'];
  const out = await lab.middle.must(read);
  return [...out.matchAll(/> ([\d.]+)\.53: .*? \w+\? (\S+) /g)].map(([, server = '', name = '']) => ({
    server,
    name: name.toLowerCase().replace(/\.$/, ''),
  }));
}
