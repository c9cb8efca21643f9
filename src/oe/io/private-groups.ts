import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { nameOf, nameText } from '../../dns/name.ts';
import { Exit, OeError, messageOf } from '../../errors.ts';
import { identityFault, judgePath, readCertificate, type Certificate } from '../../ike/crypto/certificate.ts';
import { importPublicKey, publicKeyOf } from '../../ike/crypto/public-key.ts';
import { IdType } from '../../ike/numbers.ts';
import type { PrivateGroup } from '../../ike/private-group.ts';
import { parseAddress } from '../../net/address.ts';
import { samePublicKey } from '../../net/public-key.ts';
import type { WallSeconds } from '../../time.ts';
import { fromBase64, fromHex, toUtf8 } from '../../wire/octets.ts';
import {
  describeProblems,
  type AuthConfig,
  type AuthKey,
  type Config,
  type ConfigProblem,
} from '../config.ts';
import { readSecretFile } from './secret-file.ts';

/** An identity as the configuration writes it: an address, a mailbox or a host name; undefined where it is none. */
export function parseIdentity(
  text: string,
): { readonly type: number; readonly data: Uint8Array } | undefined {
  const address = parseAddress(text);
  if (address) {
    return {
      type: address.family === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR,
      data: address.octets,
    };
  }
  if (/^[^@\s]+@[^@\s]+$/.test(text)) return { type: IdType.ID_RFC822_ADDR, data: toUtf8(text) };
  const name = nameOf(text);
  if (name === undefined || text === '' || /^[\d.]+$/.test(text)) return undefined;
  return { type: IdType.ID_FQDN, data: toUtf8(nameText(name).replace(/\.$/, '')) };
}

/**
 * What the files of the private groups hold, all of them read at once. Throws one OeError with everything that is wrong,
 * each at its line in `file`.
 */
export function loadGroups(config: Config, file: string): readonly PrivateGroup[] {
  const problems: ConfigProblem[] = [];
  const groups = config.ike.auth.flatMap((auth) => {
    try {
      return [groupOf(auth, config)];
    } catch (error) {
      if (!(error instanceof Unusable)) throw error;
      const { key, problem, remedy } = error;
      problems.push({ line: auth.lines[key], problem, remedy });
      return [];
    }
  });
  if (problems.length === 0) return groups;
  throw new OeError(
    'config-invalid',
    describeProblems(file, problems),
    'Correct the files or the lines that name them; `oe check` tries both without starting anything.',
    Exit.config,
  );
}

/** What is to be told of groups that can be used but will not work: each a sentence. */
export function groupComplaints(groups: readonly PrivateGroup[], wall: WallSeconds): string[] {
  return groups.flatMap((group) => {
    if (group.kind !== 'certificate') return [];
    const gone = [...group.chain, ...group.authorities].filter((c) => c.notAfter < wall).length;
    const last = group.chain[0]?.notAfter ?? wall;
    if (gone > 0) return [`A certificate of ${group.name} has expired: its members will not take this host.`];
    return last - wall < soonSeconds
      ? [`The certificate of this host for ${group.name} expires within a week.`]
      : [];
  });
}

const soonSeconds = 7 * 86_400;
/** RFC 7296 §2.15: a secret that can be guessed is found by whoever answers in the peer's place. */
const leastSecretOctets = 16;

/** One thing wrong; it becomes a problem of the configuration. */
class Unusable extends Error {
  readonly key: AuthKey;
  readonly problem: string;
  readonly remedy: string;

  constructor(key: AuthKey, problem: string, remedy: string) {
    super(problem);
    this.key = key;
    this.problem = problem;
    this.remedy = remedy;
  }
}

