import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ResourceRecord } from '../../src/dns/message.ts';
import { nameText } from '../../src/dns/name.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { fromLatin1, toLatin1 } from '../../src/wire/octets.ts';
import { Internet, Iteration, Recursing } from './internet.ts';
import { address, key, SignedWorld, wire, type ZoneSpec } from './zone.ts';

/** A tree of zones in which each zone lies one to three labels below another, with one to three servers, some shared. */
interface Tree {
  readonly zones: readonly ZoneSpec[];
  readonly hosts: readonly string[];
}

const tree: fc.Arbitrary<Tree> = fc
  .array(
    fc.record({
      above: fc.nat(),
      labels: fc.integer({ min: 1, max: 3 }),
      signed: fc.boolean(),
      nsec3: fc.boolean(),
      servers: fc.array(fc.integer({ min: 2, max: 12 }), { minLength: 1, maxLength: 3 }),
      depth: fc.integer({ min: 1, max: 4 }),
    }),
    { minLength: 1, maxLength: 7 },
  )
  .map((drawn) => {
    const zones: ZoneSpec[] = [{ name: '.', signed: true, servers: ['192.0.2.1'] }];
    const hosts: string[] = [];
    for (const [i, { above, labels, signed, nsec3, servers, depth }] of drawn.entries()) {
      const parent = zones[above % zones.length]?.name ?? '.';
      const own = Array.from({ length: labels }, (_, n) => `z${i}${'abc'[n] ?? ''}`).join('.');
      const name = parent === '.' ? own : `${own}.${parent}`;
      const at = [...new Set(servers)].map((n) => (n % 4 === 3 ? `2001:db8::${n}` : `192.0.2.${n}`));
      zones.push({ name, signed, denial: nsec3 ? 'NSEC3' : 'NSEC', servers: at });
      hosts.push(`${Array.from({ length: depth }, (_, n) => `h${n}`).join('.')}.${name}`);
    }
    return { zones, hosts };
  });

function worldOf({ zones, hosts }: Tree): SignedWorld {
  const world = new SignedWorld(zones);
  for (const [i, host] of hosts.entries()) {
    world.add(host, Type.A, address(`198.51.100.${i + 1}`));
    world.add(`alias.${host}`, Type.CNAME, wire(hosts[(i + 1) % hosts.length] ?? host));
  }
  return world;
}

function lowered(record: ResourceRecord): ResourceRecord {
  return record.type === Type.CNAME
    ? { ...record, rdata: fromLatin1(toLatin1(record.rdata).toLowerCase()) }
    : record;
}

/** Records as texts. Names in RDATA may have the case of the question, which servers compress them against. */
function texts(records: readonly ResourceRecord[]): string[] {
  return records.map((r) => `${r.type} ${nameText(r.owner)} ${r.rdata.toHex()}`).sort();
}

/** Names that are there, that are above them, and that are not. */
function names({ zones, hosts }: Tree): string[] {
  return [
    ...zones.map((z) => z.name),
    ...hosts.flatMap((h) => [h, `alias.${h}`, `nope.${h}`, h.slice(h.indexOf('.') + 1)]),
  ];
}

test('a random tree of zones resolves every name to what the zone data says', () => {
  fc.assert(
    fc.property(
      tree,
      fc.constantFrom('relaxed' as const, 'strict' as const, 'off' as const),
      fc.boolean(),
      (drawn, qnameMinimisation, isLossy) => {
        const world = worldOf(drawn);
        world.chases = false;
        const internet = new Internet(world);
        const it = new Iteration(internet, { qnameMinimisation });
        if (isLossy) internet.loss = 0.2;
        for (const name of names(drawn)) {
          for (const type of [Type.A, Type.AAAA, Type.DS, Type.DNSKEY]) {
            const { reply } = it.find(name, type);
            const truth = world.resolve({ name: key(name), type, class: 1 });
            if (reply?.kind !== 'message') throw new Error(`${name} ${type}: ${reply?.why ?? ''}`);
            expect([name, type, reply.message.rcode]).toEqual([name, type, truth.rcode]);
            expect(texts(reply.message.answer.map(lowered))).toEqual(texts(truth.answer.map(lowered)));
          }
        }
        expect(it.recursion.stats['asking']).toBe(0);
        expect(it.asks.deadline).toBeUndefined();
      },
    ),
    { seed: 20261125, numRuns: 40 },
  );
});

test('a random tree of zones is judged as its signatures say', () => {
  fc.assert(
    fc.property(tree, (drawn) => {
      const world = worldOf(drawn);
      const it = new Recursing(new Internet(world), { anchors: world.anchors() });
      for (const host of drawn.hosts) {
        const above = drawn.zones.filter((z) => z.name === '.' || host.endsWith(`.${z.name}`));
        const expected = above.every((z) => z.signed) ? 'secure' : 'insecure';
        const found = it.ask(host);
        expect([host, found.rcode, found.verdict.status, found.ede?.text]).toEqual([
          host,
          Rcode.NOERROR,
          expected,
          expected === 'secure' ? undefined : found.ede?.text,
        ]);
        const missing = it.ask(`nope.${host}`);
        expect([missing.rcode, missing.verdict.status]).toEqual([Rcode.NXDOMAIN, expected]);
      }
    }),
    { seed: 20261125, numRuns: 25 },
  );
});
