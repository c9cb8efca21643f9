/** The signers of three makes of name servers: BIND's, Knot's, and ldns-signzone, which goes with NSD. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './process.ts';

export const makes = ['bind', 'knot', 'nsd'] as const;
export type Make = (typeof makes)[number];

/** DNSSEC algorithm numbers. */
export const algorithms = [8, 10, 13, 14, 15, 16] as const;
export type Algorithm = (typeof algorithms)[number];

export const denials = ['nsec', 'nsec3', 'optout'] as const;
export type DenialKind = (typeof denials)[number];

/** What a key roll-over looks like from outside while it is under way. */
export const rolls = [
  /** A second ZSK is published and signs nothing yet. */
  'newZsk',
  /** Two KSKs sign the DNSKEY RRset; the parent has the DS of both. */
  'twoKsks',
  /** The same, and the parent has the DS of the first alone. */
  'oldDs',
  /** Keys of two algorithms sign everything; the parent has the DS of the first. */
  'twoAlgorithms',
] as const;
export type Roll = (typeof rolls)[number];

export interface Signing {
  readonly algorithm: Algorithm;
  readonly denial: DenialKind;
  readonly roll?: Roll;
}

export interface SignedZone {
  readonly name: string;
  /** DS records for the parent, in zone-file form. */
  readonly ds: readonly string[];
  /** The signed records, one a line. */
  readonly lines: readonly string[];
}

const names: Readonly<Record<Algorithm, string>> = {
  8: 'RSASHA256',
  10: 'RSASHA512',
  13: 'ECDSAP256SHA256',
  14: 'ECDSAP384SHA384',
  15: 'ED25519',
  16: 'ED448',
};
/** Small, since every boot makes hundreds: validators take RSA from 1024 bits on. */
const rsaBits = '1024';

/** The other algorithm of a roll-over. */
const otherAlgorithm = (algorithm: Algorithm): Algorithm => (algorithm === 15 ? 13 : 15);

/** The keys that a zone has: algorithm, whether it is a KSK, and whether it signs. */
interface WantedKey {
  readonly algorithm: Algorithm;
  readonly isKsk: boolean;
  readonly isActive: boolean;
  readonly hasDs: boolean;
}

function keysFor({ algorithm, roll }: Signing): WantedKey[] {
  const key = (isKsk: boolean, more: Partial<WantedKey> = {}): WantedKey => ({
    algorithm,
    isKsk,
    isActive: true,
    hasDs: isKsk,
    ...more,
  });
  const usual = [key(true), key(false)];
  const other = otherAlgorithm(algorithm);
  switch (roll) {
    case undefined:
      return usual;
    case 'newZsk':
      return [...usual, key(false, { isActive: false })];
    case 'twoKsks':
      return [...usual, key(true)];
    case 'oldDs':
      return [...usual, key(true, { hasDs: false })];
    case 'twoAlgorithms':
      return [
        ...usual,
        key(true, { algorithm: other, hasDs: false }),
        key(false, { algorithm: other, hasDs: false }),
      ];
    default:
      return roll satisfies never;
  }
}

/** Signs the records of `zone` with keys made for it. */
export async function sign(
  make: Make,
  directory: string,
  zone: string,
  text: string,
  signing: Signing,
): Promise<SignedZone> {
  const own = join(directory, `${make}-${zone === '.' ? 'root' : zone}`);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'zone'), text);
  const { output, ds } = await signers[make](own, zone, signing);
  const lines = output
    .split('\n')
    .map((line) => line.replace(/\s*;.*/, '').trim())
    .filter((line) => line !== '');
  return { name: zone, ds, lines };
}

type Signer = (
  directory: string,
  zone: string,
  signing: Signing,
) => Promise<{ readonly output: string; readonly ds: readonly string[] }>;

const signers: Readonly<Record<Make, Signer>> = { bind: signBind, knot: signKnot, nsd: signLdns };

