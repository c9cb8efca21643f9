import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ancestorOf,
  commonAncestor,
  compareNames,
  isBelow,
  isWildcard,
  labelCount,
  labelsOf,
  nameOf,
  nameText,
  octetsOfName,
  parentOf,
  readName,
  readNameOctets,
  readPlainName,
  rebased,
  reverseName,
  rootName,
  wildcardOf,
  type NameKey,
} from '../../src/dns/name.ts';
import { parseAddress } from '../../src/net/address.ts';
import { compareOctets, toLatin1 } from '../../src/wire/octets.ts';
import { decoded, Reader } from '../../src/wire/reader.ts';
import { anyName } from './generated.ts';

test('text and name are each other’s inverse, whatever octets a label holds', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      const text = nameText(name);
      expect(text).toMatch(/^[!-~]+$/);
      expect(nameOf(text)).toBe(name);
      if (name !== rootName) expect(nameOf(`${text}.`)).toBe(name);
    }),
  );
});

test('text is read with escapes, in any case, with or without the last dot', () => {
  expect(nameOf('WWW.Example.ORG')).toBe('\u0003www\u0007example\u0003org\0');
  expect(nameOf('a\\.b.c.')).toBe('\u0003a.b\u0001c\0');
  expect(nameOf('\\000\\255')).toBe('\u0002\0\u00ff\0');
  expect(nameOf('\\065')).toBe('\u0001a\0');
  expect(nameOf('.')).toBe(rootName);
  expect(nameText(rootName)).toBe('.');
});

test.each([
  '',
  '..',
  '.a',
  'a..b',
  'a\\',
  'a\\25',
  '\\256',
  '\\1a',
  'bücher.example',
  '\\é',
  `${'a'.repeat(64)}.org`,
])('%j is no name', (text) => {
  expect(nameOf(text)).toBeUndefined();
});

test('a name has at most 255 octets (RFC 1035 §2.3.4)', () => {
  const label = 'a'.repeat(63);
  expect(nameOf([label, label, label, 'a'.repeat(61)].join('.'))).toHaveLength(255);
  expect(nameOf([label, label, label, 'a'.repeat(62)].join('.'))).toBeUndefined();
});

test('only ASCII letters are folded (RFC 4343)', () => {
  const { ok } = decoded(new Uint8Array([2, 0xc4, 0x41, 0]), (r) => {
    expect(readName(r)).toBe('\u0002\u00c4a\0');
  });
  expect(ok).toBe(true);
});

test('a name lies below another only where a label ends', () => {
  expect(isBelow(name('www.example.org'), name('example.org'))).toBe(true);
  expect(isBelow(name('example.org'), name('example.org'))).toBe(true);
  expect(isBelow(name('example.org'), rootName)).toBe(true);
  expect(isBelow(name('example.org'), name('www.example.org'))).toBe(false);
  expect(isBelow(name('notexample.org'), name('example.org'))).toBe(false);
  // The octets of "example.org" stand at the end of this name, inside one label.
  expect(isBelow(name('x\\007example\\003org'), name('example.org'))).toBe(false);
});

test('ancestors, wildcards and moved names', () => {
  const www = name('www.example.org');
  expect(labelCount(www)).toBe(3);
  expect(labelsOf(www)).toEqual(['www', 'example', 'org']);
  expect(labelCount(rootName)).toBe(0);
  expect(parentOf(www)).toBe(name('example.org'));
  expect(parentOf(rootName)).toBeUndefined();
  expect(ancestorOf(www, 1)).toBe(name('org'));
  expect(ancestorOf(www, 0)).toBe(rootName);
  expect(ancestorOf(www, 9)).toBe(www);
  expect(commonAncestor(www, name('mail.example.org'))).toBe(name('example.org'));
  expect(commonAncestor(www, name('example.net'))).toBe(rootName);
  expect(wildcardOf(name('example.org'))).toBe(name('*.example.org'));
  expect(isWildcard(name('*.example.org'))).toBe(true);
  expect(isWildcard(www)).toBe(false);
  expect(rebased(www, name('example.org'), name('example.net'))).toBe(name('www.example.net'));
  expect(rebased(www, name('example.com'), rootName)).toBeUndefined();
  const long = name(Array(4).fill('a'.repeat(60)).join('.'));
  expect(rebased(www, name('org'), long)).toBeUndefined();
});

