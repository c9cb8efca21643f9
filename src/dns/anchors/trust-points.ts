import { earliest, instant, later, type Deadline, type Instant, type WallSeconds } from '../../time.ts';
import { sameOctets, toHex } from '../../wire/octets.ts';
import type { TrustAnchor } from '../anchors.ts';
import { dsDigest } from '../dnssec/crypto.ts';
import { keyTag } from '../dnssec/keytag.ts';
import type { Dnskey, Ds } from '../dnssec/rdata.ts';
import { nameText, type NameKey } from '../name.ts';
import type { RRset } from '../rrset.ts';
import {
  configuredKey,
  isRevoked,
  openDss,
  queryInterval,
  retryInterval,
  seen,
  unrevoked,
  validKeys,
  type KeyChange,
  type TrustPoint,
} from './rfc5011.ts';
import type { SavedAnchors, SavedPoint } from './saved.ts';
import { readSighting, type Validity } from './sighting.ts';

/** Where trust begins: anchors that stay as they are, and those that follow the zone's own roll-overs (RFC 5011). */
export interface TrustPointOptions {
  readonly fixed: readonly TrustAnchor[];
  readonly managed: readonly TrustAnchor[];
  readonly saved?: SavedAnchors | undefined;
}

/** What a DNSKEY RRset of a trust point brought. */
export interface Heard {
  /** `trusted`: signed by a key that is trusted, now; `stranger`: in force, but by no key that is trusted. */
  readonly kind: 'trusted' | 'untimely' | 'stranger';
  readonly changes: readonly KeyChange[];
  readonly untimely: readonly Validity[];
}

/** A trust point that is looked after. */
interface Managed {
  point: TrustPoint;
  /** DS RDATA that are not to be saved, since they come along with every start. */
  readonly configured: readonly Uint8Array[];
  /** The configured anchors, as texts. */
  readonly from: readonly string[];
  timing: { readonly originalTtl: number; readonly expiresIn: number };
  /** When its keys are to be asked for again, by both clocks: either may stand still or jump. */
  next: { readonly at: Instant; readonly wall: number } | undefined;
}

/** Before the first RRset was seen. */
const firstTiming = { originalTtl: 86_400, expiresIn: 7 * 86_400 };
/** The lookups at the start mostly bring what is wanted; this long it is waited for them, ms. */
const firstProbeMs = 60_000;

/** The trust anchors as they are at present, and when to look whether they still are (RFC 5011). */
export class TrustPoints {
  readonly #fixed: readonly TrustAnchor[];
  readonly #managed = new Map<NameKey, Managed>();
  #anchors: readonly TrustAnchor[];

