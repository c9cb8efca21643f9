import { expect, test } from 'vitest';
import { Paused, Turn } from '../../src/dns/dnssec/budget.ts';
import { Resolver, type ResolverInput } from '../../src/dns/resolver.ts';
import { Class, Type } from '../../src/dns/types.ts';
import { parseEndpoint } from '../../src/net/address.ts';
import { instant, type Instant } from '../../src/time.ts';
import { countingRandom } from './forwarding.ts';
import { readScenes } from './scenario/text.ts';
import { stageOf } from './scenario/stage.ts';
import { key, signingDate } from './zone.ts';

test('what would not end in a turn waits for the next one, and so does all that comes after it', () => {
  const turn = new Turn(instant(0));
  turn.take(900);
  expect(() => {
    turn.take(900);
  }).toThrow(Paused);
  expect(() => {
    turn.take(1);
  }).toThrow(Paused);
});

test('what is longer than a turn has one to itself', () => {
  const turn = new Turn(instant(0));
  turn.take(5_000);
  expect(() => {
    turn.take(1);
  }).toThrow(Paused);
});

test('THREATS B: replies that come together share a turn: nobody waits behind the signatures of all of them', () => {
  const it = new Lookups();
  for (let i = 1; i <= 6; i++) it.look(i);
  it.reply(instant(1_010));
  const atOnce = it.resolved;
  expect(atOnce).toBeLessThan(6);
  const afterEach = [];
  while (it.resolved < 6 && afterEach.length < 20) afterEach.push(it.tick(instant(1_010)));
  expect(it.resolved).toBe(6);
  // One signature of P-384 for each turn.
  expect(Math.max(...afterEach)).toBe(1);
});

test('replies that come one after the other do not wait for a turn', () => {
  const it = new Lookups();
  for (let i = 1; i <= 6; i++) {
    it.look(i);
    it.reply(instant(1_010 + 3 * i));
    expect(it.resolved).toBe(i);
  }
});

/** Lookups in a zone that is signed with P-384 and known; replies are held until they are wanted. */
class Lookups {
  resolved = 0;
  readonly #stage = stageOf(scene().lines, signingDate, 'forward');
  readonly #resolver: Resolver;
  #coming: ResolverInput[] = [];
  #now: Instant = instant(1_000);

  constructor() {
    const endpoint = parseEndpoint('192.0.2.1:53', 53);
    if (!endpoint) throw new Error('no endpoint');
    const { anchors } = this.#stage;
    this.#resolver = new Resolver({
      upstreams: [{ endpoint, transport: 'udp' }],
      anchors,
      random: countingRandom(),
    });
    this.look(0);
    while (this.resolved === 0) {
      this.reply(this.#now);
      this.tick(this.#now);
    }
    this.resolved = 0;
  }

  look(id: number): void {
    const question = { name: key(`n${id}.example.org`), type: Type.A, class: Class.IN };
    this.#handle({ kind: 'lookup', id, question, checkingDisabled: false });
  }

  /** All replies that are on their way come in. */
  reply(now: Instant): void {
    this.#now = now;
    const coming = this.#coming;
    this.#coming = [];
    for (const input of coming) this.#handle(input);
  }

  /** How many lookups end with it. */
  tick(now: Instant): number {
    this.#now = now;
    const before = this.resolved;
    this.#handle({ kind: 'tick' });
    return this.resolved - before;
  }

  #handle(input: ResolverInput): void {
    for (const effect of this.#resolver.handle(input, this.#now, signingDate)) {
      if (effect.kind === 'ask') {
        const octets = this.#stage.world.answer(effect.octets, 'tcp');
        this.#coming.push({ kind: 'reply', ask: effect.ask, octets });
      }
      if (effect.kind !== 'resolved') continue;
      expect(effect.resolution.verdict.status).toBe('secure');
      this.resolved++;
    }
  }
}

function scene() {
  const text = `scene turns\nzone . alg=14\nzone org alg=14\nzone example.org alg=14\n$GENERATE 0-6 n$.example.org A 192.0.2.$`;
  const [one] = readScenes(text, 'turns', () => '');
  if (!one) throw new Error('no scene');
  return one;
}
