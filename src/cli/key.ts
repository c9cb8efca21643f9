import { hostname } from 'node:os';
import { ipseckeyRecordText } from '../dns/ipseckey.ts';
import { nameOf, reverseName } from '../dns/name.ts';
import { Exit, OeError } from '../errors.ts';
import { formatAddress, parseAddress, type IpAddress } from '../net/address.ts';
import { describePublicKey } from '../net/public-key.ts';
import { hostKeyPath } from '../oe/config.ts';
import { createHostKey, loadHostKey, type HostKeyType } from '../oe/io/host-key.ts';
import { localAddresses } from '../oe/io/source.ts';
import { pathsFor, printJson } from './options.ts';

export async function keyNew(options: {
  readonly config?: string;
  readonly type: HostKeyType;
  readonly replace?: boolean;
}): Promise<number> {
  const path = hostKeyPath(await pathsFor(options.config));
  const key = createHostKey(path, options.type, options.replace === true);
  process.stdout.write(
    `Wrote a new host key (${describePublicKey(key.publicKey)}) to ${path}.\n` +
      'Publish it: `oe key show` prints the records. A running oe takes it when it starts again.\n',
  );
  return Exit.ok;
}

export async function keyShow(options: {
  readonly config?: string;
  readonly json?: boolean;
  readonly name?: string;
  readonly address?: readonly string[];
}): Promise<number> {
  const path = hostKeyPath(await pathsFor(options.config));
  const key = loadHostKey(path);
  if (!key) {
    throw new OeError(
      'key-missing',
      `There is no host key yet (${path}).`,
      'Make one with `sudo oe key new`.',
      Exit.unavailable,
    );
  }
  const nameText = options.name ?? hostname();
  const name = nameOf(nameText);
  if (name === undefined) {
    throw new OeError('name-invalid', `${nameText} is no host name.`, 'Give one with --name.', Exit.usage);
  }
  const addresses = options.address?.map(addressFrom) ?? localAddresses();
  const records = [
    { owner: nameText, record: ipseckeyRecordText(name, key.publicKey) },
    ...addresses.map((a) => ({
      owner: formatAddress(a),
      record: ipseckeyRecordText(reverseName(a), key.publicKey),
    })),
  ];
  if (options.json === true) {
    printJson({ version: 1, key: describePublicKey(key.publicKey), records });
    return Exit.ok;
  }
  const lines = [
    `; ${describePublicKey(key.publicKey)}, from ${path}`,
    '; In the zone of the name, which must be signed (clients find the key here):',
    records[0]?.record ?? '',
    '; In the reverse zones, signed too (needed where this host begins and proves itself):',
    ...records.slice(1).map((r) => r.record),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  if (options.name === undefined && !nameText.includes('.')) {
    process.stderr.write(`oe: ${nameText} is only this host's short name; give the full one with --name.\n`);
  }
  return Exit.ok;
}

function addressFrom(text: string): IpAddress {
  const address = parseAddress(text);
  if (address) return address;
  throw new OeError(
    'address-invalid',
    `${text} is no address.`,
    'Write for example --address 192.0.2.1 2001:db8::1.',
    Exit.usage,
  );
}
