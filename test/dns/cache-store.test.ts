import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Store } from '../../src/dns/cache/store.ts';

test('what is in use stays while a flood of keys that nobody asks for again goes by', () => {
  const store = new Store<number>(1_000);
  for (let i = 0; i < 50; i++) store.set(`used ${i}`, i, 10);
  for (let i = 0; i < 10_000; i++) {
    store.get(`used ${i % 50}`);
    store.set(`flood ${i}`, i, 10);
  }
  for (let i = 0; i < 50; i++) expect(store.peek(`used ${i}`)).toBe(i);
});

test('what is not used any longer goes', () => {
  const store = new Store<number>(100);
  store.set('once', 1, 10);
  store.get('once');
  for (let i = 0; i < 30; i++) store.set(`other ${i}`, i, 10);
  expect(store.peek('once')).toBeUndefined();
});

test('a value that is larger than everything allowed is not kept', () => {
  const store = new Store<number>(100);
  store.set('small', 1, 10);
  store.set('large', 2, 101);
  expect(store.peek('large')).toBeUndefined();
  expect(store.octets).toBeLessThanOrEqual(100);
});

test('it holds no more than its limit, and counts right, whatever is done to it', () => {
  const key = fc.integer({ min: 0, max: 20 }).map(String);
  const weight = fc.integer({ min: 0, max: 60 });
  const step = fc.oneof(
    fc.tuple(fc.constant('set' as const), key, weight),
    fc.tuple(fc.constant('get' as const), key, weight),
    fc.tuple(fc.constant('delete' as const), key, weight),
    fc.tuple(fc.constant('weigh' as const), key, weight),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const store = new Store<string>(200);
      const weights = new Map<string, number>();
      for (const [what, name, octets] of steps) {
        if (what === 'set') store.set(name, name, octets);
        if (what === 'weigh') store.weigh(name, octets);
        if (what === 'get') expect([name, undefined]).toContain(store.get(name));
        if (what === 'delete') store.delete(name);
        if (what === 'set' || (what === 'weigh' && weights.has(name))) weights.set(name, octets);
        for (const known of [...weights.keys()]) if (store.peek(known) === undefined) weights.delete(known);
        expect(store.octets).toBeLessThanOrEqual(200);
        expect(store.octets).toBe([...weights.values()].reduce((sum, w) => sum + w, 0));
        expect(store.size).toBe(weights.size);
      }
    }),
  );
});