async function signBind(directory: string, zone: string, signing: Signing): ReturnType<Signer> {
  const ds: string[] = [];
  for (const { algorithm, isKsk, isActive, hasDs } of keysFor(signing)) {
    const name = await must([
      'dnssec-keygen',
      '-q',
      ...['-K', directory, '-a', names[algorithm]],
      ...(algorithm < 13 ? ['-b', rsaBits] : []),
      ...(isKsk ? ['-f', 'KSK'] : []),
      ...(isActive ? [] : ['-P', 'now', '-A', '+30d']),
      zone,
    ]);
    if (hasDs) ds.push(await must(['dnssec-dsfromkey', '-2', join(directory, `${name.trim()}.key`)]));
  }
  const denial = { nsec: [], nsec3: ['-3', 'aabb', '-H', '0'], optout: ['-3', '-', '-H', '0', '-A'] };
  const [file, output] = [join(directory, 'zone'), join(directory, 'signed')];
  const how = ['-K', directory, '-S', '-P', '-O', 'full', '-o', zone, '-f', output];
  await must(['dnssec-signzone', ...how, ...denial[signing.denial], file]);
  return { output: readFileSync(output, 'utf8'), ds: ds.map((line) => line.trim()) };
}

async function signLdns(directory: string, zone: string, signing: Signing): ReturnType<Signer> {
  const ds: string[] = [];
  const keys: string[] = [];
  for (const { algorithm, isKsk, isActive, hasDs } of keysFor(signing)) {
    const bits = algorithm < 13 ? ['-b', rsaBits] : [];
    const name = await must([
      'sh',
      '-ec',
      'cd "$0"; exec ldns-keygen "$@"',
      directory,
      ...['-a', names[algorithm], ...bits, ...(isKsk ? ['-k'] : []), zone],
    ]);
    const base = join(directory, name.trim());
    if (hasDs) ds.push((await must(['ldns-key2ds', '-n', '-2', `${base}.key`])).trim());
    if (isActive) keys.push(base);
    else await must(['sh', '-ec', 'cat "$0" >>"$1"', `${base}.key`, join(directory, 'zone')]);
  }
  const denial = { nsec: [], nsec3: ['-n', '-s', 'aabb', '-t', '0'], optout: ['-n', '-p', '-t', '0'] };
  const output = join(directory, 'signed');
  // All algorithms sign everything, as RFC 4035 §2.2 has it.
  const how = [...denial[signing.denial], '-U', '-o', zone, '-f', output];
  await must(['ldns-signzone', ...how, join(directory, 'zone'), ...keys]);
  return { output: readFileSync(output, 'utf8'), ds };
}

async function signKnot(directory: string, zone: string, signing: Signing): ReturnType<Signer> {
  const configuration = join(directory, 'knot.conf');
  const output = join(directory, 'out');
  for (const made of [output, join(directory, 'kasp')]) mkdirSync(made, { recursive: true });
  writeFileSync(
    configuration,
    [
      `database:\n    storage: "${join(directory, 'kasp')}"`,
      `policy:\n  - id: policy\n    manual: on\n    algorithm: ${names[signing.algorithm].toLowerCase()}`,
      '    cds-cdnskey-publish: none',
      ...(signing.denial === 'nsec' ? [] : ['    nsec3: on\n    nsec3-iterations: 0']),
      ...(signing.denial === 'optout' ? ['    nsec3-opt-out: on'] : []),
      `zone:\n  - domain: "${zone}"\n    storage: "${directory}"\n    file: "zone"`,
      '    dnssec-signing: on\n    dnssec-policy: policy\n',
    ].join('\n'),
  );
  const keymgr = (...args: string[]): Promise<string> => must(['keymgr', '-c', configuration, zone, ...args]);
  const withDs: string[] = [];
  for (const { algorithm, isKsk, isActive, hasDs } of keysFor(signing)) {
    const id = await keymgr(
      'generate',
      `algorithm=${names[algorithm].toLowerCase()}`,
      ...(algorithm < 13 ? [`size=${rsaBits}`] : []),
      `ksk=${isKsk ? 'yes' : 'no'}`,
      'created=-100',
      'publish=-90',
      // A KSK is ready between the two; a ZSK is not.
      ...(isActive ? [...(isKsk ? ['ready=-80'] : []), 'active=-70'] : ['active=+2592000']),
    );
    if (hasDs) withDs.push(id.trim().split('\n').at(-1) ?? '');
  }
  await must(['kzonesign', '-c', configuration, '-o', output, zone]);
  const ds = await Promise.all(withDs.map((id) => keymgr('ds', id)));
  return {
    output: await must(['sh', '-ec', 'cat "$0"/*', output]),
    ds: ds.map(
      (text) =>
        text
          .trim()
          .split('\n')
          .find((line) => / 8? ?2 |DS \d+ \d+ 2 /.test(line)) ?? '',
    ),
  };
}
