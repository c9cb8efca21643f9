import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { decodeAuthMethods, encodeAuthMethods } from '../../src/ike/auth-methods.ts';
import { keyInfoOf } from '../../src/ike/crypto/public-key.ts';
import { importPublicKey } from '../../src/ike/crypto/signature.ts';
import { encodeMessage } from '../../src/ike/message.ts';
import { AuthMethod, CertEncoding, IdType, NotifyType } from '../../src/ike/numbers.ts';
import { type InnerPayload, type NotifyPayload } from '../../src/ike/payloads.ts';
import type { PrivateGroup } from '../../src/ike/private-group.ts';
import type { MemberOf } from '../../src/ike/proof.ts';
import type { PublicKey } from '../../src/net/public-key.ts';
import { parsePrefix } from '../../src/net/prefix.ts';
import { fromHex, toUtf8 } from '../../src/wire/octets.ts';
import { fleetAuthority, member, nameDer, readOf, today } from './certificates.ts';
import {
  classic,
  identity,
  isInit,
  messageOf,
  mismatches,
  nameOf,
  World,
  type Node,
  type NodeOptions,
} from './pair.ts';

const kinds = ['rsa', 'P-256', 'P-384', 'P-521', 'Ed25519', 'Ed448'] as const;
const inFleet: MemberOf = { kind: 'memberOf', group: 'fleet' };

describe.each(kinds)('an %s key', (kind) => {
  test.each(['initiator', 'responder', 'both'] as const)('proves the %s', (role) => {
    const own = { identity: identity(kind, 1) };
    const { a, b, run } = hosts(role === 'responder' ? {} : own, role === 'initiator' ? {} : own);
    b.keysOf = () => [identity(kind, 1).publicKey];
    run(
      role === 'initiator' ? [] : [identity(kind, 1).publicKey],
      role === 'initiator' ? 'any' : 'authenticated',
    );
    expect(a.established.map((e) => e.peerAuth.kind)).toEqual([role === 'initiator' ? 'anonymous' : 'key']);
    expect(b.established.map((e) => e.peerAuth.kind)).toEqual([role === 'responder' ? 'anonymous' : 'key']);
    expect(mismatches(a, b)).toEqual([]);
  });

  test.each(['initiator', 'responder'] as const)(
    'goes along with its %s where that is asked for (RFC 7670)',
    (role) => {
      const key = identity(kind, 1);
      const { world, a, b, run, said } = hosts(
        { ...(role === 'initiator' && { identity: key }) },
        { ...(role === 'responder' && { identity: key }) },
      );
      b.keysOf = () => [key.publicKey];
      // The initiator asks where it has several keys to choose from, the responder has no reason to.
      if (role === 'initiator') {
        change(world, b, (payloads) => [
          ...payloads,
          { kind: 'CERTREQ', encoding: CertEncoding.RAW_PUBLIC_KEY, data: new Uint8Array(0) },
        ]);
      }
      run(
        role === 'initiator' ? [] : [identity(kind, 2).publicKey, key.publicKey],
        role === 'initiator' ? 'any' : 'authenticated',
      );
      const certificates = said(role === 'initiator' ? a : b).filter((p) => p.kind === 'CERT');
      const imported = importPublicKey(key.publicKey);
      if (!imported.ok) throw new Error(imported.why);
      expect(certificates).toEqual([
        { kind: 'CERT', encoding: CertEncoding.RAW_PUBLIC_KEY, data: keyInfoOf(imported.key) },
      ]);
    },
  );

  test('signs in a certificate for a member of a private group, both ways', () => {
    const [ours, theirs] = [
      member('a.fleet.example', { key: identity(kind, 3).privateKey }),
      member('b.fleet.example', { key: identity(kind, 4).privateKey }),
    ];
    const { a, b, run } = hosts({ groups: [ours] }, { groups: [theirs] });
    b.keysOf = () => [inFleet];
    run([{ ...inFleet, name: 'b.fleet.example' }]);
    expect(a.established).toMatchObject([
      { peerAuth: { kind: 'member', group: 'fleet', names: ['b.fleet.example'] } },
    ]);
    expect(b.established).toMatchObject([
      { peerAuth: { kind: 'member', group: 'fleet', names: ['a.fleet.example'] } },
    ]);
    expect(mismatches(a, b)).toEqual([]);
  });
});