  constructor({ fixed, managed, saved }: TrustPointOptions) {
    this.#fixed = fixed;
    for (const owner of new Set(managed.map((a) => a.owner))) {
      const own = managed.filter((a) => a.owner === owner);
      const from = own.map(anchorText);
      const kept = saved?.points.get(owner);
      const before = kept?.from.some((text) => from.includes(text)) ? kept : undefined;
      const dss = own.filter((a) => a.kind === 'DS').map((a) => a.rdata);
      const keys = own
        .filter((a) => a.kind === 'DNSKEY')
        .map((a) => configuredKey(a.rdata))
        .filter((k) => !before?.keys.some((b) => sameOctets(b.rdata, k.rdata)));
      this.#managed.set(owner, {
        point: { dss: union(dss, before?.dss ?? []), keys: [...(before?.keys ?? []), ...keys] },
        configured: dss,
        from,
        timing: firstTiming,
        next: undefined,
      });
    }
    this.#anchors = this.#present();
  }

  /** Those that count now. The same array as long as nothing changes. */
  get anchors(): readonly TrustAnchor[] {
    return this.#anchors;
  }

  isManaged(owner: NameKey): boolean {
    return this.#managed.has(owner);
  }

  /** Managed trust points of which every key is revoked: as if they had never been configured (§5). */
  get lost(): NameKey[] {
    return [...this.#managed.keys()].filter((owner) => !this.#anchors.some((a) => a.owner === owner));
  }

  /** Tags of the keys that are trusted at `owner`, in order. */
  tags(owner: NameKey): number[] {
    const tags = this.#anchors
      .filter((a) => a.owner === owner)
      .map(({ kind, rdata }) => (kind === 'DS' ? ((rdata[0] ?? 0) << 8) | (rdata[1] ?? 0) : keyTag(rdata)));
    return [...new Set(tags)].sort((a, b) => a - b);
  }

  /** What to keep for the next run. */
  saved(wall: WallSeconds): SavedAnchors {
    const points = [...this.#managed].map(([owner, { point, configured, from }]): [NameKey, SavedPoint] => {
      const fetched = point.dss.filter((ds) => !configured.some((c) => sameOctets(c, ds)));
      return [owner, { from, dss: fetched, keys: point.keys }];
    });
    return { savedAt: wall, points: new Map(points) };
  }

  /** A DNSKEY RRset of a trust point, whoever asked for it; undefined where nobody looks after this one. */
  heard(set: RRset, now: Instant, wall: WallSeconds): Heard | undefined {
    const managed = this.#managed.get(set.owner);
    if (!managed) {
      const fixed = this.#fixed.filter((a) => a.owner === set.owner);
      return fixed.length === 0 ? undefined : judge(set, wall, fixed);
    }
    const open = openDss(managed.point, names(set.owner));
    const worth = (key: Dnskey): boolean => {
      const plain = isRevoked(key) ? unrevoked(key) : key;
      return (
        managed.point.keys.some((k) => sameOctets(k.rdata, plain.rdata)) ||
        anchorsOf(set.owner, open).some((a) => isNamed(a, plain))
      );
    };
    const { sighting, untimely } = readSighting(set, wall, worth);
    const { point, changes, validated } = seen(
      { dss: managed.point.dss, keys: managed.point.keys },
      sighting,
      names(set.owner),
      wall,
    );
    managed.point = point;
    if (changes.length > 0) this.#anchors = this.#present();
    if (!validated) return { kind: untimely.length > 0 ? 'untimely' : 'stranger', changes, untimely };
    managed.timing = sighting;
    this.#schedule(managed, queryInterval(sighting), now, wall);
    return { kind: 'trusted', changes, untimely };
  }

  /** The probe of `owner` brought nothing that counts; nothing is forgotten for it (§2.3). */
  failed(owner: NameKey, now: Instant, wall: WallSeconds): void {
    const managed = this.#managed.get(owner);
    if (managed) this.#schedule(managed, retryInterval(managed.timing), now, wall);
  }

  /** Takes anchors that were fetched and proved otherwise (RFC 9718) into the trust points that are looked after. */
  adopt(anchors: readonly TrustAnchor[]): void {
    for (const { kind, owner, rdata } of anchors) {
      const managed = this.#managed.get(owner);
      if (!managed || kind !== 'DS') continue;
      managed.point = { ...managed.point, dss: union(managed.point.dss, [rdata]) };
    }
    this.#anchors = this.#present();
  }

  /** The trust points whose keys are to be asked for now; they are not due again before they were heard of or failed. */
  due(now: Instant, wall: WallSeconds): NameKey[] {
    const owners: NameKey[] = [];
    for (const [owner, managed] of this.#managed) {
      managed.next ??= { at: later(now, firstProbeMs), wall: wall + firstProbeMs / 1000 };
      if (now < managed.next.at && wall < managed.next.wall) continue;
      owners.push(owner);
      // Not more often than once an hour, whatever comes of it.
      this.#schedule(managed, retryInterval({ originalTtl: 0, expiresIn: 0 }), now, wall);
    }
    return owners;
  }

  get deadline(): Deadline | undefined {
    // At once, where the time is not known yet: that is where the waiting begins.
    const why = 'keys of a trust point';
    return earliest([...this.#managed.values()].map(({ next }) => ({ at: next?.at ?? instant(0), why })));
  }

  #schedule(managed: Managed, seconds: number, now: Instant, wall: WallSeconds): void {
    managed.next = { at: later(now, seconds * 1000), wall: wall + seconds };
  }

  #present(): TrustAnchor[] {
    const managed = [...this.#managed].flatMap(([owner, { point }]): TrustAnchor[] => [
      ...validKeys(point).map(({ rdata }) => ({ kind: 'DNSKEY' as const, owner, rdata })),
      ...anchorsOf(owner, openDss(point, names(owner))),
    ]);
    return [...this.#fixed, ...managed];
  }
}

/** `key 38696 of .: trusted from now on`, for the log. */
export function changeText(owner: NameKey, { rdata, from, to }: KeyChange): string {
  const key = `key ${keyTag(rdata)} of ${nameText(owner)}`;
  switch (to) {
    case undefined:
      return `${key} is gone before it was trusted`;
    case 'AddPend':
      return `${key} is new; it will be trusted when it has been there for 30 days`;
    case 'Valid':
      return from === 'Missing' ? `${key} is back` : `${key} is trusted`;
    case 'Missing':
      return `${key} is trusted, but the zone does not have it any longer`;
    case 'Revoked':
      return `${key} is revoked and not trusted any longer`;
    case 'Removed':
      return `${key} is done with`;
    default:
      return to satisfies never;
  }
}

/** An RRset against anchors that stay as they are. */
function judge(set: RRset, wall: WallSeconds, anchors: readonly TrustAnchor[]): Heard {
  const { sighting, untimely } = readSighting(set, wall, (key) => anchors.some((a) => isNamed(a, key)));
  const kind = sighting.signers.length > 0 ? 'trusted' : untimely.length > 0 ? 'untimely' : 'stranger';
  return { kind, changes: [], untimely };
}

function anchorText({ kind, rdata }: TrustAnchor): string {
  return `${kind} ${toHex(rdata)}`;
}

function isNamed({ kind, owner, rdata }: TrustAnchor, key: Dnskey): boolean {
  if (kind === 'DNSKEY') return sameOctets(rdata, key.rdata);
  const [high = 0, low = 0, algorithm = 0, digestType = 0] = rdata;
  const ds = { keyTag: (high << 8) | low, algorithm, digestType, digest: rdata.subarray(4) };
  return names(owner)(ds, key);
}

function names(owner: NameKey): (ds: Ds, key: Dnskey) => boolean {
  return (ds, key) => {
    if (ds.keyTag !== key.tag || ds.algorithm !== key.algorithm) return false;
    const digest = dsDigest(ds.digestType, owner, key.rdata);
    return digest !== undefined && sameOctets(digest, ds.digest);
  };
}

function anchorsOf(owner: NameKey, dss: readonly Uint8Array[]): TrustAnchor[] {
  return dss.map((rdata) => ({ kind: 'DS', owner, rdata }));
}

function union(a: readonly Uint8Array[], b: readonly Uint8Array[]): Uint8Array[] {
  return [...a, ...b.filter((x) => !a.some((y) => sameOctets(x, y)))];
}
