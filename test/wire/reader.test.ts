import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decoded, Reader } from '../../src/wire/reader.ts';
import { WireError } from '../../src/wire/error.ts';
import { encoded } from '../../src/wire/writer.ts';

test('what is written reads back', () => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(0xffff),
      fc.nat(0xffff_ffff),
      fc.bigInt(0n, 2n ** 64n - 1n),
      fc.uint8Array(),
      (a, b, c, d, rest) => {
        const octets = encoded((w) => {
          w.u8(a);
          w.u16(b);
          w.u16le(b);
          w.u32(c);
          w.u32le(c);
          w.u64(d);
          w.u64le(d);
          w.octets(rest);
        }, 1);
        const again = decoded(octets, (r) => [
          r.u8(),
          r.u16(),
          r.u16le(),
          r.u32(),
          r.u32le(),
          r.u64(),
          r.u64le(),
          r.rest().slice(),
        ]);
        expect(again).toEqual({ ok: true, value: [a, b, b, c, c, d, d, rest] });
      },
    ),
  );
});

test('no read reaches past the end, or a nested reader past its parent', () => {
  const r = new Reader(new Uint8Array([1, 2, 3, 4]));
  const inner = r.sub(2);
  expect(inner.u16()).toBe(0x0102);
  expect(() => inner.u8()).toThrow(WireError);
  expect(() => r.u32()).toThrow(WireError);
  expect(r.u16()).toBe(0x0304);
});

test('octets left over are an error with its offset', () => {
  const result = decoded(new Uint8Array(3), (r) => r.u8());
  expect(result.ok).toBe(false);
  if (!result.ok) expect(result.error.message).toBe('2 octets left over at octet 1');
});

test('an error of ours is not taken for one of the sender', () => {
  expect(() =>
    decoded(new Uint8Array(3), () => {
      throw new TypeError('ours');
    }),
  ).toThrow(TypeError);
});

test('a length written afterwards counts its body', () => {
  expect(
    encoded((w) => {
      w.lengthPrefixed16(() => {
        w.zeros(3);
      });
    }),
  ).toEqual(new Uint8Array([0, 3, 0, 0, 0]));
});
