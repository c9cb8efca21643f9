import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Type } from '../../src/dns/types.ts';
import { OeError } from '../../src/errors.ts';
import type { PeerAuth } from '../../src/ike/child.ts';
import { IdType } from '../../src/ike/numbers.ts';
import { formatPrefix } from '../../src/net/prefix.ts';
import { unproved } from '../../src/oe/admission.ts';
import { loadConfig, readConfig } from '../../src/oe/io/config-file.ts';
import { groupComplaints, loadGroups } from '../../src/oe/io/private-groups.ts';
import { wallSeconds } from '../../src/time.ts';
import { fromHex, toUtf8 } from '../../src/wire/octets.ts';
import { certificateOf, fleet, fleetKey, pemOf, today, type Wish } from '../ike/certificates.ts';
import { identity } from '../ike/pair.ts';
import { addressSet, childTo, insecure, key, keySet, policyWith, secure, Stage } from './stage.ts';

const scratch = mkdtempSync(join(tmpdir(), 'oe-groups-'));
afterAll(() => {
  rmSync(scratch, { recursive: true });
});

describe('the configuration', () => {
  test('rules name groups, and groups know their prefixes', () => {
    const file = write('right.toml', pskTable(secretFile('right.psk', 'long enough for a secret\n')) + rules);
    const { config } = loadConfig(file);
    expect(config.policy.rules.map((r) => r.auth)).toEqual(['fleet', 'fleet', undefined]);
    const [group] = loadGroups(config, file);
    expect(group).toMatchObject({
      kind: 'secret',
      name: 'fleet',
      secret: toUtf8('long enough for a secret'),
      id: { type: IdType.ID_FQDN, data: toUtf8('a.fleet.example') },
    });
    expect(group?.prefixes.map(formatPrefix)).toEqual(['198.18.2.0/24']);
  });

  test.each([
    ['0x00112233445566778899aabbccddeeff', '00112233445566778899aabbccddeeff'],
    ['0sABEiM0RVZneImaq7zN3u/w==', '00112233445566778899aabbccddeeff'],
  ])('the secret %s is read as other daemons do', (text, hex) => {
    const file = write('coded.toml', pskTable(secretFile('coded.psk', `${text}\n`)));
    expect(loadGroups(loadConfig(file).config, file)).toMatchObject([{ secret: fromHex(hex) }]);
  });

  test.each<[string, string, number, RegExp]>([
    [
      'a rule that names no group',
      '[[policy.rule]]\nmatch = "*"\ngroup = "private"\nauth = "navy"\n',
      4,
      /no \[\[ike\.auth\]\] has that name/,
    ],
    ['two groups of one name', `${pskTable('/a')}${pskTable('/b')}`, 7, /as that of another table/],
    [
      'a method that there is not',
      '[[ike.auth]]\nname = "fleet"\nmethod = "eap"\n',
      3,
      /wanted is psk or certificate/,
    ],
    [
      'a secret without its file',
      '[[ike.auth]]\nname = "fleet"\nmethod = "psk"\n',
      1,
      /wanted is tables with name, method and either/,
    ],
    [
      'a secret and certificates',
      `${pskTable('/a')}ca-file = "/b"\n`,
      1,
      /wanted is tables with name, method and either/,
    ],
    [
      'an identity that is none',
      `${pskTable('/a').replace('a.fleet.example', 'a..b')}`,
      5,
      /wanted is a host name, a mailbox or an address/,
    ],
    [
      'a name with spaces',
      '[[ike.auth]]\nname = "our fleet"\nmethod = "psk"\npsk-file = "/a"\n',
      2,
      /wanted is a word/,
    ],
    [
      'a relative path',
      '[[ike.auth]]\nname = "fleet"\nmethod = "psk"\npsk-file = "a"\n',
      4,
      /wanted is an absolute path/,
    ],
  ])('%s is told with its line', (_, text, line, problem) => {
    const read = readConfig(text);
    if (read.ok) throw new Error('it was taken');
    expect(read.problems.map((p) => p.line)).toContain(line);
    expect(read.problems.map((p) => p.problem).join('\n')).toMatch(problem);
  });
});

