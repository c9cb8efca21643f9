import fc from 'fast-check';
import { expect, test } from 'vitest';
import { wallSeconds } from '../../src/time.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import type { Forwarding } from './forwarding.ts';
import { before, exampleWorld, servfail } from './scenes.ts';
import { address, type SignedWorld } from './zone.ts';

const keeping = { keep: true };

/** A resolver that has asked what people ask, and what it would keep. */
function kept(world: SignedWorld, ask = usual): { net: Forwarding; octets: Uint8Array } {
  const net = before(world);
  net.restart({}, keeping);
  for (const [name, type] of ask) net.ask(name, type);
  net.questions();
  return { net, octets: keep(net) };
}

const usual: readonly (readonly [string, number])[] = [
  ['www.example.org', Type.A],
  ['www.example.org', Type.IPSECKEY],
  ['www.example.org', Type.AAAA],
  ['nothing.example.org', Type.A],
  ['alias.example.org', Type.A],
  ['x.wild.example.org', Type.A],
];

function keep(net: Forwarding): Uint8Array {
  net.cacheEffects.splice(0);
  net.handle({ kind: 'keep' });
  const effect = net.cacheEffects.find((e) => e.kind === 'keepCache');
  if (effect?.kind !== 'keepCache') throw new Error('nothing is kept');
  return effect.octets;
}

test.each(['NSEC', 'NSEC3'] as const)(
  'after a restart what was known is known, with the same verdicts, and nobody is asked (%s)',
  (denial) => {
    const world = exampleWorld({ denial }, { denial });
    const { net, octets } = kept(world);
    const told = usual.map(([name, type]) => net.ask(name, type));
    net.restart({}, keeping);
    net.handle({ kind: 'restored', octets });
    for (const [i, [name, type]] of usual.entries()) {
      const { rcode, answer, verdict } = net.ask(name, type);
      expect({ rcode, answer, verdict }).toEqual({
        rcode: told[i]?.rcode,
        answer: told[i]?.answer,
        verdict: told[i]?.verdict,
      });
    }
    expect(net.questions()).toEqual([]);
  },
);

test('an answer that nothing proves is not kept: the next run may be in another network; that a zone is unsigned is', () => {
  const { net, octets } = kept(exampleWorld(), [['www.unsigned.org', Type.A]]);
  net.restart({}, keeping);
  net.handle({ kind: 'restored', octets });
  expect(net.ask('www.unsigned.org').verdict.status).toBe('insecure');
  expect(net.questions()).toEqual(['A www.unsigned.org']);
});

test('TTLs go on from where they were, and what lapsed meanwhile is asked', () => {
  const { net, octets } = kept(exampleWorld());
  net.wait(1000);
  net.restart({}, keeping);
  net.handle({ kind: 'restored', octets });
  expect(net.ask('www.example.org').answer[0]?.ttl).toBe(2600);
  expect(net.questions()).toEqual([]);
  net.ask('nothing.example.org');
  expect(net.questions()).toEqual(['A nothing.example.org']);
});

test('it is kept every ten minutes, a few entries at a time, and only where that is wanted', () => {
  const net = before(exampleWorld());
  net.restart({}, keeping);
  for (let i = 0; i < 300; i++) net.ask(`n${i}.unsigned.org`);
  net.handle({ kind: 'tick' });
  net.wait(601);
  expect(net.cacheEffects.map((e) => e.kind)).toEqual(['keepCache']);
  const without = before(exampleWorld());
  without.ask('www.example.org');
  without.handle({ kind: 'keep' });
  expect(without.cacheEffects).toEqual([]);
});

test('what was kept and not asked for is kept on', () => {
  const { net, octets } = kept(exampleWorld());
  net.restart({}, keeping);
  net.handle({ kind: 'restored', octets });
  const again = keep(net);
  net.restart({}, keeping);
  net.handle({ kind: 'restored', octets: again });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  expect(net.questions()).toEqual([]);
});

test('what comes from the future, or is a day old, is not taken', () => {
  for (const seconds of [-10, 86_500]) {
    const { net, octets } = kept(exampleWorld());
    net.restart({}, keeping);
    net.wall = wallSeconds(net.wall + seconds);
    net.handle({ kind: 'restored', octets });
    net.ask('www.example.org');
    expect(net.questions()).toContain('A www.example.org');
  }
});

test('a zone that has changed its keys since is asked anew', () => {
  const { net, octets } = kept(exampleWorld(), [['example.org', Type.TXT]]);
  const other = exampleWorld({ algorithm: 13 });
  const after = before(other);
  after.restart({}, keeping);
  after.handle({ kind: 'restored', octets });
  expect(net.ask('www.example.org').verdict.status).toBe('secure');
  expect(after.ask('www.example.org')).toMatchObject({ rcode: Rcode.NOERROR, verdict: { status: 'secure' } });
});

test('an address that somebody puts into the file is found out, and the true one is got', () => {
  const lying = kept(exampleWorld());
  const text = lying.octets.toHex().replaceAll(address('192.0.2.80').toHex(), address('192.0.2.66').toHex());
  const net = before(exampleWorld());
  net.restart({}, keeping);
  net.handle({ kind: 'restored', octets: Uint8Array.fromHex(text) });
  expect(net.ask('www.example.org')).toMatchObject({
    verdict: { status: 'secure' },
    answer: [{ rdatas: [address('192.0.2.80')] }],
  });
});

test('keys of somebody else in the file prove nothing', () => {
  // The same names, all signed by a root of his own.
  const his = exampleWorld().replace('.', Type.DNSKEY, []);
  const forged = before(exampleWorld());
  forged.restart({}, keeping);
  forged.handle({
    kind: 'restored',
    octets: kept(exampleWorld({ algorithm: 15 }, { algorithm: 13 })).octets,
  });
  expect(forged.ask('www.example.org')).toMatchObject({ verdict: { status: 'secure' } });
  const net = before(his);
  expect(net.ask('www.example.org')).toMatchObject(servfail);
});

test('whatever the file holds, nothing throws, and secure means the truth', () => {
  const { octets } = kept(exampleWorld());
  const truth = before(exampleWorld()).ask('www.example.org').answer[0]?.rdatas;
  const change = fc.oneof(
    fc.record({ kind: fc.constant('bit' as const), at: fc.nat(octets.length * 8 - 1) }),
    fc.record({ kind: fc.constant('cut' as const), at: fc.nat(octets.length) }),
    fc.record({ kind: fc.constant('octet' as const), at: fc.nat(octets.length - 1), value: fc.nat(255) }),
  );
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
      let file = octets.slice();
      for (const c of changes) {
        if (c.kind === 'cut') file = file.slice(0, c.at);
        else if (c.kind === 'bit' && c.at >> 3 < file.length)
          file[c.at >> 3] = (file[c.at >> 3] ?? 0) ^ (1 << (c.at & 7));
        else if (c.kind === 'octet' && c.at < file.length) file[c.at] = c.value;
      }
      const net = before(exampleWorld());
      net.restart({}, keeping);
      net.handle({ kind: 'restored', octets: file });
      for (const [name, type] of usual) net.ask(name, type);
      const { verdict } = net.ask('www.example.org');
      expect(verdict.status).toBe('secure');
      if (verdict.status === 'secure') expect(verdict.data.map((s) => s.rdatas)).toEqual([truth]);
    }),
    { numRuns: 60 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (file) => {
      const net = before(exampleWorld());
      net.handle({ kind: 'restored', octets: file });
      net.handle({ kind: 'restored', octets: Uint8Array.from([...octets.subarray(0, 11), ...file]) });
    }),
    { numRuns: 100 },
  );
});
