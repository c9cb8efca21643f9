/**
 * The signed DNS tree of the lab: root, org, libreswan.org, the reverse zones, and unsigned.org. Signed by BIND's
 * tools at every boot, so that no signature ever gets old; then some records are damaged on purpose.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  authorities,
  blackhole,
  client,
  freshNames,
  manyAddresses,
  noIke,
  oeRsaServer,
  oeServer,
  plain,
  server,
} from './names.ts';
import { must } from './process.ts';

/** The RDATA of one IPSECKEY record without its gateway: what `10 0 ALGORITHM . KEY` needs (RFC 4025). */
export interface PublishedKey {
  readonly algorithm: number;
  readonly base64: string;
}

/** Whose keys the zones publish. */
export interface PublishedKeys {
  readonly libreswanRsa: PublishedKey;
  readonly libreswanEcdsa: PublishedKey;
  readonly oeServer: PublishedKey;
  readonly oeRsaServer: PublishedKey;
  readonly oeClient: PublishedKey;
}

export interface Zones {
  readonly directory: string;
  /** The zones of each authoritative server. */
  readonly served: Readonly<Record<keyof typeof authorities, readonly string[]>>;
  /** A file with the root's DS, for validators. */
  readonly anchor: string;
}

const ttl = 3600;

export async function makeZones(directory: string, keys: PublishedKeys): Promise<Zones> {
  mkdirSync(directory, { recursive: true });
  const leaf: [string, string][] = [
    ['libreswan.org', libreswanOrg(keys)],
    ['2.18.198.in-addr.arpa', reverse4(keys)],
    ['1.18.198.in-addr.arpa', reverseClient4(keys)],
    ['0.0.0.0.2.0.0.0.1.0.0.2.ip6.arpa', reverse6(keys)],
  ];
  const below = await Promise.all(leaf.map(([zone, text]) => sign(directory, zone, apex(zone) + text, [])));
  const leafDs = new Map(leaf.map(([zone], i) => [zone, below[i] ?? '']));

  writeFileSync(join(directory, 'unsigned.org.signed'), apex('unsigned.org') + unsignedOrg(keys));
  const orgText =
    apex('org') +
    delegation('libreswan.org') +
    (leafDs.get('libreswan.org') ?? '') +
    delegation('unsigned.org') +
    `ns.leaf.org. IN A ${authorities.leaf}\n`;
  // NSEC3 with opt-out, as the real org.
  const orgDs = await sign(directory, 'org', orgText, ['-3', '-', '-H', '0', '-A']);

  const rootText =
    apex('.') +
    delegation('org', 'ns.org.') +
    orgDs +
    `ns.org. IN A ${authorities.org}\n` +
    leaf
      .filter(([zone]) => zone.endsWith('arpa'))
      .map(([zone]) => delegation(zone) + (leafDs.get(zone) ?? ''))
      .join('') +
    `ns.leaf.org. IN A ${authorities.leaf}\nns.root. IN A ${authorities.root}\n`;
  const rootDs = await sign(directory, '.', rootText, []);
  const anchor = join(directory, 'root.ds');
  writeFileSync(anchor, rootDs);
  writeFileSync(
    join(directory, 'root.hints'),
    `. ${ttl} IN NS ns.root.\nns.root. ${ttl} IN A ${authorities.root}\n`,
  );

  await damage(directory);
  return {
    directory,
    served: { root: ['.'], org: ['org'], leaf: [...leaf.map(([zone]) => zone), 'unsigned.org'] },
    anchor,
  };
}

/** The file that a zone is served from. */
export function zoneFile(directory: string, zone: string): string {
  return join(directory, `${zone === '.' ? 'root' : zone}.signed`);
}

function apex(zone: string): string {
  const [ns, glue] =
    zone === '.'
      ? ['ns.root.', authorities.root]
      : zone === 'org'
        ? ['ns.org.', authorities.org]
        : ['ns.leaf.org.', authorities.leaf];
  const origin = zone === '.' ? '.' : `${zone}.`;
  const own = zone === '.' || zone === 'org' ? `${ns} IN A ${glue}\n` : '';
  return `$TTL ${ttl}\n${origin} IN SOA ${ns} lab. 1 3600 600 86400 60\n${origin} IN NS ${ns}\n${zone === '.' ? '' : own}`;
}

function delegation(zone: string, ns = 'ns.leaf.org.'): string {
  return `${zone}. IN NS ${ns}\n`;
}