test('canonical order is that of RFC 4034 §6.1', () => {
  const ordered = [
    'example',
    'a.example',
    'yljkjljk.a.example',
    'Z.a.example',
    'zABC.a.EXAMPLE',
    'z.example',
    '\\001.z.example',
    '*.z.example',
    '\\200.z.example',
  ].map(name);
  expect([...ordered].reverse().sort(compareNames)).toEqual(ordered);
});

test('canonical order is that of the labels’ octets from the root, and total', () => {
  fc.assert(
    fc.property(anyName, anyName, (a, b) => {
      const [x, y] = [labelsOf(a).reverse(), labelsOf(b).reverse()];
      const at = x.findIndex((label, i) => label !== y[i]);
      const [p, q] = at < 0 ? [] : [x[at], y[at]];
      const expected =
        p === undefined || q === undefined ? x.length - y.length : compareOctets(octets(p), octets(q));
      expect(Math.sign(compareNames(a, b))).toBe(Math.sign(expected));
      expect(Math.sign(compareNames(b, a))).toBe(-Math.sign(expected) + 0);
    }),
  );
});

test('reverse names of IPv4 and IPv6 (RFC 1035 §3.5, RFC 3596 §2.5)', () => {
  expect(reversed('198.18.2.10')).toBe('10.2.18.198.in-addr.arpa');
  expect(reversed('2001:db8::567:89ab')).toBe(
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  );
});

test('a name is read from octets as it was written, and the reader stands behind it', () => {
  fc.assert(
    fc.property(anyName, fc.uint8Array({ maxLength: 4 }), (n, tail) => {
      const r = new Reader(new Uint8Array([...octetsOfName(n), ...tail]));
      expect(readPlainName(r)).toBe(n);
      expect(r.remaining).toBe(tail.length);
    }),
  );
});

test('compression pointers lead to what was written before, and the reader goes on behind the first', () => {
  //                       0  a     2  B     4  → 0  6  c     8  → 2
  const message = new Uint8Array([1, 0x61, 1, 0x42, 0, 1, 0x63, 0xc0, 2, 0x55]);
  const r = new Reader(message, 5);
  expect(readName(r)).toBe(name('c.b'));
  expect(r.u8()).toBe(0x55);
  expect(toLatin1(readNameOctets(new Reader(message, 5)))).toBe('\u0001c\u0001B\0');
  expect(() => readPlainName(new Reader(message, 5))).toThrow('a compressed name where none may be');
});

test.each([
  ['a pointer to itself', [0xc0, 0], 0],
  ['a pointer forwards', [0xc0, 2, 0], 0],
  ['a pointer into the name that it ends', [1, 0x61, 0xc0, 0], 0],
  ['half a pointer', [0, 0xc0], 1],
  ['the label type 01', [0x41, 0x61, 0], 0],
  ['the label type 10', [0x80, 0x61, 0], 0],
  ['a label beyond the end', [5, 0x61, 0], 0],
  ['no end', [1, 0x61], 0],
  ['nothing', [], 0],
  [
    'more than 255 octets',
    [
      ...Array(4)
        .fill([63, ...Array<number>(63).fill(0x61)])
        .flat(),
      0,
    ],
    0,
  ],
])('%s is a WireError', (_, octets_, at) => {
  const { ok } = decoded(new Uint8Array(octets_ as number[]), (r) => {
    r.skip(at);
    readName(r);
  });
  expect(ok).toBe(false);
});

test('THREATS B: a name goes through at most 64 pointers', () => {
  const chain = (pointers: number): Uint8Array => {
    const octets_ = [0];
    for (let i = 0; i < pointers; i++) octets_.push(0xc0, i === 0 ? 0 : 2 * i - 1);
    return new Uint8Array(octets_);
  };
  const read = (pointers: number): boolean =>
    decoded(chain(pointers), (r) => {
      r.skip(1 + 2 * (pointers - 1));
      readName(r);
    }).ok;
  expect(read(64)).toBe(true);
  expect(read(65)).toBe(false);
});

function name(text: string): NameKey {
  const found = nameOf(text);
  if (found === undefined) throw new Error(`no name: ${text}`);
  return found;
}

function reversed(text: string): string {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`no address: ${text}`);
  return nameText(reverseName(address));
}

function octets(label: string): Uint8Array {
  return Uint8Array.from(label, (c) => c.charCodeAt(0));
}
