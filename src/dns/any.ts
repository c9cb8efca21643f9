import { toUtf8 } from '../wire/octets.ts';
import type { Question } from './message.ts';
import type { NameKey } from './name.ts';
import type { Resolution } from './resolver.ts';
import { Class, Ede, Rcode, Type } from './types.ts';

/**
 * Minimal answers to questions for ANY (RFC 8482): in its place HINFO is asked, which tells whether the name is there
 * and whether it is an alias, and proves both. A name that has no HINFO, as nearly all, is then given the one of §4.2.
 */
export function inPlaceOfAny(question: Question): Question {
  return question.type === Type.ANY ? { ...question, type: Type.HINFO } : question;
}

/** The answer to ANY for `name`, from what came of {@link inPlaceOfAny}. */
export function minimalAnswer(name: NameKey, resolution: Resolution): Resolution {
  if (resolution.rcode !== Rcode.NOERROR) return resolution;
  if (resolution.answer.length === 0) return synthesized(name, resolution);
  // ANY is not followed through an alias: the first CNAME answers it, with the DNAME from which it was made.
  const alias = resolution.answer.findIndex((s) => s.type === Type.CNAME);
  return alias < 0 ? resolution : { ...resolution, answer: resolution.answer.slice(0, alias + 1) };
}

/** Nothing signs the HINFO, so the answer is not secure even where the proof was that there is none. */
function synthesized(name: NameKey, resolution: Resolution): Resolution {
  const why = 'questions for ANY are answered with a HINFO record (RFC 8482)';
  return {
    ...resolution,
    answer: [{ owner: name, type: Type.HINFO, class: Class.IN, ttl, rdatas: [rfc8482], signatures: [] }],
    authority: [],
    verdict: { status: 'indeterminate', ede: Ede.SYNTHESIZED, why },
    ede: { code: Ede.SYNTHESIZED, text: why },
  };
}

/** Seconds: long, so that whoever asks for ANY does not ask again (§4.2). */
const ttl = 3_600;
/** CPU `RFC8482`, OS empty. */
const rfc8482 = new Uint8Array([7, ...toUtf8('RFC8482'), 0]);
