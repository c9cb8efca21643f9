import type { Brand } from '../brand.ts';
import type { IpAddress } from '../net/address.ts';
import { fromLatin1 } from '../wire/octets.ts';
import type { Reader } from '../wire/reader.ts';

/**
 * A domain name: its uncompressed wire octets (length-prefixed labels and the root's zero octet) as latin1 text,
 * ASCII letters in lower case (RFC 4343, RFC 4034 §6.2). Equality, hashing and Map keys need nothing else.
 * The root is `'\0'`.
 */
export type NameKey = Brand<string, 'NameKey'>;

/** The root of the tree. */
export const rootName = '\0' as NameKey;

/** Octets of the longest name, lengths and the root's zero octet counted (RFC 1035 §2.3.4). */
export const maxNameOctets = 255;
/** Octets of the longest label (RFC 1035 §2.3.4). */
export const maxLabelOctets = 63;

/** Compression pointers that one name may go through; honest messages need one or two. */
const maxPointers = 64;

/**
 * Reads presentation form: `www.example.org`, with or without the last dot, with `\.` and `\DDD` (RFC 1035 §5.1).
 * Undefined for empty or too long labels, a name over 255 octets, and characters outside ASCII (an
 * internationalised name comes as its A-labels).
 */
export function nameOf(text: string): NameKey | undefined {
  if (text === '.') return rootName;
  const labels: string[] = [];
  let label = '';
  for (let at = 0; at < text.length;) {
    if (text.charAt(at) === '.') {
      if (label === '') return undefined;
      labels.push(label);
      label = '';
      at++;
      continue;
    }
    const { octet, length } = characterAt(text, at);
    if (!(octet <= 255)) return undefined;
    label += String.fromCharCode(octet);
    at += length;
  }
  if (label !== '') labels.push(label);
  return labels.length === 0 ? undefined : nameOfLabels(labels);
}

/**
 * Presentation form without the last dot; the root is `.`. Only printable ASCII comes out: other octets are `\DDD`,
 * characters that mean something in a zone file have a backslash before them.
 */
