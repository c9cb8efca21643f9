import type { Question } from '../message.ts';
import { labelsOf, nameOf, nameText, rootName, type NameKey } from '../name.ts';
import { Type } from '../types.ts';

const sentinel = /^root-key-sentinel-(is|not)-ta-(\d{5})$/;

/**
 * Whether the answer to `question`, which is secure, is to be SERVFAIL all the same, so that a measurement in a browser
 * can tell which root keys its resolver trusts (RFC 8509 §2.2).
 */
export function sentinelRefuses(question: Question, rootTags: () => readonly number[]): boolean {
  if (question.type !== Type.A && question.type !== Type.AAAA) return false;
  if (!question.name.startsWith('root-key-sentinel-', 1)) return false;
  const match = sentinel.exec(labelsOf(question.name)[0] ?? '');
  if (!match) return false;
  return rootTags().includes(Number(match[2])) !== (match[1] === 'is');
}

/**
 * The question that tells the servers of `owner` which of its keys are trusted here: `_ta-4f66-9728`, type NULL (RFC
 * 8145 §5.1). Undefined where there are none, or too many for a label.
 */
export function signalName(owner: NameKey, tags: readonly number[]): NameKey | undefined {
  if (tags.length === 0) return undefined;
  const label = `_ta-${[...tags]
    .sort((a, b) => a - b)
    .map((tag) => tag.toString(16).padStart(4, '0'))
    .join('-')}`;
  return nameOf(owner === rootName ? label : `${label}.${nameText(owner)}`);
}
