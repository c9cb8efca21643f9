import { expect, test } from 'vitest';
import { embedded, ipv4onlyName, nat64Prefix, prefixesIn } from '../../src/dns/dns64.ts';
import { nameOf, nameText, octetsOfName, rootName } from '../../src/dns/name.ts';
import { Nat64 } from '../../src/dns/nat64.ts';
import type { Question } from '../../src/dns/message.ts';
import type { Resolution } from '../../src/dns/resolution.ts';
import type { RRset } from '../../src/dns/rrset.ts';
import { Class, Ede, Rcode, Type, typeName } from '../../src/dns/types.ts';
import { addressOf, formatAddress, parseAddress, type IpAddress } from '../../src/net/address.ts';
import { formatPrefix, type Prefix } from '../../src/net/prefix.ts';
import { instant } from '../../src/time.ts';
import { bogus, insecure, secure } from '../oe/stage.ts';

const host = 'v4.example.org';
const v6Only = [address('2001:2::7')];

test('an IPv4 address stands where RFC 6052 §2.4 says, for each length of the prefix', () => {
  const rows = [
    ['2001:db8::/32', '2001:db8:c000:221::'],
    ['2001:db8:100::/40', '2001:db8:1c0:2:21::'],
    ['2001:db8:122::/48', '2001:db8:122:c000:2:2100::'],
    ['2001:db8:122:300::/56', '2001:db8:122:3c0:0:221::'],
    ['2001:db8:122:344::/64', '2001:db8:122:344:c0:2:2100::'],
    ['2001:db8:122:344::/96', '2001:db8:122:344::192.0.2.33'],
    ['64:ff9b::/96', '64:ff9b::192.0.2.33'],
  ] as const;
  for (const [prefix, wanted] of rows) {
    const made = embedded(parsed(prefix), address('192.0.2.33'));
    expect([prefix, made && formatAddress(made)]).toEqual([prefix, formatAddress(address(wanted))]);
    const known = embedded(parsed(prefix), address('192.0.0.170'));
    expect(prefixesIn(known ? [known] : []).map(formatPrefix)).toContain(prefix);
  }
  expect(prefixesIn([address('2001:db8::1'), address('192.0.0.170')])).toEqual([]);
});

test('where there is only IPv6 the prefix is learned once, and addresses are made after validation, never secure', () => {
  const net = new Network('auto', v6Only);
  const first = net.ask(host);
  const second = net.ask('other.example.org');
  net.answer(host, Type.AAAA, missing());
  net.answer('other.example.org', Type.AAAA, missing());
  expect(net.open()).toEqual(['AAAA ipv4only.arpa']);
  net.answer(
    'ipv4only.arpa',
    Type.AAAA,
    secure(set('ipv4only.arpa', '64:ff9b::c000:aa', '64:ff9b::c000:ab')),
  );
  expect(net.open()).toEqual([`A ${host}`, 'A other.example.org']);
  net.answer(host, Type.A, secure(set(host, '198.18.2.10')));
  expect(net.addresses(first)).toEqual(['64:ff9b::c612:20a']);
  expect(net.told.get(first)).toMatchObject({
    rcode: Rcode.NOERROR,
    verdict: { status: 'indeterminate', ede: Ede.SYNTHESIZED },
    answer: [{ ttl: 60, signatures: [] }],
  });
  net.answer('other.example.org', Type.A, insecure('org', set('other.example.org', '198.18.2.11')));
  expect(net.addresses(second)).toEqual(['64:ff9b::c612:20b']);
  const third = net.ask(host);
  net.answer(host, Type.AAAA, missing());
  expect(net.open()).toEqual([`A ${host}`]);
  net.answer(host, Type.A, secure());
  expect(net.addresses(third)).toEqual([]);
  expect(net.nat64.notes[0]?.sentence).toContain('64:ff9b::/96');
});

test('with an address of each family, or in a network without translator, nothing is made', () => {
  const both = new Network('auto', [...v6Only, address('198.18.1.2')]);
  const waiter = both.ask(host);
  both.answer(host, Type.AAAA, missing());
  expect(both.addresses(waiter)).toEqual([]);
  expect(both.open()).toEqual([]);
  const without = new Network('auto', v6Only);
  const other = without.ask(host);
  without.answer(host, Type.AAAA, missing());
  without.answer('ipv4only.arpa', Type.AAAA, missing());
  expect(without.addresses(other)).toEqual([]);
  const again = without.ask(host);
  without.answer(host, Type.AAAA, missing());
  expect(without.addresses(again)).toEqual([]);
  expect(without.open()).toEqual([]);
});

test('in another network the prefix is learned anew', () => {
  const net = new Network('auto', v6Only);
  net.ask(host);
  net.answer(host, Type.AAAA, missing());
  net.answer('ipv4only.arpa', Type.AAAA, missing());
  net.nat64.moved(v6Only);
  net.ask(host);
  net.answer(host, Type.AAAA, missing());
  expect(net.open()).toEqual(['AAAA ipv4only.arpa']);
});

test('in another network nothing comes of what the last one says of its prefix', () => {
  const net = new Network('auto', v6Only);
  const waiter = net.ask(host);
  net.answer(host, Type.AAAA, missing());
  net.nat64.moved(v6Only);
  expect(net.open()).toEqual(['AAAA ipv4only.arpa', 'AAAA ipv4only.arpa']);
  net.answer('ipv4only.arpa', Type.AAAA, secure(set('ipv4only.arpa', '2001:bad::c000:aa')));
  expect(net.open()).toEqual(['AAAA ipv4only.arpa']);
  net.answer('ipv4only.arpa', Type.AAAA, secure(set('ipv4only.arpa', '64:ff9b::c000:aa')));
  net.answer(host, Type.A, secure(set(host, '198.18.2.10')));
  expect(net.addresses(waiter)).toEqual(['64:ff9b::c612:20a']);
});

