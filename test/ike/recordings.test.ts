import { describe, expect, test } from 'vitest';
import { parseEndpoint } from '../../src/net/address.ts';
import { toHex } from '../../src/wire/octets.ts';
import { encoded } from '../../src/wire/writer.ts';
import { sharedKeyAuth, signedOctets, verifySharedKeyAuth } from '../../src/ike/crypto/auth.ts';
import { childKeys } from '../../src/ike/crypto/prf.ts';
import { importPublicKey, verifyAuth } from '../../src/ike/crypto/signature.ts';
import { Reassembly, openEncrypted } from '../../src/ike/encrypted.ts';
import { encodeMessage, type Message } from '../../src/ike/message.ts';
import { natVerdict } from '../../src/ike/nat-detection.ts';
import { AuthMethod } from '../../src/ike/numbers.ts';
import {
  encodePayloads,
  type AuthPayload,
  type IdPayload,
  type InnerPayload,
} from '../../src/ike/payloads.ts';
import { acceptEsp, acceptIke, chooseIke, describeIkeSuite } from '../../src/ike/proposals.ts';
import {
  contextOf,
  decodedMessage,
  names,
  octetsOf,
  publicKeyOf,
  recording,
  xfrmDump,
  type RecordedPayload,
} from './recordings.ts';

describe.each(names)('the recording %s', (name) => {
  const r = recording(name);
  const context = contextOf(r);

  test('its IKE_SA_INIT messages decode and encode to the same octets', () => {
    for (const { octets, payloads, header } of [context.initI, context.initR]) {
      expect(toHex(encodeMessage(header, payloads.filter(isInner)))).toBe(toHex(octets));
    }
  });

  test('has the payloads that the independent decoder saw', () => {
    for (const m of r.messages) {
      const kinds = decodedMessage(octetsOf(m)).payloads.map((p) => shortKind(p.kind));
      expect(kinds).toEqual(m.payloads.map((p) => p.type));
    }
  });

  test('SKEYSEED and every SK_* come out as recorded (RFC 7296 §2.14)', () => {
    const { skD, skEi, skEr, skPi, skPr, skAi, skAr } = context.keys;
    expect({
      skeyseed: toHex(context.seed),
      sk_d: toHex(skD),
      sk_ei: toHex(skEi),
      sk_er: toHex(skEr),
      sk_pi: toHex(skPi),
      sk_pr: toHex(skPr),
    }).toEqual(Object.fromEntries(Object.entries(r.keys).filter(([k]) => /^sk/.test(k) && !/_rec/.test(k))));
    expect([skAi.length, skAr.length]).toEqual([0, 0]);
  });

  test('every SK and SKF opens to the recorded plaintext, and that encodes to the same octets', () => {
    const opened = openedMessages(name);
    expect(opened.length).toBeGreaterThanOrEqual(2);
    for (const { plaintext, payloads, inner } of opened) {
      expect(payloads.map((p) => shortKind(p.kind))).toEqual(inner.map((p) => p.type));
      const octets = encoded((w) => {
        encodePayloads(w, payloads);
      });
      expect(toHex(octets)).toBe(plaintext);
    }
  });

  test('every AUTH verifies over the signed octets, which are the recorded ones', () => {
    let checked = 0;
    for (const { message, payloads, inner } of openedMessages(name)) {
      const auth = payloads.find((p) => p.kind === 'AUTH');
      if (!auth) continue;
      const { signed, skP } = signedBy(message, payloads);
      const recorded = inner.find((p) => p.type === 'AUTH');
      expect(toHex(signed)).toBe(recorded?.signedOctetsHex);
      expect(verdictOn(auth, signed, skP, recorded)).toBe(true);
      const altered = signed.with(40, (signed[40] ?? 0) ^ 1);
      expect(verdictOn(auth, altered, skP, recorded)).toBe(false);
      checked++;
    }
    expect(checked).toBeGreaterThanOrEqual(2);
  });

  test('no NAT is found (RFC 7296 §2.23)', () => {
    for (const [i, message] of [context.initI, context.initR].entries()) {
      const { spiI, spiR } = message.header;
      const at = (text = ''): NonNullable<ReturnType<typeof parseEndpoint>> => {
        const [, address = '', port = ''] = /^(.*):(\d+)$/.exec(text) ?? [];
        const endpoint = parseEndpoint(address.includes(':') ? `[${address}]:${port}` : text, 0);
        if (!endpoint) throw new Error(text);
        return endpoint;
      };
      const { src, dst } = r.messages[i] ?? {};
      const verdict = natVerdict(message.payloads, spiI, spiR, at(dst), at(src));
      expect(verdict).toEqual({ supported: true, local: false, peer: false });
      const moved = natVerdict(message.payloads, spiI, spiR, at(dst), { ...at(src), port: 4242 });
      expect(moved).toEqual({ supported: true, local: false, peer: true });
    }
  });

  test('the answer takes one proposal of the offer, and our choice from the offer is the same cipher', () => {
    const offer = context.initI.payloads.find((p) => p.kind === 'SA');
    const answer = context.initR.payloads.find((p) => p.kind === 'SA');
    if (!offer || !answer) throw new Error('no SA');
    const accepted = acceptIke(offer.proposals, answer);
    expect(accepted && describeIkeSuite(accepted.suite)).toBe('AES-GCM-16-256, PRF-HMAC-SHA2-512, ECP-256');
    expect(chooseIke(offer, { keGroup: 19 })?.suite).toEqual(accepted?.suite);
  });
});

