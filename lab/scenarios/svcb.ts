import type { Dig } from '../../src/oe/dig.ts';
import { startLibreswan } from '../guest/libreswan.ts';
import { blackhole, client, plain, server } from '../guest/names.ts';
import { startOe, type Oe } from '../guest/oe.ts';
import { between, tally } from '../guest/pcap.ts';
import type { Scenario } from '../guest/scenario.ts';
import { xfrmStates } from '../guest/xfrm.ts';

export const scenario: Scenario = {
  title:
    'HTTPS records: the addresses that they hint at are protected before they are told, and ANY tells none',
  timeoutMs: 300_000,
  run: async ({ lab, check, say }) => {
    await startLibreswan(lab.server, {
      own: 'rsa',
      peer: 'anonymous',
      groups: { 'clear-or-private': ['198.18.1.0/24'] },
    });
    /** As a program does that goes by the hints alone: no question for addresses. */
    const visit = async (dig: Dig): Promise<void> => {
      for (const hint of hintsOf(dig))
        await lab.client.run(['curl', '-s', '-m', '2', '-o', '/dev/null', `http://${hint}/`]);
    };
    const clearTo = async (address: string, since: number): Promise<string> => {
      const seen = between(await lab.packets(), client.v4, address).filter((p) => p.at >= since);
      say(`the middle saw between ${client.v4} and ${address}: ${tally(seen)}`);
      return seen
        .filter((p) => p.kind === 'clear')
        .map((p) => p.what)
        .join(', ');
    };

    const open = await startOe(lab.client, lab.logs);
    let began = Date.now() / 1_000;
    const web = await digIn(open, 'web.libreswan.org', 'HTTPS');
    check(hintsOf(web).join() === server.v4, 'the answer for web has its hint', JSON.stringify(web.answer));
    check((await xfrmStates(lab.client)).length > 0, '… and when it comes the SA stands');
    await visit(web);
    check((await clearTo(server.v4, began)) === '', '… so that the first packet to it is protected');
    const strange = await digIn(open, 'strange.libreswan.org', 'HTTPS');
    check(
      hintsOf(strange).join() === server.v4,
      'a hint that is no address of the host is left out',
      JSON.stringify(strange.answer),
    );
    const any = await digIn(open, 'web.libreswan.org', 'ANY');
    check(any.answer.join().includes('RFC8482'), 'ANY tells no address', JSON.stringify(any.answer));
    await open.daemon.stop();

    const names = ['web', 'webhole', 'strange', 'front', 'leads'].map((n) => `${n}.libreswan.org`);
    const strict = await startOe(lab.client, lab.logs, { rules: names.map((n) => [n, 'private']) });
    began = Date.now() / 1_000;
    for (const [name, wanted] of [
      ['web', 'told'],
      ['front', 'told'],
      ['strange', 'told'],
      ['webhole', 'withheld'],
      ['leads', 'withheld'],
    ] as const) {
      const dig = await digIn(strict, `${name}.libreswan.org`, 'HTTPS');
      const isTold = dig.rcode === 'NOERROR' && dig.answer.length > 0;
      check(isTold === (wanted === 'told'), `private ${name} is ${wanted}`, JSON.stringify(dig));
      if (!isTold) {
        check(
          dig.rcode === 'SERVFAIL' && dig.ede !== null,
          '… by SERVFAIL with a reason',
          JSON.stringify(dig.ede),
        );
        say(`EDE ${dig.ede?.code ?? '–'}: ${dig.ede?.text ?? ''}`);
      }
      check(!hintsOf(dig).includes(plain.v4), '… and leads to no host without a key');
      await visit(dig);
      await digIn(strict, `${name}.libreswan.org`, 'ANY');
    }
    for (const address of [server.v4, blackhole.v4, plain.v4])
      check((await clearTo(address, began)) === '', `not one clear packet to ${address}`);
  },
};

async function digIn(oe: Oe, name: string, type: string): Promise<Dig> {
  const ran = await oe.run('dig', name, type, '--json');
  return JSON.parse(ran.stdout) as Dig;
}

/** The addresses of an HTTPS answer. */
function hintsOf(dig: Dig): string[] {
  return dig.answer.flatMap((record) => / HTTPS .*ipv4hint=([\d.,]+)/.exec(record)?.[1]?.split(',') ?? []);
}