function ipseckey(owner: string, key: PublishedKey): string {
  return `${owner} IN IPSECKEY 10 0 ${key.algorithm} . ${key.base64}\n`;
}

function https(name: string, record: string): string {
  return `${name}.libreswan.org. IN HTTPS ${record}\n`;
}

function libreswanOrg(keys: PublishedKeys): string {
  const named = (
    name: string,
    a: string | undefined,
    aaaa: string | undefined,
    key: PublishedKey | undefined,
  ): string =>
    (a === undefined ? '' : `${name}.libreswan.org. IN A ${a}\n`) +
    (aaaa === undefined ? '' : `${name}.libreswan.org. IN AAAA ${aaaa}\n`) +
    (key === undefined ? '' : ipseckey(`${name}.libreswan.org.`, key));
  const { libreswanRsa, libreswanEcdsa } = keys;
  let text =
    named('oe', server.v4, server.v6, libreswanRsa) +
    named('four', server.v4, undefined, libreswanRsa) +
    named('six', undefined, server.v6, libreswanRsa) +
    named('ecdsa', server.v4, undefined, libreswanEcdsa) +
    named('ours', oeServer.v4, oeServer.v6, keys.oeServer) +
    named('ours4', oeServer.v4, undefined, keys.oeServer) +
    named('rsa', oeRsaServer.v4, undefined, keys.oeRsaServer) +
    named('client', client.v4, client.v6, keys.oeClient) +
    named('plain', plain.v4, undefined, undefined) +
    named('noike', noIke.v4, undefined, libreswanRsa) +
    named('secret', noIke.v4, undefined, libreswanRsa) +
    named('blackhole', blackhole.v4, undefined, libreswanRsa) +
    named('hole', blackhole.v4, undefined, libreswanRsa) +
    named('bogus', server.v4, undefined, libreswanRsa) +
    named('stripped', server.v4, undefined, libreswanRsa) +
    named('expired', server.v4, undefined, libreswanRsa) +
    named('other', server.v4, undefined, libreswanRsa) +
    // Services, and the addresses that they hint at: the host's own, and another one's.
    named('web', server.v4, undefined, libreswanRsa) +
    https('web', `1 . alpn=h2 ipv4hint=${server.v4}`) +
    named('webhole', blackhole.v4, undefined, libreswanRsa) +
    https('webhole', `1 . ipv4hint=${blackhole.v4}`) +
    named('strange', server.v4, undefined, libreswanRsa) +
    https('strange', `1 . ipv4hint=${server.v4},${plain.v4}`) +
    https('front', '1 web.libreswan.org.') +
    https('leads', '1 plain.libreswan.org.') +
    // Properly signed, but not the key that the server has.
    named('wrongkey', server.v4, undefined, keys.oeRsaServer);
  for (let i = 1; i <= freshNames; i += 1) text += named(`p${i}`, plain.v4, undefined, undefined);
  manyAddresses.forEach((address, i) => {
    text += named(`k${i + 1}`, address, undefined, libreswanRsa);
    text += named(`j${i + 1}`, address, undefined, keys.oeServer);
  });
  return text;
}

function unsignedOrg(keys: PublishedKeys): string {
  let text = `oe.unsigned.org. IN A ${server.v4}\n${ipseckey('oe.unsigned.org.', keys.libreswanRsa)}plain.unsigned.org. IN A ${plain.v4}\n`;
  for (let i = 1; i <= freshNames; i += 1) text += `u${i}.unsigned.org. IN A ${plain.v4}\n`;
  return text;
}

function reverse4(keys: PublishedKeys): string {
  const at = (address: string): string => `${address.split('.').reverse().join('.')}.in-addr.arpa.`;
  return (
    `${at(server.v4)} IN PTR oe.libreswan.org.\n${ipseckey(at(server.v4), keys.libreswanRsa)}` +
    manyAddresses.map((address) => ipseckey(at(address), keys.libreswanRsa)).join('') +
    `${at(oeServer.v4)} IN PTR ours.libreswan.org.\n${ipseckey(at(oeServer.v4), keys.oeServer)}` +
    `${at(oeRsaServer.v4)} IN PTR rsa.libreswan.org.\n${ipseckey(at(oeRsaServer.v4), keys.oeRsaServer)}`
  );
}

