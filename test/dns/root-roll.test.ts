/**
 * The roll of the root's key-signing key, 2024 to 2027, in simulated time. Two generated keys stand for KSK-2017 (20326)
 * and KSK-2024 (38696); the dates are those that IANA announced.
 */
import { expect, test } from 'vitest';
import type { TrustAnchor } from '../../src/dns/anchors.ts';
import { readSaved } from '../../src/dns/anchors/saved.ts';
import type { TrustOptions } from '../../src/dns/anchors/trust.ts';
import { Type } from '../../src/dns/types.ts';
import type { WallSeconds } from '../../src/time.ts';
import { Forwarding } from './forwarding.ts';
import { anchorOf, at, day, rollingWorld, rootKey, type RootKeys } from './rolling-root.ts';
import { revokedKey } from './signing.ts';

const [ksk2017, ksk2024] = [rootKey('KSK-2017'), rootKey('KSK-2024')];
/** What stands in a program of 2023, and in this one. */
const [oldAnchors, bothAnchors] = [[anchorOf(ksk2017)], [anchorOf(ksk2017), anchorOf(ksk2024)]];

const published = at('2025-01-11');
const rolled = at('2026-10-11');
const revoked = at('2027-01-11');
const gone = at('2027-03-22');

test('the time line: published, rolled, revoked, gone', () => {
  expect([ksk2017.tag, revokedKey(ksk2017).tag - ksk2017.tag]).toEqual([ksk2017.tag, 128]);
  expect(keysAt(at('2024-12-01')).published).toEqual([ksk2017]);
  expect(keysAt(at('2026-01-01'))).toEqual({ published: [ksk2017, ksk2024], signing: [ksk2017] });
  expect(keysAt(at('2026-12-01')).signing).toEqual([ksk2024]);
  expect(keysAt(at('2027-02-01')).signing).toHaveLength(2);
  expect(keysAt(at('2027-04-01')).published).toEqual([ksk2024]);
});

test('a resolver of 2023 that ran through it all, day by day, never missed an answer', () => {
  const host = new Host(oldAnchors, at('2024-12-20'));
  const states = new Map<string, string>();
  for (let days = 0; host.wall < at('2027-03-01'); days++) {
    if (days % 16 === 0) expect(host.verdict(), dateOf(host.wall)).toBe('secure');
    const state = host.states();
    if (!states.has(state)) states.set(state, dateOf(host.wall));
    host.run(day);
  }
  expect([...states].map(([state, since]) => `${since} ${state}`)).toEqual([
    '2024-12-20 2017 Valid',
    '2025-01-11 2017 Valid, 2024 AddPend',
    '2025-02-10 2017 Valid, 2024 Valid',
    '2027-01-11 2017 Revoked, 2024 Valid',
    '2027-02-10 2017 Removed, 2024 Valid',
  ]);
  expect(host.fetches()).toBe(0);
});

test('one that is started anew every other week, from what it had kept, goes the same way', () => {
  const host = new Host(oldAnchors, at('2024-12-28'));
  for (; host.wall < at('2027-05-01'); host.run(14 * day)) {
    host.restart();
    expect(host.verdict(), dateOf(host.wall)).toBe('secure');
  }
  expect(host.states()).toBe('2017 Removed, 2024 Valid');
});

test('one that slept for a year in the middle, with both keys in it, wakes up and goes on', () => {
  const host = new Host(bothAnchors, at('2025-12-01'));
  expect(host.verdict()).toBe('secure');
  host.sleep(365 * day);
  expect(host.verdict()).toBe('secure');
  host.sleep(90 * day);
  expect(host.verdict()).toBe('secure');
  expect(host.states()).toBe('2017 Revoked, 2024 Valid');
});

test('one of 2023 that slept from before the publication to after the roll cannot be helped by RFC 5011, and asks IANA', () => {
  const host = new Host(oldAnchors, at('2024-12-01'));
  expect(host.verdict()).toBe('secure');
  host.sleep(at('2026-11-01') - host.wall);
  expect(host.verdict()).toBe('bogus');
  expect(host.fetches()).toBe(1);
  expect(host.notes()).toContain('none that oe trusts');
  // The list comes, its signature checked.
  host.net.handle({ kind: 'anchorsFetched', anchors: bothAnchors });
  host.run(10);
  expect(host.verdict()).toBe('secure');
  // It stays so after a restart, though the program still brings only the old key.
  host.restart();
  expect(host.verdict()).toBe('secure');
  expect(host.fetches()).toBe(1);
});

test('one of 2023 that slept through the first half of the publication takes the new key up in the second', () => {
  const host = new Host(oldAnchors, at('2024-12-01'));
  host.sleep(365 * day);
  for (; host.wall < at('2026-01-15'); host.run(day)) expect(host.verdict()).toBe('secure');
  host.sleep(365 * day);
  expect(host.verdict()).toBe('secure');
  expect(host.states()).toBe('2017 Revoked, 2024 Valid');
});

