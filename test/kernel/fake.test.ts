import { expect, test } from 'vitest';
import { larvalReqid, Priority } from '../../src/kernel/bands.ts';
import { FakeKernel } from '../../src/kernel/fake.ts';
import type { EspState, KernelEvent, Policy } from '../../src/kernel/port.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { hostPrefix } from '../../src/net/prefix.ts';
import { instant } from '../../src/time.ts';
import { seeded } from './random.ts';

const local = address('198.18.1.2');
const peer = address('198.18.2.10');
const reqid = larvalReqid + 1;

test('a reserved SPI lapses after 30 seconds', () => {
  const kernel = fake();
  kernel.allocateSpiSync(local, peer);
  kernel.advance(instant(29_999));
  expect(kernel.snapshotSync().states).toHaveLength(1);
  kernel.advance(instant(30_000));
  expect(kernel.snapshotSync().states).toHaveLength(0);
});

test('a state can be added though the reservation has lapsed', () => {
  const kernel = fake();
  const spi = kernel.allocateSpiSync(local, peer);
  kernel.advance(instant(60_000));
  kernel.applySync([
    { op: 'addState', state: { ...state, direction: 'in', source: peer, destination: local, spi } },
  ]);
  expect(kernel.snapshotSync().states).toMatchObject([{ spi, larval: false }]);
});

test('the same seed reserves the same SPIs', () => {
  expect(fake().allocateSpiSync(local, peer)).toBe(fake().allocateSpiSync(local, peer));
});

test('a packet that meets a policy without a state asks once in 30 seconds, and is dropped', () => {
  const kernel = fake();
  const events: KernelEvent[] = [];
  kernel.events((event) => events.push(event));
  kernel.applySync([{ op: 'addPolicy', policy }]);
  expect(kernel.outbound(local, peer)).toBe('acquire');
  expect(kernel.outbound(local, peer)).toBe('drop');
  kernel.advance(instant(30_000));
  expect(kernel.outbound(local, peer)).toBe('acquire');
  expect(events.map((e) => e.kind)).toEqual(['acquire', 'acquire']);
});

test('packets are counted, and limits are told: soft once, and hard with the end of the state', () => {
  const kernel = fake();
  const events: string[] = [];
  kernel.events((event) => events.push(event.kind === 'expire' ? `hard ${event.hard}` : event.kind));
  const limited = { ...state, lifetime: { softPackets: 2n, hardPackets: 4n } };
  kernel.applySync([
    { op: 'addState', state: limited },
    { op: 'addPolicy', policy },
  ]);
  for (let i = 0; i < 3; i++) kernel.outbound(local, peer);
  expect(kernel.querySync([state])[0]).toMatchObject({ packets: 3n, octets: 300n });
  expect(events).toEqual(['hard false']);
  kernel.outbound(local, peer);
  expect(events).toEqual(['hard false', 'hard true']);
  expect(kernel.querySync([state])).toEqual([undefined]);
});

test('a policy of an administrator decides before ours', () => {
  const kernel = fake();
  kernel.applySync([{ op: 'addPolicy', policy: { ...policy, action: 'block' } }]);
  const { template: _template, ...bare } = policy;
  kernel.addForeignPolicy({ ...bare, source: { address: address('0.0.0.0'), length: 0 }, priority: 100 });
  expect(kernel.outbound(local, peer)).toBe('clear');
});

test('ESP to an SPI that is not there is dropped', () => {
  expect(fake().inbound({ source: peer, destination: local, esp: { spi: 0x1234 } })).toBe('drop');
});

test('it refuses a suite that it does not claim to have', () => {
  const kernel = new FakeKernel({ random: seeded(1), capabilities: { suites: [] } });
  expect(() => {
    kernel.applySync([{ op: 'addState', state }]);
  }).toThrow(expect.objectContaining({ code: 'ENOSYS' }) as Error);
});

function fake(): FakeKernel {
  return new FakeKernel({ random: seeded(5) });
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

const state: EspState = {
  encr: 20,
  keyBits: 256,
  direction: 'out',
  source: local,
  destination: peer,
  spi: 0x2001,
  reqid,
  mode: 'transport',
  encryptionKey: new Uint8Array(36),
  esn: true,
  replayWindow: 0,
};

const policy: Policy = {
  direction: 'out',
  source: hostPrefix(local),
  destination: hostPrefix(peer),
  priority: Priority.protect,
  action: 'allow',
  template: { reqid, mode: 'transport' },
};
