import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Priority } from '../../src/kernel/bands.ts';
import { decodeAttributes } from '../../src/kernel/xfrm/netlink.ts';
import { Attr } from '../../src/kernel/xfrm/numbers.ts';
import { encodePolicy } from '../../src/kernel/xfrm/policy.ts';
import { layout } from '../../src/kernel/xfrm/structs.ts';
import {
  decodePolicyExpiry,
  decodeReplay,
  decodeTableInfo,
  encodeFlushStates,
  encodeGetReplay,
  encodeGetTableInfo,
  encodeMigrate,
  encodeSetReplay,
} from '../../src/kernel/xfrm/upkeep.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { hostPrefix } from '../../src/net/prefix.ts';
import { decoded } from '../../src/wire/reader.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { encoded, type Writer } from '../../src/wire/writer.ts';

const [local, peer, elsewhere] = ['198.18.1.2', '198.18.2.10', '198.18.2.11'].map(address) as [
  IpAddress,
  IpAddress,
  IpAddress,
];
const state = { destination: peer, spi: 0xdec0_92b7 };
const policy = { direction: 'out', source: hostPrefix(local), destination: hostPrefix(peer) } as const;

test.each([
  [
    'XFRM_MSG_GETAE',
    layout.xfrm_aevent_id.size,
    (w: Writer) => {
      encodeGetReplay(w, state);
    },
  ],
  ['XFRM_MSG_GETSADINFO', 4, encodeGetTableInfo],
  // The kernel wants a struct of one octet; netlink fills it up.
  ['XFRM_MSG_FLUSHSA', 4, encodeFlushStates],
])('the body of %s is as long as the kernel wants it', (_, octets, write) => {
  expect(encoded(write).length).toBe(octets);
});

test('sequence numbers are read as they were written', () => {
  const number = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
  const words = fc
    .uint8Array({ minLength: 1, maxLength: 16 })
    .map((o) => new Uint8Array(o.length * 4).fill(o[0] ?? 0));
  fc.assert(
    fc.property(number, number, words, (outbound, inbound, bitmap) => {
      const replay = { outbound, inbound, window: bitmap.length * 8, bitmap };
      const octets = encoded((w) => {
        encodeSetReplay(w, state, replay);
      });
      const read = decoded(octets, decodeReplay);
      expect(read).toMatchObject({ ok: true, value: { state, replay } });
    }),
  );
});

test('a state that is not about ESP, or has no extended numbers, is read too', () => {
  const octets = encoded((w) => {
    encodeGetReplay(w, state);
    // XFRMA_REPLAY_VAL: oseq 7, seq 9, bitmap 1
    w.octets(fromHex('10000a00070000000900000001000000'));
  });
  expect(decoded(octets, decodeReplay)).toMatchObject({
    ok: true,
    value: { replay: { outbound: 7n, inbound: 9n, window: 32 }, octets: undefined },
  });
  octets[layout.xfrm_usersa_id.proto] = 51;
  expect(decoded(octets, decodeReplay)).toEqual({ ok: true, value: undefined });
});

test('a migration names the policy, the addresses before and after, and the ports', () => {
  const octets = encoded((w) => {
    encodeMigrate(w, {
      policy,
      reqid: 0x6f65_0001,
      mode: 'transport',
      from: { source: local, destination: peer },
      to: { source: local, destination: elsewhere },
      encapsulation: { sourcePort: 4500, destinationPort: 61_000 },
    });
  });
  const attributes = decoded(octets.subarray(layout.xfrm_userpolicy_id.size), decodeAttributes);
  if (!attributes.ok) throw attributes.error;
  const move = attributes.value.get(Attr.MIGRATE) ?? new Uint8Array();
  const at = layout.xfrm_user_migrate;
  expect(move.length).toBe(at.size);
  expect(toHex(move.subarray(0, 4))).toBe('c612020a');
  expect(toHex(move.subarray(at.new_daddr, at.new_daddr + 4))).toBe('c612020b');
  expect(toHex(move.subarray(at.proto, at.proto + 2))).toBe('3200');
  expect(toHex(move.subarray(at.reqid, at.reqid + 8))).toBe('0100656f02000200');
  expect(attributes.value.get(Attr.ENCAP)?.length).toBe(layout.xfrm_encap_tmpl.size);
});

test('how many states there are is read from XFRM_MSG_NEWSADINFO', () => {
  const octets = fromHex('ffffffff08000100050000000c0002000800000000001000');
  const value = { states: 5, buckets: 8, bucketsAtMost: 0x10_0000 };
  expect(decoded(octets, decodeTableInfo)).toEqual({ ok: true, value });
});

test('the end of a policy is read from struct xfrm_user_polexpire', () => {
  const ours = { ...policy, priority: Priority.protect, action: 'block' } as const;
  const octets = encoded((w) => {
    encodePolicy(w, ours);
    w.u8(1);
    w.zeros(7);
  });
  expect(octets.length).toBe(layout.xfrm_user_polexpire.size);
  expect(decoded(octets, decodePolicyExpiry)).toEqual({ ok: true, value: { policy: ours, hard: true } });
});

test('truncations and flipped bits give a value or a WireError', () => {
  const bodies = [
    encoded((w) => {
      encodeSetReplay(w, state, { outbound: 1n, inbound: 2n, window: 32, bitmap: new Uint8Array(4) });
    }),
    fromHex('ffffffff08000100050000000c0002000800000000001000'),
  ];
  fc.assert(
    fc.property(fc.constantFrom(...bodies), fc.nat(), fc.nat(7), fc.nat(), (body, at, bit, length) => {
      const octets = body.slice(0, length % (body.length + 1));
      if (octets.length > 0) octets[at % octets.length] = (octets[at % octets.length] ?? 0) ^ (1 << bit);
      for (const read of [decodeReplay, decodeTableInfo, decodePolicyExpiry]) decoded<unknown>(octets, read);
    }),
  );
});

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}