test('one that starts after the revocation trusts the new key only, whatever it brings along', () => {
  const host = new Host(bothAnchors, at('2027-02-01'));
  expect(host.verdict()).toBe('secure');
  expect(host.states()).toBe('2017 Revoked, 2024 Valid');
  // Even an answer of the past, signed by the old key, is nothing to it now.
  host.override = { published: [ksk2017], signing: [ksk2017] };
  host.run(2 * day);
  expect(host.verdict()).toBe('bogus');
});

test('one that starts when the old key is gone does the same', () => {
  const host = new Host(bothAnchors, at('2027-06-01'));
  expect(host.verdict()).toBe('secure');
});

test('what was kept outlives the shipped DS of a revoked key', () => {
  const host = new Host(bothAnchors, at('2027-01-10'));
  for (let i = 0; i < 100; i++) host.run(day);
  host.restart();
  host.override = { published: [ksk2017], signing: [ksk2017] };
  expect(host.verdict()).toBe('bogus');
});

test('a root that cannot be reached for some days costs no state, and is asked for no more than hourly', () => {
  const host = new Host(oldAnchors, at('2025-01-09'));
  host.verdict();
  host.run(5 * day);
  expect(host.states()).toBe('2017 Valid, 2024 AddPend');
  host.net.questions();
  host.isSilent = true;
  host.run(day);
  const asked = host.net.questions().filter((q) => q === 'DNSKEY .').length;
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(24 * 8);
  host.run(2 * day);
  host.isSilent = false;
  host.run(27 * day);
  expect(host.states()).toBe('2017 Valid, 2024 Valid');
});

test('when every key is revoked the trust point is gone, and that is told (RFC 5011 §5)', () => {
  const host = new Host(oldAnchors, at('2024-12-01'));
  expect(host.verdict()).toBe('secure');
  host.override = { published: [revokedKey(ksk2017)], signing: [revokedKey(ksk2017)] };
  host.run(2 * day);
  expect(host.verdict()).toBe('indeterminate');
  expect(host.notes()).toContain('Every key of the DNS root that was trusted is revoked');
  expect(host.logged()).toContain('anchors.lost');
  expect(host.fetches()).toBeGreaterThan(0);
});

/** The keys of the root at a time. */
function keysAt(wall: WallSeconds): RootKeys {
  const old = revokedKey(ksk2017);
  if (wall < published) return { published: [ksk2017], signing: [ksk2017] };
  if (wall < rolled) return { published: [ksk2017, ksk2024], signing: [ksk2017] };
  if (wall < revoked) return { published: [ksk2017, ksk2024], signing: [ksk2024] };
  if (wall < gone) return { published: [old, ksk2024], signing: [old, ksk2024] };
  return { published: [ksk2024], signing: [ksk2024] };
}

/** A host with a resolver, its state file and its clock. */
class Host {
  readonly net: Forwarding;
  readonly #managed: readonly TrustAnchor[];
  override: RootKeys | undefined;
  isSilent = false;

  constructor(managed: readonly TrustAnchor[], wall: WallSeconds) {
    const world = rollingWorld(
      (now) => this.override ?? keysAt(now),
      () => this.net.wall,
    );
    this.net = new Forwarding([], (octets) => (this.isSilent ? undefined : world.answer(octets)));
    this.net.wall = wall;
    this.#managed = managed;
    this.restart();
  }

  get wall(): WallSeconds {
    return this.net.wall;
  }

  run(seconds: number): void {
    this.net.wait(seconds);
  }

  /** Off, and on again with what it had kept. */
  sleep(seconds: number): void {
    this.net.wall = (this.net.wall + seconds) as WallSeconds;
    this.restart();
  }

  restart(): void {
    const trust: Omit<TrustOptions, 'fixed'> = { managed: this.#managed, saved: this.#saved() };
    this.net.restart(trust);
  }

  /** What a lookup finds, without a cache. */
  verdict(): string {
    const id = this.net.start('www.example.org', Type.A);
    this.net.wait(30);
    return this.net.resolved.get(id)?.resolution.verdict.status ?? 'none';
  }

  states(): string {
    const points = this.#saved()?.points.values().next().value;
    return (points?.keys ?? [])
      .map((k) => `${nick(k.rdata)} ${k.state}`)
      .sort()
      .join(', ');
  }

  notes(): string {
    return this.net.resolver
      .notes(this.net.wall, this.net.now)
      .map((n) => n.sentence)
      .join('\n');
  }

  fetches(): number {
    return this.net.trustEffects.filter((e) => e.kind === 'fetchAnchors').length;
  }

  logged(): string[] {
    return this.net.trustEffects.flatMap((e) => (e.kind === 'log' ? [e.event.event] : []));
  }

  #saved() {
    const kept = this.net.trustEffects.findLast((e) => e.kind === 'keepAnchors');
    const saved = kept && readSaved(kept.text);
    if (typeof saved === 'string') throw new Error(saved);
    return saved;
  }
}

function nick(rdata: Uint8Array): string {
  return rdata.toHex() === ksk2017.rdata.toHex() ? '2017' : '2024';
}

function dateOf(wall: WallSeconds): string {
  return new Date(wall * 1000).toISOString().slice(0, 10);
}
