import { client, resolver } from '../guest/names.ts';
import type { Node } from '../guest/node.ts';
import { startOe } from '../guest/oe.ts';
import { tally } from '../guest/pcap.ts';
import { must, until } from '../guest/process.ts';
import type { Scenario, Stage } from '../guest/scenario.ts';
import { anchorFile, unboundFile } from '../guest/topology.ts';

const rootHints = '/lab/zones/root.hints';
const directory = '/lab/anchor/tls';
const authority = `${directory}/ca.pem`;
const serverName = 'dns.lab.example';

/** Each make's ports for DNS over TLS and over HTTPS. */
const ports = { unbound: [853, 443], bind: [8853, 8443], knot: [7853, 7443] } as const;

interface Attempt {
  readonly title: string;
  readonly upstream: string;
  /** The only port that the middle may see. */
  readonly port: number;
  readonly strict: boolean;
}

export const scenario: Scenario = {
  title:
    'DNS over TLS and HTTPS to unbound, BIND and Knot Resolver: nothing readable, and no wrong certificate',
  timeoutMs: 420_000,
  run: async (stage) => {
    const { lab } = stage;
    await makeCertificates();
    startUnbound(lab.dns);
    startBind(lab.dns);
    startKnot(lab.dns);
    for (const [make, pair] of Object.entries(ports)) {
      for (const port of pair) await listening(stage, make, port);
    }
    const attempts = Object.entries(ports).flatMap(([make, [dot, doh]]): Attempt[] => [
      {
        title: `DNS over TLS to ${make}, strict`,
        upstream: `tls://${resolver}:${dot}#${serverName}`,
        port: dot,
        strict: true,
      },
      {
        title: `DNS over HTTPS to ${make}`,
        upstream: `https://${resolver}:${doh}/dns-query#${serverName}`,
        port: doh,
        strict: true,
      },
    ]);
    attempts.push({
      title: 'DNS over TLS to unbound, opportunistic',
      upstream: `tls://${resolver}`,
      port: 853,
      strict: false,
    });
    for (const attempt of attempts) await works(stage, attempt);
    await refused(
      stage,
      `tls://${resolver}#other.example`,
      [authority],
      /is for dns\.lab\.example and not for other\.example/,
    );
    await refused(
      stage,
      `https://${resolver}/dns-query#other.example`,
      [authority],
      /is for dns\.lab\.example and not for other\.example/,
    );
    await refused(
      stage,
      `tls://${resolver}#${serverName}`,
      [],
      /is from an authority that this host does not know/,
    );
  },
};

async function works(stage: Stage, { title, upstream, port, strict }: Attempt): Promise<void> {
  const { lab, check, say } = stage;
  const target = freshName();
  const began = Date.now() / 1000;
  const oe = await startOe(lab.client, lab.logs, { dns: dnsLines(upstream, strict ? [authority] : []) });
  const page = await lab.client.run(
    ['curl', '-4', '-sS', '-m', '20', '-w', '%{time_namelookup}', `http://${target}/`],
    30_000,
  );
  check(page.code === 0 && page.stdout.includes('Hello'), `${title}: curl works`, page.stderr.trim());
  const why = await oe.why(target);
  check(why.verdict.state === 'clear', `${title}: oe why tells the same`, why.verdict.sentence);
  const dns = await lab.client.run([
    'dig',
    '+time=5',
    '+tries=1',
    '+noall',
    '+comments',
    '@127.0.0.1',
    target,
  ]);
  check(/flags:[^;]* ad[ ;]/.test(dns.stdout), `${title}: the answer is validated`, dns.stdout);
  await oe.daemon.stop();
  const seen = (await lab.packets()).filter(
    (p) => p.at >= began - 0.2 && (p.source === client.v4 || p.destination === client.v4),
  );
  const open = seen.filter((p) => p.kind === 'dns');
  check(open.length === 0, `${title}: the middle saw no DNS`, tally(open));
  check(
    seen.some((p) => p.what === `TCP ${port}`),
    `${title}: but TCP ${port}`,
    tally(seen),
  );
  say(`${title}: the name after ${Math.round(Number(page.stdout.split('\n').at(-1)) * 1_000)} ms`);
}