export function nameText(name: NameKey): string {
  if (name === rootName) return '.';
  let text = '';
  for (let at = 0; ;) {
    const length = name.charCodeAt(at);
    if (!(length > 0)) return text;
    if (at > 0) text += '.';
    text += labelText(name.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** `name` is `ancestor` or lies below it. */
export function isBelow(name: NameKey, ancestor: NameKey): boolean {
  const cut = name.length - ancestor.length;
  if (cut < 0 || !name.endsWith(ancestor)) return false;
  // The same octets may also stand inside a label: the cut must be where a label begins.
  let at = 0;
  while (at < cut) at += name.charCodeAt(at) + 1;
  return at === cut;
}

/** `10.2.18.198.in-addr.arpa` or the nibbles under ip6.arpa (RFC 1035 §3.5, RFC 3596 §2.5). */
export function reverseName(address: IpAddress): NameKey {
  const octets = [...address.octets].reverse();
  const text =
    address.family === 4
      ? `${octets.join('.')}.in-addr.arpa`
      : `${octets.map((o) => `${(o & 15).toString(16)}.${(o >> 4).toString(16)}`).join('.')}.ip6.arpa`;
  const name = nameOf(text);
  if (name === undefined) throw new RangeError(`no reverse name for ${text}`);
  return name;
}

/** The labels as latin1 text, the one nearest to the root last; the root itself is not among them. */
export function labelsOf(name: NameKey): string[] {
  const labels: string[] = [];
  for (let at = 0; ;) {
    const length = name.charCodeAt(at);
    if (!(length > 0)) return labels;
    labels.push(name.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
}

/** Puts a name together; undefined where a label is empty or too long, or the name is. */
export function nameOfLabels(labels: readonly string[]): NameKey | undefined {
  let name = '';
  for (const label of labels) {
    if (label.length === 0 || label.length > maxLabelOctets) return undefined;
    name += String.fromCharCode(label.length) + label;
  }
  return name.length < maxNameOctets ? ((lowerAscii(name) + rootName) as NameKey) : undefined;
}

/** Labels without the root: 0 for the root, 3 for `www.example.org`; a leading `*` counts. */
export function labelCount(name: NameKey): number {
  let count = 0;
  for (let at = 0; ; count++) {
    const length = name.charCodeAt(at);
    if (!(length > 0)) return count;
    at += 1 + length;
  }
}

/** The name without its first label; undefined for the root. */
export function parentOf(name: NameKey): NameKey | undefined {
  return name === rootName ? undefined : (name.slice(1 + name.charCodeAt(0)) as NameKey);
}

/** The last `labels` labels of `name`, e.g. 2 of `www.example.org` give `example.org`; all of it where it has no more. */
export function ancestorOf(name: NameKey, labels: number): NameKey {
  let at = 0;
  for (let extra = labelCount(name) - labels; extra > 0; extra--) at += 1 + name.charCodeAt(at);
  return name.slice(at) as NameKey;
}

/** The longest name that both lie at or below. */
export function commonAncestor(a: NameKey, b: NameKey): NameKey {
  const labels = Math.min(labelCount(a), labelCount(b));
  let x = ancestorOf(a, labels);
  let y = ancestorOf(b, labels);
  while (x !== y) {
    x = parentOf(x) ?? rootName;
    y = parentOf(y) ?? rootName;
  }
  return x;
}

/** `*.example.org` for `example.org`; undefined where that is longer than a name may be. */
export function wildcardOf(ancestor: NameKey): NameKey | undefined {
  return ancestor.length + 2 > maxNameOctets ? undefined : (`\u0001*${ancestor}` as NameKey);
}

/** The first label is `*` (RFC 4592 §2.1.1). */
export function isWildcard(name: NameKey): boolean {
  return name.startsWith('\u0001*');
}

/**
 * `name` with its ending `from` replaced by `to`, as a DNAME does (RFC 6672 §2.2). Undefined where `name` is not
 * below `from` or the result is longer than a name may be (the answer is then YXDOMAIN).
 */
export function rebased(name: NameKey, from: NameKey, to: NameKey): NameKey | undefined {
  if (!isBelow(name, from)) return undefined;
  const moved = name.slice(0, name.length - from.length) + to;
  return moved.length > maxNameOctets ? undefined : (moved as NameKey);
}

/**
 * Canonical order (RFC 4034 §6.1): by labels from the root downwards, each as unsigned octets, the absent one first.
 * Negative where `a` comes before `b`.
 */
export function compareNames(a: NameKey, b: NameKey): number {
  if (a === b) return 0;
  const x = labelsOf(a);
  const y = labelsOf(b);
  for (let i = 1; i <= x.length && i <= y.length; i++) {
    const p = x[x.length - i] ?? '';
    const q = y[y.length - i] ?? '';
    // Code units of latin1 text are its octets, so the language's own order of strings is the one wanted.
    if (p !== q) return p < q ? -1 : 1;
  }
  return x.length - y.length;
}

/** The uncompressed wire form, owned; letters in lower case. */
export function octetsOfName(name: NameKey): Uint8Array {
  return fromLatin1(name);
}

/** Reads a name, compressed or not (RFC 1035 §4.1.4); offsets of pointers count from the reader's outermost message. */
export function readName(r: Reader): NameKey {
  return keyOfScratch(scan(r, true));
}

/** Reads a name where none may be compressed (RFC 3597 §4); a pointer is a WireError. */
export function readPlainName(r: Reader): NameKey {
  return keyOfScratch(scan(r, false));
}

/** As {@link readName}, but gives the uncompressed octets with the case they came in; owned. */
export function readNameOctets(r: Reader): Uint8Array {
  return scratch.slice(0, scan(r, true));
}

/** Where {@link scan} puts the name; used up before anything else can run. */
const scratch = new Uint8Array(maxNameOctets);

/** Moves `r` past a name, leaves its octets in `scratch` and returns how many they are. */
function scan(r: Reader, pointers: boolean): number {
  const octets = r.octetsAll;
  let at = r.offset;
  let end = at + r.remaining;
  let segment = at;
  let consumed = -1;
  let length = 0;
  for (let jumps = 0; ;) {
    if (at >= end) r.fail('a name that does not end');
    const first = octets[at] ?? 0;
    if (first <= maxLabelOctets) {
      const next = at + 1 + first;
      if (next > end) r.fail(`a label of ${first} octets, ${end - at - 1} left`);
      if (length + 1 + first > maxNameOctets) r.fail(`a name over ${maxNameOctets} octets`);
      while (at < next) scratch[length++] = octets[at++] ?? 0;
      if (first !== 0) continue;
      r.skip((consumed < 0 ? at : consumed) - r.offset);
      return length;
    }
    if (first < 0xc0) r.fail(`label type ${first >> 6}`);
    if (!pointers) r.fail('a compressed name where none may be');
    if (at + 2 > end) r.fail('half a compression pointer');
    if (++jumps > maxPointers) r.fail(`more than ${maxPointers} compression pointers in a name`);
    const target = ((first & 0x3f) << 8) | (octets[at + 1] ?? 0);
    // Before what was read so far (RFC 1035 §4.1.4: "a prior occurrence"), which also makes loops impossible.
    if (target >= segment) r.fail('a compression pointer that does not point backwards');
    if (consumed < 0) consumed = at + 2;
    at = target;
    segment = target;
    end = octets.length;
  }
}

function keyOfScratch(length: number): NameKey {
  for (let i = 0; i < length; i++) scratch[i] = lowerOctets[scratch[i] ?? 0] ?? 0;
  // A string that grows by one character at a time costs a heap object for each: 30 µs for the longest name, not 1.
  return String.fromCharCode.apply(null, scratch.subarray(0, length) as unknown as number[]) as NameKey;
}

/** Octet to octet in lower case. Length octets (0–63) are below every letter and stay as they are. */
const lowerOctets = Uint8Array.from({ length: 256 }, (_, o) => (o >= 0x41 && o <= 0x5a ? o + 0x20 : o));

/** One character of presentation form, escaped or not, and how many of the text it takes; NaN where it is none. */
function characterAt(text: string, at: number): { readonly octet: number; readonly length: number } {
  const [escape] = /^\\(?:\d{3}|\D)/.exec(text.slice(at, at + 4)) ?? [];
  if (escape?.length === 4) return { octet: Number(escape.slice(1)), length: 4 };
  // A backslash that ends the text, or stands before one or two digits, means nothing.
  const code = text.charAt(at) === '\\' ? (escape?.charCodeAt(1) ?? NaN) : text.charCodeAt(at);
  return { octet: code < 0x80 ? code : NaN, length: escape === undefined ? 1 : 2 };
}

/** ASCII letters only: `toLowerCase` would change octets from 0xC0 on. */
function lowerAscii(text: string): string {
  return text.replaceAll(/[A-Z]/g, (c) => c.toLowerCase());
}

function labelText(label: string): string {
  return commonLabel.test(label) ? label : escapedLabel(label);
}

/** Such a label is written as it is, as nearly all are. */
const commonLabel = /^[\w-]+$/;

function escapedLabel(label: string): string {
  return label.replaceAll(/[^!-~]|[.\\"();@$]/g, (c) => {
    const code = c.charCodeAt(0);
    return code > 0x20 && code < 0x7f ? `\\${c}` : `\\${String(code).padStart(3, '0')}`;
  });
}