describe('a raw public key that comes along (RFC 7670 §5)', () => {
  const [known, unknown] = [identity('P-256', 1), identity('P-256', 2)];

  test('proves nothing where DNS does not publish it', () => {
    const { a, run } = hosts({}, { identity: unknown });
    run([known.publicKey, identity('rsa', 5).publicKey]);
    expect(a.established).toEqual([]);
    expect(a.failed).toMatchObject([{ code: 'authentication-failed' }]);
  });

  test('that is another than the one that signs does no harm', () => {
    const { a, b, run, world } = hosts({}, { identity: known });
    const imported = importPublicKey(unknown.publicKey);
    if (!imported.ok) throw new Error(imported.why);
    world.meddle(b, (payloads) =>
      payloads.map((p): InnerPayload => (p.kind === 'CERT' ? { ...p, data: keyInfoOf(imported.key) } : p)),
    );
    run([unknown.publicKey, known.publicKey]);
    expect(a.established).toMatchObject([{ peerAuth: { kind: 'key', key: known.publicKey } }]);
  });

  test.each([CertEncoding.RAW_PUBLIC_KEY, 12, 13, 200])(
    'of encoding %i, whatever it holds, is passed over',
    (encoding) => {
      const { a, b, run, world } = hosts({}, { identity: known });
      world.meddle(b, (payloads) => [
        ...payloads,
        { kind: 'CERT', encoding, data: toUtf8('http://198.18.0.9/certificate') },
      ]);
      run([known.publicKey]);
      expect(a.established).toHaveLength(1);
    },
  );

  test('is not sent to who does not ask for it, nor asked for where one key is known', () => {
    const { a, b, run, said } = hosts({ identity: unknown }, { identity: known });
    b.keysOf = () => [unknown.publicKey];
    run([known.publicKey]);
    expect([...said(a), ...said(b)].filter((p) => p.kind === 'CERT' || p.kind === 'CERTREQ')).toEqual([]);
  });
});

describe('a shared secret (RFC 7296 §2.15)', () => {
  test('proves both ends, and that is all it proves', () => {
    const { a, b, run, said } = hosts(secret('the same for all of us'), secret('the same for all of us'));
    b.keysOf = () => [inFleet];
    run([inFleet]);
    for (const node of [a, b]) {
      expect(node.established).toMatchObject([
        { peerAuth: { kind: 'member', group: 'fleet', names: undefined } },
      ]);
      expect(said(node)).toMatchObject(
        expect.arrayContaining([
          expect.objectContaining({ kind: 'AUTH', method: AuthMethod.SHARED_KEY_MIC }) as unknown,
        ]),
      );
    }
    expect(mismatches(a, b)).toEqual([]);
  });

  test('another one, or none in common, leads to nothing', () => {
    for (const theirs of [secret('the same for none of us'), {}, { groups: [member('b.fleet.example')] }]) {
      const { a, b, run } = hosts(secret('the same for all of us'), theirs);
      b.keysOf = () => [inFleet];
      run([inFleet]);
      expect(a.established).toEqual([]);
      expect(b.established).toEqual([]);
      expect(a.failed).toMatchObject([{ code: 'authentication-failed' }]);
      // Whoever is to prove itself is not asked for less.
      expect(a.story.join('\n')).not.toContain('without telling who we are');
    }
  });

  test('does not do where the responder looks for a key in DNS', () => {
    const { a, b, run } = hosts(secret('the same for all of us'), secret('the same for all of us'));
    b.keysOf = () => [identity('P-256', 1).publicKey];
    run([inFleet]);
    expect(b.established).toEqual([]);
    expect(a.established).toEqual([]);
  });

  test('of a responder does not do where the initiator wants a key of DNS', () => {
    const { a, b, run, world } = hosts(
      { ...secret('the same for all of us'), identity: identity('P-256', 2) },
      { ...secret('the same for all of us') },
    );
    b.keysOf = () => [identity('P-256', 2).publicKey];
    world.meddle(b, (payloads) =>
      payloads.map((p): InnerPayload =>
        p.kind === 'AUTH' ? { ...p, method: AuthMethod.SHARED_KEY_MIC } : p,
      ),
    );
    run([identity('P-256', 1).publicKey]);
    expect(a.established).toEqual([]);
  });

  test('the proof of one end is not that of the other', () => {
    const { a, b, run, world, said } = hosts(secret('the same for all of us'), {
      ...secret('the same for none of us'),
    });
    b.keysOf = () => [inFleet];
    // <-- IKE_AUTH with what the initiator itself has sent
    world.meddle(b, () => {
      const sent = said(a);
      const id = sent.find((p) => p.kind === 'IDi');
      const auth = sent.find((p) => p.kind === 'AUTH');
      return [
        { ...(id as Extract<InnerPayload, { kind: 'IDi' | 'IDr' }>), kind: 'IDr' },
        ...(auth ? [auth] : []),
      ];
    });
    run([inFleet]);
    expect(a.established).toEqual([]);
  });

  test('what the members call themselves is of their choice', () => {
    const id = { type: IdType.ID_FQDN, data: toUtf8('a.fleet.example') };
    const { a, b, run, said } = hosts(
      secret('the same for all of us', { id }),
      secret('the same for all of us'),
    );
    b.keysOf = () => [inFleet];
    run([inFleet]);
    expect(said(a).find((p) => p.kind === 'IDi')).toMatchObject(id);
    expect(said(b).find((p) => p.kind === 'IDr')).toMatchObject({ type: IdType.ID_IPV4_ADDR });
    expect(a.established).toHaveLength(1);
    expect(b.effects.find((e) => e.kind === 'askPeerKeys')).toMatchObject({ id: { type: IdType.ID_FQDN } });
  });
});

