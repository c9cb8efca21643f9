import { readFileSync } from 'node:fs';
import type { Said } from '../guest/verdict-ask.ts';
import { makeTree, owners, servers, types, type Tree, type TreeZone } from '../guest/verdict-tree.ts';
import { startOe } from '../guest/oe.ts';
import { until } from '../guest/process.ts';
import type { Scenario, Stage } from '../guest/scenario.ts';
import { unboundFile, type Lab } from '../guest/topology.ts';

/** Validating resolvers of two makes, and one that does not judge, for `oe` to forward to. */
const [unbound, bind, forwarder] = ['198.18.0.71', '198.18.0.72', '198.18.0.73'];

/** Where the two are known to differ: BIND hands a denial over without AD, unbound, and `oe`, not at all. */
const differ = /the signature of SOA is spoilt/;

const perZone = 22;

/** Always asked: the others are drawn. */
const always: readonly (readonly [owner: string, type: string])[] = [
  ['www', 'A'],
  ['nosuch', 'A'],
  ['www', 'IPSECKEY'],
];

export const scenario: Scenario = {
  title: "every verdict is unbound's and BIND's: zones of three makes, in roll-overs, and damaged",
  timeoutMs: 600_000,
  run: async (stage) => {
    const { lab, check, say } = stage;
    const tree = await makeTree('/lab/verdicts', say);
    await startServers(lab, tree);
    await startResolvers(lab, tree);
    lab.client.write('/etc/lab/verdicts.ds', tree.anchor);
    lab.client.write('/etc/lab/verdicts.hints', tree.hints);
    const questions = drawn(tree.zones);
    check(questions.length >= 2_000, `${questions.length} questions about ${tree.zones.length} zones`);
    for (const mode of ['forward', 'recurse'] as const) {
      const oe = await startOe(lab.client, lab.logs, {
        dns: [
          ...(mode === 'forward'
            ? [`upstreams = ["${forwarder}"]`]
            : ['mode = "recurse"', 'root-hints = "/etc/lab/verdicts.hints"']),
          'trust-anchor-file = "/etc/lab/verdicts.ds"',
        ],
      });
      await compare(stage, mode, questions);
      await oe.daemon.stop();
      // What it knows must not answer for the other mode.
      await lab.client.must(['rm', '-rf', '/var/lib/oe']);
    }
  },
};

interface Question {
  readonly zone: TreeZone;
  readonly name: string;
  readonly type: string;
}

async function compare(
  { lab, check, say }: Stage,
  mode: string,
  questions: readonly Question[],
): Promise<void> {
  lab.client.write('/tmp/questions.json', JSON.stringify(questions.map(({ name, type }) => [name, type])));
  const program = ['/oe/node_modules/node/bin/node', '/oe/lab/guest/verdict-ask.ts'];
  await lab.client.must(
    [...program, '/tmp/questions.json', '/tmp/said.json', '127.0.0.1', unbound, bind],
    240_000,
  );
  const said = JSON.parse(readFileSync(lab.client.path('/tmp/said.json'), 'utf8')) as [Said, Said, Said][];
  const counts = new Map<string, number>();
  let [same, split] = [0, 0];
  const wrong: string[] = [];
  questions.forEach(({ zone, name, type }, i) => {
    const [ours, theirs, third] = said[i] ?? [];
    if (!ours || !theirs || !third) return;
    counts.set(ours.verdict, (counts.get(ours.verdict) ?? 0) + 1);
    const line = `${name} ${type} (${zone.make}: ${zone.what}): oe ${shown(ours)}, unbound ${shown(theirs)}, BIND ${shown(third)}`;
    const [one, other] = [equal(ours, theirs), equal(ours, third)];
    if (one && other) same += 1;
    else if (one && differ.test(zone.what)) split += 1;
    else wrong.push(line);
  });
  const verdicts = [...counts].map(([verdict, n]) => `${n} ${verdict}`).join(', ');
  say(`${mode}: ${verdicts}; ${same} as both, ${split} where unbound and BIND differ`);
  for (const line of wrong.slice(0, 200)) say(line);
  check(
    wrong.length === 0,
    `${mode}: no verdict is different from unbound's and BIND's`,
    `${wrong.length} are`,
  );
}

/** What comes beside SERVFAIL is nothing that anybody reads. */
function equal(a: Said, b: Said): boolean {
  if (a.verdict !== b.verdict || a.rcode !== b.rcode) return false;
  return a.verdict === 'bogus' || a.answer.join('\n') === b.answer.join('\n');
}

function shown({ verdict, rcode, answer, why }: Said): string {
  return `${verdict} ${rcode} ${answer.length}${why === '' ? '' : ` [${why}]`}`;
}

/** For each zone what is always asked and a draw of the rest, the same each time. */
function drawn(zones: readonly TreeZone[]): Question[] {
  let state = 20_261_125;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  return zones.flatMap((zone) => {
    const all = owners.flatMap((owner) => types.map((type) => [owner, type] as const));
    const chosen = [...always];
    while (chosen.length < (zone.what.startsWith('unsigned') ? 6 : perZone)) {
      const pick = all[random(all.length)];
      if (pick && !chosen.some(([o, t]) => o === pick[0] && t === pick[1])) chosen.push(pick);
    }
    return chosen.map(([owner, type]) => ({ zone, type, name: nameIn(owner, zone.name) }));
  });
}

