import type { Judgement } from './clients.ts';
import { HeaderBit } from './message.ts';
import { decodeQuery, encodeRefusal } from './stub.ts';
import { Ede, Rcode } from './types.ts';

/** What a client gets that is not served: REFUSED and why, an answer without records and with TC, or nothing. */
export function turnedAway(
  octets: Uint8Array,
  judgement: Exclude<Judgement, 'serve'>,
  limitOctets: number,
): Uint8Array | undefined {
  if (judgement === 'drop') return undefined;
  const decoded = decodeQuery(octets);
  // What is no proper query gets nothing here: it might come from anybody.
  if (decoded.kind !== 'query') return undefined;
  if (judgement === 'refuse') {
    const ede = { code: Ede.PROHIBITED, text: 'this client may not ask here' };
    return encodeRefusal(decoded.query, Rcode.REFUSED, ede, { limitOctets });
  }
  const { query } = decoded;
  const bare = encodeRefusal(
    { ...query, edns: undefined },
    Rcode.NOERROR,
    { code: 0, text: '' },
    { limitOctets },
  );
  return bare.with(2, (bare[2] ?? 0) | (HeaderBit.TC >> 8));
}