describe('certificates of a private group', () => {
  const asked = { kind: 'memberOf', group: 'fleet', name: 'b.fleet.example' } as const;

  test('the subject is the identity, and the authorities are named both ways (RFC 7296 §3.7)', () => {
    const prefix = parsePrefix('198.18.0.0/24');
    if (!prefix) throw new Error('no prefix');
    const theirs = { ...member('b.fleet.example'), prefixes: [prefix] };
    const { a, b, run, said, world } = hosts({ groups: [member('a.fleet.example')] }, { groups: [theirs] });
    b.keysOf = () => [inFleet];
    run([asked]);
    expect(said(a).find((p) => p.kind === 'IDi')).toMatchObject({
      type: 9,
      data: nameDer('a.fleet.example'),
    });
    const hash = fromHex(authorityHex());
    expect(said(a).filter((p) => p.kind === 'CERTREQ')).toEqual([
      { kind: 'CERTREQ', encoding: 4, data: hash },
    ]);
    const initR = world.sent.filter(isInit)[1];
    expect(initR && messageOf(initR).payloads.filter((p) => p.kind === 'CERTREQ')).toEqual([
      { kind: 'CERTREQ', encoding: 4, data: hash },
    ]);
  });

  test('nobody who is not in a prefix of the group learns of its authority', () => {
    const { b, run, world } = hosts({}, { groups: [member('b.fleet.example')] });
    run([], 'any');
    const initR = world.sent.filter(isInit)[1];
    expect(initR && messageOf(initR).payloads.filter((p) => p.kind === 'CERTREQ')).toEqual([]);
    expect(b.established).toHaveLength(1);
  });

  test.each<[string, PrivateGroup, string]>([
    ['of another name', member('c.fleet.example'), 'not of the name that was looked up'],
    ['that has expired', member('b.fleet.example', { until: today - 5 }), 'has expired'],
    [
      'of another authority',
      member('b.fleet.example', { by: { subject: 'Fleet CA', key: identity('P-256', 77).privateKey } }),
      'is wrong',
    ],
    [
      'of another host than that which signs',
      { ...member('b.fleet.example'), privateKey: identity('Ed25519', 78).privateKey } as PrivateGroup,
      'is not of this key',
    ],
  ])('a responder with a certificate %s is refused', (_, theirs, why) => {
    const { a, b, run } = hosts({ groups: [member('a.fleet.example')] }, { groups: [theirs] });
    b.keysOf = () => [inFleet];
    run([asked]);
    expect(a.established).toEqual([]);
    expect(a.failed).toMatchObject([
      { code: 'authentication-failed', why: expect.stringContaining(why) as string },
    ]);
  });

  test('an initiator that names an address which is not its own is refused', () => {
    const octets = Uint8Array.of(198, 18, 0, 77);
    const ours = member('a.fleet.example', { addresses: [octets] });
    const { a, b, run } = hosts(
      { groups: [{ ...ours, id: { type: IdType.ID_IPV4_ADDR, data: octets } }] },
      { groups: [member('b.fleet.example')] },
    );
    b.keysOf = () => [inFleet];
    run([asked]);
    expect(b.established).toEqual([]);
    expect(a.established).toEqual([]);
    expect(b.story.join('\n')).toContain('names an address that is not its own');
  });

  test('a member without a certificate in its message is nobody', () => {
    const { a, b, run, world } = hosts(
      { groups: [member('a.fleet.example')] },
      { groups: [member('b.fleet.example')] },
    );
    b.keysOf = () => [inFleet];
    world.meddle(a, (payloads) => payloads.filter((p) => p.kind !== 'CERT'));
    run([asked]);
    expect(b.established).toEqual([]);
    expect(b.story.join('\n')).toContain('no certificate that can be read');
  });

  test('an authority between comes along', () => {
    const middle = { subject: 'Middle CA', key: identity('P-384', 79).privateKey };
    const between = readOf({
      ...middle,
      by: { subject: 'Fleet CA', key: identity('P-256', 100).privateKey },
      authority: true,
    });
    const own = member('b.fleet.example', { by: middle });
    const theirs = own.kind === 'certificate' ? { ...own, chain: [...own.chain, between] } : own;
    const { a, b, run } = hosts({ groups: [member('a.fleet.example')] }, { groups: [theirs] });
    b.keysOf = () => [inFleet];
    run([asked]);
    expect(a.established).toHaveLength(1);
  });

  test('a host with a key in DNS and one in a group shows each to whom it is for', () => {
    const host = identity('P-256', 1);
    const { a, b, run } = hosts({}, { identity: host, groups: [member('b.fleet.example')] });
    run([host.publicKey]);
    expect(a.established).toMatchObject([{ peerAuth: { kind: 'key' } }]);
    expect(b.established).toMatchObject([{ peerAuth: { kind: 'anonymous' } }]);
  });
});

