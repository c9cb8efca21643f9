import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { readAnchors, rootAnchors } from '../../src/dns/anchors.ts';
import { nameOf, octetsOfName } from '../../src/dns/name.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { Type } from '../../src/dns/types.ts';
import { concatOctets } from '../../src/wire/octets.ts';

/** The root's key-signing keys of 2017 and 2024, from IANA's root-anchors.xml. */
const keys =
  '. 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=\n' +
  '. 172800 IN DNSKEY 257 3 8 AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc=\n';

test('the root anchors are the digests of the root’s own keys (RFC 4034 §5.1.4)', () => {
  const { anchors, problems } = readAnchors(keys);
  expect(problems).toEqual([]);
  const digests = anchors.map(({ owner, rdata }) =>
    new Uint8Array(
      createHash('sha256')
        .update(concatOctets(octetsOfName(owner), rdata))
        .digest(),
    ).toHex(),
  );
  expect(rootAnchors.map(({ rdata }) => rdata.subarray(4).toHex())).toEqual(digests);
  expect(rootAnchors.map((a) => rdataText(Type.DS, a.rdata).split(' ').slice(0, 3).join(' '))).toEqual([
    '20326 8 2',
    '38696 8 2',
  ]);
});

test('a file of DS records reads as the built-in anchors, whatever its case, TTLs and comments', () => {
  const text = [
    '; IANA, 2024',
    '.\tIN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D ; 2017',
    '',
    '. in 3600 ds 38696 8 2 ( 683d2d0acb8c9b712a1948b27f741219298d0a45 0d612c483af444a4c0fb2b16 )\r',
  ].join('\n');
  expect(readAnchors(text)).toEqual({ anchors: rootAnchors, problems: [] });
});

test('anchors may be of any zone', () => {
  const { anchors } = readAnchors(`example.org. DS 1 13 2 ${'ab'.repeat(32)}\n`);
  expect(anchors.map((a) => [a.kind, a.owner])).toEqual([['DS', nameOf('example.org')]]);
});

test.each([
  ['', 1, 'there is no DS or DNSKEY record in it'],
  ['; nothing\n\n', 3, 'there is no DS or DNSKEY record in it'],
  ['\n.. IN DS 1 8 2 00', 2, '.. is no domain name'],
  ['. IN', 1, 'the record ends after the owner'],
  ['. IN A 192.0.2.1', 1, 'A is neither DS nor DNSKEY'],
  ['. IN DS 65536 8 2 00', 1, 'a DS record is key tag, algorithm, digest type and digest'],
  ['. IN DS 1 8', 1, 'a DS record is key tag, algorithm, digest type and digest'],
  ['. IN DS 1 8 2 0', 1, 'the digest is not an even number of hexadecimal digits'],
  ['. IN DS 1 8 2', 1, 'the digest is not an even number of hexadecimal digits'],
  ['. IN DS 1 8 2 00', 1, 'a digest of type 2 has 32 octets, this one 1'],
  ['. IN DNSKEY 257 3', 1, 'a DNSKEY record is flags, protocol, algorithm and key'],
  ['. IN DNSKEY 257 3 8 A', 1, 'the key is not base64'],
  ['. IN DNSKEY 257 3 8', 1, 'the key is not base64'],
  ['. IN DNSKEY 1 3 8 AwEAAQ==', 1, 'flags 1 are not those of a zone key (256 or 257)'],
  ['. IN DNSKEY 385 3 8 AwEAAQ==', 1, 'the key is revoked'],
  ['. IN DNSKEY 257 2 8 AwEAAQ==', 1, 'the protocol is 2; it must be 3'],
])('%j is no anchor, and line and reason are told', (text, line, problem) => {
  expect(readAnchors(text)).toEqual({ anchors: [], problems: [{ line, problem }] });
});

test('every problem is reported, beside the anchors that are good', () => {
  const { anchors, problems } = readAnchors(`. IN A 1\n${keys}. IN DS\n`);
  expect(anchors).toHaveLength(2);
  expect(problems.map((p) => p.line)).toEqual([1, 4]);
});
