import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Resolution } from '../../src/dns/resolver.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { octetsOfName, rootName } from '../../src/dns/name.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { encodeSvcb } from '../../src/dns/svcb.ts';
import { Class, Rcode, Type } from '../../src/dns/types.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import {
  address,
  addressSet,
  bogus,
  childTo,
  indeterminate,
  insecure,
  key,
  keySet,
  name,
  policyWith,
  secure,
  Stage,
} from './stage.ts';

const host = 'www.example.org';
const cdn = 'cdn.example.net';
const there = '198.18.2.10';
const elsewhere = '198.18.2.66';
const proved = { kind: 'key', key: key(1) } as const;
const isPrivate = policyWith([[host, 'private']]);

test('an HTTPS answer without hints leaves at once, and the way to its target is prepared meanwhile', () => {
  const stage = new Stage();
  const waiter = stage.ask(host, Type.HTTPS);
  expect(stage.trace).toEqual([`ask HTTPS ${host}`]);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, cdn])));
  expect(told(stage, waiter)).toEqual([`1 ${cdn}.`]);
  addresses(stage, cdn, [there], key(1));
  expect(stage.ike).toMatchObject([{ kind: 'initiate', keys: [key(1)] }]);
});

test('an HTTPS answer with hints is held until the SA with the target stands', () => {
  for (const policy of [policyWith([]), isPrivate]) {
    const stage = new Stage({ policy });
    const waiter = stage.ask(host, Type.HTTPS);
    stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there])));
    addresses(stage, host, [there], key(1));
    expect(told(stage, waiter)).toBeUndefined();
    stage.established(childTo(there, proved));
    expect(told(stage, waiter)).toEqual([`1 . ipv4hint=${there}`]);
    expect(stage.outcomes.get(waiter)).toMatchObject({ reduced: undefined, ttlLimit: 200 });
  }
});

test('under private no HTTPS answer leaves whose target cannot be protected: SERVFAIL, and a block', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there])));
  addresses(stage, host, [there], key(1));
  expect(stage.trace).toContain(`block ${there}`);
  stage.failed(there, 'no-reply');
  expect(told(stage, waiter)).toMatchObject({ rcode: Rcode.SERVFAIL });
  const keyless = new Stage({ policy: isPrivate });
  const second = keyless.ask(host, Type.HTTPS);
  keyless.answer(host, Type.HTTPS, secure(https(host, [1, '.', there])));
  addresses(keyless, host, [there]);
  expect(told(keyless, second)).toMatchObject({
    rcode: Rcode.SERVFAIL,
    text: expect.stringContaining('no key') as string,
  });
});

test('under private a target that is not heard of in time is SERVFAIL', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there])));
  stage.pass(3_900);
  expect(told(stage, waiter)).toBeUndefined();
  stage.pass(200);
  expect(told(stage, waiter)).toMatchObject({ rcode: Rcode.SERVFAIL });
});

test('where clear is allowed a target that is not heard of in time holds the answer for one budget', () => {
  const stage = new Stage();
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there])));
  stage.pass(1_600);
  expect(told(stage, waiter)).toEqual([`1 . ipv4hint=${there}`]);
});

test('a hint that is no address of its target is left out; a client that wants what was signed gets SERVFAIL', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there, elsewhere, '2001:2::66'])));
  addresses(stage, host, [there], key(1));
  stage.established(childTo(there, proved));
  expect(told(stage, waiter)).toEqual([`1 . ipv4hint=${there}`]);
  expect(stage.outcomes.get(waiter)).toMatchObject({
    reduced: { verdict: { status: 'indeterminate' } },
    onlyReduced: { code: 'hint-unprotected' },
  });
});