describe('announced methods (RFC 9593)', () => {
  test('the announcements survive the wire, those that nobody knows too; malformed ones are none', () => {
    const list = [
      { method: AuthMethod.DIGITAL_SIGNATURE, algorithm: fromHex('300506032b6570') },
      { method: AuthMethod.ECDSA_SHA2_256_P256 },
      { method: AuthMethod.NULL },
      { method: 99, algorithm: fromHex('00') },
    ];
    const octets = encodeAuthMethods(list);
    expect(octets).toEqual(fromHex('0a0e00300506032b657003090002 0d 04630000'.replaceAll(' ', '')));
    expect(decodeAuthMethods(octets)).toEqual(list);
    for (const text of ['', '00', '01', '010e', '030d', '050e0030']) {
      expect(decodeAuthMethods(fromHex(text))).toBeUndefined();
    }
  });

  test('both ends say what they take: the initiator under encryption, the responder in IKE_SA_INIT', () => {
    const { run, said, world, a, b } = hosts({}, { identity: identity('P-256', 1) });
    run([identity('P-256', 1).publicKey]);
    const initR = world.sent.filter(isInit)[1];
    const announced = initR && methodsIn(messageOf(initR).payloads);
    expect(announced).toContainEqual({ method: AuthMethod.NULL });
    expect(announced).toContainEqual({ method: 14, algorithm: fromHex('300a06082a8648ce3d040302') });
    // It wants a proof, so nothing less is in its list.
    const wanted = methodsIn(said(a));
    expect(wanted).not.toContainEqual({ method: AuthMethod.NULL });
    expect(wanted).toContainEqual({ method: 14, algorithm: fromHex('300506032b6570') });
    expect(methodsIn(said(b))).toBeUndefined();
  });

  test.each([
    [
      'ECDSA with SHA2-512 only',
      [{ method: 14, algorithm: fromHex('300a06082a8648ce3d040304') }],
      14,
      '300a06082a8648ce3d040304',
    ],
    ['method 9 only', [{ method: 9 }], 9, undefined],
    ['NULL only', [{ method: 13 }], 13, undefined],
    ['Ed25519 only', [{ method: 14, algorithm: fromHex('300506032b6570') }], 13, undefined],
  ])('an initiator with a P-256 key towards who takes %s', (_, list, method, algorithm) => {
    const { world, a, b, run, said } = hosts({ identity: identity('P-256', 1) }, {});
    b.keysOf = () => [identity('P-256', 1).publicKey];
    change(world, b, (payloads) =>
      payloads.map((p) => (isMethods(p) ? { ...p, data: encodeAuthMethods(list) } : p)),
    );
    run([], 'any');
    const auth = said(a).find((p) => p.kind === 'AUTH');
    expect(auth).toMatchObject({ method });
    if (algorithm !== undefined && auth?.kind === 'AUTH') {
      expect(auth.data.subarray(1, 1 + (auth.data[0] ?? 0))).toEqual(fromHex(algorithm));
    }
  });

  test('a responder with RSA signs with PKCS#1 v1.5 for who takes nothing else', () => {
    const { a, b, run, said, world } = hosts({}, { identity: identity('rsa', 1) });
    const pkcs1 = fromHex('300d06092a864886f70d01010c0500');
    const list = [{ method: 14, algorithm: pkcs1 }];
    world.meddle(a, (payloads) =>
      payloads.map((p): InnerPayload => (isMethods(p) ? { ...p, data: encodeAuthMethods(list) } : p)),
    );
    run([identity('rsa', 1).publicKey]);
    const auth = said(b).find((p) => p.kind === 'AUTH');
    expect(auth?.kind === 'AUTH' && auth.data.subarray(1, 1 + (auth.data[0] ?? 0))).toEqual(pkcs1);
    expect(a.established).toHaveLength(1);
  });

  test('where IKE_INTERMEDIATE follows, the list of the responder comes in it', () => {
    const { a, run, said, world, b } = hosts(
      { kems: [36], limits: { fragmentOctets: 4_000 } },
      { kems: [36], limits: { fragmentOctets: 4_000 }, identity: identity('P-256', 1) },
    );
    run([identity('P-256', 1).publicKey]);
    const initR = world.sent.filter(isInit)[1];
    const announced = initR && messageOf(initR).payloads.filter(isMethods);
    expect(announced).toMatchObject([{ data: new Uint8Array(0) }]);
    expect(methodsIn(said(b))).toContainEqual({ method: AuthMethod.NULL });
    expect(a.established).toHaveLength(1);
    // And it is obeyed: the only method is one that a host without a key has.
    const other = hosts({ kems: [36], identity: identity('P-256', 2) }, { kems: [36] });
    other.b.keysOf = () => [identity('P-256', 2).publicKey];
    other.world.meddle(other.b, (payloads) =>
      payloads.map((p): InnerPayload =>
        isMethods(p) ? { ...p, data: encodeAuthMethods([{ method: AuthMethod.NULL }]) } : p,
      ),
    );
    other.run([], 'any');
    expect(other.said(other.a).find((p) => p.kind === 'AUTH')).toMatchObject({ method: AuthMethod.NULL });
  });

  test('an answer that would be longer than its request is given without the list', () => {
    const { a, b, world } = hosts({}, { identity: identity('P-256', 1) });
    a.initiate(b, [identity('P-256', 1).publicKey]);
    const first = world.wire.shift();
    if (!first) throw new Error('nothing sent');
    const { header, payloads } = messageOf(first);
    const few = payloads.flatMap((p): InnerPayload[] => {
      if (p.kind === 'SK' || p.kind === 'SKF') return [];
      return p.kind === 'SA' ? [{ ...p, proposals: p.proposals.slice(0, 1) }] : [p];
    });
    const octets = encodeMessage(header, few);
    world.deliver({ ...first, octets });
    const answer = world.wire[0];
    expect(answer && answer.octets.length).toBeLessThanOrEqual(octets.length);
    expect(answer && methodsIn(messageOf(answer).payloads)).toBeUndefined();
  });
});

