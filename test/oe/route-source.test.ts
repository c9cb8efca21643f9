import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Routes } from '../../src/dns/finders.ts';
import { nameText } from '../../src/dns/name.ts';
import { formatServer } from '../../src/dns/server-text.ts';
import { OeError } from '../../src/errors.ts';
import { readConfig } from '../../src/oe/io/config-file.ts';
import { RouteSource } from '../../src/oe/io/upstreams.ts';

test('what the configuration names is asked, and nothing is learned', async () => {
  const host = new Host('nameserver 192.0.2.1\n');
  const source = host.source('upstreams = ["tls://192.0.2.9#dns.example"]');
  expect(told(await source.read()).upstreams).toEqual(['tls://192.0.2.9:853#dns.example']);
  host.write('resolv.conf', 'nameserver 192.0.2.2\n');
  expect(await source.changed()).toBeUndefined();
});

test('what the system names is asked, and kept for a start at which it only names ourselves', async () => {
  const host = new Host('nameserver 192.0.2.1\n');
  expect(told(await host.source().read()).upstreams).toEqual(['192.0.2.1:53']);
  expect(readFileSync(host.path('state/upstreams'), 'utf8')).toBe('192.0.2.1:53\n');
  host.write('resolv.conf', 'nameserver 127.0.0.1\n');
  expect(told(await host.source().read()).upstreams).toEqual(['192.0.2.1:53']);
});

test('other resolvers of the system are followed; that it names none is no news', async () => {
  const host = new Host('nameserver 192.0.2.1\n');
  const source = host.source();
  await source.read();
  expect(await source.changed()).toBeUndefined();
  host.write('resolv.conf', 'nameserver 192.0.2.22\n');
  expect(told(await source.changed()).upstreams).toEqual(['192.0.2.22:53']);
  host.write('resolv.conf', '# the link is down\n');
  expect(await source.changed()).toBeUndefined();
});

test('zones of the configuration come before those of the network', async () => {
  const host = new Host('nameserver 192.0.2.1\n');
  host.write('systemd/resolve/netif/2', 'SERVERS=192.0.2.5\nDOMAINS=~corp.example ~vpn.example\n');
  const source = host.source('[[dns.zone]]\nname = "corp.example"\nstub = ["192.0.2.7"]');
  expect(told(await source.read()).zones).toEqual([
    ['corp.example', 'stub', '192.0.2.7:53'],
    ['vpn.example', 'forward', '192.0.2.5:53'],
  ]);
});

test('who iterates asks no resolver but those of zones', async () => {
  const host = new Host('nameserver 192.0.2.1\n');
  host.write('systemd/resolve/netif/2', 'SERVERS=192.0.2.5\nDOMAINS=~vpn.example\n');
  expect(told(await host.source('mode = "recurse"').read())).toEqual({
    upstreams: [],
    zones: [['vpn.example', 'forward', '192.0.2.5:53']],
  });
});

test.each([
  ['upstreams = ["127.0.0.1"]', 'upstream-loop'],
  ['[[dns.zone]]\nname = "corp.example"\nforward = ["127.0.0.1"]', 'upstream-loop'],
  ['', 'no-upstream'],
])('with %j nobody could be asked, and oe says so', async (settings, code) => {
  const host = new Host('nameserver 127.0.0.1\n');
  await expect(host.source(settings).read()).rejects.toThrow(OeError);
  await expect(host.source(settings).read()).rejects.toMatchObject({ code });
});

/** A host with a resolv.conf, a state directory and what is under /run. */
class Host {
  readonly #root = mkdtempSync(join(tmpdir(), 'oe-routes-'));

  constructor(resolvConf: string) {
    cleanups.push(() => {
      rmSync(this.#root, { recursive: true });
    });
    this.write('resolv.conf', resolvConf);
  }

  path(name: string): string {
    return join(this.#root, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  source(settings = ''): RouteSource {
    const read = readConfig(
      `[paths]\nstate-directory = "${this.path('state')}"\n` +
        `[dns]\nlisten = ["127.0.0.1"]\nresolv-conf = "${this.path('resolv.conf')}"\n${settings}\n`,
    );
    if (!read.ok) throw new Error(JSON.stringify(read.problems));
    return new RouteSource(read.config, this.#root);
  }
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function told(routes: Routes | undefined) {
  return {
    upstreams: routes?.upstreams.map(formatServer),
    zones: (routes?.zones ?? []).map((z) => [nameText(z.name), z.kind, ...z.servers.map(formatServer)]),
  };
}