test('where clear is allowed a strange hint is only left out of what nobody has to check', () => {
  const stage = new Stage();
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', elsewhere])));
  addresses(stage, host, [there], key(1));
  stage.established(childTo(there, proved));
  expect(told(stage, waiter)).toEqual(['1 .']);
  expect(stage.outcomes.get(waiter)).not.toHaveProperty('onlyReduced');
  // A target without a key has nothing better to offer.
  const plain = new Stage();
  const second = plain.ask(host, Type.HTTPS);
  plain.answer(host, Type.HTTPS, secure(https(host, [1, '.', elsewhere])));
  addresses(plain, host, [there]);
  expect(told(plain, second)).toEqual([`1 . ipv4hint=${elsewhere}`]);
});

test('another host that gives the service of a private name is private for its sake, also when it is asked for itself', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, cdn])));
  addresses(stage, cdn, [there], key(1));
  expect(stage.trace).toContain(`block ${there}`);
  expect(told(stage, waiter)).toBeUndefined();
  stage.established(childTo(there, proved));
  expect(told(stage, waiter)).toEqual([`1 ${cdn}.`]);
  const later = stage.ask(cdn);
  stage.answer(cdn, Type.A, secure(addressSet(cdn, elsewhere)));
  stage.answer(cdn, Type.IPSECKEY, secure());
  expect(stage.result(later)).toMatchObject({ rcode: Rcode.SERVFAIL });
  expect(stage.trace).toContain(`block ${elsewhere}`);
  stage.pass(700_000);
  const muchLater = stage.ask(cdn);
  stage.answer(cdn, Type.A, secure(addressSet(cdn, '198.18.2.67')));
  stage.answer(cdn, Type.IPSECKEY, secure());
  expect(stage.result(muchLater)).toEqual(['198.18.2.67']);
});

test('nobody on the way can lead a private name to a host with a key of his own', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, insecure('example.org', https(host, [1, cdn, there])));
  addresses(stage, cdn, [there], key(1));
  stage.established(childTo(there, proved));
  expect(told(stage, waiter)).toMatchObject({
    rcode: Rcode.SERVFAIL,
    text: expect.stringContaining('no signature proves that') as string,
  });
});

test('of several targets under private only those stay that are protected', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, cdn, elsewhere], [2, '.', there])));
  addresses(stage, cdn, [elsewhere]);
  addresses(stage, host, [there], key(1));
  stage.established(childTo(there, proved));
  expect(told(stage, waiter)).toEqual([`2 . ipv4hint=${there}`]);
  expect(stage.outcomes.get(waiter)).toHaveProperty('onlyReduced');
});

test('more targets than are looked at do not leave under private', () => {
  const stage = new Stage({ policy: isPrivate });
  const many = Array.from({ length: 6 }, (_, i): Target => [i + 1, `t${i}.example.net`]);
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, ...many)));
  for (let i = 0; i < 4; i++) addresses(stage, `t${i}.example.net`, [`198.18.3.${i}`], key(1));
  expect(stage.isAsked('t4.example.net', Type.A)).toBe(false);
  for (let i = 0; i < 4; i++) stage.established(childTo(`198.18.3.${i}`, proved));
  expect(told(stage, waiter)).toHaveLength(4);
});

test('rules by prefix hold for hints', () => {
  const policy = policyWith([
    ['198.18.2.64/26', 'block'],
    ['198.18.2.0/24', 'clear'],
  ]);
  const stage = new Stage({ policy });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, '.', there, elsewhere])));
  addresses(stage, host, [there]);
  expect(told(stage, waiter)).toEqual([`1 . ipv4hint=${there}`]);
  expect(stage.outcomes.get(waiter)).toHaveProperty('onlyReduced');
});

test('a rule for a target holds, whoever leads to it', () => {
  const stage = new Stage({ policy: policyWith([[cdn, 'private']]) });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [1, cdn, there])));
  addresses(stage, cdn, [there]);
  expect(told(stage, waiter)).toEqual([`1 ${cdn}.`]);
  expect(stage.outcomes.get(waiter)).toHaveProperty('onlyReduced');
});