describe('THREATS A.14', () => {
  test('the list of hashes taken out of the request is found out by AUTH, of an anonymous initiator too', () => {
    const { a, b, run, world } = hosts({}, { identity: identity('rsa', 1) });
    strip(world, a);
    run([identity('rsa', 1).publicKey]);
    expect([a.established, b.established]).toEqual([[], []]);
    expect(b.story.join('\n')).toContain('does not fit the exchange');
  });

  test('the list of hashes taken out of the answer: what the responder has signed is another message', () => {
    const { a, b, run, world } = hosts({ identity: identity('rsa', 2) }, { identity: identity('rsa', 1) });
    b.keysOf = () => [identity('rsa', 2).publicKey];
    strip(world, b);
    run([identity('rsa', 1).publicKey]);
    expect(a.established).toEqual([]);
  });

  test('the list of methods taken out of the answer is found out by AUTH', () => {
    const { a, b, run, world } = hosts({}, { identity: identity('P-256', 1) });
    strip(world, b, NotifyType.SUPPORTED_AUTH_METHODS);
    run([identity('P-256', 1).publicKey]);
    expect(a.established).toEqual([]);
  });
});

describe('THREATS A.27: who we are', () => {
  test('is told to nobody by a host that has nothing to prove', () => {
    const { a, run, said } = hosts({}, { identity: identity('P-256', 1) });
    run([identity('P-256', 1).publicKey]);
    expect(said(a).find((p) => p.kind === 'IDi')).toMatchObject({
      type: IdType.ID_NULL,
      data: new Uint8Array(0),
    });
    expect(said(a).filter((p) => p.kind === 'CERT')).toEqual([]);
  });

  test('is in IKE_AUTH no more than the address from which it comes, where DNS has our key', () => {
    const { a, b, run, said } = hosts({ identity: identity('P-256', 2) }, { identity: identity('P-256', 1) });
    b.keysOf = () => [identity('P-256', 2).publicKey];
    run([identity('P-256', 1).publicKey]);
    expect(said(a).find((p) => p.kind === 'IDi')).toMatchObject({ type: 1, data: a.address.octets });
  });

  test('is not told to a responder before there is a key that it must prove', () => {
    const { a, b, world } = hosts({ identity: identity('P-256', 2) }, { identity: identity('P-256', 1) });
    a.initiate(b, undefined);
    world.settle();
    expect(world.sent.map(nameOf).filter((n) => n.startsWith('IKE_AUTH'))).toEqual([]);
  });
});

