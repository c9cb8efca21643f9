import type { WallSeconds } from '../../time.ts';
import { fromBase64, fromHex, sameOctets } from '../../wire/octets.ts';
import { encoded } from '../../wire/writer.ts';
import { readAnchors, type TrustAnchor } from '../anchors.ts';
import { dsDigest } from '../dnssec/crypto.ts';
import { rootName } from '../name.ts';
import { cmsFault } from './cms.ts';
import { icannRootCa } from './icann-ca.ts';

/** Who signs IANA's list. */
const mailbox = 'dnssec@iana.org';
/** The list has some 2 KB; what is longer is something else. */
const maxCharacters = 65_536;

/** One key of the list (RFC 9718 §2.1.3). */
export interface KeyDigest {
  readonly keyTag: number;
  readonly algorithm: number;
  readonly digestType: number;
  readonly digest: Uint8Array;
  readonly validFrom: WallSeconds;
  readonly validUntil: WallSeconds | undefined;
}

/**
 * The trust anchors in IANA's list of them (`root-anchors.xml`) that are in force, once its signature
 * (`root-anchors.p7s`) was checked; why not otherwise.
 */
export function anchorsOfList(
  xml: Uint8Array,
  signature: Uint8Array,
  wall: WallSeconds,
  ca: string = icannRootCa,
): readonly TrustAnchor[] | string {
  const fault = cmsFault(xml, signature, ca, mailbox, wall);
  if (fault !== undefined) return fault;
  const keys = readRootList(new TextDecoder().decode(xml));
  if (typeof keys === 'string') return `the list is not as RFC 9718 has it: ${keys}`;
  const anchors = keys
    .filter((k) => wall >= k.validFrom && (k.validUntil === undefined || wall < k.validUntil))
    .map(({ keyTag, algorithm, digestType, digest }): TrustAnchor => {
      const rdata = encoded((w) => {
        w.u16(keyTag);
        w.u8(algorithm);
        w.u8(digestType);
        w.octets(digest);
      });
      return { kind: 'DS', owner: rootName, rdata };
    });
  return anchors.length > 0 ? anchors : 'no key in the list is in force';
}

/** Reads the list; a clause about what is wrong with it otherwise. Of XML this is what RFC 9718 §2.1.1 allows for it. */
export function readRootList(text: string): readonly KeyDigest[] | string {
  if (text.length > maxCharacters) return 'it is too long';
  try {
    return listOf(readElement(new Scanner(text)));
  } catch (error) {
    if (error instanceof NotAList || error instanceof SyntaxError) return error.message;
    throw error;
  }
}

class NotAList extends Error {}

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly Element[];
  readonly text: string;
}

function listOf(top: Element): KeyDigest[] {
  if (top.name !== 'TrustAnchor') throw new NotAList(`it begins with ${top.name}`);
  const [zone, ...keys] = top.children;
  if (zone?.name !== 'Zone' || zone.text !== '.') throw new NotAList('it is not of the root');
  if (keys.length === 0) throw new NotAList('it has no key');
  return keys.map(keyOf);
}

const fields = ['KeyTag', 'Algorithm', 'DigestType', 'Digest'];
const optionalFields = ['PublicKey', 'Flags'];

function keyOf({ name, attributes, children }: Element): KeyDigest {
  if (name !== 'KeyDigest') throw new NotAList(`${name} stands where KeyDigest is wanted`);
  const names = children.map((c) => c.name).join(' ');
  if (names !== fields.join(' ') && names !== [...fields, ...optionalFields].join(' '))
    throw new NotAList(`a KeyDigest of ${names}`);
  const [keyTag = '', algorithm = '', digestType = '', digest = '', publicKey, flags] = children.map(
    (c) => c.text,
  );
  // The reader of zone files knows what a DS may be.
  const { problems } = readAnchors(`. DS ${keyTag} ${algorithm} ${digestType} ${digest}`);
  if (problems[0]) throw new NotAList(problems[0].problem);
  const key: KeyDigest = {
    keyTag: Number(keyTag),
    algorithm: Number(algorithm),
    digestType: Number(digestType),
    digest: fromHex(digest),
    validFrom: dateOf(attributes.get('validFrom') ?? ''),
    validUntil: attributes.has('validUntil') ? dateOf(attributes.get('validUntil') ?? '') : undefined,
  };
  if (publicKey !== undefined) demandSameKey(key, publicKey, Number(flags));
  return key;
}

/** Where the key stands beside its digest, both have to be of the same key. */
function demandSameKey(key: KeyDigest, publicKey: string, flags: number): void {
  const rdata = encoded((w) => {
    w.u16(flags);
    w.u8(3);
    w.u8(key.algorithm);
    w.octets(fromBase64(publicKey));
  });
  const digest = dsDigest(key.digestType, rootName, rdata);
  if (digest && !sameOctets(digest, key.digest))
    throw new NotAList(`the digest of key ${key.keyTag} is not that of its PublicKey`);
}

/** `2017-02-02T00:00:00+00:00`, with a time zone (RFC 9718 §2.1.2). */
function dateOf(text: string): WallSeconds {
  const isDate = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  const ms = isDate ? Date.parse(text) : NaN;
  if (Number.isNaN(ms)) throw new NotAList(`${text} is no date`);
  return (ms / 1000) as WallSeconds;
}

/** Goes through the text from token to token. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.take(/\s*(?:<\?xml [^<>]*\?>)?\s*/);
    this.skipComments();
  }

  /** What the pattern matches here, with its groups; undefined where it does not match. */
  take(pattern: RegExp): RegExpExecArray | undefined {
    const sticky = new RegExp(pattern.source, 'y');
    sticky.lastIndex = this.#at;
    const match = sticky.exec(this.#text);
    if (match) this.#at = sticky.lastIndex;
    return match ?? undefined;
  }

  skipComments(): void {
    while (this.take(/\s*<!--(?:[^-]|-[^-])*-->\s*/));
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }
}

function readElement(scanner: Scanner): Element {
  const element = elementAt(scanner, 0);
  scanner.take(/\s*/);
  scanner.skipComments();
  if (!scanner.isAtEnd) throw new NotAList('something follows the end');
  return element;
}

function elementAt(scanner: Scanner, depth: number): Element {
  const open = scanner.take(/<([A-Za-z]+)((?:\s+[A-Za-z]+\s*=\s*"[^"<&]*")*)\s*>/);
  const [, name = '', attributeText = ''] = open ?? [];
  if (!open || depth > 2) throw new NotAList('there is something else than elements in it');
  const attributes = new Map(
    [...attributeText.matchAll(/([A-Za-z]+)\s*=\s*"([^"]*)"/g)].map(([, k = '', v = '']) => [k, v] as const),
  );
  const children: Element[] = [];
  const text = scanner.take(/[^<&]*/)?.[0].trim() ?? '';
  scanner.skipComments();
  const end = new RegExp(`</${name}\\s*>`);
  while (!scanner.take(end)) {
    if (text !== '') throw new NotAList(`${name} holds text and elements`);
    children.push(elementAt(scanner, depth + 1));
    scanner.take(/\s*/);
    scanner.skipComments();
  }
  return { name, attributes, children, text };
}
