import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rootAnchors } from '../../src/dns/anchors.ts';
import { cmsFault } from '../../src/dns/anchors/cms.ts';
import { icannRootCa } from '../../src/dns/anchors/icann-ca.ts';
import { anchorsOfList, readRootList } from '../../src/dns/anchors/root-list.ts';
import { toUtf8 } from '../../src/wire/octets.ts';
import { at } from './rolling-root.ts';

const fixtures = join(import.meta.dirname, '../fixtures/root-anchors');
const xml = Uint8Array.from(readFileSync(join(fixtures, 'root-anchors.xml')));
const p7s = Uint8Array.from(readFileSync(join(fixtures, 'root-anchors.p7s')));
const text = new TextDecoder().decode(xml);
const then = at('2024-11-01');

test('the list that IANA published and signed in 2024 holds the anchors that are brought along', () => {
  expect(anchorsOfList(xml, p7s, then)).toEqual(rootAnchors);
});

test('a key counts from its first day to its last (RFC 9718 §2.2)', () => {
  const tags = (date: string): unknown => {
    const keys = readRootList(text);
    if (typeof keys === 'string') throw new Error(keys);
    const wall = at(date);
    return keys
      .filter((k) => wall >= k.validFrom && !(wall >= (k.validUntil ?? Infinity)))
      .map((k) => k.keyTag);
  };
  expect(tags('2016-01-01')).toEqual([19_036]);
  expect(tags('2018-01-01')).toEqual([19_036, 20_326]);
  expect(tags('2020-01-01')).toEqual([20_326]);
  // The certificate was not in force at a time when 38696 was not: the signer's own clock is taken.
  const early = anchorsOfList(xml, p7s, at('2024-07-17'));
  expect(typeof early === 'string' ? early : early.length).toBe(1);
});

test('the certificate has to be in force', () => {
  expect(anchorsOfList(xml, p7s, at('2026-07-09'))).toMatch(
    /^the certificate CN=DNSSEC Trust Anchor .* expired/,
  );
  expect(anchorsOfList(xml, p7s, at('2021-07-01'))).toMatch(/is not valid before/);
  expect(anchorsOfList(xml, p7s, at('2030-01-01'))).toMatch(/expired/);
});

test('a list with another letter in it is not signed', () => {
  const other = toUtf8(text.replace('E06D44B8', 'E06D44B9'));
  expect(anchorsOfList(other, p7s, then)).toBe('the signature is one of another file');
});

test('the signature has to be by dnssec@iana.org, and lead to the CA', () => {
  expect(cmsFault(xml, p7s, icannRootCa, 'dnssec@example.org', then)).toBe(
    'the signature is not by dnssec@example.org',
  );
  expect(cmsFault(xml, p7s, otherCa, 'dnssec@iana.org', then)).toBe(
    'the certificate of the signer does not lead to the ICANN CA',
  );
});

test('whatever octet of the signature is changed, the list is not taken, or it is the same list', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: p7s.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (where, change) => {
        const changed = p7s.with(where, (p7s[where] ?? 0) ^ change);
        const found = anchorsOfList(xml, changed, then);
        if (typeof found !== 'string') expect(found).toEqual(rootAnchors);
      },
    ),
    { numRuns: 400, seed: 9718 },
  );
});

test('the signature itself, its attributes and its certificate are each needed', () => {
  // The last octets are those of the signature, the ones before hold the attributes; the certificates come first.
  for (const where of [p7s.length - 5, p7s.length - 400, 1500])
    expect(typeof anchorsOfList(xml, p7s.with(where, (p7s[where] ?? 0) ^ 1), then), String(where)).toBe(
      'string',
    );
});

