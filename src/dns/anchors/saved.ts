import { wallSeconds, type WallSeconds } from '../../time.ts';
import { readAnchors } from '../anchors.ts';
import { keyTag } from '../dnssec/keytag.ts';
import { nameOf, nameText, type NameKey } from '../name.ts';
import { rdataText } from '../rdata-text.ts';
import { Type } from '../types.ts';
import type { KeyState, TrackedKey, TrustPoint } from './rfc5011.ts';

/** What is kept of trust points from one run to the next. */
export interface SavedAnchors {
  /** The clock has been there: it cannot honestly say an earlier time. */
  readonly savedAt: WallSeconds;
  /** `dss` are those that were fetched; those that this program brings along are not saved. */
  readonly points: ReadonlyMap<NameKey, SavedPoint>;
}

export interface SavedPoint extends TrustPoint {
  /**
   * The configured anchors that all this was learned from, as texts. Where none of them is configured any longer, as
   * after a try with another root, it is worth nothing.
   */
  readonly from: readonly string[];
}

const version = 1;
const states: readonly KeyState[] = ['AddPend', 'Valid', 'Missing', 'Revoked', 'Removed'];

/**
 * The text of the state file: JSON, so that no tool takes its pending and revoked keys for a list of trust anchors.
 */
export function savedText(saved: SavedAnchors): string {
  const points = [...saved.points].map(([owner, { from, dss, keys }]) => ({
    owner: nameText(owner),
    from,
    ds: dss.map((rdata) => rdataText(Type.DS, rdata)),
    keys: keys.map((key) => ({
      state: key.state,
      since: dateText(key.since),
      tag: keyTag(key.rdata),
      dnskey: dnskeyText(key.rdata),
      ...(key.state === 'AddPend' && {
        holdSeconds: key.holdSeconds,
        vouchers: key.vouchers.map(dnskeyText),
      }),
    })),
  }));
  const note = 'Written by oe (RFC 5011). Remove the file to start from the keys that oe brings along.';
  return `${JSON.stringify({ version, note, savedAt: dateText(saved.savedAt), points }, null, 2)}\n`;
}

/** Reads what {@link savedText} wrote; a clause about what is wrong otherwise. All or nothing. */
export function readSaved(text: string): SavedAnchors | string {
  try {
    const tree: unknown = JSON.parse(text);
    const file = record(tree, 'the file');
    if (file['version'] !== version) throw new Unusable(`its version is not ${version}`);
    const points = list(file['points'], 'points').map((point) => pointOf(record(point, 'a point')));
    return { savedAt: dateOf(file['savedAt']), points: new Map(points) };
  } catch (error) {
    if (error instanceof Unusable || error instanceof SyntaxError) return error.message;
    throw error;
  }
}

class Unusable extends Error {}

function pointOf(point: Readonly<Record<string, unknown>>): [NameKey, SavedPoint] {
  const owner = nameOf(textOf(point['owner'], 'owner'));
  if (owner === undefined) throw new Unusable('an owner is no domain name');
  const dss = list(point['ds'], 'ds').map((ds) => rdataOf('DS', ds));
  const keys = list(point['keys'], 'keys').map((key) => keyOf(record(key, 'a key')));
  const from = list(point['from'] ?? [], 'from').map((text) => textOf(text, 'from'));
  return [owner, { from, dss, keys }];
}

function keyOf(key: Readonly<Record<string, unknown>>): TrackedKey {
  const state = states.find((s) => s === key['state']);
  if (!state) throw new Unusable('a key is in no state that there is');
  const holdSeconds = key['holdSeconds'] ?? 0;
  if (typeof holdSeconds !== 'number' || !(holdSeconds >= 0))
    throw new Unusable('holdSeconds is not a number');
  return {
    rdata: rdataOf('DNSKEY', key['dnskey']),
    state,
    since: dateOf(key['since']),
    holdSeconds,
    vouchers: list(key['vouchers'] ?? [], 'vouchers').map((v) => rdataOf('DNSKEY', v)),
  };
}

function rdataOf(type: 'DS' | 'DNSKEY', value: unknown): Uint8Array {
  const { anchors, problems } = readAnchors(`. ${type} ${textOf(value, type)}`);
  const [anchor] = anchors;
  if (!anchor) throw new Unusable(problems[0]?.problem ?? `a ${type} is not one`);
  return anchor.rdata;
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Unusable(`${what} is not an object`);
  return value as Readonly<Record<string, unknown>>;
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Unusable(`${what} is not a list`);
  return value as readonly unknown[];
}

function textOf(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new Unusable(`${what} is not a text`);
  return value;
}

function dateOf(value: unknown): WallSeconds {
  const ms = typeof value === 'string' ? Date.parse(value) : NaN;
  if (Number.isNaN(ms)) throw new Unusable('a date is not one');
  return wallSeconds(Math.floor(ms / 1000));
}

function dateText(wall: WallSeconds): string {
  return new Date(Math.floor(wall) * 1000).toISOString();
}

/** Without the comment that {@link rdataText} adds. */
function dnskeyText(rdata: Uint8Array): string {
  return rdataText(Type.DNSKEY, rdata).replace(/ ;.*/, '');
}
