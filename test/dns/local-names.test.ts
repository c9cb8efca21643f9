import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseHosts } from '../../src/dns/hosts.ts';
import { localAnswer, type LocalAnswer } from '../../src/dns/local-names.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import { nameOf, nameText, reverseName, type NameKey } from '../../src/dns/name.ts';
import { rdataText } from '../../src/dns/rdata-text.ts';
import { encodeAnswer } from '../../src/dns/stub.ts';
import { Class, Ede, Rcode, rcodeName, Type, typeName } from '../../src/dns/types.ts';
import { addressOf, parseAddress, type IpAddress } from '../../src/net/address.ts';

test('localhost and every name below it are the loopback addresses (RFC 6761 §6.3)', () => {
  for (const name of ['localhost', 'a.b.localhost', 'LocalHost']) {
    expect(told(name, Type.A)).toEqual(['A 127.0.0.1']);
    expect(told(name, Type.AAAA)).toEqual(['AAAA ::1']);
    expect(told(name, Type.MX)).toEqual([]);
  }
  expect(told('localhost.example.org', Type.A)).toBe('upstream');
});

test('no hosts file can lead localhost elsewhere', () => {
  const hosts = '198.18.6.6 localhost db.localhost\n';
  expect(told('localhost', Type.A, hosts)).toEqual(['A 127.0.0.1']);
  expect(told('db.localhost', Type.A, hosts)).toEqual(['A 127.0.0.1']);
});

test('loopback addresses lead back to localhost, and what is no address in their zones does not exist', () => {
  expect(told(reverse('127.0.0.1'), Type.PTR)).toEqual(['PTR localhost.']);
  expect(told(reverse('127.255.3.4'), Type.PTR)).toEqual(['PTR localhost.']);
  expect(told(reverse('::1'), Type.PTR)).toEqual(['PTR localhost.']);
  expect(told(reverse('127.0.0.1'), Type.TXT)).toEqual([]);
  expect(told('0.127.in-addr.arpa', Type.PTR)).toEqual([]);
  expect(told('300.0.0.127.in-addr.arpa', Type.PTR)).toBe('NXDOMAIN');
  expect(told(`9.${reverse('127.0.0.1')}`, Type.PTR)).toBe('NXDOMAIN');
  expect(told(`9.${reverse('::1')}`, Type.PTR)).toBe('NXDOMAIN');
});

test.each(['invalid', 'test', 'onion', 'local', 'alt', 'use-application-dns.net'])(
  'nothing at or below %s is ever asked upstream',
  (apex) => {
    for (const type of [Type.A, Type.AAAA, Type.SOA, Type.NS, Type.HTTPS, Type.IPSECKEY]) {
      expect(told(apex, type)).toBe('NXDOMAIN');
      expect(told(`printer.${apex}`, type)).toBe('NXDOMAIN');
    }
    expect(told(`${apex}.example.org`, Type.A)).toBe('upstream');
    expect(told(`x${apex}`, Type.A)).toBe('upstream');
  },
);

test('programs that look for another resolver by way of resolver.arpa find none (RFC 9462 §6.4)', () => {
  expect(told('_dns.resolver.arpa', Type.SVCB)).toEqual([]);
  expect(told('resolver.arpa', Type.SOA)).toEqual([]);
});

test.each([
  '0.0.0.9',
  '169.254.7.8',
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  'fe80::1',
  'febf::1',
  '2001:db8::1',
])('the reverse name of %s is not asked upstream (RFC 6303)', (text) => {
  expect(told(reverse(text), Type.PTR)).toBe('NXDOMAIN');
});

test('the broadcast and the unspecified address are zones of their own without data (RFC 6303 §4)', () => {
  expect(told(reverse('255.255.255.255'), Type.PTR)).toEqual([]);
  expect(told(reverse('::'), Type.PTR)).toEqual([]);
});

test('an empty zone has the SOA and NS of RFC 6303 §3', () => {
  expect(told('2.0.192.in-addr.arpa', Type.SOA)).toEqual([
    'SOA 2.0.192.in-addr.arpa. nobody.invalid. 1 3600 1200 604800 10800',
  ]);
  expect(told('2.0.192.in-addr.arpa', Type.NS)).toEqual(['NS 2.0.192.in-addr.arpa.']);
  expect(told('2.0.192.in-addr.arpa', Type.A)).toEqual([]);
});

test.each(['10.1.2.3', '172.16.0.1', '172.31.255.1', '192.168.1.1', '100.64.0.1', 'fd00::1', '198.18.2.10'])(
  'the resolver of the network is asked for the reverse name of %s',
  (text) => {
    expect(told(reverse(text), Type.PTR)).toBe('upstream');
  },
);