describe('the files', () => {
  const host: Wish = {
    subject: 'a',
    key: identity('Ed25519', 31).privateKey,
    by: fleet,
    dns: ['a.fleet.example'],
  };

  test('of certificates are read at once', () => {
    const { config, file } = certificates(host);
    const [group] = loadGroups(config, file);
    expect(group).toMatchObject({ kind: 'certificate', publicKey: identity('Ed25519', 31).publicKey });
  });

  test.each<[string, () => ReturnType<typeof certificates>, number, RegExp]>([
    [
      'a missing one',
      () => certificates(host, { ca: join(scratch, 'nowhere.pem') }),
      4,
      /nowhere\.pem cannot be read/,
    ],
    [
      'one without a certificate',
      () => certificates(host, { ca: write('none.pem', 'nothing\n') }),
      4,
      /no certificate in PEM/,
    ],
    [
      'a certificate that is cut',
      () => certificates(host, { ca: write('cut.pem', pemOf(certificateOf(host).subarray(0, 99))) }),
      4,
      /Certificate 1 in .* cannot be read/,
    ],
    [
      'an authority that is none',
      () => certificates(host, { ca: write('host.pem', pemOf(certificateOf(host))) }),
      4,
      /none of an authority/,
    ],
    [
      'the certificate of another authority',
      () => certificates({ ...host, by: { subject: 'Fleet CA', key: identity('P-256', 32).privateKey } }),
      5,
      /Members will not take the certificate/,
    ],
    [
      'a certificate without its authority in between',
      () => certificates({ ...host, by: { subject: 'Middle CA', key: identity('P-256', 32).privateKey } }),
      5,
      /leads to no authority/,
    ],
    [
      'a missing key',
      () => certificates(host, { key: join(scratch, 'nowhere.key') }),
      6,
      /nowhere\.key does not exist/,
    ],
    [
      'a key that others may read',
      () => certificates(host, { mode: 0o640 }),
      6,
      /Others than its owner may read or write .* \(mode 640\)/,
    ],
    [
      'a key that is none',
      () => certificates(host, { keyText: 'nothing' }),
      6,
      /no private key that can be read/,
    ],
    [
      'the key of another',
      () => certificates(host, { keyText: pemOfKey('P-256', 33) }),
      6,
      /is not the key of the certificate/,
    ],
    [
      'an identity that the certificate has not',
      () => certificates(host, { id: 'b.fleet.example' }),
      7,
      /does not stand in the certificate/,
    ],
  ])('%s is told at the line that names it', (_, make, line, problem) => {
    const { config, file } = make();
    const error = thrown(() => loadGroups(config, file));
    expect(error.message).toMatch(new RegExp(`^${file}:${line}: `));
    expect(error.message).toMatch(problem);
    expect(error.exitCode).toBe(78);
  });

  test.each<[string, string, number, RegExp]>([
    ['too short', 'short', 0o600, /has 5 octets/],
    ['open to all', 'long enough for a secret', 0o644, /mode 644/],
    ['hexadecimal only at first', '0x0011zz', 0o600, /does not go on so/],
  ])('a secret that is %s is told at its line', (_, text, mode, problem) => {
    const file = write('secret.toml', pskTable(secretFile('bad.psk', text, mode)));
    const error = thrown(() => loadGroups(loadConfig(file).config, file));
    expect(error.message).toMatch(new RegExp(`^${file}:4: `));
    expect(error.message).toMatch(problem);
    expect(error.message).not.toContain('long enough');
  });

  test('everything that is wrong is told at once', () => {
    const file = write(
      'two.toml',
      pskTable('/nowhere/a.psk') + pskTable('/nowhere/b.psk').replace('"fleet"', '"navy"'),
    );
    const error = thrown(() => loadGroups(loadConfig(file).config, file));
    expect(error.message.split('\n').map((l) => l.slice(0, file.length + 3))).toEqual([
      `${file}:4:`,
      `${file}:9:`,
    ]);
  });

  test('a certificate that runs out is complained of, and stops nothing', () => {
    const { config, file } = certificates({ ...host, until: today + 86_400 });
    const groups = loadGroups(config, file);
    expect(groupComplaints(groups, wallSeconds(today))).toEqual([expect.stringContaining('within a week')]);
    expect(groupComplaints(groups, wallSeconds(today + 90_000))).toEqual([
      expect.stringContaining('has expired'),
    ]);
    expect(groupComplaints(groups, wallSeconds(today - 30 * 86_400))).toEqual([]);
  });
});

