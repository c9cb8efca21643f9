import { expect, test } from 'vitest';
import { nameText, reverseName, type NameKey } from '../../src/dns/name.ts';
import type { Question } from '../../src/dns/message.ts';
import type { Resolution } from '../../src/dns/resolver.ts';
import { Type, typeName } from '../../src/dns/types.ts';
import type { Proof } from '../../src/ike/proof.ts';
import type { IpAddress } from '../../src/net/address.ts';
import { PeerKeys } from '../../src/oe/peer-keys.ts';
import { toUtf8 } from '../../src/wire/octets.ts';
import { address, addressSet, insecure, key, keyRecord, keySet, secure } from './stage.ts';

const peer = address('198.18.1.2');
const reverse = nameText(reverseName(peer));
const idAddress = { type: 1, octets: peer.octets };
const idName = { type: 2, octets: toUtf8('client.example.org') };

test('a peer that names itself by its address gets the key of the reverse tree', () => {
  const desk = new Desk();
  desk.keys.ask(1, peer, idAddress);
  expect(desk.asked).toEqual([`IPSECKEY ${reverse}`]);
  desk.resolve(secure(keySet(reverse, [key(1)])));
  expect(desk.answers).toMatchObject([{ keys: [key(1)] }]);
});

test('a peer that names itself by name gets its keys only where the name leads back to it', () => {
  const right = new Desk();
  right.keys.ask(1, peer, idName);
  right.resolve(secure(keySet('client.example.org', [key(1)])));
  right.resolve(secure(addressSet('client.example.org', '198.18.1.2')));
  expect(right.answers).toMatchObject([{ keys: [key(1)] }]);
  const wrong = new Desk();
  wrong.keys.ask(1, peer, idName);
  wrong.resolve(secure(keySet('client.example.org', [key(1)])));
  wrong.resolve(secure(addressSet('client.example.org', '198.18.1.99')));
  expect(wrong.answers).toMatchObject([
    { keys: [], why: expect.stringContaining('does not securely resolve') as string },
  ]);
});

test('THREATS A.7: an identity that is the address of somebody else gets no keys and no question', () => {
  const desk = new Desk();
  desk.keys.ask(1, peer, { type: 1, octets: address('198.18.1.3').octets });
  expect(desk.asked).toEqual([]);
  expect(desk.answers).toMatchObject([{ keys: [] }]);
});

test('THREATS A.9: keys and addresses that are not secure prove nobody', () => {
  const insecureKey = new Desk();
  insecureKey.keys.ask(1, peer, idAddress);
  insecureKey.resolve(insecure('arpa', keySet(reverse, [key(1)])));
  expect(insecureKey.answers).toMatchObject([{ keys: [] }]);
  const insecureAddress = new Desk();
  insecureAddress.keys.ask(1, peer, idName);
  insecureAddress.resolve(secure(keySet('client.example.org', [key(1)])));
  insecureAddress.resolve(insecure('example.org', addressSet('client.example.org', '198.18.1.2')));
  expect(insecureAddress.answers).toMatchObject([{ keys: [] }]);
});

test('a peer that calls itself by a name that the DNS cannot know makes us ask nobody', () => {
  for (const text of ['printer.local', 'a.onion', 'localhost']) {
    const desk = new Desk();
    desk.keys.ask(1, peer, { type: 2, octets: toUtf8(text) });
    expect(desk.asked).toEqual([]);
    expect(desk.answers).toMatchObject([{ keys: [], why: expect.stringContaining('cannot know') as string }]);
  }
});

test('a key whose gateway is another host proves nobody', () => {
  const desk = new Desk();
  desk.keys.ask(1, peer, idAddress);
  const record = keyRecord(key(1), { kind: 'address', address: address('198.18.1.3') });
  desk.resolve(secure(keySet(reverse, [record])));
  expect(desk.answers).toMatchObject([{ keys: [] }]);
});

test('identities that are no address and no name are told apart and get nothing', () => {
  const ids = [
    { type: 1, octets: new Uint8Array(3) },
    { type: 2, octets: new Uint8Array() },
    { type: 2, octets: new Uint8Array([0xff, 0x2e, 0x00]) },
    { type: 3, octets: toUtf8('user@example.org') },
    { type: 13, octets: new Uint8Array() },
  ];
  for (const id of ids) {
    const desk = new Desk();
    desk.keys.ask(1, peer, id);
    expect(desk.asked).toEqual([]);
    expect(desk.answers).toMatchObject([{ keys: [] }]);
  }
});

test('strangers make us look up 256 identities at a time and not more', () => {
  const desk = new Desk();
  for (let i = 0; i < 300; i++) desk.keys.ask(i, peer, idAddress);
  expect(desk.asked).toHaveLength(256);
  expect(desk.answers).toHaveLength(44);
});

/** Somebody who asks for keys, with the resolver played by hand. */
class Desk {
  readonly asked: string[] = [];
  readonly answers: { query: number; keys: readonly Proof[]; why: string }[] = [];
  readonly #ids: number[] = [];
  groupOf: (peer: IpAddress, name: NameKey | undefined) => string | undefined = () => undefined;
  readonly keys = new PeerKeys({
    lookup: (question: Question) => {
      this.asked.push(`${typeName(question.type)} ${nameText(question.name)}`);
      this.#ids.push(this.asked.length);
      return this.asked.length;
    },
    answer: (query, _peer, keys, why) => {
      this.answers.push({ query, keys, why });
    },
    groupOf: (peer, name) => this.groupOf(peer, name),
  });

  /** Answers the oldest open question. */
  resolve(resolution: Resolution): void {
    const id = this.#ids.shift();
    if (id === undefined) throw new Error('nothing is asked');
    this.keys.resolved(id, resolution);
  }
}

test('the types that are asked are those of the family', () => {
  const desk = new Desk();
  desk.keys.ask(1, address('2001:2::5'), idName);
  expect(desk.asked).toEqual(['IPSECKEY client.example.org', `${typeName(Type.AAAA)} client.example.org`]);
});
