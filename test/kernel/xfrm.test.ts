import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Priority } from '../../src/kernel/bands.ts';
import type { EspState, Policy } from '../../src/kernel/port.ts';
import { eventOf } from '../../src/kernel/xfrm/events.ts';
import {
  decodeAttributes,
  decodeError,
  decodeMessages,
  encodeAttribute,
  encodeMessage,
  type NetlinkMessage,
} from '../../src/kernel/xfrm/netlink.ts';
import { Attr, Msg } from '../../src/kernel/xfrm/numbers.ts';
import { decodePolicy, encodePolicy, encodePolicyId } from '../../src/kernel/xfrm/policy.ts';
import { decodeState, encodeAllocateSpi, encodeState, encodeStateId } from '../../src/kernel/xfrm/state.ts';
import { layout } from '../../src/kernel/xfrm/structs.ts';
import { parseAddress, type IpAddress } from '../../src/net/address.ts';
import { hostPrefix } from '../../src/net/prefix.ts';
import { decoded } from '../../src/wire/reader.ts';
import { concatOctets, fromHex, toHex, toLatin1 } from '../../src/wire/octets.ts';
import { encoded, type Writer } from '../../src/wire/writer.ts';

const local = address('198.18.1.2');
const peer = address('198.18.2.10');

/** Its `origin` says where it is from. */
const recorded = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/xfrm/linux-7.2.json'), 'utf8'),
) as Record<'policies' | 'states' | 'events', string[]> & { refusal: string };

const compiler = ['cc', 'gcc', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);

