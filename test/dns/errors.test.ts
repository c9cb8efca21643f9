import { expect, test } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/dns/message.ts';
import { Ede, edeName, EdnsOption, Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { before, exampleWorld } from './scenes.ts';
import { signingDate, withCaseOf, type SignedWorld } from './zone.ts';

/** What is wrong; what is asked; the code of RFC 8914 §4 or later; the zone, and the record that is to blame. */
const rows: [string, (world: SignedWorld) => unknown, string, number, number, RegExp, RegExp][] = [
  [
    'a signature with one wrong bit',
    (w) => w.spoil('www.example.org', Type.A, { flipped: true }),
    'www.example.org',
    Type.A,
    Ede.DNSSEC_BOGUS,
    /\bexample\.org\b/,
    /\bwww\.example\.org A\b/,
  ],
  [
    'a signature that has expired',
    (w) => w.spoil('www.example.org', Type.A, { expiration: signingDate - 1 }),
    'www.example.org',
    Type.A,
    Ede.SIGNATURE_EXPIRED,
    /\bexample\.org\b/,
    /\bwww\.example\.org A\b/,
  ],
  [
    'a signature that has not begun',
    (w) => w.spoil('www.example.org', Type.A, { inception: signingDate + 60 }),
    'www.example.org',
    Type.A,
    Ede.SIGNATURE_NOT_YET_VALID,
    /\bexample\.org\b/,
    /\bwww\.example\.org A\b/,
  ],
  [
    'a missing signature',
    (w) => w.spoil('www.example.org', Type.A, { missing: true }),
    'www.example.org',
    Type.A,
    Ede.RRSIGS_MISSING,
    /\bexample\.org\b/,
    /\bwww\.example\.org A\b/,
  ],
  [
    'keys that are not signed',
    (w) => w.spoil('example.org', Type.DNSKEY, { missing: true }),
    'www.example.org',
    Type.A,
    Ede.RRSIGS_MISSING,
    /\bexample\.org\b/,
    /\bDNSKEY\b/,
  ],
  [
    'a DS that no key fits',
    (w) =>
      w.replace(
        'example.org',
        Type.DS,
        w.keysOf('example.org').ds.map((d) => d.with(9, (d[9] ?? 0) ^ 1)),
      ),
    'www.example.org',
    Type.A,
    Ede.DNSKEY_MISSING,
    /\bexample\.org\b/,
    /\bDS\b/,
  ],
  [
    'a denial without its proof',
    (w) =>
      w.tamper((m) => ({
        ...m,
        authority: m.authority.filter(
          (r) => r.type !== Type.NSEC && !(r.type === Type.RRSIG && r.rdata[1] === Type.NSEC),
        ),
      })),
    'nobody.example.org',
    Type.A,
    Ede.NSEC_MISSING,
    /\bexample\.org\b/,
    /\bnobody\.example\.org\b/,
  ],
];

test.each(rows)(
  '%s: the error names the zone and the record (RFC 8914)',
  (_, damage, name, type, code, zone, record) => {
    const world = exampleWorld();
    damage(world);
    const { ede, rcode } = before(world).ask(name, type);
    expect({ rcode, code: edeName(ede?.code ?? -1) }).toEqual({ rcode: Rcode.SERVFAIL, code: edeName(code) });
    expect(ede?.text).toMatch(zone);
    expect(ede?.text).toMatch(record);
  },
);

test('resolvers that are silent are NO_REACHABLE_AUTHORITY, and the text names the record that did not come', () => {
  const world = exampleWorld();
  const { ede, rcode } = new Forwarding(world.anchors(), () => undefined).ask('www.example.org');
  expect(rcode).toBe(Rcode.SERVFAIL);
  expect([Ede.NO_REACHABLE_AUTHORITY, Ede.NETWORK_ERROR]).toContain(ede?.code);
  expect(ede?.text).toMatch(/www\.example\.org A/);
});

test.each([
  [15, 'Blocked'],
  [16, 'Censored'],
  [17, 'Filtered'],
])('an upstream that refuses with %i, %s, is named with it, under a code of ours', (code, text) => {
  const world = exampleWorld();
  const data = Uint8Array.from([0, code, ...new TextEncoder().encode(`${text}\x1b[0m`)]);
  const refusing = (octets: Uint8Array): Uint8Array | undefined => {
    const reply = decodeMessage(world.answer(octets));
    if (!reply.ok) throw reply.error;
    const { questions } = reply.value;
    if (questions[0]?.type !== Type.A) return world.answer(octets);
    const edns = { version: 0, udpSize: 1232, dnssecOk: true, options: [{ code: EdnsOption.EDE, data }] };
    const refusal = { ...reply.value, rcode: Rcode.REFUSED, answer: [], authority: [], edns };
    return withCaseOf(octets, encodeMessage(refusal));
  };
  const { ede, rcode } = new Forwarding(world.anchors(), refusing).ask('www.example.org');
  expect([rcode, ede?.code]).toEqual([Rcode.SERVFAIL, Ede.NETWORK_ERROR]);
  expect(ede?.text).toContain(`answers REFUSED (EDE ${code}: ${text}?[0m)`);
});
