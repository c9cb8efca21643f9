import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { Type } from '../../src/dns/types.ts';
import { fromHex } from '../../src/wire/octets.ts';

test.each([
  ['A', 'c0000201', '192.0.2.1'],
  ['AAAA', '20010db8000000000000000000000001', '2001:db8::1'],
  ['NS', '026e73076578616d706c6500', 'ns.example.'],
  ['CNAME', '00', '.'],
  ['MX', '000a046d61696c076578616d706c6500', '10 mail.example.'],
  ['SOA', '0161000162000000000100000002000000030000000400000005', 'a. b. 1 2 3 4 5'],
  ['TXT', '0568656c6c6f03225c0a', '"hello" "\\"\\\\\\010"'],
  ['SRV', '0001000213c4016100', '1 2 5060 a.'],
  ['CAA', '00056973737565636120', '0 issue "ca "'],
  ['DS', '4f660802e06d44b8', '20326 8 2 E06D44B8'],
  ['DNSKEY', '0101030803010001', '257 3 8 AwEAAQ== ; key tag 1803'],
  // RFC 4034 §3.3, with a shorter signature.
  [
    'RRSIG',
    '00010503000151803e7c9dd73e5510d70a52076578616d706c6503636f6d00' + 'abcd',
    'A 5 3 86400 20030322173103 20030220173103 2642 example.com. q80=',
  ],
  // RFC 4034 §4.3.
  [
    'NSEC',
    '04686f7374076578616d706c6503636f6d000006400100000003041b' + '00'.repeat(26) + '20',
    'host.example.com. A MX RRSIG NSEC TYPE1234',
  ],
  // RFC 5155 appendix A.
  [
    'NSEC3',
    '0101000c04aabbccdd14' + '174eb2409fe28bcb4887a1836f957f0a8425e27b' + '000722010000000290',
    '1 1 12 AABBCCDD 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA MX RRSIG DNSKEY NSEC3PARAM',
  ],
  ['NSEC3PARAM', '0100000000', '1 0 0 -'],
  ['TLSA', '030101abcd', '3 1 1 ABCD'],
  ['SSHFP', '0402abcd', '4 2 ABCD'],
  ['IPSECKEY', '0a0004016162', '10 0 4 . AWFi'],
  [
    'HTTPS',
    '0001000001000602683202683300030002' +
      '20fb' +
      '00040004c0000201' +
      '0006001020010db8000000000000000000000001' +
      '000500020102',
    '1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 key5="\\001\\002"',
  ],
] as const)('%s reads as in a zone file', (type, rdata, text) => {
  expect(rdataText(Type[type], fromHex(rdata))).toBe(text);
});

test('what is unknown or broken is written as octets (RFC 3597 §5)', () => {
  expect(rdataText(65_534, fromHex('0a000001'))).toBe('\\# 4 0A000001');
  expect(rdataText(65_534, fromHex(''))).toBe('\\# 0');
  expect(rdataText(Type.A, fromHex('0a0000'))).toBe('\\# 3 0A0000');
  expect(rdataText(Type.A, fromHex('0a00000102'))).toBe('\\# 5 0A00000102');
  expect(rdataText(Type.NSEC, fromHex('000000'))).toBe('\\# 3 000000');
});

test('any octets of any type give one line of printable ASCII', () => {
  const types = fc.constantFrom(...Object.values(Type));
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 60 }), (type, rdata) => {
      expect(rdataText(type, rdata)).toMatch(/^[ -~]+$/);
    }),
    { numRuns: 3_000 },
  );
});
