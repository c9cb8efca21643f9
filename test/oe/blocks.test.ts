import { expect, test } from 'vitest';
import { formatAddress, type IpAddress } from '../../src/net/address.ts';
import { Blocks } from '../../src/oe/blocks.ts';
import { instant } from '../../src/time.ts';
import { address } from './stage.ts';

const hour = 3_600_000;
const minute = 60_000;
const idle = (): boolean => false;

test('a block stays for an hour after the address was last asked for, and longer where its TTL says so', () => {
  const blocks = new Blocks();
  expect(blocks.add(host(1), 30, instant(0), idle)).toEqual({ kind: 'new', gone: undefined });
  blocks.add(host(2), 7_200, instant(0), idle);
  expect(blocks.expire(instant(hour), idle)).toEqual([]);
  expect(blocks.add(host(1), 30, instant(hour), idle)).toEqual({ kind: 'known' });
  expect(texts(blocks.expire(instant(2 * hour), idle))).toEqual([]);
  expect(texts(blocks.expire(instant(2 * hour + minute), idle))).toEqual(['10.0.0.2', '10.0.0.1']);
  expect([...blocks.all()]).toEqual([]);
  expect(blocks.deadline).toBeUndefined();
});

test('a later answer with a shorter TTL makes no block shorter', () => {
  const blocks = new Blocks();
  blocks.add(host(1), 86_400, instant(0), idle);
  blocks.add(host(1), 1, instant(hour), idle);
  expect(blocks.expire(instant(23 * hour), idle)).toEqual([]);
  expect(blocks.expire(instant(24 * hour + minute), idle)).toHaveLength(1);
});

test('the block of a host with an SA stays, whatever the time', () => {
  const blocks = new Blocks();
  blocks.add(host(1), 1, instant(0), idle);
  expect(blocks.expire(instant(5 * hour), () => true)).toEqual([]);
  expect(blocks.has(host(1))).toBe(true);
  expect(blocks.expire(instant(5 * hour + 1), idle)).toEqual([]);
  expect(blocks.expire(instant(6 * hour), idle)).toHaveLength(1);
});

test('where as many stand as may, what no client can hold any longer makes room, and else the new one is refused', () => {
  const blocks = new Blocks(3);
  for (const i of [1, 2, 3]) blocks.add(host(i), 300, instant(0), idle);
  expect(blocks.add(host(4), 300, instant(minute), idle)).toEqual({ kind: 'full' });
  expect(blocks.has(host(4))).toBe(false);
  blocks.add(host(1), 300, instant(5 * minute), idle);
  const isSecond = (a: IpAddress): boolean => formatAddress(a) === '10.0.0.2';
  const added = blocks.add(host(4), 300, instant(7 * minute), isSecond);
  expect(added.kind === 'new' && added.gone && formatAddress(added.gone)).toBe('10.0.0.3');
  expect(texts([...blocks.all()])).toEqual(['10.0.0.2', '10.0.0.1', '10.0.0.4']);
});

function host(last: number): IpAddress {
  return address(`10.0.0.${last}`);
}

function texts(addresses: readonly IpAddress[]): string[] {
  return addresses.map(formatAddress);
}
