/** The worlds that the validator's scenarios share: root, org, example.org and what hangs below. */
import type { Message, Question, ResourceRecord } from '../../src/dns/message.ts';
import { Rcode, Type } from '../../src/dns/types.ts';
import { Forwarding } from './forwarding.ts';
import { address, ipseckey, key, SignedWorld, wire, type ZoneSpec } from './zone.ts';

/** Root and org are signed, so is example.org; unsigned.org is not. */
export function exampleWorld(
  example: Partial<ZoneSpec> = {},
  org: Partial<ZoneSpec> = {},
  ...more: ZoneSpec[]
): SignedWorld {
  return new SignedWorld([
    { name: '.', signed: true },
    { name: 'org', signed: true, ...org },
    { name: 'example.org', signed: true, ...example },
    { name: 'unsigned.org' },
    ...more,
  ])
    .add('www.example.org', Type.A, address('192.0.2.80'))
    .add('www.example.org', Type.IPSECKEY, ipseckey())
    .add('*.wild.example.org', Type.A, address('192.0.2.81'))
    .add('deep.empty.example.org', Type.A, address('192.0.2.82'))
    .add('alias.example.org', Type.CNAME, wire('www.example.org'))
    .add('www.unsigned.org', Type.A, address('192.0.2.90'))
    .add('alias.unsigned.org', Type.CNAME, wire('www.example.org'));
}

/** A resolver in front of one world. */
export function before(world: SignedWorld): Forwarding {
  return new Forwarding(world.anchors(), world);
}

/** Takes records out of the replies to one question. */
export function without(name: string, type: number, drop: (record: ResourceRecord) => boolean) {
  return changing(name, type, (m) => ({
    ...m,
    answer: m.answer.filter((r) => !drop(r)),
    authority: m.authority.filter((r) => !drop(r)),
  }));
}

/** Changes the replies to one question. */
export function changing(name: string, type: number, change: (message: Message) => Message) {
  return (message: Message, question: Question): Message =>
    question.name === key(name) && question.type === type ? change(message) : message;
}

/** The RRSIG covers `type`. */
export function covers(record: ResourceRecord, type: number): boolean {
  return record.type === Type.RRSIG && (((record.rdata[0] ?? 0) << 8) | (record.rdata[1] ?? 0)) === type;
}

export const servfail = { rcode: Rcode.SERVFAIL, answer: [], authority: [] };