test.each([
  ['rsa', 'client-rsa-up'],
  ['rsa', 'server-rsa-up'],
  ['tunnel', 'client-tunnel-up'],
  ['v6', 'client-v6-up'],
  ['strongswan', 'server-strongswan'],
])('the keys of the child in %s are those in the kernel (%s; RFC 7296 §2.17)', (name, dump) => {
  const { prf, keys, nonceI, nonceR } = contextOf(recording(name));
  const [offer, answer] = openedMessages(name).flatMap(({ payloads }) =>
    payloads.filter((p) => p.kind === 'SA'),
  );
  if (!offer || !answer) throw new Error('no SA');
  const choice = acceptEsp(offer.proposals, answer);
  expect(choice).toMatchObject({ suite: { encr: 20, keyBits: 256 }, esn: true });
  if (!choice) return;
  const { fromInitiator, fromResponder } = childKeys({
    prf,
    skD: keys.skD,
    nonceI,
    nonceR,
    suite: choice.suite,
  });
  const keyOf = new Map(
    [...xfrmDump(dump).matchAll(/spi 0x([0-9a-f]+)[\s\S]*?gcm\(aes\)\) 0x([0-9a-f]+)/g)].map((m) => [
      m[1],
      m[2],
    ]),
  );
  const spiI = toHex(offer.proposals[0]?.spi ?? new Uint8Array(0));
  const spiR = choice.peerSpi.toString(16).padStart(8, '0');
  expect(keyOf.get(spiR)).toBe(toHex(fromInitiator.encryptionKey));
  expect(keyOf.get(spiI)).toBe(toHex(fromResponder.encryptionKey));
});

interface OpenedMessage {
  readonly message: Message;
  readonly payloads: readonly InnerPayload[];
  readonly inner: readonly RecordedPayload[];
  readonly plaintext: string;
}

/** The encrypted messages of a recording, fragments joined; a retransmission in fragments counts once. */
function openedMessages(name: string): OpenedMessage[] {
  const r = recording(name);
  const { openerOf } = contextOf(r);
  const opened: OpenedMessage[] = [];
  let reassembly = new Reassembly();
  let plaintext = '';
  for (const m of r.messages) {
    const message = decodedMessage(octetsOf(m));
    const last = message.payloads.at(-1);
    if (last?.kind === 'SK') {
      const result = openEncrypted(message, openerOf(message));
      if (result.kind !== 'opened') throw new Error(`${name}: ${result.kind}`);
      opened.push({ message, payloads: result.payloads, inner: m.inner ?? [], plaintext: m.plaintext ?? '' });
    } else if (last?.kind === 'SKF') {
      plaintext += m.plaintext ?? '';
      const result = reassembly.add(message, openerOf(message));
      if (result.kind === 'partial') continue;
      if (result.kind !== 'whole') throw new Error(`${name}: ${result.kind}`);
      opened.push({ message, payloads: result.payloads, inner: m.inner ?? [], plaintext });
      reassembly = new Reassembly();
      plaintext = '';
    }
  }
  return opened;
}

function signedBy(
  message: Message,
  payloads: readonly InnerPayload[],
): { readonly signed: Uint8Array; readonly skP: Uint8Array } {
  const { prf, keys, initI, initR, nonceI, nonceR } = contextOf(
    recording(names.find((n) => spisOf(n) === message.header.spiI) ?? ''),
  );
  const { fromInitiator } = message.header;
  const id = payloads.find((p): p is IdPayload => p.kind === (fromInitiator ? 'IDi' : 'IDr'));
  if (!id) throw new Error('no ID');
  const skP = fromInitiator ? keys.skPi : keys.skPr;
  const signed = fromInitiator
    ? signedOctets({ ownInit: initI.octets, otherNonce: nonceR, prf, skP, id })
    : signedOctets({ ownInit: initR.octets, otherNonce: nonceI, prf, skP, id });
  return { signed, skP };
}

function spisOf(name: string): bigint {
  return contextOf(recording(name)).initI.header.spiI;
}

function verdictOn(
  auth: AuthPayload,
  signed: Uint8Array,
  skP: Uint8Array,
  recorded: RecordedPayload | undefined,
): boolean {
  const prf = 7;
  if (auth.method === AuthMethod.NULL) {
    expect(sharedKeyAuth(prf, skP, signed).length).toBe(auth.data.length);
    return verifySharedKeyAuth(prf, skP, signed, auth.data);
  }
  const imported = importPublicKey(publicKeyOf(recorded?.publicKeyPem ?? ''));
  if (!imported.ok) throw new Error(imported.why);
  return verifyAuth(imported.key, auth, signed).ok;
}

function isInner(payload: Message['payloads'][number]): payload is InnerPayload {
  return payload.kind !== 'SK' && payload.kind !== 'SKF';
}

/** The independent decoder's names of payloads. */
function shortKind(kind: string): string {
  return { Notify: 'N', Delete: 'D', Vendor: 'V' }[kind] ?? kind;
}
