import { expect, test } from 'vitest';
import { ClientGuard, type ClientRules } from '../../src/dns/clients.ts';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { nameOf, rootName } from '../../src/dns/name.ts';
import { turnedAway } from '../../src/dns/turned-away.ts';
import { Ede, EdnsOption, Rcode, Type } from '../../src/dns/types.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { parsePrefix, prefixContains } from '../../src/net/prefix.ts';
import { instant } from '../../src/time.ts';
import { queryMessage } from './query.ts';

test('this host may ask as much as it wants, under loopback and its own addresses, and nobody else may', () => {
  const guard = guarded({});
  guard.locals = [address('198.18.1.2'), address('2001:2::1')];
  for (const text of ['127.0.0.1', '127.8.8.8', '::1', '198.18.1.2', '2001:2::1']) {
    expect(guard.admits(address(text))).toBe(true);
    expect(judged(guard, text, 5_000)).toEqual({ serve: 5_000 });
  }
  for (const text of ['198.18.1.3', '2001:2::2', '0.0.0.0', '::']) {
    expect(guard.admits(address(text))).toBe(false);
    expect(guard.judge(address(text), instant(0))).toBe('refuse');
  }
  guard.locals = [];
  expect(guard.admits(address('198.18.1.2'))).toBe(false);
});

test('strangers that are let in get their answers per second, then every second one says TC', () => {
  const guard = guarded({ allow: ['198.18.0.0/15'], rateLimit: 100 });
  expect(judged(guard, '198.18.1.9', 300)).toEqual({ serve: 100, truncate: 100, drop: 100 });
  // Half a second later half of them have come back; another client has not suffered.
  expect(judged(guard, '198.18.1.9', 60, 500)).toEqual({ serve: 50, truncate: 5, drop: 5 });
  expect(judged(guard, '198.18.1.8', 100)).toEqual({ serve: 100 });
  // Nobody saves up more than a second's worth.
  expect(judged(guard, '198.18.1.9', 120, 60_000)).toEqual({ serve: 100, truncate: 10, drop: 10 });
});

test('a host that takes addresses of its /64 in turn is one client', () => {
  const guard = guarded({ allow: ['2001:2::/32'], rateLimit: 10 });
  const seen = Array.from({ length: 20 }, (_, i) =>
    guard.judge(address(`2001:2::${(i + 1).toString(16)}`), instant(0)),
  );
  expect(seen.filter((j) => j === 'serve')).toHaveLength(10);
  expect(judged(guard, '2001:2:0:1::1', 10)).toEqual({ serve: 10 });
});

test('a rate limit of 0 is none', () => {
  expect(judged(guarded({ allow: ['198.18.0.0/15'], rateLimit: 0 }), '198.18.1.9', 5_000)).toEqual({
    serve: 5_000,
  });
});

test('refusals are limited as well: the address may be forged', () => {
  expect(judged(guarded({}), '203.0.113.1', 100)).toEqual({ refuse: 10, drop: 90 });
});

test('forged addresses without number take no memory without end, and a flood among them stays limited', () => {
  const guard = guarded({ allow: ['0.0.0.0/0'], rateLimit: 10 });
  expect(judged(guard, '198.51.100.1', 20)).toMatchObject({ serve: 10 });
  for (let i = 0; i < 16_000; i++)
    guard.judge({ family: 4, octets: new Uint8Array([10, i >> 16, i >> 8, i]) }, instant(0));
  expect(judged(guard, '198.51.100.1', 20)).not.toHaveProperty('serve');
});

test('who is not let in gets REFUSED with EDE 18, who asks too much gets TC and nothing else', () => {
  const edns = { version: 0, udpSize: 1_232, dnssecOk: false, options: [] };
  const name = nameOf('www.example.org') ?? rootName;
  const query = encodeMessage(queryMessage({ id: 9, questions: [{ name, type: Type.A, class: 1 }], edns }));
  const refused = read(turnedAway(query, 'refuse', 1_232));
  expect(refused).toMatchObject({ id: 9, rcode: Rcode.REFUSED, truncated: false, answer: [] });
  expect(refused.edns?.options[0]).toMatchObject({ code: EdnsOption.EDE });
  expect(refused.edns?.options[0]?.data[1]).toBe(Ede.PROHIBITED);
  const cut = turnedAway(query, 'truncate', 1_232);
  expect(read(cut)).toMatchObject({ id: 9, rcode: Rcode.NOERROR, truncated: true, answer: [] });
  // Whoever's address was forged gets no more than was sent.
  expect(cut?.length).toBeLessThanOrEqual(query.length);
  expect(turnedAway(query, 'drop', 1_232)).toBeUndefined();
  expect(turnedAway(new Uint8Array(5), 'refuse', 1_232)).toBeUndefined();
  expect(turnedAway(encodeMessage(queryMessage({ response: true })), 'truncate', 1_232)).toBeUndefined();
});

test('a prefix contains what agrees with it in all of its bits', () => {
  const rows: [string, string, boolean][] = [
    ['0.0.0.0/0', '255.1.2.3', true],
    ['198.18.0.0/15', '198.19.255.255', true],
    ['198.18.0.0/15', '198.20.0.0', false],
    ['198.18.1.2', '198.18.1.2', true],
    ['198.18.1.2', '198.18.1.3', false],
    ['::/0', '198.18.1.2', false],
    ['2001:2::/33', '2001:2:7fff::1', true],
    ['2001:2::/33', '2001:2:8000::1', false],
  ];
  for (const [prefix, inside, is] of rows) {
    const parsed = parsePrefix(prefix);
    if (!parsed) throw new RangeError(prefix);
    expect([prefix, inside, prefixContains(parsed, address(inside))]).toEqual([prefix, inside, is]);
  }
});

function guarded(rules: { allow?: readonly string[]; rateLimit?: number }): ClientGuard {
  const allow = (rules.allow ?? []).flatMap((t) => parsePrefix(t) ?? []);
  return new ClientGuard({ allow, rateLimit: rules.rateLimit ?? 100 } satisfies ClientRules);
}

/** How many of so many datagrams at one moment fared how. */
function judged(guard: ClientGuard, from: string, count: number, atMs = 0): Record<string, number> {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const judgement = guard.judge(address(from), instant(atMs));
    counts[judgement] = (counts[judgement] ?? 0) + 1;
  }
  return counts;
}

function read(octets: Uint8Array | undefined): ReturnType<typeof message> {
  return message(octets ?? new Uint8Array(0));
}

function message(octets: Uint8Array) {
  const decoded = decodeMessage(octets);
  if (!decoded.ok) throw decoded.error;
  return decoded.value;
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(text);
  return parsed;
}