async function refused(
  stage: Stage,
  upstream: string,
  authorities: readonly string[],
  sentence: RegExp,
): Promise<void> {
  const { lab, check, say } = stage;
  const target = freshName();
  const began = Date.now() / 1000;
  const oe = await startOe(lab.client, lab.logs, { dns: dnsLines(upstream, authorities) });
  const page = await lab.client.run(['curl', '-4', '-sS', '-m', '20', `http://${target}/`], 30_000);
  check(page.code !== 0, `${upstream} is refused: curl fails`, page.stdout);
  const why = JSON.stringify(await oe.why(target));
  check(sentence.test(why), 'and oe why says what is wrong with the certificate', why);
  say(sentence.exec(why)?.[0] ?? 'nothing');
  await oe.daemon.stop();
  const open = (await lab.packets()).filter(
    (p) => p.at >= began - 0.2 && p.kind === 'dns' && p.source === client.v4,
  );
  check(open.length === 0, 'and nothing was asked in the clear instead', tally(open));
}

/** What was looked up is remembered from one run of oe to the next. */
function freshName(): string {
  return `p${++namesUsed}.libreswan.org`;
}

let namesUsed = 0;

function dnsLines(upstream: string, authorities: readonly string[]): string[] {
  return [
    `upstreams = ["${upstream}"]`,
    `trust-anchor-file = "${anchorFile}"`,
    ...authorities.map((file) => `ca-file = "${file}"`),
  ];
}

async function makeCertificates(): Promise<void> {
  await must([
    'sh',
    '-ec',
    [
      `mkdir -p ${directory}; cd ${directory}`,
      'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=lab',
      `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.pem -days 2 -subj /CN=server -addext subjectAltName=DNS:${serverName} -addext basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key`,
      'chmod 644 server.key',
    ].join('\n'),
  ]);
}

async function listening({ lab }: Stage, make: string, port: number): Promise<void> {
  const up = await until(async () => {
    const ran = await lab.client.run(['sh', '-c', `busybox nc -w 1 ${resolver} ${port} </dev/null`]);
    return ran.code === 0 ? true : undefined;
  }, 15_000);
  if (up === undefined)
    throw new Error(`${make} does not listen at ${resolver}:${port}; its log is beside this one`);
}

function startUnbound(node: Node): void {
  node.write(
    '/etc/lab/unbound-tls.conf',
    unboundFile([
      ...ports.unbound.map((port) => `interface: ${resolver}@${port}`),
      'tls-port: 853',
      'https-port: 443',
      `tls-service-key: "${directory}/server.key"`,
      `tls-service-pem: "${directory}/server.pem"`,
      'module-config: "iterator"',
      'access-control: 198.18.0.0/15 allow',
      `root-hints: "${rootHints}"`,
      `outgoing-interface: ${resolver}`,
    ]),
  );
  node.start(['unbound', '-d', '-c', '/etc/lab/unbound-tls.conf'], 'unbound-tls');
}

function startBind(node: Node): void {
  const [dot, doh] = ports.bind;
  node.write(
    '/etc/lab/named-tls.conf',
    [
      `tls lab { cert-file "${directory}/server.pem"; key-file "${directory}/server.key"; };`,
      'options {',
      'directory "/tmp"; pid-file none; session-keyfile none; recursion yes; dnssec-validation no;',
      'allow-query { any; }; allow-recursion { any; }; empty-zones-enable no; listen-on-v6 { none; };',
      `listen-on port ${dot} tls lab { ${resolver}; };`,
      `listen-on port ${doh} tls lab http default { ${resolver}; };`,
      `query-source address ${resolver};`,
      '};',
      'controls { };',
      `zone "." { type hint; file "${rootHints}"; };`,
      '',
    ].join('\n'),
  );
  node.start(['named', '-g', '-n', '1', '-c', '/etc/lab/named-tls.conf'], 'named-tls');
}

function startKnot(node: Node): void {
  const [dot, doh] = ports.knot;
  node.write(
    '/etc/lab/kresd-tls.conf',
    [
      `net.tls("${directory}/server.pem", "${directory}/server.key")`,
      `net.listen('${resolver}', ${dot}, { kind = 'tls' })`,
      `net.listen('${resolver}', ${doh}, { kind = 'doh2' })`,
      'net.ipv6 = false',
      `net.outgoing_v4('${resolver}')`,
      "modules = { 'hints > iterate' }",
      `hints.root_file('${rootHints}')`,
      "trust_anchors.remove('.')",
      'cache.size = 10 * MB',
      '',
    ].join('\n'),
  );
  node.start(['kresd', '-n', '-c', '/etc/lab/kresd-tls.conf', '/tmp'], 'kresd-tls');
}