function reverseClient4(keys: PublishedKeys): string {
  const owner = `${client.v4.split('.').reverse().join('.')}.in-addr.arpa.`;
  return `${owner} IN PTR client.libreswan.org.\n${ipseckey(owner, keys.oeClient)}`;
}

function reverse6(keys: PublishedKeys): string {
  const at = (address: string): string => {
    const [head = '', tail = ''] = address.split('::');
    const first = head.split(':');
    const last = tail.split(':');
    const all = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
    const nibbles = all.map((group) => group.padStart(4, '0')).join('');
    return `${[...nibbles].reverse().join('.')}.ip6.arpa.`;
  };
  return (
    `${at(server.v6)} IN PTR oe.libreswan.org.\n${ipseckey(at(server.v6), keys.libreswanRsa)}` +
    `${at(oeServer.v6)} IN PTR ours.libreswan.org.\n${ipseckey(at(oeServer.v6), keys.oeServer)}` +
    `${at(client.v6)} IN PTR client.libreswan.org.\n${ipseckey(at(client.v6), keys.oeClient)}`
  );
}

/** Signs a zone with keys made for it; the DS records that its parent must have. */
async function sign(directory: string, zone: string, text: string, more: readonly string[]): Promise<string> {
  const file = zoneFile(directory, zone).replace(/\.signed$/, '');
  // RSA at the top as in the real tree, ECDSA below.
  const algorithm = zone === '.' ? ['-a', 'RSASHA256', '-b', '2048'] : ['-a', 'ECDSAP256SHA256'];
  const keygen = ['dnssec-keygen', '-q', '-K', directory, ...algorithm];
  const [ksk, zsk] = await Promise.all([
    must([...keygen, '-f', 'KSK', zone], 60_000),
    must([...keygen, zone], 60_000),
  ]);
  const publicKeys = [ksk, zsk].map((key) => readFileSync(join(directory, `${key.trim()}.key`), 'utf8'));
  writeFileSync(file, `${text}${publicKeys.join('')}`);
  const signing = (output: string, times: readonly string[]): string[] => [
    ...[
      'dnssec-signzone',
      '-K',
      directory,
      '-S',
      '-P',
      '-O',
      'full',
      '-o',
      zone,
      '-f',
      output,
      ...times,
      ...more,
    ],
    file,
  ];
  await must(signing(`${file}.signed`, []), 60_000);
  if (zone === 'libreswan.org') {
    // A second one whose signatures ended in the past, to take one expired signature from.
    await must(signing(`${file}.expired`, ['-s', '20200101000000', '-e', '20200201000000']), 60_000);
  }
  const ds = await must(['dnssec-dsfromkey', '-2', join(directory, `${ksk.trim()}.key`)]);
  return ds.endsWith('\n') ? ds : `${ds}\n`;
}

/** Spoils the IPSECKEY records of four names, each in another way, as an attacker or a mistake would. */
async function damage(directory: string): Promise<void> {
  const file = zoneFile(directory, 'libreswan.org');
  const lines = readFileSync(file, 'utf8').split('\n');
  const stale = readFileSync(file.replace(/\.signed$/, '.expired'), 'utf8').split('\n');
  const isSignature = (name: string) => (line: string) =>
    line.startsWith(`${name}.libreswan.org.`) && /\sRRSIG\s+IPSECKEY\s/.test(line);
  const expired = stale.find(isSignature('expired'));
  const foreign = lines.find(isSignature('oe'));
  if (expired === undefined || foreign === undefined)
    throw new Error('the signed zone lacks what is to be damaged');
  const damaged = lines.flatMap((line) => {
    if (isSignature('bogus')(line)) return [spoil(line)];
    if (isSignature('stripped')(line)) return [];
    if (isSignature('expired')(line)) return [expired];
    // The record and the signature of another name, moved here.
    if (isSignature('other')(line)) return [foreign.replace('oe.libreswan.org.', 'other.libreswan.org.')];
    return [line];
  });
  if (
    createHash('sha256').update(damaged.join('\n')).digest('hex') ===
    createHash('sha256').update(lines.join('\n')).digest('hex')
  ) {
    throw new Error('nothing was damaged');
  }
  writeFileSync(file, damaged.join('\n'));
  await must(['nsd-checkzone', 'libreswan.org', file]);
}

/** One character of the signature itself, in the middle, becomes another. */
function spoil(line: string): string {
  const at = line.length - 30;
  return line.slice(0, at) + (line[at] === 'A' ? 'B' : 'A') + line.slice(at + 1);
}
