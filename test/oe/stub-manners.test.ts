import { expect, test } from 'vitest';
import type { Message } from '../../src/dns/message.ts';
import { nat64Prefix } from '../../src/dns/dns64.ts';
import { nameText } from '../../src/dns/name.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { Ede, EdnsOption, Rcode, Type, typeName } from '../../src/dns/types.ts';
import { bob, bogusName, plainName } from '../sim/internet.ts';
import { SignedWorld } from '../dns/zone.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { edns, withRules } from './desk.ts';
import { address, name } from './stage.ts';

test('a question for ANY is answered with HINFO where the name is there, and never with an address (RFC 8482 §4.2)', () => {
  for (const group of ['private', 'private-or-clear', 'clear'] as const) {
    const answer = withRules([[bob.name, group]]).ask(bob.name, Type.ANY);
    expect(told(answer)).toEqual([`${bob.name} HINFO "RFC8482" ""`]);
    expect(answer).toMatchObject({ rcode: Rcode.NOERROR, authenticData: false });
  }
});

test('a question for ANY of a name that does not exist is NXDOMAIN, proved', () => {
  expect(withRules([]).ask(`nobody.${bob.name}`, Type.ANY)).toMatchObject({
    rcode: Rcode.NXDOMAIN,
    authenticData: true,
  });
});

test('without minimal answers a question for ANY is gated as one for addresses', () => {
  const agent = withRules([[plainName, 'private']], { minimalAny: false });
  expect(agent.ask(plainName, Type.ANY)).toMatchObject({ rcode: Rcode.SERVFAIL, answer: [] });
  const open = withRules([], { minimalAny: false });
  expect(told(open.ask(plainName, Type.ANY)).some((t) => t.includes(' A '))).toBe(true);
});

test('what this host knows itself is told whole to a question for ANY', () => {
  const agent = withRules([], {}, '198.18.7.1 nas.home\n');
  expect(told(agent.ask('nas.home', Type.ANY))).toEqual(['nas.home A 198.18.7.1']);
});

test('without RD nothing is told of what others have looked up (RFC 8914 §4.21), but what the host knows itself', () => {
  const agent = withRules([], {}, '198.18.7.1 nas.home\n');
  expect(agent.ask(plainName).rcode).toBe(Rcode.NOERROR);
  const refused = agent.ask(plainName, Type.A, { recursionDesired: false });
  expect(refused).toMatchObject({ rcode: Rcode.REFUSED, recursionDesired: false, answer: [] });
  expect(refused.edns?.options[0]?.data[1]).toBe(Ede.NOT_AUTHORITATIVE);
  expect(agent.ask('nas.home', Type.A, { recursionDesired: false }).answer).toHaveLength(1);
});

test('a failure names the zone and the record (RFC 8914)', () => {
  const [option] = withRules([]).ask(bogusName).edns?.options ?? [];
  const text = new TextDecoder().decode(option?.data.subarray(2));
  expect(text).toContain(bogusName);
  expect(text).toMatch(/\bA\b/);
});

test.each([
  ['block', Rcode.NXDOMAIN, plainName],
  ['private', Rcode.SERVFAIL, 'Nothing can be encrypted here'],
] as const)(
  'what a rule of %s keeps from the client is rcode %i with EDE 15 and the reason (RFC 8914 §4.16)',
  (group, rcode, why) => {
    const answer = withRules([[plainName, group]]).ask(plainName);
    expect(answer).toMatchObject({ rcode, answer: [] });
    const [option] = answer.edns?.options ?? [];
    expect([option?.code, option?.data[0], option?.data[1]]).toEqual([EdnsOption.EDE, 0, Ede.BLOCKED]);
    expect(new TextDecoder().decode(option?.data.subarray(2))).toContain(why);
  },
);

