import { minimalAnswer } from '../dns/any.ts';
import type { NameKey } from '../dns/name.ts';
import { encodeAnswer, encodeRefusal, type ClientQuery } from '../dns/stub.ts';
import { Ede, Rcode } from '../dns/types.ts';
import type { Outcome } from './lookup.ts';

/** What a question for ANY is answered with, from what came of the question in its place. */
export function minimalOutcome(name: NameKey, outcome: Outcome): Outcome {
  if (outcome.kind === 'refuse') return outcome;
  return { ...outcome, resolution: minimalAnswer(name, outcome.resolution), reduced: undefined };
}

/** What leaves for the client of `query`. */
export function answerOctets(query: ClientQuery, outcome: Outcome, limitOctets: number): Uint8Array {
  if (outcome.kind === 'refuse') return encodeRefusal(query, outcome.rcode, outcome.ede, { limitOctets });
  // Who validates for himself needs the RRset as it was signed; for everybody else the blocked addresses are left out.
  const validates = query.edns?.dnssecOk === true || query.cd;
  if (validates && outcome.onlyReduced) {
    const { ede = Ede.OTHER, why } = outcome.onlyReduced;
    return encodeRefusal(query, Rcode.SERVFAIL, { code: ede, text: why }, { limitOctets });
  }
  const resolution = validates ? outcome.resolution : (outcome.reduced ?? outcome.resolution);
  const { ttlLimit } = outcome;
  return encodeAnswer(query, resolution, { limitOctets, ...(ttlLimit === undefined ? {} : { ttlLimit }) });
}
