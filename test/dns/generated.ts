import fc from 'fast-check';
import type { Message, ResourceRecord } from '../../src/dns/message.ts';
import { nameOfLabels, octetsOfName, type NameKey } from '../../src/dns/name.ts';
import { Type } from '../../src/dns/types.ts';
import { concatOctets, toLatin1 } from '../../src/wire/octets.ts';

/** A label of any octets; often one of a few, so that names share endings. */
const label = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('a', 'www', 'example', 'org', '*', 'x.y') },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 63 }).map(toLatin1) },
);

/** Any name, the root and names of 255 octets among them. */
export const anyName: fc.Arbitrary<NameKey> = fc
  .array(label, { maxLength: 8 })
  .map((labels) => nameOfLabels(labels))
  .filter((name) => name !== undefined);

const u16 = fc.integer({ min: 0, max: 0xffff });
const someOctets = fc.uint8Array({ maxLength: 40 });
/** A name's wire octets with some letters in upper case. */
const nameOctets = fc.tuple(anyName, fc.boolean()).map(([name, upper]) => {
  const octets = octetsOfName(name);
  return upper ? octets.map((o) => (o >= 0x61 && o <= 0x7a ? o - 0x20 : o)) : octets;
});

/** Type and RDATA that fit each other. */
const data: fc.Arbitrary<{ readonly type: number; readonly rdata: Uint8Array }> = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }).map((rdata) => ({ type: Type.A, rdata })),
  fc
    .tuple(fc.constantFrom(Type.NS, Type.CNAME, Type.PTR, Type.DNAME), nameOctets)
    .map(([type, rdata]) => ({ type, rdata })),
  fc
    .tuple(nameOctets, nameOctets, fc.uint8Array({ minLength: 20, maxLength: 20 }))
    .map((parts) => ({ type: Type.SOA, rdata: concatOctets(...parts) })),
  fc
    .tuple(fc.uint8Array({ minLength: 2, maxLength: 2 }), nameOctets)
    .map((parts) => ({ type: Type.MX, rdata: concatOctets(...parts) })),
  fc
    .tuple(fc.uint8Array({ minLength: 6, maxLength: 6 }), nameOctets)
    .map((parts) => ({ type: Type.SRV, rdata: concatOctets(...parts) })),
  fc
    .tuple(fc.constantFrom(Type.TXT, Type.DNSKEY, Type.IPSECKEY, Type.RRSIG, Type.NSEC, 65_534), someOctets)
    .map(([type, rdata]) => ({ type, rdata })),
);

export const anyRecord: fc.Arbitrary<ResourceRecord> = fc
  .record({
    owner: anyName,
    class: fc.constantFrom(1, 3, 255),
    ttl: fc.integer({ min: 0, max: 0x7fff_ffff }),
    data,
  })
  .map(({ data: { type, rdata }, ...rest }) => ({ ...rest, type, rdata }));

const records = fc.array(anyRecord, { maxLength: 5 });

/** Any message that can be written. */
export const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    id: u16,
    response: fc.boolean(),
    opcode: fc.integer({ min: 0, max: 15 }),
    authoritative: fc.boolean(),
    truncated: fc.boolean(),
    recursionDesired: fc.boolean(),
    recursionAvailable: fc.boolean(),
    authenticData: fc.boolean(),
    checkingDisabled: fc.boolean(),
    rcode: fc.integer({ min: 0, max: 4_095 }),
    questions: fc.array(fc.record({ name: anyName, type: u16, class: u16 }), { maxLength: 2 }),
    answer: records,
    authority: records,
    additional: records,
    edns: fc.option(
      fc.record({
        version: fc.integer({ min: 0, max: 255 }),
        udpSize: u16,
        dnssecOk: fc.boolean(),
        options: fc.array(fc.record({ code: u16, data: someOctets }), { maxLength: 3 }),
      }),
      { nil: undefined },
    ),
  })
  .map(({ edns, ...message }) =>
    edns === undefined ? { ...message, rcode: message.rcode & 15 } : { ...message, edns },
  );
