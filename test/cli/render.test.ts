import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderChecks } from '../../src/cli/doctor.ts';
import { renderDig } from '../../src/cli/render-dig.ts';
import { renderStatus } from '../../src/cli/render-status.ts';
import { renderWhy } from '../../src/cli/render-why.ts';
import { lookOf, type Look } from '../../src/cli/terminal.ts';
import { nearest, printable } from '../../src/oe/text.ts';
import { peer, sampleDig, sampleStatus, sampleWhy } from './samples.ts';

const plain: Look = { colour: false, width: Number.POSITIVE_INFINITY };
const now = Date.parse('2026-01-31T12:01:00.000Z');

/** What a terminal would obey, or a person would misread. */
const hostile = 'evil\u001b[2J\u001b]0;title\u0007\r\n\u202Egro.elpmaxe\u200b\u0085';
// eslint-disable-next-line no-control-regex
const dangerous = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

test('THREATS A.24: hostile characters in names, reasons and stories never reach the terminal', () => {
  const status = {
    ...sampleStatus,
    peers: [
      peer({ address: hostile, names: [hostile], state: 'clear', reason: hostile }),
      peer({ names: [hostile] }),
    ],
    health: {
      ...sampleStatus.health,
      complaints: [hostile],
      notes: [
        { level: 'notice', sentence: hostile },
        { level: 'warning', sentence: hostile },
      ],
      upstreams: [hostile],
      hostKey: hostile,
    } as const,
  };
  const why = {
    ...sampleWhy,
    name: hostile,
    rule: hostile,
    verdict: { ...sampleWhy.verdict, sentence: hostile, remedy: hostile },
    questions: sampleWhy.questions.map((q) => ({
      ...q,
      name: hostile,
      why: hostile,
      answers: [hostile],
      chain: [hostile],
    })),
    keys: sampleWhy.keys.map((k) => ({ ...k, gateway: hostile, key: hostile, reason: hostile })),
    peers: sampleWhy.peers.map((p) => ({
      ...p,
      address: hostile,
      reason: hostile,
      story: [{ afterMs: 1, text: hostile }],
    })),
    steps: [{ afterMs: 0, text: hostile }],
  };
  const zone = { ...(sampleDig.chain[0] ?? never()), zone: hostile, sentence: hostile, proves: [hostile] };
  const dig = {
    ...sampleDig,
    name: hostile,
    sentence: hostile,
    ede: { code: 6, name: 'DNSSEC_BOGUS', text: `${hostile}.` },
    answer: [hostile],
    authority: [hostile],
    chain: [{ ...zone, keys: [{ tag: 1, algorithm: hostile }] }],
    asked: [{ question: hostile, from: hostile, trace: [hostile] }],
  };
  for (const width of [Number.POSITIVE_INFINITY, 60]) {
    const look = { colour: false, width };
    expect(renderStatus(status, look, now)).not.toMatch(dangerous);
    expect(renderWhy(why, look)).not.toMatch(dangerous);
    expect(renderDig(dig, look)).not.toMatch(dangerous);
    expect(
      renderChecks([{ check: 'x', state: 'problem', sentence: hostile, remedy: hostile }], look),
    ).not.toMatch(dangerous);
  }
});

test('THREATS A.24: whatever the text, what is printed of it cannot be obeyed by a terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(printable(text)).not.toMatch(dangerous);
      expect(printable(text)).not.toContain('\n');
    }),
  );
});

test('status says how many answers went out and what the parts say of their health', () => {
  const notes = [
    { level: 'good', sentence: 'The root key is 20326.' },
    { level: 'warning', sentence: 'The clock is wrong.' },
  ] as const;
  const counters = { answers: 8, answersFromCache: 6, answersBogus: 1 };
  const text = renderStatus(
    { ...sampleStatus, health: { ...sampleStatus.health, notes, counters } },
    plain,
    now,
  );
  expect(text).toMatch(/^Answers +8, 75 % of them from the cache, 1 failed DNSSEC validation$/m);
  expect(text).toMatch(/^ {2}The root key is 20326\.$/m);
  expect(text).toMatch(/^! The clock is wrong\.$/m);
});

test('oe dig shows the records, the verdict and the zones as a tree', () => {
  expect(renderDig(sampleDig, plain)).toBe(`www.example.org A: NOERROR, secure, 12 ms (flags qr rd ra ad)
  Signatures prove every record, from the root down.

Answer
  www.example.org 300 A 192.0.2.1

Chain of trust
  . secure  keys 20326 RSASHA256; signed until 2026-02-12 00:00 UTC
    .: DNSKEY 20326 is a trust anchor (secure)
    org secure  keys 17 ECDSAP256SHA256
      org: DNSKEY 17 signed by DS 17 (secure)
      www.example.org A: signed by org 17 (ECDSAP256SHA256) (secure)

Asked for it
  A www.example.org: from 192.0.2.53
    192.0.2.53: NOERROR
`);
});

test('text that is harmless is left alone', () => {
  expect(printable('Grüße, 日本 🙂')).toBe('Grüße, 日本 🙂');
});

test('a narrow terminal gets a block for each peer, and no line is wider than it', () => {
  const look = { colour: false, width: 60 };
  for (const line of renderStatus(sampleStatus, look, now).split('\n'))
    expect(line.length).toBeLessThanOrEqual(60);
});

test('colours are only there where they are wanted', () => {
  // eslint-disable-next-line no-control-regex
  expect(renderStatus(sampleStatus, plain, now)).not.toMatch(/\u001b/);
  expect(renderStatus(sampleStatus, { colour: true, width: 120 }, now)).toContain('\u001b[31m');
});

test('a word that is one slip away is found, one that is far away is not', () => {
  const words = ['status', 'why', 'doctor', 'listen'];
  expect(nearest('statsu', words)).toBe('status');
  expect(nearest('lisen', words)).toBe('listen');
  expect(nearest('encrypt', words)).toBeUndefined();
});

test('a terminal that does not know its width is taken for one of 80 columns', () => {
  expect(lookOf({ isTTY: true, columns: 0 }, {}).width).toBe(80);
  expect(lookOf({ isTTY: true }, {}).width).toBe(80);
  expect(lookOf({ isTTY: true, columns: 132 }, {}).width).toBe(132);
});

function never(): never {
  throw new Error('the sample has no zone');
}