test('names of the network are answered here where nobody inside is asked, and proved unsigned by their parent', () => {
  const outside = { ...nothing, isNetworkAsked: () => false };
  for (const text of ['10.1.2.3', '172.16.0.1', '172.31.255.1', '192.168.1.1', '100.127.0.1', 'fd00::1'])
    expect([text, tellOf(localAnswer(question(reverse(text), Type.PTR), outside))]).toEqual([
      text,
      'NXDOMAIN',
    ]);
  for (const text of ['172.15.0.1', '172.32.0.1', '100.63.0.1', '100.128.0.1', '198.18.2.10', 'fc00::1'])
    expect(localAnswer(question(reverse(text), Type.PTR), outside)).toBeUndefined();
  expect(tellOf(localAnswer(question('router.home.arpa', Type.A), outside))).toBe('NXDOMAIN');
  expect(tellOf(localAnswer(question('home.arpa', Type.SOA), outside))).toHaveLength(1);
  // RFC 8375 §4: a client that validates needs to know from arpa that home.arpa is not signed.
  for (const apex of ['home.arpa', '10.in-addr.arpa'])
    expect(localAnswer(question(apex, Type.DS), outside)).toBeUndefined();
  const inside = { ...nothing, isNetworkAsked: (n: NameKey) => n === named('nas.home.arpa') };
  expect(localAnswer(question('nas.home.arpa', Type.A), inside)).toBeUndefined();
  const hosts = { ...outside, hosts: parseHosts('10.1.2.3 nas.home.arpa') };
  expect(tellOf(localAnswer(question('nas.home.arpa', Type.A), hosts))).toEqual(['A 10.1.2.3']);
});

test('names that the network answers for are asked upstream', () => {
  for (const name of ['router.home.arpa', 'ipv4only.arpa', 'www.example', 'in-addr.arpa', 'arpa', '.'])
    expect(told(name, Type.A)).toBe('upstream');
  expect(localAnswer({ name: named('localhost'), type: Type.A, class: Class.CH }, nothing)).toBeUndefined();
});

test('a negative answer carries an SOA at or above the name, so that it can be kept (RFC 2308 §3)', () => {
  for (const name of ['a.b.onion', 'localhost', reverse('192.0.2.1'), 'x.resolver.arpa']) {
    const { resolution } = local(name, Type.TXT);
    const [soa] = resolution.authority;
    expect(soa && typeName(soa.type)).toBe('SOA');
    expect(soa && named(name).endsWith(soa.owner)).toBe(true);
  }
});

test('names of the hosts file have the addresses that it says, in its order', () => {
  const hosts = `
# a comment
198.18.7.1   nas.example nas   # and another
198.18.7.2\tnas.example
2001:2::7 nas.example
198.18.7.1 nas.example
`;
  expect(told('nas.example', Type.A, hosts)).toEqual(['A 198.18.7.1', 'A 198.18.7.2']);
  expect(told('NAS.example', Type.AAAA, hosts)).toEqual(['AAAA 2001:2::7']);
  expect(told('nas', Type.ANY, hosts)).toEqual(['A 198.18.7.1']);
  expect(told('below.nas.example', Type.A, hosts)).toBe('upstream');
});

test('a name with one family of addresses in the hosts file has none of the other', () => {
  expect(told('nas.example', Type.AAAA, '198.18.7.1 nas.example')).toEqual([]);
});

test('types that a hosts file cannot hold are asked upstream', () => {
  for (const type of [Type.MX, Type.HTTPS, Type.TXT])
    expect(told('nas.example', type, '198.18.7.1 nas.example')).toBe('upstream');
});

test('the first name of the first line is the one that an address of the hosts file leads to', () => {
  const hosts = '198.18.7.1 nas.example nas\n198.18.7.1 other.example\nfe80::1 link.example';
  expect(told(reverse('198.18.7.1'), Type.PTR, hosts)).toEqual(['PTR nas.example.']);
  expect(told(reverse('fe80::1'), Type.PTR, hosts)).toEqual(['PTR link.example.']);
  expect(told(reverse('127.0.1.1'), Type.PTR, '127.0.1.1 box')).toEqual(['PTR box.']);
});

test('the hosts file comes before the special names, localhost aside', () => {
  const hosts = '198.18.7.1 printer.local www.test';
  expect(told('printer.local', Type.A, hosts)).toEqual(['A 198.18.7.1']);
  expect(told('www.test', Type.A, hosts)).toEqual(['A 198.18.7.1']);
  expect(told('scanner.local', Type.A, hosts)).toBe('NXDOMAIN');
});

test('lines that cannot be read are passed over, and the rest counts', () => {
  const hosts = parseHosts(
    'fe80::1%eth0 a.example\n198.18.7.999 b.example\n198.18.7.1\n198.18.7.2 c..example d.example\r\n\u00e9 e.example',
  );
  expect([...hosts.addresses.keys()].map(nameText)).toEqual(['d.example']);
});