describe('the gate', () => {
  const there = '198.18.2.10';
  const member: PeerAuth = { kind: 'member', group: 'fleet', names: undefined };

  test('asks for no key where a rule names a group, and wants membership', () => {
    const stage = new Stage({ policy: policyWith([['*.fleet.example', 'private', 'fleet']], 'clear') });
    const waiter = stage.ask('b.fleet.example');
    expect(stage.trace).toEqual(['ask A b.fleet.example']);
    stage.answer('b.fleet.example', Type.A, insecure('example', addressSet('b.fleet.example', there)));
    expect(stage.ike).toMatchObject([
      {
        kind: 'initiate',
        require: 'authenticated',
        keys: [{ kind: 'memberOf', group: 'fleet', name: 'b.fleet.example' }],
      },
    ]);
    expect(stage.result(waiter)).toBeUndefined();
    stage.established(childTo(there, member));
    expect(stage.result(waiter)).toEqual([there]);
  });

  test('takes no other proof for it: no key in DNS, no other group, no certificate of another name', () => {
    for (const peerAuth of [
      { kind: 'anonymous' },
      { kind: 'key', key: key(1) },
      { kind: 'member', group: 'navy', names: undefined },
      { kind: 'member', group: 'fleet', names: ['c.fleet.example'] },
    ] as const) {
      const stage = new Stage({ policy: policyWith([['*.fleet.example', 'private', 'fleet']], 'clear') });
      const waiter = stage.ask('b.fleet.example');
      stage.answer('b.fleet.example', Type.A, insecure('example', addressSet('b.fleet.example', there)));
      expect(stage.peers.refusal(childTo(there, peerAuth), stage.at.now)).toMatch(/a rule wants/);
      expect(stage.result(waiter)).toBeUndefined();
    }
  });

  test('membership does not do for a name whose key stands in DNS', () => {
    const stage = new Stage({ policy: policyWith([['198.18.9.0/24', 'private', 'fleet']]) });
    const waiter = stage.ask('www.example.org');
    stage.answer('www.example.org', Type.A, secure(addressSet('www.example.org', there)));
    stage.answer('www.example.org', Type.IPSECKEY, secure(keySet('www.example.org', [key(1)])));
    stage.established(childTo(there, member));
    expect(stage.result(waiter)).toBeUndefined();
  });

  test('a rule by prefix wants any member, whatever the name', () => {
    const stage = new Stage({ policy: policyWith([['198.18.2.0/24', 'private', 'fleet']]) });
    stage.ask('www.example.org');
    stage.answer('www.example.org', Type.A, insecure('example.org', addressSet('www.example.org', there)));
    stage.answer('www.example.org', Type.IPSECKEY, insecure('example.org'));
    expect(stage.ike.at(-1)).toMatchObject({ keys: [{ kind: 'memberOf', group: 'fleet' }] });
  });
});

test('an SA that a peer begins does for a private rule only with the proof of that rule', () => {
  const policy = policyWith([
    ['198.18.2.0/24', 'private', 'fleet'],
    ['198.18.3.0/24', 'private'],
    ['198.18.4.0/24', 'clear-or-private', 'fleet'],
  ]);
  const proofs: readonly PeerAuth[] = [
    { kind: 'member', group: 'fleet', names: ['a.fleet.example'] },
    { kind: 'member', group: 'navy', names: undefined },
    { kind: 'key', key: key(1) },
    { kind: 'anonymous' },
  ];
  const taken = ['198.18.2.1', '198.18.3.1', '198.18.4.1', '198.18.5.1'].map((peer) =>
    proofs.map((proof) => unproved(policy, childTo(peer, proof)) === undefined),
  );
  expect(taken).toEqual([
    [true, false, false, false],
    [false, false, true, false],
    [true, true, true, true],
    [true, true, true, true],
  ]);
});

const rules = `
[[policy.rule]]
match = "198.18.2.0/24"
group = "private"
auth = "fleet"

[[policy.rule]]
match = "*.fleet.example"
group = "private"
auth = "fleet"

[[policy.rule]]
match = "*.example.org"
group = "private"
`;

function write(name: string, text: string, mode = 0o644): string {
  const file = join(scratch, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

function secretFile(name: string, text: string, mode = 0o600): string {
  return write(name, text, mode);
}

function pskTable(file: string): string {
  return `[[ike.auth]]\nname = "fleet"\nmethod = "psk"\npsk-file = "${file}"\nid = "a.fleet.example"\n`;
}

function pemOfKey(kind: 'P-256' | 'Ed25519', nth: number): string {
  return identity(kind, nth).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

let made = 0;

/** A configuration with a group of certificates, and its files. */
function certificates(
  host: Wish,
  more: { ca?: string; key?: string; keyText?: string; mode?: number; id?: string } = {},
) {
  const n = made++;
  const authority = pemOf(certificateOf({ ...fleet, key: fleetKey, authority: true }));
  const ca = more.ca ?? write(`ca-${n}.pem`, authority);
  const own = write(`own-${n}.pem`, pemOf(certificateOf(host)));
  const hostKey =
    more.key ?? write(`key-${n}.pem`, more.keyText ?? pemOfKey('Ed25519', 31), more.mode ?? 0o600);
  const file = write(
    `fleet-${n}.toml`,
    `[[ike.auth]]\nname = "fleet"\nmethod = "certificate"\nca-file = "${ca}"\ncertificate-file = "${own}"\nkey-file = "${hostKey}"\n${more.id === undefined ? '' : `id = "${more.id}"\n`}`,
  );
  return { config: loadConfig(file).config, file };
}

function thrown(run: () => unknown): OeError {
  try {
    run();
  } catch (error) {
    if (error instanceof OeError) return error;
    throw error;
  }
  throw new Error('nothing was wrong');
}
