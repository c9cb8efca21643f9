import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { Routes } from '../../src/dns/finders.ts';
import { LearnedRoutes } from '../../src/dns/io/learned.ts';
import { parseLinkState, routesOver, type LinkState } from '../../src/dns/link-state.ts';
import { nameText } from '../../src/dns/name.ts';
import { formatServer, parseServer } from '../../src/dns/server-text.ts';
import type { Server } from '../../src/dns/finder.ts';
import { parseEndpoint } from '../../src/net/address.ts';

/** As systemd-networkd writes it, shortened. */
const networkd = `# This is private data. Do not parse.
ADMIN_STATE=configured
OPER_STATE=routable
NETWORK_FILE=/etc/systemd/network/10-lan.network
DNS=192.0.2.1 2001:db8::1 fe80::1%2
NTP=192.0.2.7
DOMAINS=home.example
ROUTE_DOMAINS=
LLMNR=no
DNSSEC=allow-downgrade
`;

/** As systemd-resolved writes what a VPN told it over the bus. */
const resolved = `# This is private data. Do not parse.
LLMNR=yes
MDNS=no
DEFAULT_ROUTE=no
SERVERS=198.51.100.53:5353#vpn.example
DOMAINS=corp.example ~internal.example
`;

test.each([
  ['192.0.2.1', '192.0.2.1:53'],
  ['192.0.2.1:5353', '192.0.2.1:5353'],
  ['2001:db8::1', '[2001:db8::1]:53'],
  ['tcp://192.0.2.1', 'tcp://192.0.2.1:53'],
  ['tls://9.9.9.9#dns.quad9.net', 'tls://9.9.9.9:853#dns.quad9.net'],
  ['tls://[2620:fe::fe]:8853#dns.quad9.net', 'tls://[2620:fe::fe]:8853#dns.quad9.net'],
  ['tls://9.9.9.9', 'tls://9.9.9.9:853'],
  ['https://9.9.9.9/dns-query#dns.quad9.net', 'https://9.9.9.9:443/dns-query#dns.quad9.net'],
  ['https://9.9.9.9#dns.quad9.net', 'https://9.9.9.9:443/dns-query#dns.quad9.net'],
])('the server %s is read, and written as %s', (text, written) => {
  const server = parseServer(text);
  expect(server && formatServer(server)).toBe(written);
  expect(parseServer(written)).toEqual(server);
});

test.each([
  'dns.quad9.net',
  'https://dns.quad9.net/dns-query',
  '9.9.9.9#dns.quad9.net',
  'tcp://9.9.9.9#dns.quad9.net',
  'tls://9.9.9.9/path',
  'quic://9.9.9.9',
  'tls://9.9.9.9#',
  'tls://9.9.9.9#not a name',
  '9.9.9.9:70000',
  '',
])('%j is no server: the address must be there, and what its transport does not know must not', (text) => {
  expect(parseServer(text)).toBeUndefined();
});

test('the state of a link says its servers and names; addresses with a zone index are passed over', () => {
  expect(parsed(networkd)).toEqual({
    servers: ['192.0.2.1:53', '[2001:db8::1]:53'],
    domains: ['home.example'],
    isDefault: true,
  });
  expect(parsed(resolved)).toEqual({
    servers: ['198.51.100.53:5353'],
    domains: ['internal.example', 'corp.example'],
    isDefault: false,
  });
});

test('a link with names for routing alone is no default, unless it says so', () => {
  expect(parsed('DNS=192.0.2.1\nROUTE_DOMAINS=a.example\n').isDefault).toBe(false);
  expect(parsed('DNS=192.0.2.1\nROUTE_DOMAINS=a.example\nDNS_DEFAULT_ROUTE=yes\n').isDefault).toBe(true);
  expect(parsed('DNS=192.0.2.1\nDOMAINS=a.example\n').isDefault).toBe(true);
});

test('a link that insists on TLS is asked over TLS, by the name that it gives', () => {
  const text = 'SERVERS=192.0.2.1#dns.example 192.0.2.2\nDNSOVERTLS=yes\n';
  expect(parsed(text).servers).toEqual(['tls://192.0.2.1:853#dns.example', 'tls://192.0.2.2:853']);
});

test('a link without servers says nothing', () => {
  expect(parseLinkState('ADMIN_STATE=unmanaged\nDOMAINS=a.example\n')).toBeUndefined();
});

test('servers of a link for certain names are asked for these alone', () => {
  const routes = routesOver([link(networkd), link(resolved)], servers('192.0.2.1', '198.51.100.53:5353'));
  expect(told(routes)).toEqual({
    upstreams: ['192.0.2.1:53'],
    zones: {
      'home.example': ['192.0.2.1:53', '[2001:db8::1]:53'],
      'internal.example': ['198.51.100.53:5353'],
      'corp.example': ['198.51.100.53:5353'],
    },
  });
});