test('a rule for a host holds for the names of its services (RFC 9460 §2.3)', () => {
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(`_8443._https.${host}`, Type.HTTPS);
  stage.answer(`_8443._https.${host}`, Type.HTTPS, secure(https(`_8443._https.${host}`, [1, host, there])));
  addresses(stage, host, [there]);
  expect(told(stage, waiter)).toMatchObject({ rcode: Rcode.SERVFAIL });
  const blocked = new Stage({ policy: policyWith([[host, 'block']]) });
  expect(told(blocked, blocked.ask(`_8443._https.${host}`, Type.HTTPS))).toMatchObject({
    rcode: Rcode.NXDOMAIN,
  });
});

test('an alias is followed in the background, and holds the answer only under private', () => {
  const stage = new Stage();
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(https(host, [0, cdn])));
  expect(told(stage, waiter)).toEqual([`0 ${cdn}.`]);
  expect(stage.isAsked(cdn, Type.A) && stage.isAsked(cdn, Type.AAAA)).toBe(true);
  const strict = new Stage({ policy: isPrivate });
  const second = strict.ask(host, Type.HTTPS);
  strict.answer(host, Type.HTTPS, secure(https(host, [0, cdn])));
  addresses(strict, cdn, [there]);
  expect(told(strict, second)).toMatchObject({ rcode: Rcode.SERVFAIL });
});

test('a record that is malformed leads nowhere under private', () => {
  const broken: RRset = {
    ...https(host, [1, '.', there]),
    rdatas: [new Uint8Array([0, 1, 0, 0, 4, 0, 3, 198, 18, 2])],
  };
  const stage = new Stage({ policy: isPrivate });
  const waiter = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure(broken));
  stage.pass(4_100);
  expect(told(stage, waiter)).toMatchObject({ rcode: Rcode.SERVFAIL });
});

test('a bogus HTTPS answer has no records, and a name without one is released at once', () => {
  const stage = new Stage({ policy: isPrivate });
  const first = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, bogus('no signature fits'));
  expect(told(stage, first)).toEqual([]);
  const second = stage.ask(host, Type.HTTPS);
  stage.answer(host, Type.HTTPS, secure());
  expect(told(stage, second)).toEqual([]);
});

test('the hosts of MX and SRV answers are looked up beforehand, four at the most, and hold nothing', () => {
  const mx = (i: number): Uint8Array =>
    concatOctets(new Uint8Array([0, 9 - i]), octetsOfName(name(`mx${i}.example.net`)));
  const stage = new Stage();
  const waiter = stage.ask(host, Type.MX);
  stage.answer(host, Type.MX, secure(set(host, Type.MX, [0, 1, 2, 3, 4, 5].map(mx))));
  expect(stage.outcomes.has(waiter)).toBe(true);
  expect([0, 1, 2, 3, 4, 5].filter((i) => stage.isAsked(`mx${i}.example.net`, Type.A))).toEqual([2, 3, 4, 5]);
  expect(stage.isAsked('mx5.example.net', Type.IPSECKEY)).toBe(true);
  const srv = concatOctets(new Uint8Array([0, 1, 0, 0, 1, 187]), octetsOfName(name(cdn)));
  stage.ask('_imaps._tcp.example.org', Type.SRV);
  stage.answer('_imaps._tcp.example.org', Type.SRV, secure(set('_imaps._tcp.example.org', Type.SRV, [srv])));
  expect(stage.isAsked(cdn, Type.A)).toBe(true);
  const clear = new Stage({ policy: policyWith([], 'clear') });
  clear.ask(host, Type.MX);
  clear.answer(host, Type.MX, secure(set(host, Type.MX, [mx(1)])));
  expect(clear.isAsked('mx1.example.net', Type.A)).toBe(false);
});