function nameIn(owner: string, zone: string): string {
  if (zone === '.') return owner === '' ? '.' : owner;
  return owner === '' ? zone : `${owner}.${zone}`;
}

async function startServers(lab: Lab, tree: Tree): Promise<void> {
  await lab.dns.ip(
    [...Object.values(servers), unbound, bind, forwarder].map((a) => `addr add ${a}/24 dev eth0`),
  );
  const of = (make: string): TreeZone[] => tree.zones.filter((zone) => zone.make === make);
  lab.dns.write(
    '/etc/lab/named-auth.conf',
    `options { directory "/tmp"; pid-file none; listen-on { ${servers.bind}; }; listen-on-v6 { none; }; recursion no; notify no; minimal-responses yes; check-names primary ignore; session-keyfile none; };\ncontrols { };\n` +
      of('bind')
        .map((z) => `zone "${z.name}" { type primary; file "${z.file}"; check-integrity no; };\n`)
        .join(''),
  );
  lab.dns.start(['named', '-g', '-c', '/etc/lab/named-auth.conf'], 'named-auth');
  lab.dns.write(
    '/etc/lab/knot.conf',
    `server:\n    listen: ${servers.knot}@53\n    rundir: "/run/knot"\ndatabase:\n    storage: "/var/lib/knot"\ntemplate:\n  - id: default\n    semantic-checks: soft\n    journal-content: none\n    zonefile-load: whole\nzone:\n` +
      of('knot')
        .map((z) => `  - domain: "${z.name}"\n    file: "${z.file}"\n`)
        .join(''),
  );
  lab.dns.start(['sh', '-c', 'mkdir -p /run/knot /var/lib/knot; exec knotd -c /etc/lab/knot.conf'], 'knotd');
  lab.dns.write(
    '/etc/lab/nsd-verdicts.conf',
    `server:\n ip-address: ${servers.nsd}\n username: ""\n chroot: ""\n server-count: 1\n pidfile: ""\n xfrdir: "/tmp"\n zonelistfile: "/tmp/verdicts.list"\n xfrdfile: ""\n database: ""\n minimal-responses: yes\nremote-control:\n control-enable: no\n` +
      of('nsd')
        .map((z) => `zone:\n name: "${z.name}"\n zonefile: "${z.file}"\n`)
        .join(''),
  );
  lab.dns.start(['nsd', '-d', '-c', '/etc/lab/nsd-verdicts.conf'], 'nsd-verdicts');
}

async function startResolvers(lab: Lab, tree: Tree): Promise<void> {
  lab.dns.write('/etc/lab/verdicts.hints', tree.hints);
  lab.dns.write('/etc/lab/verdicts.ds', tree.anchor);
  for (const [address, modules] of [
    [unbound, 'validator iterator'],
    [forwarder, 'iterator'],
  ] as const) {
    lab.dns.write(
      `/etc/lab/unbound-${address}.conf`,
      unboundFile([
        `interface: ${address}`,
        `outgoing-interface: ${address}`,
        'access-control: 198.18.0.0/15 allow',
        'ede: yes',
        `module-config: "${modules}"`,
        'root-hints: "/etc/lab/verdicts.hints"',
        ...(modules.startsWith('validator') ? ['trust-anchor-file: "/etc/lab/verdicts.ds"'] : []),
      ]),
    );
    lab.dns.start(['unbound', '-d', '-c', `/etc/lab/unbound-${address}.conf`], `unbound-${address}`);
  }
  const [, tag = '', algorithm = '', type = '', digest = ''] =
    /DS\s+(\d+)\s+(\d+)\s+(\d+)\s+([0-9A-F]+)/i.exec(tree.anchor) ?? [];
  lab.dns.write(
    '/etc/lab/named.conf',
    `options { directory "/tmp"; pid-file none; listen-on { ${bind}; }; listen-on-v6 { none; }; query-source address ${bind}; recursion yes; allow-query { any; }; allow-recursion { any; }; dnssec-validation yes; empty-zones-enable no; session-keyfile none; };\ncontrols { };\n` +
      `trust-anchors { . static-ds ${tag} ${algorithm} ${type} "${digest}"; };\nzone "." { type hint; file "/etc/lab/verdicts.hints"; };\n`,
  );
  lab.dns.start(['named', '-g', '-c', '/etc/lab/named.conf'], 'named');
  for (const address of [unbound, bind, forwarder]) {
    const up = await until(
      async () => {
        const ran = await lab.client.run(
          ['dig', '+short', '+time=2', '+tries=1', `@${address}`, 'www.a13-nsec.nsd'],
          5_000,
        );
        return ran.stdout.includes('198.18.3.1');
      },
      30_000,
      500,
    );
    if (up === undefined)
      throw new Error(`the resolver at ${address} does not answer; its log is beside this one`);
  }
}
