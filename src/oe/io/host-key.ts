import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Exit, OeError, messageOf } from '../../errors.ts';
import { publicKeyOf } from '../../ike/crypto/public-key.ts';
import type { PublicKey } from '../../net/public-key.ts';
import { readSecretFile } from './secret-file.ts';

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface HostKey {
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
}

/** Makes a key and writes it as PKCS#8 PEM, readable by its owner alone. Never replaces one unless told. */
export function createHostKey(path: string, type: HostKeyType, replace: boolean): HostKey {
  const privateKey = generate(type);
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    if (replace) {
      // In place at once: a crash leaves either the old key or the new one, never half of it.
      writeFileSync(`${path}.new`, pem, { mode: 0o600, flag: 'w' });
      chmodSync(`${path}.new`, 0o600);
      renameSync(`${path}.new`, path);
    } else {
      writeFileSync(path, pem, { mode: 0o600, flag: 'wx' });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new OeError(
        'key-exists',
        `There is a host key already: ${path}.`,
        'Use it (`oe key show`), or replace it with `oe key new --replace`; then publish the new one at once.',
        Exit.cannotCreate,
      );
    }
    throw new OeError(
      'key-unwritable',
      `The host key cannot be written: ${messageOf(error)}.`,
      'Run as root, or set config-directory in [paths] to a directory that this user may write.',
      Exit.cannotCreate,
      error,
    );
  }
  return { privateKey, publicKey: publicKeyFrom(privateKey, path) };
}

/** The key in `path`; undefined where there is none. Throws an OeError for one that others may read or that is none. */
export function loadHostKey(path: string): HostKey | undefined {
  const read = readSecretFile(path);
  switch (read.kind) {
    case 'read':
      return hostKeyOf(read.text, path);
    case 'absent':
      return undefined;
    case 'exposed':
      throw new OeError(
        'key-exposed',
        `Others than its owner may read or write the host key ${path} (mode ${read.mode}).`,
        `Run \`chmod 600 ${path}\`, and replace the key if somebody may have seen it.`,
        Exit.noPermission,
      );
    case 'unreadable':
      throw new OeError(
        'key-unreadable',
        `The host key cannot be read: ${read.why}.`,
        'Run as root, or correct the permissions of the file.',
        Exit.noPermission,
        read.cause,
      );
    default:
      return read satisfies never;
  }
}

function hostKeyOf(pem: string, path: string): HostKey {
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(pem);
  } catch (error) {
    throw notAKey(path, messageOf(error), error);
  }
  return { privateKey, publicKey: publicKeyFrom(privateKey, path) };
}

/** A key that is kept nowhere. */
export function scratchKey(): HostKey {
  const privateKey = generate('ed25519');
  return { privateKey, publicKey: publicKeyFrom(privateKey, 'a scratch key') };
}

/** The public half in the form in which DNS publishes it. */
export function publicKeyFrom(privateKey: KeyObject, path: string): PublicKey {
  const publicKey = publicKeyOf(createPublicKey(privateKey));
  if (publicKey) return publicKey;
  throw notAKey(path, `it is of a kind that IKE cannot use (${privateKey.asymmetricKeyType ?? '?'})`);
}

function generate(type: HostKeyType): KeyObject {
  switch (type) {
    case 'ed25519':
      return generateKeyPairSync('ed25519').privateKey;
    case 'ecdsa':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    case 'rsa':
      return generateKeyPairSync('rsa', { modulusLength: 3_072 }).privateKey;
    default:
      return type satisfies never;
  }
}

function notAKey(path: string, why: string, cause?: unknown): OeError {
  return new OeError(
    'key-invalid',
    `${path} holds no private key that oe can use: ${why}.`,
    'Put a PKCS#8 PEM key there, or make one with `oe key new --replace`.',
    Exit.dataError,
    cause,
  );
}