test('whatever a private name publishes, no hint leaves to which nothing is protected', () => {
  const hosts = [host, cdn, 'third.example.net'];
  const v4 = fc.constantFrom('198.18.2.1', '198.18.2.2', '198.18.2.3');
  const record = fc.tuple(
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom('.', ...hosts),
    fc.array(v4, { maxLength: 3 }),
  );
  const world = fc.record({
    records: fc.array(record, { minLength: 1, maxLength: 4 }),
    signed: fc.boolean(),
    // Of each host: its addresses, and whether it has a key, has none, or its resolvers fail.
    hosts: fc.array(fc.tuple(fc.array(v4, { maxLength: 2 }), fc.constantFrom('key', 'none', 'fails')), {
      minLength: 3,
      maxLength: 3,
    }),
    stands: fc.subarray(['198.18.2.1', '198.18.2.2', '198.18.2.3']),
  });
  fc.assert(
    fc.property(world, (w) => {
      const stage = new Stage({ policy: isPrivate });
      const waiter = stage.ask(host, Type.HTTPS);
      const answer = https(
        host,
        ...w.records.map(([p, t, hints]): Target => [p, t, ...(p === 0 ? [] : hints)]),
      );
      stage.answer(host, Type.HTTPS, w.signed ? secure(answer) : insecure('example.org', answer));
      for (const [i, [found, state]] of w.hosts.entries()) {
        const at = hosts[i] ?? host;
        if (!stage.isAsked(at, Type.A)) continue;
        if (state === 'fails') {
          for (const type of [Type.A, Type.AAAA, Type.IPSECKEY])
            while (stage.isAsked(at, type)) stage.answer(at, type, indeterminate('nobody answers'));
        } else addresses(stage, at, found, state === 'key' ? key(1) : undefined);
      }
      const standing = w.stands.filter((a) => stage.peers.find(address(a))?.attempt !== undefined);
      for (const a of standing) stage.established(childTo(a, proved));
      stage.pass(10_000);
      const outcome = stage.outcomes.get(waiter);
      if (outcome?.kind !== 'answer') return outcome !== undefined;
      // What a client gets that does not check by itself, and what one gets that does.
      const shown = [
        outcome.reduced ?? outcome.resolution,
        ...(outcome.onlyReduced ? [] : [outcome.resolution]),
      ];
      return shown.every((r) =>
        records(r).every((text) =>
          [...text.matchAll(/198\.18\.2\.\d/g)].every(([a]) => standing.includes(a)),
        ),
      );
    }),
    { seed: 20_261_125, numRuns: 600 },
  );
});

/** Priority, target and address hints. */
type Target = readonly [priority: number, target: string, ...hints: string[]];

function https(owner: string, ...targets: readonly Target[]): RRset {
  const rdatas = targets.map(([priority, target, ...hints]) => {
    const parsed = hints.map(address);
    return encodeSvcb({
      priority,
      target: target === '.' ? rootName : name(target),
      mandatory: [],
      alpn: [],
      noDefaultAlpn: false,
      port: undefined,
      ipv4hint: parsed.filter((a) => a.family === 4),
      ipv6hint: parsed.filter((a) => a.family === 6),
      ech: undefined,
      dohpath: undefined,
      others: new Map(),
    });
  });
  return set(owner, Type.HTTPS, rdatas);
}

function set(owner: string, type: number, rdatas: readonly Uint8Array[]): RRset {
  return { owner: name(owner), type, class: Class.IN, ttl: 300, rdatas, signatures: [] };
}

/** Everything that is asked of a host is answered: IPv4 addresses, no IPv6 ones, and the key where it has one. */
function addresses(
  stage: Stage,
  at: string,
  found: readonly string[],
  publicKey?: ReturnType<typeof key>,
): void {
  const keys = publicKey ? secure(keySet(at, [publicKey])) : secure();
  stage.answer(at, Type.A, found.length > 0 ? secure(addressSet(at, ...new Set(found))) : secure());
  stage.answer(at, Type.AAAA, secure());
  while (stage.isAsked(at, Type.IPSECKEY)) stage.answer(at, Type.IPSECKEY, keys);
}

function told(stage: Stage, waiter: number): string[] | ReturnType<Stage['result']> {
  const outcome = stage.outcomes.get(waiter);
  if (outcome?.kind !== 'answer') return stage.result(waiter);
  return records(outcome.reduced ?? outcome.resolution);
}

function records(resolution: Resolution): string[] {
  return resolution.answer.flatMap((s) => s.rdatas.map((r) => rdataText(s.type, r)));
}