test('of an HTTPS answer with a hint that a rule blocks a client gets the rest, and one that checks signatures SERVFAIL', () => {
  const host = 'www.example.org';
  // 1 . ipv4hint=198.18.2.10,198.18.2.66
  const record = fromHex('000100' + '00040008' + 'c612020a' + 'c6120242');
  const world = new SignedWorld([
    { name: '.', signed: true },
    { name: 'org', signed: true },
    { name: 'example.org', signed: true },
  ])
    .add(host, Type.A, address('198.18.2.10').octets)
    .add(host, Type.HTTPS, record);
  const agent = withRules([['198.18.2.64/26', 'block']], {}, '', world);
  const plain = agent.ask(host, Type.HTTPS);
  expect(told(plain)).toEqual([`${host} HTTPS 1 . ipv4hint=198.18.2.10`]);
  expect(plain.authenticData).toBe(false);
  expect(plain.edns?.options[0]?.data[1]).toBe(Ede.FORGED_ANSWER);
  for (const changes of [{ edns: { ...edns, dnssecOk: true } }, { checkingDisabled: true }]) {
    const checking = agent.ask(host, Type.HTTPS, changes);
    expect(checking).toMatchObject({ rcode: Rcode.SERVFAIL, answer: [] });
  }
  // Without the rule everybody gets what was signed.
  const open = withRules([], {}, '', world);
  const whole = open.ask(host, Type.HTTPS, { edns: { ...edns, dnssecOk: true } });
  expect(whole).toMatchObject({ rcode: Rcode.NOERROR, authenticData: true });
  expect(whole.answer[0]?.rdata).toEqual(record);
});

test('names of a private network go to a resolver inside it, to a zone of their own, and never to the internet', () => {
  const resolver = (text: string) => ({
    endpoint: { address: address(text), port: 53 },
    transport: 'udp' as const,
  });
  const asked = (changes: Parameters<typeof withRules>[1]): Message =>
    withRules([], changes).ask('3.2.1.10.in-addr.arpa', Type.PTR);
  const synthesized = (message: Message): boolean =>
    message.edns?.options.some((o) => o.code === EdnsOption.EDE && o.data[1] === Ede.SYNTHESIZED) === true;
  const here = { rcode: Rcode.NXDOMAIN };
  expect(asked({ upstreams: [resolver('198.51.100.53')] })).toMatchObject(here);
  expect(synthesized(asked({ upstreams: [resolver('198.51.100.53')] }))).toBe(true);
  expect(synthesized(asked({ mode: 'recurse', upstreams: [resolver('10.0.0.53')] }))).toBe(true);
  expect(synthesized(asked({ upstreams: [resolver('10.0.0.53')] }))).toBe(false);
  const zones = [
    { name: name('10.in-addr.arpa'), kind: 'forward', servers: [resolver('198.51.100.54')] },
  ] as const;
  expect(synthesized(asked({ upstreams: [resolver('198.51.100.53')], zones }))).toBe(false);
});

test('in a network with NAT64 a program gets made addresses for a name with a signed IPv4 one, without AD', () => {
  const prefix = nat64Prefix('64:ff9b::/96');
  if (!prefix) throw new Error('the well-known prefix');
  const agent = withRules([], { dns64: prefix });
  for (let i = 0; i < 2; i++) {
    const answer = agent.ask(plainName, Type.AAAA);
    expect(told(answer)).toEqual([`${plainName} AAAA 64:ff9b::c612:20a`]);
    expect(answer.authenticData).toBe(false);
  }
  expect(told(agent.ask(plainName, Type.AAAA, { checkingDisabled: true }))).toEqual([]);
  expect(agent.ask(bogusName, Type.AAAA).answer).toEqual([]);
  // The rule is for the host, wherever the translator shows it.
  for (const group of ['private', 'block'] as const) {
    const ruled = withRules([['198.18.2.0/24', group]], { dns64: prefix });
    expect(told(ruled.ask(plainName, Type.AAAA))).toEqual([]);
  }
});

function told(message: Message): string[] {
  return message.answer.map((r) => `${nameText(r.owner)} ${typeName(r.type)} ${rdataText(r.type, r.rdata)}`);
}