test('an address that a rule wants to be met by itself is shown under no prefix', () => {
  const net = new Network(parsed('64:ff9b::/96'), []);
  const waiter = net.ask(host);
  net.answer(host, Type.AAAA, missing());
  net.answer(host, Type.A, secure(set(host, '203.0.113.1', '198.18.2.10')));
  expect(net.addresses(waiter)).toEqual(['64:ff9b::c612:20a']);
});

test('what is there, does not exist or is bogus stays as it is, and so does what a client checks by itself', () => {
  const net = new Network(parsed('64:ff9b::/96'), []);
  for (const answer of [
    secure(set(host, '2001:2::9')),
    { ...missing(), rcode: Rcode.NXDOMAIN },
    bogus('it is forged'),
  ]) {
    const waiter = net.ask(host);
    net.answer(host, Type.AAAA, answer);
    expect(net.told.get(waiter)).toBe(answer);
  }
  const checking = net.ask(host, true);
  const none = missing();
  net.answer(host, Type.AAAA, none);
  expect(net.told.get(checking)).toBe(none);
  expect(net.open()).toEqual([]);
});

test('an alias is kept before the address that is made', () => {
  const net = new Network(parsed('2001:2:64::/96'), []);
  const waiter = net.ask(host);
  net.answer(host, Type.AAAA, missing());
  const target = octetsOfName(nameOf('real.example.org') ?? rootName);
  const alias = { ...set(host, '198.18.2.10'), type: Type.CNAME, rdatas: [target] };
  net.answer(host, Type.A, secure(alias, set('real.example.org', '198.18.2.10')));
  expect(net.told.get(waiter)?.answer.map((s) => `${nameText(s.owner)} ${typeName(s.type)}`)).toEqual([
    `${host} CNAME`,
    'real.example.org AAAA',
  ]);
});

test('private addresses are not shown under the well-known prefix, local ones under none (RFC 6052 §3.1)', () => {
  const made = (prefix: string, a: string): string[] => {
    const net = new Network(parsed(prefix), []);
    const waiter = net.ask(host);
    net.answer(host, Type.AAAA, missing());
    net.answer(host, Type.A, secure(set(host, a)));
    return net.addresses(waiter);
  };
  expect(made('64:ff9b::/96', '10.1.2.3')).toEqual([]);
  expect(made('2001:2:64::/96', '10.1.2.3')).toHaveLength(1);
  expect(made('2001:2:64::/96', '127.0.0.1')).toEqual([]);
});

/** The lookups of a resolver, answered by hand. */
class Network {
  readonly nat64: Nat64;
  readonly told = new Map<number, Resolution>();
  readonly #open = new Map<number, Question>();
  #next = 1;

  constructor(mode: 'auto' | Prefix, locals: readonly IpAddress[]) {
    this.nat64 = new Nat64(mode, locals, {
      lookup: (question) => this.#begin(question),
      resolved: (id, resolution) => this.told.set(id, resolution),
      mayShow: (_, { octets }) => octets[0] !== 203,
    });
  }

  ask(text: string, checkingDisabled = false): number {
    const question = { name: nameOf(text) ?? rootName, type: Type.AAAA, class: Class.IN };
    const id = this.#begin(question);
    this.nat64.began(id, question, checkingDisabled);
    return id;
  }

  answer(text: string, type: number, resolution: Resolution): void {
    const found = [...this.#open].find(([, q]) => nameText(q.name) === text && q.type === type);
    if (!found) throw new Error(`${typeName(type)} of ${text} is not asked`);
    this.#open.delete(found[0]);
    const told = this.nat64.resolved(found[0], resolution, instant(1_000));
    if (told) this.told.set(found[0], told);
  }

  open(): string[] {
    return [...this.#open.values()].map((q) => `${typeName(q.type)} ${nameText(q.name)}`);
  }

  addresses(id: number): string[] {
    const answer = this.told.get(id)?.answer ?? [];
    return answer.flatMap((s) => s.rdatas.flatMap((r) => addressOf(r) ?? [])).map(formatAddress);
  }

  #begin(question: Question): number {
    this.#open.set(this.#next, question);
    return this.#next++;
  }
}

function missing(): Resolution {
  const rdatas = [new Uint8Array(22)];
  return { ...secure(), authority: [{ ...set(host, '198.18.0.1'), type: Type.SOA, ttl: 60, rdatas }] };
}

function set(owner: string, ...texts: string[]): RRset {
  const addresses = texts.map(address);
  return {
    owner: nameOf(owner) ?? ipv4onlyName,
    type: addresses[0]?.family === 6 ? Type.AAAA : Type.A,
    class: Class.IN,
    ttl: 300,
    rdatas: addresses.map((a) => a.octets),
    signatures: [],
  };
}

function parsed(text: string): Prefix {
  const prefix = nat64Prefix(text);
  if (!prefix) throw new RangeError(text);
  return prefix;
}

function address(text: string): IpAddress {
  const found = parseAddress(text);
  if (!found) throw new RangeError(text);
  return found;
}