/** What is said can be read, and comes in one piece. */
const whole: NodeOptions = { keyLog: true, limits: { fragmentOctets: 4_000 } };

/** Hosts with one key exchange, so that IKE_AUTH is the second exchange. */
function hosts(forA: NodeOptions, forB: NodeOptions) {
  const world = new World();
  const a = world.node('a', '198.18.0.1', { ...classic, ...whole, ...forA });
  const b = world.node('b', '198.18.0.2', { ...classic, ...whole, ...forB });
  const said = new Map<Node, InnerPayload[]>();
  for (const node of [a, b]) {
    world.meddle(node, (payloads) => {
      said.set(node, [...(said.get(node) ?? []), ...payloads]);
      return payloads;
    });
  }
  const run = (
    keys: readonly (PublicKey | MemberOf)[],
    require: 'authenticated' | 'any' = 'authenticated',
  ): void => {
    a.initiate(b, keys, require);
    world.settle();
  };
  return { world, a, b, run, said: (node: Node): readonly InnerPayload[] => said.get(node) ?? [] };
}

function secret(text: string, more: Partial<PrivateGroup> = {}): NodeOptions {
  const group = { kind: 'secret', name: 'fleet', id: undefined, prefixes: [], secret: toUtf8(text), ...more };
  return { groups: [group as PrivateGroup] };
}

/** Somebody on the way changes what `node` says in IKE_SA_INIT. */
function change(world: World, node: Node, edit: (payloads: readonly InnerPayload[]) => InnerPayload[]): void {
  const before = world.translate;
  world.translate = (original) => {
    const d = before(original);
    if (!isInit(d) || d.from.address !== node.address) return d;
    const { header, payloads } = messageOf(d);
    return {
      ...d,
      octets: encodeMessage(header, edit(payloads.filter((p) => p.kind !== 'SK' && p.kind !== 'SKF'))),
    };
  };
}

function strip(world: World, node: Node, type: number = NotifyType.SIGNATURE_HASH_ALGORITHMS): void {
  change(world, node, (payloads) => payloads.filter((p) => p.kind !== 'Notify' || p.type !== type));
}

function isMethods(payload: { readonly kind: string }): payload is NotifyPayload {
  return payload.kind === 'Notify' && (payload as NotifyPayload).type === NotifyType.SUPPORTED_AUTH_METHODS;
}

function methodsIn(payloads: readonly { readonly kind: string }[]): unknown {
  const found = payloads.find(isMethods);
  return found && decodeAuthMethods(found.data);
}

function authorityHex(): string {
  return createHash('sha1').update(fleetAuthority.keyInfo).digest('hex');
}
