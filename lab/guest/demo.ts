/** The show-case, inside the lab's kernel: a lookup, what was proved, the handshake, and what the middle saw of it. */
import { mkdirSync } from 'node:fs';
import type { Why } from '../../src/oe/why.ts';
import { makeGround } from './ground.ts';
import { startLibreswan } from './libreswan.ts';
import { client, server } from './names.ts';
import { startOe } from './oe.ts';
import { between, tally, type Packet } from './pcap.ts';
import { Lab } from './topology.ts';

const logs = '/lab/out/demo';
const name = 'oe.libreswan.org';
const bold = (text: string): string => `\n\u001B[1m${text}\u001B[0m`;

mkdirSync(logs, { recursive: true });
const { zones } = await makeGround();
const lab = await Lab.make(logs, zones);
await startLibreswan(lab.server, {
  own: 'rsa',
  peer: 'anonymous',
  groups: { 'clear-or-private': ['198.18.1.0/24', '2001:2:0:1::/64'] },
});
console.log(bold('The world'));
console.log(`A server, ${server.v4} and ${server.v6}: a web server, and libreswan with an RSA key.`);
console.log(
  `Signed DNS: the root, org, and libreswan.org, where that key is published as the IPSECKEY of ${name}.`,
);
console.log(
  `A client, ${client.v4} and ${client.v6}: oe up, and an /etc/resolv.conf that says nameserver 127.0.0.1.`,
);
console.log('Between them a middle that records every packet.');

const oe = await startOe(lab.client, logs);
console.log(bold(`$ curl http://${name}/`));
const began = Date.now() / 1000;
const page = await lab.client.run([
  ...[
    'curl',
    '-s',
    '-S',
    '-m',
    '10',
    '-w',
    '%{remote_ip} %{time_namelookup} %{time_total}',
    `http://${name}/`,
  ],
]);
const body = page.stdout.split('\n').slice(0, -1).join('\n');
const [address = '', lookup, total] = page.stdout.split('\n').at(-1)?.split(' ') ?? [];
console.log(page.code === 0 ? body : page.stderr);
console.log(
  `The answer was held for ${ms(lookup)}, until the kernel had confirmed both SAs; the page came after ${ms(total)}, from ${address}.`,
);

const why = await oe.why(name);
tellQuestions(why);
const own = address.includes(':') ? client.v6 : client.v4;
const packets = (await lab.packets()).filter((p) => p.at >= began);
const seen = between(packets, own, address);
tellPackets(packets, own, address);

console.log(bold('$ oe status'));
console.log((await oe.run('status')).stdout.trimEnd());
console.log(bold(`$ oe why ${name}`));
console.log((await oe.run('why', name)).stdout.trimEnd());

const encrypted =
  page.code === 0 && seen.some((p) => p.kind === 'esp') && !seen.some((p) => p.kind === 'clear');
console.log(
  bold(
    encrypted
      ? `The middle saw ${tally(seen)} between the two, and could read none of it.`
      : `This is not what should be seen: ${tally(seen)} between the two.`,
  ),
);
await oe.daemon.stop();
process.exit(encrypted ? 0 : 1);

function tellQuestions(asked: Why): void {
  console.log(bold('What was asked, and what was proved'));
  for (const question of asked.questions) {
    const answers = question.answers.map((a) => (a.length > 60 ? `${a.slice(0, 60)}…` : a));
    console.log(
      `${question.name} ${question.type}: ${answers.join(', ') || question.rcode}\n  ${question.status}` +
        `${question.why === null ? '' : ` (${question.why})`}: ${question.chain.join(' → ')}`,
    );
  }
}

/** Every packet of the handshake, and the rest by count: it all looks alike. */
function tellPackets(all: readonly Packet[], own: string, peer: string): void {
  console.log(bold('What the middle saw'));
  const interesting = all.filter((p) => p.kind === 'dns' || p.source === peer || p.destination === peer);
  let run: { readonly first: Packet; count: number } | undefined;
  const flush = (): void => {
    if (!run) return;
    const { first, count } = run;
    const direction = first.source === own ? 'client →' : first.destination === own ? 'client ←' : '        ';
    const after = `${Math.round((first.at - began) * 1000)} ms`.padStart(8);
    console.log(
      `${after}  ${direction} ${first.what}${count > 1 ? ` ×${count}` : ''}, ${first.octets} octets`,
    );
    run = undefined;
  };
  for (const packet of interesting) {
    if (
      run &&
      run.first.what === packet.what &&
      (run.first.source === packet.source || packet.kind === 'dns')
    ) {
      run.count += 1;
      continue;
    }
    flush();
    run = { first: packet, count: 1 };
  }
  flush();
}

function ms(seconds: string | undefined): string {
  return `${Math.round(Number(seconds) * 1000)} ms`;
}