test('names that would be asked of the same servers anyway need no route', () => {
  expect(told(routesOver([link(networkd)], servers('192.0.2.1', '2001:db8::1'))).zones).toEqual({});
});

test('a link that claims the root gets everything that no other link claims', () => {
  const vpn = link('SERVERS=198.51.100.53\nDOMAINS=~.\n');
  expect(told(routesOver([link(networkd), vpn], servers('192.0.2.1'))).upstreams).toEqual([
    '198.51.100.53:53',
  ]);
});

test('resolv.conf counts; behind ourselves or a stub, what that stub wrote down', async () => {
  const system = new System('nameserver 192.0.2.9\n');
  expect(told(await system.learned.read()).upstreams).toEqual(['192.0.2.9:53']);
  system.write('resolv.conf', 'nameserver 127.0.0.1\n');
  expect(told(await system.learned.read()).upstreams).toEqual([]);
  system.write('NetworkManager/resolv.conf', 'nameserver 192.0.2.3\n');
  expect(told(await system.learned.read()).upstreams).toEqual(['192.0.2.3:53']);
  system.write('NetworkManager/no-stub-resolv.conf', 'nameserver 192.0.2.2\n');
  expect(told(await system.learned.read()).upstreams).toEqual(['192.0.2.2:53']);
  system.write('systemd/resolve/resolv.conf', 'nameserver 192.0.2.1\n');
  expect(told(await system.learned.read()).upstreams).toEqual(['192.0.2.1:53']);
});

test('changes are seen, in files that were there and in those of links that come and go', async () => {
  const system = new System('nameserver 127.0.0.53\n');
  system.write('systemd/resolve/resolv.conf', 'nameserver 192.0.2.1\n');
  await system.learned.read();
  expect(await system.learned.changed()).toBeUndefined();
  system.write('systemd/resolve/resolv.conf', 'nameserver 192.0.2.1\nnameserver 198.51.100.53\n');
  system.write('systemd/resolve/netif/7', 'SERVERS=198.51.100.53\nDOMAINS=~corp.example\n');
  expect(told(await system.learned.changed())).toEqual({
    upstreams: ['192.0.2.1:53'],
    zones: { 'corp.example': ['198.51.100.53:53'] },
  });
  expect(await system.learned.changed()).toBeUndefined();
  system.remove('systemd/resolve/netif/7');
  system.write('systemd/resolve/resolv.conf', 'nameserver 192.0.2.1\n');
  expect(told(await system.learned.changed())).toEqual({ upstreams: ['192.0.2.1:53'], zones: {} });
});

test('what systemd-resolved knows of a link counts more than what networkd does', async () => {
  const system = new System('nameserver 192.0.2.1\n');
  system.write('systemd/netif/links/3', 'DNS=198.51.100.1\nROUTE_DOMAINS=a.example\n');
  system.write('systemd/resolve/netif/3', 'SERVERS=198.51.100.2\nDOMAINS=~b.example\n');
  expect(told(await system.learned.read()).zones).toEqual({ 'b.example': ['198.51.100.2:53'] });
});

test('a link is never a way to ask ourselves', async () => {
  const system = new System('nameserver 192.0.2.1\n');
  system.write('systemd/resolve/netif/3', 'SERVERS=127.0.0.1\nDOMAINS=~b.example\n');
  expect(told(await system.learned.read()).zones).toEqual({});
});

/** A system with a resolv.conf and what else is written under /run. */
class System {
  readonly #root = mkdtempSync(join(tmpdir(), 'oe-learned-'));
  readonly learned: LearnedRoutes;

  constructor(resolvConf: string) {
    cleanups.push(() => {
      rmSync(this.#root, { recursive: true });
    });
    this.write('resolv.conf', resolvConf);
    const own = parseEndpoint('127.0.0.1', 53);
    this.learned = new LearnedRoutes(join(this.#root, 'resolv.conf'), own ? [own] : [], this.#root);
  }

  write(path: string, text: string): void {
    const whole = join(this.#root, path);
    mkdirSync(join(whole, '..'), { recursive: true });
    writeFileSync(whole, text);
  }

  remove(path: string): void {
    rmSync(join(this.#root, path));
  }
}

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function link(text: string): LinkState {
  const state = parseLinkState(text);
  if (!state) throw new Error('no servers');
  return state;
}

function parsed(text: string) {
  const { servers: at, domains, isDefault } = link(text);
  return { servers: at.map(formatServer), domains: domains.map(nameText), isDefault };
}

function servers(...texts: string[]): Server[] {
  return texts.map((text) => {
    const server = parseServer(text);
    if (!server) throw new Error(text);
    return server;
  });
}

function told(routes: Routes | undefined) {
  return {
    upstreams: routes?.upstreams.map(formatServer),
    zones: Object.fromEntries(
      (routes?.zones ?? []).map((z) => [nameText(z.name), z.servers.map(formatServer)]),
    ),
  };
}
