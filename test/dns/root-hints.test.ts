import { expect, test } from 'vitest';
import { nameText } from '../../src/dns/name.ts';
import { readHints, rootHints } from '../../src/dns/recurse/hints.ts';
import { formatAddress } from '../../src/net/address.ts';

test('the thirteen letters of the root have an address of each family', () => {
  expect(rootHints.map((h) => nameText(h.name)[0]).join('')).toBe('abcdefghijklm');
  for (const { addresses } of rootHints) expect(addresses.map((x) => x.family)).toEqual([4, 6]);
});

test('a hints file is read in the form of named.root', () => {
  const text = [
    ';       This file holds the information on root name servers',
    '.                        3600000      NS    A.ROOT-SERVERS.NET.',
    'A.ROOT-SERVERS.NET.      3600000      A     198.41.0.4',
    'A.ROOT-SERVERS.NET.      3600000 IN   AAAA  2001:503:ba3e::2:30 ; as of 2004',
    '',
    '. NS ns.lab',
    'ns.lab A 192.0.2.1',
  ].join('\n');
  const { hints, problems } = readHints(text);
  expect(problems).toEqual([]);
  expect(hints.map((h) => [nameText(h.name), ...h.addresses.map(formatAddress)])).toEqual([
    ['a.root-servers.net', '198.41.0.4', '2001:503:ba3e::2:30'],
    ['ns.lab', '192.0.2.1'],
  ]);
});

test.each([
  ['. NS', '1: the name of the server is missing'],
  ['org. NS ns.lab\nns.lab A 192.0.2.1', '1: org. is not the root'],
  ['. NS ns.lab\nns.lab A 2001:db8::1', '2: 2001:db8::1 is no IPv4 address'],
  ['. NS ns.lab\nns.lab A 192.0.2.1 192.0.2.2', '2: 192.0.2.2 follows the record'],
  ['. NS ns.lab\n\nns.other A 192.0.2.1', '3: the address is of no name that has an NS record here'],
  ['; nothing\n. NS ns.lab', '2: the name server has no A or AAAA record here'],
  ['. SOA ns.lab', '1: SOA is neither NS, A nor AAAA'],
  ['a..b NS ns.lab', '1: a..b is no domain name'],
  ['; nothing\n\n', '3: there is no NS record in it'],
])('what is wrong in %j is told with its line', (text, problem) => {
  expect(readHints(text).problems.map((p) => `${p.line}: ${p.problem}`)).toContain(problem);
});
