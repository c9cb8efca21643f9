import { ask } from '../guest/expect.ts';
import { client, plain, resolver } from '../guest/names.ts';
import { startOe } from '../guest/oe.ts';
import { tally, type Packet } from '../guest/pcap.ts';
import { until, type Ran } from '../guest/process.ts';
import type { Scenario, Stage } from '../guest/scenario.ts';

const host = 'plain.libreswan.org';

export const scenario: Scenario = {
  title: 'curl, git, ssh and a browser work with oe as the only resolver of the client',
  timeoutMs: 180_000,
  run: async (stage) => {
    const { lab, check } = stage;
    const oe = await startOe(lab.client, lab.logs);
    const resolvers = await lab.client.must(['cat', '/etc/resolv.conf']);
    check(resolvers.trim() === 'nameserver 127.0.0.1', 'the client knows no other resolver', resolvers);
    await serveGit(stage);
    await serveSsh(stage);

    const began = Date.now() / 1000;
    works(stage, 'curl', await lab.client.run(['curl', '-sS', '-m', '20', `http://${host}/`], 30_000));
    works(
      stage,
      'git',
      await lab.client.run(
        ['sh', '-c', `git clone -q git://${host}/hello /tmp/hello && cat /tmp/hello/README`],
        30_000,
      ),
    );
    works(
      stage,
      'ssh',
      await lab.client.run(
        [
          ...['ssh', '-i', '/run/id', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=20'],
          ...['-o', 'StrictHostKeyChecking=accept-new', '-o', 'UserKnownHostsFile=/tmp/known'],
          ...[`root@${host}`, 'echo Hello from the shell'],
        ],
        30_000,
      ),
    );
    await browse(stage);

    const gone = await lab.client.run(['curl', '-sS', '-m', '20', 'http://nowhere.libreswan.org/'], 30_000);
    check(
      gone.stderr.includes('Could not resolve host'),
      'curl says that a name does not exist',
      gone.stderr.trim(),
    );
    for (const [name, type] of [
      ['use-application-dns.net', 'A'],
      ['_dns.resolver.arpa', 'SVCB'],
    ] as const) {
      const [answer] = await ask(lab.client, [name], { type });
      check(
        answer !== undefined && answer.rcode !== 'TIMEOUT' && answer.answers.length === 0,
        `${name} ${type} tells applications to stay here`,
        JSON.stringify(answer),
      );
    }
    const sent = (await lab.packets()).filter((p) => p.at >= began - 0.2 && p.source === client.v4);
    const elsewhere = sent.filter((p) => p.destination !== resolver && p.kind === 'dns');
    check(elsewhere.length === 0, 'no program asked another resolver', tally(elsewhere));
    const encrypted = sent.filter(isEncryptedDns);
    check(encrypted.length === 0, 'nor one over TLS or HTTPS', tally(encrypted));
    await oe.daemon.stop();
  },
};

/** With its usual settings: nothing forbids it to go around the stub. */
async function browse(stage: Stage): Promise<void> {
  const { lab, say } = stage;
  const browser = '/usr/bin/chromium-headless-shell';
  if ((await lab.client.run(['test', '-x', browser])).code !== 0) {
    say('there is no browser here, so none was tried');
    return;
  }
  const began = Date.now();
  const page = await lab.client.run(
    ['env', 'HOME=/tmp', browser, '--no-sandbox', '--disable-gpu', '--dump-dom', `http://${host}/`],
    120_000,
  );
  works(stage, 'chromium', page);
  say(`chromium took ${Math.round((Date.now() - began) / 1000)} s`);
}

function works({ check }: Stage, program: string, ran: Ran): void {
  check(
    ran.code === 0 && ran.stdout.includes('Hello from'),
    `${program} works`,
    ran.stderr.trim().slice(-300),
  );
}

function isEncryptedDns({ what }: Packet): boolean {
  return ['TCP 443', 'TCP 853', 'UDP 443', 'UDP 853'].includes(what);
}

async function serveGit({ lab }: Stage): Promise<void> {
  await lab.plain.must([
    'sh',
    '-ec',
    [
      'export HOME=/tmp',
      'git init -q /run/git/hello; cd /run/git/hello; echo Hello from the repository >README; git add README',
      'git -c user.name=lab -c user.email=lab@lab commit -qm hello',
    ].join('\n'),
  ]);
  lab.plain.start(
    [
      'env',
      'HOME=/tmp',
      'git',
      '-c',
      'safe.directory=*',
      'daemon',
      '--export-all',
      '--base-path=/run/git',
      '--reuseaddr',
    ],
    'git-daemon',
  );
  await listening(lab.plain, 9418);
}

async function serveSsh({ lab }: Stage): Promise<void> {
  await lab.client.must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', '/run/id']);
  lab.plain.write('/run/ssh/authorized_keys', await lab.client.must(['cat', '/run/id.pub']));
  await lab.plain.must(['sh', '-ec', "mkdir -p /run/sshd; ssh-keygen -q -t ed25519 -N '' -f /run/ssh/host"]);
  lab.plain.write(
    '/run/ssh/config',
    [
      'HostKey /run/ssh/host',
      'AuthorizedKeysFile /run/ssh/authorized_keys',
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      'UseDNS no',
      'PidFile none',
      '',
    ].join('\n'),
  );
  lab.plain.start(['/usr/sbin/sshd', '-D', '-e', '-f', '/run/ssh/config'], 'sshd');
  await listening(lab.plain, 22);
}

async function listening(node: Stage['lab']['plain'], port: number): Promise<void> {
  const up = await until(async () => {
    const ran = await node.run(['sh', '-c', `busybox nc -w 1 ${plain.v4} ${port} </dev/null`]);
    return ran.code === 0 ? true : undefined;
  }, 20_000);
  if (up === undefined) throw new Error(`nothing listens at port ${port} of ${node.name}`);
}