test('any text is a hosts file, and every name in it has an address', () => {
  const words = fc.oneof(
    fc.constantFrom('198.18.7.1', '2001:2::7', '#', '\n', '\t', 'a.example', 'b', '127.0.0.1', '..', '::'),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(words), (parts) => {
      const { addresses, canonical } = parseHosts(parts.join(' '));
      for (const known of addresses.values()) expect(known.length).toBeGreaterThan(0);
      for (const host of canonical.values()) expect(addresses.has(host)).toBe(true);
    }),
  );
});

test('the host itself is found under its name of one label, and asks the DNS for its full name', () => {
  const known = {
    hosts: parseHosts(''),
    ownNames: [named('box'), named('box.example.org')],
    ownAddresses: [address('198.18.1.2'), address('2001:2::1')],
  };
  expect(tellOf(localAnswer(question('box', Type.A), known))).toEqual(['A 198.18.1.2']);
  expect(tellOf(localAnswer(question('box', Type.AAAA), known))).toEqual(['AAAA 2001:2::1']);
  expect(localAnswer(question('box', Type.DS), known)).toBeUndefined();
  expect(localAnswer(question('box.example.org', Type.A), known)).toBeUndefined();
  const alone = { ...known, ownAddresses: [] };
  expect(tellOf(localAnswer(question('box', Type.A), alone))).toEqual(['A 127.0.0.1']);
});

test('a local answer is never secure, whoever asks, and says that it was made here', () => {
  for (const [name, type] of [
    ['nas.example', Type.A],
    ['localhost', Type.A],
    ['a.onion', Type.A],
    [reverse('127.0.0.1'), Type.PTR],
  ] as const) {
    const { resolution, why } = local(name, type, '198.18.7.1 nas.example');
    expect(resolution.verdict.status).toBe('indeterminate');
    const octets = encodeAnswer(
      {
        id: 1,
        question: question(name, type),
        questionOctets: new Uint8Array([...Buffer.from(named(name), 'latin1'), 0, type, 0, 1]),
        rd: true,
        ad: true,
        cd: false,
        edns: { udpSize: 1_232, dnssecOk: true, keepalive: false },
      },
      resolution,
      { limitOctets: 1_232 },
    );
    const message = decodeMessage(octets);
    if (!message.ok) throw message.error;
    expect(message.value.authenticData).toBe(false);
    expect(message.value.answer).toHaveLength(name === 'a.onion' ? 0 : 1);
    const ede = message.value.edns?.options[0]?.data ?? new Uint8Array();
    expect([ede[1], Buffer.from(ede.subarray(2)).toString()]).toEqual([Ede.SYNTHESIZED, why]);
  }
});

test('no address of the loopback, documentation or link zones is asked upstream by its reverse name', () => {
  const first = fc.constantFrom([127], [0], [169, 254], [192, 0, 2], [198, 51, 100], [203, 0, 113]);
  fc.assert(
    fc.property(first, fc.uint8Array({ minLength: 4, maxLength: 4 }), (start, rest) => {
      const found = addressOf(new Uint8Array([...start, ...rest.subarray(start.length)]));
      expect(found && told(nameText(reverseName(found)), Type.PTR)).not.toBe('upstream');
    }),
  );
});

const nothing = { hosts: parseHosts(''), ownNames: [], ownAddresses: [] };

/** `upstream` where it is not answered here, the RCODE where that is an error, else the records. */
function told(name: string, type: number, hosts = ''): string | string[] {
  return tellOf(localAnswer(question(name, type), { ...nothing, hosts: parseHosts(hosts) }));
}

function tellOf(answer: LocalAnswer | undefined): string | string[] {
  if (!answer) return 'upstream';
  const { rcode, answer: sets } = answer.resolution;
  if (rcode !== Rcode.NOERROR) return rcodeName(rcode);
  return sets.flatMap((s) => s.rdatas.map((r) => `${typeName(s.type)} ${rdataText(s.type, r)}`));
}

function local(name: string, type: number, hosts = ''): LocalAnswer {
  const answer = localAnswer(question(name, type), { ...nothing, hosts: parseHosts(hosts) });
  if (!answer) throw new Error(`${name} is not answered here`);
  return answer;
}

function question(name: string, type: number): { name: NameKey; type: number; class: number } {
  return { name: named(name), type, class: Class.IN };
}

function named(text: string): NameKey {
  const name = nameOf(text);
  if (name === undefined) throw new RangeError(text);
  return name;
}

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(text);
  return parsed;
}

function reverse(text: string): string {
  return nameText(reverseName(address(text)));
}