test.skipIf(!compiler)(
  `sizes and offsets are those of linux/xfrm.h${compiler ? '' : ' (no C compiler here)'}`,
  (context) => {
    const lines = Object.entries(layout).flatMap(([struct, members]) =>
      Object.keys(members).map((member) =>
        member === 'size'
          ? `P("${struct}", "size", sizeof(struct ${struct}))`
          : `P("${struct}", "${member}", offsetof(struct ${struct}, ${member}))`,
      ),
    );
    const source = `#include <stddef.h>\n#include <stdio.h>\n#include <linux/xfrm.h>
#define P(s, m, n) printf("%s.%s %zu\\n", s, m, (size_t)(n));
int main(void) { ${lines.join('\n')} return 0; }\n`;
    const folder = mkdtempSync(join(tmpdir(), 'oe-xfrm-'));
    try {
      writeFileSync(join(folder, 'layout.c'), source);
      const built = spawnSync(compiler ?? '', ['-o', 'layout', 'layout.c'], {
        cwd: folder,
        encoding: 'utf8',
      });
      if (built.stderr.includes('No such file')) context.skip('no linux/xfrm.h here');
      expect(built.stderr).toBe('');
      const printed = spawnSync(join(folder, 'layout'), { encoding: 'utf8' }).stdout.trim().split('\n');
      const ours = Object.entries(layout).flatMap(([struct, members]) =>
        Object.entries(members).map(([member, value]) => `${struct}.${member} ${value}`),
      );
      expect(printed).toEqual(ours);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

describe('bodies are as long as the kernel wants them:', () => {
  test.each([
    [
      'XFRM_MSG_GETSA',
      layout.xfrm_usersa_id.size,
      (w: Writer) => {
        encodeStateId(w, { destination: local, spi: 1 });
      },
    ],
    [
      'XFRM_MSG_ALLOCSPI',
      layout.xfrm_userspi_info.size,
      (w: Writer) => {
        encodeAllocateSpi(w, { local, peer, reqid: 1, min: 256, max: 257 }, false);
      },
    ],
    [
      'XFRM_MSG_GETPOLICY',
      layout.xfrm_userpolicy_id.size,
      (w: Writer) => {
        encodePolicyId(w, block);
      },
    ],
    [
      'XFRM_MSG_NEWPOLICY',
      layout.xfrm_userpolicy_info.size,
      (w: Writer) => {
        encodePolicy(w, block);
      },
    ],
    [
      'XFRM_MSG_NEWPOLICY with a template',
      168 + 4 + 64,
      (w: Writer) => {
        encodePolicy(w, protect);
      },
    ],
  ])('%s', (_, octets, write) => {
    expect(encoded(write).length).toBe(octets);
  });
});

test('a state says what it is at the offsets of struct xfrm_usersa_info', () => {
  const octets = encoded((w) => {
    encodeState(w, state({ esn: true }), true);
  });
  const view = new DataView(octets.buffer);
  const at = layout.xfrm_usersa_info;
  expect(toHex(octets.subarray(0, 4))).toBe('c612020a'); // sel.daddr
  expect(toHex(octets.subarray(16, 20))).toBe('c6120102'); // sel.saddr
  expect(view.getUint16(40, true)).toBe(2); // sel.family
  expect([octets[42], octets[43]]).toEqual([32, 32]);
  expect(toHex(octets.subarray(at.id, at.id + 4))).toBe('c612020a');
  expect(view.getUint32(at.id + 16)).toBe(0xdec0_92b7); // network order
  expect(octets[at.id + 20]).toBe(50);
  expect(toHex(octets.subarray(at.saddr, at.saddr + 4))).toBe('c6120102');
  expect(view.getBigUint64(at.lft, true)).toBe(0xffff_ffff_ffff_ffffn);
  expect(view.getUint32(at.reqid, true)).toBe(0x6f65_0001);
  expect(view.getUint16(at.family, true)).toBe(2);
  expect([octets[at.mode], octets[at.replay_window], octets[at.flags]]).toEqual([0, 0, 128]);
});

test('an AEAD is named with its salt in the key and its ICV in bits', () => {
  const attributes = attributesOf(state({ esn: true }), true);
  const aead = attributes.get(Attr.ALG_AEAD) ?? new Uint8Array();
  expect(toLatin1(aead.subarray(0, 17))).toBe('rfc4106(gcm(aes))');
  const view = new DataView(aead.buffer, aead.byteOffset);
  expect([view.getUint32(64, true), view.getUint32(68, true)]).toEqual([288, 128]);
  expect(aead.length).toBe(72 + 36);
  expect(attributes.has(Attr.ALG_CRYPT)).toBe(false);
});

test('a cipher comes with its HMAC, truncated as RFC 4868 says', () => {
  const attributes = attributesOf(
    state({ encr: 12, integ: 12, encryptionKey: new Uint8Array(32), integrityKey: new Uint8Array(32) }),
    true,
  );
  const auth = attributes.get(Attr.ALG_AUTH_TRUNC) ?? new Uint8Array();
  const view = new DataView(auth.buffer, auth.byteOffset);
  expect(toLatin1(auth.subarray(0, 12))).toBe('hmac(sha256)');
  expect([view.getUint32(64, true), view.getUint32(68, true)]).toEqual([256, 128]);
  expect(toLatin1((attributes.get(Attr.ALG_CRYPT) ?? auth).subarray(0, 8))).toBe('cbc(aes)');
});

test('an outbound ESN state has no window where the kernel knows directions, and one packet elsewhere', () => {
  const windowOf = (directions: boolean): number[] => {
    const esn = attributesOf(state({ esn: true }), directions).get(Attr.REPLAY_ESN_VAL) ?? new Uint8Array();
    const view = new DataView(esn.buffer, esn.byteOffset);
    return [view.getUint32(0, true), view.getUint32(20, true), esn.length];
  };
  expect(windowOf(true)).toEqual([0, 0, 24]);
  expect(windowOf(false)).toEqual([1, 1, 28]);
});

test('a window of more than 32 packets goes where ESN goes, a small one into the struct', () => {
  const inbound = state({ direction: 'in', replayWindow: 128 });
  const large = encoded((w) => {
    encodeState(w, inbound, true);
  });
  expect(large[layout.xfrm_usersa_info.replay_window]).toBe(0);
  expect(attributesOf(inbound, true).get(Attr.REPLAY_ESN_VAL)?.length).toBe(24 + 16);
  const small = encoded((w) => {
    encodeState(w, { ...inbound, replayWindow: 32 }, true);
  });
  expect(small[layout.xfrm_usersa_info.replay_window]).toBe(32);
});

test('ports of ESP in UDP are in network order', () => {
  const encapsulation = { sourcePort: 4500, destinationPort: 61_000 };
  const encap = attributesOf(state({ encapsulation }), true).get(Attr.ENCAP);
  expect(toHex(encap?.subarray(0, 6) ?? new Uint8Array())).toBe('02001194ee48');
  expect(encap?.length).toBe(layout.xfrm_encap_tmpl.size);
});

test('marks, an XFRM interface, a processor and a device are attributes of their own', () => {
  const more = {
    setMark: { value: 0x6f00_0001, mask: 0xff00_00ff },
    interfaceId: 7,
    cpu: 3,
    offload: { interfaceIndex: 2 },
  };
  const attributes = attributesOf(state({ ...more, direction: 'in' }), true);
  const hex = (type: number): string => toHex(attributes.get(type) ?? new Uint8Array());
  expect([hex(Attr.SET_MARK), hex(Attr.SET_MARK_MASK)]).toEqual(['0100006f', 'ff0000ff']);
  expect([hex(Attr.IF_ID), hex(Attr.SA_PCPU)]).toEqual(['07000000', '03000000']);
  expect(hex(Attr.OFFLOAD_DEV)).toBe('0200000002000000'); // XFRM_OFFLOAD_INBOUND
  expect(attributes.get(Attr.OFFLOAD_DEV)?.length).toBe(layout.xfrm_user_offload.size);
  expect(attributesOf(state({ ...more }), false).has(Attr.SA_PCPU)).toBe(false);
});

test('in UDP an inbound state is told to be brief about NATs, an outbound one to keep them open, none has a device', () => {
  const udp = { encapsulation: { sourcePort: 4500, destinationPort: 40_000 }, keepaliveSeconds: 20 };
  const offload = { interfaceIndex: 2 };
  const inward = attributesOf(state({ ...udp, offload, direction: 'in' }), true);
  const outward = attributesOf(state({ ...udp, offload, direction: 'out' }), true);
  expect([inward.has(Attr.MTIMER_THRESH), outward.has(Attr.MTIMER_THRESH)]).toEqual([true, false]);
  expect([inward.has(Attr.NAT_KEEPALIVE_INTERVAL), outward.has(Attr.NAT_KEEPALIVE_INTERVAL)]).toEqual([
    false,
    true,
  ]);
  expect([inward.has(Attr.OFFLOAD_DEV), outward.has(Attr.OFFLOAD_DEV)]).toEqual([false, false]);
});

test('a direction is bound only where the kernel knows directions', () => {
  expect(attributesOf(state({}), true).get(Attr.SA_DIR)).toEqual(new Uint8Array([2]));
  expect(attributesOf(state({}), false).has(Attr.SA_DIR)).toBe(false);
});

test('a key of another length is refused, and not named', () => {
  expect(() => attributesOf(state({ encryptionKey: new Uint8Array(32).fill(0xab) }), true)).toThrow(
    /^a key of 32 octets for AES-GCM-16-256$/,
  );
});

test('what is written as a state is read as one', () => {
  const read = decoded(
    encoded((w) => {
      encodeState(w, state({ esn: true }), true);
    }),
    decodeState,
  );
  expect(read).toMatchObject({
    ok: true,
    value: {
      destination: peer,
      source: local,
      spi: 0xdec0_92b7,
      reqid: 0x6f65_0001,
      mode: 'transport',
      esn: true,
      larval: false,
      direction: 'out',
    },
  });
});

test('every policy is read as it was written', () => {
  const prefix = fc.oneof(
    fc.record({ octets: fc.uint8Array({ minLength: 4, maxLength: 4 }), length: fc.nat(32) }),
  );
  const policies = fc.record({
    direction: fc.constantFrom('in', 'out', 'fwd'),
    a: prefix,
    b: prefix,
    action: fc.constantFrom('allow', 'block'),
    priority: fc.nat(0x7fff_ffff),
    ports: fc.option(fc.record({ sourcePort: fc.nat(65_535), destinationPort: fc.nat(65_535) })),
    template: fc.option(
      fc.record({
        reqid: fc.nat(0x7fff_ffff),
        mode: fc.constantFrom('transport', 'tunnel'),
        spi: fc.integer({ min: 1, max: 0xffff_ffff }),
        optional: fc.boolean(),
      }),
    ),
  });
  fc.assert(
    fc.property(policies, ({ direction, a, b, action, priority, ports, template }) => {
      const policy: Policy = {
        direction,
        source: { address: { family: 4, octets: a.octets }, length: a.length },
        destination: { address: { family: 4, octets: b.octets }, length: b.length },
        priority,
        action,
        ...(ports && { protocol: 17, ...ports }),
        ...(template && {
          template: {
            reqid: template.reqid,
            mode: template.mode,
            spi: template.spi,
            ...(template.mode === 'tunnel' && { ends: { source: local, destination: peer } }),
            ...(template.optional && { optional: true }),
          },
        }),
      };
      const read = decoded(
        encoded((w) => {
          encodePolicy(w, policy);
        }),
        decodePolicy,
      );
      expect(read).toEqual({ ok: true, value: { index: 0, priority, policy } });
    }),
  );
});

test("a policy of another type is somebody else's and has no words of ours", () => {
  const body = encoded((w) => {
    encodePolicy(w, protect);
  });
  const type = encoded((w) => {
    encodeAttribute(w, Attr.POLICY_TYPE, (a) => {
      a.u8(1); // XFRM_POLICY_TYPE_SUB
    });
  });
  const read = decoded(concatOctets(body, type), decodePolicy);
  expect(read).toMatchObject({ ok: true, value: { priority: Priority.protect, policy: undefined } });
});

test('a refusal carries the errno and the words of the kernel', () => {
  const [message] = messagesOf(fromHex(recorded.refusal));
  if (!message) throw new Error('no message');
  const outcome = decoded(message.body, (r) => decodeError(message, r));
  expect(outcome).toEqual({ ok: true, value: { errno: 38, text: 'Requested AEAD algorithm not found' } });
});

test('policies that iproute2 has added are read as it was told, one with its mark', () => {
  const policies = recorded.policies
    .flatMap((hex) => messagesOf(fromHex(hex)))
    .filter((m) => m.type === Msg.NEWPOLICY)
    .map((m) => decoded(m.body, decodePolicy))
    .map((read) => (read.ok ? read.value : read.error));
  const everything = { address: address('::'), length: 0 };
  const [here, there] = [address('2001:2:0:1::2'), address('2001:2:0:2::10')];
  const of = (policy: Policy): unknown => expect.objectContaining({ priority: policy.priority, policy });
  expect(policies).toHaveLength(4);
  expect(policies).toEqual(
    expect.arrayContaining([
      of({ ...protect, protocol: 6, destinationPort: 80 }),
      of({
        direction: 'in',
        source: hostPrefix(there),
        destination: hostPrefix(here),
        priority: Priority.protect,
        action: 'allow',
        template: { reqid: 0x6f65_0002, mode: 'tunnel', ends: { source: there, destination: here } },
      }),
      of({
        direction: 'out',
        source: everything,
        destination: everything,
        protocol: 58,
        icmpType: 135,
        priority: Priority.bypass,
        action: 'allow',
      }),
      of({
        direction: 'out',
        source: { address: address('0.0.0.0'), length: 0 },
        destination: { address: address('198.18.2.0'), length: 24 },
        mark: { value: 7, mask: 0xffff_ffff },
        priority: Priority.block,
        action: 'block',
      }),
    ]),
  );
});

test('states that iproute2 has added are read as it was told, a reserved SPI as larval', () => {
  const states = recorded.states
    .flatMap((hex) => messagesOf(fromHex(hex)))
    .filter((m) => m.type === Msg.NEWSA)
    .map((m) => decoded(m.body, decodeState))
    .map((read) => (read.ok ? read.value : undefined));
  const common = { destination: local, source: peer, mode: 'transport' };
  expect(states.sort((a, b) => (a?.spi ?? 0) - (b?.spi ?? 0))).toMatchObject([
    { ...common, spi: 0x5000, reqid: 0x6f65_0000, larval: true },
    { ...common, spi: 0x4c45_dc87, reqid: 0x6f65_0001, larval: false, esn: true },
  ]);
});

test('the acquire and the expiry that the kernel multicast are events', () => {
  const events = recorded.events.flatMap((hex) => messagesOf(fromHex(hex))).map(eventOf);
  expect(events).toEqual([
    {
      kind: 'acquire',
      source: local,
      destination: peer,
      protocol: 6,
      sourcePort: 40_000,
      destinationPort: 80,
      policy: { ...protect, protocol: 6, destinationPort: 80 },
    },
    {
      kind: 'expire',
      state: { destination: local, spi: 0x4c45_dc87 },
      reqid: 0x6f65_0001,
      hard: true,
    },
  ]);
});

test('messages of one datagram are told apart by their padded lengths', () => {
  const one = encodeMessage(Msg.GETSA, 0, 7, (w) => {
    w.u8(1);
  });
  const messages = messagesOf(concatOctets(one, new Uint8Array(3), one));
  expect(messages.map((m) => [m.type, m.sequence, m.body.length])).toEqual([
    [Msg.GETSA, 7, 1],
    [Msg.GETSA, 7, 1],
  ]);
});

test.each([
  ['a message shorter than its header', '0f000000100000000000000000000000'],
  ['a message longer than the datagram', 'ff000000100000000000000000000000'],
])('%s is an error', (_, hex) => {
  expect(decoded(fromHex(hex), decodeMessages).ok).toBe(false);
});

test('truncations and flipped bits give a value or a WireError, in events too', () => {
  const bodies = [
    encoded((w) => {
      encodeState(w, state({ esn: true }), true);
    }),
    encoded((w) => {
      encodePolicy(w, protect);
    }),
  ];
  const readers = [decodeState, decodePolicy, decodeMessages];
  fc.assert(
    fc.property(
      fc.constantFrom(...bodies),
      fc.nat(4000),
      fc.option(fc.nat(400)),
      fc.constantFrom(Msg.ACQUIRE, Msg.EXPIRE, Msg.MAPPING),
      (body, bit, cut, type) => {
        const octets = body.slice(0, cut === null ? undefined : Math.min(cut, body.length));
        const place = (bit >> 3) % Math.max(octets.length, 1);
        if (octets.length > 0) octets[place] = (octets[place] ?? 0) ^ (1 << (bit & 7));
        for (const read of readers) expect(typeof decoded<unknown>(octets, read).ok).toBe('boolean');
        eventOf({ type, flags: 0, sequence: 0, body: octets });
      },
    ),
    { numRuns: 2000 },
  );
});

test('an acquire names the packet and our policy; of others nothing is told', () => {
  const acquire = (priority: number): NetlinkMessage => {
    const policy = { ...protect, priority };
    const written = encoded((w) => {
      encodePolicy(w, policy);
    });
    const body = encoded((w) => {
      w.zeros(40); // id, saddr
      w.octets(fromHex('c612020a'.padEnd(32, '0') + 'c6120102'.padEnd(32, '0')));
      w.u16(80);
      w.u16(0xffff);
      w.u16(40_000);
      w.u16(0xffff);
      w.octets(fromHex('0200202006000000' + '00000000' + '00000000'));
      w.octets(written.subarray(0, 168));
      w.zeros(16);
      w.octets(written.subarray(168));
    });
    return { type: Msg.ACQUIRE, flags: 0, sequence: 0, body };
  };
  expect(eventOf(acquire(Priority.protect))).toEqual({
    kind: 'acquire',
    source: local,
    destination: peer,
    protocol: 6,
    sourcePort: 40_000,
    destinationPort: 80,
    policy: protect,
  });
  expect(eventOf(acquire(1000))).toBeUndefined();
});

test('an expiry names the state; that a reserved SPI has lapsed is no news', () => {
  const expire = (reqid: number): NetlinkMessage => ({
    type: Msg.EXPIRE,
    flags: 0,
    sequence: 0,
    body: encoded((w) => {
      w.octets(
        encoded((s) => {
          encodeState(s, state({ reqid }), true);
        }).subarray(0, 224),
      );
      w.u8(1);
      w.zeros(7);
    }),
  });
  expect(eventOf(expire(0x6f65_0001))).toEqual({
    kind: 'expire',
    state: { destination: peer, spi: 0xdec0_92b7 },
    reqid: 0x6f65_0001,
    hard: true,
  });
  expect(eventOf(expire(0x6f65_0000))).toBeUndefined();
  expect(eventOf(expire(16_417))).toBeUndefined();
});

test('a mapping names the new address and port', () => {
  const body = encoded((w) => {
    encodeStateId(w, { destination: local, spi: 0x4c45_dc87 });
    w.u32le(0x6f65_0001);
    w.octets(fromHex('c612020a'.padEnd(32, '0') + 'c612020b'.padEnd(32, '0')));
    w.u16(4500);
    w.u16(61_000);
  });
  expect(body.length).toBe(layout.xfrm_user_mapping.size);
  expect(eventOf({ type: Msg.MAPPING, flags: 0, sequence: 0, body })).toEqual({
    kind: 'mapping',
    state: { destination: local, spi: 0x4c45_dc87 },
    reqid: 0x6f65_0001,
    address: address('198.18.2.11'),
    port: 61_000,
  });
});

function state(more: Partial<EspState>): EspState {
  return {
    encr: 20,
    keyBits: 256,
    direction: 'out',
    source: local,
    destination: peer,
    spi: 0xdec0_92b7,
    reqid: 0x6f65_0001,
    mode: 'transport',
    encryptionKey: new Uint8Array(36),
    esn: false,
    replayWindow: 0,
    selector: { source: hostPrefix(local), destination: hostPrefix(peer) },
    ...more,
  };
}

function attributesOf(of: EspState, directions: boolean): Map<number, Uint8Array> {
  const octets = encoded((w) => {
    encodeState(w, of, directions);
  });
  const attributes = decoded(octets.subarray(layout.xfrm_usersa_info.size), decodeAttributes);
  if (!attributes.ok) throw attributes.error;
  return attributes.value;
}

function messagesOf(datagram: Uint8Array): NetlinkMessage[] {
  const messages = decoded(datagram, decodeMessages);
  if (!messages.ok) throw messages.error;
  return messages.value;
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(text);
  return parsed;
}

const protect: Policy = {
  direction: 'out',
  source: hostPrefix(local),
  destination: hostPrefix(peer),
  priority: Priority.protect,
  action: 'allow',
  template: { reqid: 0x6f65_0001, mode: 'transport', spi: 0xdec0_92b7 },
};
const block: Policy = {
  direction: 'out',
  source: hostPrefix(local),
  destination: hostPrefix(peer),
  priority: Priority.block,
  action: 'block',
};
