import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A signed tree: the root, `bench.`, and zones with hosts below it. */
export const zoneCount = 100;
/** Hosts of a zone that are asked for to warm the programs' code up, and those that are measured. */
export const [warmUpHosts, hostsPerZone] = [20, 100];

/** Host `i` of zone `zone`. */
export function hostName(zone: number, i: number): string {
  return `host${i}.z${zone}.bench`;
}

/** Where the zones lie, as the programs in the root see it. */
export const inside = '/lab/out';

/**
 * Writes the zones and signs each with a key of its own (ECDSA P-256, NSEC), and writes NSD's configuration and the
 * trust anchor. `work` is `/lab/out` for what runs in `root`.
 */
export function makeZones(root: string, work: string, say: (line: string) => void): void {
  const done = join(work, `zones-${warmUpHosts + hostsPerZone}.done`);
  if (existsSync(done)) return;
  mkdirSync(join(work, 'zones'), { recursive: true });
  const zones = Array.from({ length: zoneCount }, (_, i) => `z${i}.bench`);
  say(`Signing ${zones.length + 2} zones …`);
  const sign = (zone: string, records: readonly string[]): string => {
    const apex = zone === '.' ? '.' : `${zone}.`;
    const name = zone === '.' ? 'root' : zone;
    const head = [
      `$ORIGIN ${apex}`,
      `$TTL 3600`,
      `@ SOA ns.bench. hostmaster.bench. 1 3600 600 86400 3600`,
      '@ NS ns.bench.',
    ];
    writeFileSync(join(work, 'zones', name), `${[...head, ...records].join('\n')}\n`);
    // One key for all (a CSK), and a hundred days.
    const script = `cd ${inside}/zones; k=$(ldns-keygen -r /dev/urandom -k -a ECDSAP256SHA256 ${apex}); ldns-signzone -e ${day(100)} -i ${day(-1)} -f ${name}.signed ${name} $k; cat $k.ds`;
    const ran = spawnSync('chroot', [root, 'sh', '-ec', script], { encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`signing ${apex} failed: ${ran.stderr}`);
    return ran.stdout.trim();
  };
  const delegations = zones.flatMap((zone, i) => {
    const hosts = Array.from(
      { length: warmUpHosts + hostsPerZone },
      (_, n) => `host${n} A 192.0.2.${(i + n) % 250}`,
    );
    return [`${zone}. NS ns.bench.`, sign(zone, hosts)];
  });
  const top = sign('bench', ['ns A 127.0.0.1', ...delegations]);
  const rootDs = sign('.', ['bench. NS ns.bench.', 'ns.bench. A 127.0.0.1', top]);
  const keys = readdirSync(join(work, 'zones')).filter((f) => /^K\.\+.*\.key$/.test(f));
  writeFileSync(
    join(work, 'root.key'),
    keys.map((f) => readFileSync(join(work, 'zones', f), 'utf8')).join(''),
  );
  writeFileSync(join(work, 'root.ds'), `${rootDs}\n`);
  const all = ['.', 'bench', ...zones];
  writeFileSync(
    join(work, 'nsd.conf'),
    [
      'server:',
      `  ip-address: 127.0.0.1@${authorityPort}`,
      '  username: ""\n  zonesdir: ""\n  pidfile: ""\n  xfrdfile: ""\n  database: ""\n  zonelistfile: ""\n  xfrdir: "/tmp"\n  server-count: 1',
      '  refuse-any: no\n  rrl-ratelimit: 0',
      'remote-control:\n  control-enable: no',
      ...all.map(
        (zone) =>
          `zone:\n  name: "${zone}"\n  zonefile: "${inside}/zones/${zone === '.' ? 'root' : zone}.signed"`,
      ),
    ].join('\n'),
  );
  writeFileSync(done, '');
}

export const authorityPort = 5400;

/** `20261125`, so many days from now. */
function day(from: number): string {
  return new Date(Date.now() + from * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
}