test.each([
  ['a document type', text.replace('<TrustAnchor', '<!DOCTYPE x>\n<TrustAnchor')],
  ['another zone', text.replace('<Zone>.</Zone>', '<Zone>org.</Zone>')],
  ['an element that nobody knows', text.replace('</KeyDigest>', '<More>1</More></KeyDigest>')],
  ['a field that is missing', text.replace('<Algorithm>8</Algorithm>', '')],
  ['fields in another order', text.replace(/(<KeyTag>.*)\n\s*(<Algorithm>.*)/, '$2$1')],
  ['a digest that is too short', text.replace('8FB5</Digest>', '8F</Digest>')],
  ['a public key that is not the one of the digest', text.replace('AwEAAaz/', 'AwEAAax/')],
  ['a date without a time zone', text.replace('2017-02-02T00:00:00+00:00', '2017-02-02T00:00:00')],
  ['an entity', text.replace('20326', '2032&#54;')],
  ['no end', text.slice(0, -20)],
  ['two lists', text + text],
  ['nothing', ''],
  ['a key of no length', text.replace(/<Digest>.*<\/Digest>/, '<Digest></Digest>')],
  ['elements without end', '<TrustAnchor>'.repeat(1000)],
])('%s in the list is refused', (_, changed) => {
  expect(changed).not.toBe(text);
  expect(typeof readRootList(changed)).toBe('string');
});

test('comments and white space mean nothing', () => {
  const spaced = text.replaceAll('<KeyDigest', '\n<!-- a key -->  <KeyDigest');
  expect(readRootList(spaced)).toEqual(readRootList(text));
});

/** A CA that signed nothing here: self-signed, made with openssl for this test; it bears the name and the key identifier of the true one. */
const otherCa = `-----BEGIN CERTIFICATE-----
MIIDnTCCAoWgAwIBAgIUf6wRy9mViPbUyJ/tAOyFwB1n1VEwDQYJKoZIhvcNAQEL
BQAwXTEOMAwGA1UECgwFSUNBTk4xJjAkBgNVBAsMHUlDQU5OIENlcnRpZmljYXRp
b24gQXV0aG9yaXR5MRYwFAYDVQQDDA1JQ0FOTiBSb290IENBMQswCQYDVQQGEwJV
UzAgFw0yNjExMjUxODEyNDlaGA8yMDUxMDcxNzE4MTI0OVowXTEOMAwGA1UECgwF
SUNBTk4xJjAkBgNVBAsMHUlDQU5OIENlcnRpZmljYXRpb24gQXV0aG9yaXR5MRYw
FAYDVQQDDA1JQ0FOTiBSb290IENBMQswCQYDVQQGEwJVUzCCASIwDQYJKoZIhvcN
AQEBBQADggEPADCCAQoCggEBAMr3CkhwQjkEoMBV/GPiRkmOivGOOMOSFr1SgVrh
grwuVueA5yiZVR/qJRqf90tnK2qzuILHGovrWawaBrma+h7uNZFPQS/zhQOf8X/N
+6HYw96H9eDiSQD7OoXISBRKOJa83CZs7FHm/2htgKymyA+1pqACgMbQEFqc0qSQ
inXlQLDKBphwFMvzP6P8ikZE03XFkGp0KMaUxwsDHZtQol5WxCs3tMJxb9OvZi5E
KeyWZvYabxuZt5H6/pfPGjA/CrISxZW2IOZf4e7MMzJV3Z7QxxDN6laFjLMLTVXn
aZcAPf986DMY0XV9NHS2jNFZEM8G7FXvFYuy1wGFVU5XO+MCAwEAAaNTMFEwHwYD
VR0jBBgwFoAU+YQkqiAX81LcQqi2rMpCGrmFb8QwDwYDVR0TAQH/BAUwAwEB/zAd
BgNVHQ4EFgQUulLpSYMkhlIvx5nN/I1raQhNwFAwDQYJKoZIhvcNAQELBQADggEB
AIZfXUueJ6Z2wTemHLLo9s0r/9kYft0rI8jF69CJQ8Bk7ftXTZcNGHL1x5tJsgCA
wguuoPGKVGSg/U3Upfk5/G+aT5qUhD6/dbdi6amV2IAFV7L8s5KzMNasxNk7yLrq
Dm+79O44Bhzqc1BQGYN8p+HKxlNSnJafhnOJ4ToxwUKQMn0SiWDcz7c3o15p+gOc
aPAOe3FcoYR9YKHvjxbonJgdDVY39+FWyMiZz86ukYfg1MfkiYYoPfNHYa80c4Gn
BPera/BUUO2q3QqURjWI3hqVMBELiAWQKW0rbmEmJiSUekLQ8ZflqkPQflj/KKrV
LCelkM6FU445I3pQcddW88M=
-----END CERTIFICATE-----
`;