function groupOf(auth: AuthConfig, config: Config): PrivateGroup {
  const { name } = auth;
  const prefixes = config.policy.rules.flatMap((rule) =>
    rule.auth === name && rule.match.kind === 'prefix' ? [rule.match.prefix] : [],
  );
  const id = auth.id === undefined ? undefined : parseIdentity(auth.id);
  const common = { name, id, prefixes };
  if (auth.method === 'psk')
    return { ...common, kind: 'secret', secret: secretIn(auth.files['psk-file'] ?? '') };
  const [own, ...others] = certificatesIn('certificate-file', auth);
  const authorities = certificatesIn('ca-file', auth);
  const privateKey = privateKeyIn(auth.files['key-file'] ?? '');
  if (!own) throw new Unusable('certificate-file', 'There is no certificate.', 'Put one there.');
  for (const authority of authorities) {
    if (authority.isAuthority) continue;
    const problem = `${auth.files['ca-file'] ?? ''} holds a certificate that is none of an authority.`;
    throw new Unusable(
      'ca-file',
      problem,
      'Name the file with the certificate that signed those of the members.',
    );
  }
  const publicKey = publicKeyOf(createPublicKey(privateKey));
  if (!publicKey || !own.publicKey || !samePublicKey(publicKey, own.publicKey)) {
    const problem = `${auth.files['key-file'] ?? ''} is not the key of the certificate in ${auth.files['certificate-file'] ?? ''}.`;
    throw new Unusable('key-file', problem, 'Name the key for which the certificate was made.');
  }
  const imported = importPublicKey(publicKey);
  if (!imported.ok) {
    throw new Unusable(
      'key-file',
      `The key is of no use: ${imported.why}.`,
      'Make a new one, and a certificate for it.',
    );
  }
  // Times are looked at when it is used: a certificate that has expired is no reason to stop answering DNS.
  const when = Math.max(...[own, ...others, ...authorities].map((c) => c.notBefore)) as WallSeconds;
  const path = judgePath(own, others, authorities, when);
  if (!path.ok) {
    throw new Unusable(
      'certificate-file',
      `Members will not take the certificate in ${auth.files['certificate-file'] ?? ''}: ${path.why}.`,
      'Put the certificates of the authorities in between below it, or have one made by the authority in ca-file.',
    );
  }
  const address = id && parseAddress(auth.id ?? '');
  const fault = id && identityFault(own, id, address ?? { family: 4, octets: new Uint8Array(4) });
  if (fault !== undefined) {
    throw new Unusable(
      'id',
      `${auth.id ?? ''} does not stand in the certificate.`,
      'Leave id out, or write a name, mailbox or address that the certificate has.',
    );
  }
  return { ...common, kind: 'certificate', authorities, chain: [own, ...others], privateKey, publicKey };
}

/** `0x` and hexadecimal digits, `0s` and base64, or the text itself, as other IKE daemons have it. */
function secretIn(path: string): Uint8Array {
  const text = secretText('psk-file', path).trim();
  let secret: Uint8Array;
  try {
    if (text.startsWith('0x')) secret = fromHex(text.slice(2));
    else if (text.startsWith('0s')) secret = fromBase64(text.slice(2));
    else secret = toUtf8(text);
  } catch {
    const problem = `${path} begins with ${text.slice(0, 2)} and does not go on so.`;
    throw new Unusable('psk-file', problem, 'After 0x write hexadecimal digits, after 0s base64.');
  }
  if (secret.length >= leastSecretOctets) return secret;
  throw new Unusable(
    'psk-file',
    `The secret in ${path} has ${secret.length} octets; ${leastSecretOctets} are the least that cannot be guessed.`,
    'Make one with `openssl rand -base64 32`.',
  );
}

function privateKeyIn(path: string): KeyObject {
  try {
    return createPrivateKey(secretText('key-file', path));
  } catch (error) {
    if (error instanceof Unusable) throw error;
    const problem = `${path} holds no private key that can be read: ${messageOf(error)}.`;
    throw new Unusable('key-file', problem, 'Put the key there in PEM, without a pass phrase.');
  }
}

function secretText(key: AuthKey, path: string): string {
  const read = readSecretFile(path);
  switch (read.kind) {
    case 'read':
      return read.text;
    case 'absent':
      throw new Unusable(key, `${path} does not exist.`, 'Correct the path, or put the file there.');
    case 'exposed':
      throw new Unusable(
        key,
        `Others than its owner may read or write ${path} (mode ${read.mode}).`,
        `Run \`chmod 600 ${path}\`, and replace what is in it if somebody may have seen it.`,
      );
    case 'unreadable':
      throw new Unusable(
        key,
        `${path} cannot be read: ${read.why}.`,
        'Run as root, or correct the permissions of the file.',
      );
    default:
      return read satisfies never;
  }
}

function certificatesIn(key: 'ca-file' | 'certificate-file', auth: AuthConfig): readonly Certificate[] {
  const path = auth.files[key] ?? '';
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Unusable(
      key,
      `${path} cannot be read: ${messageOf(error)}.`,
      'Correct the path, or put the file there.',
    );
  }
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0) {
    throw new Unusable(key, `${path} has no certificate in PEM.`, 'Put one there.');
  }
  return found.map((pem, i) => {
    const octets = octetsOfPem(pem);
    const read = octets && readCertificate(octets);
    if (read?.ok) return read.certificate;
    const why = read ? `: ${read.why}` : '';
    throw new Unusable(
      key,
      `Certificate ${i + 1} in ${path} cannot be read${why}.`,
      'Put a whole one there.',
    );
  });
}

function octetsOfPem(pem: string): Uint8Array | undefined {
  try {
    return fromBase64(pem.replaceAll(/-----[^-]+-----/g, ''));
  } catch {
    return undefined;
  }
}
