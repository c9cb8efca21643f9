import { createSocket } from 'node:dgram';
import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';
import type { TrustAnchor } from '../../dns/anchors.ts';
import { anchorsOfList } from '../../dns/anchors/root-list.ts';
import { decodeMessage, emptyMessage, encodeMessage } from '../../dns/message.ts';
import { nameOf } from '../../dns/name.ts';
import { Class, Type } from '../../dns/types.ts';
import { formatAddress, type Endpoint, type IpAddress } from '../../net/address.ts';
import type { WallSeconds } from '../../time.ts';
import { systemRandom } from './random.ts';

/** The list and its signature are some 3 KB each. */
const maxOctets = 65_536;
const limitMs = 10_000;

/**
 * IANA's list of the root's trust anchors (RFC 9718) from below `url`, its signature checked. The server's name is
 * asked of `own`, our own resolver, without validation: this is wanted when nothing validates, and it is the signature
 * of the list that proves it. Rejects with a sentence.
 */
export async function fetchRootList(
  url: string | undefined,
  own: readonly Endpoint[],
  wall: WallSeconds,
): Promise<readonly TrustAnchor[]> {
  if (url === undefined) throw new Error('root-anchors-url in [dns] is empty');
  const at = await addressOf(new URL(url).hostname, own);
  const [list, signature] = await Promise.all(
    ['root-anchors.xml', 'root-anchors.p7s'].map((file) => fetched(new URL(file, url), at)),
  );
  const found = anchorsOfList(list ?? new Uint8Array(), signature ?? new Uint8Array(), wall);
  if (typeof found === 'string') throw new Error(found);
  return found;
}

/** The first address of a host, asked with the CD bit. */
async function addressOf(host: string, own: readonly Endpoint[]): Promise<string> {
  const name = nameOf(host);
  const [server] = own;
  if (name === undefined || !server) throw new Error(`there is nobody to ask for the address of ${host}`);
  for (const type of [Type.A, Type.AAAA]) {
    const reply = decodeMessage(await asked(server, query(name, type)));
    const record = reply.ok ? reply.value.answer.find((r) => r.type === type) : undefined;
    if (record) {
      const family = type === Type.A ? 4 : 6;
      return formatAddress({ family, octets: record.rdata } as IpAddress);
    }
  }
  throw new Error(`${host} has no address`);
}

function query(name: NonNullable<ReturnType<typeof nameOf>>, type: number): Uint8Array {
  const [high = 0, low = 0] = systemRandom.octets(2);
  return encodeMessage({
    ...emptyMessage,
    id: (high << 8) | low,
    recursionDesired: true,
    checkingDisabled: true,
    questions: [{ name, type, class: Class.IN }],
  });
}

/** The reply of a server on this host to one datagram. */
function asked({ address, port }: Endpoint, octets: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(address.family === 4 ? 'udp4' : 'udp6');
    const timer = setTimeout(() => {
      end(() => {
        reject(new Error('the own resolver does not answer'));
      });
    }, limitMs);
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      socket.close();
      settle();
    };
    socket.on('message', (message) => {
      if (message[0] !== octets[0] || message[1] !== octets[1]) return;
      end(() => {
        resolve(Uint8Array.from(message));
      });
    });
    socket.on('error', (error) => {
      end(() => {
        reject(error);
      });
    });
    socket.send(octets, port, formatAddress(address));
  });
}

/** What a web server has under `url`, which is reached at the address `at`. */
function fetched(url: URL, at: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const get = url.protocol === 'https:' ? getHttps : getHttp;
    const family = at.includes(':') ? 6 : 4;
    const request = get(
      url,
      {
        signal: AbortSignal.timeout(limitMs),
        lookup: (_, options, done) => {
          if (options.all) done(null, [{ address: at, family }]);
          else done(null, at, family);
        },
      },
      (response) => {
        if (response.statusCode !== 200) {
          request.destroy(new Error(`${url.href} answers with status ${response.statusCode ?? 0}`));
          return;
        }
        const parts: Uint8Array[] = [];
        let length = 0;
        response.on('data', (part: Uint8Array) => {
          parts.push(part);
          length += part.length;
          if (length > maxOctets) request.destroy(new Error(`${url.href} is too long`));
        });
        response.on('end', () => {
          resolve(Uint8Array.from(Buffer.concat(parts)));
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
  });
}
